#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A transfer is killed at each system call of one side; then the same command again has to end with all of it, move no
# chunk that the journal claimed, and leave nothing of ours.
#
#   sh tests/faults/kill.sh                             each point of each side, verb and kind of source
#   XFER_FAULTS_POINTS=3 sh tests/faults/kill.sh        so many of each, by chance
#   sh tests/faults/kill.sh daemon put tree             the points of these
#   sh tests/faults/kill.sh daemon put tree pwritev:2 kill      only this one
#
# Run in the build folder. Each point is a call that is not made (kill) or made and not seen to be (kill-after).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/faults/points.sh"
begin_points

# kill_at SIDE VERB WHAT POINT DEED: fails when the point was not reached.
kill_at() {
	need_worker
	fresh "$3"
	first_run "$1" "$2" "$3" -k "$4" -d "$5"
	grep -q '^reached' "$tmp/report" || return 1
	if [ "$status" = 124 ]; then
		wrong "the first run hangs"
		return 0
	fi
	# A session of the daemon that has lost its client may have all that it needs, and ends its work.
	if [ "$1" = client ] && ! settled; then
		wrong "the daemon does not end the session: $(descriptors) descriptors, not $idle"
		fresh_daemon
	fi
	appears "$3" || wrong "what stands under a final name is not complete"
	claims=$(claimed)
	again "$2" "$3"
	received=$(number received)
	if [ "$status" != 0 ]; then
		wrong "the same command again: status $status"
	elif ! whole "$3"; then
		wrong "the same command again: status 0, and it is not the same"
	elif [ -n "$(leftovers "$into")" ]; then
		wrong "the same command again: something is left"
	elif [ "${received:-0}" -gt $(($(total "$3") - ${claims:-0})) ]; then
		wrong "the same command again moved $received bytes, although the journal claimed $claims"
	fi
}

# sweep SIDE VERB WHAT
sweep() {
	record "$1" "$2" "$3" || return
	some "$points" >"$points.some"
	while read -r point; do
		deeds="kill kill-after"
		if [ -n "$sample" ]; then
			chance 2
			[ "$chance" = 0 ] && deeds="kill" || deeds="kill-after"
		fi
		echo "$point $deeds"
	done <"$points.some" >"$points.deeds"
	each_point "$1" "$2" "$3" "$points.deeds" kill_at
}

case $# in
0) each_sweep sweep ;;
3) sweep "$@" ;;
5)
	echo "$4 $5" >"$tmp/one"
	each_point "$1" "$2" "$3" "$tmp/one" kill_at
	;;
*) bail_out "usage: kill.sh [SIDE VERB WHAT [POINT kill|kill-after]]" ;;
esac
done_testing
