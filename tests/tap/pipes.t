#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Payload that nobody looks at (no digests, or digests that are known) goes through pipes: the same bytes as read and sent, by
# transports that take out of pipes all, some, or nothing; and a file that changes meanwhile is never a mixture.
# shellcheck disable=SC2119,SC2317 # stop_daemon without a signal sends its own; some functions are called by others
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

[ -f "$top_builddir/tests/plugins/.libs/transport-fickle.so" ] || skip_all "tests/plugins is not built"
test_plugins transport-fickle transport-faulty

pub=$tmp/pub
mkdir "$pub" "$tmp/in"
make_file "$pub/file" 20001234
truncate -s 300M "$pub/holes"
dd if="$pub/file" of="$pub/holes" bs=1M count=6 seek=100 conv=notrunc status=none
cp "$pub/file" "$tmp/first"
make_file "$tmp/second" 20001234
moments="1 2 3 4 5 6 7 8"
for n in $moments; do
	cp "$tmp/first" "$pub/moment-$n"
done
write_config "$tmp/xferd.ini" "$pub"
cat >>"$tmp/xferd.ini" <<-END
	[export.in]
	path = $tmp/in
	access = read-write
	[core]
	plugin-dir = $tmp/plugins
	[pipeline]
	integrity = sha256, none
END
sed -i '/^digest-store/d; s|^workers.*|&\ndigest-store = '"$tmp/digests"'|' "$tmp/xferd.ini"
settled() {
	[ $(($(date +%s) - $(stat -c %Z "$1"))) -gt 3 ]
}

# pipes_of PID: how many it has open.
pipes_of() {
	find "/proc/$1/fd" -lname 'pipe:*' | wc -l
}

# same FILE ARGUMENTS...: fetched, it is what it is.
same() {
	same_file=$1
	shift
	rm -rf "$tmp/got"
	run "$xfer" get --no-progress "$@" "xfer://$daemon_address/pub/$same_file" "$tmp/got"
	is "$status" 0 "$transport: get $same_file $*: status"
	check "$transport: get $same_file $*: the same bytes" cmp "$pub/$same_file" "$tmp/got"
	like_file "$out" ' repaired 0 chunks' "$transport: get $same_file $*: nothing came twice"
}

# ---- transports ------------------------------------------------------------------------------------------------------

await settled "$pub/moment-8"
for transport in tcp faulty fickle; do
	need_daemon -c "$tmp/xferd.ini" --set pipeline.transport=$transport
	worker=$(worker_pid 0)
	none=$(pipes_of "$worker")
	same file --integrity none
	some=$(pipes_of "$worker")
	if [ $transport = faulty ]; then
		is "$some" "$none" "$transport takes nothing out of pipes, and there are none"
	else
		check "$transport takes it out of pipes" test "$some" -gt "$none"
	fi
	same holes --integrity none
	check "$transport: what was a hole is one" test "$(du -k "$tmp/got" | cut -f 1)" -lt 10240
	same file --integrity none --set pipeline.chunk-size=192K
	same file --integrity none --set pipeline.chunk-size=16M
	same file --integrity none --streams 3
	same file
	same file
	grep '^digest:' "$out" >>"$tmp/sums"
	same holes
	same file --limit-rate 40M --integrity none
	rm -f "$tmp/in/file"
	run "$xfer" -q --integrity none --set core.plugin-dir="$tmp/plugins" --set pipeline.transport=$transport \
		put "$pub/file" "xfer://$daemon_address/in/file"
	is "$status" 0 "$transport: put: status"
	check "$transport: put: the same bytes" cmp "$pub/file" "$tmp/in/file"
	stop_daemon
done
is "$(sort -u "$tmp/sums" | wc -l)" 1 "one digest by all of them"

# One that stops taking anything out of pipes in the middle of a chunk; then in the middle of the first head, so to speak.
transport=fickle
for most in 5000001 1 0; do
	XFER_TEST_PIPED=$most
	export XFER_TEST_PIPED
	need_daemon -c "$tmp/xferd.ini" --set pipeline.transport=fickle
	same file --integrity none
	same file
	rm -f "$tmp/in/file"
	run "$xfer" -q --integrity none --set core.plugin-dir="$tmp/plugins" --set pipeline.transport=fickle \
		put "$pub/file" "xfer://$daemon_address/in/file"
	is "$status" 0 "not beyond $most bytes: put: status"
	check "not beyond $most bytes: put: the same bytes" cmp "$pub/file" "$tmp/in/file"
	stop_daemon
done
unset XFER_TEST_PIPED

# Pieces of which several pipes hold one chunk, and then of which none hold enough.
for most in 20000 2500 300; do
	XFER_TEST_PIECE=$most
	export XFER_TEST_PIECE
	need_daemon -c "$tmp/xferd.ini" --set pipeline.transport=fickle
	same file --integrity none --set core.plugin-dir="$tmp/plugins" --set pipeline.transport=fickle
	same file --integrity none --set core.plugin-dir="$tmp/plugins" --set pipeline.transport=fickle --no-resume \
		--set pipeline.chunk-size=16M
	rm -f "$tmp/in/file"
	run "$xfer" -q --integrity none --set core.plugin-dir="$tmp/plugins" --set pipeline.transport=fickle \
		put "$pub/file" "xfer://$daemon_address/in/file"
	is "$status" 0 "pieces of $most bytes: put: status"
	check "pieces of $most bytes: put: the same bytes" cmp "$pub/file" "$tmp/in/file"
	stop_daemon
done
unset XFER_TEST_PIECE

# ---- files that change -----------------------------------------------------------------------------------------------

bytes_came() {
	[ -n "$(find "$tmp/got" -path '*/.xfer-*' -type f -size +0)" ]
}

# changes WHAT INTEGRITY COMMAND...: what it does to file while that is fetched is noticed.
changes() {
	what="$1, $2"
	rm -rf "$tmp/got"
	mkdir "$tmp/got"
	"$xfer" get --no-progress --integrity "$2" --limit-rate 2M --set pipeline.chunk-size=64K \
		"xfer://$daemon_address/pub/$3" "$tmp/got" 2>"$err" &
	get=$!
	remember $get
	changed=$pub/$3
	shift 3
	await bytes_came || bail_out "nothing came"
	"$@" "$changed"
	status=0
	wait $get || status=$?
	is "$status" 8 "$what: status"
	is "$(ls -A "$tmp/got")" "" "$what: nothing is there"
	like_file "$err" "the source changed while it was read: it " "$what: it says what happened"
}
rewrite() {
	cat "$tmp/second" 1<>"$1"
}

need_daemon -c "$tmp/xferd.ini"
# Digests of chunks of both sizes are known from here on.
for n in 1 2; do
	run "$xfer" get -q --set pipeline.chunk-size=64K "xfer://$daemon_address/pub/moment-$n" "$tmp/got-$n"
done
for n in $moments; do
	run "$xfer" get -q "xfer://$daemon_address/pub/moment-$n" "$tmp/got-$n"
done
is "$status" 0 "all digests are known"
changes rewritten sha256 moment-1 rewrite
changes shrunk sha256 moment-2 truncate -s 1M
changes rewritten none moment-1 rewrite
cp "$tmp/first" "$pub/moment-2"
changes shrunk none moment-2 truncate -s 1M

# rewritten AFTER WHAT FILE TO COMMAND...: FILE is rewritten so many seconds after COMMAND began to copy it to TO. What comes of
# it is the one or the other, or nothing.
rewritten() {
	moment="$2, rewritten after $1 s"
	moment_after=$1
	moment_file=$3
	moment_to=$4
	shift 4
	rm -rf "$moment_to"
	"$@" 2>"$err" &
	get=$!
	remember $get
	sleep "$moment_after"
	rewrite "$moment_file"
	status=0
	wait $get || status=$?
	diag "$moment: status $status"
	case $status in
	0) check "$moment: no mixture" sh -c "cmp '$tmp/first' '$moment_to' || cmp '$tmp/second' '$moment_to'" ;;
	*)
		like "$status" '^[58]$' "$moment: it is noticed"
		check "$moment: nothing is there" test ! -e "$moment_to"
		;;
	esac
}

for n in 3 4 5 6 7 8; do
	rewritten "0.0$n" "digests are known" "$pub/moment-$n" "$tmp/got" \
		"$xfer" get -q "xfer://$daemon_address/pub/moment-$n" "$tmp/got"
done
# Nobody knows a digest of these: they are hashed, and sent as they were hashed.
for n in 1 3 5 7; do
	cp "$tmp/first" "$pub/fresh"
	rewritten "0.0$n" "digests are made" "$pub/fresh" "$tmp/got" "$xfer" get -q "xfer://$daemon_address/pub/fresh" "$tmp/got"
	cp "$tmp/first" "$tmp/fresh"
	rewritten "0.0$n" put "$tmp/fresh" "$tmp/in/fresh" "$xfer" -q put "$tmp/fresh" "xfer://$daemon_address/in/fresh"
done
stop_daemon
is "$daemon_status" 0 "the daemon stops"
unlike "$(cat "$daemon_log")" ' error: ' "nothing went wrong"

done_testing
