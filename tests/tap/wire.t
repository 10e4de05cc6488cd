#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A network that damages what it carries: every flipped bit of a chunk is seen, nothing that is damaged is taken, and
# transfers end with what was sent, repaired or resumed. XFER_WIRE=long: all of it (make check-faults-wire).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

damage=$top_builddir/tests/faults/damage
proxy=$top_builddir/tests/faults/proxy
[ -x "$damage" ] && [ -x "$proxy" ] || skip_all "tests/faults is not built"
XFER_FAULTS_SEED=${XFER_FAULTS_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
export XFER_FAULTS_SEED
diag "XFER_FAULTS_SEED=$XFER_FAULTS_SEED"

if [ "${XFER_WIRE:-}" = long ]; then
	flips=
	random=100000
	rounds=10
	files=8
else
	flips=300
	random=1000
	rounds=1
	files=3
fi

# ---- in the process ----

for integrity in sha256 crc32; do
	# shellcheck disable=SC2086 # none, or one
	run "$damage" flips $integrity $flips
	is "$status" 0 "flipped bits, $integrity: none is missed ($(tail -n 1 "$out"))"
	run "$damage" random $integrity $random
	is "$status" 0 "anything, $integrity: nothing is missed ($(tail -n 1 "$out"))"
done
# What the manual says of `none`: the heads are guarded, the payload is not.
run "$damage" flips none 100
is "$(sed -n 's/.* \([0-9]*\) missed$/\1/p' "$out")" 100 "flipped bits, none: each in the payload is missed, and no other"

# ---- on the way ----

from=$tmp/from
into=$tmp/into
mkdir -p "$from/tree/sub" "$into"
for n in $(seq $files); do
	make_file "$from/tree/$n" $((3000000 + n * 12345))
	make_file "$from/tree/sub/$n" $((n * 3000))
done
cat >"$tmp/xferd.ini" <<-END
	[daemon]
	listen = 127.0.0.1:0
	[export.from]
	path = $from
	[export.into]
	path = $into
	access = read-write
END
# In-band, so that something comes behind bytes that vanished: on a silent connection nobody could tell.
in_band="--set pipeline.liveness=none --set liveness.none.interval=100ms --set liveness.none.dead-after=10s
	--set pipeline.chunk-size=64K"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $in_band

# begin_proxy ARGUMENTS...; end_proxy
begin_proxy() {
	proxy_out=$(mktemp "$tmp/proxy-XXXXXX")
	rm -f "$tmp/proxy.in"
	mkfifo "$tmp/proxy.in"
	"$proxy" "$@" "$daemon_port" <"$tmp/proxy.in" >"$proxy_out" &
	proxy_pid=$!
	remember $proxy_pid
	exec 7>"$tmp/proxy.in"
	proxy_port=$(wait_line "$proxy_out" '^listening on ' $proxy_pid)
	proxy_port=${proxy_port##* }
}
end_proxy() {
	exec 7>&-
	wait $proxy_pid
	grep -v '^listening' "$proxy_out" | sed 's/ .*//' >>"$tmp/happened"
}

# through NAME VERB ARGUMENTS...: the tree goes through the proxy; the same command again where it was given up. Whatever is
# under a final name is right, and at the end all is there.
through() {
	through_name=$1
	through_verb=$2
	shift 2
	# The daemon holds the folder itself open.
	rm -rf "$HOME/.local"
	find "$into" -mindepth 1 -delete
	if [ "$through_verb" = get ]; then
		set -- "$@" get "xfer://127.0.0.1:$proxy_port/from/tree" "$into"
	else
		set -- "$@" put "$from/tree" "xfer://127.0.0.1:$proxy_port/into"
	fi
	for again in 1 2 3 4 5 6 7 8 9 10; do
		# shellcheck disable=SC2086
		run timeout -s KILL 120 "$xfer" $in_band --no-progress --json "$@"
		case $status in
		0) break ;;
		# Given up by this end, or by the other. (The tree is new: nothing of it is to be seen.)
		1 | 3 | 5 | 6) [ ! -e "$into/tree" ] || break ;;
		*) break ;;
		esac
		attempts=$((attempts + 1))
	done
	repaired=$((repaired + $(sed -n 's/.*"type": *"summary".*"repaired": *\([0-9]*\).*/\1/p' "$out" | tail -n 1)))
	if [ $status != 0 ] || ! same_tree "$from/tree" "$into/tree" >"$tmp/check" || [ -n "$(leftovers "$into")" ]; then
		wrong=$((wrong + 1))
		diag "$through_name: status $status in try $again"
		diag_file "$err"
		diag_file "$proxy_out"
		diag_file "$tmp/check"
	fi
}

# corrupted NAME KINDS BYTES INTEGRITY: some rounds of get and put.
corrupted() {
	wrong=0
	repaired=0
	attempts=0
	: >"$tmp/happened"
	for round in $(seq $rounds); do
		for verb in get put; do
			begin_proxy -s $((XFER_FAULTS_SEED + round)) -e "$3" -k "$2"
			through "$1, $verb, round $round" $verb --integrity "$4"
			end_proxy
		done
	done
	is $wrong 0 "$1: all come, right, in the end"
	# So few of them may by chance be of few kinds.
	[ "${XFER_WIRE:-}" = long ] && kinds=${#2} || kinds=1
	check "$1: something happened, of each kind" test "$(sort -u "$tmp/happened" | wc -l)" -ge "$kinds"
	diag "$(sort "$tmp/happened" | uniq -c | tr -s ' \n' ' '); $repaired chunks repaired, $attempts commands given again"
}

corrupted "flipped bits, sha256" f 200000 sha256
check "flipped bits, sha256: chunks were asked for again" test $repaired -gt 0
corrupted "flipped bits, crc32" f 200000 crc32
check "flipped bits, crc32: chunks were asked for again" test $repaired -gt 0
corrupted "anything, sha256" fdrst 700000 sha256

stop_daemon
is "$daemon_status" 0 "stops"
is "$(grep -c 'worker died' "$daemon_log")" 0 "no worker died"
done_testing
