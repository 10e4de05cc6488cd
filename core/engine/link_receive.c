/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of a link: bytes into buffers, frames out of them.
 *
 * Bytes are received into a buffer that all links share (lending.h), in which whole frames are handled at once. What is
 * left of a frame at the end of the turn stays in a stash of its own size when it is short; longer, in a buffer that is
 * lent; and a large frame gets its own when so much of it is there that it is worth it, or when the one before came in
 * no time. So whoever sends a byte now and then holds bytes, not buffers.
 */
#include "engine/lending.h"
#include "engine/link_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LARGE = 64 * 1024,    /* a frame from here on is received exactly, so that nothing is moved */
	PROOF = 64 * 1024,    /* bytes of a large frame that have to be there before it gets a buffer of its own */
	RX_SLACK = 64 * 1024, /* what may be received beyond a frame that is moved to the next buffer */
	STASH_MAX = 1024,     /* bytes of a frame that need no buffer */
	BEGUN = 72 * 1024,    /* the buffer for more of it */
	QUICK = 64 * 1024,    /* bytes a second: who is as fast gets buffers out of the movers' share, and in advance */
	SLOW = 1024,          /* bytes a second: who is slower has no right to a buffer that others wait for */
	TRICKLE = 4096,       /* bytes in one turn: who sends as many is not slow any more */
	FEED_MAX = 16         /* links that try again at a time */
};

#define SLOW_AFTER (1 * CLOCK_SECOND) /* who is not quick by then is slow */
#define ENOUGH (10 * CLOCK_SECOND)    /* and by then has had the buffer for long enough */

static void stash_drop(struct link *link)
{
	if (link->stash != NULL)
		link->loop->stashed -= link->stash->len;
	free(link->stash);
	link->stash = NULL;
}

void link_rx_drop(struct link *link)
{
	lending_give(link->loop, link->rx);
	link->rx = NULL;
	link->rx_start = 0;
	link->rx_fill = 0;
	link->piping = false;
	stash_drop(link);
	list_remove(&link->thirst);
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

/* What is there of a frame came at that many bytes a second at least. */
static bool rx_came_at(const struct link *link, size_t bytes, unsigned rate)
{
	return (link->loop->now - link->rx_at) / CLOCK_MS * rate <= bytes * UINT64_C(1000);
}

/* Handles all whole frames; afterwards rx_start is at the first one that is not whole. Returns how many, or -errno. */
static int rx_parse(struct link *link, struct error *err)
{
	for (int count = 0;; count++) {
		struct frame_header header;
		size_t len;
		int r = rx_frame(link, &header, &len, err);

		if (r < 0)
			return r;
		if (len == 0 || len > link_half(link))
			return count;
		link->large = len >= LARGE;
		if (link->large)
			link->quick = rx_came_at(link, len, QUICK);
		r = rx_deliver(link, &header, err);
		if (r < 0)
			return r;
		if (link->ended)
			return count;
		link->rx_at = link->loop->now;
		if (link->piping) {
			link_rx_drop(link);
			return count + 1;
		}
		link->rx_start += (uint32_t)len;
	}
}

void link_rx_move(struct link *link, struct lent *fresh)
{
	size_t have = link->rx_fill - link->rx_start;

	if (have > 0)
		memcpy(fresh->data, link->rx->data + link->rx_start, have);
	lending_give(link->loop, link->rx);
	link->rx = fresh;
	link->rx_start = 0;
	link->rx_fill = (uint32_t)have;
}

/* The first buffer of a turn. */
static bool rx_begin(struct link *link)
{
	size_t chunk = link->limits->chunk_size;

	if (link->large && link->quick && chunk > 0 && !link_pipe_likely(link))
		link->rx = lend_get(link->loop->lender, frame_chunk_overhead(link->limits) + chunk + RX_SLACK);
	else
		link->rx = lending_take(link->loop);
	if (link->rx == NULL)
		return false;
	if (link->stash == NULL) {
		link->rx_at = link->loop->now;
		return true;
	}
	link->rx_fill = (uint32_t)link->stash->len;
	memcpy(link->rx->data, link->stash->bytes, link->rx_fill);
	stash_drop(link);
	return true;
}

/* A buffer for a frame of which `need` bytes are wanted in one piece. */
static struct lent *rx_lend(struct link *link, size_t have, size_t need)
{
	enum lend_use use = link->quick || rx_came_at(link, have, QUICK) ? LEND_MOVING : LEND_SLOW;

	if (need <= LENDING_SCRATCH)
		return lending_take(link->loop);
	return lend_get_for(link->loop->lender, use, need + RX_SLACK);
}

/* Makes room for what comes next, *want bytes at most. False when a buffer is missing for it. */
static bool rx_room(struct link *link, size_t *want)
{
	struct frame_header header;
	size_t have, need, len = 0;

	if (link->rx == NULL && !rx_begin(link))
		return false;
	if (link->piping) {
		(void)rx_frame(link, &header, &len, NULL);
		*want = len - link_half(link);
		return true;
	}
	have = link->rx_fill - link->rx_start;
	if (have == 0 && link->rx->refs == 1) {
		link->rx_start = 0;
		link->rx_fill = 0;
	}
	(void)rx_frame(link, &header, &len, NULL);
	if (len >= LARGE && link_pipe_begin(link, &header, len, have)) {
		*want = len - have;
		return true;
	}
	need = len == 0 ? FRAME_HEADER : len;
	if (len >= LARGE && have < PROOF && !link->quick)
		need = PROOF;
	if (link->rx_start + need > link->rx->size) {
		struct lent *fresh = rx_lend(link, have, need);

		if (fresh == NULL)
			return false;
		link_rx_move(link, fresh);
	}
	*want = link->rx->size - link->rx_fill;
	if (len >= LARGE)
		*want = need - have; /* exactly: the next frame begins in a buffer of its own */
	else if (len == 0 && link->large && frame_chunk_overhead(link->limits) > have)
		*want = frame_chunk_overhead(link->limits) - have;
	if (*want > link->rx->size - link->rx_fill)
		*want = link->rx->size - link->rx_fill;
	return true;
}

/* What is in pipes goes on in a buffer. -ENOBUFS: there is none. */
static int rx_unpipe(struct link *link)
{
	struct frame_header header;
	struct lent *fresh;
	size_t len;
	int r = rx_frame(link, &header, &len, NULL);

	if (r < 0)
		return r;
	fresh = rx_lend(link, link_half(link), len);
	return fresh != NULL ? link_pipe_undo(link, fresh) : -ENOBUFS;
}

/* ---- between two turns ---- */

static int rx_stash(struct link *link)
{
	size_t have = link->rx_fill - link->rx_start;
	struct link_stash *stash = malloc(sizeof(*stash) + have);

	if (stash == NULL)
		return -ENOMEM;
	stash->len = have;
	memcpy(stash->bytes, link->rx->data + link->rx_start, have);
	link_rx_drop(link);
	link->stash = stash;
	link->loop->stashed += have;
	return 0;
}

/*
 * The turn is over. What is left goes where it costs least; *thirsty is set when it needs more than there is. -ENOMEM;
 * -ENOBUFS: there is no place for it at all.
 */
static int rx_leave(struct link *link, bool *thirsty)
{
	size_t have = link->rx_fill - link->rx_start;
	struct lent *fresh;

	if (link->rx == NULL)
		return 0;
	if (have == 0) {
		link_rx_drop(link);
		return 0;
	}
	if (have <= STASH_MAX && !link->piping)
		return rx_stash(link);
	if (lending_is_scratch(link->rx)) {
		fresh = lend_get_for(link->loop->lender, LEND_BEGUN, have > BEGUN ? have : BEGUN);
		if (fresh == NULL) {
			*thirsty = true;
			return lending_stash_room(link->loop) ? rx_stash(link) : -ENOBUFS;
		}
		link_rx_move(link, fresh);
	}
	if (list_empty(&link->thirst))
		list_append(&link->loop->filling, &link->thirst);
	return 0;
}

/* Waits for a buffer, and keeps none from others meanwhile. */
static void rx_thirsty(struct link *link)
{
	if (link->rx != NULL && link->rx->use == LEND_BEGUN && lending_stash_room(link->loop))
		(void)rx_stash(link);
	link_poll_drop(link, XFER_POLL_READ);
	list_remove(&link->thirst);
	lending_wait(link->loop, &link->loop->thirsty, &link->thirst);
}

/* Whether the stream's very first bytes are those of another protocol; says so instead of what *err says. */
static bool rx_foreign(const struct link *link, struct error *err)
{
	size_t have = link->rx_fill - link->rx_start;
	const char *name = NULL;

	if (link->rx != NULL && link->received == have)
		name = frame_foreign(link->rx->data + link->rx_start, have);
	if (name == NULL)
		return false;
	error_set(err, -EPROTO, FAULT_CONNECT,
	          "it speaks %s, not XFER: one side wants another transport, or another port", name);
	return true;
}

static void on_again(uv_idle_t *idle)
{
	struct loop *loop = idle->data;
	struct list turn;
	struct list *node;

	loop_time(loop);
	list_init(&turn);
	while ((node = list_first(&loop->unread)) != NULL) {
		list_remove(node);
		list_append(&turn, node);
	}
	/* One that goes meanwhile takes itself out. */
	while ((node = list_first(&turn)) != NULL) {
		struct link *link = list_entry(node, struct link, unread);

		list_remove(node);
		if (!link->ended)
			link_receive(link);
	}
	links_closed(loop);
	if (list_empty(&loop->unread))
		uv_idle_stop(idle);
}

void link_wake(struct loop *loop)
{
	uv_idle_start(&loop->again, on_again);
}

void link_again(struct link *link)
{
	list_remove(&link->unread);
	list_append(&link->loop->unread, &link->unread);
	link_wake(link->loop);
}

/* Who has sent next to nothing of a frame for long is not worth a turn of the loop for each byte. */
static bool rx_trickles(const struct link *link, size_t turn)
{
	size_t have = link_half(link);

	return have > 0 && turn < TRICKLE && link->loop->now - link->rx_at >= SLOW_AFTER &&
	       !rx_came_at(link, have, QUICK);
}

/* Bytes of the frame that are missing; of its header, as long as that is not there. At least 1. */
static size_t rx_missing(const struct link *link)
{
	const uint8_t *bytes = link->stash != NULL ? link->stash->bytes : link->rx->data + link->rx_start;
	size_t have = link_half(link);
	struct frame_header header;

	if (have < FRAME_HEADER)
		return FRAME_HEADER - have;
	if (frame_header_read(bytes, link->limits, &header, NULL) < 0 || FRAME_HEADER + header.length <= have)
		return 1;
	return FRAME_HEADER + header.length - have;
}

/* Its descriptor tells all, and could tell when there is enough. */
static bool rx_tells(const struct link *link)
{
	return (link->transport->about.capabilities & XFER_CAP_LOWAT) != 0;
}

/*
 * Who trickles is looked at now and then. And where the kernel can tell how much is there, it says nothing before that is
 * worth a look: the rest of the frame, or as much as nobody sends who trickles.
 */
static void rx_slow(struct link *link, bool slow)
{
	size_t least = 1;

	loop_slow(link->loop, &link->polled, slow);
	if (slow && link->polled.slow && rx_tells(link) && link->loop->settings.patience > 0 &&
	    link->watch->slow != NULL) {
		least = rx_missing(link);
		least = least < TRICKLE ? least : TRICKLE;
	}
	if (least == 1 && !link_untold(link))
		return;
	polled_least(&link->polled, (uint16_t)least);
	if (link_untold(link))
		link->watch->slow(link);
}

bool link_untold(const struct link *link)
{
	return link->polled.least > 1;
}

void link_look(struct link *link)
{
	if (link_untold(link) && link->ready && !link->ended && !link->paused && link->conn != NULL)
		link_receive(link);
}

static ssize_t rx_receive(struct link *link, size_t want)
{
	ssize_t n;

	if (link->piping)
		return link_pipe_receive(link, want);
	n = transport_recv(link->transport, link->conn, link->rx->data + link->rx_fill, want);
	if (n > 0)
		link->rx_fill += (uint32_t)n;
	return n;
}

void link_receive(struct link *link)
{
	struct error err = { 0 };
	bool closed = false, thirsty = false, dry = false, half;
	int frames = 0, r = 0;
	size_t turn = 0;

	list_remove(&link->unread);
	while (!link->ended && !link->paused && turn < LINK_TURN && !closed && !dry) {
		uint64_t begin;
		size_t want = 0;
		bool piped;
		ssize_t n;

		r = link->piping && link->unpiped ? rx_unpipe(link) : 0;
		if (r == 0 && !rx_room(link, &want))
			r = -ENOBUFS;
		thirsty = r == -ENOBUFS;
		if (thirsty)
			break;
		if (r < 0) {
			link_end_system(link, r, "receiving");
			return;
		}
		piped = link->piping;
		begin = clock_monotonic();
		n = rx_receive(link, want);
		loop_moved(&link->loop->moved.received, begin, n);
		if (piped && (n == -ENOSPC || n == -EOPNOTSUPP)) {
			link->unpiped = true;
			continue;
		}
		dry = n == -EAGAIN;
		if (dry || n == -EINTR)
			break;
		if (n < 0) {
			link_end_system(link, (int)n, "receiving");
			return;
		}
		closed = n == 0;
		link->received += (uint64_t)n;
		if (n > 0)
			link->received_at = link->loop->now;
		turn += (size_t)n;
		r = rx_parse(link, &err);
		if (r < 0) {
			(void)rx_foreign(link, &err);
			link_end(link, &err);
			return;
		}
		frames += r;
		/* More of who trickles is not there, or is told of. A pipe takes less than there is when it is full. */
		dry = !piped && (size_t)n < want && !closed && link->polled.slow && rx_tells(link);
	}
	if (link->ended)
		return;
	half = link_half(link) > 0;
	r = closed ? 0 : rx_leave(link, &thirsty);
	if (r < 0 || closed) {
		if (r < 0)
			error_set(&err, r == -ENOBUFS ? -EDQUOT : r, FAULT_LOCAL, "no memory for what it sends");
		else if (half && !rx_foreign(link, &err))
			error_set(&err, -ECONNRESET, FAULT_PEER, "the connection was closed in the middle of a frame");
		link_end(link, &err);
		return;
	}
	if (thirsty)
		rx_thirsty(link);
	else if (link->paused)
		link_poll_drop(link, XFER_POLL_READ);
	else if (!dry)
		link_again(link);
	else
		link_hold(link);
	rx_slow(link, link->events == XFER_POLL_READ && rx_trickles(link, turn));
	if (frames > 0)
		link->watch->settled(link);
}

void link_pause(struct link *link)
{
	link->paused = true;
}

void link_go_on(struct link *link)
{
	if (!link->paused)
		return;
	link->paused = false;
	link->rx_at = link->loop->now; /* the peer could not send it any quicker */
	if (link->ended)
		return;
	link_poll_add(link, XFER_POLL_READ);
	link_again(link);
}

size_t link_half(const struct link *link)
{
	if (link->stash != NULL)
		return link->stash->len;
	return link->rx_fill - link->rx_start + (link->piping ? pipes_bytes(link->rx->pipes) : 0);
}

void links_feed(struct loop *loop)
{
	struct list *node;

	for (int i = 0; i < FEED_MAX && (node = list_first(&loop->thirsty)) != NULL; i++) {
		struct link *link = list_entry(node, struct link, thirst);

		list_remove(node);
		if (link->ended)
			continue;
		link_poll_add(link, XFER_POLL_READ);
		link_again(link);
	}
}

/* Who is slow is so out of the share of the slow, and not for ever while others wait. */
void links_hurry(struct loop *loop)
{
	struct list *node = loop->filling.next, *next;
	struct error err = { 0 };

	for (; node != &loop->filling; node = next) {
		struct link *link = list_entry(node, struct link, thirst);
		size_t have = link_half(link);
		/* What may be there and was not told of counts for it. */
		size_t sent = have + link->polled.least;

		next = node->next;
		if (link->paused || loop->now - link->rx_at < SLOW_AFTER)
			continue;
		if (link->rx->use == LEND_MOVING && !rx_came_at(link, have, QUICK))
			(void)lend_reuse(link->rx, LEND_SLOW);
		if (loop->now - link->rx_at < ENOUGH || rx_came_at(link, sent, SLOW) || list_empty(&loop->thirsty))
			continue;
		error_set(&err, -EDQUOT, FAULT_PEER, "what it sends comes too slowly, and others wait for the buffer");
		link_end(link, &err);
	}
}
