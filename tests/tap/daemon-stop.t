#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SIGTERM and SIGINT: sessions are told, what hangs is killed in time, the status is 0.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"

# worker_pid INDEX: as soon as it is ready.
worker_pid() {
	wait_line "$daemon_log" "worker ready worker=$1 " "$daemon_pid" | sed 's/.* pid=\([0-9]*\).*/\1/'
}

# await_daemon: its end, and the status in daemon_status.
await_daemon() {
	daemon_status=0
	timeout "$patience" tail -s 0.05 -f /dev/null --pid="$daemon_pid" || kill -KILL "$daemon_pid"
	wait "$daemon_pid" || daemon_status=$?
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$tmp/pub"
	for signal in TERM INT; do
		need_daemon -c "$tmp/xferd.ini"
		: >"$tmp/ping" # it is read at once
		"$xfer" ping -i 0.1 "$daemon_address" >>"$tmp/ping" 2>&1 &
		ping=$!
		remember $ping
		wait_line "$tmp/ping" 'seq=1' $ping >"$tmp/seen"
		stop_daemon $signal
		is "$daemon_status" 0 "workers=$workers: SIG$signal ends it with 0"
		is "$(grep -c 'worker ended' "$daemon_log")" "$workers" "workers=$workers: SIG$signal: each worker ends by itself"
		unlike "$(cat "$daemon_log")" 'worker died|killing' "workers=$workers: SIG$signal: nobody is killed"
		wait $ping
		run "$xfer" ping -c 1 "$daemon_address"
		is "$status" 3 "workers=$workers: SIG$signal: nobody listens any more"
	done
done

# ---- what hangs ----

workers=2
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set daemon.drain-timeout=100ms
hung=$(worker_pid 1)
kill -STOP "$hung"
stop_daemon
is "$daemon_status" 0 "a worker that hangs does not keep the daemon"
like_file "$daemon_log" "did not drain in time, killing it worker=1 pid=$hung" "it is killed when its time is over"
like_file "$daemon_log" "worker ended worker=0" "the other one ends by itself"

need_daemon -c "$tmp/xferd.ini" --set daemon.drain-timeout=1h
kill -STOP "$(worker_pid 1)"
kill -TERM "$daemon_pid"
wait_line "$daemon_log" 'worker ended worker=0' "$daemon_pid" >"$tmp/seen"
sleep 0.3 # a second signal sooner than this counts as the first one again
kill -TERM "$daemon_pid"
await_daemon
is "$daemon_status" 0 "a second signal ends it at once"
like_file "$daemon_log" "told again" "and the log says so"

# ---- a signal to everybody, as from a terminal or a service manager ----

if command -v setsid >/dev/null; then
	for signal in INT HUP TERM; do
		daemon_log=$tmp/group-$signal.log
		: >"$daemon_log" # it is read at once
		setsid "$xferd" -c "$tmp/xferd.ini" 2>>"$daemon_log" &
		daemon_pid=$!
		remember $daemon_pid
		worker_pid 1 >"$tmp/seen"
		kill -s $signal -- -$daemon_pid
		if [ $signal = HUP ]; then
			wait_line "$daemon_log" 'reloaded' $daemon_pid >"$tmp/seen"
			wait_line "$daemon_log" 'worker ended' $daemon_pid 2 >"$tmp/seen"
			kill -TERM $daemon_pid
		fi
		await_daemon
		is "$daemon_status" 0 "SIG$signal to the whole group: the daemon does what it does"
		unlike "$(cat "$daemon_log")" 'worker died' "SIG$signal to the whole group: no worker dies of it"
	done
else
	skip "a signal to the whole group" "there is no setsid"
fi

done_testing
