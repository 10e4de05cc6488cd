#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A reader of standard output who has seen enough: nothing is said, and what only prints ends. A full disk is an error.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

pub=$tmp/pub
mkdir -p "$pub/many"
make_file "$pub/file" 3000000
(cd "$pub/many" && seq -f 'name-%05.0f' 15000 | xargs touch)
write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# The signal as a user's shell has it, whatever this test was started with.
default=
if env --default-signal=PIPE true 2>/dev/null; then
	default="env --default-signal=PIPE"
fi

# unread LINES ARGUMENTS...: xfer, of which somebody reads that many lines and goes. Its status in $status, or 124.
unread() {
	lines=$1
	shift
	{
		code=0
		# shellcheck disable=SC2086
		timeout "$patience" $default "$xfer" "$@" 2>"$err" || code=$?
		echo $code >"$tmp/status"
	} | head -n "$lines" >"$out"
	# The reader may end first.
	await test -s "$tmp/status"
	status=$(cat "$tmp/status")
	rm -f "$tmp/status"
}

unread 2 ping -i 50ms "$daemon_address"
is "$status" 0 "a ping without an end ends with its reader"
is "$(wc -l <"$out")" 2 "... who got what it wanted"
is "$(cat "$err")" "" "... and nothing is said"
unread 2 ping --json -i 50ms "$daemon_address"
is "$status$(cat "$err")" 0 "--json: too"
unread 1 ls "$url/many"
is "$status$(cat "$err")" 0 "a long listing"
is "$(wc -l <"$out")" 1 "... of which one line was read"
unread 1 ls -lR "$url"
is "$status$(cat "$err")" 0 "a listing that is not sorted"
unread 1 digest --chunk-size 1K "$pub/file" "$pub/file" "$pub/file"
is "$status$(cat "$err")" 0 "digests"

# What does more than print does it.
unread 0 get --no-progress -v "$url/file" "$tmp/file"
is "$status$(cat "$err")" 0 "a get goes on without a reader"
check "... and the file is whole" cmp "$pub/file" "$tmp/file"
unread 0 get --no-progress --json "$url/many" "$tmp/many"
is "$status$(cat "$err")" 0 "a get of a tree, too"
is "$(find "$tmp/many" -type f | wc -l)" 15000 "... and the tree is whole"
unread 0 get --no-progress -v "$url/nothing" "$tmp/nothing"
is "$status" 4 "what fails, fails"

if [ -w /dev/full ]; then
	# full WORD...: with a full disk behind standard output
	full() {
		status=0
		timeout "$patience" "$xfer" "$@" >/dev/full 2>"$err" || status=$?
		is "$status" 7 "a full disk: $1: status"
		is "$(cat "$err")" "xfer: cannot write to standard output: Input/output error" "... and the message, once"
	}
	full ping -i 50ms "$daemon_address"
	full ls "$url/many"
	full digest "$pub/file"
else
	skip "a full disk" "there is no /dev/full"
fi
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
