#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer get of what is large: holes stay holes, and memory grows neither with a file nor with a tree.
# In memory, where there is room: 100,000 files are much work for a disk, and none of it is worth to reach one.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || [ "$(df -Pi /dev/shm | awk 'NR == 2 {print $4}')" -lt 150000 ] || TMPDIR=/dev/shm
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

pub=$tmp/pub
mkdir "$pub"
export MALLOC_ARENA_MAX=1 # so that figures can be compared
write_config "$tmp/xferd.ini" "$pub"
# A machine that is busy fills more of the buffers that it may have, which is not what is looked for here.
buffers="--set pipeline.memory=8M"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $buffers
url=xfer://$daemon_address/pub
worker=$(worker_pid 0)

# fetch ARGUMENTS...: as run, and the client's peak in $client_peak.
fetch() {
	# shellcheck disable=SC2086
	"$xfer" $buffers get "$@" >"$out" 2>"$err" &
	fetch_pid=$!
	remember $fetch_pid
	wait_peak $fetch_pid
	client_peak=$peak
}

# bounded NAME GOT WANTED
bounded() {
	if sanitized; then
		skip "$1" "a sanitizer takes memory of its own"
	elif [ "$2" -gt 1000 ] && [ "$2" -le "$3" ]; then
		ok "$1 ($2 KiB, at most $3)"
	else
		not_ok "$1" "$2 KiB, and $3 are allowed"
	fi
}

blocks() {
	stat -c %b "$1"
}

# ---- sparse files ----

# patch FILE OFFSET-IN-KIB KIB
patch() {
	dd if=/dev/urandom of="$1" bs=1024 seek="$2" count="$3" conv=notrunc status=none
}

mkdir "$pub/sparse"
truncate -s 40M "$pub/sparse/all-hole"
truncate -s 41943041 "$pub/sparse/odd-hole"
truncate -s 40M "$pub/sparse/middle" && patch "$pub/sparse/middle" 150000 100
truncate -s 100M "$pub/sparse/ends" && patch "$pub/sparse/ends" 0 4 && patch "$pub/sparse/ends" 102396 4
truncate -s 10M "$pub/sparse/comb"
for at in 0 512 1024 1536 2048 4096 6144 8192; do
	patch "$pub/sparse/comb" $at 64
done
truncate -s 900K "$pub/sparse/one-chunk" && patch "$pub/sparse/one-chunk" 800 4
truncate -s 3000K "$pub/sparse/hole-behind" && patch "$pub/sparse/hole-behind" 0 64
truncate -s 3000K "$pub/sparse/tiny-hole"
dd if=/dev/zero of="$pub/sparse/zeroes" bs=1M count=4 status=none
for chunk in 1M 4K; do
	rm -rf "$tmp/got"
	run "$xfer" get --set pipeline.chunk-size=$chunk "$url/sparse" "$tmp/got"
	is "$status" 0 "sparse, $chunk: status"
	check "sparse, $chunk: the same" same_tree "$pub/sparse" "$tmp/got"
	for file in all-hole odd-hole middle ends comb one-chunk hole-behind tiny-hole; do
		here=$(blocks "$tmp/got/$file")
		there=$(blocks "$pub/sparse/$file")
		# A file system gives a block more for its own sake now and then.
		if [ "$here" -le $((there + 16)) ]; then
			ok "sparse, $chunk: $file has $here blocks for $there"
		else
			not_ok "sparse, $chunk: $file" "has $here blocks for $there"
		fi
	done
done

# ---- 1 TiB with some data in it ----

if truncate -s 1T "$pub/tera" 2>/dev/null; then
	patch "$pub/tera" 0 1
	patch "$pub/tera" 536870911 3
	patch "$pub/tera" 1073741823 1
	fetch "$url/sparse/one-chunk" "$tmp/small"
	is "$status" 0 "a small file: status"
	small=$client_peak
	worker_small=$(peak_kib "$worker")
	fetch "$url/tera" "$tmp/tera"
	is "$status" 0 "1 TiB: status"
	like_file "$out" '^1 file: 1099511627776 bytes' "1 TiB: all of it is counted"
	is "$(stat -c '%s %Y' "$tmp/tera")" "$(stat -c '%s %Y' "$pub/tera")" "1 TiB: size and time"
	if [ "$(blocks "$tmp/tera")" -le $(($(blocks "$pub/tera") + 16)) ]; then
		ok "1 TiB: is as sparse"
	else
		not_ok "1 TiB: is as sparse" "$(blocks "$tmp/tera") blocks for $(blocks "$pub/tera")"
	fi
	for at in 0 536870910 536870911 1073741822 1073741823; do
		dd if="$pub/tera" of="$tmp/there" bs=1024 skip=$at count=4 status=none
		dd if="$tmp/tera" of="$tmp/here" bs=1024 skip=$at count=4 status=none
		check "1 TiB: what is at $at KiB" cmp "$tmp/there" "$tmp/here"
	done
	# Room for what the small file did not need yet: buffers, threads that had not run.
	bounded "1 TiB: memory of the client" "$client_peak" $((small + 16384))
	bounded "1 TiB: memory of the daemon" "$(peak_kib "$worker")" $((worker_small + 16384))
	rm -f "$tmp/tera"
else
	skip "1 TiB" "this file system has no files as large"
fi
rm -rf "$pub/tera" "$pub/sparse" "$tmp/got"

# ---- a tree of 50,000 files ----

mkdir "$pub/few" "$pub/many"
(cd "$pub/few" && seq -f 'file %05g' 15000 | tr '\n' '\0' | xargs -0 touch)
for n in 0 1 2 3 4 5 6 7 8 9; do
	mkdir "$pub/many/$n"
	(cd "$pub/many/$n" && seq -f 'file %05g' 5000 | tr '\n' '\0' | xargs -0 touch)
done
fetch --json "$url/few" "$tmp/few"
is "$status" 0 "15,000 files: status"
few=$client_peak
worker_few=$(peak_kib "$worker")
fetch --json "$url/many" "$tmp/many"
is "$status" 0 "50,000 files: status"
grep '"type":"summary"' "$out" >"$tmp/summary"
like_file "$tmp/summary" '"files":50000,"folders":11,' "50,000 files: all are counted"
is "$(find "$tmp/many" -type f | wc -l)" 50000 "50,000 files: all are there"
check "50,000 files: the daemon counts them too, empty as they are" wait_line "$daemon_log" \
	'transfer peer=127.* file=pub/many files=50000 bytes=0 .*result=ok'
# Room for thousands of entries that are not done yet: how many there are at a time depends on who is given the processor.
bounded "50,000 files: memory of the client" "$client_peak" $((few + 24576))
bounded "50,000 files: memory of the daemon" "$(peak_kib "$worker")" $((worker_few + 24576))
bounded "memory of both together" $(($(peak_kib "$worker") + client_peak)) 204800

stop_daemon
is "$daemon_status" 0 "stops"

done_testing
