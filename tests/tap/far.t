#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A long wire between two network namespaces, over which a small send buffer holds each connection back: how many sessions
# it takes is found out, for a get and for a put. They go where they bring nothing, and one that is refused is no matter.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
need_net
[ -c /dev/net/tun ] || skip_all "there is no /dev/net/tun to make a long wire of"

# lay_wire MS MBIT [ARGUMENT...]: a second way between the two machines, with that round trip and rate.
lay_wire() {
	wire_delay=$(($1 / 2)) wire_rate=$2
	shift 2
	# What the wire before said is gone before anybody waits for this one, which begins when it likes.
	: >"$tmp/wire.out"
	"$top_builddir/bench/wire" -d $wire_delay -r "$wire_rate" -l 0 "$@" "/proc/$net_daemon/ns/net" "/proc/$net_client/ns/net" \
		>"$tmp/wire.out" 2>"$tmp/wire.err" &
	wire_pid=$!
	remember $wire_pid
	wait_line "$tmp/wire.out" '^ready' $wire_pid >"$tmp/seen" || skip_all "no long wire can be made: $(cat "$tmp/wire.err")"
	on_daemon ip address add 198.51.100.1/30 dev wan
	on_client ip address add 198.51.100.2/30 dev wan
	on_daemon ip link set wan up
	on_client ip link set wan up
}

cut_wire() {
	kill -TERM $wire_pid
	wait $wire_pid
}

# far_daemon ARGUMENTS...: one at the end of the wire.
far_daemon() {
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" --set daemon.listen=198.51.100.1:0 --set core.log-level=debug $net_allow "$@"
}

# moved NAME VERB ARGUMENTS...: without a word but the sums, which stay in $tmp/NAME.json.
moved() {
	moved_name=$1
	shift
	# shellcheck disable=SC2086
	run "$xfer" $net_allow --json --no-progress --set pipeline.chunk-size=64K "$@"
	mv "$out" "$tmp/$moved_name.json"
	is "$status" 0 "$moved_name: status"
	is "$(cat "$err")" "" "$moved_name: nothing to complain of"
}

# number NAME KEY: of the sums.
number() {
	sed -n 's/.*"type":"summary".*"'"$2"'":\([0-9]*\)[,}].*/\1/p' "$tmp/$1.json"
}

# sessions NAME LEAST MOST
sessions() {
	sessions_count=$(number "$1" sessions)
	check "$1: $2 to $3 sessions: $sessions_count" test "$sessions_count" -ge "$2" -a "$sessions_count" -le "$3"
}

mkdir "$tmp/pub" "$tmp/in" "$tmp/got"
make_file "$tmp/pub/big" 24000000
make_file "$tmp/pub/slow" 12000000
make_file "$tmp/pub/long" 100000000
write_config "$tmp/xferd.ini" "$tmp/pub"
printf '[export.in]\npath = %s\naccess = read-write\n' "$tmp/in" >>"$tmp/xferd.ini"
small="--set transport.tcp.send-buffer=128K"

# ---- each connection is held back ----

lay_wire 40 200
# shellcheck disable=SC2086
far_daemon $small
far=xfer://$daemon_address

moved get get "$far/pub/big" "$tmp/got/"
check "get: every byte" cmp "$tmp/pub/big" "$tmp/got/big"
sessions get 4 8
is "$(number get received)" 24000000 "get: nothing came twice"

# shellcheck disable=SC2086
moved put $small put "$tmp/pub/big" "$far/in/"
check "put: every byte" cmp "$tmp/pub/big" "$tmp/in/big"
sessions put 4 8

# So much that others are opened in advance.
# shellcheck disable=SC2086
moved long $small put "$tmp/pub/long" "$far/in/"
check "long: every byte" cmp "$tmp/pub/long" "$tmp/in/long"
sessions long 4 8

stop_daemon

# ---- the daemon takes no more ----

# shellcheck disable=SC2086
far_daemon $small --set daemon.sessions-per-address=2
moved refused get "xfer://$daemon_address/pub/slow" "$tmp/got/refused"
check "refused: every byte" cmp "$tmp/pub/slow" "$tmp/got/refused"
sessions refused 2 2
stop_daemon
cut_wire

# ---- one connection fills the wire: others are tried, and go while it works ----

# That they bring nothing is no matter of luck: the wire gives less as soon as there are two. It takes forty seconds for
# the file.
lay_wire 40 80 -c 4
far_daemon
# shellcheck disable=SC2086
"$xfer" $net_allow --no-progress --set pipeline.chunk-size=64K get "xfer://$daemon_address/pub/long" "$tmp/got/full" \
	>"$tmp/full.out" 2>"$tmp/full.err" &
get_pid=$!
remember $get_pid
check "full: others are tried" wait_line "$daemon_log" 'session from' $get_pid 4
check "full: and go" wait_line "$daemon_log" 'session of .* ended' $get_pid 3
is "$(grep -c 'session of .* ended' "$daemon_log")" 3 "full: one stays"
check "full: in the middle of it" kill -INT $get_pid
wait $get_pid
is "$?" 130 "full: status"
like_file "$tmp/full.err" '^xfer: get: interrupted' "full: nothing else to complain of"
is "$(grep -c 'session from' "$daemon_log")" 4 "full: nothing was tried again"
stop_daemon
cut_wire
done_testing
