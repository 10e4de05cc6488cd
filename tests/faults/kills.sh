#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Transfers of some megabytes are killed at times that nobody chose, several times in a row now and then; then the same command
# again has to end with all of it. What is moved is at most all of it once, and for each kill a window and a chunk.
#
#   XFER_FAULTS_TIMES=1000 sh tests/faults/kills.sh     so many kills (1,000), in the build folder
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/faults/points.sh"

times=${XFER_FAULTS_TIMES:-1000}
window=$((4194304 + 65536)) # half of the memory, and a chunk
longest=450                 # ms that a transfer takes, about
client_set="$daemon_set --set pipeline.chunk-size=64K --limit-rate 30M --no-progress --json"
diag "XFER_FAULTS_SEED=$seed"
begin_sources 9000000 8500000

# moved NUMBER: by the last run, of which the daemon's log has that many lines of transfers more.
moved_by_log() {
	sed -n 's/.* transfer peer=.* bytes=\([0-9]*\) .*/\1/p' "$daemon_log" | tail -n "+$(($1 + 1))" | awk '{ n += $1 } END { print n + 0 }'
}

log_count() {
	grep -c ' transfer peer=' "$daemon_log"
}

# broken_run SIDE VERB WHAT: begins, and is killed after a while; what it moved is added to $moved.
broken_run() {
	lines=$(log_count)
	retries="--retry-for 0"
	[ "$1" != again ] || retries=
	# shellcheck disable=SC2046,SC2086
	"$xfer" $client_set $soon "$2" $retries $(transfer_line "$2" "$3") >"$out" 2>"$err" &
	client=$!
	chance $longest
	sleep "$(printf '0.%03d' "$chance")"
	if [ "$1" = client ]; then
		kill -KILL $client 2>/dev/null
	else
		kill -KILL "$worker" 2>/dev/null
	fi
	status=0
	timeout "$hang" tail -s 0.02 -f /dev/null --pid=$client || kill -KILL $client
	wait $client 2>/dev/null || status=$?
	kills=$((kills + 1))
	if [ "$1" = client ]; then
		settled || wrong "the daemon does not end the session"
		moved=$((moved + $(moved_by_log "$lines")))
	else
		part=$(number received)
		moved=$((moved + ${part:-0}))
	fi
}

# over WHAT: it is there, and nothing is left of how it came.
over() {
	whole "$1" && [ -z "$(leftovers "$into")" ]
}

one() {
	chance 2
	[ "$chance" = 0 ] && verb="get" || verb="put"
	chance 3
	case $chance in
	0) what="file" ;;
	1) what="tree" ;;
	*) what="merge" ;;
	esac
	fresh $what
	moved=0
	rounds=0
	status=1
	: >"$tmp/there"
	broken=
	# One in four is killed once more.
	chance=0
	while [ "$chance" = 0 ] && [ $rounds -lt 4 ]; do
		need_worker
		chance 3
		case $chance in
		0) side=client ;;
		1) side=daemon ;;
		*) side=again ;;
		esac
		broken="$broken $side"
		point_now="$verb $what$broken"
		broken_run $side $verb $what
		rounds=$((rounds + 1))
		# Who goes on by itself has to come to the end of it; but the first connection is tried once.
		if [ $side = again ] && [ $status != 0 ] && { [ -n "$(claimed)" ] || grep -q 'lost: ' "$err"; }; then
			wrong "the client does not go on by itself: status $status"
			return
		fi
		# Killed behind the end, when nothing was left to do: it is over, and the same command is another transfer.
		[ $side != client ] || ! over $what || status=0
		[ $status != 0 ] || break
		appears $what || wrong "what stands under a final name is not complete"
		chance 4
	done
	if [ $status != 0 ]; then
		claims=$(claimed)
		again $verb $what
		received=$(number received)
		moved=$((moved + ${received:-0}))
		[ "${claims:-0}" = 0 ] || resumed=$((resumed + 1))
		if [ $status != 0 ]; then
			wrong "the same command again: status $status"
			return
		elif [ "${received:-0}" -gt $(($(total $what) - ${claims:-0})) ]; then
			wrong "the same command again moved $received bytes, although the journal claimed $claims"
		fi
	fi
	whole $what || wrong "all went well, and it is not the same"
	[ -z "$(leftovers "$into")" ] || wrong "something is left"
	if [ "$moved" -gt $(($(total $what) + rounds * window)) ]; then
		wrong "$moved bytes were moved, of $(total $what)"
	fi
	most=$((moved - $(total $what) > most ? moved - $(total $what) : most))
}

failures=0
kills=0
most=0
resumed=0
while [ $kills -lt "$times" ] && [ $failures -lt "${XFER_FAULTS_ENOUGH:-5}" ]; do
	one
done
is "$failures" 0 "$kills kills at any time"
diag "$resumed transfers began again with what a journal claimed; at most $most bytes were moved twice in one transfer"
done_testing
