#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The daemon's digest store: used for files that have not changed, and only for those; lost, damaged and wrong ones cost
# nothing but time. A plug-in that lies tells whether a digest was made or found.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

wrong=$top_builddir/tests/plugins/wrong/.libs/integrity-sha256.so
[ -f "$wrong" ] || skip_all "tests/plugins is not built"

pub=$tmp/pub
store=$tmp/digests
mkdir "$pub"
make_file "$pub/file" 6000000
make_file "$pub/small" 700000
# Of several sessions from four orders on, of which one takes four MiB at most.
make_file "$pub/large" 20000000
write_config "$tmp/xferd.ini" "$pub"

# settled FILE: it has not changed for more than two seconds.
# shellcheck disable=SC2317
settled() {
	[ $(($(date +%s) - $(stat -c %Z "$1"))) -gt 3 ]
}

keeper() {
	need_daemon -c "$tmp/xferd.ini" --set daemon.digest-store="$store" --set daemon.digest-store-size=1M "$@"
	url=xfer://$daemon_address/pub
}

# A daemon that makes nothing but wrong digests of chunks, but knows those that an honest one has kept.
liar() {
	keeper --set pipeline.integrity="$wrong" --set integrity.sha256.every=1 --set integrity.sha256.min-size=100K
}

# get FILE ARGUMENTS...
get() {
	rm -rf "$tmp/got"
	get_file=$1
	shift
	run "$xfer" get "$@" "$url/$get_file" "$tmp/got"
}

# right FILE WHAT ARGUMENTS...
right() {
	right_file=$1
	right_what=$2
	shift 2
	get "$right_file" "$@"
	is "$status" 0 "$right_what: status"
	like_file "$out" ' repaired 0 chunks' "$right_what: nothing came twice"
	check "$right_what: it is right" cmp "$pub/$right_file" "$tmp/got"
}

# ---- kept, and found ----

await settled "$pub/small"
keeper
right file "digests made"
right large "digests made, in ranges of several sessions" --streams 3
right file "digests found by who made them"
right small "a small file"
is "$(stat -c %a "$store")" 600 "the store is nobody else's"
stop_daemon

liar
right file "digests found by another worker"
right large "digests found, in ranges of several sessions" --streams 3
get small
is "$status" 5 "of a small file none are kept"

# What is asked for by digests alone is hashed: a comparison would not find out that they are old.
run "$xfer" verify "$url/file" "$pub/file"
is "$status" 5 "a comparison uses none"

# ---- a file that changed, in all ways that leave its size ----

cp "$pub/file" "$tmp/before"
printf x | dd of="$pub/file" bs=1 seek=3000000 conv=notrunc 2>"$tmp/dd"
touch -r "$tmp/before" "$pub/file"
get file
is "$status" 5 "the digests of a file that was written to are not used"
touch "$pub/file"
get file
is "$status" 5 "nor of one with another time"
cp "$tmp/before" "$tmp/replacement"
mv "$tmp/replacement" "$pub/file"
get file
is "$status" 5 "nor of one that was replaced"
stop_daemon

# ---- too young ----

keeper
touch "$pub/file"
right file "a file that has just changed"
stop_daemon
liar
get file
is "$status" 5 "its digests were not kept"
stop_daemon

# ---- wrong digests in the store ----

await settled "$pub/file"
liar
get file
is "$status" 5 "a liar's digests"
stop_daemon
keeper
get file
is "$status" 5 "wrong digests in the store are not believed"
check "... and what has them is not there" test ! -e "$tmp/got"
right file "they were made again meanwhile"
stop_daemon

# What is asked for in ranges is asked for again where they are wrong, and these are made.
await settled "$pub/large"
rm "$store"
liar
get large
is "$status" 5 "a liar's digests of a large file"
stop_daemon
keeper
get large --streams 3
is "$status" 0 "wrong digests in the store, in ranges: status"
unlike "$(cat "$out")" ' repaired 0 chunks' "wrong digests in the store, in ranges: chunks come again"
check "wrong digests in the store, in ranges: it is right" cmp "$pub/large" "$tmp/got"
stop_daemon

# ---- lost and damaged ----

keeper --set daemon.workers=3
right file "three workers"
size=$(stat -c %s "$store")
head -c "$size" /dev/urandom >"$tmp/noise"
dd if="$tmp/noise" of="$store" conv=notrunc 2>"$tmp/dd"
right file "a store full of noise"
: >"$store"
right file "an empty one"
rm "$store"
right file "one that was removed"
stop_daemon
check "it is not larger than it may be" test "$size" -le 1048576
mkdir "$store"
run timeout "$patience" "$xferd" -c "$tmp/xferd.ini" --set daemon.listen=127.0.0.1:0 --set daemon.digest-store="$store"
unlike "$status" '^(0|124)$' "what cannot be one is an error"
like_file "$err" "digest store $store cannot be opened" "... that names it"

# ---- in memory, where nothing is said ----

# each_eighth ARGUMENTS...: a daemon of which each eighth digest of a chunk is wrong; the file has six.
each_eighth() {
	need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity="$wrong" --set integrity.sha256.every=8 \
		--set integrity.sha256.min-size=100K "$@"
	url=xfer://$daemon_address/pub
}

each_eighth
right file "digests made"
right file "digests found in memory"
stop_daemon
each_eighth --set daemon.digest-store=none
right file "digests made without a store"
get file
is "$status" 5 "... are made again"
stop_daemon

done_testing
