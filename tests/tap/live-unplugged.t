#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A cable that is pulled: nothing comes any more, not even an end. Both sides notice within dead-after, at work and idle.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
need_net

mkdir "$tmp/pub"
make_file "$tmp/pub/big" 50000000
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s $net_allow"
write_config "$tmp/xferd.ini" "$tmp/pub"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.listen=$net_listen $soon
worker=$(worker_pid 0)
idle=$(idle_count "$worker")
deaths=0

# noticed NAME: by the daemon, which lets go of the session.
noticed() {
	deaths=$((deaths + 1))
	check "$1: the daemon logs that the client timed out" \
		wait_line "$daemon_log" 'session of 192\.0\.2\.2:.* timed out: ' "$daemon_pid" $deaths
	check "$1: and frees the session" frees "$worker" "$idle"
}

# begin_ping NAME ARGUMENTS...: which was answered when this returns.
begin_ping() {
	ping_name=$1
	shift
	: >"$tmp/$ping_name.out" # it is read at once
	# shellcheck disable=SC2086
	"$xfer" ping -i 100ms $soon "$@" "$daemon_address" >>"$tmp/$ping_name.out" 2>"$tmp/$ping_name.err" &
	ping_pid=$!
	remember "$ping_pid"
	wait_line "$tmp/$ping_name.out" '^answer from .* seq=3 ' "$ping_pid" >"$tmp/seen"
}

for end in daemon client; do
	# shellcheck disable=SC2086
	begin_get "get-$end" $soon
	unplug $end
	end_get "get-$end" 6 4 'is dead: no heartbeat, no byte and no ping for 1s'
	noticed "get-$end"
	plug_in $end

	begin_ping "idle-$end"
	unplug $end
	end_client "idle-$end" "$ping_pid" 6 4 'is dead: no heartbeat, no byte and no ping for 1s'
	noticed "idle-$end"
	plug_in $end
done
# shellcheck disable=SC2086
run "$xfer" get -q $soon "xfer://$daemon_address/pub/big" "$tmp/after"
is "$status" 0 "after all this it serves"
like_file "$daemon_log" 'file=pub/big .*result=.?peer dead' "the transfers have lines of their own"

stop_daemon
is "$daemon_status" 0 "stops"
unlike "$(cat "$daemon_log")" 'worker died|killing' "nobody died"

# Out for less than dead-after: a question was lost, and nothing else.
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=20s $net_allow"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.listen=$net_listen $soon
begin_ping back-soon
unplug daemon
check "a heartbeat is lost" wait_line "$tmp/back-soon.out" '^no answer: seq=' "$ping_pid"
plug_in daemon
lost=$(grep -c '^answer' "$tmp/back-soon.out")
check "back soon: heartbeats are answered again" \
	wait_line "$tmp/back-soon.out" '^answer from' "$ping_pid" $((lost + 3))
kill -INT "$ping_pid"
end_client back-soon "$ping_pid" 0 5
is "$(cat "$tmp/back-soon.err")" "" "back soon: nothing to warn of"

stop_daemon
is "$daemon_status" 0 "stops"

done_testing
