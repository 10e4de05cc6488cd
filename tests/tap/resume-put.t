#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A put that broke off goes on where it was, whichever side broke it off; and --update puts only what differs.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"

src=$tmp/src
pub=$tmp/pub
mkdir "$src" "$src/tree" "$src/tree/deep" "$pub"
size=41943040
window=17825792 # what is in flight, and a chunk
pieces=12288    # KiB that may be read and not sent: four threads wait, each with three chunks
make_file "$src/file" $size
for i in 1 2 3; do make_file "$src/tree/large$i" 8000001; done
for i in $(seq 40); do make_file "$src/tree/deep/small$i" $((i * 1000)); done
: >"$src/tree/empty"
ln -s nowhere "$src/tree/link"
write_config "$tmp/xferd.ini" "$pub" read-write
need_gates
xferd=$top_builddir/xferd
gated put "$src" "$xfer"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# number NAME: of the summary of the last put.
number() {
	sed -n '/"type": *"summary"/p' "$out" | grep -Eo "\"$1\": *[0-9]+" | sed -n '1s/.*: *//p'
}

hidden_kib() {
	find "$pub" -path '*/.xfer-*' ! -name '*.j' -type f -printf '%k\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}

came() {
	[ "$(hidden_kib)" -ge "$1" ]
}

# begin_put KIB ARGUMENTS...: a put in the background; returns when so much has come, and more cannot come before end_put.
begin_put() {
	kib=$1
	shift
	puts_before=$(puts_over)
	hold $((kib + pieces))
	"$tmp/put" put "$@" >"$out" 2>"$err" &
	put_pid=$!
	remember $put_pid
	await came "$kib" || bail_out "nothing came"
}

# over: the daemon has done with what begin_put began.
puts_over() {
	grep -c ' verb=put .* result=' "$daemon_log"
}
over() {
	[ "$(puts_over)" -gt "$puts_before" ]
}

end_put() {
	go_on
	status=0
	wait $put_pid 2>/dev/null || status=$?
}

# resumes NAME MOST: the last put ended well, and no more than so many bytes went.
resumes() {
	is "$status" 0 "$1: status"
	[ "$status" = 0 ] || diag_file "$err"
	received=$(number received)
	[ "${received:-$2}" -lt "$2" ] && ok "$1: $received bytes of at most $2 went" || not_ok "$1: $received bytes went, more than $2"
	is "$(leftovers "$pub")" "" "$1: nothing of ours is left"
}

# put_again SOURCE: fails as long as the daemon has not let go of what the put before began.
# shellcheck disable=SC2317
put_again() {
	run "$xfer" put --json "$1" "$url/"
	! grep -q 'is running already' "$err"
}

fresh() {
	chmod -R u+rwx "$pub"
	find "$pub" -mindepth 1 -delete
}

# ---- the client is killed, interrupted ----

for signal in KILL INT; do
	fresh
	begin_put 16384 "$src/file" "$url/"
	kill -$signal $put_pid
	end_put
	await over || bail_out "the daemon does not notice"
	is "$(ls "$pub")" "" "$signal: nothing has a final name"
	kept=$(hidden_kib)
	# It says so a moment before it lets go of the lock.
	await put_again "$src/file"
	resumes "$signal" $((size - kept * 1024 + window))
	check "$signal: the same bytes" cmp "$src/file" "$pub/file"
	is "$(number bytes)" $size "$signal: all of it counts"
done

# ---- the worker is killed: the client goes on by itself ----

fresh
begin_put 8192 --json "$src/file" "$url/"
kill -KILL "$(worker_pid 0)"
end_put
resumes "the worker was killed" $((size + window))
check "the worker was killed: the same bytes" cmp "$src/file" "$pub/file"

# ---- the daemon is killed and started again ----

fresh
port=$daemon_port
begin_put 16384 --retry-for 0 "$src/file" "$url/"
stop_daemon KILL
end_put
is "$status" 6 "the daemon was killed: status"
kept=$(hidden_kib)
need_daemon -c "$tmp/xferd.ini" --set "daemon.listen=127.0.0.1:$port"
run "$xfer" put --json "$src/file" "$url/"
resumes "the daemon was killed" $((size - kept * 1024 + window))
check "the daemon was killed: the same bytes" cmp "$src/file" "$pub/file"

# ---- the source changed in between ----

fresh
begin_put 16384 "$src/file" "$url/"
kill -KILL $put_pid
end_put
printf 'changed' | dd of="$src/file" bs=1 seek=2000000 conv=notrunc 2>/dev/null
await put_again "$src/file"
resumes "the source changed in between" $((size - 4194304))
check "the source changed in between: the new bytes" cmp "$src/file" "$pub/file"

# ---- trees ----

fresh
begin_put 8192 "$src/tree" "$url/"
kill -KILL $put_pid
end_put
is "$(ls "$pub")" "" "a tree, killed: nothing has a final name"
await put_again "$src/tree"
resumes "a tree, killed" 24820004
check "a tree, killed: the same" same_tree "$src/tree" "$pub/tree"

fresh
mkdir "$pub/tree" "$pub/tree/deep"
begin_put 6144 "$src/tree" "$url/"
kill -KILL $put_pid
end_put
await put_again "$src/tree"
resumes "into a tree, killed" 24820004
check "into a tree, killed: the same" same_tree "$src/tree" "$pub/tree"

# ---- only what differs ----

run "$xfer" put --json --update "$src/tree" "$url/"
resumes "the same tree" 1
is "$(number same)" 44 "the same tree: nothing was put"
printf 'changed' | dd of="$src/tree/large1" bs=1 seek=3500000 conv=notrunc 2>/dev/null
run "$xfer" put --json --update "$src/tree" "$url/"
resumes "one chunk" 1048577
check "one chunk: the same" same_tree "$src/tree" "$pub/tree"
run "$xfer" put --integrity crc32 --update "$src/tree" "$url/"
is "$status" 2 "--update with crc32: refused"

# ---- twice at once, and not at all ----

fresh
begin_put 4096 "$src/file" "$url/"
run "$xfer" put "$src/file" "$url/"
is "$status" 7 "the same command at once: refused"
like_file "$err" 'the same transfer is running' "the same command at once: and told why"
kill -KILL $put_pid
end_put
await over || bail_out "the daemon does not notice"
fresh
begin_put 4096 --no-resume "$src/file" "$url/"
kill -KILL $put_pid
end_put
nothing_left() {
	[ -z "$(leftovers "$pub")" ]
}
check "--no-resume: nothing is left" await nothing_left

# ---- what nobody comes back for goes ----

fresh
begin_put 4096 "$src/file" "$url/dir" --retry-for 0
stop_daemon KILL
end_put
check "abandoned: what came is there" test -n "$(leftovers "$pub")"
find "$pub" -exec touch -h -d '8 days ago' {} +
need_daemon -c "$tmp/xferd.ini"
check "abandoned: a week later it goes" await nothing_left

done_testing
