#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A plug-in that crashes in any of its callbacks: the daemon serves on, and all hear who it was.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/plugin-crash.sh"
need_gates

# next KIND:CALLBACK: sets $what, $kind and $callback, and $how from all signals in turn. The daemon is at rest: a worker
# that starts would take the orders for itself.
next() {
	what=$1
	kind=${1%:*}
	callback=${1#*:}
	struck "$1"
	next_signal
	rest
}

# The worker that serves has begun to.
rest() {
	await sh -c "grep -E 'worker (ready|died worker|did not become)' '$daemon_log' | tail -n 1 | grep -q 'worker ready'"
}

# died: the log says so. Each death in a row is followed by a longer pause, unless the workers are new.
died() {
	number=$(signal_number "$how")
	check "$what: the log says that it died there, of signal $number" wait_line "$daemon_log" \
		"worker died.* cause=\"killed by signal $number .*in $kind-crash $callback\(\)\"" "$daemon_pid"
	deaths=$((deaths + 1))
	[ $((deaths % 3)) != 0 ] || reload
}
deaths=0

# reload: $result says what became of it.
reload() {
	rest
	kill -HUP "$daemon_pid"
	reloads=$((reloads + 1))
	result=$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $reloads | tail -n 1)
}
reloads=0

write_crash_config
need_daemon -c "$tmp/xferd.ini"
fetch
is "$status" 0 "nobody comes to harm without orders"

# ---- in a session: it goes on with the next worker, and the client is told --------------------------------------------

told="the worker at $daemon_address that served this died of"
for each in integrity:digest integrity:hash_create integrity:hash_update integrity:hash_finish liveness:datagram_in \
	liveness:datagram_out liveness:progress_set; do
	next $each
	order "daemon-$kind" "$callback $how"
	fetch
	is "$status" 0 "$what: the client gets what it wants"
	check "$what: every byte" cmp "$tmp/pub/file" "$tmp/got"
	like_file "$err" "$told $(signal_of $how) in $kind-crash $callback\(\)" "$what: it is told"
	died
done

# These are called before the hello too: only when the transfer runs it is known that it hits a session.
for each in transport:sendv transport:recv liveness:verdict integrity:digest_many; do
	next $each
	begin_held
	order "daemon-$kind" "$callback $how"
	# Nobody judges a session that is over in a moment.
	[ "$callback" != verdict ] || check "$what: while it waits" wait_line "$daemon_log" 'in liveness-crash verdict\(\)'
	go_on
	status=0
	wait $get || status=$?
	is "$status" 0 "$what: the client gets what it wants"
	check "$what: every byte" cmp "$tmp/pub/long" "$tmp/got"
	like_file "$err" "$told $(signal_of $how) in $kind-crash $callback\(\)" "$what: it is told"
	died
done

next transport:sendpipe
order daemon-transport "sendpipe $how"
# shellcheck disable=SC2086
run "$xfer" -c "$tmp/client.ini" -v --no-progress get $piped "xfer://$daemon_address/pub/large" "$tmp/got"
is "$status" 0 "$what: the client gets what it wants"
check "$what: every byte" cmp "$tmp/pub/large" "$tmp/got"
like_file "$err" "$told $(signal_of $how) in $kind-crash $callback\(\)" "$what: it is told"
died

next transport:recvpipe
order daemon-transport "recvpipe $how"
# shellcheck disable=SC2086
run "$xfer" -c "$tmp/client.ini" -v --no-progress put $piped "$tmp/pub/large" "xfer://$daemon_address/in/put"
is "$status" 0 "$what: the client puts what it has"
check "$what: every byte" cmp "$tmp/pub/large" "$tmp/in/put"
like_file "$err" "$told $(signal_of $how) in $kind-crash $callback\(\)" "$what: it is told"
died

# ---- before there is a session: that client fails, and the next one is served ----------------------------------------

for each in transport:endpoint transport:poll transport:handshake liveness:timing liveness:peer_create; do
	next $each
	order "daemon-$kind" "$callback $how"
	fetch
	like "$status" '^[36]$' "$what: the first client fails"
	died
	fetch
	is "$status" 0 "$what: the next one is served"
done

# ---- behind it, or between two: nobody notices ------------------------------------------------------------------------

for each in transport:accept transport:close liveness:stats liveness:peer_destroy integrity:hash_destroy; do
	next $each
	order "daemon-$kind" "$callback $how"
	fetch
	is "$status" 0 "$what: the client gets what it wants"
	died
done

# Whom the daemon refuses it tells why, and then shuts the connection down.
next transport:shutdown
order "daemon-$kind" "$callback $how"
fetch --integrity crc32 --retry-for 0
like "$status" '^[56]$' "$what: a client that is refused is not served"
died

# ---- a reload is a trial ----------------------------------------------------------------------------------------------

for each in transport:create integrity:create liveness:create integrity:hash_update integrity:lanes \
	transport:listener_adopt transport:listener_fds; do
	next $each
	before=$(pgrep -P "$daemon_pid")
	order "daemon-$kind" "$callback $how"
	reload
	like "$result" "the daemon serves on as before: .*killed by signal $(signal_number $how) .*in $kind-crash $callback\(\)\$" \
		"$what: a trial that dies there is one line in the log"
	is "$(pgrep -P "$daemon_pid")" "$before" "$what: and changes nothing"
done

# ---- when it has begun to serve, and when it ends ---------------------------------------------------------------------

for each in transport:listener_close transport:destroy integrity:destroy \
	liveness:destroy; do
	next $each
	order "daemon-$kind" "$callback $how"
	reload
	died
	fetch
	is "$status" 0 "$what: the next worker serves"
done

# ---- other ends -------------------------------------------------------------------------------------------------------

next integrity:hash_update
order daemon-integrity 'hash_update exit'
fetch
is "$status" 0 "a plug-in that ends the process: the client gets what it wants"
like_file "$err" "the worker at $daemon_address that served this ended with status 3 during .*integrity-crash hash_update\(\)" \
	"... and is told"
like_file "$daemon_log" 'worker died.* cause="ended with status 3 during .*integrity-crash hash_update\(\)' "... as is the log"

# The host's calls are made inside of a callback: that is where it died, whatever it was that it called.
for each in log error now random; do
	struck host:$each
	next integrity:hash_update
	case $each in
	log | error) how=segv ;;
	*) how=abort ;;
	esac
	if [ $how = segv ] && sanitized; then
		skip "host->$each() with a bad address" "a sanitizer keeps the signals of faults for itself"
		continue
	fi
	order daemon-integrity "hash_update host-$each"
	fetch
	is "$status" 0 "host->$each(): the client gets what it wants"
	what="host->$each()"
	died
done

next liveness:datagram_in
order daemon-liveness 'datagram_in abort always'
fetch --limit-rate 100K --set pipeline.chunk-size=1M
is "$status" 6 "a request that kills each worker is given up"
like_file "$err" 'died 3 times in a row \(the last one died of SIGABRT in liveness-crash datagram_in\(\)\)' "... and it is said why"
rm "$tmp/daemon-liveness.orders"

stop_daemon
is "$daemon_status" 0 "the daemon stops in order"

# ---- at its start -----------------------------------------------------------------------------------------------------

for each in transport:listen transport:listener_address integrity:create; do
	next_signal
	kind=${each%:*}
	callback=${each#*:}
	struck $each
	died="killed by signal $(signal_number $how) .*in $kind-crash $callback\(\)"
	order "daemon-$kind" "$callback $how"
	run "$xferd" -c "$tmp/xferd.ini"
	is "$status" 2 "$each: a daemon that cannot start ends"
	like_file "$err" "$died" "$each: and says why"
done
order daemon-liveness "create $how"
run "$xferd" -c "$tmp/xferd.ini" -t
is "$status" 2 "a configuration whose plug-in crashes is not fit"
like_file "$err" "killed by signal .*in liveness-crash create\(\)" "... and it is said why"

# ---- without a supervisor ---------------------------------------------------------------------------------------------

for each in transport:adopt transport:create integrity:hash_update; do
	struck $each
	next_signal
	kind=${each%:*}
	callback=${each#*:}
	order "daemon-$kind" "$callback $how"
	run "$xferd" --stdio -c "$tmp/xferd.ini" --set "daemon.stdio-transport=$crash/transport-crash.so" </dev/null
	is "$status" $((128 + $(signal_number $how))) "--stdio, $each: it dies of $(signal_of $how)"
	like_file "$err" "^xferd: died of $(signal_of $how) in $kind-crash $callback\(\)\$" "--stdio, $each: and says where"
done

# ---- all of them ------------------------------------------------------------------------------------------------------

all_struck daemon

done_testing
