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

# ---- a put, whose source is a disk that blocks ----

xferd=$top_builddir/xferd
mkdir "$tmp/source" "$tmp/drop"
gated put "$tmp/source" "$xfer"
make_file "$tmp/source/file" 3000000
write_config "$tmp/xferd.ini" "$tmp/drop" read-write
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.stall-after=3s $soon
close_gate bytes
# shellcheck disable=SC2086
"$tmp/put" $soon put "$tmp/source/file" "xfer://$daemon_address/pub/file" >"$out" 2>"$err" &
put_pid=$!
remember $put_pid
check "put: the daemon ends it, and its log names the stall" wait_line "$daemon_log" \
	'did not send what it has to put in 3s \(stall-after\): peer alive, blocked in read for [2-9] s' "$daemon_pid"
open_gate bytes
status=0
wait $put_pid || status=$?
is "$status" 6 "put: status"
like_file "$err" 'says: .* did not send what it has to put' "put: the client is told"
unlike "$(cat "$err")" 'trying again' "put: and does not try again"

# ---- a limit that lets a whole chunk go more seldom than a stall takes ----

# At 300 KiB a second the second mebibyte would come after 3.4 s.
make_file "$tmp/drop/slow" 2100000
slow="--limit-rate 300K --set daemon.stall-after=3s --set pipeline.chunk-size=1M --no-progress"
# shellcheck disable=SC2086
"$top_builddir/xfer" $slow $soon get "xfer://$daemon_address/pub/slow" "$tmp/slow" >"$tmp/slow.out" 2>&1 &
get_pid=$!
remember $get_pid
# shellcheck disable=SC2086
run timeout "$patience" "$top_builddir/xfer" $slow $soon put "$tmp/drop/slow" "xfer://$daemon_address/pub/again"
is "$status" 0 "a slow put is no stall"
check "a slow put: all is there" cmp "$tmp/drop/slow" "$tmp/drop/again"
like_file "$out" ' in ([3-9]|[1-9][0-9])' "a slow put: it was slow"
status=0
wait $get_pid || status=$?
is "$status" 0 "a slow get is no stall"
check "a slow get: all is there" cmp "$tmp/drop/slow" "$tmp/slow"
stop_daemon
is "$daemon_status" 0 "put: stops"
done_testing
