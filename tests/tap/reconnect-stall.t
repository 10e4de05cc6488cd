#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A stall has a name: what the daemon is blocked in comes with its heartbeats, or with its pongs where there are none; and it
# is no loss, after which another try would help.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates

mkdir "$tmp/pub"
make_file "$tmp/pub/file" 3000000
write_config "$tmp/xferd.ini" "$tmp/pub"
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s
	--set liveness.none.interval=100ms --set liveness.none.dead-after=1s"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $soon

# A terminal, on which the line of progress is drawn again and again.
terminal() {
	TERM=xterm script -qefc "$*" /dev/null </dev/null
}

close_gate bytes
for how in udp none; do
	# shellcheck disable=SC2086
	run "$xfer" --set pipeline.liveness=$how --set daemon.stall-after=3s $soon \
		get --no-resume "xfer://$daemon_address/pub/file" "$tmp/got"
	is "$status" 6 "$how: a stall ends the get: status"
	like_file "$err" '^xfer: .* stalled: peer alive, blocked in read for [2-9] s$' "$how: and has a name"
	is "$(grep -c . "$err")" 1 "$how: it is no loss, and nothing is tried again"
	check "$how: nothing is there" test ! -e "$tmp/got"
done
is "$(leftovers "$tmp")" "" "nothing hidden is left"

if command -v script >/dev/null; then
	: >"$tmp/screen" # it is read at once
	# shellcheck disable=SC2086
	terminal "$xfer" $soon get "xfer://$daemon_address/pub/file" "$tmp/got" >>"$tmp/screen" 2>&1 &
	screen_pid=$!
	remember $screen_pid
	check "the line of progress has it, too" await grep -q 'peer alive, blocked in read for [2-9] s' "$tmp/screen"
	open_gate bytes
	status=0
	wait $screen_pid || status=$?
	is "$status" 0 "and goes on when the disk does"
	check "with all that was asked for" cmp "$tmp/pub/file" "$tmp/got"
else
	skip "the line of progress" "there is no script(1)"
	open_gate bytes
fi
stop_daemon
is "$daemon_status" 0 "stops"
done_testing
