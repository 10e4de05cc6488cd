/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of a link: payload that nobody looks at goes into pipes, as it lies in the kernel, and a storage
 * thread splices it into its file. The chunk's head, and what of the payload came with it, are in a buffer to which the
 * pipes belong. Where pipes are short, or hold too little of what comes, it goes on in a buffer.
 */
#include "engine/link_state.h"

#include "engine/lending.h"

#include <errno.h>

enum {
	LEAST = 128 * 1024, /* bytes still to come of a chunk, below which a copy costs less */
	LEAD_MAX = 4096,    /* bytes of a frame that may be there already, and are moved */
	MORE_MAX = 4        /* pipes, for each that whole pages would fill: a piece takes up as much room as a page */
};

void link_pipe_in(struct link *link, bool takes)
{
	link->piped_in = takes;
}

bool link_pipe_likely(const struct link *link)
{
	return link->piped_in && !link->unpiped && link->quick && link->transport->transport.recvpipe != NULL &&
	       link->limits->digest_size == 0 && link->limits->chunk_size >= LEAST;
}

bool link_pipe_begin(struct link *link, const struct frame_header *header, size_t len, size_t have)
{
	struct loop *loop = link->loop;
	struct pipe_lent *pipes;
	struct lent *head;

	if (!link_pipe_likely(link) || header->type != FRAME_CHUNK || (header->flags & FRAME_CHUNK_SPARSE) != 0 ||
	    have < frame_chunk_overhead(link->limits) || have > LEAD_MAX || len - have < LEAST)
		return false;
	pipes = lending_pipes(loop, len - have);
	if (pipes == NULL)
		return false;
	head = lend_get(loop->lender, LEAD_MAX);
	if (head == NULL) {
		pipes_give(loop->pipes, pipes);
		return false;
	}
	link_rx_move(link, head);
	head->pipes = pipes;
	head->pool = loop->pipes;
	link->piping = true;
	return true;
}

/* The one that was put into last, or the first. */
static struct pipe_lent *pipe_current(struct pipe_lent *list)
{
	struct pipe_lent *current = list;

	for (; list != NULL; list = list->next)
		if (list->fill > 0)
			current = list;
	return current;
}

/* One more, behind the last; NULL where there are enough. */
static struct pipe_lent *pipe_more(struct link *link, struct pipe_lent *last, size_t left)
{
	struct pipe_lent *list = link->rx->pipes;
	size_t count = 0, size = 0;

	for (struct pipe_lent *pipe = list; pipe != NULL; pipe = pipe->next) {
		count++;
		size += pipe->fill;
	}
	if (count < MORE_MAX * ((size + left) / list->size + 1))
		last->next = pipes_take(link->loop->pipes, 1);
	return last->next;
}

ssize_t link_pipe_receive(struct link *link, size_t left)
{
	struct pipe_lent *pipe = pipe_current(link->rx->pipes);

	for (;;) {
		ssize_t n = transport_recvpipe(link->transport, link->conn, pipe->in, left);

		if (n > (ssize_t)left)
			return -EPROTO;
		if (n > 0)
			pipe->fill += (size_t)n;
		if (n != -EAGAIN || pipe->fill == 0 || pipe_has_room(pipe))
			return n;
		if (pipe->next == NULL && pipe_more(link, pipe, left) == NULL)
			return -ENOSPC;
		pipe = pipe->next;
	}
}

int link_pipe_undo(struct link *link, struct lent *fresh)
{
	struct lent *head = lent_ref(link->rx);
	size_t piped = pipes_bytes(head->pipes);
	int r;

	link_rx_move(link, fresh);
	link->piping = false;
	r = pipes_read(head->pipes, fresh->data + link->rx_fill);
	if (r == 0)
		link->rx_fill += (uint32_t)piped;
	lent_unref(head);
	return r;
}
