#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs tests in a virtual machine, with a kernel that has what this machine's has not.
#
#   vm.sh KERNEL MODULES TEST...
#
# KERNEL is a folder as Debian's packages of kernels unpack to: boot/vmlinuz-VERSION (or lib/modules/VERSION/vmlinuz) and
# lib/modules/VERSION. MODULES, one word, are those that are loaded before the tests, in this order, after what they need. A
# TEST is `PATH ARGUMENTS`, with NAME=VALUE in front of it if need be, run in the build folder; what it prints comes out here,
# behind a line `# vm: TEST` and before one `# vm: status N TEST`. The machine is this machine's user land: the build tree's
# programs and plug-ins, the scripts of tests/tap, the tools that they call, and the libraries of all these.
#
# The exit status is 0 when the machine got to its end, whatever the tests said; 77 when there is none (stderr says why).
set -u

top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
vm_limit=${XFER_VM_LIMIT:-300} # seconds after which it hangs

TOOLS="awk basename cat chmod cmp cp cut date dd diff dirname dmesg du env find grep head id ip kill ln ls mkdir mktemp mv openssl
	printf rm sed seq sh sleep sort split stat strace tail tee timeout touch tr truncate uname wc"

why() {
	echo "$*" >&2
	exit 77
}

[ $# -gt 2 ] || why "usage: vm.sh KERNEL MODULES TEST..."
kernel=$1
modules=$2
shift 2
qemu=$(command -v "qemu-system-$(uname -m)") || why "there is no qemu-system-$(uname -m)"
busybox=$(command -v busybox) || why "there is no busybox"
command -v cpio >/dev/null || why "there is no cpio"
tree=
for tree in "$kernel"/lib/modules/* "$kernel"/usr/lib/modules/*; do
	[ ! -d "$tree/kernel" ] || break
done
[ -d "$tree/kernel" ] || why "there is no kernel in $kernel"
image=$kernel/boot/vmlinuz-$(basename "$tree")
[ -r "$image" ] || image=$tree/vmlinuz
[ -r "$image" ] || why "there is no kernel in $kernel"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfer-vm.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
root=$tmp/root
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run" "$root/bin" "$root/modules" "$root$top_builddir" \
	"$root$top_srcdir/tests"

# ---- files -----------------------------------------------------------------------------------------------------------

# take FILE...: each at the place that it has here, its libraries too.
take() {
	for take_file in "$@"; do
		[ ! -e "$root$take_file" ] || continue
		mkdir -p "$root$(dirname "$take_file")"
		cp -L "$take_file" "$root$take_file"
		for take_library in $(ldd "$take_file" 2>/dev/null | grep -o '/[^ ]*'); do
			[ -e "$root$take_library" ] || {
				mkdir -p "$root$(dirname "$take_library")"
				cp -L "$take_library" "$root$take_library"
			}
		done
	done
}

# (By config.status the programs know that they are in a build tree.)
take "$top_builddir/xfer" "$top_builddir/xferd" "$top_builddir/config.status" "$top_builddir"/plugins/.libs/*.so
for file in "$top_builddir"/tests/plugins/.libs/*.so; do
	[ ! -e "$file" ] || take "$file"
done
cp -R "$top_srcdir/tests/tap" "$root$top_srcdir/tests/"
for test in "$@"; do
	for word in $test; do
		[ ! -f "$top_builddir/$word" ] || take "$top_builddir/$word"
	done
done
for tool in $TOOLS; do
	path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$tool") || continue
	case $path in
	/*) ;;
	*) path=/usr/bin/$path ;; # of the shell, too
	esac
	[ -e "$path" ] || continue
	take "$(readlink -f "$path")"
	[ -e "$root/bin/$tool" ] || ln -s "$(readlink -f "$path")" "$root/bin/$tool"
done
cp "$busybox" "$root/bin/busybox"

# need MODULE: it and what it needs, in the order in which they can be loaded; what the kernel has built in is not a file.
need() {
	need_file=$(find "$tree/kernel" -name "$1.ko" -o -name "$1.ko.xz" -o -name "$(echo "$1" | tr _ -).ko" \
		-o -name "$(echo "$1" | tr _ -).ko.xz" | head -n 1)
	need_to=$root/modules/$(basename "${need_file%.xz}")
	[ -n "$need_file" ] && [ ! -e "$need_to" ] || return 0
	case $need_file in
	*.xz) xz -dc "$need_file" >"$need_to" ;;
	*) cp "$need_file" "$need_to" ;;
	esac
	for need_other in $(tr '\0' '\n' <"$need_to" | sed -n 's/^depends=//p' | tr , ' '); do
		# (In a shell of its own, which has its own variables.)
		(need "$need_other")
	done
	basename "$need_to" >>"$root/modules/order"
}
: >"$root/modules/order"
for module in $modules; do
	need "$module"
done

{
	cat <<-END
		#!/bin/sh
		PATH=/bin
		export PATH
		busybox mount -t proc proc /proc
		busybox mount -t sysfs sysfs /sys
		busybox mount -t devtmpfs dev /dev
		busybox ln -s /proc/self/fd /dev/fd
		busybox stty -F /dev/ttyS1 raw
		exec >/dev/ttyS1 2>&1 </dev/null
		for module in \$(cat /modules/order); do
			busybox insmod /modules/\$module || echo "# vm: \$module is not loaded"
		done
		busybox ip link set lo up
		echo "# vm: Linux \$(uname -r)"
		top_srcdir='$top_srcdir'
		top_builddir='$top_builddir'
		CMOCKA_MESSAGE_OUTPUT=TAP
		export top_srcdir top_builddir CMOCKA_MESSAGE_OUTPUT
		cd "\$top_builddir"
	END
	for test in "$@"; do
		cat <<-END
			echo '# vm: $test'
			env $test
			echo "# vm: status \$? $test"
		END
	done
	cat <<-END
		echo '# vm: end'
		busybox poweroff -f
	END
} >"$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$tmp/initramfs" || exit 99

# ---- the machine -----------------------------------------------------------------------------------------------------

# run ACCELERATOR CPU: the kernel tells the first port, the tests the second.
run() {
	timeout -k 5 "$vm_limit" "$qemu" -nodefaults -no-user-config -no-reboot -display none -accel "$1" -cpu "$2" \
		-smp "${XFER_VM_CPUS:-2}" -m "${XFER_VM_MEMORY:-1536}" -kernel "$image" -initrd "$tmp/initramfs" \
		-append "console=ttyS0 loglevel=4 panic=-1 oops=panic random.trust_cpu=on" \
		-serial "file:$tmp/console" -serial stdio </dev/null 2>"$tmp/qemu" | tr -d '\r' | tee "$tmp/out"
}

# Without acceleration everything is there still, only slower; with it, inside of another virtual machine, it may hang.
accelerator=${XFER_VM_ACCEL:-tcg}
run "$accelerator" max
if ! grep -q '^# vm: end' "$tmp/out"; then
	{
		echo "the virtual machine did not get to its end:"
		tail -n 5 "$tmp/qemu"
		tail -n 30 "$tmp/console" 2>/dev/null
	} | sed 's/^/# vm: /' >&2
	exit 1
fi
