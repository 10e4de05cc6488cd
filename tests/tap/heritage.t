#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the first system of this kind did: port 15010, chunks of 1 KiB, three clients at once, round trips.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
make_file "$tmp/pub/file" 3000001
for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$tmp/pub"

	if ! start_daemon -c "$tmp/xferd.ini" --set daemon.listen=127.0.0.1:15010 --set pipeline.chunk-size=1K; then
		if grep -q 'in use' "$daemon_log"; then
			[ $workers = 1 ] || bail_out "somebody took port 15010 meanwhile"
			skip_all "port 15010 is taken on this machine"
		fi
		diag_file "$daemon_log"
		bail_out "xferd does not start"
	fi
	is "$daemon_address" 127.0.0.1:15010 "workers=$workers: the port of old"

	# Without a port in the URL, since it is the default; slow enough to see round trips.
	for client in 1 2 3; do
		rm -rf "$tmp/got$client"
		mkdir "$tmp/got$client"
		"$xfer" --json --no-progress --limit-rate 4M get xfer://127.0.0.1/pub/file "$tmp/got$client/" \
			>"$tmp/json$client" 2>"$tmp/err$client" &
		eval "client$client=$!"
		remember $!
	done
	want=$("$xfer" digest --chunk-size 1K "$tmp/pub/file" | cut -d' ' -f1)
	like "$want" '^xfer1:sha256:1K:[0-9a-f]{64}$' "workers=$workers: the digest names its chunk size"
	for client in 1 2 3; do
		eval "pid=\$client$client"
		got=0
		wait "$pid" || got=$?
		is "$got" 0 "workers=$workers: client $client: status"
		check "workers=$workers: client $client: every byte is right" cmp "$tmp/pub/file" "$tmp/got$client/file"
		like_file "$tmp/json$client" '"chunks": ?2930[,}]' "workers=$workers: client $client: every chunk is counted"
		like_file "$tmp/json$client" "$want" "workers=$workers: client $client: the digest is right"
		like_file "$tmp/json$client" '"rtt": ?0\.[0-9]*[1-9]' "workers=$workers: client $client: it saw round trips"
	done
	is "$(wait_line "$daemon_log" 'chunks=2930 .*result=ok' "$daemon_pid" 3 | wc -l)" 3 "workers=$workers: the daemon has a line for each"
	run "$xfer" ping -c 2 -i 0.1 127.0.0.1
	is "$status" 0 "workers=$workers: ping: status"
	like_file "$out" '^2 sent, 2 received, 0% loss' "workers=$workers: ping: sum"
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
done

done_testing
