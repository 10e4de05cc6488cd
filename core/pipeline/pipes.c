/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 1024 * 1024, /* bytes: what a pipe may have without privileges */
	ASIDE = 64 * 1024        /* bytes copied at a time, on the stack */
};

struct pipes {
	size_t made, most, out; /* pipes */
	struct pipe_lent *free;
};

int pipes_create(struct pipes **out, size_t bytes)
{
	struct pipes *pipes = calloc(1, sizeof(*pipes));

	if (pipes == NULL)
		return -ENOMEM;
	pipes->most = bytes / PIPE_SIZE;
	*out = pipes;
	return 0;
}

void pipes_destroy(struct pipes *pipes)
{
	if (pipes != NULL)
		pipes_trim(pipes);
	free(pipes);
}

static struct pipe_lent *pipe_open(void)
{
	struct pipe_lent *pipe = malloc(sizeof(*pipe));
	int ends[2], size;

	if (pipe == NULL || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(pipe);
		return NULL;
	}
	/* A user who has many gets none of that size; small ones would cost more than they save. */
	size = fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (size < PIPE_SIZE) {
		close(ends[0]);
		close(ends[1]);
		free(pipe);
		return NULL;
	}
	*pipe = (struct pipe_lent){ .out = ends[0], .in = ends[1], .size = (size_t)size };
	return pipe;
}

static void pipe_close(struct pipes *pipes, struct pipe_lent *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	pipes->made--;
}

static struct pipe_lent *take_one(struct pipes *pipes)
{
	struct pipe_lent *pipe = pipes->free;

	if (pipe != NULL) {
		pipes->free = pipe->next;
	} else if (pipes->made < pipes->most) {
		pipe = pipe_open();
		if (pipe == NULL) {
			pipes->most = pipes->made; /* it would fail each time */
			return NULL;
		}
		pipes->made++;
	} else {
		return NULL;
	}
	pipe->next = NULL;
	pipes->out++;
	return pipe;
}

struct pipe_lent *pipes_take(struct pipes *pipes, size_t bytes)
{
	struct pipe_lent *list = NULL;

	for (size_t got = 0; got < bytes;) {
		struct pipe_lent *pipe = take_one(pipes);

		if (pipe == NULL) {
			pipes_give(pipes, list);
			return NULL;
		}
		pipe->next = list;
		list = pipe;
		got += pipe->size;
	}
	return list;
}

void pipes_give(struct pipes *pipes, struct pipe_lent *list)
{
	while (list != NULL) {
		struct pipe_lent *pipe = list;

		list = pipe->next;
		pipes->out--;
		if (pipe->fill > 0) {
			pipe_close(pipes, pipe); /* and with it what nobody wants any more */
			continue;
		}
		pipe->next = pipes->free;
		pipes->free = pipe;
	}
}

size_t pipes_out(const struct pipes *pipes)
{
	return pipes->out;
}

void pipes_trim(struct pipes *pipes)
{
	while (pipes->free != NULL) {
		struct pipe_lent *pipe = pipes->free;

		pipes->free = pipe->next;
		pipe_close(pipes, pipe);
	}
}

ssize_t pipes_fill(struct pipe_lent **at, int fd, uint64_t offset, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct pipe_lent *pipe = *at;
		off_t from = (off_t)(offset + done);
		ssize_t n;

		if (pipe == NULL)
			return -ENOSPC;
		n = splice(fd, &from, pipe->in, NULL, len - done, SPLICE_F_NONBLOCK);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*at = pipe->next;
			continue;
		}
		if (n < 0)
			return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
		pipe->fill += (size_t)n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

bool pipe_has_room(const struct pipe_lent *pipe)
{
	struct pollfd look = { .fd = pipe->in, .events = POLLOUT };

	return poll(&look, 1, 0) == 1 && (look.revents & POLLOUT) != 0;
}

size_t pipes_bytes(const struct pipe_lent *list)
{
	size_t bytes = 0;

	for (; list != NULL; list = list->next)
		bytes += list->fill;
	return bytes;
}

/* Bytes, at least one; -errno. */
static ssize_t pipe_read(struct pipe_lent *pipe, uint8_t *out, size_t len)
{
	ssize_t n;

	do
		n = read(pipe->out, out, len < pipe->fill ? len : pipe->fill);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	pipe->fill -= (size_t)n;
	return n;
}

int pipes_read(struct pipe_lent *list, uint8_t *out)
{
	for (; list != NULL; list = list->next)
		while (list->fill > 0) {
			ssize_t n = pipe_read(list, out, list->fill);

			if (n < 0)
				return (int)n;
			out += n;
		}
	return 0;
}

/* The next bytes by way of memory. Bytes, at least one; -errno. */
static ssize_t pipe_copy(struct pipe_lent *pipe, int fd, uint64_t offset, size_t len)
{
	uint8_t aside[ASIDE];
	ssize_t n = pipe_read(pipe, aside, len < sizeof(aside) ? len : sizeof(aside));

	for (ssize_t done = 0; done < n;) {
		ssize_t wrote = pwrite(fd, aside + done, (size_t)(n - done), (off_t)offset + done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return wrote < 0 ? -errno : -EIO;
		done += wrote;
	}
	return n;
}

/* The same by reference; -EOPNOTSUPP: not into this file. */
static ssize_t pipe_splice(struct pipe_lent *pipe, int fd, uint64_t offset, size_t len)
{
	off_t to = (off_t)offset;
	ssize_t n;

	do
		n = splice(pipe->out, NULL, fd, &to, len, SPLICE_F_MOVE);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 ? -EIO : errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	pipe->fill -= (size_t)n;
	return n;
}

int pipes_write(struct pipe_lent **at, int fd, uint64_t offset, size_t len)
{
	while (len > 0) {
		struct pipe_lent *pipe = *at;
		size_t step;
		ssize_t n;

		if (pipe == NULL)
			return -EIO;
		if (pipe->fill == 0) {
			*at = pipe->next;
			continue;
		}
		step = len < pipe->fill ? len : pipe->fill;
		n = pipe_splice(pipe, fd, offset, step);
		if (n == -EOPNOTSUPP)
			n = pipe_copy(pipe, fd, offset, step);
		if (n < 0)
			return (int)n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}
