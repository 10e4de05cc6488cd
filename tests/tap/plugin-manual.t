#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The plug-in that xfer-plugin(3) shows: it builds as the page stands, loads, and computes what it says. And every
# callback of the header has its text in the page.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

page=$top_srcdir/man/xfer-plugin.3
header=$top_srcdir/include/xfer/plugin.h

# The text between the two marks, as roff prints it.
awk '/^\.\\" example: end/ { inside = 0 }
	inside && !/^\.(Bd|Ed)/ { gsub(/\\e/, "\\"); print }
	/^\.\\" example: begin/ { inside = 1 }' "$page" >"$tmp/adler32.c"
check "the page shows a plug-in" grep -q XFER_REGISTER_PLUGIN "$tmp/adler32.c"
# shellcheck disable=SC2086
check "it builds without a warning" ${CC:-cc} -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -fPIC -shared \
	-fvisibility=hidden -I"$top_srcdir/include" -o "$tmp/integrity-adler32.so" "$tmp/adler32.c"
run "$xfer" plugins "$tmp/integrity-adler32.so"
is "$status" 0 "it loads, its known answer is right"
like_file "$out" '^integrity adler32 1\.0: Adler-32' "... and it is what it says"

# One byte of the known answer otherwise: then it is not.
sed 's/0x02, 0x4d, 0x01, 0x27/0x02, 0x4d, 0x01, 0x28/' "$tmp/adler32.c" >"$tmp/wrong.c"
${CC:-cc} -std=c11 -fPIC -shared -I"$top_srcdir/include" -o "$tmp/integrity-wrong.so" "$tmp/wrong.c"
run "$xfer" plugins "$tmp/integrity-wrong.so"
is "$status" 2 "with another known answer it is refused"
like "$(cat "$err")" 'integrity-wrong\.so: .*known answer.*024d0127.*024d0128' "... with both digests"

# ---- completeness ----------------------------------------------------------------------------------------------------

# Names of callbacks in the header, and those that an item of the page begins with.
sed -n 's/^.*(\*\([a-z_]*\))(.*/\1/p' "$header" | sort -u >"$tmp/callbacks"
check "the header has callbacks" test "$(wc -l <"$tmp/callbacks")" -ge 30
sed -n 's/^\.It Fn "[^"]*[ *]\([a-z_]*\)".*/\1/p' "$page" | sort -u >"$tmp/described"
is "$(comm -23 "$tmp/callbacks" "$tmp/described")" "" "every callback is described"
is "$(comm -13 "$tmp/callbacks" "$tmp/described")" "" "... and none that is not there"

# The tables have each of them once: required or not, the thread, and how long it may take.
sed -n 's/^\.It Fn \([a-z_]*\) Ta \(.*\)/\1 Ta \2/p' "$page" >"$tmp/rows"
grep -Ev '^(log|error|now|random)$' "$tmp/callbacks" >"$tmp/ours"
is "$(sed 's/ .*//' "$tmp/rows" | sort)" "$(cat "$tmp/ours")" "every callback of a plug-in has a row in a table"
is "$(grep -Ev ' Ta (yes|no|with datagrams) Ta (daemon|client|client, daemon) Ta (loop Ta no time|pool Ta computing|main Ta no I/O)$' \
	"$tmp/rows")" "" "... that says who needs it, who calls it, where, and what it may take"
# The header says the same: "Required, loop." above the callback.
awk '/^\t\/\*/ { said = "" } { said = said " " $0 }
	/^\t[a-z].*\(\*[a-z_]*\)\(/ {
		match($0, /\(\*[a-z_]*\)/)
		name = substr($0, RSTART + 2, RLENGTH - 3)
		if (match(said, /(Required|Optional), (loop|pool|main)/)) {
			split(substr(said, RSTART, RLENGTH), word, ", ")
			print name, (word[1] == "Required" ? "yes" : "no"), word[2]
		} else if (match(said, /Loop\./))
			print name, "with datagrams", "loop"
		said = ""
	}' "$header" | sort >"$tmp/header-says"
sed 's/ Ta \([a-z ]*\) Ta [a-z, ]* Ta \([a-z]*\) Ta .*/ \1 \2/' "$tmp/rows" | sort >"$tmp/page-says"
is "$(diff "$tmp/header-says" "$tmp/page-says")" "" "... as the header has it"

# Every constant that a plug-in may have to name.
grep -Eo '\bXFER_(KIND|THREADS|LOG|OPTION|CAP|POLL|STRENGTH|ROLE|PEER|UNKNOWN|ALIVE|SUSPECT|DEAD)[A-Z_]*\b' "$header" |
	grep -v '_$' | sort -u >"$tmp/constants"
missing=
while read -r name; do
	grep -q "$name\b" "$page" || missing="$missing $name"
done <"$tmp/constants"
is "$missing" "" "every constant is named"

done_testing
