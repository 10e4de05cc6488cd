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
is "$status" 0 "one wrong digest of eight: status"
check "one wrong digest of eight: the file is right" cmp "$pub/file" "$tmp/got"
like_file "$out" 'repaired 1 chunk$|repaired 1 chunk,' "one wrong digest of eight: one chunk came again"
like_file "$out" "digest: $("$xfer" digest "$pub/file" | sed 's/ .*//')" "one wrong digest of eight: the file's digest is right"
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

# ---- payload that is damaged on the way ----

# shellcheck disable=SC2046 # a list
get --set pipeline.transport="$faulty" --set transport.faulty.fault=flip --set transport.faulty.direction=recv \
	--set transport.faulty.at=3M --set transport.faulty.bit=3 "xfer://$daemon_address/pub/file"
is "$status" 0 "a flipped bit in a payload: status"
like_file "$err" 'flip at byte 3145728' "a flipped bit in a payload: it happened"
check "a flipped bit in a payload: the file is right" cmp "$pub/file" "$tmp/got"
like_file "$out" 'repaired 1 chunk' "a flipped bit in a payload: that chunk came again"
get --integrity crc32 --set pipeline.transport="$faulty" --set transport.faulty.fault=flip \
	--set transport.faulty.direction=recv --set transport.faulty.at=3M "xfer://$daemon_address/pub/file"
is "$status" 0 "the same with crc32: status"
check "the same with crc32: the file is right" cmp "$pub/file" "$tmp/got"
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
