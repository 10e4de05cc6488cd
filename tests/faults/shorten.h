/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a system call of another process move half of what it was asked to, so that its result is a true one. */
#ifndef TESTS_FAULTS_SHORTEN_H
#define TESTS_FAULTS_SHORTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

enum {
	IOV_SAVED = 64, /* pieces of one call that can be made short */
};

/* What a call looked like before it was made short, to be put back when it returns. */
struct saved {
	struct user_regs_struct regs;
	uint64_t iov_at;    /* in the process; 0: the call has no pieces */
	uint64_t header_at; /* of a struct msghdr; 0: none */
	struct msghdr header;
	struct iovec iov[IOV_SAVED];
	size_t iov_count;
};

/*
 * What a call moves bytes of: "file", "tcp", "socket" (of another kind), "pipe", "anon" (a counter, a timer); "" when it is
 * a call that moves none. Of files and TCP a call can move less than it was asked to.
 */
const char *shorten_kind(pid_t process, const struct user_regs_struct *regs);

/* At the entry of the call, with its registers in saved; then at its exit. */
void shorten_begin(struct saved *saved, pid_t tid);
void shorten_end(struct saved *saved, pid_t tid, struct user_regs_struct *regs);

#endif
