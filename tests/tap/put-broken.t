#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A put that is broken off, on either side: nothing stands under its final name but what is whole, both sides notice, and
# the daemon serves on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/live.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates
xferd=$top_builddir/xferd
gated put "$tmp/src" "$xfer"

pub=$tmp/pub
mkdir "$pub" "$tmp/tree" "$tmp/src"
make_file "$tmp/big" 33554432
make_file "$tmp/src/medium" 6291456
for n in 1 2 3 4 5 6 7 8; do
	make_file "$tmp/tree/$n" 4194304
done
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s"

# begin_put SOURCE NAME ARGUMENTS...: a put that takes many seconds, of which something has come when this returns. put_pid
# is the client; its messages are in $tmp/NAME.err. Where the source is in $tmp/src, `hold` keeps it in the middle.
begin_put() {
	put_source=$1
	put_name=$2
	shift 2
	rm -rf "$pub/new" "$pub"/.xfer-*
	seen=$(($(wc -l <"$daemon_log") + 1))
	"$tmp/put" --no-progress --limit-rate "${rate:-2M}" --set pipeline.chunk-size=64K "$@" put --retry-for "${retry_for:-0}" "$put_source" \
		"$url/new" >"$tmp/$put_name.out" 2>"$tmp/$put_name.err" &
	put_pid=$!
	remember $put_pid
	await sh -c "[ -n \"\$(find '$pub' -path '*/.xfer-*' -type f -size +100k)\" ]" || bail_out "nothing came"
}

# logged ERE: in the daemon's log, since the last put began.
logged() {
	timeout "$patience" tail -n +"$seen" -s 0.05 -f "$daemon_log" | grep -E -q -m 1 -e "$1"
}

serves_on() {
	run "$xfer" put -q "$tmp/tree/1" "$url/after"
	is "$status" 0 "$1: the daemon serves on"
	check "$1: nothing stands under the final name" test ! -e "$pub/new"
}

serve() {
	write_config "$tmp/xferd.ini" "$pub" read-write
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $soon
	url=xfer://$daemon_address/pub
}

# ---- the client goes ----

for workers in 1 3; do
	serve
	for source in big tree; do
		all="workers=$workers, $source"
		begin_put "$tmp/$source" killed
		kill -KILL $put_pid
		wait $put_pid 2>/dev/null
		check "$all: a killed client is noticed by the daemon" \
			logged " transfer peer=127.* verb=put file=pub/new .*result=\"?(interrupted|broken off)"
		serves_on "$all: a killed client"
	done
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
	unlike "$(cat "$daemon_log")" 'did not drain' "workers=$workers: and at once, no session was left over"
done

workers=1
serve
begin_put "$tmp/big" interrupted
kill -INT $put_pid
end_client interrupted $put_pid 130 3 '^xfer: put: interrupted; nothing incomplete stands'
# Its last words are lost where the kernel had bytes for it that it never read.
check "an interrupted client has a line" logged 'result="?(interrupted|broken off)'
serves_on "an interrupted client"

# shellcheck disable=SC2086
begin_put "$tmp/big" client-stopped $soon
kill -STOP $put_pid
check "a stopped client is noticed" logged 'session of .* timed out: .* is dead: no heartbeat, no byte and no ping for 1s'
check "a stopped client: the put has a line" logged 'transfer .* verb=put .*result="?peer dead'
serves_on "a stopped client"
kill -CONT $put_pid
end_client client-stopped $put_pid 6 3

# ---- the daemon goes ----

# shellcheck disable=SC2086
begin_put "$tmp/big" worker-stopped $soon
worker=$(worker_pid 0)
kill -STOP "$worker"
end_client worker-stopped $put_pid 6 3 'is dead: no heartbeat, no byte and no ping for 1s'
kill -CONT "$worker"
serves_on "a worker that was stopped"

begin_put "$tmp/tree" worker-killed
kill -KILL "$(worker_pid 0)"
end_client worker-killed $put_pid 6 3
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 2 >"$tmp/seen"
serves_on "a worker that was killed"

# With time to try again the client has its session anew, and all of it arrives.
hold 3600
rate=100M retry_for=30s begin_put "$tmp/src/medium" again
kill -KILL "$(worker_pid 0 2)"
go_on
end_client again $put_pid 0 60 'connected to .* again'
check "a worker that was killed, and another one: all is there" cmp "$pub/new" "$tmp/src/medium"

# A daemon that is told to stop lets a put finish.
hold 3600
rate=100M begin_put "$tmp/src/medium" drained
kill -TERM "$daemon_pid"
wait_line "$daemon_log" ' stopping$' "$daemon_pid" >"$tmp/seen"
go_on
daemon_status=0
wait "$daemon_pid" || daemon_status=$?
is "$daemon_status" 0 "a daemon that stops: status"
end_client drained $put_pid 0 30
check "a daemon that stops waits for a put" cmp "$pub/new" "$tmp/src/medium"
is "$(leftovers "$pub")" "" "and nothing hidden is left"

# One that takes longer than that goes on with the next worker.
mkdir "$tmp/src/some"
for n in 1 2 3; do
	make_file "$tmp/src/some/$n" 2097152
done
write_config "$tmp/xferd.ini" "$pub" read-write
need_daemon -c "$tmp/xferd.ini" --set daemon.drain-timeout=300ms
url=xfer://$daemon_address/pub
for source in medium some; do
	all="a reload, $source"
	hold 3600
	rate=100M retry_for=30s begin_put "$tmp/src/$source" reloaded --json
	ended=$(grep -c 'worker ended' "$daemon_log")
	kill -HUP "$daemon_pid"
	check "$all: the old worker ends" wait_line "$daemon_log" 'worker ended' "$daemon_pid" $((ended + 1))
	check "$all: before the put does" test ! -e "$pub/new"
	go_on
	end_client reloaded $put_pid 0 30
	unlike "$(cat "$tmp/reloaded.err")" 'error|dead|closed|busy|locked' "$all: the client had no error"
	check "$all: all is there" diff -r "$pub/new" "$tmp/src/$source"
	is "$(leftovers "$pub" | grep -v '/\.xfer-puts$')" "" "$all: and nothing hidden is left"
	# What the old worker had, and what the new one was sent.
	moved=$(tail -n +"$seen" "$daemon_log" | sed -n 's/.* transfer .* bytes=\([0-9]*\) .*/\1/p' | head -n 1)
	moved=$((moved + $(sed -n 's/.*"type":"summary".*"received":\([0-9]*\).*/\1/p' "$tmp/reloaded.out")))
	check "$all: little came twice ($moved bytes in all)" test "$moved" -le $((6291456 + 262144))
	rm -rf "$pub/new"
done
stop_daemon
is "$daemon_status" 0 "after reloads: stops"
unlike "$(cat "$daemon_log")" 'did not drain' "after reloads: no worker had to be killed"

# ---- the source changes ----

serve
cp "$tmp/src/medium" "$tmp/changing"
begin_put "$tmp/changing" changed
echo more >>"$tmp/changing"
end_client changed $put_pid 8 30 '^xfer: changing: the source changed while it was read'
check "a source that grows: the daemon says so" logged 'pub/new: changing: the source changed'
check "a source that grows: nothing stands there" test ! -e "$pub/new"
is "$(leftovers "$pub")" "" "a source that grows: nothing hidden is left"
mkdir "$tmp/vanishing"
for n in 10 11 12 13 14 15 16 17 18 19 20 21; do
	make_file "$tmp/vanishing/$n" 524288
done
begin_put "$tmp/vanishing" vanished
# In the folder's order the last one is not open yet.
find "$tmp/vanishing" -type f -printf '%f\n' | tail -n 1 >"$tmp/last"
rm "$tmp/vanishing/$(cat "$tmp/last")"
status=0
wait $put_pid || status=$?
is "$status" 8 "a file that vanishes: status"
like_file "$tmp/vanished.err" "^xfer: vanishing/$(cat "$tmp/last"): .*it vanished$" "a file that vanishes: it is named"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
