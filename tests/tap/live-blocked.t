#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A disk that blocks: while every thread for storage hangs in a system call, heartbeats and pings are answered at once, and
# nobody takes the daemon for dead. The disk is a library in front of the C library (tests/preload/block.c).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

. "$top_srcdir/tests/tap/gates.sh"
need_gates

mkdir "$tmp/pub"
names="1 2 3 4 5 6"
for name in $names; do
	make_file "$tmp/pub/$name" 3000000
done
write_config "$tmp/xferd.ini" "$tmp/pub"
printf '[pipeline]\nintegrity = sha256, none\n' >>"$tmp/xferd.ini"
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s
	--set liveness.none.interval=100ms --set liveness.none.dead-after=1s"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set core.threads=2 $soon
worker=$(worker_pid 0)

# storage_threads: their numbers, a line each.
storage_threads() {
	grep -l '^storage' "/proc/$worker/task"/*/comm | sed 's#/comm$##; s#.*/##'
}

# all_wait GATE: every one of them is at the gate.
# shellcheck disable=SC2317 # called by await
all_wait() {
	for thread in $(storage_threads); do
		grep -q "^$thread $1 " "$tmp/gates/waiting" || return 1
	done
}

# still_run PID...: none of them ended, even if nobody asked for its status yet.
# shellcheck disable=SC2317 # called by check
still_run() {
	for pid in "$@"; do
		grep -q '^State:.[^Z]' "/proc/$pid/status" || return 1
	done
}

# answered NAME COUNT ARGUMENTS...: that many pings, all answered, half of them within 50 ms. (A busy machine may hold up
# any one of them; storage would hold up all.)
answered() {
	answered_name=$1
	answered_count=$2
	shift 2
	# shellcheck disable=SC2086
	run timeout "$patience" "$xfer" --json $soon "$@" ping -i 50ms -c "$answered_count" "$daemon_address"
	is "$status" 0 "$answered_name: status"
	sed -n 's/.*"answered":true,"rtt":\([0-9.]*\).*/\1/p' "$out" | sort -n >"$tmp/rtts"
	is "$(wc -l <"$tmp/rtts")" "$answered_count" "$answered_name: all are answered"
	figures=$(awk '{ rtt[NR] = $1 * 1000 } END { printf "%.3f %.3f %.3f", rtt[1], rtt[int((NR + 1) / 2)], rtt[NR] }' "$tmp/rtts")
	# shellcheck disable=SC2086
	set -- $figures
	diag "$answered_name: round trips min/median/max $1/$2/$3 ms"
	check "$answered_name: the median is not above 50 ms" awk "BEGIN { exit !($2 > 0 && $2 <= 50) }"
}

check "there are threads for storage" test "$(storage_threads | wc -l)" -ge 2
for kind in names:sha256 bytes:sha256 bytes:none; do
	gate=${kind%:*}
	integrity=${kind#*:}
	rm -f "$tmp"/got-*
	close_gate "$gate"
	pids=
	for name in $names; do
		# shellcheck disable=SC2086
		"$xfer" get -q --integrity "$integrity" $soon "xfer://$daemon_address/pub/$name" "$tmp/got-$name" 2>"$tmp/$name.err" &
		pids="$pids $!"
		remember $!
	done
	check "$kind: all threads for storage wait" await all_wait "$gate"
	[ "$kind" != bytes:none ] || like_file "$tmp/gates/waiting" " bytes splice " "$kind: for pages that go into pipes"
	answered "$kind: heartbeats" 30
	answered "$kind: pings in the connection" 10 --set pipeline.liveness=none
	# shellcheck disable=SC2086
	check "$kind: for longer than dead-after, and no client gave up or got anything" still_run $pids
	open_gate "$gate"
	# shellcheck disable=SC2086
	set -- $pids
	for name in $names; do
		pid=$1
		shift
		status=0
		wait "$pid" || status=$?
		is "$status$(cat "$tmp/$name.err")" 0 "$kind: get $name goes on when the disk does"
		check "$kind: what it fetched" cmp "$tmp/pub/$name" "$tmp/got-$name"
	done
done
stop_daemon
is "$daemon_status" 0 "stops"
unlike "$(cat "$daemon_log")" ' (warn|error): ' "nothing to complain about"

done_testing
