#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is said to be done is synced: file before its name, folder behind it. With --durability none nothing is.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
sanitized && skip_all "the sanitizer does not work under a tracer"
command -v strace >/dev/null || skip_all "there is no strace"
strace -f -q -o "$tmp/probe" true 2>/dev/null || skip_all "strace may not trace here"

mkdir -p "$tmp/pub" "$tmp/src/tree/sub"
make_file "$tmp/src/file" 3000000
make_file "$tmp/src/tree/one" 3000000
make_file "$tmp/src/tree/sub/two" 1000
write_config "$tmp/xferd.ini" "$tmp/pub" read-write
cp -a "$tmp/src/." "$tmp/pub"
calls=trace=fsync,fdatasync,syncfs,rename,renameat,renameat2

# The daemon and all that it starts, from the first moment on.
real=$xferd
printf '#!/bin/sh\nexec strace -A -f -q -o "%s" -e %s "%s" "$@"\n' "$tmp/daemon.trace" "$calls" "$real" >"$tmp/xferd"
chmod +x "$tmp/xferd"
xferd=$tmp/xferd
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# calls_of TRACE: what was called, in order, one letter each: f a file or folder is synced, s all of them, r renamed.
calls_of() {
	sed -nE 's/^[0-9]+ +(fsync|fdatasync)\(.*/f/p; s/^[0-9]+ +syncfs\(.*/s/p; s/^[0-9]+ +rename[a-z0-9]*\(.*/r/p' "$1" |
		tr -d '\n'
}

# synced HOW NAME WANTED COMMAND...: its status is 0, and what is called matches WANTED, at the client or the daemon.
synced() {
	synced_how=$1
	synced_name=$2
	synced_want=$3
	shift 3
	: >"$tmp/daemon.trace"
	: >"$tmp/client.trace"
	run strace -f -q -o "$tmp/client.trace" -e "$calls" "$xfer" "$@"
	is "$status" 0 "$synced_name: status"
	if [ "$synced_how" = put ]; then
		like "$(calls_of "$tmp/daemon.trace")." "$synced_want" "$synced_name: at the daemon"
		is "$(calls_of "$tmp/client.trace")" "" "$synced_name: nothing at the client"
	else
		like "$(calls_of "$tmp/client.trace")." "$synced_want" "$synced_name: at the client"
		is "$(calls_of "$tmp/daemon.trace")" "" "$synced_name: nothing at the daemon"
	fi
}

# The first put of an installation gives it its number.
run "$xfer" put -q --durability none "$tmp/src/file" "$url/first"

synced put "put of a file" '^f+rf+\.$' put "$tmp/src/file" "$url/new"
synced put "put of a file, without syncs" '^r\.$' put --durability none "$tmp/src/file" "$url/newer"
synced put "put of a tree" '^f*sf*rs?f+\.$' put "$tmp/src/tree" "$url/new-tree"
synced put "put of a tree, without syncs" '^r\.$' put --durability none "$tmp/src/tree" "$url/newer-tree"
synced put "put into a tree, without syncs" '^r+\.$' put --durability none "$tmp/src/tree" "$url"
synced get "get of a file" '^f+rf+\.$' get "$url/file" "$tmp/new"
synced get "get of a file, without syncs" '^r\.$' get --durability none "$url/file" "$tmp/newer"
synced get "get of a tree" '^f*sf*rs?f+\.$' get "$url/tree" "$tmp/new-tree"
synced get "get of a tree, without syncs" '^r\.$' get --durability none "$url/tree" "$tmp/newer-tree"
check "what was moved without syncs is there all the same" diff -r "$tmp/newer-tree" "$tmp/src/tree"

# The tracer gives signals on to nobody.
kill "$(pgrep -P "$daemon_pid")"
daemon_status=0
wait "$daemon_pid" || daemon_status=$?
is "$daemon_status" 0 "stops"

done_testing
