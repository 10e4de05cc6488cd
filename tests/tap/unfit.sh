# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154
#
# For the tests of the conformance kit: plug-ins that are not as they have to be, and the one check that says so.
#
#   unfit_all transport         runs every unfit transport

unfit=$top_builddir/tests/plugins/unfit

# unfit_faults KIND: lines "FAULT CHECK" from the source.
unfit_faults() {
	sed -n 's|^#define \([A-Z_]*\) [0-9][0-9]* *\/\* \([a-z-]*\) \*\/$|\1 \2|p' "$top_srcdir/tests/plugins/unfit-$1.c" |
		while read -r fault check; do
			echo "$(echo "$fault" | tr 'A-Z_' 'a-z-') $check"
		done
}

# Those that take as long as all others together are left out where nothing is expected of them.
unfit_slow='endurance|chunk|volume'

# unfit_one KIND FAULT CHECK [OPTION...]: exactly that check fails.
unfit_one() {
	file=$unfit/$1-$2.so
	fault=$2
	wanted=$3
	shift 3
	names=
	echo "$wanted" | grep -Eqx "$unfit_slow" || names=$unfit_names
	# shellcheck disable=SC2086
	run "$xfer" check-plugin --json "$@" "$file" $names
	failed=$(sed -n 's/^{"type":"check","name":"\([a-z-]*\)","outcome":"failed".*/\1/p' "$out" | paste -sd ' ')
	is "$failed $status" "$wanted 1" "$fault: $wanted fails, and nothing else"
	[ "$failed" = "$wanted" ] || grep '"outcome":"failed"' "$out" | sed 's/^/# /'
}

# unfit_all KIND: a good one, and all the faults.
unfit_all() {
	run "$xfer" check-plugin "$unfit/$1-none.so"
	is "$status" 0 "without a fault it passes"
	[ "$status" = 0 ] || diag_file "$out"
	unfit_names=$(sed -n 's/^[a-zA-Z]*  *\([a-z-]*\): .*/\1/p' "$out" | grep -Evx "$unfit_slow")
	unfit_faults "$1" >"$tmp/faults"
	check "there are faults" test "$(grep -c . "$tmp/faults")" -ge 15
	while read -r name check; do
		case $name in
		hangs) ;; # takes as long as the deadline: see there
		*) unfit_one "$1" "$name" "$check" ;;
		esac
	done <"$tmp/faults"
}
