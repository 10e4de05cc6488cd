#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The main job on real input: the source tree of a Debian package, and a file of 2 GiB, through tcp, sha256 and the UDP
# heartbeat.
#
# XFER_TEST_SOURCE  folder with the tree; scripts/check fetches one. XFER_TEST_SOURCE_WHY says why it could not.
# XFER_TEST_LARGE   size of the large file; the part gcc of scripts/check says 2G.

# Where there is room in memory, the disk is spared.
large=$(numfmt --from=iec "${XFER_TEST_LARGE:-0}")
need=$((2 * large / 1024 + 500000)) # KiB
memory=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
room() {
	df -kP "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}
if [ -z "${TMPDIR-}" ] && [ -w /dev/shm ] && [ "$(room /dev/shm)" -gt $need ] && [ "$memory" -gt $((need + 1000000)) ]; then
	TMPDIR=/dev/shm
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/large"
cat >"$tmp/xferd.ini" <<-END
	[pipeline]
	transport = tcp
	integrity = sha256
	liveness = udp
	[daemon]
	listen = 127.0.0.1:0
	[export.source]
	path = ${XFER_TEST_SOURCE:-$tmp}
	[export.large]
	path = $tmp/large
END
need_daemon -c "$tmp/xferd.ini"
like_file "$tmp/listening" 'listening on 127\.0\.0\.1:[0-9]+ \(tcp\), heartbeat 127\.0\.0\.1:[0-9]+ \(udp\)' \
	"the plug-ins are those of the configuration"

# get URL DEST: as a user does.
get() {
	run "$xfer" get --no-progress -c "$tmp/xferd.ini" "xfer://$daemon_address/$1" "$2"
	is "$status" 0 "$1: status"
	is "$(cat "$err")" "" "$1: nothing to complain about"
	like_file "$out" ', round trip [0-9.]+ ms' "$1: the round trip is known"
}

# ---- the tree ----

source=${XFER_TEST_SOURCE-}
files=$([ -z "$source" ] || find "$source" -type f | wc -l)
if [ -z "$source" ]; then
	skip "a source tree" "${XFER_TEST_SOURCE_WHY:-XFER_TEST_SOURCE names none; scripts/check fetches one}"
elif [ "$files" -lt 5000 ]; then
	not_ok "a source tree" "$source has only ${files:-no} files"
else
	bytes=$(find "$source" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f", n }')
	get source "$tmp/tree"
	check "source: $files files, $(find "$source" -type l | wc -l) links, all the same" same_tree "$source" "$tmp/tree"
	like_file "$out" "^$files files, $(find "$source" -type d | wc -l) folders.*: $bytes bytes " "source: the summary counts them"
	like_file "$out" '^skipped 0, failed 0, repaired 0' "source: nothing is missing"
	check "source: the daemon says so" wait_line "$daemon_log" \
		" transfer peer=127.* file=source files=$files bytes=$bytes chunks=.* failed=0 .*result=ok"
	is "$(leftovers "$tmp")" "" "source: nothing hidden is left"
	rm -rf "$tmp/tree"
fi

# ---- the file ----

if [ "$large" = 0 ]; then
	skip "a large file" "XFER_TEST_LARGE names no size; the part gcc of scripts/check says 2G"
elif [ "$(room "$tmp")" -lt $need ]; then
	skip "a large file" "$tmp has no room for it twice: $(room "$tmp") of $need KiB"
elif [ "$(stat -f -c %T "$tmp")" = tmpfs ] && [ "$memory" -lt $need ]; then
	skip "a large file" "there is no memory for it twice: $memory of $need KiB"
else
	make_file "$tmp/large/file" "$large"
	get large/file "$tmp/got"
	check "large/file: $large bytes, all the same" cmp "$tmp/large/file" "$tmp/got"
	is "$(stat -c '%a %s %y' "$tmp/got")" "$(stat -c '%a %s %y' "$tmp/large/file")" "large/file: mode and time too"
	check "large/file: every chunk is counted" wait_line "$daemon_log" \
		" transfer peer=127.* file=large/file files=1 bytes=$large chunks=$(((large + 1048575) / 1048576)) .*result=ok"
fi

unlike "$(cat "$daemon_log")" ' (warn|error): ' "the daemon has nothing to complain about"
stop_daemon
is "$daemon_status" 0 "it stops"

done_testing
