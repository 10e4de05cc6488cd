#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Chunks with a wrong digest: asked for again, by themselves; and given up when it is no use.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

wrong=$top_builddir/tests/plugins/wrong/.libs/integrity-sha256.so
faulty=$top_builddir/tests/plugins/.libs/transport-faulty.so
[ -f "$wrong" ] && [ -f "$faulty" ] || skip_all "tests/plugins is not built"

pub=$tmp/pub
mkdir -p "$pub/tree"
make_file "$pub/file" 8388608
make_file "$pub/small" 5000
for n in 1 2 3 4 5 6 7 8; do
	make_file "$pub/tree/$n" $((n * 10000))
done
write_config "$tmp/xferd.ini" "$pub"

# lie KEY=VALUE...: arguments that load the liar.
lie() {
	printf -- '--set pipeline.integrity=%s' "$wrong"
	for word in "$@"; do
		printf -- ' --set integrity.sha256.%s' "$word"
	done
}

# liar KEY=VALUE...: a daemon whose digests are wrong.
liar() {
	# shellcheck disable=SC2046 # a list
	need_daemon -c "$tmp/xferd.ini" $(lie "$@")
}

get() {
	rm -rf "$tmp/got"
	run "$xfer" get "$@" "$tmp/got"
}

nothing_left() {
	check "$1: nothing is under the final name" test ! -e "$tmp/got"
	is "$(leftovers "$tmp")" "" "$1: nothing hidden is left"
}

# ---- now and then ----

liar every=5 times=1 min-size=1M
get "xfer://$daemon_address/pub/file"
# The chunk is repaired; the digest of the file, made of the source's digests as they were, cannot be.
is "$status" 5 "one wrong digest of eight: status"
like_file "$out" 'repaired 1 chunk,' "one wrong digest of eight: one chunk came again"
like_file "$err" 'pub/file: .*digest' "one wrong digest of eight: the file is named"
nothing_left "one wrong digest of eight"
stop_daemon

liar every=3 times=1 max-size=10000
get "xfer://$daemon_address/pub/small"
is "$status" 0 "a file of one chunk: status"
check "a file of one chunk: it is right" cmp "$pub/small" "$tmp/got"
stop_daemon

liar every=3 times=3 min-size=10000
get "xfer://$daemon_address/pub/tree"
is "$status" 0 "three wrong digests in a tree: status"
check "three wrong digests in a tree: it is the same" same_tree "$pub/tree" "$tmp/got"
like_file "$out" 'repaired [1-9]' "three wrong digests in a tree: some came again"
stop_daemon

# The client's own digests may be wrong too.
need_daemon -c "$tmp/xferd.ini"
# shellcheck disable=SC2046 # a list
get $(lie every=4 times=1 min-size=1M) "xfer://$daemon_address/pub/file"
is "$status" 0 "a digest that the client makes wrong: status"
check "a digest that the client makes wrong: the file is right" cmp "$pub/file" "$tmp/got"
like_file "$out" 'repaired 1 chunk' "a digest that the client makes wrong: one chunk came again"

stop_daemon

# ---- payload that is damaged on the way ----

# Marks in the files say where: whatever the frames are, a mark is damaged as often as it comes by, or as often as is said.
# marked FILE BYTES OFFSET...: a file with marks.
marked() {
	marked_file=$1
	make_file "$marked_file" "$2"
	shift 2
	for at in "$@"; do
		printf '<damage me>' | dd of="$marked_file" bs=1 seek="$at" conv=notrunc status=none
	done
}
marked "$pub/marked" 8388608 5300000
marked "$pub/marked-thrice" 8388608 1 3145728 8388597
marked "$pub/marked-small" 5000 2500
mkdir "$pub/marked-tree"
cp "$pub/tree"/* "$pub/marked-tree"
marked "$pub/marked-tree/4" 40000 7
marked "$pub/marked-tree/large" 3000000 2500000

# damaged TIMES ARGUMENTS...: a get over a network that damages marks, 0: always.
damaged() {
	damaged_times=$1
	shift
	get --no-progress --set pipeline.transport="$faulty" --set transport.faulty.fault=flip \
		--set transport.faulty.direction=recv --set 'transport.faulty.mark=<damage me>' --set transport.faulty.bit=3 \
		--set transport.faulty.times="$damaged_times" "$@"
}

# repaired NAME FLIPS CHUNKS: it is right in the end.
repaired() {
	is "$status" 0 "$1: status"
	is "$(grep -c 'flip at byte' "$err")" "$2" "$1: it was damaged"
	like_file "$out" "repaired $3," "$1: it came again by itself"
}

need_daemon -c "$tmp/xferd.ini"
for integrity in sha256 crc32; do
	damaged 1 --integrity $integrity "xfer://$daemon_address/pub/marked"
	repaired "a damaged chunk, $integrity" 1 '1 chunk'
	check "a damaged chunk, $integrity: the file is right" cmp "$pub/marked" "$tmp/got"
	like_file "$out" "^digest: $("$xfer" digest --integrity $integrity "$pub/marked" | sed 's/ .*//')\$" \
		"a damaged chunk, $integrity: so is its digest"
	check "a damaged chunk, $integrity: the daemon counts what it sent" wait_line "$daemon_log" \
		"transfer peer=.* file=pub/marked files=1 bytes=9437184 chunks=9 digest=xfer1:$integrity:.* result=ok"

	damaged 2 --integrity $integrity --set pipeline.chunk-size=64K "xfer://$daemon_address/pub/marked"
	repaired "a chunk that is damaged twice, $integrity" 2 '2 chunks'
	check "a chunk that is damaged twice, $integrity: the file is right" cmp "$pub/marked" "$tmp/got"

	damaged 3 --integrity $integrity "xfer://$daemon_address/pub/marked-thrice"
	repaired "three damaged chunks, $integrity" 3 '3 chunks'
	check "three damaged chunks, $integrity: the file is right" cmp "$pub/marked-thrice" "$tmp/got"

	damaged 1 --integrity $integrity "xfer://$daemon_address/pub/marked-small"
	repaired "a damaged file of one chunk, $integrity" 1 '1 chunk'
	check "a damaged file of one chunk, $integrity: it is right" cmp "$pub/marked-small" "$tmp/got"

	damaged 2 --integrity $integrity "xfer://$daemon_address/pub/marked-tree"
	repaired "two damaged chunks in a tree, $integrity" 2 '2 chunks'
	check "two damaged chunks in a tree, $integrity: it is the same" same_tree "$pub/marked-tree" "$tmp/got"

	damaged 0 --integrity $integrity "xfer://$daemon_address/pub/marked"
	is "$status" 5 "always damaged, $integrity: status"
	like_file "$err" '^xfer: pub/marked: chunk 5 of 8 came with a wrong digest' \
		"always damaged, $integrity: file and chunk are named"
	nothing_left "always damaged, $integrity"

	damaged 0 --integrity $integrity "xfer://$daemon_address/pub/marked-small"
	is "$status" 5 "always damaged, one chunk, $integrity: status"
	like_file "$err" '^xfer: pub/marked-small: chunk 0 of 1 is damaged' \
		"always damaged, one chunk, $integrity: file and chunk are named"
	nothing_left "always damaged, one chunk, $integrity"

	damaged 0 --integrity $integrity "xfer://$daemon_address/pub/marked-tree"
	is "$status" 5 "always damaged in a tree, $integrity: status"
	like_file "$err" '^xfer: pub/marked-tree/4: chunk 0 of 1 is damaged' "always damaged in a tree, $integrity: one is named"
	like_file "$err" '^xfer: pub/marked-tree/large: chunk 2 of 3 came' "always damaged in a tree, $integrity: so is the other"
	is "$(cd "$tmp/got" && echo *)" "1 2 3 5 6 7 8" "always damaged in a tree, $integrity: the rest is there"
	is "$(leftovers "$tmp")" "" "always damaged in a tree, $integrity: nothing hidden is left"
done

# Without integrity nobody notices: which is why it takes both sides to say so.
stop_daemon
need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=none
damaged 0 --integrity none "xfer://$daemon_address/pub/marked"
is "$status" 0 "damaged without integrity: status"
like_file "$out" 'unverified' "damaged without integrity: it says so"
check "damaged without integrity: the fault is one" test "$(cmp -l "$pub/marked" "$tmp/got" | wc -l)" = 1
stop_daemon

# ---- always ----

liar every=1 min-size=1M
get "xfer://$daemon_address/pub/file"
is "$status" 5 "always wrong: status"
like_file "$err" 'pub/file: chunk [0-9]+ of 8' "always wrong: file and chunk are named"
nothing_left "always wrong"
mkdir "$tmp/other"
get "xfer://$daemon_address/pub/file" "xfer://$daemon_address/pub/small" "$tmp/other"
is "$(ls "$tmp/other")" "" "(DEST is the last one)"
stop_daemon

liar every=1 max-size=10000 min-size=5000
get "xfer://$daemon_address/pub/small"
is "$status" 5 "always wrong, one chunk: status"
like_file "$err" 'pub/small: chunk 0 of 1' "always wrong, one chunk: file and chunk are named"
nothing_left "always wrong, one chunk"
# Another file of the same session is none the worse.
run "$xfer" get "xfer://$daemon_address/pub/small" "xfer://$daemon_address/pub/file" "$tmp/other"
is "$status" 5 "one of two always wrong: status"
is "$(ls "$tmp/other")" file "one of two always wrong: the other one is there"
check "one of two always wrong: and right" cmp "$pub/file" "$tmp/other/file"
stop_daemon

liar every=1 min-size=20000 max-size=40000
get "xfer://$daemon_address/pub/tree"
is "$status" 5 "some of a tree always wrong: status"
for n in 2 3 4; do
	like_file "$err" "pub/tree/$n: chunk 0 of 1" "some of a tree always wrong: $n is named"
done
is "$(cd "$tmp/got" && echo *)" "1 5 6 7 8" "some of a tree always wrong: the rest is there"
is "$(leftovers "$tmp")" "" "some of a tree always wrong: nothing hidden is left"
stop_daemon

# ---- the digest of the file is wrong, each of its chunks is right ----

liar every=1 streams=yes min-size=100 max-size=1000
get "xfer://$daemon_address/pub/file"
is "$status" 5 "a wrong digest of the file: status"
like_file "$err" 'pub/file: .*digest' "a wrong digest of the file: the file is named"
nothing_left "a wrong digest of the file"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
