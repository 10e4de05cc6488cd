#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The promise of the plug-in ABI, held: nothing of what 1.0 had is moved, changed or gone, and what is new came with a minor
# of its own; plug-ins from the header of 1.0, and from a header that is yet to come, transfer files.
# shellcheck source=tests/tap/lib.sh disable=SC2154
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

header=$top_srcdir/include/xfer/plugin.h
frozen=$top_srcdir/tests/plugins/abi-1.0
golden=$top_srcdir/tests/unit/abi-1.0-lp64.txt
warnings='-Wall -Wextra -Wpedantic -Werror'
case $(uname -m) in *64*) ;; *) skip_all "the list of 1.0 was made with pointers of 64 bits" ;; esac

# list HEADER: what compiled plug-ins depend on, a line each.
list() {
	rm -rf "$tmp/list"
	mkdir -p "$tmp/list/xfer"
	cp "$1" "$tmp/list/xfer/plugin.h"
	"${AWK:-awk}" -f "$top_srcdir/tests/plugins/abi-list.awk" "$1" >"$tmp/list/list.c" &&
		${CC:-cc} -I"$tmp/list" -o "$tmp/list/list" "$tmp/list/list.c" && "$tmp/list/list"
}

# breaks OLD NEW: prints what of the list NEW breaks the promise of the list OLD.
breaks() {
	awk '
		function minor(text) { sub(/.*= /, "", text); return text + 0 }
		FNR == 1 { files++ }
		$1 == "XFER_ABI_MINOR" { was[files] = minor($0); next }
		$1 == "struct" && files == 1 { size[$2] = $3; next }
		$1 == "struct" {
			seen[$2] = 1
			if ($2 in size && $3 + 0 < size[$2] + 0)
				print "smaller: " $0
			if (!($2 in size) || $3 + 0 > size[$2] + 0)
				more = more "\nnew: " $0
			next
		}
		files == 1 { old[$0] = 1; next }
		$0 in old { delete old[$0]; next }
		{
			more = more "\nnew: " $0
			tag = $1
			sub(/\..*/, "", tag)
			if (tag in size && $2 + 0 < size[tag] + 0)
				print "not at the end: " $0
		}
		END {
			for (line in old)
				print "gone or changed: " line
			for (tag in size)
				if (!(tag in seen))
					print "gone: struct " tag
			if (was[2] < was[1])
				print "the minor went back"
			if (more != "" && was[2] == was[1])
				print "XFER_ABI_MINOR is what it was, and there is" more
		}' "$1" "$2"
}

# ---- what the header says ------------------------------------------------------------------------------------------

list "$frozen/xfer/plugin.h" >"$tmp/frozen"
is "$(diff "$golden" "$tmp/frozen")" "" "the frozen header of 1.0 and its list are one"
list "$header" >"$tmp/now"
for released in "$top_srcdir"/tests/unit/abi-*-lp64.txt; do
	version=${released##*/abi-}
	is "$(breaks "$released" "$tmp/now")" "" "the header keeps what ${version%-lp64.txt} promised"
done

# The version now, and each in the list of changes, here as in the manual.
version=$(sed -n 's/^XFER_ABI_M[AJINOR]* = //p' "$tmp/now" | paste -sd .)
sed -n '/^ \* Changes:/,/^ \*$/s/^ \*   \([0-9.]*\)  .*/\1/p' "$header" >"$tmp/changes"
is "$(tail -n 1 "$tmp/changes")" "$version" "the version of the header, $version, is the last in its list of changes"
is "$(sed -n '/^\.Ss Changes/,/^\.Sh/s/^\.It \([0-9]\)/\1/p' "$top_srcdir/man/xfer-plugin.3")" "$(cat "$tmp/changes")" \
	"... and the manual has the same list"

# The list is all of the header: each field and constant that a simpler look finds is in it.
grep -Eo '\bXFER_[A-Z0-9_]*[A-Z0-9]\b' "$header" | grep -vE '^XFER_(STAGE|STRENGTH|PEER)$' | sort -u >"$tmp/words"
is "$(sed 's/ .*//' "$tmp/now" | sort -u | comm -23 "$tmp/words" - | tr '\n' ' ')" "" "no constant is missing in the list"
is "$(grep -cE '^	.*\(\*[a-z_]+\)\(' "$header")" "$(grep -c '(\*' "$tmp/now")" "no callback is missing in the list"
is "$(grep -cE '^struct xfer_[a-z_]+ \{' "$header")" "$(grep -c '^struct ' "$tmp/now")" "no struct is missing in the list"

# ---- whether that would find something --------------------------------------------------------------------------------

# finds NAME WANTED SED...: the header, changed so, breaks the promise, and WANTED is said.
finds() {
	finds_name=$1
	finds_wanted=$2
	shift 2
	sed "$@" "$header" >"$tmp/changed.h"
	if cmp -s "$header" "$tmp/changed.h"; then
		not_ok "$finds_name" "the header was not changed"
		return
	fi
	list "$tmp/changed.h" >"$tmp/changed" 2>"$tmp/changed.err" || diag_file "$tmp/changed.err"
	like "$(breaks "$golden" "$tmp/changed")" "$finds_wanted" "$finds_name"
}

same='s/XFER_ABI_MINOR [0-9]*u/XFER_ABI_MINOR 0u/' # the golden list's
next='s/XFER_ABI_MINOR [0-9]*u/XFER_ABI_MINOR 98u/'
finds "a field between others" 'not at the end: xfer_poll\.more' -e "$next" -e 's/^	int write_fd;$/	int more; int write_fd;/'
finds "two fields change places" 'gone or changed: xfer_asked\.' -e "$next" \
	-e '/^struct xfer_asked/,/^}/{s/is_question/was/;s/sequence/is_question/;s/was/sequence/}'
finds "a wider field" 'gone or changed: xfer_heard\.reply' -e "$next" -e 's/^	int reply;/	int64_t reply;/'
finds "another number" 'gone or changed: XFER_LOG_INFO = 2' -e "$next" -e 's/XFER_LOG_INFO = 2/XFER_LOG_INFO = 4/'
finds "a constant that is gone" 'gone or changed: XFER_CAP_SECURE' -e "$next" -e '/define XFER_CAP_SECURE/d'
finds "another signature" 'gone or changed: xfer_transport_ops\.close' -e "$next" \
	-e 's/void (\*close)(struct xfer_conn \*conn)/void (*close)(struct xfer_conn *conn, int how)/'
finds "a field at the end, and the same minor" 'XFER_ABI_MINOR is what it was' -e "$same" \
	-e '/^struct xfer_poll {/,/^}/s/^}/	int more;\n	int yet_more;\n}/'
finds "a constant more, and the same minor" 'new: XFER_STAGE_MORE' -e "$same" -e 's/^#define XFER_STAGE_SYNC.*/&\n#define XFER_STAGE_MORE 7u/'
sed -e "$next" -e '/^struct xfer_poll {/,/^}/s/^}/	int64_t more;\n}/' -e 's/^#define XFER_STAGE_SYNC.*/&\n#define XFER_STAGE_MORE 7u/' \
	"$header" >"$tmp/changed.h"
list "$tmp/changed.h" >"$tmp/changed"
is "$(breaks "$golden" "$tmp/changed")" "" "with a minor of their own both are fine"

# ---- plug-ins of other times -------------------------------------------------------------------------------------------

# The header of a minor to come: a few fields more in every struct, and none of them known here.
mkdir -p "$tmp/to-come/xfer" "$tmp/old" "$tmp/future"
awk '/^struct xfer_[a-z_]+ \{/ { inside = 1 }
	/^};/ && inside { print "\tuint64_t future[2];\n\tvoid (*future_call)(void);"; inside = 0 }
	{ sub(/XFER_ABI_MINOR [0-9]+u/, "XFER_ABI_MINOR 99u"); print }' "$header" >"$tmp/to-come/xfer/plugin.h"
for kind in transport integrity liveness; do
	# shellcheck disable=SC2086 # several words
	check "$kind: builds from the header of 1.0" ${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -g $warnings -fPIC -shared \
		-fvisibility=hidden -I"$frozen" -o "$tmp/old/$kind-aged.so" "$frozen/$kind.c"
	# shellcheck disable=SC2086
	check "$kind: builds from a header to come" ${CC:-cc} -std=c11 -D_GNU_SOURCE -DFUTURE -O1 -g $warnings -fPIC -shared \
		-fvisibility=hidden -I"$tmp/to-come" -o "$tmp/future/$kind-aged.so" "$frozen/$kind.c"
done
run "$xfer" --set core.plugin-dir="$tmp/old" plugins
is "$(grep -cE '^  ABI        1\.0, ' "$out")" 3 "those of 1.0 are loaded"
run "$xfer" --set core.plugin-dir="$tmp/future" plugins
is "$(grep -cE '^  ABI        1\.99 \(newer than ' "$out")" 3 "those to come are loaded"

mkdir -p "$tmp/pub/tree"
make_file "$tmp/pub/large" 5000000
for i in 1 2 3 4 5 6 7; do
	make_file "$tmp/pub/tree/$i" $((i * 1000))
done
# session DAEMON CLIENT: folders of plug-ins.
session() {
	printf '[core]\nplugin-dir = %s\n[pipeline]\ntransport = aged\nintegrity = aged\nliveness = aged\n' "$tmp/$1" >"$tmp/xferd.ini"
	write_config "$tmp/rest.ini" "$tmp/pub" read-write
	cat "$tmp/rest.ini" >>"$tmp/xferd.ini"
	sed "s|^plugin-dir.*|plugin-dir = $tmp/$2|" "$tmp/xferd.ini" >"$tmp/xfer.ini"
	rm -rf "$tmp/got" "$tmp/pub/copy"
	mkdir "$tmp/got"
	need_daemon -c "$tmp/xferd.ini"
	like_file "$daemon_log" 'listening on [0-9.:]+ \(aged\), heartbeat [0-9.:]+ \(aged\)' "daemon $1, client $2: the daemon is there"
	run "$xfer" -c "$tmp/xfer.ini" get "xfer://$daemon_address/pub/large" "xfer://$daemon_address/pub/tree" "$tmp/got"
	is "$status" 0 "... a file and a tree"
	check "... arrive" diff -r "$tmp/pub" "$tmp/got"
	like_file "$out" 'verified by aged' "... verified"
	run "$xfer" -c "$tmp/xfer.ini" put "$tmp/got/tree" "xfer://$daemon_address/pub/copy"
	is "$status" 0 "... and back"
	check "... arrives" diff -r "$tmp/got/tree" "$tmp/pub/copy"
	run "$xfer" -c "$tmp/xfer.ini" ping -c 2 -i 0.1 "$daemon_address"
	like_file "$out" 'by aged heartbeat' "... heartbeats"
	like_file "$out" '^2 sent, 2 received' "... are answered"
	stop_daemon
	is "$daemon_status" 0 "... and the daemon ends in order"
}
session old old
session future old
session old future

done_testing
