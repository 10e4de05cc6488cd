#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A source that changes while it is read: status 8, the file and what happened to it, and never a mixture of two files.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

pub=$tmp/pub
mkdir "$pub"
make_file "$tmp/first" 33554432
make_file "$tmp/second" 33554432
write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
worker=$(worker_pid 0)

# Something of a file has come: it was opened, and most of it is still to be read, since the get is slow.
bytes_came() {
	[ -n "$(find "$tmp/got" -path '*/.xfer-*' -type f -size +0)" ]
}

# get_slowly URL ARGUMENTS...: in the background, into the new folder $tmp/got; returns when bytes of it came.
get_slowly() {
	seen=$(($(wc -l <"$daemon_log") + 1))
	rm -rf "$tmp/got"
	mkdir "$tmp/got"
	slow_url=$1
	shift
	"$xfer" get --limit-rate 2M --set pipeline.chunk-size=64K "$slow_url" "$@" "$tmp/got" >"$out" 2>"$err" &
	slow_pid=$!
	remember $slow_pid
	await bytes_came || bail_out "nothing came"
}

# get_ends: of the one in the background, with its status.
get_ends() {
	status=0
	wait $slow_pid || status=$?
}

# stopped PID: each of its threads is.
stopped() {
	[ -z "$(grep -L '^State:[^A-Z]*T' "/proc/$1"/task/*/status)" ]
}

# logged ERE: in the daemon's log, since the last get began.
logged() {
	timeout "$patience" tail -n +"$seen" -s 0.05 -f "$daemon_log" | grep -E -q -m 1 -e "$1"
}

# broken WHAT SAID: what has to be there after a file changed.
broken() {
	get_ends
	is "$status" 8 "$1: status"
	like_file "$err" "^xfer: pub/file: the source changed while it was read: $2\$" "$1: the client names the file and what happened"
	is "$(wc -l <"$err")" 1 "$1: once"
	is "$(ls -A "$tmp/got")" "" "$1: nothing is there, not even hidden"
	check "$1: the daemon says so" logged "pub/file: changed: $2\$"
	check "$1: and how it ended" logged ' transfer peer=127.* file=pub/file files=0 .* failed=1 .*result=failed$'
}

# ---- one file ----

for integrity in sha256 crc32; do
	cp "$tmp/first" "$pub/file"
	get_slowly "$url/file" --integrity $integrity
	cat "$tmp/second" 1<>"$pub/file"
	cmp -s "$tmp/second" "$pub/file" || bail_out "it was not written to"
	broken "rewritten, the same size, $integrity" 'it was written to'
done

cp "$tmp/first" "$pub/file"
touch -d '2001-02-03 04:05:06 UTC' "$pub/file"
get_slowly "$url/file"
kill -STOP "$worker" # so that it does not look between the two
await stopped "$worker" || bail_out "the worker does not stop"
cat "$tmp/second" 1<>"$pub/file"
touch -d '2001-02-03 04:05:06 UTC' "$pub/file"
kill -CONT "$worker"
broken "rewritten, the same size and time" 'its metadata changed'

cp "$tmp/first" "$pub/file"
get_slowly "$url/file"
truncate -s 20000001 "$pub/file"
broken "shrunk" 'it shrank'

cp "$tmp/first" "$pub/file"
get_slowly "$url/file"
: >"$pub/file"
broken "emptied" 'it shrank'

cp "$tmp/first" "$pub/file"
get_slowly "$url/file"
echo more >>"$pub/file"
broken "grown" 'it grew'

cp "$tmp/first" "$pub/file"
get_slowly "$url/file"
rm "$pub/file"
broken "removed" 'it was removed or replaced'

cp "$tmp/first" "$pub/file"
cp "$tmp/second" "$pub/new"
get_slowly "$url/file"
mv "$pub/new" "$pub/file"
broken "replaced by another of the same size" 'it was removed or replaced'

# With holes it is read in another way.
truncate -s 100M "$pub/file"
dd if="$tmp/first" of="$pub/file" bs=1M count=20 seek=10 conv=notrunc status=none
get_slowly "$url/file"
truncate -s 50M "$pub/file"
broken "shrunk, with holes" 'it shrank'

# ---- in a tree ----

# The folder's order is the order in which it is read: the first file is large, and the others wait behind it.
tree=$pub/tree
mkdir "$tree"
for n in 1 2 3 4 5 6; do
	: >"$tree/$n"
done
# shellcheck disable=SC2012 # their order is what is asked for
order=$(ls -U "$tree" | tr '\n' ' ')
read -r slow kept gone changed grown other <<-END
	$order
END
fill_tree() {
	cat "$tmp/first" >"$tree/$slow"
	for n in $kept $gone $changed $grown $other; do
		make_file "$tree/$n" 200000
	done
}
fill_tree
get_slowly "$url/tree"
partial_grows() {
	partial=$(find "$tmp/got" -path '*/.xfer-*' ! -name '*.j' -type f -size +0)
	[ -n "$partial" ]
}
await partial_grows
is "${partial##*/}" "$slow" "a tree: its first file is under way"
truncate -s 1M "$tree/$slow"
rm "$tree/$gone"
get_ends
is "$status" 8 "a tree with a file that shrank and one that vanished: status"
like_file "$err" "^xfer: pub/tree/$slow: the source changed while it was read: it shrank\$" "the one that shrank is named"
like_file "$err" "^xfer: pub/tree/$gone: the source changed while it was read: it vanished\$" "so is the one that vanished"
is "$(wc -l <"$err")" 2 "and nothing else"
is "$(cd "$tmp/got/tree" && echo *)" "$(cd "$tree" && echo * | sed "s/$slow *//; s/ \$//")" "the rest is there"
for n in $kept $changed $grown $other; do
	check "$n is whole" cmp "$tree/$n" "$tmp/got/tree/$n"
done
is "$(leftovers "$tmp")" "" "nothing hidden is left"
check "the daemon names the one" logged "pub/tree/$slow: changed: it shrank\$"
check "and the other" logged "pub/tree/$gone: not-found"
check "and how it ended" logged ' transfer peer=127.* file=pub/tree files=4 .* failed=2 .*result=failed$'

# A file that changed before its first byte was read is what it is then, whole.
fill_tree
get_slowly "$url/tree"
make_file "$tree/$changed" 200000
make_file "$tree/$grown" 300001
: >"$tree/$other"
rm "$tree/$slow"
get_ends
is "$status" 8 "a tree, of which files changed before they were read: status"
like_file "$err" "^xfer: pub/tree/$slow: .* it was removed or replaced\$" "the one that was being read is named"
is "$(wc -l <"$err")" 1 "and nothing else"
# The folder itself has the time that was listed.
touch -r "$tree" "$tmp/got/tree"
check "all the others are what they are now, times and all" same_tree "$tree" "$tmp/got/tree"

# A whole folder that goes.
fill_tree
mkdir "$tree/folder"
make_file "$tree/folder/file" 100000
get_slowly "$url/tree"
rm -r "$tree"
get_ends
is "$status" 8 "a tree that vanishes: status"
like_file "$err" "^xfer: pub/tree/$slow: .* it was removed or replaced\$" "a tree that vanishes: what was being read"
like_file "$err" '^xfer: pub/tree/folder/file: .* it vanished$' "a tree that vanishes: what was not"
is "$(leftovers "$tmp")" "" "a tree that vanishes: nothing hidden is left"

# Of several files one failed, and that is what the status says.
rm "$pub/file"
cp "$tmp/first" "$pub/file"
make_file "$pub/good" 100000
get_slowly "$url/file" "$url/good"
echo more >>"$pub/file"
get_ends
is "$status" 8 "one of two: status"
is "$(ls -A "$tmp/got")" good "one of two: the other is there"

# ---- afterwards ----

run "$xfer" get -q "$url/file" "$tmp/again"
is "$status" 0 "the same command again: status"
check "the same command again: it is what it is now" cmp "$pub/file" "$tmp/again"
is "$(worker_pid 0)" "$worker" "the worker is the one that it was"
is "$(grep -c 'worker died' "$daemon_log")" 0 "and none died"
stop_daemon
is "$daemon_status" 0 "the daemon stops"

done_testing
