#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A damaged stream: whatever happens to it, both sides end the session with an error, nothing is there under a final name,
# and the daemon serves the next one.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

faulty=$top_builddir/tests/plugins/.libs/transport-faulty.so
[ -f "$faulty" ] || skip_all "tests/plugins is not built"

pub=$tmp/pub
mkdir -p "$pub/tree/folder"
for n in 1 2 3 4 5; do
	make_file "$pub/tree/folder/$n" $((n * 700))
done
ln -s target "$pub/tree/link"
write_config "$tmp/xferd.ini" "$pub"

# with_fault FAULT DIRECTION [KEY=VALUE]...: the arguments that make a stream faulty, one per word.
with_fault() {
	printf -- '--set pipeline.transport=%s --set transport.faulty.fault=%s --set transport.faulty.direction=%s' \
		"$faulty" "$1" "$2"
	shift 2
	for word in "$@"; do
		printf -- ' --set transport.faulty.%s' "$word"
	done
}

# Who waits for bytes that were swallowed gives up soon; in-band, since heartbeats by datagram go another way and say
# rightly that the peer is alive.
silent="--set pipeline.liveness=none --set liveness.none.dead-after=500ms --set liveness.none.interval=50ms
	--set daemon.hello-timeout=500ms"
# An end in order is logged for those who want to know everything.
talkative="--set core.log-level=debug --set daemon.hello-timeout=500ms"

# attempt URL WORDS...: a get with these arguments. Sets status; attempt_done when all came in spite of it.
attempt() {
	seen=$(($(wc -l <"$daemon_log") + 1))
	attempt_url=xfer://$daemon_address/pub/$1
	shift
	# shellcheck disable=SC2086 # a list
	run timeout "$patience" "$xfer" get --retry-for 0 --no-resume --no-progress $silent "$@" "$attempt_url" "$tmp/got"
}

# daemon_ended ERE: the daemon logged the end of that session, for this reason.
daemon_ended() {
	timeout 5 tail -n +"$seen" -s 0.02 -f "$daemon_log" | grep -E -q -m 1 "session of .* (ended|timed out).*$1"
}

# broken NAME: that attempt failed as it should: on both sides, and nothing is left. Otherwise says why and counts in $bad.
broken() {
	why=
	# Who never hears a hello is not connected.
	[ "$status" = 6 ] || { [ "$status" = 3 ] && grep -q 'did not say hello' "$err"; } ||
		why=", status $status instead of 6"
	grep -q '^xfer: .' "$err" || why="$why, the client says nothing"
	[ ! -e "$tmp/got" ] || why="$why, something is under the final name"
	[ -z "$(leftovers "$tmp")" ] || why="$why, something hidden is left"
	daemon_ended '' || why="$why, the daemon logs no end of a session"
	[ -n "$why" ] || return
	bad=$((bad + 1))
	diag "$1$why"
	sed 's/^/#   client: /' "$err"
	tail -n +"$seen" "$daemon_log" | sed 's/^/#   daemon: /'
	rm -rf "$tmp/got" "$tmp"/.xfer-*
}

# good NAME: the daemon is the same process and serves.
good() {
	run "$xfer" get -q "xfer://$daemon_address/pub/tree" "$tmp/good"
	is "$status" 0 "$1: the next client is served"
	check "$1: and has all" same_tree "$pub/tree" "$tmp/good"
	rm -rf "$tmp/good"
	is "$(grep -c 'worker died' "$daemon_log")" 0 "$1: the worker lives"
}

# ---- a flipped bit, at the client's end of the wire ----

# The file has one byte, so that all that comes is header, control frame or head of a chunk, but that byte: it has a digest of
# its own and is asked for again. The stream is over when nothing is flipped any more.
printf x >"$pub/byte"
# shellcheck disable=SC2086 # a list
need_daemon -c "$tmp/xferd.ini" $talkative --set liveness.udp.dead-after=500ms --set liveness.udp.interval=100ms
for direction in send recv; do
	bad=0
	count=0
	late=0
	repaired=0
	while [ $bad -lt 5 ]; do
		at=$((count * 2))
		# shellcheck disable=SC2046 # a list
		attempt byte $(with_fault flip $direction at=$at bit=$((count % 8)))
		grep -q 'flip at byte' "$err" || break
		count=$((count + 1))
		if [ "$status" = 0 ] && grep -q 'repaired 1 chunk' "$out" && cmp -s "$pub/byte" "$tmp/got"; then
			repaired=$((repaired + 1))
			rm "$tmp/got"
			continue
		fi
		# A pong of a slow run can be what comes last: all that was asked for is there, and still the session ends.
		if [ "$status" = 0 ] && cmp -s "$pub/byte" "$tmp/got" && daemon_ended 'breaks the protocol'; then
			late=$((late + 1))
			rm "$tmp/got"
			continue
		fi
		broken "$direction, byte $at"
	done
	[ "$status" = 0 ] || not_ok "an honest transfer behind them" "status $status"
	rm -f "$tmp/got"
	is $bad 0 "flipped bits in what the client ${direction}s: each of $count ends the session ($late when all was there)"
	[ $count -ge 60 ] && [ $repaired -le 1 ] && ok "they were enough ($repaired in the payload)" ||
		not_ok "they were enough" "$count, $repaired of them in the payload"
done
good "after flipped bits"

# ---- bytes that vanish, a stream that ends, stalls or is reset, at the client's end ----

for fault in drop truncate stall close; do
	for direction in send recv; do
		bad=0
		for at in 0 7 16 40 90 130 190 300 500; do
			# Silence takes its time to be noticed.
			case $fault/$at in stall/0 | stall/7 | stall/90 | stall/190 | drop/0 | drop/40 | drop/300) continue ;; esac
			# What the client says is said by then.
			[ $direction = recv ] || [ $at -lt 150 ] || continue
			# shellcheck disable=SC2046 # a list
			attempt tree $(with_fault $fault $direction at=$at length=$((1 + at % 5)))
			grep -q "$fault at byte" "$err" || bad=$((bad + 1))
			broken "$fault, $direction, byte $at"
		done
		is $bad 0 "$fault in what the client ${direction}s ends the session"
	done
done
good "after that"
stop_daemon
is "$daemon_status" 0 "stops"

# ---- at the daemon's end: the fault comes with each session ----

for case in 'flip send at=3' 'flip send at=60' 'flip send at=200' 'flip send at=330' 'flip recv at=1' 'flip recv at=70' \
	'flip recv at=110' 'drop send at=150' 'drop recv at=50' 'truncate send at=20' 'truncate send at=200' \
	'truncate recv at=90' 'stall send at=180' 'stall recv at=100' 'close send at=250' 'close recv at=30'; do
	bad=0
	# shellcheck disable=SC2046,SC2086 # lists
	need_daemon -c "$tmp/xferd.ini" $talkative $silent $(with_fault $case times=1)
	attempt tree
	grep -q 'transport faulty: .* at byte' "$daemon_log" || bad=$((bad + 1))
	broken "$case"
	is $bad 0 "$case, at the daemon: the session ends"
	run "$xfer" get -q $silent "xfer://$daemon_address/pub/tree" "$tmp/good"
	is "$status" 0 "$case, at the daemon: the next client is served"
	rm -rf "$tmp/good"
	stop_daemon
	is "$daemon_status" 0 "$case, at the daemon: it stops"
done

# ---- a stream in small pieces is slow and right ----

need_daemon -c "$tmp/xferd.ini" --set pipeline.transport="$faulty" --set transport.faulty.piece=3
# shellcheck disable=SC2046 # a list
run "$xfer" get -q $(with_fault short recv) "xfer://$daemon_address/pub/tree" "$tmp/got"
is "$status" 0 "one byte at a time: status"
check "one byte at a time: all is right" same_tree "$pub/tree" "$tmp/got"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
