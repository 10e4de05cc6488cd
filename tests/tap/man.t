#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The manual: mandoc finds nothing to say, and what the programs know stands in it: every option of their help, every verb, every
# exit status, every section and key of the sample configuration and of the plug-ins, with the default.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

man=$top_srcdir/man
MANDOC=${MANDOC-mandoc}

# nothing_in FILE NAME: the list of what is wrong is empty.
nothing_in() {
	if [ ! -s "$1" ]; then
		ok "$2"
	else
		not_ok "$2" "$(cat "$1")"
	fi
}

# page FILE: its text as a reader sees it, without bold, underline and hyphenation.
page() {
	"$MANDOC" -T ascii -O width=200 "$1" | col -bx
}

for name in xfer.1 xferd.8 xfer.ini.5 xfer-plugin.3 xfer-protocol.7; do
	if [ ! -f "$man/$name" ]; then
		not_ok "$name is there"
	elif [ -z "$MANDOC" ]; then
		skip "$name is clean" "there is no mandoc"
	else
		# Whether other pages are installed here is not the page's business.
		"$MANDOC" -T lint "$man/$name" 2>&1 |
			grep -Ev 'referenced manual not found|outdated mandoc.db' >"$tmp/wrong"
		nothing_in "$tmp/wrong" "$name is clean"
	fi
done

# ---- references ------------------------------------------------------------------------------------------------------

# A reference to one of our pages names one that is there.
# shellcheck disable=SC2046
sed -n 's/^\.Xr \(xfer[a-z.-]*\) \([0-9]\).*/\1.\2/p' $(ls "$man"/*.[1-8]) | sort -u | while read -r name; do
	[ -f "$man/$name" ] || echo "$name"
done >"$tmp/wrong"
nothing_in "$tmp/wrong" "every page of ours that is referred to is there"

if [ -z "$MANDOC" ]; then
	skip "the manual and the programs agree" "there is no mandoc"
	done_testing
fi

# ---- options ---------------------------------------------------------------------------------------------------------

# options PROGRAM [VERB]: the options that its help shows, one per line.
options() {
	"$@" --help | grep -Eo '(^|[ ,[])-(-[a-z][a-z-]+|[a-zA-Z])\b' | tr -d ' ,[' | sort -u
}

page "$man/xfer.1" >"$tmp/xfer.1"
options "$xfer" >"$tmp/options"
for verb in get put verify ls ping digest plugins clean check-plugin keygen; do
	options "$xfer" "$verb"
done | sort -u >"$tmp/options-of-verbs"
check "the help of the program shows what that of the verbs shows" cmp "$tmp/options" "$tmp/options-of-verbs"
is "$(grep -c . "$tmp/options")" 38 "the options of xfer are known"
while read -r option; do
	grep -Eq -e "^ +(-[-A-Za-z][^,]*, )*$option( |,|\$)" "$tmp/xfer.1" || echo "$option"
done <"$tmp/options" >"$tmp/wrong"
nothing_in "$tmp/wrong" "xfer(1) has every option of xfer --help"

"$xfer" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' >"$tmp/verbs"
is "$(paste -sd ' ' "$tmp/verbs")" "get put verify ls ping digest plugins clean check-plugin keygen" "the verbs of xfer are known"
while read -r verb; do
	grep -Eq "^ +xfer $verb( |\$)" "$tmp/xfer.1" || echo "$verb: no synopsis"
	grep -Eq "^ {5}$verb( |\$)" "$tmp/xfer.1" || echo "$verb: no description"
done <"$tmp/verbs" >"$tmp/wrong"
nothing_in "$tmp/wrong" "xfer(1) has every verb"

for status in 0 1 2 3 4 5 6 7 8 130; do
	sed -n '/^EXIT STATUS/,/^EXAMPLES/p' "$tmp/xfer.1" | grep -Eq "^ +$status +[A-Z]" || echo "$status"
done >"$tmp/wrong"
nothing_in "$tmp/wrong" "xfer(1) has every exit status"

if [ -x "$xferd" ]; then
	page "$man/xferd.8" >"$tmp/xferd.8"
	options "$xferd" | while read -r option; do
		grep -Eq -e "^ +(-[-A-Za-z][^,]*, )*$option( |,|\$)" "$tmp/xferd.8" || echo "$option"
	done >"$tmp/wrong"
nothing_in "$tmp/wrong" "xferd(8) has every option of xferd --help"
fi

# ---- the configuration -----------------------------------------------------------------------------------------------

# Lines "SECTION KEY DEFAULT" of an INI file, commented-out keys too. The name of an export is the administrator's.
keys() {
	awk '
	/^[;# ]*\[[a-z0-9.-]+\] *$/ {
		section = $0
		gsub(/[^a-z0-9.-]/, "", section)
		sub(/^export\..*/, "export.NAME", section)
	}
	/^[;# ]*[a-z][a-z-]* *=/ {
		line = $0
		sub(/^[;# ]*/, "", line)
		key = line
		sub(/ *=.*/, "", key)
		sub(/^[^=]*= */, "", line)
		sub(/(^| +);.*/, "", line)
		print section, key, line
	}' "$@"
}

# section NAME: that part of xfer.ini(5).
section() {
	awk -v name="[$1]" '/^(   )?[^ ]/ { inside = index($0, name) > 0 } inside { print }' "$tmp/xfer.ini.5"
}

# told SECTION KEY DEFAULT: the key stands in its section, and the default somewhere there; else a line that says what is missing.
told() {
	# Where it is to be installed, if that is another place, stands in front.
	[ "$1 $2" != "transport.ssh remote" ] ||
		set -- "$1" "$2" "$(echo "$3" | sed 's|:[^:]*\(:/usr/local/sbin:\)|\1|')"
	section "$1" | grep -Eq "^ +$2 = " || echo "[$1] $2"
	like=$1
	[ "$1" != liveness.none ] || like=liveness.udp # which it is said to be like
	[ -z "$3" ] || section "$like" | grep -Fqwe "$3" || echo "[$1] $2: its default, $3"
}

page "$man/xfer.ini.5" >"$tmp/xfer.ini.5"

ini=$top_builddir/etc/xfer.ini
[ -f "$ini" ] || bail_out "the sample configuration is not built: make all"
keys "$ini" >"$tmp/keys"
check "the sample configuration has keys" test "$(grep -c . "$tmp/keys")" -ge 20
while read -r name key value; do
	case $name in
	core) [ "$key" != plugin-dir ] || value= ;; # where it was installed
	export.*) value= ;;                         # an example
	esac
	told "$name" "$key" "$value"
done <"$tmp/keys" >"$tmp/wrong"
nothing_in "$tmp/wrong" "xfer.ini(5) has every key of the sample configuration, with its default"

# What the plug-ins say of themselves.
"$xfer" plugins | sed -n 's/^  options    \[\(.*\)\]$/S \1/p; s/^    \([a-z-]*\) = *\(.*\)/K \1 \2/p; s/^    \([a-z-]*\) =$/K \1/p' \
	>"$tmp/plugins"
check "the plug-ins have options" grep -q '^K ' "$tmp/plugins"
while read -r what word value; do
	if [ "$what" = S ]; then
		name=$word
	else
		told "$name" "$word" "$value"
	fi
done <"$tmp/plugins" >"$tmp/wrong"
nothing_in "$tmp/wrong" "xfer.ini(5) has every option of the plug-ins, with its default"

done_testing
