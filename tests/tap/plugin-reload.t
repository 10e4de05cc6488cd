#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A plug-in that is replaced on disk, by rename: a reload takes it over, or says why it does not.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates

mkdir "$tmp/pub" "$tmp/plugins"
make_file "$tmp/pub/file" 100000
make_file "$tmp/pub/large" 8000000
built=$top_builddir/plugins/.libs
cp "$built"/*.so "$tmp/plugins"
object=$tmp/plugins/integrity-sha256.so
write_config "$tmp/xferd.ini" "$tmp/pub"
printf '[core]\nplugin-dir = %s\n' "$tmp/plugins" >>"$tmp/xferd.ini"
# shellcheck disable=SC2086 # several words
need_daemon -c "$tmp/xferd.ini" $patient
wait_line "$daemon_log" 'worker ready' "$daemon_pid" >"$tmp/seen"

reloads=0
reload() {
	reloads=$((reloads + 1))
	kill -HUP "$daemon_pid"
	result=$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $reloads | tail -n 1)
}

# replace FILE: the plug-in, as an administrator should.
replace() {
	cp "$1" "$tmp/plugins/new"
	chmod 644 "$tmp/plugins/new"
	mv "$tmp/plugins/new" "$object"
}

# mapped PID: the inodes of the file that it has loaded.
mapped() {
	awk '/integrity-sha256\.so/ { print $5 }' "/proc/$1/maps" | sort -u
}

begin_large() {
	rm -rf "$tmp/large" "$tmp"/.xfer-*
	# shellcheck disable=SC2086 # several words
	begin_stopped "$tmp/large" $patient get "xfer://$daemon_address/pub/large" "$tmp/large"
}

# end_large NAME
end_large() {
	resume
	status=0
	wait "$standing_pid" || status=$?
	is "$status" 0 "$1: the transfer that ran is done"
	check "$1: every byte" cmp "$tmp/pub/large" "$tmp/large"
	is "$(cat "$tmp/standing.err")" "" "$1: and its user noticed nothing"
}

# ---- a sound one ----

before=$(pgrep -P "$daemon_pid")
is "$(mapped "$before")" "$(stat -c %i "$object")" "the first worker has loaded the file"
begin_large
replace "$built/integrity-sha256.so"
reload
like "$result" 'reloaded$' "a plug-in that was replaced: reloads"
after=$(pgrep -P "$daemon_pid" | grep -vx "$before")
is "$(mapped "$after")" "$(stat -c %i "$object")" "the new worker has loaded the new file"
unlike "$(mapped "$before")" "^$(stat -c %i "$object")\$" "the old one keeps what it had"
end_large "reloaded"

# ---- what is none ----

lines_before() { wc -l <"$daemon_log"; }
# unfit NAME ERE: the reload fails with it, and nothing else happens.
unfit() {
	worker=$(pgrep -P "$daemon_pid")
	seen=$(lines_before)
	reload
	like "$result" "reload failed, the daemon serves on as before: .*integrity-sha256\.so: .*$2" "$1: the log says why"
	is "$(tail -n +$((seen + 1)) "$daemon_log" | grep -vc 'info: reloading$')" 1 "$1: in one line"
	is "$(pgrep -P "$daemon_pid")" "$worker" "$1: the worker stays"
	run "$xfer" --no-progress get -q "xfer://$daemon_address/pub/file" "$tmp/got"
	is "$status" 0 "$1: and serves"
}
await sh -c "[ \$(pgrep -c -P $daemon_pid) = 1 ]"
begin_large
echo "this is no plug-in at all, nor has it ever been one, and nobody believes it" >"$tmp/text"
replace "$tmp/text"
unfit "a text" 'invalid ELF header'
end_large "a text"
: >"$tmp/empty"
replace "$tmp/empty"
unfit "an empty file" 'file too short'
replace "$top_builddir/tests/plugins/broken/integrity-bad-answer.so"
unfit "a wrong digest" 'it failed a known answer of 3 bytes'
replace "$built/liveness-udp.so"
unfit "another kind" 'wrong kind'
rm "$object"
unfit "none at all" 'No such file'

replace "$built/integrity-sha256.so"
reload
like "$result" 'reloaded$' "when it is sound again: reloads"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
