#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Files over TLS: by keys and by certificates, both ways, with exports for some names only, and through reloads.
# shellcheck disable=SC2046,SC2086 # options are several words
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/tls.sh"
command -v openssl >/dev/null || skip_all "there is no openssl(1) to make certificates with"
need_gates

mkdir -p "$tmp/pub/tree" "$tmp/put"
make_file "$tmp/pub/large" 20000000
for n in 1 2 3 4 5 6 7 8 9; do
	make_file "$tmp/pub/tree/file$n" $((n * n * 997))
done
"$xfer" keygen -q -o "$tmp/alice.key" alice || bail_out "no key"
"$xfer" keygen -q -o "$tmp/bob.key" bob
cat "$tmp/alice.key" "$tmp/bob.key" >"$tmp/all.keys"
chmod 600 "$tmp/all.keys"
authority ca
certify daemon ca daemon.test DNS:localhost,IP:127.0.0.1
certify client ca "Common Name" DNS:client.test

# configure: a daemon with TLS and, for its own machine, TCP.
configure() {
	cat >"$tmp/xferd.ini" <<-END
		[daemon]
		listen = tls://127.0.0.1:0, tcp://127.0.0.1:0
		workers = ${workers:-1}
		[transport.tls]
		key-file = $tmp/all.keys
		certificate = $tmp/daemon.pem
		certificate-key = $tmp/daemon.key
		ca = $tmp/ca.pem
		[export.pub]
		path = $tmp/pub
		[export.put]
		path = $tmp/put
		access = read-write
		allow = alice, client.test
		[export.bobs]
		path = $tmp/pub
		allow = bob
	END
}
configure
need_daemon -c "$tmp/xferd.ini"
url=xfer+tls://$daemon_address
like "$(cat "$tmp/listening")" "listening on $daemon_address \\(tls\\), heartbeat $daemon_address" "the log says what listens"
plain=xfer://$(wait_line "$daemon_log" 'listening on .*\(tcp\)' "$daemon_pid" | sed 's/.*listening on \([^ ]*\).*/\1/')

# fetch NAME OPTIONS...: a large file and a tree.
fetch() {
	name=$1
	shift
	rm -rf "$tmp/large" "$tmp/tree"
	run "$xfer" "$@" get -q "$url/pub/large" "$url/pub/tree" "$tmp"
	is "$status" 0 "get $name"
	check "get $name: a large file arrives" cmp "$tmp/pub/large" "$tmp/large"
	check "get $name: a tree arrives" same_tree "$tmp/pub/tree" "$tmp/tree"
}
fetch "by a key" $(show_key alice.key)
fetch "by certificates" $(show_certificate client)
run "$xfer" $(show_key alice.key) --transport tls ls "xfer://$daemon_address/pub"
is "$status" 0 "--transport tls does as well"
run "$xfer" $(show_key all.keys) ls "xfer+tls://bob@$daemon_address/bobs"
is "$status" 0 "of several keys the URL's user chooses one"
run "$xfer" $(show_key bob.key) ping -c 2 -i 0.1 "$url"
is "$status" 0 "ping"
like_file "$out" "by udp heartbeat" "ping: by heartbeats"
run "$xfer" ls "$plain/pub"
is "$status" 0 "the other item is plain TCP still"

# ---- names ----

for option in "$(show_key alice.key)" "$(show_certificate client)"; do
	rm -rf "$tmp/put/large"
	run "$xfer" $option put -q "$tmp/pub/large" "$url/put/"
	is "$status" 0 "put by a name that may"
	check "put: it arrives" cmp "$tmp/pub/large" "$tmp/put/large"
done
run "$xfer" $(show_key bob.key) put "$tmp/pub/large" "$url/put/other"
is "$status" 4 "put by a name that may not: status"
check "put by a name that may not: nothing is made" test ! -e "$tmp/put/other"
run "$xfer" $(show_key bob.key) ls "$url/bobs"
is "$status" 0 "bob's own export"
run "$xfer" $(show_key alice.key) ls "$url/bobs"
is "$status" 4 "bob's export for alice"
run "$xfer" $(show_certificate client) ls "$url/bobs"
is "$status" 4 "bob's export for the certificate"
run "$xfer" ls "$plain/bobs"
is "$status" 4 "bob's export without a name"

# ---- interrupted, and taken up ----

taken_up $(show_key alice.key)

# ---- reload: a new worker reads the files anew ----

"$xfer" keygen -q -o "$tmp/carol.key" carol
run "$xfer" $(show_key carol.key) ls --retry-for 0 "$url/pub"
is "$status" 4 "a key that the daemon does not have yet"
cat "$tmp/carol.key" >>"$tmp/all.keys"
kill -HUP "$daemon_pid"
wait_line "$daemon_log" ' reloaded$' "$daemon_pid" >"$tmp/reloaded"
run "$xfer" $(show_key carol.key) ls "$url/pub"
is "$status" 0 "and has after a reload"
chmod 644 "$tmp/all.keys"
kill -HUP "$daemon_pid"
like "$(wait_line "$daemon_log" 'reload failed' "$daemon_pid")" 'reload failed' "bad files change nothing"
like_file "$daemon_log" "key-file $tmp/all.keys: others may read or write it \\(mode 0644\\)" "... and the log says why"
run "$xfer" $(show_key carol.key) ls "$url/pub"
is "$status" 0 "... so that the old ones serve on"
stop_daemon
is "$daemon_status" 0 "stops"
unlike "$(cat "$daemon_log")" "$(cut -d : -f 2 "$tmp/alice.key")" "no key is in the log"
run "$xferd" -c "$tmp/xferd.ini"
is "$status" 2 "a daemon does not start with a file that others can read"
done_testing
