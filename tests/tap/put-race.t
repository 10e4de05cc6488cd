#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Two clients that put the same path: the last one that is done has it, whole; at no time is there a mixture.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates
xferd=$top_builddir/xferd

pub=$tmp/pub
mkdir "$pub"
for who in a b; do
	mkdir -p "$tmp/src/wood-$who/folder"
	make_file "$tmp/src/$who" 6291456
	for n in 1 2 3 4 5 6 7 8 9; do
		make_file "$tmp/src/wood-$who/$n-$who" 600000
		echo "$who" >"$tmp/src/wood-$who/$n"
		echo "$who" >"$tmp/src/wood-$who/folder/$n"
	done
done
gated put "$tmp/src" "$xfer"

# begin WHO PROGRAM SOURCE: a put to pub/new. pid_WHO is the client.
begin() {
	"$2" put -q --set pipeline.chunk-size=128K "$3" "$url/new" 2>"$tmp/$1.err" &
	eval "pid_$1=$!"
	remember $!
}

# begin_held WHO SOURCE: the same, under way when this returns, until go_on.
begin_held() {
	hold 3600
	begin "$1" "$tmp/put" "$2"
	await eval "[ -n \"\$(find '$pub' -path '*/.xfer-*' -type f ! -name '*.j')\" ]"
}

# ends WHO NAME
ends() {
	status=0
	eval "wait \$pid_$1" || status=$?
	is "$status" 0 "$2"
	[ $status = 0 ] || diag_file "$tmp/$1.err"
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$pub" read-write
	need_daemon -c "$tmp/xferd.ini"
	url=xfer://$daemon_address/pub

	# The slow one begins first and is done last.
	begin_held a "$tmp/src/a"
	begin b "$xfer" "$tmp/src/b"
	check "workers=$workers: a file: nothing stands there yet, or the first one whole" \
		sh -c "[ ! -e '$pub/new' ] || cmp '$pub/new' '$tmp/src/b'"
	ends b "workers=$workers: a file: the first one is done"
	check "workers=$workers: a file: and has it" cmp "$pub/new" "$tmp/src/b"
	go_on
	ends a "workers=$workers: a file: the last one is done"
	check "workers=$workers: a file: and has it" cmp "$pub/new" "$tmp/src/a"
	rm "$pub/new"

	begin_held a "$tmp/src/wood-a"
	begin b "$xfer" "$tmp/src/wood-b"
	ends b "workers=$workers: a tree: the first one is done"
	check "workers=$workers: a tree: and has it" same_tree "$pub/new" "$tmp/src/wood-b"
	go_on
	ends a "workers=$workers: a tree: the last one is done"
	check "workers=$workers: a tree: and has it, nothing of the first" same_tree "$pub/new" "$tmp/src/wood-a"
	is "$(leftovers "$pub")" "" "workers=$workers: nothing hidden is left"
	rm -r "$pub/new"
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
done

# Again and again, with somebody who looks: what stands there is always one of the two.
workers=1
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
head -c 1500000 "$tmp/src/a" >"$tmp/small-a"
head -c 1500000 "$tmp/src/b" >"$tmp/small-b"
cp "$tmp/small-a" "$pub/new"
: >"$tmp/go"
for who in a b; do
	(
		for n in 1 2 3 4 5 6 7 8 9 10; do
			"$xfer" put -q --durability none --set pipeline.chunk-size=64K "$tmp/small-$who" "$url/new" || exit 1
		done
	) 2>"$tmp/$who.err" &
	eval "pid_$who=$!"
	remember $!
done
(
	looks=0
	while [ -e "$tmp/go" ]; do
		# One descriptor: the name may be another file's a moment later.
		cat "$pub/new" >"$tmp/seen"
		cmp -s "$tmp/seen" "$tmp/small-a" || cmp -s "$tmp/seen" "$tmp/small-b" || exit 1
		looks=$((looks + 1))
	done
	[ $looks -gt 0 ]
) &
looker=$!
remember $looker
ends a "again and again: one"
ends b "again and again: the other"
rm "$tmp/go"
check "again and again: never a mixture" wait $looker
is "$(leftovers "$pub")" "" "again and again: nothing hidden is left"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
