#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer get of files: sizes around a chunk, each integrity, chunk sizes, little memory, several clients at once.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
for bytes in 0 1 1023 1024 1025 70000 1048575 1048576 1048577 16777217; do
	make_file "$tmp/pub/$bytes" $bytes
done
make_file "$tmp/pub/large" 67108864
names="0 1 1023 1024 1025 70000 1048575 1048576 1048577 16777217 large"
chmod 640 "$tmp/pub/1025"
chmod 755 "$tmp/pub/70000"
touch -d '2001-02-03 04:05:06.123456789 UTC' "$tmp/pub/1025"

urls() {
	for name in $names; do
		printf 'xfer://%s/pub/%s ' "$daemon_address" "$name"
	done
}

# fetch_all NAME ARGUMENTS...: all of them in one command, compared in content, mode and times.
fetch_all() {
	fetch_name=$1
	shift
	rm -rf "$tmp/got"
	mkdir "$tmp/got"
	# shellcheck disable=SC2046 # a list
	run "$xfer" get "$@" $(urls) "$tmp/got"
	is "$status" 0 "$fetch_name: status"
	touch -r "$tmp/pub" "$tmp/got"
	check "$fetch_name: all files are the same" same_tree "$tmp/pub" "$tmp/got"
}

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$tmp/pub"
	need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=sha256,crc32,none --set pipeline.chunk-size=16M
	for integrity in sha256 crc32 none; do
		for chunk in 1K 1M 16M; do
			[ $workers = 1 ] || [ $chunk = 1M ] || continue
			what="workers=$workers $integrity $chunk"
			fetch_all "$what" --integrity $integrity --set pipeline.chunk-size=$chunk
			run "$xfer" digest --integrity $integrity --chunk-size $chunk "$tmp/pub/16777217"
			digest=$(sed 's/ .*//' "$out")
			# The daemon writes its line when the file is sent, which may be after the client has it.
			check "$what: the daemon logs the digest that xfer digest tells" wait_line "$daemon_log" \
				"transfer peer=127.* file=pub/16777217 files=1 bytes=16777217 chunks=.* digest=$digest .*result=ok"
			like "$digest" "^(xfer1:$integrity:$chunk:[0-9a-f]+|unverified)\$" "$what: which has the right form"
		done
	done
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
	unlike "$(cat "$daemon_log")" ' (warn|error): ' "workers=$workers: nothing to complain about"
done

# ---- little memory ----

workers=1
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set pipeline.memory=8M --set core.threads=1
fetch_all "memory=8M on both sides" --set pipeline.memory=8M --set core.threads=1
fetch_all "memory=8M, many chunks" --set pipeline.memory=8M --set pipeline.chunk-size=1K

# ---- several at once, on a daemon of 8M ----

pids=
for n in 1 2 3 4 5; do
	mkdir "$tmp/client-$n"
	# shellcheck disable=SC2046 # a list
	"$xfer" get -q $(urls) "$tmp/client-$n" 2>"$tmp/client-$n.err" &
	pids="$pids $!"
	remember $!
done
n=0
for pid in $pids; do
	n=$((n + 1))
	status=0
	wait "$pid" || status=$?
	is "$status" 0 "five at once: status of $n"
	check "five at once: what $n has" diff -r "$tmp/pub" "$tmp/client-$n"
done
stop_daemon
is "$daemon_status" 0 "stops"

# ---- what is said ----

need_daemon -c "$tmp/xferd.ini"
run "$xfer" get "xfer://$daemon_address/pub/70000" "$tmp/said"
like_file "$out" '^1 file: 70000 bytes \(68\.4 KiB\) in [0-9.]+ s, .*/s$' "the summary: files, bytes, seconds, rate"
is "$(sed -n 's/^digest: //p' "$out")" "$("$xfer" digest "$tmp/pub/70000" | sed 's/ .*//')" "and the digest"
run "$xfer" get --json "xfer://$daemon_address/pub/large" "$tmp/said"
like_file "$out" '"type":"summary".*"status":0.*"files":1.*"bytes":67108864,.*"chunks":64' "every chunk is counted"
run "$xfer" get --integrity none --set pipeline.integrity=none "xfer://$daemon_address/pub/1" "$tmp/said"
is "$status" 5 "none is used only where both sides name it"
stop_daemon

done_testing
