/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes that are lent: they carry payload that nobody looks at from storage threads to the transport, as references to
 * the pages of its file. A storage thread fills them, and is the one who waits for a disk; what is in them can be sent at
 * once, whatever becomes of the file. Their pages are the kernel's, which cannot have them back until they are sent, so
 * there is a bound. Nobody waits for a pipe: who gets none reads into a buffer.
 */
#ifndef XFER_PIPELINE_PIPES_H
#define XFER_PIPELINE_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pipes;

struct pipe_lent {
	struct pipe_lent *next;
	int in, out;
	size_t size; /* bytes that it holds, where each page of a file is a page here */
	size_t fill; /* bytes in it */
};

/* `bytes`: what all of them together may hold. -ENOMEM. */
int pipes_create(struct pipes **out, size_t bytes);
void pipes_destroy(struct pipes *pipes); /* all are back; NULL is allowed */
/* A list of empty ones that hold `bytes` together; NULL: there are none, or the system gives none. Loop thread. */
struct pipe_lent *pipes_take(struct pipes *pipes, size_t bytes);
/* A list, filled or not; NULL is allowed. Loop thread. */
void pipes_give(struct pipes *pipes, struct pipe_lent *list);
size_t pipes_out(const struct pipes *pipes); /* how many are lent */
/* Closes those that are not lent. */
void pipes_trim(struct pipes *pipes);

/*
 * Fills `len` bytes of the file into *at, and the ones behind it where that is full. Bytes, fewer at the end of the file;
 * -ENOSPC: they do not hold it; -EOPNOTSUPP: not from this file; -errno. What is in them by then stays. Any thread.
 */
ssize_t pipes_fill(struct pipe_lent **at, int fd, uint64_t offset, size_t len);

/*
 * Whether anything more goes into it: a pipe holds so many pieces of memory, whatever there is in each. Any thread, no time.
 */
bool pipe_has_room(const struct pipe_lent *pipe);
size_t pipes_bytes(const struct pipe_lent *list); /* what is in them */
/* Reads all that is in them, pipes_bytes() bytes: 0 or -errno. No time: it is there. */
int pipes_read(struct pipe_lent *list, uint8_t *out);
/*
 * Writes what comes next in them into the file, at most `len` bytes, which they hold: 0 or -errno, then some of it may be
 * written. *at moves on. May block.
 */
int pipes_write(struct pipe_lent **at, int fd, uint64_t offset, size_t len);

#endif
