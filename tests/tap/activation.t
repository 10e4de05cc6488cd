#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Sockets of a service manager: taken over in the order of listen, kept through the death of a worker and a reload.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

perl -MIO::Socket::IP -e 1 2>"$err" || skip_all "perl has no IO::Socket::IP"
mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
ini=$tmp/xferd.ini
test_plugins transport-named
plugins="--set core.plugin-dir=$tmp/plugins"
PORTS=$tmp/ports
export PORTS

# configure LISTEN
configure() {
	cat >"$ini" <<-END
		[daemon]
		listen = $1
		workers = ${workers:-1}
		[export.pub]
		path = $tmp/pub
	END
}

# activate ADDRESS...: the daemon with these sockets, started when somebody has connected to the first one already.
activate() {
	daemon_log=$(mktemp "$tmp/daemon-XXXXXX.log")
	rm -f "$PORTS"
	# shellcheck disable=SC2086
	perl "$top_srcdir/tests/tap/activate.pl" "$@" -- "$xferd" -c "$ini" $plugins 2>"$daemon_log" &
	daemon_pid=$!
	remember "$daemon_pid"
	await test -f "$PORTS" || bail_out "no sockets: $(cat "$daemon_log")"
	read -r first second <"$PORTS"
}

# serves URL NAME
serves() {
	# shellcheck disable=SC2086
	run "$xfer" $plugins get -q --retry-for 0 "$1/pub/file" "$tmp/got"
	is "$status" 0 "$2"
}

# refused NAME ERE ADDRESS...: the daemon does not start.
refused() {
	refused_name=$1
	refused_words=$2
	shift 2
	activate "$@"
	daemon_status=0
	wait "$daemon_pid" || daemon_status=$?
	is "$daemon_status" 2 "$refused_name: status 2"
	like_file "$daemon_log" "$refused_words" "$refused_name: says why"
}

# The configured ports are none that anybody could bind in a test; they do not count.
workers=2
configure "127.0.0.1:1, named://127.0.0.2:2, 127.0.0.1:0"
activate 127.0.0.1:0 127.0.0.1:0
serves "xfer://127.0.0.1:$first" "who connects before it is there is served"
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 2 >"$tmp/seen"
like_file "$daemon_log" "listening on 127\.0\.0\.1:$first \(tcp\), heartbeat 127\.0\.0\.1:$first \(udp\)$" "the first socket is of the first item"
like_file "$daemon_log" "listening on 127\.0\.0\.1:$second \(named\), heartbeat 127\.0\.0\.1:$second \(udp\)$" "the second one of the second"
is "$(grep -c 'listening on' "$daemon_log")" 3 "and the third item has its own"
serves "xfer+named://127.0.0.1:$second" "the second one is served, by its transport"
run "$xfer" ping -c 2 -i 0.1 "127.0.0.1:$first"
is "$status" 0 "pings"
like_file "$out" 'by udp heartbeat' "... by heartbeats"
is "$(tr '\0' '\n' <"/proc/$(worker_pid 0)/environ" | grep -c '^LISTEN_')" 0 "no worker thinks that something was handed to it"

kill -KILL "$(worker_pid 1)"
wait_line "$daemon_log" 'replaced one that died' "$daemon_pid" >"$tmp/seen"
for _ in 1 2 3 4; do
	serves "xfer://127.0.0.1:$first" "a worker that comes later has it, too"
done
kill -HUP "$daemon_pid"
wait_line "$daemon_log" 'reloaded$' "$daemon_pid" >"$tmp/seen"
wait_line "$daemon_log" 'worker ended' "$daemon_pid" 2 >"$tmp/seen"
serves "xfer://127.0.0.1:$first" "and so have those after a reload"
serves "xfer+named://127.0.0.1:$second" "the second one as well"
is "$(grep -c 'listening on' "$daemon_log")" 3 "the sockets are the same"
stop_daemon
is "$daemon_status" 0 "the daemon stops"
unlike "$(cat "$daemon_log")" 'did not become ready|killing' "without a word more"

workers=1
if grep -q . /proc/net/if_inet6 2>/dev/null; then
	configure "127.0.0.1:1"
	activate '[::1]:0'
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" >"$tmp/seen"
	serves "xfer://[::1]:$first" "a socket of IPv6"
	stop_daemon

	# One for both families: a peer by IPv4 is one, wherever that is asked.
	configure "127.0.0.1:1"
	printf 'allow-from = 127.0.0.0/8\n[transport.tcp]\nallow-plaintext = yes\n' >>"$ini"
	activate both
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" >"$tmp/seen"
	serves "xfer://127.0.0.1:$first" "a socket of both, by IPv4: allow-from lets it in"
	run "$xfer" get -q "xfer://[::1]:$first/pub/file" "$tmp/got"
	is "$status" 4 "... by IPv6: it does not"
	for host in 127.0.0.1 127.0.0.2 '[::1]'; do
		run "$xfer" ping -c 2 -i 0.1 "$host:$first"
		is "$status$(cat "$err")" 0 "... heartbeats to $host are answered"
	done
	stop_daemon
else
	skip "a socket of IPv6, and one of both" "this machine has none"
fi

configure 127.0.0.1:0
OTHER_PID=1
export OTHER_PID
activate 127.0.0.1:0
wait_line "$daemon_log" 'worker ready' "$daemon_pid" >"$tmp/seen"
unlike "$(grep 'listening on' "$daemon_log")" "127\.0\.0\.1:$first " "what was handed to another process is not ours"
stop_daemon
unset OTHER_PID

refused "more sockets than items" '2 sockets were handed over .* listen has 1 items' 127.0.0.1:0 127.0.0.1:0
refused "no socket" "$ini:2: .*descriptor [0-9]+ is no TCP socket|$ini:2: .*no listening socket" file
refused "all addresses" "$ini:2: .*plain TCP at 0\.0\.0\.0:[0-9]+ is refused" 0.0.0.0:0
LISTEN_FDS=many
export LISTEN_FDS
refused "no number" 'LISTEN_FDS is no number' 127.0.0.1:0

done_testing
