#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Plain TCP off the loopback is refused at both ends, with what to write instead, unless allow-plaintext says yes.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
ini=$tmp/xferd.ini
allow="--set transport.tcp.allow-plaintext=yes"

# configure LISTEN [ALLOW]: listen is in line 2.
configure() {
	cat >"$ini" <<-END
		[daemon]
		listen = $1
		[export.pub]
		path = $tmp/pub
		[transport.tcp]
		allow-plaintext = ${2:-no}
	END
}

# ---- the daemon -----------------------------------------------------------------------------------------------------

for listen in 0.0.0.0:0 :0 192.0.2.1:0 127.0.0.1:0,0.0.0.0:0; do
	configure "$listen"
	for check in '' -t; do
		# shellcheck disable=SC2086
		run timeout "$patience" "$xferd" -c "$ini" $check
		is "$status" 2 "$listen is refused: status ${check:-at the start}"
		like_file "$err" "^xferd: $ini:2: .*${listen##*,}: .*plain TCP at " "... with file, line and item"
		like_file "$err" "'listen = tls://${listen##*,}', '\[transport\.tls\]' and 'key-file = " "... and the three lines for TLS"
		like_file "$err" "'allow-plaintext = yes' in \[transport\.tcp\]" "... and the other way"
		is "$(wc -l <"$err")" 1 "... and no more"
	done
done

configure 127.0.0.1:0
need_daemon -c "$ini"
configure 127.0.0.1:0,0.0.0.0:0
kill -HUP "$daemon_pid"
like "$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid")" "reload failed.*$ini:2: .*plain TCP at" \
	"a reload does not get there either"
run "$xfer" get -q "xfer://$daemon_address/pub/file" "$tmp/got"
is "$status" 0 "... and the daemon serves on"
configure 127.0.0.1:0,0.0.0.0:0 yes
kill -HUP "$daemon_pid"
like "$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" 2 | tail -n 1)" "reloaded" "with allow-plaintext it does"
configure 127.0.0.1:0,0.0.0.0:0
kill -HUP "$daemon_pid"
like "$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" 3 | tail -n 1)" "reload failed.*plain TCP at" \
	"an open socket is no way around it"
everywhere=$(wait_line "$daemon_log" 'listening on 0\.0\.0\.0' "$daemon_pid" | sed 's/.*listening on 0\.0\.0\.0:\([0-9]*\) .*/\1/')
run "$xfer" get -q "xfer://127.0.0.1:$everywhere/pub/file" "$tmp/got"
is "$status" 0 "a daemon at all addresses is reached at the loopback without more"

# ---- the client -----------------------------------------------------------------------------------------------------

# refused NAME ARGUMENTS...: at once, without a packet.
refused() {
	refused_name=$1
	shift
	run timeout "$patience" "$xfer" "$@"
	is "$status" 2 "$refused_name off the loopback is refused: status"
	like_file "$err" "plain TCP to 192\.0\.2\.1:15010 is refused" "... and says so"
	like_file "$err" "'transport = tls' in \[pipeline\], '\[transport\.tls\]' and 'key-file = " "... with the three lines for TLS"
	like_file "$err" "'allow-plaintext = yes' in \[transport\.tcp\]" "... and the other way"
}
refused "ls" ls xfer://192.0.2.1/
refused "get" get xfer://192.0.2.1/pub/file "$tmp/got"
refused "put" put "$tmp/pub/file" xfer+tcp://192.0.2.1/pub/
refused "ping" ping -c 1 192.0.2.1

# The way from this machine to its own address is off the loopback as far as anybody can tell by the address.
own=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 -F .)
if [ -n "$own" ]; then
	run "$xfer" get -q "xfer://$own:$everywhere/pub/file" "$tmp/got"
	is "$status" 2 "this machine's own address: refused"
	rm -f "$tmp/got"
	# shellcheck disable=SC2086
	run "$xfer" get -q $allow "xfer://$own:$everywhere/pub/file" "$tmp/got"
	is "$status" 0 "... and with allow-plaintext it is not"
	check "... so that the file comes" cmp "$tmp/pub/file" "$tmp/got"
else
	skip "this machine's own address" "it has none but the loopback's"
fi
stop_daemon
is "$daemon_status" 0 "the daemon stops"

# ---- the three lines ------------------------------------------------------------------------------------------------

# advice N: what stands between the Nth pair of quotes behind "Three lines", with our key.
advice() {
	sed "s/.*Three lines//; s|FILE|$tmp/peer.key|" "$err" | cut -d "'" -f $((2 * $1))
}

run "$xfer" keygen -q -o "$tmp/peer.key" peer
is "$status" 0 "the key that the message speaks of"
configure 0.0.0.0:0
run timeout "$patience" "$xferd" -c "$ini"
{
	printf '[daemon]\n'
	for n in 1 2 3; do
		advice $n
	done
	printf '[export.pub]\npath = %s\nallow = peer\n' "$tmp/pub"
} >"$tmp/tls.ini"
need_daemon -c "$tmp/tls.ini"
like_file "$daemon_log" 'listening on 0\.0\.0\.0:[0-9]+ \(tls\)' "as the daemon's message says it, it listens everywhere"
run timeout "$patience" "$xfer" ls xfer://192.0.2.1/
{
	printf '[pipeline]\n'
	for n in 1 2 3; do
		advice $n
	done
} >"$tmp/client.ini"
rm -f "$tmp/got"
run "$xfer" get -q -c "$tmp/client.ini" "xfer://${own:-127.0.0.1}:$daemon_port/pub/file" "$tmp/got"
is "$status" 0 "as the client's message says it, it connects to there"
check "... and the file comes" cmp "$tmp/pub/file" "$tmp/got"
[ "$status" = 0 ] || diag_file "$err"
stop_daemon

done_testing
