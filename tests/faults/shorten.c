/* SPDX-License-Identifier: BSD-2-Clause */
/* What is changed of a call at its entry is put back at its exit: in registers, and in the memory of the process. */
#include "shorten.h"

#if defined(__x86_64__) && defined(__linux__)

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the memory of the process --------------------------------------------------------------------------------- */

static bool get_memory(pid_t tid, uint64_t at, void *bytes, size_t len)
{
	struct iovec here = { .iov_base = bytes, .iov_len = len };
	struct iovec there = { .iov_base = (void *)(uintptr_t)at, .iov_len = len };
	return process_vm_readv(tid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static bool put_memory(pid_t tid, uint64_t at, const void *bytes, size_t len)
{
	struct iovec here = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct iovec there = { .iov_base = (void *)(uintptr_t)at, .iov_len = len };
	return process_vm_writev(tid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

/* ---- short transfers ------------------------------------------------------------------------------------------- */

enum shape {
	SHAPE_NONE,
	SHAPE_BYTES,   /* (fd, bytes, length): the length in rdx */
	SHAPE_R10,     /* sendfile: in r10 */
	SHAPE_R8,      /* copy_file_range, splice: in r8 */
	SHAPE_IOV,     /* (fd, pieces, count) */
	SHAPE_MESSAGE, /* (fd, struct msghdr) */
};

static enum shape shape_of(uint64_t number)
{
	switch (number) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_sendto:
	case SYS_recvfrom: return SHAPE_BYTES;
	case SYS_sendfile: return SHAPE_R10;
	case SYS_splice:
	case SYS_copy_file_range: return SHAPE_R8;
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2: return SHAPE_IOV;
	case SYS_sendmsg:
	case SYS_recvmsg: return SHAPE_MESSAGE;
	default: return SHAPE_NONE;
	}
}

/*
 * Is the socket one of TCP? Of others a call moves all or nothing: datagrams, packets. Asked of the socket itself: the kernel's
 * list of all connections takes the longer the more there are, and a process that is held up at each call seems dead.
 */
static bool is_tcp(pid_t process, int number)
{
	int protocol = 0;
	socklen_t len = sizeof protocol;
	int pidfd = (int)syscall(SYS_pidfd_open, process, 0);
	int copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	bool tcp = copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	           protocol == IPPROTO_TCP;
	if (copy >= 0)
		close(copy);
	if (pidfd >= 0)
		close(pidfd);
	return tcp;
}

/* The pieces of which a call speaks, into saved. */
static bool get_pieces(struct saved *saved, pid_t tid, enum shape shape)
{
	saved->iov_at = saved->regs.rsi;
	saved->iov_count = saved->regs.rdx;
	saved->header_at = 0;
	if (shape == SHAPE_MESSAGE) {
		saved->header_at = saved->regs.rsi;
		if (!get_memory(tid, saved->header_at, &saved->header, sizeof saved->header))
			return false;
		saved->iov_at = (uint64_t)(uintptr_t)saved->header.msg_iov;
		saved->iov_count = saved->header.msg_iovlen;
	}
	if (saved->iov_count > IOV_SAVED)
		saved->iov_count = IOV_SAVED;
	return get_memory(tid, saved->iov_at, saved->iov, saved->iov_count * sizeof saved->iov[0]);
}

static uint64_t *length_in(struct user_regs_struct *regs, enum shape shape)
{
	if (shape == SHAPE_R10)
		return (uint64_t *)&regs->r10;
	return shape == SHAPE_R8 ? (uint64_t *)&regs->r8 : (uint64_t *)&regs->rdx;
}

/* A call that is about to be made moves half of what it would, or a little less than the half. */
void shorten_begin(struct saved *saved, pid_t tid)
{
	enum shape shape = shape_of(saved->regs.orig_rax);
	struct user_regs_struct regs = saved->regs;
	struct msghdr header;
	struct iovec iov[IOV_SAVED];
	saved->iov_at = 0;
	saved->header_at = 0;
	if (shape != SHAPE_IOV && shape != SHAPE_MESSAGE) {
		uint64_t *length = length_in(&regs, shape);
		*length = *length > 1 ? *length / 2 : *length;
		ptrace(PTRACE_SETREGS, tid, 0, &regs);
		return;
	}
	if (!get_pieces(saved, tid, shape))
		return;
	uint64_t total = 0;
	for (size_t at = 0; at < saved->iov_count; at++)
		total += saved->iov[at].iov_len;
	uint64_t left = total > 1 ? total / 2 : total;
	size_t count = 0;
	memcpy(iov, saved->iov, sizeof iov);
	while (left > 0 && count < saved->iov_count) {
		if (iov[count].iov_len > left)
			iov[count].iov_len = left;
		left -= iov[count++].iov_len;
	}
	put_memory(tid, saved->iov_at, iov, count * sizeof iov[0]);
	if (shape == SHAPE_MESSAGE) {
		header = saved->header;
		header.msg_iovlen = count;
		put_memory(tid, saved->header_at, &header, sizeof header);
	} else {
		regs.rdx = count;
		ptrace(PTRACE_SETREGS, tid, 0, &regs);
	}
}

/* It has returned: its arguments are again what the process gave, its result stays. */
void shorten_end(struct saved *saved, pid_t tid, struct user_regs_struct *regs)
{
	regs->rdi = saved->regs.rdi;
	regs->rsi = saved->regs.rsi;
	regs->rdx = saved->regs.rdx;
	regs->r10 = saved->regs.r10;
	regs->r8 = saved->regs.r8;
	regs->r9 = saved->regs.r9;
	ptrace(PTRACE_SETREGS, tid, 0, regs);
	if (saved->iov_at != 0)
		put_memory(tid, saved->iov_at, saved->iov, saved->iov_count * sizeof saved->iov[0]);
	if (saved->header_at == 0)
		return;
	/* recvmsg() answers in the header too. */
	struct msghdr header;
	if (!get_memory(tid, saved->header_at, &header, sizeof header))
		return;
	header.msg_iovlen = saved->header.msg_iovlen;
	put_memory(tid, saved->header_at, &header, sizeof header);
}

const char *shorten_kind(pid_t process, const struct user_regs_struct *regs)
{
	char path[64];
	char target[PATH_MAX];
	if (shape_of(regs->orig_rax) == SHAPE_NONE)
		return "";
	snprintf(path, sizeof path, "/proc/%d/fd/%d", process, (int)regs->rdi);
	ssize_t len = readlink(path, target, sizeof target - 1);
	if (len < 0)
		return "";
	target[len] = '\0';
	if (strncmp(target, "socket:", 7) == 0)
		return is_tcp(process, (int)regs->rdi) ? "tcp" : "socket";
	if (strncmp(target, "anon_inode:", 11) == 0)
		return "anon";
	return target[0] == '/' ? "file" : "pipe";
}

#endif
