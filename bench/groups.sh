# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by bench/run: control groups, so that the kernel keeps the account of each side's processor time.

groups=     # folder in which ours are made; empty: there are none
accounting= # what the processor seconds are made of, for the reader

# groups_try PARENT: makes and tries the folder of our groups.
groups_try() {
	mkdir "$1/xfer-bench-$$" 2>/dev/null || return 1
	groups=$1/xfer-bench-$$
	if mkdir "$groups/try" 2>/dev/null && "$measure" join -g "$groups/try" -- true 2>/dev/null &&
		cat "$groups/try/cpuacct.usage" "$groups/try/cpu.stat" 2>/dev/null | grep -q .; then
		rmdir "$groups/try"
		return 0
	fi
	groups_close
	return 1
}

# Version 1 counts nanoseconds and comes first; either may be mounted without being ours to use.
groups_open() {
	groups_note="interrupts are in it, unless the kernel counts them apart"
	groups_mount=$(awk '$3 == "cgroup" && $4 ~ /(^|,)cpuacct(,|$)/ { print $2; exit }' /proc/mounts)
	groups_own=$(awk -F: '$2 ~ /(^|,)cpuacct(,|$)/ { print $3; exit }' /proc/self/cgroup)
	if [ -n "$groups_mount" ] && { groups_try "$groups_mount${groups_own%/}" || groups_try "$groups_mount"; }; then
		accounting="control groups, version 1 (cpuacct.usage); $groups_note"
		return
	fi
	groups_mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	groups_own=$(sed -n 's/^0:://p' /proc/self/cgroup)
	if [ -n "$groups_mount" ] && { groups_try "$groups_mount${groups_own%/}" || groups_try "$groups_mount"; }; then
		accounting="control groups, version 2 (cpu.stat); $groups_note"
		return
	fi
	accounting="rusage and /proc/PID/stat, in ticks: no control group can be made here (as root it can)"
}

# group_option LETTER NAME: the option for measure, making the group; nothing without groups. No blanks within.
group_option() {
	[ -n "$groups" ] || return 0
	[ -d "$groups/$2" ] || mkdir "$groups/$2" || return 1
	printf '%s' "-$1$groups/$2"
}

# Processes leave their group a moment after they ended.
groups_close() {
	[ -n "$groups" ] || return 0
	for groups_attempt in 1 2 3 4 5 6 7 8 9 10; do
		for groups_each in "$groups"/*/; do
			rmdir "$groups_each" 2>/dev/null
		done
		rmdir "$groups" 2>/dev/null && break
		[ "$groups_attempt" -lt 10 ] || echo "bench: $groups could not be removed" >&2
		sleep 0.1
	done
	groups=
}
