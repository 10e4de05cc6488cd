#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What a plug-in shows to the world, and what it wants from it: one symbol out, none of the core's in.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$top_builddir/plugins/.libs
set -- "$built"/*.so
[ -e "$1" ] || bail_out "no plug-in in $built"

# What the programs consist of: names that a plug-in could find only there.
nm --defined-only "$top_builddir"/core/*/lib*.a 2>/dev/null | awk 'NF == 3 && $2 ~ /[TDBR]/ { print $3 }' | sort -u >"$tmp/core"
[ -s "$tmp/core" ] || bail_out "no core in $top_builddir"

for plugin in "$@"; do
	name=${plugin##*/}
	# A sanitizer's own names do not count.
	is "$(nm -D --defined-only "$plugin" | sed 's/.* //' | grep -Ev '^_*(asan|odr_asan|ubsan|tsan|sancov|sanitizer)')" \
		xfer_plugin_v1 "$name exports xfer_plugin_v1 and nothing else"
	nm -D --undefined-only "$plugin" | sed 's/.* //; s/@.*//' | sort -u >"$tmp/wanted"
	is "$(comm -12 "$tmp/core" "$tmp/wanted")" "" "$name wants nothing of the core"
done

done_testing
