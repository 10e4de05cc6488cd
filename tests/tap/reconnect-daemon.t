#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The daemon goes and comes back in the middle of a get: killed, stopped, restarted. Or it does not come back.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/reconnect.sh"
need_gates

mkdir "$tmp/pub"
make_file "$tmp/pub/big" $get_bytes

for workers in 1 3; do
	all="workers-$workers"
	write_config "$tmp/xferd.ini" "$tmp/pub"

	# ---- killed, and started again ----

	need_daemon -c "$tmp/xferd.ini"
	begin_held killed-$all
	stop_daemon KILL
	check "killed-$all: the client says so" await_said killed-$all 'connection to .* lost: .*; trying again for up to [12]m[0-9]+s$'
	check "killed-$all: started again, at the same port" start_again -c "$tmp/xferd.ini"
	end_get killed-$all 0 '^xfer: connected to .* again after .*, to another process of the daemon$'
	says killed-$all 1 'lost: '
	says killed-$all 2 .
	whole killed-$all

	# ---- stopped in order, and started again ----

	begin_held restarted-$all
	kill -TERM "$daemon_pid"
	check "restarted-$all: the client leaves" await_said restarted-$all 'trying again'
	go_on
	daemon_status=0
	wait "$daemon_pid" || daemon_status=$?
	is "$daemon_status" 0 "restarted-$all: stops in order, with a client in the middle of a get"
	unlike "$(cat "$daemon_log")" 'warn|error' "restarted-$all: and without complaint"
	check "restarted-$all: started again" start_again -c "$tmp/xferd.ini"
	end_get restarted-$all 0
	unlike "$(cat "$tmp/restarted-$all.err")" 'error|dead|closed' "restarted-$all: the client had no error"
	whole restarted-$all

	# ---- frozen for longer than dead-after, and going on ----

	begin_held frozen-$all
	processes="$daemon_pid $(pgrep -P "$daemon_pid" | tr '\n' ' ')"
	# shellcheck disable=SC2086
	kill -STOP $processes
	check "frozen-$all: is dead" await_said frozen-$all 'lost: .* is dead: no heartbeat, no byte and no ping for 1s; trying again'
	# shellcheck disable=SC2086
	kill -CONT $processes
	end_get frozen-$all 0 '^xfer: connected to .* again after'
	says frozen-$all 1 'lost: '
	whole frozen-$all
	stop_daemon
	is "$daemon_status" 0 "$all: stops"
done

# ---- it does not come back ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini"
begin_held never --retry-for 0
stop_daemon KILL
end_get never 6 'closed the connection|closed in the middle|reset by peer'
says never 0 'trying again'
forget

start_again -c "$tmp/xferd.ini"
begin_held time --retry-for 1s
stop_daemon KILL
end_get time 6 'connection to .* lost for [1-9](\.[0-9])?s, given up after [0-9]+ tr(y|ies): .*cannot connect.*refused'
says time 1 'lost: .*; trying again for up to 1s$'
forget

start_again -c "$tmp/xferd.ini"
begin_held tries --retries 2
stop_daemon KILL
end_get tries 6 'lost for .*, given up after 2 tries: '
says tries 1 'lost: .*; trying again for up to 2m0s, 2 times at most$'
forget

start_again -c "$tmp/xferd.ini"
begin_held interrupted
stop_daemon KILL
check "interrupted: in a pause" await_said interrupted 'trying again'
began=$(date +%s)
kill -INT "$get_pid"
end_get interrupted 130 'interrupted'
check "interrupted: at once" test $(($(date +%s) - began)) -le 3
forget

# ---- it goes when all has come ----

# What is left is to sync, which takes its time: no daemon is needed for that.
slow_sync="strace -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:delay_enter=1500000"
if $slow_sync true 2>"$err"; then
	start_again -c "$tmp/xferd.ini"
	# Who is traced cannot look for leaks.
	# shellcheck disable=SC2086
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 $slow_sync "$xfer" --no-progress $soon get --retry-for 0 "xfer://$daemon_address/pub/big" "$tmp/synced" \
		>"$tmp/synced.out" 2>"$tmp/synced.err" &
	get_pid=$!
	remember $get_pid
	await_bytes $((get_bytes / 1024))
	stop_daemon KILL
	check "synced: it is not there yet" test ! -e "$tmp/synced"
	end_get synced 0
	says synced 0 .
	whole synced
else
	skip "a daemon that goes when all has come" "strace does not run here: $(head -n 1 "$err")"
fi

# ---- it was not there yet ----

run "$xfer" get -q "xfer://$daemon_address/pub/big" "$tmp/first"
is "$status" 3 "a first connection is not tried again"
run "$xfer" ls "xfer://$daemon_address/pub"
is "$status" 3 "not for ls, either"
begin_get first --retry-for 30s
check "first: waits for it when told to" await_said first 'cannot connect .*; trying again for up to 30s$'
check "first: it starts" start_again -c "$tmp/xferd.ini"
end_get first 0 '^xfer: connected to [0-9.:]* after'
whole first
run "$xfer" get --retries 1 "xfer://127.0.0.1:1/pub/big" "$tmp/none"
is "$status" 3 "first: who never was there is no dead peer"
like_file "$err" 'given up after .* and 1 more try: .*cannot connect' "first: and says so"

# ---- several daemons in one command ----

first_address=$daemon_address
need_daemon -c "$tmp/xferd.ini"
mkdir "$tmp/several"
make_file "$tmp/pub/1" 1000
make_file "$tmp/pub/2" 1000
make_file "$tmp/pub/3" 1000
run "$xfer" get "xfer://$first_address/pub/1" "xfer://$daemon_address/pub/2" "xfer://$first_address/pub/3" "$tmp/several"
is "$status" 0 "several daemons: status"
is "$(grep -c . "$err")" 0 "several daemons: without a word"
rm "$tmp/pub/big"
check "several daemons: all has come" diff -r "$tmp/pub" "$tmp/several"

# Several sources: who was given up is tried once for each of the others.
stop_daemon KILL
begin=$(date +%s)
run "$xfer" get --retry-for 0 "xfer://$daemon_address/pub/big" "xfer://$daemon_address/pub/big" "$tmp/home"
is "$status" 3 "several sources, none of them there"
check "and no time is lost" test $(($(date +%s) - begin)) -le 3
done_testing
