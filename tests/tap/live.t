#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Liveness that acts: who is stopped or killed is noticed within dead-after, who is slow is not cut off.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"

mkdir "$tmp/pub"
make_file "$tmp/pub/big" 50000000
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s"

# owner: the worker that has the newest session. (A session that moves bytes is in the log.)
owner() {
	owner_index=$(sed -n 's/.*xferd\/\([0-9]*\).* session from .*/\1/p' "$daemon_log" | tail -n 1)
	sed -n "s/.*worker ready worker=$owner_index .*pid=\([0-9]*\).*/\1/p" "$daemon_log" | tail -n 1
}

# shellcheck disable=SC2086
for workers in 1 3; do
	all="workers=$workers"
	write_config "$tmp/xferd.ini" "$tmp/pub"
	need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug $soon
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"

	begin_get worker-stopped-$workers $soon
	worker=$(owner)
	kill -STOP "$worker"
	if [ $workers -gt 1 ]; then
		for _ in 1 2 3 4; do
			run "$xfer" get -q $soon "xfer://$daemon_address/pub/big" "$tmp/meanwhile"
			[ "$status" = 0 ] || break
		done
		is "$status" 0 "$all: the others serve while one is stopped"
	fi
	end_get worker-stopped-$workers 6 3 'is dead: no heartbeat, no byte and no ping for 1s'
	kill -CONT "$worker"
	run "$xfer" ls "xfer://$daemon_address/pub"
	is "$status" 0 "$all: a worker that was stopped goes on where it was"

	begin_get all-stopped-$workers $soon
	processes="$daemon_pid $(pgrep -P "$daemon_pid" | tr '\n' ' ')"
	kill -STOP $processes
	end_get all-stopped-$workers 6 3 'is dead'
	kill -CONT $processes

	begin_get client-stopped-$workers $soon
	# The line of an earlier session, of a client that found the daemon dead, may come any time.
	client=$(sed -n 's/.* session from \([^ ]*:[0-9][0-9]*\).*/\1/p' "$daemon_log" | tail -n 1)
	kill -STOP "$get_pid"
	check "$all: a stopped client is noticed by the daemon, and gets a line" \
		wait_line "$daemon_log" "session of $client timed out: " "$daemon_pid"
	check "$all: the transfer has a line too" \
		wait_line "$daemon_log" "peer=$client .*result=.?peer dead" "$daemon_pid"
	kill -CONT "$get_pid"
	end_get client-stopped-$workers 6 3

	begin_get worker-killed-$workers $soon
	worker=$(owner)
	kill -KILL "$worker"
	end_get worker-killed-$workers 6 3
	check "$all: a killed worker is replaced" wait_line "$daemon_log" 'worker ready' "$daemon_pid" $((workers + 1))
	run "$xfer" get -q "xfer://$daemon_address/pub/big" "$tmp/again"
	is "$status" 0 "$all: and all is served"
	stop_daemon
	is "$daemon_status" 0 "$all: stops"
done

# ---- what is slow ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/pub"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $soon
# shellcheck disable=SC2086
begin_get interrupted $soon
kill -INT "$get_pid"
end_get interrupted 130 3 'interrupted'

# The second chunk waits until 300 KiB a second allow it: no byte for three times dead-after.
head -c 2000000 "$tmp/pub/big" >"$tmp/pub/slow"
# shellcheck disable=SC2086
run "$xfer" $soon --limit-rate 300K get "xfer://$daemon_address/pub/slow" "$tmp/slow"
is "$status" 0 "slow but moving is not cut off"
like_file "$out" ' in [3-9][0-9]*\.' "and was slow"
check "and is whole" cmp "$tmp/pub/slow" "$tmp/slow"
like "$(grep 'file=pub/slow' "$daemon_log")" 'rtt_us=[1-9]' "the daemon knows the round trip too"

# rare ARGUMENTS...: who asks less often than peers are given up, is heard in between.
rare() {
	run "$xfer" "$@" ping -i 1.5 -c 3 "$daemon_address"
	is "$status" 0 "a rare ping: status"
	like_file "$out" '^3 sent, 3 received, 0% loss, time [3-9][0-9]{3}ms' "a rare ping: asks no more often than it should"
	is "$(cat "$err")" "" "a rare ping: nothing to warn of"
}
# shellcheck disable=SC2086
rare $soon

# ---- no datagrams ----

# A daemon that tells of no datagram port: everything in-band.
stop_daemon
in_band="--set pipeline.liveness=none --set liveness.none.interval=100ms --set liveness.none.dead-after=1s"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $in_band
run "$xfer" --set pipeline.liveness=none --set liveness.none.interval=100ms ping -c 3 -i 0.1 "$daemon_address"
is "$status" 0 "ping in-band: status"
like_file "$out" '^3 sent, 3 received, 0% loss' "ping in-band: answered"
# shellcheck disable=SC2086
rare $in_band
worker=$(worker_pid 0)
# shellcheck disable=SC2086
begin_get in-band-stopped $in_band
kill -STOP "$worker"
end_get in-band-stopped 6 3 'is dead'
kill -CONT "$worker"
stop_daemon
is "$daemon_status" 0 "stops"
done_testing
