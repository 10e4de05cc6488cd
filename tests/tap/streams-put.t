#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Several sessions share one put: a file, a tree; in one worker and in three; some are refused, or die in the middle.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/reconnect.sh"
need_gates
xferd=$top_builddir/xferd
gated put "$tmp/src" "$xfer"

mkdir -p "$tmp/in" "$tmp/src/tree/a/b" "$tmp/src/tree/empty"
make_file "$tmp/src/big" $get_bytes
make_file "$tmp/src/tree/large" 9000001
truncate -s 12M "$tmp/src/tree/hollow"
for i in $(seq 150); do make_file "$tmp/src/tree/a/$i" $((i * 100)); done
for i in $(seq 150); do make_file "$tmp/src/tree/a/b/$i" 3000; done
ln -s nowhere "$tmp/src/tree/link"

# begin_put NAME ARGUMENTS...: a put of src/big to in/NAME, which is held in the middle until end_put. put_pid is the client.
begin_put() {
	put_name=$1
	shift
	hold "${held:-$hold_kib}"
	# shellcheck disable=SC2086
	"$tmp/put" --no-progress --set pipeline.chunk-size=64K $soon put "$@" \
		"$tmp/src/big" "xfer://$daemon_address/in/$put_name" >"$tmp/$put_name.out" 2>"$tmp/$put_name.err" &
	put_pid=$!
	remember "$put_pid"
}

# came [KIB]: so much of it is at the daemon.
came() {
	await sh -c "find '$tmp/in' -maxdepth 1 -name '.xfer-*' -type f -printf '%k\n' | awk '{ n += \$1 } END { exit n < ${1:-1100} }'"
}

end_put() {
	go_on
	got=0
	wait "$put_pid" || got=$?
	is "$got" "$2" "$1: status"
	[ "$got" = "$2" ] || diag_file "$tmp/$1.err"
}

# whole_put NAME: it is all there, and nothing of ours is left.
whole_put() {
	check "$1: every byte" cmp "$tmp/src/big" "$tmp/in/$1"
	is "$(leftovers "$tmp/in")" "" "$1: nothing hidden is left"
	rm -f "$tmp/in/$1"
}

# joined COUNT: so many sessions have joined another one since the daemon began.
joined() {
	await sh -c "[ \$(grep -c ': joins the session of' '$daemon_log') -ge $1 ]"
}

# worker_of N: the process that has the Nth session, and whose sessions are not those of other workers.
worker_of() {
	worker_index=$(grep -E ' session from ' "$daemon_log" | grep -v local | sed -n "$1s/.*xferd\/\([0-9]*\).*/\1/p")
	sed -n "s/.*worker ready worker=$worker_index .*pid=\([0-9]*\).*/\1/p" "$daemon_log" | tail -n 1
}

for workers in 1 3; do
	all="workers-$workers"
	write_config "$tmp/xferd.ini" "$tmp/in" read-write
	sed -i 's/export.pub/export.in/' "$tmp/xferd.ini"
	need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"

	# ---- a file, at a rate ----

	begin=$(date +%s%N)
	held=800
	# shellcheck disable=SC2086
	begin_put file-$all $late --streams 4 --limit-rate 12M
	held=
	joined 3
	end_put file-$all 0
	took=$((($(date +%s%N) - begin) / 1000000))
	# All but the first chunk has to wait for its time.
	check "file-$all: no faster than the limit: $took ms" [ $took -ge $(((get_bytes - 65536) / 12583)) ]
	says file-$all 0 .
	is "$(grep -c ': joins the session of' "$daemon_log")" 3 "file-$all: three sessions joined the first"
	like_file "$tmp/file-$all.out" "^1 file: $get_bytes bytes" "file-$all: the sum"
	like "$(grep 'transfer .*verb=put' "$daemon_log")" "bytes=$get_bytes .*result=.?ok" "file-$all: the daemon's sum"
	whole_put file-$all

	# ---- a tree ----

	run "$xfer" --no-progress put --streams 3 "$tmp/src/tree" "xfer://$daemon_address/in/tree-$workers"
	is "$status" 0 "tree-$all: status"
	check "tree-$all: is the same" same_tree "$tmp/src/tree" "$tmp/in/tree-$workers"
	like_file "$out" '^302 files, 4 folders, 1 link: 23165413 bytes ' "tree-$all: the sum is that of the whole"

	# ---- two sources over the same sessions ----

	run "$xfer" --no-progress put --streams 3 "$tmp/src/big" "$tmp/src/tree/large" "xfer://$daemon_address/in/"
	is "$status" 0 "two-$all: status"
	check "two-$all: the first" cmp "$tmp/src/big" "$tmp/in/big"
	check "two-$all: the second" cmp "$tmp/src/tree/large" "$tmp/in/large"
	rm "$tmp/in/big" "$tmp/in/large"

	# ---- a worker dies in the middle: the one of the first session, and another one ----

	for which in 1 2; do
		name=killed-$which-$all
		before=$(grep ' session from ' "$daemon_log" | grep -vc local)
		joins=$(grep -c ': joins the session of' "$daemon_log")
		begin_put $name --streams 4
		joined $((joins + 3))
		came
		kill -KILL "$(worker_of $((before + which)))"
		end_put $name 0
		whole_put $name
		wait_line "$daemon_log" 'worker died' "$daemon_pid" $which >"$tmp/seen"
	done

	stop_daemon
	is "$daemon_status" 0 "$all: stops"
done

# ---- either side is killed; it goes on with fewer, or with one ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/in" read-write
sed -i 's/export.pub/export.in/' "$tmp/xferd.ini"
need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
begin_put resumed --streams 4
came
kill -KILL "$put_pid"
wait "$put_pid" 2>/dev/null
go_on
await grep -q 'verb=put .*result=.\{0,1\}\(broken off\|interrupted\)' "$daemon_log"
begin_put resumed --streams 2
joined 4
came 2200
stop_daemon KILL
go_on # what is being read it waits for
check "resumed: the client says so" wait_line "$tmp/resumed.err" 'connection to .* lost: .*; trying again' "$put_pid"
check "resumed: the daemon is there again" start_again -c "$tmp/xferd.ini"
end_put resumed 0
whole_put resumed
stop_daemon

# ---- a reload: the put ends where it began, and the user sees nothing of it ----

need_daemon -c "$tmp/xferd.ini"
begin_put reloaded --streams 3
came
kill -HUP "$daemon_pid"
wait_line "$daemon_log" ' reloaded$' "$daemon_pid" >"$tmp/seen"
go_on
check "reloaded: the old worker ends when the put is done" wait_line "$daemon_log" 'worker ended' "$daemon_pid"
end_put reloaded 0
says reloaded 0 .
whole_put reloaded
stop_daemon

# ---- more than the daemon takes from one address ----

need_daemon -c "$tmp/xferd.ini" --set daemon.sessions-per-address=2
begin_put refused --streams 4
wait_line "$tmp/refused.err" 'fewer than' "$put_pid" >"$tmp/seen"
end_put refused 0
says refused 1 'fewer than 4 sessions, going on with those there are: .*sessions'
says refused 1 .
whole_put refused
stop_daemon
done_testing
