#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Frames that are whole and still wrong: unknown, over-long, cut short, out of order, out of place; to the daemon and to the
# client. The session ends on both sides, and nothing else does.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/frames.sh"
command -v perl >/dev/null || skip_all "there is no perl"

peer=$top_srcdir/tests/tap/peer.pl
mkdir -p "$tmp/pub" "$tmp/outside"
echo content >"$tmp/pub/file"
echo secret >"$tmp/outside/secret"
ln -s ../outside "$tmp/pub/link"
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini" --set pipeline.liveness=none
worker=$(worker_pid 0)

# ---- what an honest client and daemon say first ----

perl "$peer" listen "$tmp/port" "take=$tmp/hello" end >"$tmp/heard" 2>&1 &
listener=$!
remember $listener
await test -s "$tmp/port"
run "$xfer" get --set pipeline.liveness=none "xfer://127.0.0.1:$(cat "$tmp/port")/pub/file" "$tmp/got"
wait $listener
is "$status" 6 "a daemon that says nothing and goes: status"
check "the client's HELLO is known" test -s "$tmp/hello"
perl "$peer" connect "$daemon_port" "file=$tmp/hello" "take=$tmp/welcome" end >"$tmp/heard" 2>&1
check "the daemon's WELCOME is known" test -s "$tmp/welcome"
is "$(cat "$tmp/heard")" closed "a session that ends in order is closed without a word"

# ---- to the daemon ----

# to_daemon NAME WORD...: ends the session: an ERROR (or nothing, when nothing was understood), then the end.
to_daemon() {
	name=$1
	shift
	seen=$(($(wc -l <"$daemon_log") + 1))
	perl "$peer" connect "$daemon_port" "$@" >"$tmp/heard" 2>&1
	if [ "$(tail -n 1 "$tmp/heard")" = closed ] && grep -q '^3 ' "$tmp/heard" &&
		timeout "$patience" tail -n +$seen -s 0.02 -f "$daemon_log" | grep -q -m 1 'session of .* ended: '; then
		ok "daemon: $name"
	else
		not_ok "daemon: $name"
		diag_file "$tmp/heard"
		tail -n +$seen "$daemon_log" | sed 's/^/#   /'
	fi
}

hello="file=$tmp/hello"
credit=$(number 8 1000000)
path=$(hex pub/file)
list=$(number 2 0)$(number 2 1)$(number 8 65536)$(number 2 8)$path
# first, count, size, flags, path
item=$(number 8 0)ffffffffffffffff$(number 8 8)00$(number 2 8)$path

to_daemon "another protocol" "bytes=$(hex 'GET / HTTP/1.0')0d0a0d0a"
to_daemon "zeroes" "bytes=$(number 16 0)"
to_daemon "LIST before HELLO" "frame=16,0,1,$list"
to_daemon "PING before HELLO" "frame=5,0,0,$(number 56 0)"
to_daemon "HELLO twice" "$hello" take= "$hello"
to_daemon "WELCOME" "file=$tmp/welcome"
to_daemon "WELCOME after HELLO" "$hello" take= "file=$tmp/welcome"
to_daemon "HELLO of too many bytes" "head=1,0,0,4097"
to_daemon "HELLO without a body" "frame=1,0,0,"
to_daemon "HELLO of another magic" "frame=1,0,0,$(number 64 0)"
for type in 0 8 15 23 24 25 32 39 127 255; do
	to_daemon "unknown type $type" "$hello" take= "frame=$type,0,1,"
	to_daemon "unknown type $type before HELLO" "frame=$type,0,0,"
done
for type in 17 20; do
	to_daemon "type $type, which only a daemon sends" "$hello" take= "frame=$type,0,1,$(number 16 1)"
done
to_daemon "ENDS, which only a daemon sends" "$hello" take= "frame=21,0,0,$(number 64 1)"
to_daemon "CHUNK, which only a daemon sends" "$hello" take= "frame=19,0,1,$(number 60 1)"
for length in 65537 16777216 2147483647 4294967295; do
	to_daemon "LIST of $length bytes" "$hello" take= "head=16,0,1,$length"
	to_daemon "CHUNK of $length bytes" "$hello" take= "head=19,0,1,$length"
done
to_daemon "unknown flags" "$hello" take= "frame=16,1,1,$list"
to_daemon "LIST without a request" "$hello" take= "frame=16,0,0,$list"
to_daemon "PING with a request" "$hello" take= "frame=5,0,1,$(number 56 0)"
to_daemon "LIST cut short" "$hello" take= "frame=16,0,1,$(number 2 0)"
to_daemon "LIST with something behind" "$hello" take= "frame=16,0,1,${list}00"
to_daemon "LIST with a path longer than its frame" "$hello" take= \
	"frame=16,0,1,$(number 2 0)$(number 2 1)$(number 8 65536)$(number 2 4000)$path"
to_daemon "LIST twice with one id" "$hello" take= "frame=16,0,1,$list" "frame=16,0,1,$list" \
	"frame=18,0,1,$(number 2 1)$item" "frame=18,0,1,$(number 2 1)$item"
to_daemon "READ of nothing" "$hello" take= "frame=18,0,1,$(number 2 0)"
to_daemon "READ of more than is there" "$hello" take= "frame=18,0,1,$(number 2 2)$item"
to_daemon "READ of too many" "$hello" take= "frame=18,0,1,$(number 2 257)$item"
to_daemon "READ with ids that wrap around" "$hello" take= "frame=18,0,4294967295,$(number 2 2)$item$item"
to_daemon "READ with an id in use" "$hello" take= "frame=18,0,7,$(number 2 1)$item" "frame=18,0,7,$(number 2 1)$item"
to_daemon "CREDIT cut short" "$hello" take= "frame=7,0,0,$(number 4 1)"
to_daemon "CREDIT that goes back" "$hello" take= "frame=7,0,0,$credit" "frame=7,0,0,$(number 8 1)"
to_daemon "PING cut short" "$hello" take= "frame=5,0,0,$(number 8 1)"
to_daemon "CANCEL with a body" "$hello" take= "frame=22,0,1,00"
to_daemon "ERROR cut short" "$hello" take= "frame=3,0,0,00"
to_daemon "a frame whose end never comes" "$hello" take= "head=16,0,1,100" end
to_daemon "half a header" "$hello" take= "bytes=1000" end

# What is wrong with one request ends that request. 21 is ENDS.
# answered NAME ERE WORD...
answered() {
	name=$1
	want=$2
	shift 2
	perl "$peer" connect "$daemon_port" "$hello" take= "$@" show end >"$tmp/heard" 2>&1
	like_file "$tmp/heard" "$want" "daemon: $name"
	unlike "$(cat "$tmp/heard")" '^3 |^19 ' "daemon: $name: neither an end of the session nor a chunk"
}
read_of() {
	printf 'frame=18,0,9,%s%sffffffffffffffff%s00%s%s' "$(number 2 1)" "$(number 8 0)" "$(number 8 7)" \
		"$(number 2 ${#1})" "$(hex "$1")"
}
for where in pub/../outside/secret ../outside/secret pub/./file pub//file /etc/passwd pub/link/secret pub/link nothing/x \
	pub/ pub "pub$tmp/outside/secret" .. / pub/file/..; do
	answered "READ of $where" '^21 ' "frame=7,0,0,$credit" "$(read_of "$where")"
done
perl "$peer" connect "$daemon_port" "$hello" take= "frame=7,0,0,$credit" \
	"frame=18,0,9,$(number 2 1)$(number 8 0)ffffffffffffffff$(number 8 8)00$(number 2 8)$path" show end >"$tmp/heard" 2>&1
like_file "$tmp/heard" '^19 .*content' "daemon: an honest READ is answered by a chunk"

run "$xfer" get -q "xfer://$daemon_address/pub/file" "$tmp/good"
is "$status" 0 "daemon: serves after all this"
check "daemon: is the same process" kill -0 "$worker"
is "$(grep -c 'worker died' "$daemon_log")" 0 "daemon: nothing died"

# ---- to the client ----

# to_client NAME WORD...: after the client's HELLO is taken. The client ends with 6, says why, and leaves nothing.
to_client() {
	name=$1
	shift
	rm -f "$tmp/port"
	perl "$peer" listen "$tmp/port" take= "$@" >"$tmp/heard" 2>&1 &
	listener=$!
	remember $listener
	await test -s "$tmp/port"
	run timeout "$patience" "$xfer" get --retry-for 0 --set pipeline.liveness=none --set liveness.none.dead-after=2s \
		"xfer://127.0.0.1:$(cat "$tmp/port")/pub/file" "$tmp/got"
	wait $listener
	if [ "$status" = "${refusal:-6}" ] && grep -q '^xfer: .*\(protocol\|damaged\|closed\)' "$err" && [ ! -e "$tmp/got" ] &&
		[ -z "$(leftovers "$tmp")" ] && grep -q '^3 ' "$tmp/heard" && [ "$(tail -n 1 "$tmp/heard")" = closed ]; then
		ok "client: $name"
	else
		not_ok "client: $name" "status $status"
		diag_file "$err"
		diag_file "$tmp/heard"
		rm -rf "$tmp/got"
	fi
}

welcome="file=$tmp/welcome"
sum=$(number 32 0)
refusal=3 # whoever speaks something else is no xferd
to_client "another protocol" "bytes=$(hex 'HTTP/1.0 400 Bad Request')0d0a0d0a"
refusal=
to_client "HELLO" "$hello"
to_client "ENTRIES before WELCOME" "frame=17,0,1,$sum"
to_client "WELCOME twice" "$welcome" "$welcome"
to_client "WELCOME cut short" "frame=2,0,0,5846455200010000"
to_client "WELCOME of too many bytes" "head=2,0,0,4097"
to_client "CHUNK before WELCOME" "head=19,0,1,100"
for type in 0 8 15 23 25 32 255; do
	to_client "unknown type $type" "$welcome" take= "frame=$type,0,1,"
done
to_client "LIST" "$welcome" take= "frame=16,0,1,$list"
to_client "READ" "$welcome" take= "frame=18,0,1,$(number 2 1)$item"
to_client "CREDIT" "$welcome" take= "frame=7,0,0,$credit"
to_client "CANCEL" "$welcome" take= "frame=22,0,1,"
to_client "PING" "$welcome" take= "frame=5,0,0,$(number 56 1)"
for length in 65537 4294967295; do
	to_client "ENTRIES of $length bytes" "$welcome" take= "head=17,0,1,$length"
done
to_client "CHUNK of more than a chunk" "$welcome" take= "head=19,0,1,$((1048576 + 12 + 33))"
to_client "CHUNK of 4 GiB" "$welcome" take= "head=19,0,1,4294967295"
to_client "CHUNK of nothing" "$welcome" take= "head=19,0,1,44"
to_client "ENTRIES without a digest" "$welcome" take= "frame=17,0,1,00"
to_client "ENDS without an item" "$welcome" take= "frame=21,0,0,$sum"
to_client "HOLE of an overflow" "$welcome" take= "frame=20,0,1,ffffffffffffffffffffffffffffffff"
to_client "a frame whose end never comes" "$welcome" take= "head=17,0,1,1000" end
to_client "half a header" "$welcome" take= "bytes=1100" end

stop_daemon
is "$daemon_status" 0 "stops"

done_testing
