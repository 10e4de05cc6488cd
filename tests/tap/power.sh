# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154,SC2034
#
# Power losses, for tests that have read lib.sh: a disk that remembers, and the disk that is left after a loss. All mounts
# are in a mount namespace of the test's own and end with it.
#
#   power_namespace "$0" "$@"            goes on in it, or skips with the reason
#   power_base ext4 FOLDER               the disk as it is before: a copy of FOLDER ($power_data: how ext4 orders)
#   disk_begin                           it is mounted at $disk and remembers
#   mark TEXT                            a user was told
#   disk_end                             it is not mounted; the record is complete
#   power_points SUBSETS KEEP SEED       the moments to try, a line each
#   power_loss POINT && power_back       it is mounted at $disk as it is after a loss; what was told until then: $told

blockfs=$top_builddir/tests/faults/blockfs
replay=$top_builddir/tests/faults/replay
disk=$tmp/disk
told=$tmp/told
loop_device=
blockfs_pid=
mkdir "$disk" "$tmp/blockfs"

power_namespace() {
	[ "$(id -u)" = 0 ] || skip_all "a disk of its own takes root"
	[ -x "$blockfs" ] || skip_all "configure found no libfuse3"
	[ -c /dev/fuse ] || skip_all "there is no /dev/fuse"
	[ -c /dev/loop-control ] || skip_all "there are no loop devices"
	for power_tool in losetup mkfs.ext4 unshare; do
		command -v $power_tool >/dev/null || skip_all "there is no $power_tool"
	done
	if [ -z "${XFER_POWER_NAMESPACE-}" ]; then
		unshare -m true 2>/dev/null || skip_all "there may be no mount namespace"
		clean_up
		XFER_POWER_NAMESPACE=yes
		export XFER_POWER_NAMESPACE
		exec unshare -m --propagation private /bin/sh "$@"
	fi
	mkdir "$tmp/memory"
	mount -t tmpfs -o size=2g tmpfs "$tmp/memory" || bail_out "no tmpfs"
	trap power_clean_up EXIT
}

power_clean_up() {
	spared=$blockfs_pid
	kill_remembered
	spared=
	umount "$disk" 2>/dev/null || umount -l "$disk" 2>/dev/null
	[ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
	umount "$tmp/blockfs" 2>/dev/null || umount -l "$tmp/blockfs" 2>/dev/null
	umount "$tmp/memory" 2>/dev/null || umount -l "$tmp/memory" 2>/dev/null
	clean_up
}

# How it is mounted. By itself ext4 writes content before the names that need it: an order that other file systems do not
# keep, and behind which a missing sync would hide.
power_options() {
	case $power_fs in
	ext4) echo "data=${power_data:-writeback},noauto_da_alloc" ;;
	*) echo defaults ;;
	esac
}

# Fails, with the reason in the file $tmp/mkfs, where this machine cannot do it.
power_base() {
	power_fs=$1
	base=$tmp/memory/base
	rm -f "$base"
	case $power_fs in
	ext4)
		truncate -s 24M "$base" &&
			mkfs.ext4 -q -F -b 4096 -m 0 -J size=4 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$base"
		;;
	xfs) truncate -s 320M "$base" && mkfs.xfs -q -K -s size=4096 "$base" ;;
	esac >"$tmp/mkfs" 2>&1 || return 1
	mount -t "$power_fs" -o loop "$base" "$disk" 2>>"$tmp/mkfs" || return 1
	cp -a "$2/." "$disk" && umount "$disk"
}

# Fails, with the reason in the file $tmp/blockfs.err.
disk_begin() {
	cp --sparse=always "$base" "$tmp/memory/work"
	record=$tmp/memory/record
	: >"$tmp/blockfs.err" # it is looked at before the other process may have begun
	"$blockfs" "$tmp/memory/work" "$record" "$tmp/blockfs" 2>"$tmp/blockfs.err" &
	blockfs_pid=$!
	remember $blockfs_pid
	await sh -c "[ -e '$tmp/blockfs/disk' ] || [ -s '$tmp/blockfs.err' ]"
	[ -e "$tmp/blockfs/disk" ] || return 1
	loop_device=$(losetup --find --show --direct-io=on --sector-size 4096 "$tmp/blockfs/disk" 2>"$tmp/blockfs.err") &&
		mount -t "$power_fs" -o "$(power_options)" "$loop_device" "$disk" 2>"$tmp/blockfs.err" || return 1
	# The device goes when it is unmounted, whoever does that.
	losetup -d "$loop_device"
}

mark() {
	printf '%s\n' "$*" >>"$tmp/blockfs/mark"
}

disk_end() {
	sync -f "$disk"
	mark end
	umount "$disk" || bail_out "the disk is in use"
	await power_loop_gone || bail_out "the loop device stays"
	loop_device=
	umount "$tmp/blockfs" || bail_out "blockfs is in use"
	wait "$blockfs_pid"
	blockfs_pid=
}

power_loop_gone() {
	! losetup "$loop_device" >/dev/null 2>&1 || ! losetup "$loop_device" | grep -q "$tmp/blockfs"
}

power_points() {
	"$replay" points "$record" "$@"
}

power_loss() {
	"$replay" build "$record" "$base" "$tmp/memory/image" "$1" >"$told" || bail_out "replay fails"
}

# Recovers what the file system's own journal has.
power_back() {
	mount -t "$power_fs" -o "loop,$(power_options)" "$tmp/memory/image" "$disk"
}

power_gone() {
	umount "$disk" || bail_out "the disk is in use"
}
