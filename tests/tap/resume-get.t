#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A get that broke off goes on where it was: what came stays, what is there is checked, what is missing is fetched.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
need_gates

pub=$tmp/pub
mkdir "$pub" "$pub/tree" "$pub/tree/deep"
size=41943040
window=17825792 # what is in flight, and a chunk
pieces=12288    # KiB that may be read and not sent: four threads wait, each with three chunks
make_file "$pub/file" $size
for i in 1 2 3; do make_file "$pub/tree/large$i" 8000001; done
for i in $(seq 40); do make_file "$pub/tree/deep/small$i" $((i * 1000)); done
: >"$pub/tree/empty"
ln -s nowhere "$pub/tree/link"
write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
got=$tmp/got

# number NAME: of the summary of the last get.
number() {
	sed -n '/"type": *"summary"/p' "$out" | grep -Eo "\"$1\": *[0-9]+" | sed -n '1s/.*: *//p'
}

# hidden_kib: of what is unfinished beneath $got.
hidden_kib() {
	find "$got" -path '*/.xfer-*' ! -name '*.j' -type f -printf '%k\n' 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}

came() {
	[ "$(hidden_kib)" -ge "$1" ]
}

# break_off SIGNAL KIB ARGUMENTS...: a get into $got that is killed when so much has come, and more cannot come. Its status in
# $status.
break_off() {
	signal=$1
	kib=$2
	shift 2
	hold $((kib + pieces))
	"$xfer" get "$@" "$got" >"$out" 2>"$err" &
	get_pid=$!
	remember $get_pid
	await came "$kib" || bail_out "nothing came"
	kill "-$signal" $get_pid
	status=0
	wait $get_pid 2>/dev/null || status=$?
	go_on
}

# resumes NAME MOST: the last get ended well, and no more than so many bytes came.
resumes() {
	is "$status" 0 "$1: status"
	[ "$status" = 0 ] || diag_file "$err"
	received=$(number received)
	[ "${received:-$2}" -lt "$2" ] && ok "$1: $received bytes of at most $2 came" || not_ok "$1: $received bytes came, more than $2"
	is "$(leftovers "$got")" "" "$1: nothing of ours is left"
}

fresh() {
	chmod -R u+rwx "$got" 2>/dev/null
	rm -rf "$got"
	mkdir "$got"
}

# ---- one file ----

for integrity in sha256 crc32 none; do
	fresh
	set -- --integrity $integrity --json --set "pipeline.integrity=sha256,crc32,none"
	[ $integrity = none ] && {
		stop_daemon
		need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=sha256,crc32,none
		url=xfer://$daemon_address/pub
	}
	break_off KILL 16384 "$@" "$url/file"
	is "$(ls "$got")" "" "killed, $integrity: nothing has a final name"
	kept=$(hidden_kib)
	run "$xfer" get "$@" "$url/file" "$got"
	resumes "killed, $integrity" $((size - kept * 1024 + window))
	check "killed, $integrity: the same bytes" cmp "$pub/file" "$got/file"
	is "$(number bytes)" $size "killed, $integrity: all of it counts"
done

fresh
break_off INT 8192 --json "$url/file"
is "$status" 130 "interrupted: status"
check "interrupted: what came is there" test "$(hidden_kib)" -ge 8192
run "$xfer" get --json "$url/file" "$got"
resumes "interrupted" $((size - 4194304))
check "interrupted: the same bytes" cmp "$pub/file" "$got/file"

fresh
break_off KILL 16384 "$url/file"
run "$xfer" get --no-resume --json "$url/file" "$got"
is "$(number received)" $size "--no-resume: all of it comes"
resumes "--no-resume" $((size + 1))

# ---- a journal that lies, a file that is not what the journal says ----

fresh
break_off KILL 24576 "$url/file"
printf 'XXXX' | dd of="$(find "$got" -name '.xfer-*' ! -name '*.j')" bs=1 seek=3000000 conv=notrunc 2>/dev/null
run "$xfer" get --json "$url/file" "$got"
resumes "a chunk on disk is damaged" $size
check "a chunk on disk is damaged: the same bytes" cmp "$pub/file" "$got/file"

fresh
break_off KILL 24576 "$url/file"
journal=$(find "$got" -name '.xfer-*.j')
truncate -s $(($(stat -c %s "$journal") - 37)) "$journal"
run "$xfer" get --json "$url/file" "$got"
resumes "a torn journal" $size
check "a torn journal: the same bytes" cmp "$pub/file" "$got/file"

fresh
break_off KILL 24576 "$url/file"
journal=$(find "$got" -name '.xfer-*.j')
for at in 20 150 301 477 600; do
	printf '\252\125' | dd of="$journal" bs=1 seek=$at conv=notrunc 2>/dev/null
done
run "$xfer" get --json "$url/file" "$got"
resumes "a damaged journal" $((size + 1))
check "a damaged journal: the same bytes" cmp "$pub/file" "$got/file"

fresh
break_off KILL 24576 "$url/file"
find "$got" -name '.xfer-*' ! -name '*.j' -exec truncate -s 5000000 {} +
run "$xfer" get --json "$url/file" "$got"
resumes "what was written is cut off" $((size - 2000000))
check "what was written is cut off: the same bytes" cmp "$pub/file" "$got/file"

# ---- other cuts, another integrity ----

fresh
break_off KILL 24576 --set pipeline.chunk-size=256K "$url/file"
run "$xfer" get --json "$url/file" "$got"
resumes "cut as the journal says" $((size - 8388608))
check "cut as the journal says: the same bytes" cmp "$pub/file" "$got/file"

fresh
break_off KILL 24576 --integrity crc32 "$url/file"
run "$xfer" get --json --integrity sha256 "$url/file" "$got"
resumes "another integrity" $((size - 8388608))
check "another integrity: the same bytes" cmp "$pub/file" "$got/file"

# ---- the source changed in between ----

fresh
break_off KILL 24576 "$url/file"
printf 'changed' | dd of="$pub/file" bs=1 seek=2000000 conv=notrunc 2>/dev/null
run "$xfer" get --json "$url/file" "$got"
resumes "the source changed in between" $((size - 4194304))
check "the source changed in between: the new bytes" cmp "$pub/file" "$got/file"

# ---- twice at once ----

fresh
hold $((4096 + pieces))
"$xfer" get "$url/file" "$got" >"$out" 2>"$err" &
get_pid=$!
remember $get_pid
await came 4096 || bail_out "nothing came"
run "$xfer" get "$url/file" "$got"
is "$status" 7 "the same command at once: refused"
like_file "$err" 'the same transfer is running' "the same command at once: and told why"
kill -KILL $get_pid
wait $get_pid
go_on

# ---- trees ----

fresh
break_off KILL 8192 "$url/tree"
is "$(ls "$got")" "" "a tree, killed: nothing has a final name"
kept=$(hidden_kib)
run "$xfer" get --json "$url/tree" "$got"
resumes "a tree, killed" $((24000003 + 820000 - kept * 1024 + window))
check "a tree, killed: the same" same_tree "$pub/tree" "$got/tree"

# What was begun and is not listed any more does not appear.
fresh
break_off KILL 8192 "$url/tree"
mv "$pub/tree/large2" "$pub/tree/deep/small7" "$tmp"
run "$xfer" get --json "$url/tree" "$got"
resumes "a tree of which something is gone" 24820004
check "a tree of which something is gone: the same" same_tree "$pub/tree" "$got/tree"
mv "$tmp/large2" "$pub/tree"
mv "$tmp/small7" "$pub/tree/deep"

fresh
mkdir "$got/tree" "$got/tree/deep"
echo other >"$got/tree/other"
break_off KILL 6144 "$url/tree"
run "$xfer" get --json "$url/tree" "$got"
resumes "into a tree, killed" 24820004
check "into a tree, killed: what was there stays" test -f "$got/tree/other"
rm "$got/tree/other"
touch -r "$pub/tree" "$got/tree"
check "into a tree, killed: the same" same_tree "$pub/tree" "$got/tree"

done_testing
