#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SIGHUP: new workers take over the sockets, or nothing changes.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub" "$tmp/more"
echo content >"$tmp/pub/file"
echo content >"$tmp/more/file"
ini=$tmp/xferd.ini

reloads=0
# reload: until its result is in the log, and in $result.
reload() {
	reloads=$((reloads + 1))
	kill -HUP "$daemon_pid"
	result=$(wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $reloads | tail -n 1)
}

ended=0
# await_old COUNT: that many more workers have drained.
await_old() {
	ended=$((ended + $1))
	wait_line "$daemon_log" 'worker ended' "$daemon_pid" $ended >"$tmp/seen"
}

# Its children, in one line.
workers_now() {
	pgrep -P "$daemon_pid" | sort -n | tr '\n' ' '
}

serves() {
	run "$xfer" get -q "xfer://$1/$2/file" "$tmp/got"
	is "$status" 0 "$3"
}

for workers in 1 3; do
	reloads=0
	ended=0
	write_config "$ini" "$tmp/pub"
	need_daemon -c "$ini"
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"
	before=$(workers_now)

	cat >>"$ini" <<-END
		[export.more]
		path = $tmp/more
	END
	reload
	like "$result" 'reloaded$' "workers=$workers: reloads"
	await_old $workers
	after=$(workers_now)
	is "$(echo "$after" | wc -w)" $workers "workers=$workers: as many as before"
	unlike "$after" "$(echo "$before" | sed 's/ $//; s/ /|/g')" "workers=$workers: and none of the old ones"
	serves "$daemon_address" more "workers=$workers: the new export is served, at the old address"
	is "$(grep -c 'listening on' "$daemon_log")" 1 "workers=$workers: the same sockets need no new line"
	run "$xfer" ping -c 3 -i 0.1 "$daemon_address"
	is "$status" 0 "workers=$workers: pings"
	like_file "$out" 'by udp heartbeat' "workers=$workers: heartbeats come to the new workers"
	like_file "$out" ' 0% loss' "workers=$workers: all of them"

	# ---- what is broken changes nothing ----

	cp "$ini" "$tmp/good.ini"
	echo 'colour = red' >>"$ini"
	reload
	like "$result" "reload failed.*$ini:[0-9]+: .*colour" "workers=$workers: a broken configuration is refused"
	is "$(workers_now)" "$after" "workers=$workers: and nothing changes"
	sed 's/^\[daemon\]$/[pipeline]\nintegrity = missing\n&/' "$tmp/good.ini" >"$ini"
	reload
	like "$result" 'reload failed.*integrity-missing\.so' "workers=$workers: a missing plug-in is refused"
	is "$(workers_now)" "$after" "workers=$workers: and nothing changes"
	{
		sed 's/^listen.*/&, 192.0.2.1:0/' "$tmp/good.ini"
		printf '[transport.tcp]\nallow-plaintext = yes\n'
	} >"$ini"
	reload
	like "$result" 'reload failed.*192\.0\.2\.1:0: .*[Cc]annot assign' "workers=$workers: an address that cannot be bound is refused"
	is "$(workers_now)" "$after" "workers=$workers: and nothing changes"
	serves "$daemon_address" more "workers=$workers: it serves on as before"

	# ---- items of listen come and go ----

	sed 's/^listen.*/listen = 127.0.0.1:0, localhost:0/' "$tmp/good.ini" >"$ini"
	reload
	like "$result" 'reloaded$' "workers=$workers: one more item of listen"
	await_old $workers
	second=$(wait_line "$daemon_log" 'listening on' "$daemon_pid" 2 | sed -n '2s/.*listening on \([^ ]*\).*/\1/p')
	serves "$daemon_address" pub "workers=$workers: the first one is served at its old address"
	serves "$second" pub "workers=$workers: the second one too"
	sed 's/^listen.*/listen = localhost:0/' "$tmp/good.ini" >"$ini"
	reload
	await_old $workers
	serves "$second" pub "workers=$workers: the second one is left"
	run "$xfer" get -q "xfer://$daemon_address/pub/file" "$tmp/got"
	is "$status" 3 "workers=$workers: the first one is closed"

	# ---- more workers, and fewer ----

	for number in 4 1 2; do
		was=$(workers_now | wc -w)
		sed "s/^listen.*/listen = localhost:0/; s/^workers.*/workers = $number/" "$tmp/good.ini" >"$ini"
		reload
		await_old "$was"
		is "$(workers_now | wc -w)" $number "workers=$workers: $number of them after a reload"
		lost=0
		for _ in 1 2 3 4 5 6; do
			run "$xfer" ping -c 1 "$second"
			grep -q 'by udp heartbeat' "$out" && [ "$status" = 0 ] || lost=$((lost + 1))
		done
		is $lost 0 "workers=$workers: each of $number hears its heartbeats"
	done
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
	unlike "$(cat "$daemon_log")" 'worker died|killing' "workers=$workers: nobody died"
done

# ---- many at once ----

workers=2
write_config "$ini" "$tmp/pub"
need_daemon -c "$ini"
n=0
while [ $n -lt 40 ]; do
	kill -HUP "$daemon_pid"
	n=$((n + 1))
done
lost=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	kill -HUP "$daemon_pid"
	run "$xfer" ls "xfer://$daemon_address/pub"
	[ "$status" != 3 ] || lost=$((lost + 1))
done
is $lost 0 "no connection is refused while it reloads"
stop_daemon
is "$daemon_status" 0 "and it stops in the middle of a reload"
unlike "$(cat "$daemon_log")" 'worker died' "nobody died"

done_testing
