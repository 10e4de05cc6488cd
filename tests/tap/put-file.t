#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer put of files: sizes around a chunk, each integrity, chunk sizes, holes, little memory, several clients at once; and
# where they land, as cp(1) has it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

src=$tmp/src
pub=$tmp/pub
mkdir "$src" "$pub"
names="0 1 1023 1024 1025 70000 1048575 1048576 1048577 16777217"
for bytes in $names; do
	make_file "$src/$bytes" "$bytes"
done
chmod 640 "$src/1025"
chmod 755 "$src/70000"
touch -d '2001-02-03 04:05:06.123456789 UTC' "$src/1025"
# Holes in front, between and behind; nothing but a hole.
truncate -s 40M "$src/sparse" "$src/hole"
printf x | dd of="$src/sparse" bs=1 seek=20000000 conv=notrunc 2>/dev/null
digest_of() {
	"$xfer" digest "$@" | sed 's/ .*//'
}

# put_all NAME ARGUMENTS...: all of them in one command, compared in content, mode and times.
put_all() {
	put_name=$1
	shift
	rm -rf "$pub/all"
	mkdir "$pub/all"
	run "$xfer" put "$@" "$src"/* "xfer://$daemon_address/pub/all"
	is "$status" 0 "$put_name: status"
	touch -r "$src" "$pub/all"
	check "$put_name: all files are the same" same_tree "$src" "$pub/all"
	check "$put_name: holes are holes" test "$(du -k "$pub/all/sparse" | cut -f 1)" -lt 20480
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$pub" read-write
	need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=sha256,crc32,none --set pipeline.chunk-size=16M
	for integrity in sha256 crc32 none; do
		for chunk in 1K 1M 16M; do
			[ $workers = 1 ] || [ $chunk = 1M ] || continue
			what="workers=$workers $integrity $chunk"
			put_all "$what" --integrity $integrity --set pipeline.chunk-size=$chunk
			digest=$(digest_of --integrity $integrity --chunk-size $chunk "$src/16777217")
			check "$what: the daemon logs the digest that xfer digest tells" wait_line "$daemon_log" \
				"transfer peer=127.* verb=put file=pub/all/16777217 files=1 bytes=16777217 chunks=.* digest=$digest .*result=ok"
		done
	done
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
	unlike "$(cat "$daemon_log")" ' (warn|error): ' "workers=$workers: nothing to complain about"
done

# ---- little memory, a limit of the rate, no syncs ----

workers=1
write_config "$tmp/xferd.ini" "$pub" read-write
need_daemon -c "$tmp/xferd.ini" --set pipeline.memory=8M --set core.threads=1
url=xfer://$daemon_address/pub
put_all "memory=8M on both sides" --set pipeline.memory=8M --set core.threads=1
put_all "memory=8M, many chunks" --set pipeline.memory=8M --set pipeline.chunk-size=1K
put_all "without syncs" --durability none
run "$xfer" put --limit-rate 8M "$src/16777217" "$url/slow"
is "$status" 0 "a limit of the rate: status"
check "a limit of the rate: it took its time" test "$(sed -n 's/.* in \([0-9]*\)\..* s, .*/\1/p' "$out")" -ge 1

# ---- several at once, on a daemon of 8M ----

pids=
for n in 1 2 3 4 5; do
	mkdir "$pub/client-$n"
	"$xfer" put -q "$src"/* "$url/client-$n" 2>"$tmp/client-$n.err" &
	pids="$pids $!"
	remember $!
done
n=0
for pid in $pids; do
	n=$((n + 1))
	status=0
	wait "$pid" || status=$?
	is "$status" 0 "five at once: status of $n"
	check "five at once: what $n has put" diff -r "$src" "$pub/client-$n"
	rm -rf "$pub/client-$n"
done

# ---- what is said ----

run "$xfer" put "$src/70000" "$url/said"
like_file "$out" '^1 file: 70000 bytes \(68\.4 KiB\) in [0-9.]+ s, .*/s$' "the summary: files, bytes, seconds, rate"
is "$(sed -n 's/^digest: //p' "$out")" "$(digest_of "$src/70000")" "and the digest"
run "$xfer" put --json "$src/70000" "$src/1025" "$url"
is "$(grep -c '"type":"file"' "$out")" 2 "an object for each file"
like_file "$out" '"type":"summary".*"status":0.*"files":2.*"bytes":71025,.*"chunks":2' "every chunk is counted"
run "$xfer" put -v "$src/1025" "$url/told"
like_file "$out" "^1025 .*$(digest_of "$src/1025")" "a line for a file, with its digest"

# ---- where it lands ----

# lands NAME WHERE ARGUMENTS...: status 0, and the file 1025 is there.
lands() {
	lands_name=$1
	lands_where=$2
	shift 2
	run "$xfer" put -q "$@"
	is "$status" 0 "$lands_name: status"
	check "$lands_name: is there" cmp "$pub/$lands_where" "$src/1025"
}

rm -rf "${pub:?}"/*
cd "$src" || exit 99
mkdir "$pub/folder" "$pub/folder/sub"
lands "to a new name" new 1025 "$url/new"
lands "to the export" 1025 1025 "$url"
lands "to the export with a slash" 1025 "$src/1025" "$url/"
lands "into a folder" folder/1025 ./1025 "$url/folder"
lands "into a folder below" folder/sub/1025 1025 "$url/folder/sub/"
lands "over a file" old 1025 "$url/old"
echo old >"$pub/old"
chmod 600 "$pub/old"
lands "over an older file" old 1025 "$url/old"
is "$(stat -c %a "$pub/old")" 640 "over an older file: with its own mode"
ln -s folder "$pub/link"
rm "$pub/folder/1025"
lands "into a link to a folder" folder/1025 1025 "$url/link"
ln -s old "$pub/to-file"
echo precious >"$pub/old"
lands "over a link to a file" to-file 1025 "$url/to-file"
is "$(cat "$pub/old")" precious "over a link to a file: what it led to is as it was"
name=$(printf 'a b%%#?\n\377')
cp -p 1025 "$tmp/$name"
lands "a name of any bytes" "$name" "$tmp/$name" "$url"
chmod 6755 "$tmp/$name"
run "$xfer" put -q "$tmp/$name" "$url/bits"
is "$(stat -c %a "$pub/bits")" 755 "setuid and setgid are not taken over"
cd "$tmp" || exit 99

# ---- what of several fails does not stop the others ----

run "$xfer" put "$src/1025" "$src/missing" "$src/1024" "$url/folder"
is "$status" 7 "a source that is not there: status"
like_file "$err" "^xfer: $src/missing: No such file" "it is named"
check "the others are there" cmp "$pub/folder/1024" "$src/1024"
is "$(leftovers "$pub")" "" "nothing hidden is left"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
