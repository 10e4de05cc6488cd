#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The shape of the house, read from its sources: who includes whom, that the core names no plug-in and that no file has
# grown too long. What is wrong is listed as FILE:LINE.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

LINES_MAX=600

cd "$top_srcdir" || bail_out "no source tree"

# verdict NAME: passes when the list in $tmp/wrong is empty.
verdict() {
	wrong=$(cat "$tmp/wrong")
	if [ -z "$wrong" ]; then
		ok "$1"
	else
		not_ok "$1" "$wrong"
	fi
}

# includes FILES...: a line "FILE:LINE:NAME" per #include, the name with its quotes or angles.
includes() {
	awk '/^[ \t]*#[ \t]*include/ {
		name = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
		sub(/[ \t].*$/, "", name)
		print FILENAME ":" FNR ":" name
	}' "$@" /dev/null
}

# ---- floors ----------------------------------------------------------------------------------------------------------

# floor NAME MAY-INCLUDE...: quoted includes are "FLOOR/file.h" of these and of itself; and "config.h", the machine's.
floor() {
	name=$1
	shift
	allowed=$(printf '%s|' "$name" "$@")
	find "core/$name" -name '*.[ch]' >"$tmp/files"
	if [ ! -s "$tmp/files" ]; then
		skip "core/$name includes only ${*:-itself}" "it has no source yet"
		return
	fi
	# shellcheck disable=SC2046
	includes $(cat "$tmp/files") | grep -v ':<' |
		grep -Ev ":\"((${allowed%|})/[^/]*|config)\.h\"$" >"$tmp/wrong"
	# In angles a core header would be found as well.
	# shellcheck disable=SC2046
	includes $(cat "$tmp/files") |
		grep -E ':<(base|wire|registry|store|config|session|pipeline|engine|client|daemon|cmd|plugins)/' >>"$tmp/wrong"
	verdict "core/$name includes only ${*:-itself}"
}

floor base
floor wire base
floor registry base
floor store base
floor config base
floor session wire base
floor pipeline wire registry store config base
floor engine session pipeline wire registry store config base
floor client engine session pipeline wire registry store config base
floor daemon engine session pipeline wire registry store config base

# The conformance kit of cmd/ sees plug-ins as the core does, through the registry, and drives them itself.
find cmd/check -name '*.[ch]' >"$tmp/files"
# shellcheck disable=SC2046
includes $(cat "$tmp/files") | grep -v ':<' | grep -Ev ':"((registry|config|base)/)?[^/]*\.h"$' >"$tmp/wrong"
# shellcheck disable=SC2046
includes $(cat "$tmp/files") | sed -n 's/^\([^:]*:[0-9]*\):"\([^/]*\)"$/\1 \2/p' | while read -r place name; do
	[ -f "cmd/check/$name" ] || echo "$place:$name"
done >>"$tmp/wrong"
verdict "cmd/check includes only registry config base and itself"

known=" base wire registry store config session pipeline engine client daemon "
for folder in core/*/; do
	folder=$(basename "$folder")
	case $known in
	*" $folder "*) ;;
	*) echo "core/$folder is no floor of the design" ;;
	esac
done >"$tmp/wrong"
verdict "every folder of core is a floor"

# ---- plug-ins --------------------------------------------------------------------------------------------------------

# A plug-in includes the installed header, its own files beside it, those of another plug-in on which it stands, and headers
# of the system and its library in angles.
plugin() {
	folder=$1
	find "$folder" -name '*.[ch]' >"$tmp/files"
	# shellcheck disable=SC2046
	includes $(cat "$tmp/files") | while IFS=: read -r file line name; do
		case $name in
		'<xfer/plugin.h>') continue ;;
		'<xfer/'* | '<base/'* | '<wire/'* | '<registry/'* | '<store/'* | '<config/'* | '<session/'* | \
			'<pipeline/'* | '<engine/'* | '<client/'* | '<daemon/'* | '<cmd/'*) ;;
		'<'*) continue ;;
		'"../'*-*/*.h\")
			own=${name#\"}
			[ -f "$folder/${own%\"}" ] && [ "$(dirname "$folder/${own%/*}")" = "$folder/.." ] && continue
			;;
		*/*) ;;
		*)
			own=${name#\"}
			[ -f "$folder/${own%\"}" ] && continue
			;;
		esac
		echo "$file:$line:$name"
	done >"$tmp/wrong"
	verdict "$folder includes nothing of the core"
}

for folder in plugins/*-*; do
	plugin "$folder"
done

# ---- names -----------------------------------------------------------------------------------------------------------

# literals FILES...: a line "FILE:LINE:TEXT" per string of the code, comments and includes left out.
literals() {
	awk '
	FNR == 1 { comment = 0 }
	/^[ \t]*#[ \t]*include/ { next }
	{
		rest = $0
		while (rest != "") {
			if (comment) {
				at = index(rest, "*/")
				if (at == 0)
					break
				rest = substr(rest, at + 2)
				comment = 0
			} else if (!match(rest, /"|\/\*|\/\/|\047/)) {
				break
			} else {
				mark = substr(rest, RSTART, 1)
				two = substr(rest, RSTART, 2)
				rest = substr(rest, RSTART)
				if (two == "/*") {
					comment = 1
					rest = substr(rest, 3)
				} else if (two == "//") {
					break
				} else {
					text = mark == "\"" ? "^\"([^\"\\\\]|\\\\.)*\"" : "^\047([^\047\\\\]|\\\\.)*\047"
					if (!match(rest, text))
						break
					if (mark == "\"")
						print FILENAME ":" FNR ":" substr(rest, 1, RLENGTH)
					rest = substr(rest, RLENGTH + 1)
				}
			}
		}
	}' "$@" /dev/null
}

# "none" is a word of the protocol and of people, whatever plug-in bears it.
names=$(for folder in plugins/*-*; do
	name=$(basename "$folder")
	echo "${name#*-}"
done | grep -vx none | sort -u | paste -sd '|')
case $names in
*tcp*) ok "the names of the plug-ins are known: $names" ;;
*) not_ok "the names of the plug-ins are known" "found: $names" ;;
esac
find core -name '*.[ch]' >"$tmp/files"
# shellcheck disable=SC2046
literals $(cat "$tmp/files") | grep -E "^[^:]*:[0-9]*:\"(.*[^a-z0-9])?($names)([^a-z0-9].*)?\"$" >"$tmp/wrong"
verdict "the core names no plug-in"

# ---- calls -----------------------------------------------------------------------------------------------------------

# A callback that is called in passing, without a note of it, would be a death without a cause.
find core -name '*.[ch]' ! -path 'core/registry/*' >"$tmp/files"
# shellcheck disable=SC2046
grep -nE '(transport|integrity|liveness|about|ops)(\)|->|\.)+[a-z_]+\(|struct xfer_[a-z]*_ops' $(cat "$tmp/files") >"$tmp/wrong"
verdict "only core/registry calls plug-ins"

# ---- size ------------------------------------------------------------------------------------------------------------

find core cmd include plugins tests bench scripts -type f \( -name '*.[ch]' -o -name '*.sh' -o -name '*.t' \) \
	2>/dev/null >"$tmp/files"
while read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -le "$LINES_MAX" ] || echo "$file: $lines lines"
done <"$tmp/files" >"$tmp/wrong"
verdict "no source has more than $LINES_MAX lines"

done_testing
