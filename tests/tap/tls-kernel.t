#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Files over TLS out of pipes, where the kernel makes the records, and where it has no TLS: each side in each way, keys that
# change or end a connection, and a worker that dies. XFER_TLS_KERNEL=yes: a kernel without TLS is a failure.
# shellcheck disable=SC2046,SC2086,SC2119 # options are several words; stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/tls.sh"
need_gates

mkdir -p "$tmp/pub/tree" "$tmp/put"
make_file "$tmp/pub/large" 9000001
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
	make_file "$tmp/pub/tree/small$n" $((n * 331))
	make_file "$tmp/pub/tree/file$n" $((n * 65536 + n))
done
"$xfer" keygen -q -o "$tmp/alice.key" alice || bail_out "no key"
cat >"$tmp/xferd.ini" <<-END
	[daemon]
	listen = tls://127.0.0.1:0
	[core]
	log-level = debug
	[pipeline]
	integrity = sha256, none
	[transport.tls]
	key-file = $tmp/alice.key
	[export.pub]
	path = $tmp/pub
	[export.put]
	path = $tmp/put
	access = read-write
END

# kernels: how many connections the kernel has made records for, of this machine's.
kernels() {
	sed -n 's/^TlsTxSw[^0-9]*//p' /proc/net/tls_stat 2>/dev/null | grep . || echo 0
}

# begin OPTIONS...: a daemon with these.
begin() {
	need_daemon -c "$tmp/xferd.ini" "$@"
	url=xfer+tls://$daemon_address
}

# client WAY ARGUMENTS...: of xfer.
client() {
	client_way=$1
	shift
	run "$xfer" $(show_key alice.key) --set transport.tls.kernel=$client_way --integrity none --no-progress "$@"
}

# moved NAME WAY OF: a get and a put; OF is who sends by pipes, "get", "put", both or nobody.
moved() {
	rm -rf "$tmp/large" "$tmp/tree" "$tmp"/put/*
	moved_before=$(kernels)
	client $2 get "$url/pub/large" "$url/pub/tree" "$tmp"
	is "$status" 0 "$1: get"
	check "$1: get: a large file arrives" cmp "$tmp/pub/large" "$tmp/large"
	check "$1: get: a tree arrives" same_tree "$tmp/pub/tree" "$tmp/tree"
	moved_get=$(kernels)
	client $2 put "$tmp/pub/large" "$tmp/pub/tree" "$url/put/"
	is "$status" 0 "$1: put"
	check "$1: put: a large file arrives" cmp "$tmp/pub/large" "$tmp/put/large"
	check "$1: put: a tree arrives" same_tree "$tmp/pub/tree" "$tmp/put/tree"
	[ $has = yes ] || return 0
	case $3 in
	*get*) check "$1: get: the kernel made the records" test "$moved_get" -gt "$moved_before" ;;
	*) is "$moved_get" "$moved_before" "$1: get: the kernel made no record" ;;
	esac
	case $3 in
	*put*) check "$1: put: the kernel made the records" test "$(kernels)" -gt "$moved_get" ;;
	*) is "$(kernels)" "$moved_get" "$1: put: the kernel made no record" ;;
	esac
}

begin --set transport.tls.kernel=auto
client auto get "$url/pub/large" "$tmp/first"
is "$status" 0 "the first get"
check "the first get: every byte is right" cmp "$tmp/pub/large" "$tmp/first"
who=$(wait_line "$daemon_log" 'the kernel makes the records|records are made here' "$daemon_pid")
case $who in
*"the kernel makes"*) has=yes ;;
*) has=no ;;
esac
diag "$who"
if [ -n "${XFER_TLS_KERNEL-}" ]; then
	is $has yes "the kernel has TLS"
else
	like "$who" "the kernel makes the records from number|not by the kernel: [A-Z]" "the log says who makes the records, or why"
fi
moved "both sides" auto "get put"
moved "the daemon" off get
stop_daemon
is "$daemon_status" 0 "stops"
begin --set transport.tls.kernel=off
moved "the client" auto put
moved "neither" off ""
stop_daemon

# ---- interrupted, and taken up ----

begin
taken_up $(show_key alice.key) --integrity none
stop_daemon

# ---- the key: changed on the way, or the end of a connection that is made anew ----

begin --set transport.tls.kernel=always --set transport.tls.rekey-after=4M
client always --set transport.tls.rekey-after=5M get "$url/pub/large" "$tmp/keys"
is "$status" 0 "a key for 4 MiB: get"
check "a key for 4 MiB: get: every byte is right" cmp "$tmp/pub/large" "$tmp/keys"
rm -rf "$tmp"/put/*
client always --set transport.tls.rekey-after=4M put "$tmp/pub/large" "$url/put/"
is "$status" 0 "a key for 4 MiB: put"
check "a key for 4 MiB: put: every byte is right" cmp "$tmp/pub/large" "$tmp/put/large"
if [ $has = yes ] && grep -q 'cannot change the key' "$daemon_log"; then
	like_file "$daemon_log" 'cannot change its key, which was used for 4194304 bytes' "... and the log says why it ended"
fi
stop_daemon
is "$daemon_status" 0 "stops at the end"
run "$xferd" -c "$tmp/xferd.ini" --set transport.tls.kernel=perhaps
is "$status" 2 "kernel = perhaps"
like_file "$err" 'kernel = perhaps: it is auto, always or off' "... is explained"
done_testing
