#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Several sessions share one get: a file, a tree; in one worker and in three; some are refused, or die in the middle.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/reconnect.sh"
need_gates

mkdir -p "$tmp/pub/tree/a/b" "$tmp/pub/tree/empty"
make_file "$tmp/pub/big" $get_bytes
make_file "$tmp/pub/tree/large" 9000001
truncate -s 12M "$tmp/pub/tree/hollow"
for i in $(seq 150); do make_file "$tmp/pub/tree/a/$i" $((i * 100)); done
for i in $(seq 150); do make_file "$tmp/pub/tree/a/b/$i" 3000; done
ln -s nowhere "$tmp/pub/tree/link"

# carried ERE: how many sessions gave something of it away, and how many bytes together.
carried() {
	grep -E "transfer .*verb=get file=$1" "$daemon_log" |
		sed -n 's/.* bytes=\([0-9]*\) .*/\1/p' | awk '$1 > 0 { n++; s += $1 } END { print n + 0, s + 0 }'
}

# sessions COUNT: so many have begun since the daemon did.
sessions() {
	wait_line "$daemon_log" ' session from ' "$daemon_pid" "$1" >"$tmp/seen"
}

# worker_of N: the process that has the Nth session.
worker_of() {
	worker_index=$(grep -E ' session from ' "$daemon_log" | sed -n "$1s/.*xferd\/\([0-9]*\).*/\1/p")
	sed -n "s/.*worker ready worker=$worker_index .*pid=\([0-9]*\).*/\1/p" "$daemon_log" | tail -n 1
}

for workers in 1 3; do
	all="workers-$workers"
	write_config "$tmp/xferd.ini" "$tmp/pub"
	need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"

	# ---- a file, at a rate ----

	begin=$(date +%s%N)
	hold 800
	# shellcheck disable=SC2086
	begin_get file-$all $late --streams 4 --limit-rate 12M
	sessions 4
	end_get file-$all 0
	took=$((($(date +%s%N) - begin) / 1000000))
	# All but the first chunk has to wait for its time.
	check "file-$all: no faster than the limit: $took ms" [ $took -ge $(((get_bytes - 65536) / 12583)) ]
	says file-$all 0 .
	whole file-$all
	await sh -c "[ \$(grep -c 'transfer .*file=pub/big' '$daemon_log') -ge 4 ]"
	is "$(carried pub/big)" "4 $get_bytes" "file-$all: each of four sessions had its part, and nothing came twice"

	# ---- a tree ----

	run "$xfer" --no-progress get --streams 3 "xfer://$daemon_address/pub/tree" "$tmp/tree-$workers"
	is "$status" 0 "tree-$all: status"
	check "tree-$all: is the same" same_tree "$tmp/pub/tree" "$tmp/tree-$workers"
	like_file "$out" '^302 files, 4 folders, 1 link: 23165413 bytes ' "tree-$all: the sum is that of the whole"
	is "$(leftovers "$tmp")" "" "tree-$all: nothing hidden is left"

	# ---- a worker dies in the middle: the one of the first session, and another one ----

	for which in 1 2; do
		name=killed-$which-$all
		before=$(grep -c ' session from ' "$daemon_log")
		begin_held $name --streams 4
		sessions $((before + 4))
		victim=$(worker_of $((before + which)))
		kill -KILL "$victim"
		end_get $name 0
		whole $name
		wait_line "$daemon_log" 'worker died' "$daemon_pid" $which >"$tmp/seen"
	done

	stop_daemon
	is "$daemon_status" 0 "$all: stops"
done

# ---- the client is killed, and goes on with fewer, or with one ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
begin_held resumed --streams 4
kill -KILL "$get_pid"
wait "$get_pid" 2>/dev/null
go_on
hold $hold_kib
begin_get resumed --streams 2
sessions 6
await_bytes 2200
kill -KILL "$get_pid"
wait "$get_pid" 2>/dev/null
go_on
begin_get resumed
end_get resumed 0
like_file "$tmp/resumed.out" ', [0-9]\.[0-9]* MiB travelled' "resumed: much was there already"
whole resumed
stop_daemon

# ---- more than the daemon takes from one address ----

need_daemon -c "$tmp/xferd.ini" --set daemon.sessions-per-address=2
begin_held refused --streams 4
await_said refused 'fewer than'
end_get refused 0
says refused 1 'fewer than 4 sessions, going on with those there are: .*sessions'
says refused 1 .
whole refused
stop_daemon

# ---- a reload: the user sees nothing of it ----

need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
begin_held reloaded --streams 3
sessions 3
kill -HUP "$daemon_pid"
sessions 6
go_on
check "reloaded: the old worker ends, although the get goes on" wait_line "$daemon_log" 'worker ended' "$daemon_pid"
end_get reloaded 0
says reloaded 0 .
whole reloaded
stop_daemon
done_testing
