#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SIGHUP tries all that a worker needs: threads, memory and exports that cannot be had change nothing.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub" "$tmp/more"
make_file "$tmp/pub/file" 100000
make_file "$tmp/pub/large" 3000000
ini=$tmp/xferd.ini
workers=2
write_config "$ini" "$tmp/pub"
cp "$ini" "$tmp/good.ini"

# A limit of address space, of which no sanitizer would leave enough.
limited=yes
if sanitized; then
	limited=
else
	printf '#!/bin/sh\nulimit -v 2000000 && exec "%s" "$@"\n' "$xferd" >"$tmp/xferd"
	chmod +x "$tmp/xferd"
	xferd=$tmp/xferd
fi
patient="--set liveness.udp.dead-after=10m"
# shellcheck disable=SC2086 # several words
need_daemon -c "$ini" $patient
wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"

reloads=0
reload() {
	reloads=$((reloads + 1))
	kill -HUP "$daemon_pid"
	result=$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $reloads | tail -n 1)
}

# changes_nothing NAME ERE: a reload of what $ini is now.
changes_nothing() {
	before=$(pgrep -P "$daemon_pid" | sort)
	lines=$(wc -l <"$daemon_log")
	reload
	like "$result" "reload failed, the daemon serves on as before: $2" "$1: the log says why"
	is "$(tail -n +$((lines + 1)) "$daemon_log" | grep -vcE 'info: (reloading$|transfer )')" 1 "$1: in one line"
	is "$(pgrep -P "$daemon_pid" | sort)" "$before" "$1: the workers stay"
	run "$xfer" -q get "xfer://$daemon_address/pub/file" "$tmp/got"
	is "$status" 0 "$1: and serve"
	cp "$tmp/good.ini" "$ini"
}

# setting SECTION LINE: $ini with one line more.
setting() {
	sed "s/^\[daemon\]\$/[$1]\n$2\n&/" "$tmp/good.ini" >"$ini"
}

# ---- while somebody is served ------------------------------------------------------------------------------------------

# shellcheck disable=SC2086 # several words
"$xfer" --no-progress $patient --limit-rate 1M get "xfer://$daemon_address/pub/large" "$tmp/large" >/dev/null 2>"$tmp/said" &
get=$!
remember $get
await sh -c "[ -n \"\$(find '$tmp' -maxdepth 1 -name '.xfer-*' -size +100k)\" ]"
# However long the following takes, it is in the middle.
kill -STOP $get

printf '[export.more]\npath = %s\n' "$tmp/nowhere" >>"$ini"
changes_nothing "an export that is not there" "export more: cannot open the folder \"$tmp/nowhere\": No such file or directory\$"
printf '[export.more]\npath = %s\n' "$tmp/pub/file" >>"$ini"
changes_nothing "an export that is no folder" "export more: .*: Not a directory\$"
if [ -n "$limited" ]; then
	setting core 'threads = 1000'
	changes_nothing "threads that cannot be had" 'cannot start thread [0-9]+ of 1000 of the [a-z]+ pool: '
	setting pipeline 'memory = 4G'
	changes_nothing "memory that cannot be had" 'the system does not give the 4G of \[pipeline\] memory: '
else
	skip "threads and memory that cannot be had" "a sanitizer wants more than any limit leaves"
fi

kill -CONT $get
status=0
wait $get || status=$?
is "$status" 0 "the transfer that ran all the time is done"
check "... every byte" cmp "$tmp/pub/large" "$tmp/large"
is "$(cat "$tmp/said")" "" "... and its user noticed nothing"

printf '[export.more]\npath = %s\n' "$tmp/more" >>"$ini"
reload
like "$result" 'reloaded$' "what can be had is taken over"
run "$xfer" ls "xfer://$daemon_address/more"
is "$status" 0 "... and served"

# A worker that replaces one that died has no say: what can be served goes on being served.
rmdir "$tmp/more"
kill -KILL "$(worker_pid 0 2)"
wait_line "$daemon_log" 'worker ready worker=0 .*replaced one that died' "$daemon_pid" >"$tmp/seen"
like_file "$daemon_log" 'export more cannot be served: cannot open the folder' "an export that went away is missing in the next worker"
run "$xfer" -q get "xfer://$daemon_address/pub/file" "$tmp/got"
is "$status" 0 "... which serves the others"
stop_daemon
is "$daemon_status" 0 "stops"

# ---- at its start ------------------------------------------------------------------------------------------------------

need_daemon -c "$ini"
like_file "$daemon_log" 'export more cannot be served: cannot open the folder' "a daemon starts without an export that is not there, and says so"
stop_daemon
if [ -n "$limited" ]; then
	for each in 'core.threads=1000:cannot start thread' 'pipeline.memory=4G:does not give the 4G'; do
		run "$xferd" -c "$ini" --set "${each%%:*}"
		is "$status" 7 "${each%%:*}: a daemon that cannot have it does not start"
		like_file "$err" "^xferd: .*${each#*:}" "... and says why"
		run "$xferd" --check-config -c "$ini" --set "${each%%:*}"
		is "$status" 7 "... as its check does"
		like_file "$err" "^xferd: .*${each#*:}" "... with the cause"
	done
else
	skip "a daemon that cannot have what it needs" "a sanitizer wants more than any limit leaves"
fi

done_testing
