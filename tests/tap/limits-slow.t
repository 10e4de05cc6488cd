#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who sends a byte a second is looked at rarely. That makes nobody dead or stalled who is not, and hides nobody who is;
# and what he sends is done when it is there.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/many.sh"

count=20
mkdir "$tmp/pub" "$tmp/in"
write_config "$tmp/xferd.ini" "$tmp/pub"
cat >>"$tmp/xferd.ini" <<-END
	[export.in]
	path = $tmp/in
	access = read-write
	[pipeline]
	integrity = sha256, none
	[liveness.udp]
	interval = 600ms
	dead-after = 2s
END

# moving: so many that put a byte a second, for longer than they would be borne with in silence.
moving() {
	begin_many -n $count put "$daemon_port" in/
	wait_line "$many_out" '^moving ' "$many_pid" >/dev/null
	sleep "$1"
}

# ---- alive, and dead --------------------------------------------------------------------------------------------------

# They ask for nothing and send no heartbeats: it is their bytes alone that tell of them.
need_daemon -c "$tmp/xferd.ini"
moving 4.5
unlike "$(cat "$daemon_log")" ' is dead: ' "a byte a second is a sign of life"
kill -STOP "$many_pid"
is "$(wait_line "$daemon_log" ' is dead: no heartbeat, no byte and no ping for 2s' "$daemon_pid" $count | grep -c .)" $count \
	"who sends nothing any more is dead, each of them"
kill -CONT "$many_pid"
end_many
stop_daemon
is "$daemon_status" 0 "the daemon stops"

# ---- stalled ----------------------------------------------------------------------------------------------------------

# Nobody would look in ten minutes, but for who stalls.
need_daemon -c "$tmp/xferd.ini" --set liveness.udp.interval=1m --set liveness.udp.dead-after=10m --set daemon.stall-after=3s
moving 5
unlike "$(cat "$daemon_log")" 'stall-after' "a byte a second is no stall"
kill -STOP "$many_pid"
is "$(wait_line "$daemon_log" 'did not send what it has to put in 3s' "$daemon_pid" $count | grep -c .)" $count \
	"who sends nothing any more stalls, each of them"
kill -CONT "$many_pid"
end_many

# ---- done -------------------------------------------------------------------------------------------------------------

begin_many -n $count -c 1024 -b 600 put "$daemon_port" in/
wait_line "$many_out" '^none is left' "$many_pid" >/dev/null
end_many
is "$(find "$tmp/in" -type f -name 'many-*' -size 1024c | grep -c .)" $count "what they put is there when all of it has come"
stop_daemon
is "$daemon_status" 0 "the daemon stops again"

done_testing
