#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What a daemon refuses: exports that are not, paths that lead out of one, and integrity that is not shared.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir -p "$tmp/pub/tree/sub" "$tmp/outside/sub"
echo inside >"$tmp/pub/tree/file"
echo inside >"$tmp/pub/tree/sub/file"
echo secret >"$tmp/outside/secret"
echo secret >"$tmp/outside/sub/secret"
ln -s ../outside "$tmp/pub/relative"
ln -s "$tmp/outside" "$tmp/pub/absolute"
ln -s "$tmp/outside/secret" "$tmp/pub/file"
ln -s ../../outside/secret "$tmp/pub/tree/secret"
ln -s /proc/self/root "$tmp/pub/magic"
ln -s tree "$tmp/pub/within"
ln -s loop "$tmp/pub/loop"
mkdir "$tmp/pub-but-longer"
echo secret >"$tmp/pub-but-longer/secret"
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address

# Proof that nothing outside was opened: what a tracer sees, else the times of access.
worker=$(worker_pid 0)
if command -v strace >/dev/null && strace -f -q -o "$tmp/probe" true 2>/dev/null; then
	strace -f -q -o "$tmp/trace" -e trace=openat2,openat,open -p "$worker" 2>"$tmp/strace" &
	tracer=$!
	remember $tracer
	await grep -q '^TracerPid:[^0-9]*[1-9]' "/proc/$worker/task/$worker/status" || bail_out "strace does not attach"
	# A path that is served comes out of it, or the proof is none.
	run "$xfer" get -q "$url/pub/tree/file" "$tmp/probe"
	check "a served file is seen to be opened" await grep -q '"tree/file"\|"file"' "$tmp/trace"
else
	tracer=
	skip "a served file is seen to be opened" "there is no strace that may trace"
fi

# refused URL STATUS NAME [ERE]
refused() {
	rm -rf "$tmp/got"
	run "$xfer" get "$1" "$tmp/got"
	is "$status" "$2" "$3: status"
	check "$3: nothing is made" test ! -e "$tmp/got"
	[ $# -lt 4 ] || like_file "$err" "$4" "$3: the message"
	run "$xfer" ls -R "$1"
	is "$status" "$2" "$3: ls: status"
	is "$(cat "$out")" "" "$3: ls: nothing is told"
}

refused "$url/nothing" 4 "an unknown export" 'nothing'
refused "$url/nothing/file" 4 "a file of an unknown export" 'nothing/file'
refused "$url/pu" 4 "the beginning of an export's name"
refused "$url/pub-but-longer/secret" 4 "an export's name with something behind"
refused "$url/pub/missing" 4 "a file that is not there" 'pub/missing'
refused "$url/pub/tree/file/below" 4 "below a file"
for path in .. ../outside ../outside/secret tree/../../outside/secret tree/.. ./tree %2e%2e/outside/secret tree/./file; do
	rm -rf "$tmp/got"
	run "$xfer" get "$url/pub/$path" "$tmp/got"
	like "$status" '^[24]$' "pub/$path: status"
	check "pub/$path: nothing is made" test ! -e "$tmp/got"
done
refused "$url/pub/$tmp/outside/secret" 4 "an absolute path"
refused "$url/pub/%2Fetc/passwd" 2 "a slash in disguise"
refused "$url/pub/file%00" 2 "a NUL"
refused "$url/pub/relative/secret" 4 "through a relative link" 'pub/relative/secret'
refused "$url/pub/relative/sub" 4 "a folder through a link"
refused "$url/pub/absolute/secret" 4 "through an absolute link"
refused "$url/pub/magic/etc/passwd" 4 "through a magic link"
refused "$url/pub/loop/file" 4 "through a link to itself"

# At the end of a path a link is a link: kept, never followed.
for link in file relative absolute magic loop tree/secret file/; do
	rm -f "$tmp/link"
	run "$xfer" get -q "$url/pub/$link" "$tmp/link"
	is "$status" 0 "pub/$link as such: status"
	is "$(readlink "$tmp/link")" "$(readlink "$tmp/pub/${link%/}")" "pub/$link as such: is a link"
done
run "$xfer" get -q "$url/pub" "$tmp/whole"
is "$status" 0 "a tree of links: status"
check "a tree of links: they are kept" same_tree "$tmp/pub" "$tmp/whole"

if [ -n "$tracer" ]; then
	# A descriptor that was opened is a number, and a refused one is not.
	kill "$tracer"
	wait "$tracer" 2>/dev/null
	is "$(grep -aE 'secret|passwd|outside|absolute/|relative/|magic/' "$tmp/trace" | grep -aE '= [0-9]+' | head -n 3)" "" \
		"nothing outside was opened"
else
	skip "nothing outside was opened" "there is no strace that may trace"
fi

# A request that no client of ours would make, past what parses URLs, is in the units; the export itself as a link:
stop_daemon
ln -s "$tmp/outside" "$tmp/export-link"
write_config "$tmp/xferd.ini" "$tmp/export-link"
need_daemon -c "$tmp/xferd.ini"
run "$xfer" get -q "xfer://$daemon_address/pub/secret" "$tmp/asked-for"
is "$status" 0 "a link that the administrator named is followed"
stop_daemon

# ---- no integrity in common ----

write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=sha256
url=xfer://$daemon_address/pub
run "$xfer" get --integrity crc32,none "$url/tree/file" "$tmp/got"
is "$status" 5 "no integrity in common: status"
like_file "$err" 'crc32, none.*sha256' "no integrity in common: both lists are told"
check "no integrity in common: nothing is made" test ! -e "$tmp/got"
like "$(wait_line "$daemon_log" 'no integrity in common')" 'crc32, none.*sha256' "no integrity in common: the daemon logs it"
run "$xfer" get -q --integrity crc32,sha256 "$url/tree/file" "$tmp/got"
is "$status" 0 "one in common is enough"
run "$xfer" get --integrity nosuch "$url/tree/file" "$tmp/got"
is "$status" 2 "one that is not installed: status"

# ---- who may ----

stop_daemon
write_config "$tmp/xferd.ini" "$tmp/pub"
cat >>"$tmp/xferd.ini" <<-END
	allow-from = 192.0.2.0/24
	[export.open]
	path = $tmp/pub
	allow-from = 192.0.2.0/24, 127.0.0.0/8
END
need_daemon -c "$tmp/xferd.ini"
run "$xfer" get "xfer://$daemon_address/pub/tree/file" "$tmp/may"
is "$status" 4 "an export for others: status"
run "$xfer" ls "xfer://$daemon_address/pub"
is "$status" 4 "an export for others: ls: status"
run "$xfer" get "xfer://$daemon_address/open/tree/file" "$tmp/may-too"
is "$status" 0 "an export for this address too: status"
check "and nothing is made" test ! -e "$tmp/may"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
