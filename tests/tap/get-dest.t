#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Where xfer get puts things: DEST as cp(1) has it, what is there already, and what cannot be written.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir -p "$tmp/pub/tree/sub" "$tmp/pub/a b"
make_file "$tmp/pub/one" 3000
make_file "$tmp/pub/two" 2000
make_file "$tmp/pub/tree/in" 100
make_file "$tmp/pub/tree/sub/deep" 100
echo x >"$tmp/pub/a b/50%#?"
ln -s in "$tmp/pub/tree/link"
write_config "$tmp/xferd.ini" "$tmp/pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# get NAME STATUS ARGUMENTS...
get() {
	get_name=$1
	get_status=$2
	shift 2
	run "$xfer" get "$@"
	is "$status" "$get_status" "$get_name: status"
}

mkdir "$tmp/to" && cd "$tmp/to" || exit 99

# ---- a file ----

get "file to a new name" 0 "$url/one" new
check "file to a new name: is there" cmp new "$tmp/pub/one"
get "file to ." 0 "$url/one" .
check "file to .: has its own name" cmp one "$tmp/pub/one"
echo old >exists
chmod 600 exists
get "file over a file" 0 "$url/two" exists
check "file over a file: replaced" cmp exists "$tmp/pub/two"
mkdir folder
get "file into a folder" 0 "$url/one" folder
check "file into a folder: below it" cmp folder/one "$tmp/pub/one"
get "file into a folder with a slash" 0 "$url/two" folder/
check "file into a folder with a slash: below it" cmp folder/two "$tmp/pub/two"
get "file to an absolute name" 0 "$url/one" "$tmp/to/absolute"
check "file to an absolute name: is there" cmp absolute "$tmp/pub/one"
ln -s folder to-folder
rm folder/*
get "file to a link to a folder" 0 "$url/one" to-folder
check "file to a link to a folder: below the folder" cmp folder/one "$tmp/pub/one"
echo precious >precious
ln -s precious to-file
get "file over a link" 0 "$url/one" to-file
check "file over a link: what it led to is as it was" grep -q precious precious
check "file over a link: the name has the file" cmp to-file "$tmp/pub/one"
get "file to a folder that is not there" 7 "$url/one" missing/new
get "file to a name with a slash that is not there" 7 "$url/one" missing/
get "file to below a file" 7 "$url/one" one/new
mkdir -p holds/one/something
get "file over a folder" 7 "$url/one" holds
like_file "$err" 'one' "file over a folder: the message names it"
check "file over a folder: it is still there" test -d holds/one/something
get "escaped bytes" 0 "$url/a%20b/50%25%23?" .
check "escaped bytes: the name is theirs" grep -q x '50%#?'

# ---- several ----

mkdir several
get "several" 0 "$url/one" "$url/tree" "$url/two" several
check "several: all are below the folder" same_tree "$tmp/pub/tree" several/tree
check "several: the files too" cmp several/two "$tmp/pub/two"
get "several to a new name" 7 "$url/one" "$url/two" no-folder
check "several to a new name: nothing is made" test ! -e no-folder
mkdir partly
get "one of several is not there" 4 "$url/one" "$url/nothing" "$url/two" partly
like_file "$err" 'pub/nothing' "one of several is not there: it is named"
check "one of several is not there: the others come" cmp partly/two "$tmp/pub/two"
get "failures of different causes" 1 "$url/nothing" "xfer://127.0.0.1:1/pub/x" "$url/one" partly

# ---- a tree ----

get "tree to a new name" 0 "$url/tree" copy
check "tree to a new name: the same" same_tree "$tmp/pub/tree" copy
get "tree with a slash behind" 0 "$url/tree/" copy-2
check "tree with a slash behind: the same" same_tree "$tmp/pub/tree" copy-2
get "tree into a folder" 0 "$url/tree" folder
check "tree into a folder: below it" same_tree "$tmp/pub/tree" folder/tree
get "the whole export" 0 "$url" whole
check "the whole export: the same" same_tree "$tmp/pub" whole
get "the whole export into a folder" 0 "$url" folder
check "the whole export into a folder: under its name" same_tree "$tmp/pub" folder/pub

# Merging: what is in both is replaced, what is here only stays.
mkdir -p merge/tree/sub merge/tree/mine
echo mine >merge/tree/mine/file
echo mine >merge/tree/other
echo old >merge/tree/in
ln -s nowhere merge/tree/link
get "tree over a tree" 0 "$url/tree" merge
check "tree over a tree: replaced" cmp merge/tree/in "$tmp/pub/tree/in"
is "$(readlink merge/tree/link)" in "tree over a tree: links too"
check "tree over a tree: what was here only is here" grep -q mine merge/tree/mine/file merge/tree/other
rm -r merge/tree/mine merge/tree/other
touch -r "$tmp/pub/tree" merge/tree
check "tree over a tree: nothing else" same_tree "$tmp/pub/tree" merge/tree

echo file >is-file
get "tree over a file" 7 "$url/tree" is-file
check "tree over a file: it is as it was" grep -q file is-file
mkdir -p blocked/tree
echo file >blocked/tree/sub
get "folder over a file below" 7 "$url/tree" blocked
like_file "$err" 'sub' "folder over a file below: it is named"
check "folder over a file below: it is as it was" grep -q file blocked/tree/sub
check "folder over a file below: the rest comes" cmp blocked/tree/in "$tmp/pub/tree/in"
# A link in the way may lead anywhere: nothing is written through it.
mkdir -p linked/tree elsewhere
ln -s ../../elsewhere linked/tree/sub
get "folder over a link below" 7 "$url/tree" linked
is "$(ls -A elsewhere)" "" "folder over a link below: nothing is written through it"

# ---- what cannot be looked at ----

ln -s loop loop
get "a link that leads nowhere" 7 "$url/one" loop
like_file "$err" '^xfer: loop: Too many levels' "a link that leads nowhere: the cause"
is "$(readlink loop)" loop "a link that leads nowhere: it stays"
rm loop

# ---- where nothing can be written ----

mkdir sealed sealed-tree
chmod 555 sealed sealed-tree
run unprivileged "$xfer" get "$url/one" sealed
is "$status" 7 "a folder without permission: status"
like_file "$err" 'ermission' "a folder without permission: the cause"
run unprivileged "$xfer" get "$url/tree" sealed-tree
is "$status" 7 "a tree where no folder can be made: status"
is "$(find sealed sealed-tree -mindepth 1)" "" "and nothing is there"
run "$xfer" get "$url/one" "/proc/self/new"
is "$status" 7 "a file system that takes no files: status"

is "$(leftovers "$tmp/to")" "" "nothing hidden is left anywhere"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
