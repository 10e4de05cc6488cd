#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Many clients that rest, read or put one byte a second, and a good one that should not notice: with the limits that the
# daemon has by default. And what one that rests costs. `make check` asks for 300 of them and only that all is well; `make check-faults` (XFER_MANY=10000)
# for nine tenths of the speed as well, over medians, since machines are noisy.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/many.sh"

count=${XFER_MANY:-300}
rounds=${XFER_MANY_ROUNDS:-1}
size=268435456
patience=300

# Two descriptors for each: its own, and one for what it reads. (Not in POSIX, but in the shells that there are.)
# shellcheck disable=SC3045
ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC3045
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt $((count + 300)) ]; then
	ulimit -n $((2 * count + 600)) 2>/dev/null ||
		skip_all "the limit of open files is $(ulimit -n), and $((count + 300)) are needed"
fi
# In memory where there is some, so that it is the daemon that is measured.
if [ -d /dev/shm ] && [ "$(df -k --output=avail /dev/shm | tail -n 1)" -gt $((3 * size / 1024)) ]; then
	fast=$(mktemp -d /dev/shm/xfer-test.XXXXXX)
	trap 'rm -rf "$fast"; clean_up' EXIT
else
	fast=$tmp
fi

mkdir "$fast/pub" "$fast/in"
make_file "$fast/pub/big" $size
echo small >"$fast/pub/small"
write_config "$tmp/xferd.ini" "$fast/pub"
cat >>"$tmp/xferd.ini" <<-END
	[export.in]
	path = $fast/in
	access = read-write
	[pipeline]
	integrity = sha256, none
END
# Those many say nothing of themselves: they would be dead in 4 s, and asked for it all the time.
need_daemon -c "$tmp/xferd.ini" --set liveness.udp.dead-after=10m --set liveness.udp.interval=1m
worker=$(worker_pid 0)

# good: milliseconds that a get of 256 MiB takes; added to the file $1.
good() {
	good_began=$(date +%s%N)
	"$xfer" -q --no-progress get "xfer://$daemon_address/pub/big" "$fast/got" 2>"$err"
	good_status=$?
	echo $((($(date +%s%N) - good_began) / 1000000)) >>"$1"
	cmp "$fast/pub/big" "$fast/got" 2>>"$err" || good_status=99
	rm -f "$fast/got"
	[ $good_status = 0 ]
}
# several FILE: three, where medians are asked for.
several() {
	good "$1" && { [ "$rounds" = 1 ] || { good "$1" && good "$1"; }; }
}
median() {
	sort -n "$1" | sed -n "$((($(wc -l <"$1") + 1) / 2))p"
}
# All of the daemon, in KiB.
pss() {
	sed -n 's/^Pss:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$daemon_pid/smaps_rollup" "/proc/$worker/smaps_rollup" |
		awk '{ sum += $1 } END { print sum }'
}
# Processor time of the worker, in hundredths of a second where a tick is one.
ticks() {
	sed 's/.*) //' "/proc/$worker/stat" | awk '{ print $12 + $13 }'
}

# How often the loop of the worker went to sleep.
switches() {
	sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$worker/task/$worker/status"
}

# beside NAME MODE ARGUMENTS...: the good client's speed without and with so many of that kind.
beside() {
	name=$1
	mode=$2
	shift 2
	rm -f "$tmp/alone" "$tmp/beside"
	all=yes
	for round in $(seq "$rounds"); do
		several "$tmp/alone" || all=no
		rested=$(pss)
		if ! begin_many -n "$count" "$@"; then
			not_ok "$name: $count sessions"
			return
		fi
		[ "$mode" = idle ] || wait_line "$many_out" '^moving ' "$many_pid" >/dev/null || all=no
		[ "$round" != 1 ] || grew=$(($(pss) - rested))
		several "$tmp/beside" || all=no
		end_many
		grep -q "^there $count of $count\$" "$out" || all=no
	done
	is $all yes "$name: all of $count stay, and the good client gets its file"
	[ $all = yes ] || diag_file "$out"
	diag "$name: memory of the worker grows by $((grew * 1024 / count)) bytes for each"
	ratio=$(($(median "$tmp/alone") * 100 / $(median "$tmp/beside")))
	diag "$name: a get of 256 MiB takes $(median "$tmp/alone") ms alone, $(median "$tmp/beside") ms beside them: $ratio %"
	if [ "$rounds" -gt 1 ]; then
		check "$name: the good client has nine tenths of its speed ($ratio %)" test $ratio -ge 90
	fi
}

beside idle idle idle "$daemon_port"
beside "one byte a second read" read read "$daemon_port" pub/big $size
beside "one byte a second put" put put "$daemon_port" in/
stop_daemon
is "$daemon_status" 0 "the daemon stops"

# With heartbeats as everybody has them, and nothing asked for. Some come and go before, for what the first ones cost.
# What a table has too much when it has just grown counts too.
resting=$((count > 3000 ? count : 3000))
# shellcheck disable=SC3045
files=$(ulimit -n)
[ "$files" = unlimited ] || [ "$files" -ge $((2 * resting + 600)) ] || resting=$count
need_daemon -c "$tmp/xferd.ini"
worker=$(worker_pid 0)
begin_many -n 100 -l udp -H idle "$daemon_port"
end_many
rested=$(pss)
check "$resting with heartbeats" begin_many -n $resting -l udp -H idle "$daemon_port"
grew=$((($(pss) - rested) * 1024 / resting))
diag "heartbeats: memory of the daemon grows by $grew bytes for each of $resting"
if sanitized; then
	skip "a session at rest is a KiB" "a sanitizer takes memory of its own"
else
	check "a session at rest is no more than a KiB ($grew bytes)" test $grew -le 1024
fi
# The more they are, the less is it worth to be woken by each of them.
slept=$(switches)
if [ "$rounds" -gt 1 ]; then
	spent=$(ticks)
	sleep 10
	spent=$((($(ticks) - spent) * 10 / $(getconf CLK_TCK)))
	check "heartbeats: less than 15 % of a processor ($spent %)" test $spent -lt 15
	asked=$((resting * 20))
else
	sleep 1
	asked=$((resting * 2))
fi
slept=$(($(switches) - slept))
if [ "$resting" -lt 3000 ]; then
	skip "heartbeats do not wake the daemon each" "they would have to be 3,000, not $resting"
else
	check "heartbeats do not wake the daemon each ($slept times by $asked)" test $slept -lt $((asked / 2))
fi
run "$xfer" ping -c 5 -i 100ms "$daemon_address"
is "$status" 0 "somebody else's heartbeats are answered between theirs"
like_file "$out" 'by udp heartbeat' "... as datagrams"
end_many
like_file "$out" "^there $resting of $resting\$" "all of them stay"
diag "$(grep '^heartbeats' "$out")"
# It goes back to being woken, else this would be a look each millisecond for ever.
sleep 0.3
slept=$(switches)
sleep 0.5
slept=$(($(switches) - slept))
check "whom nobody asks sleeps ($slept times in half a second)" test $slept -lt 100
run "$xfer" ping -q -c 2 -i 100ms "$daemon_address"
is "$status" 0 "and whoever asks then is answered"
stop_daemon
unlike "$(cat "$daemon_log")" ' error: ' "nothing went wrong"

done_testing
