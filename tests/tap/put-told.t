#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A worker, or a client, that is killed when everything is published and not everybody knows of it: what is there does not
# move again, wherever it went, and nothing of ours is left once somebody was told.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/faults/points.sh"
begin_points

# command VERB WHAT: what is run. `new` is the tree, to a name of its own.
command_line() {
	case "$1 $2" in
	"get new") echo "$url/from/tree $into/tree" ;;
	"put new") echo "$from/tree $url/into/tree" ;;
	*) transfer_line "$1" "$2" ;;
	esac
}

# once SIDE VERB WHAT RETRIES ARGUMENTS...: the command under the driver.
once() {
	once_of="-p $worker"
	[ "$1" != client ] || once_of=
	once_verb=$2
	once_what=$3
	once_retries=$4
	shift 4
	# shellcheck disable=SC2046,SC2086
	run $traced "$syscalls" -t $hang -o "$tmp/report" $once_of "$@" "$xfer" $client_set --limit-rate 40M $soon \
		"$once_verb" $once_retries $(command_line "$once_verb" "$once_what")
}

# no_more NAME WHAT BYTES: it is all there, nothing of ours is left, and that many bytes moved at most.
no_more() {
	received=$(number received)
	is "$status" 0 "$1: status"
	[ "$status" = 0 ] || diag_file "$err"
	check "$1: ${received:-?} bytes moved of $3 at most" test "${received:-$(($3 + 1))}" -le "$3"
	check "$1: the same" whole "$2"
	is "$(leftovers "$into")" "" "$1: nothing of ours is left"
	is "$(find "$into" -mindepth 1 -maxdepth 1 | wc -l)" 1 "$1: nor is it there twice"
}

# Where the line of the transfer is made for the log: behind all work, before the DONE.
told=getpid:1

for what in file merge new; do
	points="$told:kill-after unlinkat:1:kill-after"
	[ $what != new ] || points="$points unlinkat:1:kill"
	for point in $points; do
		name="put $what, the worker is killed at $point"
		for _ in 1 2 3 4 5 6 7 8; do
			# One that lost no worker yet, so that the next one comes at once.
			fresh_daemon
			fresh $what
			once daemon put $what "" -k "${point%:*}" -d "${point##*:}"
			! grep -q '^reached' "$tmp/report" || break
		done
		check "$name" grep -q '^reached' "$tmp/report"
		case $point in
		unlinkat*) moves=$(total $what) ;; # over the first session, which said DONE
		*) moves=0 ;;
		esac
		no_more "$name" $what "$moves"
	done
	# The client is lost, too: the same command again.
	fresh_daemon
	fresh $what
	once daemon put $what "--retry-for 0" -k "$told" -d kill-after
	check "put $what, the client does not go on" grep -q '^reached' "$tmp/report"
	need_worker
	# shellcheck disable=SC2046,SC2086
	run timeout -s KILL "$hang" "$xfer" $client_set $soon put $(command_line put $what)
	no_more "put $what, the same command again" $what 0
	fresh $what
	once client get $what "--retry-for 0" -k unlinkat:1 -d kill
	check "get $what, the client is killed" grep -q '^reached' "$tmp/report"
	# shellcheck disable=SC2046,SC2086
	run timeout -s KILL "$hang" "$xfer" $client_set $soon get $(command_line get $what)
	no_more "get $what, the same command again" $what 0
done
done_testing
