#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The limits of [daemon]: who meets one is told which, the client's status says so, and everybody else is served.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/many.sh"
command -v perl >/dev/null || skip_all "there is no perl"

peer=$top_srcdir/tests/tap/peer.pl
mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
head -c 16M /dev/zero >"$tmp/pub/big"
write_config "$tmp/xferd.ini" "$tmp/pub"
long="--set liveness.udp.dead-after=10m --set liveness.none.dead-after=10m"

# refused NAME ERE: one more session is refused.
refused() {
	run "$xfer" ls "xfer://$daemon_address/pub/"
	is "$status" 4 "$1: status 4"
	like_file "$err" "$2" "$1: the message"
	is "$(wc -l <"$err")" 1 "$1: in one line"
}
served() {
	run "$xfer" ls "xfer://${2:-$daemon_address}/pub/"
	is "$status" 0 "$1"
	[ "$status" = 0 ] || diag_file "$err"
}
logged() {
	if timeout "$patience" tail -n +1 -s 0.02 -f "$daemon_log" | grep -Eq -m 1 -e "$1"; then
		ok "$2"
	else
		not_ok "$2" "wanted in the log: $1"
	fi
}

# ---- sessions --------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.sessions=4 --set daemon.sessions-per-address=10 $long
check "as many sessions as there may be" begin_many -n 4 idle "$daemon_port"
refused "one more" "says: 4 sessions are open, the limit of \[daemon\] sessions"
refused "and again" "says: 4 sessions are open, the limit of \[daemon\] sessions"
end_many
like_file "$out" '^there 4 of 4$' "those who were there stay"
await sh -c "'$xfer' -q ls 'xfer://$daemon_address/pub/'"
served "there is room again"
is "$(grep -c 'warn: ' "$daemon_log")" 1 "the log has one line, whoever asks how often"
like_file "$daemon_log" 'warn: connections refused: 1: 4 sessions are open' "which says what it was"

# A hundred times as many: most are not even told.
check "400 at once" begin_many -n 400 idle "$daemon_port"
end_many
like_file "$out" '^there [0-4] of 400$' "400 at once: no more than there may be"
like_file "$out" '^ended [0-9]+: limit: 4 sessions are open' "400 at once: some are told"
await sh -c "'$xfer' -q ls 'xfer://$daemon_address/pub/'"
served "400 at once: there is room again"
stop_daemon
is "$daemon_status" 0 "the daemon stops"

# ---- sessions of an address ------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.sessions=8 --set daemon.sessions-per-address=2 $long \
	--set "daemon.listen=127.0.0.1:0"
check "as many as an address may have" begin_many -n 2 idle "$daemon_port"
refused "one more of it" "says: 2 sessions of this address are open, the limit of \[daemon\] sessions-per-address"
first_many=$many_pid
exec 7>&8
check "others have theirs" begin_many -n 6 -s idle "$daemon_port"
end_many
like_file "$out" '^there 6 of 6$' "others keep theirs"
exec 7>&-
wait $first_many
await sh -c "'$xfer' -q ls 'xfer://$daemon_address/pub/'"
served "there is room again for the first"
stop_daemon

# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set daemon.sessions=4 $long
check "an address has three quarters" begin_many -n 3 idle "$daemon_port"
refused "and no more" "says: 3 sessions of this address are open"
end_many
stop_daemon

# ---- open files ------------------------------------------------------------------------------------------------------

if [ "$(id -u)" = 0 ]; then
	# Without the right to raise it, which root has.
	few="setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource sh -c"
	command -v setpriv >/dev/null || few=
else
	few="sh -c"
fi
if [ -n "$few" ]; then
	real_xferd=$xferd
	# shellcheck disable=SC2016
	printf '#!/bin/sh\nexec %s '\''ulimit -n 64 && exec "%s" "$@"'\'' sh "$@"\n' "$few" "$xferd" >"$tmp/xferd"
	chmod +x "$tmp/xferd"
	xferd=$tmp/xferd
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $long
	is "$(grep -c 'sessions at most' "$daemon_log")" 0 "a limit of open files below the default is not talked about"
	stop_daemon
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $long --set daemon.sessions=20000
	xferd=$real_xferd
	logged "32 sessions at most, not the 20000 of \[daemon\] sessions: the limit of open files is 64" \
		"a limit of open files below the sessions that are wanted is said at the start"
	check "as many sessions as it leaves room for" begin_many -n 32 -s idle "$daemon_port"
	refused "one more than fits" "says: 32 sessions are open, the daemon's limit of open files"
	end_many
	await sh -c "'$xfer' -q ls 'xfer://$daemon_address/pub/'"
	served "there is room again"
	stop_daemon
else
	skip "a limit of open files" "there is no setpriv"
fi

# ---- deadlines -------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $long --set daemon.hello-timeout=500ms --set daemon.idle-timeout=1s \
	--set core.log-level=debug
perl "$peer" connect "$daemon_port" >"$tmp/heard" 2>&1
like_file "$tmp/heard" '^3 .*did not say hello in time' "who says nothing is told"
is "$(tail -n 1 "$tmp/heard")" closed "and closed"

perl "$peer" listen "$tmp/port" "take=$tmp/hello" end >"$tmp/heard" 2>&1 &
listener=$!
remember $listener
await test -s "$tmp/port"
run "$xfer" ls --set pipeline.liveness=none "xfer://127.0.0.1:$(cat "$tmp/port")/pub/"
wait $listener
before=$(grep -Ec ' (warn|error): ' "$daemon_log")
perl "$peer" connect "$daemon_port" "file=$tmp/hello" take= >"$tmp/heard" 2>&1
like_file "$tmp/heard" '^4 .*nothing was asked for 1s \(idle-timeout\)' "who asks for nothing is asked to go"
is "$(cat "$tmp/heard" | wc -l)" 2 "without an error"
is "$(tail -n 1 "$tmp/heard")" closed "and closed in order"
is "$(grep -Ec ' (warn|error): ' "$daemon_log")" "$before" "which is no matter for the log"

run "$xfer" ping -i 0.2 "$daemon_address"
is "$status" 0 "ping ends with an idle session: status 0"
like_file "$out" '[1-9][0-9]* received' "and has its sum"

stop_daemon

# Whoever moves, however slowly, is neither idle nor stalled.
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $long --set daemon.stall-after=2s --set daemon.idle-timeout=2s --set core.log-level=debug
"$xfer" -q --no-progress --limit-rate 4M --set pipeline.chunk-size=64K get "xfer://$daemon_address/pub/big" "$tmp/got" \
	2>"$tmp/slow.err" &
client=$!
remember $client
# One byte in an hour is none in a second.
begin_many -n 3 read "$daemon_port" pub/big 16777216 || not_ok "clients that do not read"
logged 'session of 127.0.0.1:[0-9]+ ended: 127.0.0.1:[0-9]+ did not take what it asked for in 2s \(stall-after\)' \
	"who does not take what it asked for is ended, and the log says so"
await sh -c "[ \"\$(grep -c 'in 2s (stall-after)' '$daemon_log')\" = 3 ]"
status=0
wait $client || status=$?
is "$status" 0 "a slow transfer goes on beside it, and comes to its end"
logged 'file=pub/big .* ms=([2-9]|[1-9][0-9]+)[0-9]{3} .*result=ok' "though it took longer than that"
check "with the right content" cmp "$tmp/pub/big" "$tmp/got"
end_many
stop_daemon

done_testing
