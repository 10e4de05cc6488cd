#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The list of listen: IPv4 and IPv6, a transport for each item, mistakes with their place, and a list that changes.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
make_file "$tmp/pub/large" 8000000
ini=$tmp/xferd.ini
test_plugins transport-named
plugins="--set core.plugin-dir=$tmp/plugins --set transport.tcp.allow-plaintext=yes"
soon="--set liveness.udp.interval=50ms --set liveness.udp.dead-after=2s"

# configure LISTEN: line 2 of the configuration.
configure() {
	cat >"$ini" <<-END
		[daemon]
		listen = $1
		workers = ${workers:-1}
		[export.pub]
		path = $tmp/pub
	END
}

reloads=0
# reload LISTEN: until its result is in the log, and in $result.
reload() {
	configure "$1"
	reloads=$((reloads + 1))
	kill -HUP "$daemon_pid"
	result=$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $reloads | tail -n 1)
}

# address N: of the Nth line that says where the daemon listens.
address() {
	wait_line "$daemon_log" 'listening on ' "$daemon_pid" "$1" | sed -n "$1s/.*listening on \([^ ]*\).*/\1/p"
}

# serves URL NAME
serves() {
	# shellcheck disable=SC2086 # several words
	run "$xfer" $plugins get -q --retry-for 0 "$1/pub/file" "$tmp/got"
	is "$status" 0 "$2"
}

# refuses URL NAME
refuses() {
	# shellcheck disable=SC2086
	run "$xfer" $plugins get -q --retry-for 0 "$1/pub/file" "$tmp/got"
	is "$status" 3 "$2"
}

# ---- each item ------------------------------------------------------------------------------------------------------

v6='[::1]:0'
if ! grep -q . /proc/net/if_inet6 2>/dev/null; then
	skip "IPv6" "this machine has none"
	v6=127.0.0.2:0
fi

workers=2
configure "127.0.0.1:0, $v6, named://127.0.0.1:0"
# shellcheck disable=SC2086
need_daemon -c "$ini" $plugins $soon
third=$(address 3)
second=$(address 2)
heartbeat='(127\.0\.0\.[12]|\[::1\]):[1-9][0-9]*'
is "$(grep -Ec "listening on ($heartbeat) \((tcp|named)\), heartbeat \1 \(udp\)$" "$daemon_log")" 3 "a line for each item"
like "$third $(grep "listening on $third" "$daemon_log")" '\(named\)' "the third one has its own transport"
serves "xfer://$daemon_address" "the first item is served"
serves "xfer://$second" "the second one"
serves "xfer+named://$third" "the third one by its transport"
for url in "$daemon_address" "$second" "xfer+named://$third"; do
	# shellcheck disable=SC2086
	run "$xfer" $plugins ping -c 2 -i 0.1 "$url"
	is "$status" 0 "ping $url"
	like_file "$out" "by udp heartbeat" "... by heartbeats to that very address"
done

# ---- the client's side ----------------------------------------------------------------------------------------------

# The last one is so slow that it needs heartbeats, of another family than the first one's.
echo small >"$tmp/pub/part1"
echo small >"$tmp/pub/part2"
head -c 1200000 "$tmp/pub/large" >"$tmp/pub/part3"
mkdir "$tmp/parts"
# shellcheck disable=SC2086
run "$xfer" $plugins $soon --set pipeline.chunk-size=64K --no-progress get --limit-rate 400K \
	"xfer://$daemon_address/pub/part1" "xfer+named://$third/pub/part2" "xfer://$second/pub/part3" "$tmp/parts/"
is "$status" 0 "one job, three daemons, two transports"
for n in 1 2 3; do
	check "... part $n is there" cmp "$tmp/pub/part$n" "$tmp/parts/part$n"
done
unlike "$(cat "$err")" heartbeats "... and nobody missed a heartbeat"
# shellcheck disable=SC2086
run "$xfer" $plugins --transport named --set pipeline.transport=tcp get -q "xfer://$third/pub/file" "$tmp/got"
is "$status" 0 "--transport is for URLs that name none"
# shellcheck disable=SC2086
run "$xfer" $plugins --transport named get -q "xfer+tcp://$daemon_address/pub/file" "$tmp/got"
is "$status" 0 "... and a URL that names one has its own"
# shellcheck disable=SC2086
run "$xfer" $plugins --transport missing ls "xfer://$daemon_address"
is "$status" 2 "a transport that is not there: status"
like_file "$err" 'transport-missing\.so' "... and its file"
# shellcheck disable=SC2086
run "$xfer" $plugins ls "xfer+missing://$daemon_address"
is "$status" 2 "... by its URL, too"

# ---- the list changes -----------------------------------------------------------------------------------------------

reload "named://127.0.0.1:0, 127.0.0.1:0, $v6"
like "$result" 'reloaded$' "the items change places"
serves "xfer://$daemon_address" "each keeps its port: the first one"
serves "xfer+named://$third" "and the one of the other transport"
is "$(grep -c 'listening on' "$daemon_log")" 3 "so there is nothing to say"

reload "named://127.0.0.1:0, named://$v6"
like "$result" 'reloaded$' "one item is gone, another one has a new transport"
is "$(address 4)" "$second" "that one stays where it was, and a line says so"
serves "xfer+named://$second" "it speaks its new transport"
serves "xfer+named://$third" "the one that stayed as it was is served"
refuses "xfer://$daemon_address" "the one that is gone is refused"

# What goes is refused at once, though a session of it has not ended yet.
reload "named://127.0.0.1:0, 127.0.0.1:0"
first=$(address 5)
# shellcheck disable=SC2086
begin_standing "$tmp/large" --set liveness.udp.dead-after=10m get --retry-for 0 "xfer://$first/pub/large" "$tmp/large"
reload "named://127.0.0.1:0, $v6"
refuses "xfer://$first" "whoever connects to an item that goes is refused"
check "... while what was begun there goes on" kill -0 "$standing_pid"
go_on
status=0
wait "$standing_pid" || status=$?
is "$status" 0 "... and is finished"
check "... rightly" cmp "$tmp/pub/large" "$tmp/large"

lost=0
for n in 1 2 3 4 5 6; do
	[ $((n % 2)) = 0 ] && list="$v6, 127.0.0.3:0, named://127.0.0.1:0" || list="named://127.0.0.1:0, 127.0.0.1:0"
	configure "$list"
	kill -HUP "$daemon_pid"
	for _ in 1 2 3 4; do
		# shellcheck disable=SC2086
		run "$xfer" $plugins ls --retry-for 0 "xfer+named://$third/pub"
		# A session that was there already may be told to go; that is what reconnecting is for.
		[ "$status" != 3 ] || lost=$((lost + 1))
	done
done
is $lost 0 "an item that stays refuses nobody, whatever comes and goes beside it"
stop_daemon
is "$daemon_status" 0 "the daemon stops"
unlike "$(cat "$daemon_log")" 'worker died|killing' "nobody died"

xferd=$top_builddir/xferd

# ---- mistakes -------------------------------------------------------------------------------------------------------

# wrong LISTEN ERE NAME: the check finds it, and so does the start, each with file and line.
wrong() {
	configure "$1"
	for check in -t ''; do
		# shellcheck disable=SC2086
		run timeout "$patience" "$xferd" -c "$ini" $plugins $check
		is "$status" 2 "$3: status 2 ${check:-at the start}"
		like_file "$err" "$ini:2: .*$2" "$3: says where"
	done
}

wrong "127.0.0.1:0, 127.0.0.1:http" 'listen = 127\.0\.0\.1:http: the port is not a number' "a port that is none"
wrong "127.0.0.1:0, missing://127.0.0.1:0" 'transport-missing\.so' "a transport that is not there"
wrong "127.0.0.1:0, named://::1:0" 'an IPv6 address stands in brackets' "IPv6 without brackets"
wrong "127.0.0.1:0, 192.0.2.1:0" '192\.0\.2\.1:0: .*[Cc]annot assign' "an address of another machine"
# shellcheck disable=SC2086
run "$xferd" -c "$ini" $plugins -t --set daemon.listen=127.0.0.1:0,b:x
like_file "$err" '^xferd: --set: .*not a number' "a mistake of --set is called that"
configure "127.0.0.1:0, named://127.0.0.1:0"
# shellcheck disable=SC2086
run "$xferd" -c "$ini" $plugins -t
is "$(cat "$out")" "configuration ok" "a good list passes the check"

done_testing
