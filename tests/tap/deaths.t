#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Two machines, and a network between them that loses a third of all datagrams each way, until the cable is pulled: nobody is
# called dead before, and each death is noticed within dead-after, by both. XFER_DEATHS of them (2; make
# check-faults-death: 20).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
need_net

# lose MACHINE: from what comes in there 30 of 100 datagrams vanish, by chance.
if command -v iptables >/dev/null && on_daemon iptables -w -A INPUT -p udp -m statistic --mode random --probability 0.3 \
	-j DROP 2>"$err"; then
	on_daemon iptables -w -F INPUT
	lose() {
		on "$1" iptables -w -A INPUT -p udp -m statistic --mode random --probability 0.3 -j DROP
	}
elif command -v nft >/dev/null && on_daemon nft 'table inet test { chain input { type filter hook input priority 0;
	meta l4proto udp numgen random mod 10 < 3 drop; }; }' 2>"$err"; then
	on_daemon nft delete table inet test
	lose() {
		on "$1" nft 'table inet test { chain input { type filter hook input priority 0;
			meta l4proto udp numgen random mod 10 < 3 drop; }; }'
	}
elif command -v tc >/dev/null && on_daemon tc qdisc add dev cable root netem loss 30% 2>"$err"; then
	on_daemon tc qdisc del dev cable root
	lose() {
		on "$1" tc qdisc add dev cable root netem loss 30%
	}
else
	skip_all "nothing here loses datagrams by chance: $(cat "$err" 2>/dev/null)"
fi
lose "$net_daemon" && lose "$net_client" || bail_out "no datagram is lost"

mkdir "$tmp/pub"
make_file "$tmp/pub/big" 50000000
dead_after=2
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=${dead_after}s $net_allow"
write_config "$tmp/xferd.ini" "$tmp/pub"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.listen=$net_listen $soon
worker=$(worker_pid 0)
idle=$(idle_count "$worker")

# die NAME END: a ping that was answered, and then the cable. What both took to notice is told.
die() {
	: >"$tmp/$1.out" # it is read at once
	# shellcheck disable=SC2086
	"$xfer" ping -i 100ms $soon "$daemon_address" >>"$tmp/$1.out" 2>"$tmp/$1.err" &
	die_pid=$!
	remember $die_pid
	wait_line "$tmp/$1.out" '^answer from ' $die_pid 10 >"$tmp/seen"
	check "$1: answers were lost before" wait_line "$tmp/$1.out" '^no answer' $die_pid
	unplug "$2"
	end_client "$1" $die_pid 6 $((dead_after + 2)) "is dead: no heartbeat, no byte and no ping for ${dead_after}s"
	check "$1: the daemon notices too" \
		wait_line "$daemon_log" 'session of 192\.0\.2\.2:.* timed out: ' "$daemon_pid" "$((death + 1))"
	check "$1: and frees the session" frees "$worker" "$idle"
	plug_in "$2"
}

death=0
while [ $death -lt "${XFER_DEATHS:-2}" ]; do
	[ $((death % 2)) = 0 ] && end=daemon || end=client
	die "death-$((death + 1))" $end
	death=$((death + 1))
done

# And who lives is not called dead for it, for three times that time.
# shellcheck disable=SC2086
run timeout "$patience" "$xfer" $soon \
	ping -i 100ms -c 60 "$daemon_address"
is "$status" 0 "with such a loss nobody is called dead who lives"
stop_daemon
is "$daemon_status" 0 "stops"
is "$(grep -c 'timed out' "$daemon_log")" "$death" "the daemon called nobody else dead"
done_testing
