#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A worker goes in the middle of a get: killed, replaced by a reload; a stream breaks; a request kills whoever serves it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/reconnect.sh"
need_gates

faulty=$top_builddir/tests/plugins/.libs/transport-faulty.so
[ -f "$faulty" ] || skip_all "tests/plugins is not built"

mkdir "$tmp/pub" "$tmp/dest"
make_file "$tmp/pub/big" $get_bytes
make_file "$tmp/pub/first" 3000
make_file "$tmp/pub/second" 3000

# owner: the worker that has the newest session.
owner() {
	owner_index=$(grep -E ' session from ' "$daemon_log" | tail -n 1 | sed 's/.*xferd\/\([0-9]*\).*/\1/')
	sed -n "s/.*worker ready worker=$owner_index .*pid=\([0-9]*\).*/\1/p" "$daemon_log" | tail -n 1
}

for workers in 1 3; do
	all="workers-$workers"
	write_config "$tmp/xferd.ini" "$tmp/pub"
	need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"

	# ---- killed, twice ----

	begin_held killed-$all
	kill -KILL "$(owner)"
	check "killed-$all: goes on" await_said killed-$all 'connected to .* again after .*, to another process'
	await_bytes 2300
	kill -KILL "$(owner)"
	end_get killed-$all 0
	says killed-$all 2 'lost: .*; trying again'
	says killed-$all 2 'connected to .* again'
	whole killed-$all
	wait_line "$daemon_log" 'replaced one that died|worker ready' "$daemon_pid" $((workers + 2)) >"$tmp/seen"

	# ---- a reload: the user sees nothing of it ----

	begin_held reloaded-$all
	sessions=$(grep -c ' session from ' "$daemon_log")
	kill -HUP "$daemon_pid"
	check "reloaded-$all: another worker has the get" \
		wait_line "$daemon_log" ' session from ' "$daemon_pid" $((sessions + 1))
	go_on
	check "reloaded-$all: the old workers end" \
		wait_line "$daemon_log" 'worker ended' "$daemon_pid" $workers
	is "$(grep -Ec 'transfer .*file=pub/big .*files=0 .*result=.?(interrupted|broken off)' "$daemon_log")" 1 "reloaded-$all: it left before"
	end_get reloaded-$all 0
	says reloaded-$all 0 .
	like_file "$tmp/reloaded-$all.out" ', 11\.4 MiB travelled' "reloaded-$all: nothing travelled twice"
	whole reloaded-$all

	stop_daemon
	is "$daemon_status" 0 "$all: stops"
	is "$(grep -c 'worker died' "$daemon_log")" 2 "$all: nobody died but those who were killed"
done

# ---- a reload while the client sleeps for longer than the old worker stays ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set daemon.drain-timeout=500ms
begin_held slept --limit-rate 6M # without it all may be sent before the client wants it
kill -STOP "$get_pid"
kill -HUP "$daemon_pid"
wait_line "$daemon_log" ' reloaded$' "$daemon_pid" >"$tmp/seen"
go_on
check "slept: the old worker ends" wait_line "$daemon_log" 'worker ended' "$daemon_pid"
kill -CONT "$get_pid"
end_get slept 0
says slept 0 .
whole slept
stop_daemon

# ---- goaway to a session that is idle ----

# The client is about to say that the first file is complete, into a pipe that is full, when the daemon reloads; the second
# file is asked for on a session that is gone by then.
need_daemon -c "$tmp/xferd.ini"
mkfifo "$tmp/pipe"
exec 8<>"$tmp/pipe"
head -c 65536 /dev/zero >&8
# shellcheck disable=SC2086
"$xfer" -v --no-progress $soon get "xfer://$daemon_address/pub/first" "xfer://$daemon_address/pub/second" "$tmp/dest" \
	>"$tmp/pipe" 2>"$tmp/idle.err" &
get_pid=$!
remember $get_pid
check "idle: the first file is there" await test -e "$tmp/dest/first"
kill -HUP "$daemon_pid"
check "idle: the old worker ends" wait_line "$daemon_log" 'worker ended' "$daemon_pid"
check "idle: and the second file is not asked for" test ! -e "$tmp/dest/second"
cat <&8 >"$tmp/idle.out" &
remember $!
end_get idle 0
says idle 0 .
exec 8>&-
check "idle: the second file comes" cmp "$tmp/pub/second" "$tmp/dest/second"
stop_daemon

# ---- the stream breaks, and the worker lives ----

# with_fault FAULT DIRECTION [KEY=VALUE]...: a daemon of which the streams are faulty.
with_fault() {
	fault="--set pipeline.transport=$faulty --set transport.faulty.fault=$1 --set transport.faulty.direction=$2"
	shift 2
	for word in "$@"; do
		fault="$fault --set transport.faulty.$word"
	done
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $fault
}

with_fault close send at=100000 every=700000 times=4
begin_get broken
end_get broken 0
says broken 4 'lost: '
whole broken
is "$(grep -c 'worker died' "$daemon_log")" 0 "broken: no worker died"
stop_daemon

# Control frames and heads of chunks that are damaged on the way; payload is asked for again by itself.
with_fault flip send at=150 times=3
begin_get damaged
end_get damaged 0
says damaged 3 'lost: .*(breaks the protocol|damaged)'
whole damaged
stop_daemon

with_fault close send at=200 times=2
run "$xfer" ls "xfer://$daemon_address/pub"
is "$status" 0 "ls: is asked for again"
is "$(cat "$out")" "big
first
second" "ls: and each name comes once"
is "$(grep -c 'lost: ' "$err")" 2 "ls: two losses are told"
stop_daemon

# ---- a request that kills whoever serves it ----

with_fault die send at=3000
begin_get deadly
end_get deadly 6 'died 3 times in a row'
says deadly 3 'lost: '
is "$(grep -c 'worker died' "$daemon_log")" 3 "deadly: is not asked for a fourth time"
check "deadly: nothing is there" test ! -e "$tmp/deadly"
forget
stop_daemon

# Each session gets further than the last: of that nobody is to blame.
with_fault die send at=4000000
begin_get further
end_get further 0
check "further: more deaths than a request may cause" test "$(grep -c 'worker died' "$daemon_log")" -ge 3
whole further
stop_daemon

# Nothing is kept, so that none of them gets any further.
with_fault die send at=4000000
begin_get anew --no-resume
end_get anew 6 'died 3 times in a row'
stop_daemon

# ---- a daemon that always talks nonsense ----

with_fault flip send at=150
begin_get nonsense
end_get nonsense 6 'again and again: given up'
says nonsense 4 'lost: '
stop_daemon
done_testing
