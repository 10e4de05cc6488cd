#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What `make install` gives to the author of a plug-in: the header, the file for pkg-config and the manual page, from which
# the page's own plug-in is built as the page says. And that `make uninstall` takes all of it away.
# shellcheck source=tests/tap/lib.sh disable=SC2154
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
# shellcheck source=tests/tap/installed.sh
. "$top_srcdir/tests/tap/installed.sh"
need_installed

(cd "$root" && find . -type f | sort) >"$tmp/files"
is "$(grep -c '/include/xfer/plugin\.h$' "$tmp/files")" 1 "the header is installed"
is "$(grep '/include/' "$tmp/files" | grep -vc '/xfer/plugin\.h$')" 0 "... and no other"
is "$(grep -c '/man3/xfer-plugin\.3$' "$tmp/files")" 1 "the manual page is installed"
is "$(grep '\.l\?a$' "$tmp/files")" "" "no library and none of libtool's files is installed"
(cd "$plugin_dir" && ls) >"$tmp/there"
(cd "$top_builddir/plugins/.libs" && ls -- *.so) >"$tmp/built"
is "$(cat "$tmp/there")" "$(cat "$tmp/built")" "the folder of plug-ins has the plug-ins and nothing else"

# ---- pkg-config ------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2086 # several words
is "$($pkg_config --cflags xfer-plugin | sed 's/ *$//')" "-I$prefix/include" "pkg-config names the folder of the header"
# shellcheck disable=SC2086
is "$($pkg_config --libs xfer-plugin | sed 's/ *$//')" "" "... nothing to link"
is "$plugin_dir" "$prefix/${plugin_dir#"$prefix/"}" "... and the folder of the plug-ins, which moves with the prefix"
like "$(pkg-config --modversion xfer-plugin)" '^[0-9]+\.[0-9]+\.[0-9]+$' "... and a version"
is "$(pkg-config --print-requires xfer-plugin)" "" "... and needs no other package"

# ---- the manual's plug-in, from page, header and pkg-config alone ----------------------------------------------------

# example BEGIN: what stands behind that mark of the installed page, as roff prints it.
example() {
	page=$(find "$root" -name xfer-plugin.3)
	awk -v begin="^\\\\.\\\\\\\\\" example: $1" '/^\.\\" example: end/ { inside = 0 }
		inside && !/^\.(Bd|Ed)/ { gsub(/\\e/, "\\"); gsub(/\\-/, "-"); print }
		$0 ~ begin { inside = 1 }' "$page"
}

mkdir "$tmp/author"
example begin >"$tmp/author/adler32.c"
example commands | sed -n 's/^\$ //; /^cc/,/[^\\]$/p' >"$tmp/author/build"
like_file "$tmp/author/build" 'pkg-config --cflags xfer-plugin' "the page says how to build its plug-in"
(
	cd "$tmp/author" || exit
	# The page's cc and pkg-config, as they are on this machine now.
	mkdir bin
	printf '#!/bin/sh\nexec %s "$@"\n' "${CC:-cc}" >bin/cc
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$(command -v pkg-config)" "${pkg_config#pkg-config}" >bin/pkg-config
	chmod +x bin/*
	PATH=$tmp/author/bin:$PATH sh ./build
) >"$tmp/author/log" 2>&1
is "$(cat "$tmp/author/log")" "" "it builds so, without a word"
installed_ini "$tmp/xfer.ini"
run "$xfer" -c "$tmp/xfer.ini" plugins "$tmp/author/integrity-adler32.so"
is "$status" 0 "the installed program loads it"
run "$xfer" -c "$tmp/xfer.ini" check-plugin "$tmp/author/integrity-adler32.so"
is "$status" 0 "it conforms"
cp "$tmp/author/integrity-adler32.so" "$plugin_dir"
mkdir "$tmp/pub"
make_file "$tmp/pub/file" 3000000
installed_ini "$tmp/xferd.ini"
write_config "$tmp/rest.ini" "$tmp/pub"
cat "$tmp/rest.ini" >>"$tmp/xferd.ini"
need_daemon -c "$tmp/xferd.ini" --set pipeline.integrity=adler32
run "$xfer" -c "$tmp/xfer.ini" get --integrity adler32 "xfer://$daemon_address/pub/file" "$tmp/got"
is "$status" 0 "and transfers by it"
check "... what arrives is what was there" cmp "$tmp/pub/file" "$tmp/got"
like_file "$out" '^digest: xfer1:adler32:1M:[0-9a-f]{8}$' "... with its digest"
stop_daemon
is "$daemon_status" 0 "the installed daemon ends in order"
rm "$plugin_dir/integrity-adler32.so"

# ---- and away again --------------------------------------------------------------------------------------------------

check "make uninstall" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" uninstall DESTDIR="$root"
is "$(find "$root" -type f)" "" "... leaves nothing behind"

done_testing
