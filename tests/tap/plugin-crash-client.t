#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A plug-in that crashes in the client: it names the place before it dies, and dies of the same signal.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/plugin-crash.sh"

crash_sections client transport integrity liveness >"$tmp/client.ini"
write_config "$tmp/xferd.ini" "$tmp/pub" read-write
crash_sections daemon integrity liveness >>"$tmp/xferd.ini"
need_daemon -c "$tmp/xferd.ini"
fetch
is "$status" 0 "nobody comes to harm without orders"

for each in transport:create transport:connect transport:handshake transport:sendv transport:recv transport:poll \
	transport:endpoint transport:shutdown transport:close transport:destroy \
	integrity:create integrity:digest integrity:digest_many integrity:hash_create integrity:hash_update \
	integrity:hash_finish integrity:hash_destroy integrity:lanes integrity:destroy \
	liveness:create liveness:timing liveness:peer_create liveness:peer_destroy liveness:datagram_out \
	liveness:progress_set liveness:next_deadline liveness:verdict liveness:stats liveness:destroy; do
	kind=${each%:*}
	callback=${each#*:}
	struck $each
	next_signal
	order "client-$kind" "$callback $how"
	fetch
	is "$status" $((128 + $(signal_number $how))) "$each: the client dies of $(signal_of $how)"
	like_file "$err" "^xfer: died of $(signal_of $how) in $kind-crash $callback\(\)\$" "$each: and says where"
	rm -rf "$tmp"/.xfer-*
done

# These need time until a datagram comes, and until the client looks how far the daemon is.
for callback in datagram_in progress_get; do
	struck liveness:$callback
	order client-liveness "$callback abort"
	fetch --limit-rate 300K
	is "$status" 134 "liveness:$callback: the client dies of SIGABRT"
	like_file "$err" "^xfer: died of SIGABRT in liveness-crash $callback\(\)\$" "liveness:$callback: and says where"
	rm -rf "$tmp"/.xfer-*
done

struck transport:sendpipe
order client-transport "sendpipe abort"
# shellcheck disable=SC2086
run "$xfer" -c "$tmp/client.ini" --no-progress put $piped "$tmp/pub/large" "xfer://$daemon_address/pub/put"
is "$status" 134 "transport:sendpipe: the client dies of SIGABRT"
like_file "$err" "^xfer: died of SIGABRT in transport-crash sendpipe\(\)\$" "transport:sendpipe: and says where"

struck transport:recvpipe
order client-transport "recvpipe abort"
# shellcheck disable=SC2086
run "$xfer" -c "$tmp/client.ini" --no-progress get $piped "xfer://$daemon_address/pub/large" "$tmp/got"
is "$status" 134 "transport:recvpipe: the client dies of SIGABRT"
like_file "$err" "^xfer: died of SIGABRT in transport-crash recvpipe\(\)\$" "transport:recvpipe: and says where"
rm -rf "$tmp"/.xfer-*

for call in log error now random; do
	struck host:$call
	case $call in
	log | error) how=segv ;;
	*) how=abort ;;
	esac
	if [ $how = segv ] && sanitized; then
		skip "host->$call() with a bad address" "a sanitizer keeps the signals of faults for itself"
		continue
	fi
	order client-integrity "hash_update host-$call"
	fetch
	like_file "$err" "^xfer: died of $(signal_of $how) in integrity-crash hash_update\(\)\$" \
		"host->$call() is called in a callback, which is named"
done
all_struck client

run env XFER_CRASH_ENTRY=abort "$xfer" plugins "$crash/integrity-crash.so"
is "$status" 134 "a plug-in that crashes when it is loaded"
like_file "$err" '^xfer: died of SIGABRT in integrity-crash\.so xfer_plugin_v1\(\)$' "... is named by its file"

unlike "$(cat "$daemon_log")" 'worker died' "the daemon did not notice"
stop_daemon TERM
is "$daemon_status" 0 "and stops in order"

done_testing
