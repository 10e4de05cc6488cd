#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A network that drops all UDP: sessions live on pings in the connection, at work and idle, with one warning. Death is
# still noticed, by both sides.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
need_net

# drop_udp; pass_udp: what comes to the daemon.
if command -v iptables >/dev/null && on_daemon iptables -w -L >/dev/null 2>"$err"; then
	drop_udp() {
		on_daemon iptables -w -A INPUT -p udp -j DROP
	}
	pass_udp() {
		on_daemon iptables -w -F INPUT
	}
elif command -v nft >/dev/null && on_daemon nft list tables >/dev/null 2>"$err"; then
	drop_udp() {
		on_daemon nft 'table inet test { chain input { type filter hook input priority 0; meta l4proto udp drop; }; }'
	}
	pass_udp() {
		on_daemon nft delete table inet test
	}
else
	skip_all "neither iptables nor nft works in a network namespace: $(cat "$err" 2>/dev/null)"
fi
drop_udp 2>"$err" || skip_all "UDP cannot be dropped: $(cat "$err")"
pass_udp

mkdir "$tmp/pub"
make_file "$tmp/pub/big" 50000000
head -c 2000000 "$tmp/pub/big" >"$tmp/pub/slow"
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s $net_allow"
write_config "$tmp/xferd.ini" "$tmp/pub"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.listen=$net_listen $soon
worker=$(worker_pid 0)
idle=$(idle_count "$worker")
warning='^xfer: warning: heartbeats .* not answered .*UDP'

# warned_once NAME: the messages of NAME are that warning.
warned_once() {
	is "$(wc -l <"$tmp/$1.err")$(grep -Ec "$warning" "$tmp/$1.err")" 11 "$1: one warning, and nothing else"
}

drop_udp

# The second chunk waits until 300 KiB a second allow it: silence for three times dead-after.
# shellcheck disable=SC2086
run timeout "$patience" "$xfer" $soon --limit-rate 300K --no-progress get "xfer://$daemon_address/pub/slow" "$tmp/slow"
cp "$err" "$tmp/slow.err"
is "$status" 0 "slow: lives on"
like_file "$out" ' in [3-9][0-9]*\.' "slow: it was slow"
check "slow: is whole" cmp "$tmp/pub/slow" "$tmp/slow"
warned_once slow
like_file "$out" 'round trip [0-9.]*[1-9]' "slow: the round trip comes from the pings"
like "$(wait_line "$daemon_log" 'file=pub/slow' "$daemon_pid")" 'rtt_us=[1-9].* result=ok' "slow: the daemon knows it too"

# An idle session: of a ping no heartbeat is answered, and still nobody is cut off.
# shellcheck disable=SC2086
run timeout "$patience" "$xfer" ping $soon -i 200ms -c 15 "$daemon_address"
cp "$err" "$tmp/idle.err"
is "$status" 1 "idle: no heartbeat was answered"
like_file "$out" '^15 sent, 0 received, 100% loss, time [3-9][0-9]{3}ms' "idle: for three times dead-after, and lived on"
warned_once idle
check "idle: the daemon frees the session" frees "$worker" "$idle"
is "$(grep -c 'timed out' "$daemon_log")" 0 "idle: nobody timed out"

# begin_warned NAME: a get that has warned, so that it lives on pings in the connection.
begin_warned() {
	# shellcheck disable=SC2086
	begin_get "$1" $soon
	wait_line "$tmp/$1.err" "$warning" "$get_pid" >"$tmp/seen"
}

begin_warned daemon-stopped
kill -STOP "$daemon_pid" "$worker"
end_get daemon-stopped 6 4 'is dead: no heartbeat, no byte and no ping for 1s'
kill -CONT "$daemon_pid" "$worker"
is "$(grep -Ec "$warning" "$tmp/daemon-stopped.err")" 1 "daemon-stopped: warned once"
check "daemon-stopped: goes on, and frees the session" frees "$worker" "$idle"

# shellcheck disable=SC2086
"$xfer" ping $soon -i 100ms "$daemon_address" >"$tmp/idle-stopped.out" 2>"$tmp/idle-stopped.err" &
ping_pid=$!
remember $ping_pid
wait_line "$tmp/idle-stopped.err" "$warning" $ping_pid >"$tmp/seen"
kill -STOP "$daemon_pid" "$worker"
end_client idle-stopped $ping_pid 6 4 'is dead: no heartbeat, no byte and no ping for 1s'
kill -CONT "$daemon_pid" "$worker"
check "idle-stopped: goes on, and frees the session" frees "$worker" "$idle"

begin_warned client-stopped
kill -STOP "$get_pid"
check "client-stopped: the daemon notices" wait_line "$daemon_log" 'session of .* timed out: ' "$daemon_pid"
check "client-stopped: and frees the session" frees "$worker" "$idle"
kill -CONT "$get_pid"
end_get client-stopped 6 4

# Heartbeats that were heard stop in the middle, and come back: still one warning.
pass_udp
: >"$tmp/middle.out" # it is read at once
# shellcheck disable=SC2086
"$xfer" ping $soon -i 100ms "$daemon_address" >>"$tmp/middle.out" 2>"$tmp/middle.err" &
ping_pid=$!
remember $ping_pid
wait_line "$tmp/middle.out" '^answer from .* seq=3 ' $ping_pid >"$tmp/seen"
drop_udp
check "in the middle: warned" wait_line "$tmp/middle.err" "$warning" $ping_pid
wait_line "$tmp/middle.out" '^no answer' $ping_pid 10 >"$tmp/seen"
pass_udp
answers=$(grep -c '^answer' "$tmp/middle.out")
check "in the middle: heartbeats are heard again" wait_line "$tmp/middle.out" '^answer' $ping_pid $((answers + 3))
kill -INT $ping_pid
end_client middle $ping_pid 0 4
warned_once middle

stop_daemon
is "$daemon_status" 0 "stops"
done_testing
