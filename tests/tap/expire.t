#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What abandoned puts left expires at the daemon: their partial files, folders and journals, and nothing else.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
command -v perl >/dev/null || skip_all "there is no perl"

# An id for each case, as journals are named by it.
old=00000000000000aa
young=00000000000000bb
busy=00000000000000cc
forged=00000000000000dd
merge=00000000000000ee
garbage=00000000000000ff

# journal FILE ID PARTIAL TARGET [FILES...]
journal() {
	journal_file=$1 journal_id=$2
	shift 2
	perl "$top_srcdir/tests/tap/journal.pl" write "$journal_file" "${journal_id}1111111111111111" "10.1.2.3" "$@"
}

# leave EXPORT: what puts left there, two hours ago but for one.
leave() {
	puts=$1/.xfer-puts
	mkdir -p "$puts" "$1/dir/.xfer-$old/inside" "$1/tree/sub"
	echo mine >"$1/mine"
	echo mine >"$1/tree/sub/mine"
	echo part >"$1/dir/.xfer-$old/inside/file"
	journal "$puts/$old.j" $old "dir/.xfer-$old" dir/new
	echo part >"$1/.xfer-$young"
	journal "$puts/$young.j" $young ".xfer-$young" young
	echo part >"$1/.xfer-$busy"
	journal "$puts/$busy.j" $busy ".xfer-$busy" busy
	# Names that do not follow from the id: nothing of them is touched.
	journal "$puts/$forged.j" $forged mine mine
	# A tree into one that is there.
	echo part >"$1/tree/sub/.xfer-$merge.0"
	echo part >"$1/tree/.xfer-$merge.1f"
	echo part >"$1/tree/sub/.xfer-$old.0"
	journal "$puts/$merge.j" $merge ".xfer-$merge" tree sub/a sub/b c
	echo "no journal" >"$puts/$garbage.j"
	echo "mine too" >"$puts/notes"
	touch -d '2 hours ago' "$puts"/*
	touch "$puts/$young.j"
}

left() {
	(cd "$1" && find . -name '.xfer*' -o -path './.xfer-puts/*' | LC_ALL=C sort | paste -sd ' ')
}

leave "$tmp/pub"
leave "$tmp/kept"
before=$(left "$tmp/kept")
cat >"$tmp/xferd.ini" <<-END
	[daemon]
	listen = 127.0.0.1:0
	workers = ${workers:-1}
	partial-keep = 1h
	[export.pub]
	path = $tmp/pub
	access = read-write
	[export.kept]
	path = $tmp/kept
	access = read-only
	[export.none]
	path = $tmp/none
	access = read-write
END

mkfifo "$tmp/end"
perl "$top_srcdir/tests/tap/journal.pl" hold "$tmp/pub/.xfer-puts/$busy.j" <"$tmp/end" >"$tmp/held" &
holder=$!
remember $holder
exec 3>"$tmp/end"
wait_line "$tmp/held" held $holder >/dev/null || bail_out "cannot hold a journal"

# ---- never ----

need_daemon -c "$tmp/xferd.ini" --set daemon.partial-keep=0s
run "$xfer" ls "xfer://$daemon_address/pub/"
is "$(paste -sd ' ' "$out")" "dir mine tree" "names of ours are not listed"
for path in ".xfer-$young" ".xfer-puts/notes" ".xfer-puts" "dir/.xfer-$old/inside/file" "dir/.xfer-$old"; do
	run "$xfer" ls "xfer://$daemon_address/pub/$path"
	is "$status" 4 "$path cannot be listed"
	like_file "$err" "no such file" "as if it were not there"
	run "$xfer" get "xfer://$daemon_address/pub/$path" "$tmp/got"
	is "$status" 4 "nor fetched"
	like_file "$err" "no such file" "as if it were not there"
done
check "nothing came" test ! -e "$tmp/got"
stop_daemon
is "$(left "$tmp/pub")" "$before" "with partial-keep = 0s nothing expires"

# ---- after an hour ----

need_daemon -c "$tmp/xferd.ini" --set core.log-format=json
# In the folder's own order: four journals go.
wait_line "$daemon_log" '"expired"' "$daemon_pid" 4 >"$tmp/expired" || diag_file "$daemon_log"
is "$(wc -l <"$tmp/expired")" 4 "four of them expire"
like_file "$tmp/expired" "\"export\":\"pub\",\"journal\":\".xfer-puts/$old.j\",\"file\":\"dir/new\",\"partial\":\"dir/.xfer-$old\",\"source\":\"10.1.2.3\",\"age_s\":7[0-9]*,\"result\":\"ok\"" \
	"and the log says what"
stop_daemon
is "$daemon_status" 0 "the daemon ends as ever"
is "$(left "$tmp/pub")" "./.xfer-$young ./.xfer-$busy ./.xfer-puts ./.xfer-puts/$young.j ./.xfer-puts/$busy.j ./.xfer-puts/notes ./tree/sub/.xfer-$old.0" \
	"what was old is gone, with all that belonged to it; what is new, in use or not ours is not"
unlike "$(cat "$daemon_log")" "$busy|$young" "and of what stays there is nothing to be said"
check "and no file of anybody's" test -f "$tmp/pub/mine" -a -f "$tmp/pub/tree/sub/mine" -a -d "$tmp/pub/dir"
is "$(left "$tmp/kept")" "$before" "an export that cannot be written to is left alone"

# ---- when it is no longer in use ----

exec 3>&-
wait $holder
need_daemon -c "$tmp/xferd.ini"
wait_line "$daemon_log" " expired .*$busy" "$daemon_pid" >/dev/null
check "what was in use expires when it is no longer" test ! -e "$tmp/pub/.xfer-$busy" -a ! -e "$tmp/pub/.xfer-puts/$busy.j"
stop_daemon

# ---- a put of one chunk, whose worker dies before the file has its name ----

syscalls=$top_builddir/tests/faults/syscalls
status=0
"$syscalls" true 2>"$err" || status=$?
if [ $status = 0 ]; then
	rm -rf "$tmp/pub"
	mkdir "$tmp/pub"
	need_daemon -c "$tmp/xferd.ini"
	echo one >"$tmp/one"
	run "$syscalls" -t 60 -o "$tmp/report" -p "$(worker_pid 0)" -k renameat:1 -d kill \
		"$xfer" put --retry-for 0 -q "$tmp/one" "xfer://$daemon_address/pub/one"
	stop_daemon
	like_file "$tmp/report" '^reached' "one chunk: the worker dies"
	check "one chunk: the file is not there" test ! -e "$tmp/pub/one"
	is "$(left "$tmp/pub" | wc -w)" 3 "one chunk: it leaves the file under a hidden name, and its journal"
	find "$tmp/pub" -mindepth 1 -exec touch -d '2 hours ago' {} +
	need_daemon -c "$tmp/xferd.ini"
	check "one chunk: expires" wait_line "$daemon_log" ' expired .*file=one .*result=ok' "$daemon_pid"
	stop_daemon
	is "$(ls -A "$tmp/pub")" "" "one chunk: nothing is left"
else
	skip "a put of one chunk that is left over expires" "$(cat "$err")"
fi

# ---- what cannot be removed ----

rm -rf "$tmp/pub"
leave "$tmp/pub"
if [ "$(id -u)" = 0 ]; then
	chmod 555 "$tmp/pub/dir"
	printf '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "%s" "$@"\n' "$xferd" >"$tmp/xferd"
	chmod +x "$tmp/xferd"
	xferd=$tmp/xferd
	need_daemon -c "$tmp/xferd.ini"
	wait_line "$daemon_log" " expired .*$old.*Permission denied" "$daemon_pid" >"$tmp/refused"
	like_file "$tmp/refused" "warn" "what cannot be removed is a warning"
	check "and keeps its journal" test -f "$tmp/pub/.xfer-puts/$old.j"
	stop_daemon
	chmod 755 "$tmp/pub/dir"
else
	skip "what cannot be removed is a warning" "only root can take rights from itself"
fi

done_testing
