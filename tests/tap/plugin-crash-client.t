#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A plug-in that crashes in the client: it names the place before it dies, and dies of the same signal.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/plugin-crash.sh"

crash_sections client transport integrity liveness >"$tmp/client.ini"
write_config "$tmp/xferd.ini" "$tmp/pub"
crash_sections daemon integrity liveness >>"$tmp/xferd.ini"
need_daemon -c "$tmp/xferd.ini"
fetch
is "$status" 0 "nobody comes to harm without orders"

for each in transport:create transport:connect transport:handshake transport:sendv transport:recv transport:poll \
	transport:endpoint transport:shutdown transport:close transport:destroy \
	integrity:create integrity:digest integrity:digest_many integrity:hash_create integrity:hash_update \
	integrity:hash_finish integrity:hash_destroy integrity:destroy \
	liveness:create liveness:timing liveness:peer_create liveness:peer_destroy liveness:datagram_out \
	liveness:progress_set liveness:next_deadline liveness:verdict liveness:stats liveness:destroy; do
	kind=${each%:*}
	callback=${each#*:}
	next_signal
	order "client-$kind" "$callback $how"
	fetch
	is "$status" $((128 + $(signal_number $how))) "$each: the client dies of $(signal_of $how)"
	like_file "$err" "^xfer: died of $(signal_of $how) in $kind-crash $callback\(\)\$" "$each: and says where"
	rm -rf "$tmp"/.xfer-*
done

# This one needs time until a datagram comes.
order client-liveness "datagram_in abort"
fetch --limit-rate 300K
is "$status" 134 "liveness:datagram_in: the client dies of SIGABRT"
like_file "$err" '^xfer: died of SIGABRT in liveness-crash datagram_in\(\)$' "liveness:datagram_in: and says where"

run env XFER_CRASH_ENTRY=abort "$xfer" plugins "$crash/integrity-crash.so"
is "$status" 134 "a plug-in that crashes when it is loaded"
like_file "$err" '^xfer: died of SIGABRT in integrity-crash\.so xfer_plugin_v1\(\)$' "... is named by its file"

unlike "$(cat "$daemon_log")" 'worker died' "the daemon did not notice"
stop_daemon TERM
is "$daemon_status" 0 "and stops in order"

done_testing
