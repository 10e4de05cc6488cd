#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A plug-in that does not come back: its worker is replaced after hang-after, and all hear who it was.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/plugin-crash.sh"
need_gates

workers=2
write_crash_config 'hang-after = 1s'
need_daemon -c "$tmp/xferd.ini"
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 2 >"$tmp/seen"

# In a thread of a pool, and in the loop.
for each in integrity:hash_update transport:recv; do
	kind=${each%:*}
	callback=${each#*:}
	begin_held --set liveness.crash.dead-after=1s
	order "daemon-$kind" "$callback loop"
	go_on
	status=0
	wait $get || status=$?
	is "$status" 0 "$each: the client gets what it wants, from another worker"
	check "$each: every byte" cmp "$tmp/pub/long" "$tmp/got"
	check "$each: the log says who hung" wait_line "$daemon_log" \
		"worker died.* cause=\"hung in $kind-crash $callback\(\) for more than 1s \(hang-after\)\"" "$daemon_pid"
done
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 4 >"$tmp/seen"

# Stopped by somebody else in the middle of a call is no offence.
order daemon-integrity 'digest stop'
rm -f "$tmp/got"
"$xfer" -c "$tmp/client.ini" --no-progress get "xfer://$daemon_address/pub/file" "$tmp/got" 2>"$tmp/err" &
get=$!
remember $get
stopped() {
	for pid in $(pgrep -P "$daemon_pid"); do
		grep -q '^State:.T' "/proc/$pid/status" && stopped_pid=$pid && return
	done
	return 1
}
await stopped
# There is no event in that nothing happens: twice the time after which it would.
sleep 2
kill -CONT "$stopped_pid"
status=0
wait $get || status=$?
is "$status" 0 "a worker that was stopped goes on"
is "$(grep -c 'worker died' "$daemon_log")" 2 "and nobody ended it"

stop_daemon TERM
is "$daemon_status" 0 "the daemon stops in order"

done_testing
