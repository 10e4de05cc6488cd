#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is the same need not come again: --update, --checksum, --repair, and xfer verify, which only looks.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

pub=$tmp/pub
mkdir "$pub" "$pub/tree"
size=16777216
make_file "$pub/file" $size
make_file "$pub/tree/a" 5000000
make_file "$pub/tree/b" 3000
: >"$pub/tree/empty"
truncate -s 9000000 "$pub/tree/sparse"
printf x | dd of="$pub/tree/sparse" bs=1 seek=4000000 conv=notrunc 2>/dev/null
write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
got=$tmp/got
mkdir "$got"

number() {
	sed -n '/"type": *"summary"/p' "$out" | grep -Eo "\"$1\": *[0-9]+" | sed -n '1s/.*: *//p'
}

# gets NAME RECEIVED ARGUMENTS...
gets() {
	name=$1
	most=$2
	shift 2
	run "$xfer" get --json "$@" "$got"
	is "$status" 0 "$name: status"
	[ "$status" = 0 ] || diag_file "$err"
	is "$(number received)" "$most" "$name: bytes that came"
	is "$(leftovers "$got")" "" "$name: nothing of ours is left"
}

run "$xfer" get "$url/file" "$url/tree" "$got"
is "$status" 0 "a first get"

# ---- nothing changed ----

inode=$(stat -c %i "$got/file")
gets "the same file" 0 --update "$url/file"
is "$(stat -c %i "$got/file")" "$inode" "the same file: it was left alone"
gets "the same tree" 0 --update "$url/tree"
check "the same tree: it is" same_tree "$pub/tree" "$got/tree"
touch "$pub/file"
gets "touched" 0 --update "$url/file"
is "$(stat -c %Y%y "$got/file")" "$(stat -c %Y%y "$pub/file")" "touched: it has the new time"
is "$(stat -c %i "$got/file")" "$inode" "touched: it was not written again"
touch -d '2001-02-03 04:05:06.7 UTC' "$got/file"
gets "by digests" 0 --update --checksum "$url/file"
is "$(stat -c %y "$got/file")" "$(stat -c %y "$pub/file")" "by digests: it has the time again"

# ---- one chunk changed ----

printf 'changed' | dd of="$pub/file" bs=1 seek=3500000 conv=notrunc 2>/dev/null
gets "one chunk" 1048576 --update "$url/file"
check "one chunk: the same bytes" cmp "$pub/file" "$got/file"
printf 'more' >>"$pub/file"
gets "grown" 4 --update "$url/file"
check "grown: the same bytes" cmp "$pub/file" "$got/file"
truncate -s 5000001 "$pub/file"
gets "shrunk" 0 --update "$url/file"
check "shrunk: the same bytes" cmp "$pub/file" "$got/file"
printf 'y' | dd of="$pub/tree/sparse" bs=1 seek=4000000 conv=notrunc 2>/dev/null
printf 'y' | dd of="$pub/tree/b" bs=1 seek=1 conv=notrunc 2>/dev/null
gets "in a tree" $((1048576 + 3000)) --update "$url/tree"
check "in a tree: the same" same_tree "$pub/tree" "$got/tree"
truncate -s 0 "$pub/tree/a"
gets "emptied" 0 --update "$url/tree"
check "emptied: the same" same_tree "$pub/tree" "$got/tree"
make_file "$pub/tree/a" 2500000
rm "$got/tree/b"
gets "new" 2503000 --update "$url/tree"
check "new: the same" same_tree "$pub/tree" "$got/tree"

# ---- damaged here, size and time unchanged ----

make_file "$pub/file" $size
run "$xfer" get "$url/file" "$got"
when=$(stat -c %y "$got/file")
printf 'damage' | dd of="$got/file" bs=1 seek=9000000 conv=notrunc 2>/dev/null
printf 'damage' | dd of="$got/file" bs=1 seek=15728640 conv=notrunc 2>/dev/null
touch -d "$when" "$got/file"
gets "not seen by size and time" 0 --update "$url/file"
run "$xfer" verify "$url/file" "$got/file"
is "$status" 5 "verify: status"
like_file "$err" 'file: differs in chunks 8, 15$' "verify: the file and its chunks"
like_file "$out" '^0 of 1 file is the same under sha256' "verify: the sum"
check "verify: the daemon's log calls it so, with its chunks" wait_line "$daemon_log" \
	' transfer peer=127.* verb=verify file=pub/file files=1 bytes=0 chunks=16 digest=- failed=0 .*result=ok' "$daemon_pid"
run "$xfer" verify "$url/tree" "$got/tree"
is "$status" 0 "verify, the same tree: status"
like_file "$out" '^4 of 4 files are the same' "verify, the same tree: the sum"
check "verify, the same tree: the daemon's log, without the empty file" wait_line "$daemon_log" \
	' transfer peer=127.* verb=verify file=pub/tree files=3 bytes=0 chunks=13 digest=- failed=0 .*result=ok' "$daemon_pid"
before=$(stat -c %i:%y "$got/file")
run "$xfer" verify --json "$url/file" "$got/file"
is "$(number differ)" 1 "verify: as JSON"
is "$(stat -c %i:%y "$got/file")" "$before" "verify: nothing was changed"
gets "repair" 2097152 --repair "$url/file"
check "repair: the daemon's log says what was got" wait_line "$daemon_log" \
	' transfer peer=127.* verb=get file=pub/file files=[01] bytes=2097152 ' "$daemon_pid"
check "repair: the same bytes" cmp "$pub/file" "$got/file"
rm "$got/tree/b"
run "$xfer" verify "$url/tree" "$got/tree"
is "$status" 5 "verify, one missing: status"
like_file "$err" 'tree/b: is not there' "verify, one missing: its name"
run "$xfer" get -q "$url/tree" "$got"

# ---- links ----

ln -s a "$pub/tree/link"
run "$xfer" verify "$url/tree" "$got/tree"
is "$status" 5 "verify, a link is missing: status"
like_file "$err" '^xfer: pub/tree/link: is not there$' "verify, a link is missing: its name"
is "$(grep -c . "$err")" 1 "verify, a link is missing: nothing else"
ln -s b "$got/tree/link"
run "$xfer" verify "$url/tree" "$got/tree"
is "$status" 5 "verify, a link to something else: status"
like_file "$err" '^xfer: pub/tree/link: is a symbolic link to something else$' "verify, a link to something else: its name"
rm "$got/tree/link"
cp "$got/tree/a" "$got/tree/link"
run "$xfer" verify --json "$url/tree" "$got/tree"
is "$(number differ)" 1 "verify, a file in place of a link"
ln -sf a "$got/tree/link"
run "$xfer" verify "$url/tree" "$got/tree"
is "$status" 0 "verify, the same link: status"

run "$xfer" verify "$url/file" "$got/nothing"
is "$status" 7 "verify of nothing: status"

# ---- what needs a strong digest ----

for how in --update --repair; do
	run "$xfer" get --integrity crc32 $how "$url/file" "$got"
	is "$status" 2 "$how with crc32: refused"
	like_file "$err" '\[pipeline\] integrity' "$how with crc32: the key is named"
done
run "$xfer" verify --integrity crc32 "$url/file" "$got/file"
is "$status" 2 "verify with crc32: refused"

done_testing
