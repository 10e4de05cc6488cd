# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034
# Sourced by the other scripts: installs Debian packages that are missing, and only those; fetches the source of one.

PACKAGES_BUILD="autoconf automake libtool pkg-config gcc make libc6-dev libssl-dev libinih-dev libuv1-dev libisal-dev
	libxxhash-dev zlib1g-dev"
# For x86 only.
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || PACKAGES_BUILD="$PACKAGES_BUILD libipsec-mb-dev"
PACKAGES_CHECK="$PACKAGES_BUILD g++ clang clang-format libclang-rt-14-dev libcmocka-dev mandoc shellcheck strace iproute2 iptables
	binutils openssl xz-utils procps libfuse3-dev e2fsprogs xfsprogs
	openssh-client openssh-server"

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

# Where this machine gets Debian's packages from, "URI CODENAME".
packages_mirror() {
	packages_codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	# shellcheck disable=SC2016 # apt-get replaces these
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' 2>/dev/null |
		awk -v release="${packages_codename:-bookworm}" '$2 == release { print; exit }' | grep . ||
		echo "http://deb.debian.org/debian ${packages_codename:-bookworm}"
}

# packages_download NAME DIR: the files of the package's source, checked against the archive's signature, in DIR.
packages_download() {
	packages_signed=
	[ ! -f /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		packages_signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	mkdir -p "$2/apt/lists/partial" "$2/apt/cache/archives/partial" || return 1
	echo "deb-src $packages_signed $(packages_mirror) main" >"$2/apt/sources.list"
	# Lists of its own: nothing of the machine's is changed. As root: apt's own user may not be able to reach this folder.
	cat >"$2/apt/apt.conf" <<-END
		Dir::Etc::sourcelist "$2/apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State::Lists "$2/apt/lists";
		Dir::Cache "$2/apt/cache";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "1";
		Acquire::http::Timeout "15";
		Acquire::https::Timeout "15";
	END
	(
		cd "$2" && export APT_CONFIG="$2/apt/apt.conf" &&
			timeout 180 apt-get -q update -o APT::Update::Error-Mode=any &&
			timeout 180 apt-get -q -y source --download-only --only-source "$1"
	) >"$2/log" 2>&1
}

# packages_unpack DIR INTO: what was downloaded, as it was packed; none of Debian's patches is applied.
packages_unpack() {
	mkdir -p "$2" || return 1
	for packages_tar in "$1"/*.orig.tar.*; do
		tar -x --no-same-owner -p --strip-components=1 -C "$2" -f "$packages_tar" || return 1
	done
	for packages_tar in "$1"/*.debian.tar.*; do
		# With the times of now: those have nanoseconds, the others do not.
		tar -x --no-same-owner -p --touch -C "$2" -f "$packages_tar" || return 1
	done
}

# packages_source NAME CACHE: the source of a Debian package is in CACHE/NAME, fetched once and found there ever after.
# Fails with the reason in $packages_why.
packages_source() {
	packages_why="the source of $1 is not in $2"
	[ ! -d "$2/$1" ] || return 0
	if [ "${CHECK_INSTALL-yes}" = no ]; then
		packages_why="$packages_why, and CHECK_INSTALL=no lets nothing be downloaded"
		return 1
	elif ! command -v apt-get >/dev/null; then
		packages_why="$packages_why, and there is no apt-get to download it"
		return 1
	elif ! { mkdir -p "$2" && packages_new=$(mktemp -d "$2/new.XXXXXX"); } 2>/dev/null; then
		packages_why="$packages_why, where nothing can be written"
		return 1
	fi
	if ! packages_download "$1" "$packages_new"; then
		packages_why="the source of $1 cannot be downloaded: $(grep -m 1 '^[EW]:' "$packages_new/log" ||
			echo 'it took too long')"
	elif ! packages_unpack "$packages_new" "$packages_new/$1" 2>"$packages_new/log"; then
		packages_why="the source of $1 cannot be unpacked: $(head -n 1 "$packages_new/log")"
	else
		mv -T "$packages_new/$1" "$2/$1" 2>/dev/null # fails when somebody else was faster
	fi
	rm -rf "$packages_new"
	[ -d "$2/$1" ]
}

# packages_kernel CACHE: a kernel of Debian's for virtual machines is unpacked in CACHE/kernel, which is set as
# $packages_kernel; fetched once. Nothing is installed. Fails with the reason in $packages_why.
packages_kernel() {
	packages_kernel=$1/kernel
	[ ! -d "$packages_kernel" ] || return 0
	packages_why="there is no kernel in $packages_kernel, and it cannot be downloaded"
	if [ "${CHECK_INSTALL-yes}" = no ] || ! command -v apt-get >/dev/null || ! mkdir -p "$1"; then
		return 1
	fi
	packages_new=$(mktemp -d "$1/new.XXXXXX") || return 1
	packages_image=$(apt-cache depends "linux-image-cloud-$(dpkg --print-architecture)" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
	# The package has the kernel and its modules, and needs to be no more than unpacked.
	if [ -n "$packages_image" ] && (cd "$packages_new" && timeout 180 apt-get -q download "$packages_image") \
		>/dev/null 2>&1 && dpkg-deb -x "$packages_new"/linux-image-*.deb "$packages_new/kernel"; then
		mv -T "$packages_new/kernel" "$packages_kernel" 2>/dev/null # fails when somebody else was faster
	fi
	rm -rf "$packages_new"
	[ -d "$packages_kernel" ]
}
