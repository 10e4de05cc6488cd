#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# xfer-protocol(7) says what the headers of core/wire say: every frame, status and limit with its number, and examples
# that are those of the unit tests, byte by byte.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

page=$top_srcdir/man/xfer-protocol.7
frame=$top_srcdir/core/wire/frame.h
message=$top_srcdir/core/wire/message.h
golden=$top_srcdir/tests/unit/test-wire-golden.c

# nothing_in FILE NAME: the list of what is wrong is empty.
nothing_in() {
	if [ ! -s "$1" ]; then
		ok "$2"
	else
		not_ok "$2" "$(cat "$1")"
	fi
}

# numbered PREFIX HEADER: lines "NAME NUMBER" of an enumeration, lower case, "-" for "_".
numbered() {
	sed -n "s/^	$1_\([A-Z_]*\) = \([0-9]*\),* .*/\1 \2/p; s/^	$1_\([A-Z_]*\) = \([0-9]*\),*\$/\1 \2/p" "$2" |
		tr 'A-Z_' 'a-z-'
}

# told LABEL: of lines "NAME NUMBER", those that do not stand as "NUMBER  NAME" in the page.
told() {
	while read -r name number; do
		grep -Eqi "^ *$number +$name( |\$)" "$page" || echo "$1 $name = $number"
	done
}

# Without the sizes, which are limits, and what is reserved.
numbered FRAME "$frame" |
	grep -Ev '^(header|chunk-head|hello-max|control-max|digest-max|chunk-min-size|chunk-max-size|digests|digest-run) ' \
		>"$tmp/frames"
is "$(grep -c . "$tmp/frames")" 18 "the frames are known"
told frame <"$tmp/frames" >"$tmp/wrong"
nothing_in "$tmp/wrong" "the page has every frame with its number"

numbered STATUS "$message" >"$tmp/statuses"
is "$(grep -c . "$tmp/statuses")" 18 "the statuses are known"
told status <"$tmp/statuses" >"$tmp/wrong"
nothing_in "$tmp/wrong" "the page has every status with its number"

numbered ENTRY "$message" | grep -Ev '^max ' >"$tmp/kinds"
is "$(grep -c . "$tmp/kinds")" 6 "the kinds of entries are known"
sed -n '/^\.Sh ENTRIES/,/^\.Sh READ/p' "$page" | tr '\n' ' ' >"$tmp/entries"
while read -r name number; do
	grep -qi "$number $name" "$tmp/entries" || echo "kind $name = $number"
done <"$tmp/kinds" >"$tmp/wrong"
nothing_in "$tmp/wrong" "the page has every kind of entry with its number"

# Limits: the constant, and the line of the page that has to show its value.
sed -n '/^\.Ss Limits/,/^\.Sh HELLO/p' "$page" | tr -s ' \n' ' ' >"$tmp/limits"
while read -r constant text; do
	value=$(sed -n "s/.*\b$constant = \([0-9* ]*\).*/\1/p" "$frame" "$message" | head -n 1)
	wanted=$(printf '%s\n' "$text" | sed "s/@/$((${value:-0}))/")
	grep -Fq "$wanted" "$tmp/limits" || echo "$constant = $value: no \"$wanted\""
done >"$tmp/wrong" <<END
FRAME_HELLO_MAX before the WELCOME @ bytes
FRAME_CONTROL_MAX body of any other control frame @ bytes
FRAME_CHUNK_HEAD body of a CHUNK @ + digest
FRAME_CHUNK_MIN_SIZE chunk size @ to
FRAME_CHUNK_MAX_SIZE to @ bytes digest
FRAME_DIGEST_MAX digest 0 to @ bytes
MESSAGE_NAME_MAX name of a plug-in 1 to @ bytes
MESSAGE_INTEGRITIES_MAX integrities offered 1 to @
MESSAGE_PATH_MAX path 1 to @ bytes (LIST: 0 to
MESSAGE_ENTRY_NAME_MAX name of an entry 1 to @ bytes
MESSAGE_PATH_MAX target of a link 1 to @ bytes
MESSAGE_TEXT_MAX text 0 to @ bytes
MESSAGE_READ_MAX requests in a READ 1 to @
END
nothing_in "$tmp/wrong" "the page has every limit"

# The examples, one line of hexadecimal digits each, as they stand in the unit test.
sed -n '/^\.Sh EXAMPLES/,$p' "$page" |
	awk '/^\.Bd/ { hex = "" } /^[0-9a-f][0-9a-f] / { gsub(/ /, ""); hex = hex $0 } /^\.Ed/ { print hex }' >"$tmp/examples"
is "$(grep -c . "$tmp/examples")" 2 "the page has examples"
sed -n '/"/s/^[^"]*"\([0-9a-f]*\)".*/\1/p; s/.*, "\([0-9a-f]\{32\}\)"$/\1/p' "$golden" | tr -d '\n' >"$tmp/golden"
while read -r example; do
	grep -Fq "$example" "$tmp/golden" || echo "$example"
done <"$tmp/examples" >"$tmp/wrong"
nothing_in "$tmp/wrong" "the examples are bytes that the code makes"

done_testing
