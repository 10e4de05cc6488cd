# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the tests of liveness have in common; sourced behind lib.sh. A test that wants two machines says `need_net` first,
# before it starts a daemon: from then on $xferd runs on one and $xfer on the other, joined by a cable.
#
#   begin_get NAME ARGUMENTS...      end_get NAME STATUS SECONDS [ERE]
#   need_net; unplug here; plug_in here; on_daemon iptables ...

# begin_get NAME ARGUMENTS...: a get that takes half a minute, under way when this returns: a heartbeat has had time to go
# round. get_pid is the client.
begin_get() {
	get_name=$1
	shift
	mkdir -p "$tmp/$get_name"
	"$xfer" -v --no-progress --limit-rate 1500K --set pipeline.chunk-size=128K "$@" \
		get --retry-for 0 --no-resume "xfer://$daemon_address/pub/big" "$tmp/$get_name/" >"$tmp/$get_name.out" 2>"$tmp/$get_name.err" &
	get_pid=$!
	remember "$get_pid"
	await sh -c "[ -n \"\$(find '$tmp/$get_name' -name '.xfer-*' -size +600k)\" ]"
}

# end_get NAME STATUS SECONDS [ERE]: the client ends with it before that time is over, says so, and leaves nothing.
end_get() {
	end_client "$1" "$get_pid" "$2" "$3" "${4:-}"
	is "$(find "$tmp/$1" -mindepth 1 | wc -l)" 0 "$1: nothing is left"
}

# end_client NAME PID STATUS SECONDS [ERE]: the same of any client, of which the messages are in $tmp/NAME.err. One that
# never ends is killed.
end_client() {
	began=$(date +%s%N)
	got=0
	timeout "$patience" tail -s 0.02 -f /dev/null --pid="$2" || kill -KILL "$2"
	wait "$2" || got=$?
	took=$((($(date +%s%N) - began) / 1000000))
	is "$got" "$3" "$1: status"
	check "$1: noticed within dead-after and a little ($took ms)" test $took -le $(($4 * 1000))
	[ -z "${5:-}" ] || like_file "$tmp/$1.err" "$5" "$1: the message"
}

# session_count WORKER: the sockets of that process: those that listen, and one for each session.
session_count() {
	find "/proc/$1/fd" -lname 'socket:*' 2>/dev/null | wc -l
}

# idle_count WORKER: the same while nobody is there, as soon as all are open: the supervisor's, TCP, UDP, other workers'.
idle_count() {
	await eval "[ \"\$(session_count $1)\" -ge 4 ]" || return
	session_count "$1"
}

# frees WORKER COUNT: it comes back to that many sockets.
frees() {
	await eval "[ \"\$(session_count $1)\" = $2 ]"
}

# ---- two machines ----------------------------------------------------------------------------------------------------

# machine: a network namespace that lives as long as the process that holds it: machine_pid. Nothing of it can be left.
machine() {
	unshare --net sleep 1000 &
	machine_pid=$!
	remember $machine_pid
	machine_ours=$(readlink /proc/self/ns/net)
	await eval "[ \"\$(cat /proc/$machine_pid/comm)\" = sleep ] &&
		[ \"\$(readlink /proc/$machine_pid/ns/net)\" != '$machine_ours' ]"
}

# on MACHINE COMMAND...
on() {
	on_pid=$1
	shift
	nsenter --net="/proc/$on_pid/ns/net" "$@"
}
on_daemon() {
	on "$net_daemon" "$@"
}
on_client() {
	on "$net_client" "$@"
}

# wrap NAME MACHINE PROGRAM: a program of that name which runs there, as the same process.
wrap() {
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$2" "$3" >"$tmp/$1"
	chmod +x "$tmp/$1"
}

lay_cable() {
	on_daemon ip link add cable type veth peer name cable netns "$net_client" &&
		on_daemon ip address add 192.0.2.1/24 dev cable && on_client ip address add 192.0.2.2/24 dev cable &&
		plug_in daemon && plug_in client
}

# need_net: two machines, or the end of the test. Plain TCP is for trusted networks, as this one is: $net_allow.
need_net() {
	[ "$(id -u)" = 0 ] || skip_all "only root can make network namespaces"
	for net_tool in unshare nsenter ip; do
		command -v $net_tool >/dev/null || skip_all "there is no $net_tool"
	done
	unshare --net true 2>"$err" || skip_all "no network namespace can be made: $(cat "$err")"
	machine && net_daemon=$machine_pid && machine && net_client=$machine_pid || bail_out "no network namespace came up"
	lay_cable 2>"$err" || skip_all "no cable between network namespaces: $(cat "$err")"
	wrap xferd "$net_daemon" "$xferd"
	wrap xfer "$net_client" "$xfer"
	xferd=$tmp/xferd
	xfer=$tmp/xfer
	net_listen=192.0.2.1:0
	net_allow="--set transport.tcp.allow-plaintext=yes"
}

# unplug END; plug_in END: `daemon` or `client`.
unplug() {
	"on_$1" ip link set cable down
}
plug_in() {
	"on_$1" ip link set cable up
}
