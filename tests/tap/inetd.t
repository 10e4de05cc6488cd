#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `xferd --stdio` for each connection of somebody else's listener, with [daemon] stdio-transport = tcp or tls: one socket is its
# standard input and output, and with inetd its standard error, too.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

command -v perl >/dev/null || skip_all "there is no perl"

from=$tmp/from
mkdir "$from"
make_file "$from/file" 3000000
write_config "$tmp/xferd.ini" "$from"
(umask 077 && echo bob:000102030405060708090a0b0c0d0e0f >"$tmp/keys")

# inetd_start OPTION...: $port.
inetd_start() {
	rm -f "$tmp/port"
	PORT=$tmp/port perl "$top_srcdir/tests/tap/inetd.pl" "$xferd" --stdio -c "$tmp/xferd.ini" "$@" 2>"$tmp/inetd.log" &
	remember $!
	await test -f "$tmp/port" || bail_out "no listener: $(cat "$tmp/inetd.log")"
	port=$(cat "$tmp/port")
}

# fetches NAME URL OPTION...
fetches() {
	fetches_name=$1
	shift
	rm -f "$tmp/got"
	run "$xfer" get -q --retry-for 0 "$@" "$tmp/got"
	is "$status" 0 "$fetches_name"
	[ "$status" = 0 ] || diag_file "$err"
	check "... the same" cmp "$from/file" "$tmp/got"
}

# A log of every step, which would be in the stream.
inetd_start --set daemon.stdio-transport=tcp --set core.log-level=debug
fetches "tcp, and the socket is standard error as well" "xfer://127.0.0.1:$port/pub/file"
run "$xfer" ping -c 1 "xfer://127.0.0.1:$port"
like_file "$out" 'by in-band pings$' "there are no datagrams"

LOG=$tmp/log
export LOG
inetd_start --set daemon.stdio-transport=tcp
fetches "tcp, and standard error is a file" "xfer://127.0.0.1:$port/pub/file"
like_file "$LOG" 'transfer peer=127\.0\.0\.1:.*file=pub/file .*result=ok' "... that has the log, with the peer's address"

if "$xfer" plugins tls >/dev/null 2>&1; then
	inetd_start --set daemon.stdio-transport=tls --set "transport.tls.key-file=$tmp/keys"
	fetches "tls" --set "transport.tls.key-file=$tmp/keys" "xfer+tls://127.0.0.1:$port/pub/file"
	run "$xfer" get -q --retry-for 0 "xfer://127.0.0.1:$port/pub/file" "$tmp/none"
	is "$status" 3 "... and nothing else"
	like_file "$err" 'TLS' "... which the client is told"
else
	skip "tls" "it was not built"
fi

done_testing
