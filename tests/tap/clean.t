#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer clean: lists what abandoned transfers left, removes it when told to, and leaves alone what is in use.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
command -v perl >/dev/null || skip_all "there is no perl"

a=0011223344556677
b=8899aabbccddeeff

# journal ARGUMENTS...
journal() {
	perl "$top_srcdir/tests/tap/journal.pl" "$@"
}

# leave: what two transfers left in $tmp/here; of the first there is a journal.
leave() {
	rm -rf "$tmp/here"
	mkdir -p "$tmp/here/sub" "$tmp/here/.xfer-$a/inside"
	echo mine >"$tmp/here/mine"
	echo mine >"$tmp/here/.xfer-notes"
	make_file "$tmp/here/.xfer-$a/inside/file" 100000
	journal write "$tmp/here/.xfer-$a.j" "${a}0000000000000000" xfer://host/pub/tree ".xfer-$a" tree
	make_file "$tmp/here/sub/.xfer-$b" 50000
}
mkdir "$tmp/here"
here=$(cd "$tmp/here" && pwd -P)

# ---- nothing ----

run "$xfer" clean "$tmp/here"
is "$status" 0 "where nothing was left there is nothing to do"
is "$(cat "$out")" "nothing to remove" "and it says so"
run "$xfer" clean -q "$tmp/here"
is "$(cat "$out")" "" "but not with -q"
run "$xfer" clean
is "$status" 2 "it wants to know where"
run "$xfer" clean "$tmp/none/none"
is "$status" 7 "a place that cannot be is an error"
like_file "$err" "^xfer: clean: .*none/none.*No such file" "which names it"
run "$xfer" clean --older 7 "$tmp/here"
is "$status" 2 "an age has a unit"

# ---- listing ----

leave
run "$xfer" clean "$tmp/here"
is "$status" 0 "what was left is listed"
like_file "$out" "^ *1[0-9][0-9](\.[0-9])? KiB +[0-9]+s +folder +$here/.xfer-$a  1 file  for tree  from xfer://host/pub/tree\$" \
	"a folder, with its size, age, target and source"
like_file "$out" "^ *[0-9.]+ KiB +[0-9]+s +journal +$here/.xfer-$a.j\$" "its journal"
like_file "$out" "^ *[0-9.]+ KiB +[0-9]+s +partial +$here/sub/.xfer-$b  \(new, and without a journal: it may be in use\)\$" \
	"a partial file of which nothing is known"
like_file "$out" "^1 abandoned transfer, 1[0-9.]+ KiB; 1 spared, new; --remove removes" "and the sum"
is "$(wc -l <"$out")" 4 "and nothing else"
check "nothing was removed" test -f "$here/.xfer-$a/inside/file" -a -f "$here/.xfer-$a.j" -a -f "$here/sub/.xfer-$b"

run "$xfer" clean --json "$tmp/here"
for want in \
	'"type":"leftover","path":"'"$here/.xfer-$a"'","kind":"folder","state":"abandoned","transfer":"'$a'",.*"files":1,' \
	'"kind":"folder".*"source":"xfer://host/pub/tree","target":"tree"' \
	'"kind":"partial","state":"spared","transfer":"'$b'"' \
	'"type":"summary","status":0,"transfers":1,.*"removed":0,"removed_size":0,"busy":0,"spared":1'; do
	like_file "$out" "$want" "as JSON: $(printf %s "$want" | cut -c1-60)"
done

run "$xfer" clean --older 1h "$tmp/here"
is "$(cat "$out")" "nothing to remove" "what changed just now is not an hour old"
run "$xfer" clean --older 0 "$tmp/here"
like_file "$out" "^2 abandoned transfers" "an age that is asked for counts for all"

# ---- removing ----

run "$xfer" clean --remove --older 1d "$tmp/here"
check "what is younger than was asked for stays" test -d "$here/.xfer-$a" -a -f "$here/sub/.xfer-$b"

run "$xfer" clean --remove "$tmp/here"
is "$status" 0 "what was left is removed"
like_file "$out" "^1 abandoned transfer, [0-9.]+ KiB: removed; 1 spared, new\$" "with the sum of it"
like_file "$out" "folder .*\(removed\)\$" "and each is told"
is "$(leftovers "$here" | sort | paste -sd ' ')" "$here/.xfer-notes $here/sub/.xfer-$b" "but not what may be in use, nor mine"
run "$xfer" clean --remove --older 0 "$tmp/here"
is "$(leftovers "$here")" "$here/.xfer-notes" "unless every age was asked for"
check "and nothing else is gone" test -f "$here/mine" -a -d "$here/sub"

# ---- by the name that it was to have ----

leave
run "$xfer" clean --remove "$tmp/here/tre"
is "$(leftovers "$here" | wc -l)" 4 "what was to become something else stays"
run sh -c "cd '$tmp/here' && '$xfer' clean --remove ./tree"
is "$(leftovers "$here" | sort | paste -sd ' ')" "$here/.xfer-notes $here/sub/.xfer-$b" "what was to become tree is found by that name"

# ---- in use ----

leave
mkfifo "$tmp/end"
journal hold "$here/.xfer-$a.j" <"$tmp/end" >"$tmp/held" &
holder=$!
remember $holder
exec 3>"$tmp/end"
wait_line "$tmp/held" held $holder >/dev/null || bail_out "cannot hold a journal"
run "$xfer" clean --remove --older 0 "$tmp/here"
is "$status" 0 "what is in use is no error"
like_file "$out" "folder .*\(in use\)\$" "it says so"
like_file "$out" "; 1 in use\$" "and counts it"
check "and leaves it alone" test -f "$here/.xfer-$a/inside/file" -a -f "$here/.xfer-$a.j"
check "but removes the rest" test ! -e "$here/sub/.xfer-$b"
run "$xfer" clean --remove --older 0 "$here/.xfer-$a/inside"
check "a part of it is left alone too" test -f "$here/.xfer-$a/inside/file"
exec 3>&-
wait $holder
run "$xfer" clean --remove "$tmp/here"
check "when it has ended, it goes" test ! -e "$here/.xfer-$a" -a ! -e "$here/.xfer-$a.j"

# ---- what cannot be removed ----

leave
chmod 555 "$here/sub"
run unprivileged "$xfer" clean --remove --older 0 "$tmp/here"
is "$status" 7 "what cannot be removed is an error"
like_file "$err" "^xfer: clean: cannot remove \"$here/sub/.xfer-$b\": Permission denied" "which names it"
check "the rest went" test ! -e "$here/.xfer-$a" -a -e "$here/sub/.xfer-$b"
chmod 755 "$here/sub"

# ---- a transfer that was killed ----

mkdir "$tmp/pub" "$tmp/got"
make_file "$tmp/pub/large" 8000000
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini"
"$xfer" get --limit-rate 100K "xfer://$daemon_address/pub/large" "$tmp/got/" >/dev/null 2>&1 &
get=$!
remember $get
await sh -c "find '$tmp/got' -name '.xfer-*' | grep -q ." || bail_out "the transfer does not begin"
kill -KILL $get
wait $get
run "$xfer" clean --remove --older 0 "$tmp/got"
like_file "$out" "^1 abandoned transfer, .*: removed" "what a killed transfer left is removed"
is "$(leftovers "$tmp/got")" "" "all of it"
stop_daemon

done_testing
