/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIPE_SIZE = 1024 * 1024 /* bytes: what a pipe may have without privileges */ };

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
