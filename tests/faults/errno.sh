#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each system call of one side of a transfer fails in turn, or moves less than it was asked to. Nobody crashes, hangs or leaks;
# who says that all went well is right; what stands under a final name is complete; and the same command again does it.
#
#   sh tests/faults/errno.sh                              each error of each call of each side, verb and kind of source
#   XFER_FAULTS_POINTS=3 sh tests/faults/errno.sh         so many of each, by chance
#   sh tests/faults/errno.sh daemon put tree pwritev:2 ENOSPC      only this one (or all, without it)
#
# Run in the build folder. With AddressSanitizer it sees leaks of memory too.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/faults/points.sh"
begin_points

# Which errors a call is given: those that it can return, or that a user meets after it. What cannot fail is left out, and
# what takes the process down from below: the C library ends it when a futex fails, libuv when epoll_ctl does, or one of the
# counters and pipes with which it wakes its own loop, for anything but a signal; or when there is no pipe for its signals.
errors_of() {
	case $1 in
	exit | exit_group | futex | rt_sigreturn | rt_sigprocmask | rt_sigaction | sched_yield | arch_prctl | rseq) ;;
	set_tid_address | set_robust_list | getpid | gettid | get*uid | get*gid | restart_syscall | uname | umask | epoll_ctl | sigaltstack) ;;
	epoll_wait | epoll_pwait | poll | ppoll | getrandom) echo EINTR ;;
	mmap | munmap | mprotect | mremap | brk | madvise) echo ENOMEM ;;
	clone | clone3 | fork | vfork) echo "EAGAIN ENOMEM" ;;
	socket | accept4 | pipe2 | eventfd2 | epoll_create1 | timerfd_create | signalfd4 | dup3) echo "EMFILE ENOMEM" ;;
	openat | openat2 | open) echo "EIO ENOSPC EDQUOT EINTR EMFILE ENOMEM" ;;
	read.file | pread64.* | readv.file | preadv*) echo "EIO EINTR EAGAIN ENOMEM short" ;;
	write.file | pwrite64.* | writev.file | pwritev* | copy_file_range*) echo "EIO ENOSPC EDQUOT EINTR EAGAIN ENOMEM short" ;;
	read.tcp | recv*.tcp | write.tcp | send*.tcp) echo "EIO EINTR EAGAIN ENOMEM short" ;;
	recv*.socket | send*.socket) echo "EIO EINTR EAGAIN ENOMEM" ;;
	splice.tcp | splice.file) echo "EIO EINTR EINVAL ENOMEM short" ;;
	splice.pipe) echo "EIO ENOSPC EDQUOT EINTR EINVAL ENOMEM short" ;;
	*.anon | *.pipe) echo EINTR ;;
	connect | bind | setsockopt | getsockopt | getsockname | getpeername | shutdown) echo "EIO ENOMEM" ;;
	fsync | fdatasync | syncfs | sync_file_range | close) echo "EIO ENOSPC EDQUOT EINTR" ;;
	flock | fcntl) echo "EIO EINTR EAGAIN ENOMEM" ;;
	*) echo "EIO ENOSPC EDQUOT ENOMEM" ;;
	esac
}

# with_errors FILE: a line `POINT ERROR...` for each `POINT RESULT`. Before the first thread of ours begins it is one
# error for each; and none for the dynamic linker's memory, without which it crashes, nor for a sanitizer's, which says so
# and ends; its own beginning is none of ours. What moved one byte or none moves no less.
with_errors() {
	begun=
	linked=
	while read -r point result; do
		case $point in
		pipe2:1) [ "$side_now" = daemon ] || continue ;;
		clone3:1 | clone:1) begun=yes ;;
		prlimit64:1) linked=yes ;; # the C library begins
		sched_getaffinity:*) ! sanitized || continue ;; # asked by its threads as they begin, which end all without an answer
		mmap:* | munmap:* | mprotect:* | mremap:* | madvise:* | brk:*)
			! sanitized || continue
			[ -n "$linked" ] || [ "$side_now" = daemon ] || continue
			;;
		esac
		[ -n "$begun" ] || [ "$side_now" = daemon ] || ! sanitized || continue
		errors=$(errors_of "${point%%:*}")
		case $result in
		-* | 0 | 1 | \?) errors=${errors% short} ;;
		esac
		[ -n "$errors" ] || continue
		if [ -n "$sample" ] || { [ -z "$begun" ] && [ "$side_now" = client ]; }; then
			# shellcheck disable=SC2086
			set -- $errors
			chance $#
			shift "$chance"
			errors=$1
		fi
		echo "$point $errors"
	done <"$1"
}

# left_by POINT: what is left although it need not be. A journal that could not be removed stays, as long as it is nothing
# else, and whoever told the daemon to forget it is told.
left_by() {
	case $1 in
	unlink* | openat2:*) left_journal=yes ;;
	*) left_journal=$(grep 'its journal stays at the daemon' "$err") ;;
	esac
	if [ -n "$left_journal" ]; then
		leftovers "$into" | grep -v '/\.xfer-puts$\|\.j$'
	else
		leftovers "$into"
	fi
}

# fail_at SIDE VERB WHAT POINT ERROR: fails when the point was not reached.
fail_at() {
	need_worker
	fresh "$3"
	traced_now=$traced
	# What was made to fail is no longer traced, and looks for leaks.
	traced=
	first_run "$1" "$2" "$3" -k "$4" -d "$5"
	traced=$traced_now
	grep -q '^reached' "$tmp/report" || return 1
	if [ "$status" = 124 ]; then
		wrong "hangs"
		fresh_daemon
		return 0
	elif [ "$status" -gt 130 ] || grep -q 'Sanitizer\|runtime error' "$err"; then
		wrong "crashed, or leaked: status $status"
	elif [ "$status" = 0 ] && ! whole "$3"; then
		wrong "says that it is done, and it is not"
	elif [ "$status" = 0 ] && [ -n "$(left_by "$4")" ]; then
		wrong "says that it is done, and something is left"
	elif ! sound "$3"; then
		wrong "what stands under a final name is not complete"
	elif ! kill -0 "$worker" 2>/dev/null; then
		wrong "the worker is gone"
	elif ! settled; then
		wrong "the worker has $(descriptors) descriptors open, and not the $idle of one without sessions"
		fresh_daemon
	fi
	again "$2" "$3"
	if [ "$status" != 0 ] || ! whole "$3"; then
		wrong "the same command again: status $status, or it is not the same"
	elif [ -n "$(leftovers "$into")" ]; then
		wrong "the same command again: something is left"
	fi
}

# sweep SIDE VERB WHAT
sweep() {
	record "$1" "$2" "$3" || return
	side_now=$1
	with_errors "$points.marked" >"$points.errors"
	some "$points.errors" >"$points.some"
	each_point "$1" "$2" "$3" "$points.some" fail_at
}

case $# in
0) each_sweep sweep ;;
3) sweep "$@" ;;
5)
	echo "$4 $5" >"$tmp/one"
	each_point "$1" "$2" "$3" "$tmp/one" fail_at
	;;
*) bail_out "usage: errno.sh [SIDE VERB WHAT [POINT ERROR]]" ;;
esac
done_testing
