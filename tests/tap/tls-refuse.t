#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Whom TLS keeps apart, what each side says about it, and that both say it long before the hello's deadline.
# shellcheck disable=SC2046,SC2086 # options are several words
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/tls.sh"
command -v openssl >/dev/null || skip_all "there is no openssl(1) to make certificates with"

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
authority ca
authority foreign
certify daemon ca daemon.test DNS:localhost,IP:127.0.0.1
certify elsewhere ca elsewhere.test DNS:elsewhere.test
certify expired ca daemon.test DNS:localhost,IP:127.0.0.1 -1
certify strange foreign daemon.test DNS:localhost,IP:127.0.0.1
certify client ca client.test ""
certify client-expired ca client.test "" -1
certify client-strange foreign client.test ""
"$xfer" keygen -q -o "$tmp/bob.key" bob || bail_out "no key"
"$xfer" keygen -q -o "$tmp/other.key" bob
"$xfer" keygen -q -o "$tmp/mallory.key" mallory

# A deadline that no refusal waits for: whoever meets it takes longer than the test has patience for.
serve() {
	cat >"$tmp/xferd.ini" <<-END
		[daemon]
		listen = ${listen:-tls}://127.0.0.1:0
		hello-timeout = ${hello:-1h}
		[export.pub]
		path = $tmp/pub
	END
	need_daemon -c "$tmp/xferd.ini" "$@"
	url=xfer+tls://$daemon_address
	said=0
}

# refused NAME CLIENT-SAYS DAEMON-SAYS OPTIONS...: with status 4 ($wanted), and both say so.
refused() {
	refused_name=$1 refused_client=$2 refused_daemon=$3
	shift 3
	said=$((said + 1))
	run timeout "$patience" "$xfer" "$@" ls "$url/pub"
	is "$status" "${wanted:-4}" "$refused_name: status"
	like_file "$err" "$refused_client" "$refused_name: the client says why"
	is "$(wc -l <"$err")" 1 "$refused_name: ... once"
	like "$(wait_line "$daemon_log" ' session of 127\.0\.0\.1:[0-9]* ended:' "$daemon_pid" $said | tail -n 1)" \
		"$refused_daemon" "$refused_name: the daemon says why"
}

# ---- keys ----

serve $(show_key bob.key)
run "$xfer" $(show_key bob.key) ls "$url/pub"
is "$status" 0 "the right key is let in"
refused "a wrong key" "refuses our key 'bob'.*key-file needs the same line" "has another key under the name 'bob'" \
	$(show_key other.key)
refused "an unknown name" "refuses our key 'mallory'" "offers a key 'mallory', and .*bob.key has none" \
	$(show_key mallory.key)
refused "certificates instead of a key" "refuses our certificate" "offers no key of .*bob.key" $(show_certificate client)
run "$xfer" ls "$url/pub"
is "$status" 2 "neither key nor certificate: status"
like_file "$err" "xfer keygen.*key-file" "neither key nor certificate: what to do"
cp "$tmp/bob.key" "$tmp/open.key"
chmod 640 "$tmp/open.key"
run "$xfer" $(show_key open.key) ls "$url/pub"
is "$status" 2 "a key-file that others can read: status"
like_file "$err" "$tmp/open.key: others may read or write it \\(mode 0640\\); chmod 600" "a key-file that others can read: says so"
(umask 077 && echo bob:00112233445566778899aabbccddee >"$tmp/short.key")
run "$xfer" $(show_key short.key) ls "$url/pub"
is "$status" 2 "a short key: status"
like_file "$err" "short.key: line 1: the key is too short: 128 bits" "a short key: says so"

# Plain TCP on this port: by the same program, and by others.
wanted=3 url=xfer+tcp://$daemon_address \
	refused "a plain client" "speaks TLS, not XFER" "the client does not speak TLS"
stop_daemon

# ---- certificates ----

serve $(show_certificate daemon)
run "$xfer" $(show_certificate client) ls "$url/pub"
is "$status" 0 "the right certificate is let in"
run "$xfer" $(show_certificate client) ls "xfer+tls://localhost:$daemon_port/pub"
is "$status" 0 "by another name of the daemon's, too"
refused "an expired client" "refuses our certificate \\(certificate expired\\)" "'client.test'\\) is not good: certificate has expired" \
	$(show_certificate client-expired)
refused "a client of another authority" "refuses our certificate" "not of an authority that we know" \
	$(show_certificate client-strange)
refused "a self-signed client" "refuses our certificate" "not of an authority that we know" \
	$(show_certificate foreign ca)
refused "a key instead of a certificate" "instead of taking our key 'bob'" "offers a key 'bob', and this side has none" \
	$(show_key bob.key)
refused "a daemon of another authority" "not of an authority that we know" "refuses our certificate" \
	$(show_certificate client foreign)
stop_daemon
serve $(show_certificate expired)
refused "an expired daemon" "certificate \\('localhost'\\) is not good: certificate has expired" "refuses our certificate" \
	$(show_certificate client)
stop_daemon
serve $(show_certificate elsewhere)
refused "another host" "certificate is not for '127.0.0.1' but for 'elsewhere.test'" "refuses our certificate" \
	$(show_certificate client)
stop_daemon

# ---- what is no TLS, or none that goes on ----

listen=tcp serve
wanted=3 refused "TLS to a plain daemon" "does not speak TLS at this port" "speaks TLS, not XFER" $(show_key bob.key)
stop_daemon
hello=1s serve $(show_key bob.key)
perl -MIO::Socket::INET -e '
	my ($port) = @ARGV;
	my $cut = IO::Socket::INET->new("127.0.0.1:$port") or exit 1;
	print $cut "\x16\3\1\2\0\1\0\1\xfc\3\3";
	close $cut;
	my $slow = IO::Socket::INET->new("127.0.0.1:$port") or exit 1;
	print $slow "\x16\3\1\2\0\1\0\1\xfc\3\3";
	$slow->flush;
	read $slow, my $end, 1000;
	' "$daemon_port"
like "$(wait_line "$daemon_log" 'closed the connection in the middle of the TLS handshake' "$daemon_pid")" . \
	"a handshake that is cut"
like "$(wait_line "$daemon_log" 'did not say hello in time' "$daemon_pid")" '127\.0\.0\.1:[0-9]+ did not say' \
	"a handshake that never ends, ends at the hello's deadline"
stop_daemon
is "$daemon_status" 0 "stops"
done_testing
