#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Deaths: a worker is replaced and takes only its own sessions along; a supervisor takes everybody along.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"

# worker_pid INDEX [N]: of the Nth (1) process that was worker INDEX, as soon as it is ready.
worker_pid() {
	wait_line "$daemon_log" "worker ready worker=$1 " "$daemon_pid" "${2:-1}" | sed -n "${2:-1}s/.* pid=\([0-9]*\).*/\1/p"
}

# Gone, or a zombie that nobody reaps: it holds nothing any more.
# shellcheck disable=SC2317 # called by await_gone
is_gone() {
	! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# await_gone SECONDS PID...: these are no children of ours, so there is no event to wait for.
# shellcheck disable=SC2317 # called by check
await_gone() {
	gone_until=$(($(date +%s%N) + $1 * 1000000000))
	shift
	for gone_pid in "$@"; do
		until is_gone "$gone_pid"; do
			[ "$(date +%s%N)" -lt "$gone_until" ] || return 1
			sleep 0.02
		done
	done
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$tmp/pub"
	last=$((workers - 1))

	# ---- a worker is killed ----

	need_daemon -c "$tmp/xferd.ini"
	for n in 1 2 3; do
		pid=$(worker_pid $last $n)
		kill -KILL "$pid"
		check "workers=$workers: death $n is logged" \
			wait_line "$daemon_log" "worker died worker=$last pid=$pid cause=\"killed by signal 9" "$daemon_pid"
		like "$(worker_pid $last $((n + 1)))" '^[0-9]+$' "workers=$workers: replacement $n is ready"
		run "$xfer" get -q "xfer://$daemon_address/pub/file" "$tmp/got"
		is "$status" 0 "workers=$workers: new sessions are served after death $n"
	done
	is "$(pgrep -c -P "$daemon_pid")" "$workers" "workers=$workers: no more and no fewer processes than before"
	# Sessions go to any worker, so all of them are asked to show that each hears its own heartbeats.
	n=0
	while [ $n -lt $((workers * 4)) ]; do
		run "$xfer" ping -c 1 "$daemon_address"
		[ "$status" = 0 ] || break
		grep -q 'by udp heartbeat' "$out" || break
		n=$((n + 1))
	done
	is $n $((workers * 4)) "workers=$workers: heartbeats find the replacement"
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"

	# ---- the supervisor is killed ----

	need_daemon -c "$tmp/xferd.ini"
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" "$workers" >"$tmp/ready"
	pids=$(sed 's/.* pid=\([0-9]*\).*/\1/' "$tmp/ready")
	: >"$tmp/ping" # it is read at once
	"$xfer" ping -i 0.1 "$daemon_address" >>"$tmp/ping" 2>&1 &
	ping=$!
	remember $ping
	wait_line "$tmp/ping" 'seq=2' $ping >"$tmp/seen"
	stop_daemon KILL
	# shellcheck disable=SC2086 # a list of numbers
	check "workers=$workers: all ended within a second after the supervisor" await_gone 1 $pids
	port=$daemon_port
	status=0
	timeout "$patience" tail -f /dev/null --pid=$ping
	wait $ping || status=$?
	unlike "$status" '^0$' "workers=$workers: the client notices"
	check "workers=$workers: the port is free at once" \
		start_daemon -c "$tmp/xferd.ini" --set "daemon.listen=127.0.0.1:$port"
	is "$daemon_port" "$port" "workers=$workers: and taken up again"
	stop_daemon
done

# ---- one of three is killed: the sessions of the others do not notice ----

workers=3
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
: >"$tmp/ping" # it is read at once
"$xfer" ping -i 0.1 -c 15 "$daemon_address" >>"$tmp/ping" 2>&1 &
ping=$!
remember $ping
owner=$(wait_line "$daemon_log" 'session from' "$daemon_pid" | sed 's/.*xferd\/\([0-9]\).*/\1/')
wait_line "$tmp/ping" 'seq=2' $ping >"$tmp/seen"
for index in 0 1 2; do
	[ $index = "$owner" ] || kill -KILL "$(worker_pid $index)"
done
status=0
wait $ping || status=$?
is "$status" 0 "a session lives on while the other workers die"
like_file "$tmp/ping" ' 0% loss' "and loses no heartbeat"
is "$(grep -c 'worker died' "$daemon_log")" 2 "two workers died meanwhile"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
