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

get() {
	rm -rf "$tmp/got"
	run "$xfer" get "$url/$1" "$tmp/got"
}

# right FILE WHAT
right() {
	get "$1"
	is "$status" 0 "$2: status"
	like_file "$out" ' repaired 0 chunks' "$2: nothing came twice"
	check "$2: it is right" cmp "$pub/$1" "$tmp/got"
}

# ---- kept, and found ----

await settled "$pub/small"
keeper
right file "digests made"
right file "digests found by who made them"
right small "a small file"
is "$(stat -c %a "$store")" 600 "the store is nobody else's"
stop_daemon

liar
right file "digests found by another worker"
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
