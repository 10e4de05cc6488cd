/* SPDX-License-Identifier: BSD-2-Clause */
/* The receiving half of a link: bytes into buffers, frames out of them. */
#include "engine/link_state.h"

#include <errno.h>
#include <string.h>

enum {
	RX_SMALL = 128 * 1024, /* receive buffer while only control frames come */
	RX_SLACK = 64 * 1024,  /* what may be received beyond a frame that is moved to the next buffer */
	LARGE = 64 * 1024      /* a frame from here on is received exactly, so that nothing is moved */
};

void link_rx_drop(struct link *link)
{
	lent_unref(link->rx);
	link->rx = NULL;
	link->rx_start = 0;
	link->rx_fill = 0;
}

static size_t rx_size(const struct link *link)
{
	size_t chunk = link->limits->chunk_size;

	if (chunk == 0)
		return RX_SMALL;
	return frame_chunk_overhead(link->limits) + chunk + RX_SLACK;
}

/* The frame that begins at rx_start: its whole length, or 0 when not even its header is there. */
static int rx_frame(struct link *link, struct frame_header *header, size_t *len, struct error *err)
{
	size_t have = link->rx_fill - link->rx_start;
	int r;

	*len = 0;
	if (have < FRAME_HEADER)
		return 0;
	r = frame_header_read(link->rx->data + link->rx_start, link->limits, header, err);
	if (r == 0)
		*len = FRAME_HEADER + header->length;
	return r;
}

static int rx_deliver(struct link *link, const struct frame_header *header, struct error *err)
{
	uint8_t *bytes = link->rx->data + link->rx_start;

	if (header->type != FRAME_CHUNK) {
		int r = frame_control_check(bytes, bytes + FRAME_HEADER, header->length, err);

		if (r < 0)
			return r;
	}
	return link->watch->frame(link, header, bytes, link->rx, err);
}

/* Handles all whole frames; afterwards rx_start is at the first one that is not whole. */
static int rx_parse(struct link *link, struct error *err)
{
	for (;;) {
		struct frame_header header;
		size_t len;
		int r = rx_frame(link, &header, &len, err);

		if (r < 0)
			return r;
		if (len == 0 || len > link->rx_fill - link->rx_start)
			return 0;
		link->large = len >= LARGE;
		r = rx_deliver(link, &header, err);
		if (r < 0)
			return r;
		if (link->ended)
			return 0;
		link->rx_start += len;
	}
}

/* Makes sure that the frame at rx_start fits, moving what is there to a new buffer; false when there is none to be had. */
static bool rx_room(struct link *link, size_t *want)
{
	struct frame_header header;
	struct lent *fresh;
	size_t have = link->rx_fill - link->rx_start;
	size_t len = 0;

	if (link->rx != NULL && have == 0 && link->rx->refs == 1) {
		link->rx_start = 0;
		link->rx_fill = 0;
	}
	if (link->rx != NULL && have >= FRAME_HEADER)
		(void)rx_frame(link, &header, &len, NULL);
	if (link->rx == NULL || link->rx_start + (len > 0 ? len : FRAME_HEADER) > link->rx->size) {
		size_t size = rx_size(link);

		fresh = lend_get(link->loop->lender, size > len ? size : len);
		if (fresh == NULL)
			return false;
		if (have > 0)
			memcpy(fresh->data, link->rx->data + link->rx_start, have);
		lent_unref(link->rx);
		link->rx = fresh;
		link->rx_start = 0;
		link->rx_fill = have;
	}
	*want = link->rx->size - link->rx_fill;
	if (len >= LARGE)
		*want = len - have; /* exactly: the next frame begins in a buffer of its own */
	else if (len == 0 && link->large && frame_chunk_overhead(link->limits) > have)
		*want = frame_chunk_overhead(link->limits) - have;
	if (*want > link->rx->size - link->rx_fill)
		*want = link->rx->size - link->rx_fill;
	return true;
}

void link_receive(struct link *link)
{
	struct error err = { 0 };
	size_t turn = 0;
	bool closed = false;

	while (!link->ended && turn < LINK_TURN && !closed) {
		size_t want;
		ssize_t n;

		if (!rx_room(link, &want)) {
			loop_starve(link->loop, &link->loop->thirsty, &link->thirst);
			link_poll_drop(link, XFER_POLL_READ);
			break;
		}
		n = link_ops(link)->recv(link->conn, link->rx->data + link->rx_fill, want, 0);
		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0) {
			link_end_system(link, (int)n, "receiving");
			return;
		}
		closed = n == 0;
		link->rx_fill += (size_t)n;
		link->received += (uint64_t)n;
		if (n > 0)
			link->received_at = link->loop->now;
		turn += (size_t)n;
		if (rx_parse(link, &err) < 0) {
			link_end(link, &err);
			return;
		}
	}
	if (link->ended)
		return;
	if (link->rx != NULL && link->rx_start == link->rx_fill)
		link_rx_drop(link);
	if (closed) {
		if (link->rx != NULL)
			error_set(&err, -ECONNRESET, FAULT_PEER, "the connection was closed in the middle of a frame");
		link_end(link, &err);
		return;
	}
	link->watch->settled(link);
}

void links_feed(struct loop *loop)
{
	struct list *node;

	while ((node = list_first(&loop->thirsty)) != NULL) {
		struct link *link = list_entry(node, struct link, thirst);

		list_remove(node);
		if (!link->ended)
			link_poll_add(link, XFER_POLL_READ);
	}
}
