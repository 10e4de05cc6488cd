# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034
# Sourced by the other scripts: installs Debian packages that are missing, and only those.

PACKAGES_BUILD="autoconf automake libtool pkg-config gcc make libc6-dev libssl-dev libinih-dev libuv1-dev libisal-dev
	zlib1g-dev"
PACKAGES_CHECK="$PACKAGES_BUILD clang clang-format libclang-rt-14-dev libcmocka-dev mandoc shellcheck strace iproute2 iptables
	binutils xz-utils procps"

package_here() {
	dpkg-query -W -f '${db:Status-Abbrev}\n' "$1" 2>/dev/null | grep -q '^ii'
}

# packages_need NAME...: returns 0 when all are installed, now or before.
packages_need() {
	packages_missing=
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "This is not a Debian system; these packages, by Debian's names, are taken as installed: $*" >&2
		return 0
	fi
	for packages_name in "$@"; do
		package_here "$packages_name" || packages_missing="$packages_missing $packages_name"
	done
	[ -n "$packages_missing" ] || return 0
	echo "Installing what is missing:$packages_missing"
	packages_sudo=
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "That takes root, and there is no sudo. As root: apt-get install$packages_missing" >&2
			return 1
		fi
		packages_sudo=sudo
	fi
	# Word splitting is meant: a list of names.
	# shellcheck disable=SC2086
	if ! $packages_sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
		$packages_missing >/dev/null 2>&1; then
		# The lists of a fresh machine are old or not there.
		$packages_sudo apt-get update -q >/dev/null &&
			$packages_sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
				--no-install-recommends $packages_missing >/dev/null
	fi
}
