#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Liveness that acts: who is stopped or killed is noticed within dead-after, who is slow is not cut off.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
make_file "$tmp/pub/big" 50000000
write_config "$tmp/xferd.ini" "$tmp/pub"
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s"

# begin_get NAME: a get that takes half a minute, under way when this returns: a heartbeat has had time to go round.
begin_get() {
	mkdir -p "$tmp/$1"
	# shellcheck disable=SC2086
	"$xfer" $soon -v --no-progress --limit-rate 1500K get "xfer://$daemon_address/pub/big" "$tmp/$1/" \
		>"$tmp/$1.out" 2>"$tmp/$1.err" &
	get_pid=$!
	remember "$get_pid"
	await sh -c "[ -n \"\$(find '$tmp/$1' -name '.xfer-*' -size +600k)\" ]"
}

# end_get NAME WANTED-STATUS MOST-SECONDS TEXT
end_get() {
	began=$(date +%s)
	got=0
	wait "$get_pid" || got=$?
	took=$(($(date +%s) - began))
	is "$got" "$2" "$1: status"
	check "$1: noticed within dead-after and a little ($took s)" test $took -le "$3"
	[ $# -lt 4 ] || like_file "$tmp/$1.err" "$4" "$1: the message"
	is "$(find "$tmp/$1" -mindepth 1 | wc -l)" 0 "$1: nothing is left"
}

# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $soon
worker=$(worker_pid 0)

begin_get worker-stopped
kill -STOP "$worker"
end_get worker-stopped 6 3 'is dead: no heartbeat, no byte and no ping for 1s'
kill -CONT "$worker"
run "$xfer" ls "xfer://$daemon_address/pub"
is "$status" 0 "a worker that was stopped goes on where it was"

begin_get all-stopped
kill -STOP "$daemon_pid" "$worker"
end_get all-stopped 6 3 'is dead'
kill -CONT "$daemon_pid" "$worker"

begin_get client-stopped
kill -STOP "$get_pid"
check "a stopped client is noticed by the daemon" wait_line "$daemon_log" 'result=.?peer dead' "$daemon_pid"
check "and gets a line of its own" wait_line "$daemon_log" 'session of .* timed out: ' "$daemon_pid"
kill -CONT "$get_pid"
end_get client-stopped 6 3

begin_get interrupted
kill -INT "$get_pid"
end_get interrupted 130 3 'interrupted'

begin_get worker-killed
kill -KILL "$worker"
end_get worker-killed 6 3
worker=$(worker_pid 0 2)
run "$xfer" get "xfer://$daemon_address/pub/big" "$tmp/again"
is "$status" 0 "a killed worker is replaced and serves"

# Chunks of 1 MiB at 300 KiB a second: much longer than dead-after for each.
head -c 1500000 "$tmp/pub/big" >"$tmp/pub/slow"
# shellcheck disable=SC2086
run "$xfer" $soon --limit-rate 300K get "xfer://$daemon_address/pub/slow" "$tmp/slow"
is "$status" 0 "slow but moving is not cut off"
check "and is whole" cmp "$tmp/pub/slow" "$tmp/slow"
like "$(grep 'file=pub/slow' "$daemon_log")" 'rtt_us=[1-9]' "the daemon knows the round trip too"

# A daemon that tells of no datagram port: everything in-band.
stop_daemon
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set pipeline.liveness=none --set liveness.none.interval=100ms \
	--set liveness.none.dead-after=1s
run "$xfer" --set pipeline.liveness=none --set liveness.none.interval=100ms ping -c 3 -i 0.1 "$daemon_address"
is "$status" 0 "ping in-band: status"
like_file "$out" '^3 sent, 3 received, 0% loss' "ping in-band: answered"
worker=$(worker_pid 0)
soon="--set pipeline.liveness=none --set liveness.none.interval=100ms --set liveness.none.dead-after=1s"
begin_get in-band-stopped
kill -STOP "$worker"
end_get in-band-stopped 6 3 'is dead'
kill -CONT "$worker"
stop_daemon
is "$daemon_status" 0 "stops"
done_testing
