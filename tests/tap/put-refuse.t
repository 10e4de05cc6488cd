#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What a daemon does not let in: exports that are not, or are read-only, paths that lead out of one, names of its own.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir -p "$tmp/pub/tree" "$tmp/ro/tree" "$tmp/outside/sub" "$tmp/src/tree"
echo new >"$tmp/src/file"
echo new >"$tmp/src/tree/file"
ln -s ../outside "$tmp/pub/relative"
ln -s "$tmp/outside" "$tmp/pub/absolute"
ln -s /proc/self/root "$tmp/pub/magic"
ln -s loop "$tmp/pub/loop"
echo old >"$tmp/pub/tree/file"
write_config "$tmp/xferd.ini" "$tmp/pub" read-write
cat >>"$tmp/xferd.ini" <<-END
	[export.ro]
	path = $tmp/ro
	[export.others]
	path = $tmp/pub
	access = read-write
	allow-from = 192.0.2.0/24
END
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address
list_tree "$tmp/pub" >"$tmp/pub-before"
list_tree "$tmp/outside" >"$tmp/outside-before"

# refused URL STATUS NAME [ERE]: a file and a tree, and nothing has changed.
refused() {
	for what in file tree; do
		run "$xfer" put "$tmp/src/$what" "$1"
		is "$status" "$2" "$3: $what: status"
		[ $# -lt 4 ] || like_file "$err" "$4" "$3: $what: the message"
	done
	list_tree "$tmp/pub" >"$tmp/pub-after"
	list_tree "$tmp/outside" >"$tmp/outside-after"
	check "$3: nothing is made" cmp "$tmp/pub-before" "$tmp/pub-after"
	check "$3: nor outside" cmp "$tmp/outside-before" "$tmp/outside-after"
}

refused "$url/ro" 4 "a read-only export" '^xfer: ro: the export ro is read-only$'
refused "$url/ro/tree/new" 4 "below a read-only export" 'read-only'
is "$(find "$tmp/ro" | wc -l)" 2 "nothing is in it"
refused "$url/nothing" 4 "an unknown export" '^xfer: nothing: there is no such export, or it is not for 127\.0\.0\.1:[0-9]+$'
refused "$url/others" 4 "an export for others" 'others: there is no such export, or it is not for '
refused "$url/pu" 4 "the beginning of an export's name"
refused "$url/pub/none/new" 4 "into a folder that is not there" 'pub/none/new: the folder to put it into is not there$'
refused "$url/pub/tree/file/new" 4 "below a file"
refused "$url/pub/none/" 4 "a folder that is not there" 'pub/none: there is no such folder$'
refused "$url/pub/relative" 4 "through a relative link" 'leads out of its export'
refused "$url/pub/absolute/sub" 4 "through an absolute link"
refused "$url/pub/magic/tmp" 4 "through a magic link"
refused "$url/pub/loop/file" 4 "through a link to itself"
refused "$url/pub/.xfer-0123456789abcdef" 4 "a name of the daemon's own" 'names that begin with .xfer- are for unfinished'
refused "$url/pub/.xfer-puts/x" 4 "below a name of the daemon's own"
for path in .. ../outside ../outside/new tree/../../outside/new tree/.. ./tree %2e%2e/outside/new tree/./new; do
	run "$xfer" put "$tmp/src/file" "$url/pub/$path"
	like "$status" '^[24]$' "pub/$path: status"
done
refused "$url/pub/%2Fetc/new" 2 "a slash in disguise"
refused "$url/pub/x%00" 2 "a NUL"

# Several want a folder.
run "$xfer" put "$tmp/src/file" "$tmp/src/tree" "$url/pub/new"
is "$status" 4 "several to a new name: status"
check "several to a new name: nothing is made" test ! -e "$tmp/pub/new"
run "$xfer" put "$tmp/src/file" "$tmp/src/tree" "$url/pub/tree/file"
is "$status" 4 "several to a file: status"
is "$(cat "$tmp/pub/tree/file")" old "several to a file: which is as it was"

# What has a name of ours is not sent, at the top or below.
mkdir "$tmp/src/.xfer-top" "$tmp/src/tree/.xfer-below"
echo hidden >"$tmp/src/tree/.xfer-file"
run "$xfer" put "$tmp/src/.xfer-top" "$url/pub"
is "$status" 2 "a hidden name at the top: status"
run "$xfer" put -q "$tmp/src/tree" "$url/pub/sent"
is "$status" 0 "hidden names below: status"
is "$(ls -A "$tmp/pub/sent")" file "hidden names below: are not sent"
# And what has one is not served.
echo hidden >"$tmp/pub/.xfer-0123456789abcdef"
run "$xfer" get "$url/pub/.xfer-0123456789abcdef" "$tmp/got"
is "$status" 4 "a hidden name is not served: status"
check "a hidden name is not served: nothing is made" test ! -e "$tmp/got"
# Nor by a link that leads there, from where or to where.
mkdir -p "$tmp/pub/.xfer-puts"
echo hidden >"$tmp/pub/.xfer-puts/file"
ln -s .xfer-puts "$tmp/pub/folder"
run "$xfer" get "$url/pub/folder/file" "$tmp/got"
is "$status" 4 "below a link to a hidden name nothing is served: status"
check "below a link to a hidden name nothing is served: nothing is made" test ! -e "$tmp/got"
run "$xfer" put "$tmp/src/file" "$url/pub/folder/x"
is "$status" 4 "a link to a hidden folder takes no put: status"
is "$(ls -A "$tmp/pub/.xfer-puts")" file "a link to a hidden folder takes no put: nothing is made"
rm -r "$tmp/pub/folder" "$tmp/pub/.xfer-puts"

# The daemon says what it refused, and serves on.
run "$xfer" put "$tmp/src/file" "$url/pub/a%0a%5cb/c"
check "a name of any bytes is escaped once in the log" wait_line "$daemon_log" 'put refused: pub/a\\x0a\\x5cb/c: '
check "a refusal is logged" wait_line "$daemon_log" 'put refused: ro: the export ro is read-only'
run "$xfer" put -q "$tmp/src/file" "$url/pub/at-last"
is "$status" 0 "the daemon serves on"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
