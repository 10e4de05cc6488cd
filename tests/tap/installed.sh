# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Sourced behind lib.sh by tests of what `make install` makes: it goes below $tmp/root, as a packager has it.

# need_installed: sets root, prefix (where it lies now), and pkg_config, which finds it there; and lets $xfer and $xferd be
# the installed programs. What they were built for is another folder: installed_ini tells them.
need_installed() {
	command -v pkg-config >/dev/null || skip_all "there is no pkg-config"
	root=$tmp/root
	# Not as a part of the make that runs the tests.
	if ! env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" install DESTDIR="$root" >"$tmp/install.log" 2>&1; then
		diag_file "$tmp/install.log"
		bail_out "make install fails"
	fi
	PKG_CONFIG_PATH=$(dirname "$(find "$root" -name xfer-plugin.pc)")
	export PKG_CONFIG_PATH
	prefix=$root$(pkg-config --variable=prefix xfer-plugin)
	pkg_config="pkg-config --define-variable=prefix=$prefix"
	plugin_dir=$($pkg_config --variable=plugindir xfer-plugin)
	xfer=$prefix/bin/xfer
	xferd=$prefix/sbin/xferd
	# No look at the build tree by mistake.
	[ -x "$xfer" ] && [ -x "$xferd" ] && [ -d "$plugin_dir" ] || bail_out "the programs are not where they should be"
}

# installed_ini FILE: for both programs.
installed_ini() {
	printf '[core]\nplugin-dir = %s\n' "$plugin_dir" >"$1"
}
