#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Reloads while many fetch: no connection is refused, no transfer fails, nobody notices, and nothing is left behind.
# XFER_RELOADS of them (10), XFER_RELOAD_CLIENTS (8).
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

reloads=${XFER_RELOADS:-10}
clients=${XFER_RELOAD_CLIENTS:-8}
large=2       # of the clients fetch something that takes longer than a worker may drain
patience=120  # fifty clients, several generations of workers and two processors
sanitized && reloads=$(((reloads + 1) / 2)) clients=$(((clients + 1) / 2))

mkdir "$tmp/pub" "$tmp/pub/small" "$tmp/plugins"
make_file "$tmp/pub/large" 3000000
for n in 1 2 3 4 5; do make_file "$tmp/pub/small/$n" $((n * n * n * 300)); done
cp "$top_builddir"/plugins/.libs/*.so "$tmp/plugins"

# client NUMBER: fetches until there is $tmp/enough. What it notices is in $tmp/noticed.NUMBER, how often it was done in
# $tmp/done.NUMBER.
client() {
	if [ "$1" -le $large ]; then
		what="$1.large" path=large rate="--limit-rate 1M"
	else
		what="$1.small" path=small rate=
	fi
	while [ ! -e "$tmp/enough" ]; do
		status=0
		# shellcheck disable=SC2086 # an option and its value
		"$xfer" --no-progress $rate get "xfer://$daemon_address/pub/$path" "$tmp/$what" >/dev/null \
			2>"$tmp/said.$1" || status=$?
		if [ $status != 0 ] || [ -s "$tmp/said.$1" ]; then
			{
				echo "status $status"
				cat "$tmp/said.$1"
			} >>"$tmp/noticed.$1"
		fi
		diff -r "$tmp/pub/$path" "$tmp/$what" >>"$tmp/noticed.$1" 2>&1
		rm -rf "${tmp:?}/$what"
		echo >>"$tmp/done.$1"
	done
}

# What the supervisor holds: descriptors, and KiB of memory.
descriptors() {
	find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l
}
memory_kib() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$daemon_pid/status"
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$tmp/pub"
	sed -i "s|^\[daemon\]\$|[core]\nplugin-dir = $tmp/plugins\n&\ndrain-timeout = 1s|" "$tmp/xferd.ini"
	rm -f "$tmp"/noticed.* "$tmp"/done.* "$tmp/enough"
	need_daemon -c "$tmp/xferd.ini"
	wait_line "$daemon_log" 'worker ready' "$daemon_pid" $workers >"$tmp/seen"
	descriptors=$(descriptors)

	pids=
	n=1
	while [ $n -le "$clients" ]; do
		client $n &
		remember $!
		pids="$pids $!"
		n=$((n + 1))
	done

	n=0
	while [ $n -lt "$reloads" ]; do
		n=$((n + 1))
		# Another file each time, and another configuration.
		cp "$top_builddir/plugins/.libs/integrity-sha256.so" "$tmp/plugins/new"
		mv "$tmp/plugins/new" "$tmp/plugins/integrity-sha256.so"
		sed "s/^workers.*/&\nrequests = $((1000 + n))/" "$tmp/xferd.ini" >"$tmp/more.ini"
		grep -v '^requests' "$tmp/more.ini" >"$tmp/xferd.ini"
		kill -HUP "$daemon_pid"
		wait_line "$daemon_log" 'reloaded$|reload failed' "$daemon_pid" $n >"$tmp/seen"
		[ $n != 3 ] || memory=$(memory_kib)
	done
	touch "$tmp/enough"
	for pid in $pids; do wait "$pid"; done

	is "$(grep -c 'reloaded$' "$daemon_log")" "$reloads" "workers=$workers: $reloads reloads"
	cat "$tmp"/noticed.* >"$tmp/noticed" 2>/dev/null || : >"$tmp/noticed"
	is "$(head -c 2000 "$tmp/noticed")" "" "workers=$workers: $clients clients noticed nothing in $(cat "$tmp"/done.* | wc -l) fetches"
	unlike "$(cat "$daemon_log")" 'worker died|did not drain' "workers=$workers: no worker died"
	check "workers=$workers: none is left behind" await sh -c "[ \$(pgrep -c -P $daemon_pid) = $workers ]"
	is "$(grep -c 'worker ended' "$daemon_log")" $((reloads * workers)) "workers=$workers: all of the old ones ended"
	is "$(descriptors)" "$descriptors" "workers=$workers: the supervisor holds as many descriptors as before"
	grown=$(($(memory_kib) - memory))
	if sanitized; then
		skip "workers=$workers: and no more memory" "a sanitizer takes memory of its own"
	elif [ $grown -le 128 ]; then
		ok "workers=$workers: and no more memory"
	else
		not_ok "workers=$workers: and no more memory" "$grown KiB more"
	fi
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
done

done_testing
