#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A daemon at all addresses of a machine that has two: heartbeats are answered from the one that was asked, for a firewall
# in between lets through nothing else.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
need_net

# only_from TOOL ADDRESS: UDP from elsewhere does not come to the client.
only_from() {
	on_client "$1" -w -F INPUT && on_client "$1" -w -A INPUT -p udp ! -s "$2" -j DROP
}
command -v iptables >/dev/null || skip_all "there is no iptables"
only_from iptables 192.0.2.1 2>"$err" || skip_all "iptables does not work in a network namespace: $(cat "$err")"
on_daemon ip address add 192.0.2.3/24 dev cable

mkdir "$tmp/pub"
write_config "$tmp/xferd.ini" "$tmp/pub"

# answers TOOL ADDRESS NAME: pings at it are answered by datagrams.
answers() {
	only_from "$1" "$2"
	[ "${2#*:}" = "$2" ] && url=$2:$daemon_port || url=[$2]:$daemon_port
	# shellcheck disable=SC2086
	run timeout "$patience" "$xfer" ping $net_allow -i 0.1 -c 3 "$url"
	is "$status" 0 "$3: ping"
	like_file "$out" 'by udp heartbeat' "$3: by heartbeats"
	is "$(cat "$err")" "" "$3: and without a warning"
}

for workers in 1 3; do
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $net_allow --set "daemon.listen=0.0.0.0:0" --set daemon.workers=$workers
	answers iptables 192.0.2.1 "workers=$workers: the first address"
	answers iptables 192.0.2.3 "workers=$workers: the second one"
	stop_daemon TERM
done

# nodad: the addresses can be used at once.
if on_daemon ip -6 address add 2001:db8::1/64 dev cable nodad 2>"$err" &&
	on_daemon ip -6 address add 2001:db8::3/64 dev cable nodad 2>"$err" &&
	on_client ip -6 address add 2001:db8::2/64 dev cable nodad 2>"$err" && only_from ip6tables 2001:db8::1 2>"$err"; then
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $net_allow --set "daemon.listen=[::]:0, 0.0.0.0:0"
	answers ip6tables 2001:db8::1 "IPv6: the first address"
	answers ip6tables 2001:db8::3 "IPv6: the second one"
	stop_daemon TERM
else
	skip "IPv6" "no addresses in a network namespace: $(cat "$err")"
fi

done_testing
