#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What `xfer` shows of a transfer, a listing, a ping and a digest: for people, on a terminal, and as JSON.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

export TZ=UTC
pub=$tmp/pub
mkdir -p "$pub/tree/sub" "$pub/tree/sub-z"
head -c 3000000 /dev/urandom >"$pub/big"
printf hello >"$pub/tree/a"
printf x >"$pub/tree/sub/b"
printf y >"$pub/tree/sub-z/c"
ln -s ../a "$pub/tree/link"
odd=$(printf 'o\\d\nd\377\303\251')
printf z >"$pub/tree/$odd"
shown='o\x5cd\x0ad\xff'$(printf '\303\251')
chmod 640 "$pub/tree/a"
touch -d '2001-02-03 04:05:06 UTC' "$pub/tree/a"
mkfifo "$pub/pipe"

write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# json_lines FILE: every line is an object, and strict UTF-8.
# shellcheck disable=SC2317
json_lines() {
	python3 -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8", errors="strict"):
    assert "type" in json.loads(line)' "$1"
}

# check_json NAME: of the last run.
check_json() {
	if command -v python3 >/dev/null; then
		check "$1" json_lines "$out"
	else
		skip "$1" "there is no python3"
	fi
}

# ---- get -------------------------------------------------------------------------------------------------------------

run "$xfer" get "$url/big" "$tmp/one"
is "$status" 0 "get of one file"
check "... which is there" cmp "$pub/big" "$tmp/one"
like_file "$out" '^1 file: 3000000 bytes \(2\.9 MiB\) in [0-9.]+ s, [0-9.]+ [KMGT]?i?B/s$' "... the sums"
like_file "$out" '^digest: xfer1:sha256:1M:[0-9a-f]{64}$' "... its digest"
like_file "$out" '^skipped 0, failed 0, repaired 0 chunks(, round trip [0-9.]+ ms)?$' "... what went wrong"
is "$(cat "$err")" "" "... and nothing else: it was too short for a line of progress"
digest=$(sed -n 's/^digest: //p' "$out")

run "$xfer" digest "$tmp/one"
is "$(cat "$out")" "$digest  $tmp/one" "xfer digest gives the same"
run "$xfer" digest --chunk-size 64K "$tmp/one"
like "$(cat "$out")" '^xfer1:sha256:64K:[0-9a-f]{64}  ' "... and another one for another chunk size"

run "$xfer" get -q "$url/big" "$tmp/one"
is "$status$(cat "$out" "$err")" 0 "-q says nothing"

run "$xfer" get -v "$url/tree" "$tmp/tree"
is "$status" 0 "get -v of a tree"
like_file "$out" '^4 files, 3 folders, 1 link: 8 bytes' "... counts what is in it"
like_file "$out" '^digest: every file verified by sha256$' "... a tree has no digest of its own"
like_file "$out" 'sub/b  1 B  xfer1:sha256:1M:' "... a line for each file"
check "... names of any bytes made printable" grep -qF -- "$shown  1 B  xfer1:" "$out"
rate='[0-9.]+ s \([0-9.]+ [KMGT]?i?B/s\)'
like_file "$out" "^stages: hash $rate, write $rate, send $rate, receive $rate, busy within [0-9.]+ s; .*(hash|write|send|receive|side) limited\$" \
	"... and the stage that limited, with the figures of each"
run "$xfer" get -v --limit-rate 4M "$url/big" "$tmp/slowly"
like_file "$out" '; the network or the other side limited$' "where nothing here was busy it was the other side"
run "$xfer" get -v --json "$url/tree" "$tmp/tree-json"
like_file "$out" '"stages":.*"stage":"receive","calls":[0-9]+,"bytes":[0-9]+,"busy":[0-9.]+,"threads":1}.*"limit":' \
	"... as JSON, too"

run "$xfer" get "$url/pipe" "$tmp/"
is "$status" 1 "a special file is skipped"
like_file "$err" '^xfer: .*pipe' "... and named"
like_file "$out" '^skipped 1, ' "... and counted"

run "$xfer" get "$url/missing" "$tmp/"
is "$status" 4 "a file that is not there"
like_file "$err" '^xfer: .*missing' "... is named"

run "$xfer" get --json "$url/tree" "$url/pipe" "$tmp/tree2"
is "$status" 7 "several sources need a folder, which is not there"
mkdir "$tmp/tree2"
run "$xfer" get --json "$url/tree" "$url/pipe" "$tmp/tree2"
is "$status" 1 "get --json"
check_json "... prints JSON lines"
is "$(grep -c '^{"type":"file",' "$out")" 4 "... one for each file"
like_file "$out" '^\{"type":"summary","status":1,"files":4,"folders":3,"links":1,"bytes":8,' "... the summary"
like_file "$out" '^\{"type":"message",.*"text":".*pipe' "... what was skipped"
unlike "$(cat "$out")" '%|files  ' "... and no progress"

"$xfer" get --limit-rate 100K "$url/big" "$tmp/interrupted" >"$out" 2>"$err" &
pid=$!
remember "$pid"
# Something arrived: the hidden file in which it grows is there.
arrived() { ls "$tmp"/.xfer-*; }
await arrived
kill -INT "$pid"
status=0
wait "$pid" || status=$?
is "$status" 130 "an interrupt ends a get"
like_file "$err" '^xfer: get: interrupted; nothing incomplete' "... and says how things stand"
check "... nothing is under the final name" test ! -e "$tmp/interrupted"
check "... what came is left for the next run" test -n "$(find "$tmp" -maxdepth 1 -name '.xfer-*' -type f)"

# ---- a terminal ------------------------------------------------------------------------------------------------------

if command -v script >/dev/null && TERM=xterm script -qec true /dev/null </dev/null >/dev/null 2>&1; then
	TERM=xterm script -qec "stty cols 70; '$xfer' get -v --limit-rate 2M '$url/big' '$url/pipe' '$tmp/tree2'" /dev/null \
		</dev/null >"$tmp/typescript" 2>&1
	is "$?" 1 "get on a terminal"
	tr '\r' '\n' <"$tmp/typescript" >"$tmp/lines"
	esc=$(printf '\033')
	like_file "$tmp/lines" '^ *[0-9]+%  .* of 2\.9 MiB' "... shows a line of progress with a percentage"
	is "$(sed "s/$esc\[K//g" "$tmp/lines" | grep '%  ' | awk 'length($0) > 69' | wc -l)" 0 "... that fits"
	# What is not drawn over stands on a line of its own: in front of it the line was cleared.
	tr '\n' '\001' <"$tmp/typescript" | tr '\001\r' '\n\001' | sed "s/.*$esc\[K//; s/$(printf '\001')//g" >"$tmp/kept"
	like_file "$tmp/kept" '^big  2\.9 MiB  xfer1:|^[^ ]*/big  2\.9 MiB  xfer1:' "... lines of -v stand alone"
	like_file "$tmp/kept" '^xfer: .*pipe' "... messages too"
	like_file "$tmp/kept" '^1 file: 3000000 bytes' "... and the summary"
	unlike "$(cat "$tmp/kept")" '%  ' "... and no progress is left"
else
	skip "get on a terminal" "script(1) makes none here"
fi

# ---- ls --------------------------------------------------------------------------------------------------------------

run "$xfer" ls "$url/tree"
is "$status" 0 "ls"
is "$(paste -sd '|' "$out")" "a|link|$shown|sub|sub-z" "... sorted, names made printable"
run "$xfer" ls -R "$url/tree"
is "$(paste -sd '|' "$out")" "a|link|$shown|sub|sub/b|sub-z|sub-z/c" "ls -R: what is in a folder follows it"
run "$xfer" ls -l "$url/tree"
like_file "$out" '^-rw-r-----     5 2001-02-03 04:05 a$' "ls -l of a file"
like_file "$out" '^l......... +[0-9]+ ....-..-.. ..:.. link -> \.\./a$' "... of a link"
like_file "$out" '^drwx...... +[0-9]+ ....-..-.. ..:.. sub$' "... of a folder"
run "$xfer" ls -l "$url/tree/a"
is "$(cat "$out")" "-rw-r-----     5 2001-02-03 04:05 a" "ls of a file"
run "$xfer" ls "xfer://$daemon_address/"
is "$(cat "$out")" pub "ls without an export shows the exports"
run "$xfer" ls "$url/nothing"
is "$status" 4 "ls of what is not there"
run "$xfer" ls --json "$url/tree"
is "$status" 0 "ls --json"
check_json "... prints JSON lines"
like_file "$out" '^\{"type":"entry","path":"a","kind":"file","size":5,"mode":"0640","mtime":981173106,"mtime_ns":0,"sparse":false\}$' \
	"... a file"
like_file "$out" '"path":"link","kind":"link",.*"target":"\.\./a"' "... a link"
check "... a name of any bytes, its backslashes doubled" \
	grep -qF -- "\"path\":\"$(printf '%s' "$shown" | sed 's/\\/\\\\/g')\"" "$out"

mkdir "$pub/many"
(cd "$pub/many" && seq -f 'name-%05.0f' 10001 | xargs touch)
run "$xfer" ls "$url/many"
is "$(wc -l <"$out")" 10001 "a listing beyond what is sorted is whole"
is "$(sort -u "$out" | wc -l)" 10001 "... each name once"
rm "$pub/many/name-00001"
run "$xfer" ls "$url/many"
check "one of 10,000 is sorted" sort -c "$out"

# ---- ping ------------------------------------------------------------------------------------------------------------

run "$xfer" ping -c 3 -i 50ms "$daemon_address"
is "$status" 0 "ping"
like_file "$out" "^PING $daemon_address \($daemon_address\) by udp heartbeat\$" "... says who is asked, and how"
is "$(grep -Ec "^answer from $daemon_address: seq=[1-3] time=[0-9]+\.[0-9]{3} ms\$" "$out")" 3 "... a line for each answer"
like_file "$out" "^--- $daemon_address ping statistics ---\$" "... the statistics"
like_file "$out" '^3 sent, 3 received, 0% loss, time [0-9]+ms$' "... sent, received, lost"
like_file "$out" '^rtt min/avg/max/mdev = [0-9.]+/[0-9.]+/[0-9.]+/[0-9.]+ ms$' "... and round trips"
run "$xfer" ping -q -c 1 "$daemon_address"
is "$(wc -l <"$out")" 3 "-q prints the statistics alone"
run "$xfer" ping --json -c 2 -i 50ms "$daemon_address"
check_json "ping --json prints JSON lines"
is "$(grep -c '^{"type":"ping","sequence":[12],"answered":true,"rtt":0\.' "$out")" 2 "... for each answer"
like_file "$out" '^\{"type":"summary","status":0,"sent":2,"received":2,' "... and the sums"

"$xfer" ping -i 50ms "$daemon_address" >"$tmp/pings" 2>"$err" &
pid=$!
remember "$pid"
wait_line "$tmp/pings" 'seq=2' "$pid" >/dev/null
kill -INT "$pid"
status=0
wait "$pid" || status=$?
is "$status" 0 "an interrupt ends a ping that was answered, well"
like_file "$tmp/pings" '^[0-9]+ sent, [0-9]+ received' "... with the statistics"

# ---- nobody there ----------------------------------------------------------------------------------------------------

stop_daemon TERM
for words in "get $url/big $tmp/" "ls $url" "ping -c 1 $daemon_address"; do
	# shellcheck disable=SC2086
	run "$xfer" $words
	is "$status" 3 "nobody listens: xfer $words"
	like_file "$err" "^xfer: .*$daemon_address.*refused" "... says so"
	is "$(cat "$out")" "" "... and nothing else"
done

done_testing
