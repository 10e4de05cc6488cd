/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RX_SMALL = 128 * 1024,  /* receive buffer while only control frames come */
	RX_SLACK = 64 * 1024,   /* what may be received beyond a frame that is moved to the next buffer */
	LARGE = 64 * 1024,      /* a frame from here on is received exactly, so that nothing is moved */
	TURN = 4 * 1024 * 1024, /* bytes that one link may move before the others have their turn */
	IOV_BATCHES = 8
};

#define LINGER (1 * CLOCK_SECOND)

static const struct xfer_transport_ops *ops(const struct link *link)
{
	return &link->transport->transport;
}

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_writable(uv_poll_t *poll, int status, int events);

/* ---- waiting ---- */

/* Waits for exactly `events` (XFER_POLL_*) from now on. */
static void poll_set(struct link *link, uint32_t events)
{
	int read_events = 0;

	if (link->events == events || link->conn == NULL)
		return;
	link->events = events;
	if (events & XFER_POLL_READ)
		read_events |= UV_READABLE;
	if (link->write_poll == NULL && (events & XFER_POLL_WRITE))
		read_events |= UV_WRITABLE;
	if (read_events != 0)
		uv_poll_start(&link->read_poll, read_events, on_readable);
	else
		uv_poll_stop(&link->read_poll);
	if (link->write_poll != NULL) {
		if (events & XFER_POLL_WRITE)
			uv_poll_start(link->write_poll, UV_WRITABLE, on_writable);
		else
			uv_poll_stop(link->write_poll);
	}
}

static void poll_add(struct link *link, uint32_t event)
{
	poll_set(link, link->events | event);
}

static void poll_drop(struct link *link, uint32_t event)
{
	poll_set(link, link->events & ~event);
}

/* ---- the end ---- */

static void link_end(struct link *link, const struct error *err)
{
	if (link->ended)
		return;
	link->ended = true;
	poll_set(link, 0);
	link->watch->ended(link, err);
}

static void end_system(struct link *link, int code, const char *doing)
{
	struct error err = { 0 };

	plugin_error(link->transport, code, FAULT_PEER, &err);
	error_prefix(&err, "%s", doing);
	link->broken = true;
	link_end(link, &err);
}

static void rx_drop(struct link *link)
{
	lent_unref(link->rx);
	link->rx = NULL;
	link->rx_start = 0;
	link->rx_fill = 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	if (--link->open_handles > 0)
		return;
	free(link->write_poll);
	link->write_poll = NULL;
	if (link->watch->closed != NULL)
		link->watch->closed(link);
}

static void close_now(struct link *link)
{
	(void)loop_deadline(link->loop, &link->patience, CLOCK_NEVER);
	poll_set(link, 0);
	uv_close((uv_handle_t *)&link->read_poll, on_handle_closed);
	if (link->write_poll != NULL)
		uv_close((uv_handle_t *)link->write_poll, on_handle_closed);
	ops(link)->close(link->conn);
	link->conn = NULL;
	rx_drop(link);
	list_remove(&link->thirst);
	for (; link->batch_count > 0; link->batch_count--) {
		lent_unref(link->batches[link->batch_first].buffer);
		link->batch_first = (uint8_t)((link->batch_first + 1) % LINK_BATCHES_MAX);
	}
	free(link->batches);
	link->batches = NULL;
	link->queued = 0;
	buf_free(&link->control);
}

static void on_patience(struct deadline *deadline)
{
	close_now(list_entry(deadline, struct link, patience));
}

/* Waits for the peer's end, and throws away what comes until then. */
static void linger(struct link *link)
{
	uint8_t waste[16384];
	ssize_t n;

	do
		n = ops(link)->recv(link->conn, waste, sizeof(waste), 0);
	while (n > 0);
	if (n != -EAGAIN && n != -EINTR)
		close_now(link);
}

void link_close(struct link *link)
{
	if (link->conn == NULL || link->lingering)
		return;
	link->ended = true;
	rx_drop(link);
	link->patience.fire = on_patience;
	if (!link->linger || link->broken || !link->ready ||
	    loop_deadline(link->loop, &link->patience, link->loop->now + LINGER) < 0) {
		close_now(link);
		return;
	}
	link->lingering = true;
	poll_set(link, XFER_POLL_READ | (link->control.len > link->control_sent ? XFER_POLL_WRITE : 0));
}

/* ---- receiving ---- */

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

static void receive(struct link *link)
{
	struct error err = { 0 };
	size_t turn = 0;
	bool closed = false;

	while (!link->ended && turn < TURN && !closed) {
		size_t want;
		ssize_t n;

		if (!rx_room(link, &want)) {
			list_append(&link->loop->thirsty, &link->thirst);
			poll_drop(link, XFER_POLL_READ);
			break;
		}
		n = ops(link)->recv(link->conn, link->rx->data + link->rx_fill, want, 0);
		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0) {
			end_system(link, (int)n, "receiving");
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
		rx_drop(link);
	if (closed) {
		if (link->rx != NULL)
			error_set(&err, -EPROTO, FAULT_PEER, "the connection ended in the middle of a frame");
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
			poll_add(link, XFER_POLL_READ);
	}
}

/* ---- sending ---- */

static int iov_fill(const struct link *link, struct iovec *iov)
{
	unsigned at = link->batch_first, left = link->batch_count;
	size_t control = link->control.len - link->control_sent;
	int count = 0;

	if (link->batch_begun) {
		const struct link_batch *batch = &link->batches[at];

		iov[count++] = (struct iovec){ batch->buffer->data + batch->offset, batch->len };
		at = (at + 1) % LINK_BATCHES_MAX;
		left--;
	}
	if (control > 0)
		iov[count++] = (struct iovec){ link->control.data + link->control_sent, control };
	for (; left > 0 && count < IOV_BATCHES; left--) {
		const struct link_batch *batch = &link->batches[at];

		iov[count++] = (struct iovec){ batch->buffer->data + batch->offset, batch->len };
		at = (at + 1) % LINK_BATCHES_MAX;
	}
	return count;
}

/* Takes up to n bytes off the first batch; returns how many. */
static size_t batch_sent(struct link *link, size_t n)
{
	struct link_batch *batch = &link->batches[link->batch_first];
	size_t take = n < batch->len ? n : batch->len;

	batch->offset += take;
	batch->len -= take;
	link->queued -= take;
	link->batch_begun = batch->len > 0;
	if (batch->len == 0) {
		lent_unref(batch->buffer);
		link->batch_first = (uint8_t)((link->batch_first + 1) % LINK_BATCHES_MAX);
		link->batch_count--;
	}
	return take;
}

/* In the order of iov_fill(). */
static void bytes_sent(struct link *link, size_t n)
{
	size_t control;

	if (link->batch_begun)
		n -= batch_sent(link, n);
	control = link->control.len - link->control_sent;
	if (n > 0 && control > 0) {
		size_t take = n < control ? n : control;

		link->control_sent += take;
		n -= take;
		if (link->control_sent == link->control.len) {
			buf_clear(&link->control);
			link->control_sent = 0;
		}
	}
	while (n > 0)
		n -= batch_sent(link, n);
}

static void shut_down(struct link *link)
{
	int r = ops(link)->shutdown(link->conn, 0);

	if (r == -EAGAIN) {
		poll_add(link, XFER_POLL_WRITE);
		return;
	}
	link->shut = false;
}

void link_flush(struct link *link)
{
	struct iovec iov[IOV_BATCHES + 1];
	size_t turn = 0;

	if (!link->ready || link->conn == NULL || (link->ended && !link->lingering))
		return;
	for (;;) {
		int count = iov_fill(link, iov);
		ssize_t n;

		if (count == 0)
			break;
		if (turn >= TURN) {
			poll_add(link, XFER_POLL_WRITE);
			return;
		}
		n = ops(link)->sendv(link->conn, iov, count, 0);
		if (n == -EAGAIN || n == -EINTR) {
			poll_add(link, XFER_POLL_WRITE);
			return;
		}
		if (n < 0) {
			end_system(link, (int)n, "sending");
			return;
		}
		link->sent_bytes += (uint64_t)n;
		turn += (size_t)n;
		bytes_sent(link, (size_t)n);
	}
	poll_drop(link, XFER_POLL_WRITE);
	if (link->control.cap > 4096)
		buf_free(&link->control);
	if (link->shut)
		shut_down(link);
}

struct buf *link_control(struct link *link)
{
	return &link->control;
}

int link_batch(struct link *link, struct lent *buffer, size_t offset, size_t len)
{
	unsigned at;

	if (link->conn == NULL || link->ended) {
		lent_unref(buffer);
		return -EPIPE;
	}
	if (link->batches == NULL)
		link->batches = calloc(LINK_BATCHES_MAX, sizeof(*link->batches));
	if (link->batches == NULL || link->batch_count == LINK_BATCHES_MAX) {
		lent_unref(buffer);
		return link->batches == NULL ? -ENOMEM : -ENOBUFS;
	}
	at = ((unsigned)link->batch_first + link->batch_count) % LINK_BATCHES_MAX;
	link->batches[at] = (struct link_batch){ buffer, offset, len };
	link->batch_count++;
	link->queued += len;
	return 0;
}

size_t link_queued(const struct link *link)
{
	return link->queued;
}

size_t link_control_queued(const struct link *link)
{
	return link->control.len - link->control_sent;
}

unsigned link_batches(const struct link *link)
{
	return link->batch_count;
}

void link_finish(struct link *link)
{
	link->shut = true;
	link_flush(link);
}

/* ---- events ---- */

static void handshake(struct link *link)
{
	int r = ops(link)->handshake(link->conn, 0);

	if (r == -EAGAIN) {
		struct xfer_poll poll = { .struct_size = sizeof(poll) };

		if (ops(link)->poll(link->conn, &poll) == 0)
			poll_set(link, poll.events);
		return;
	}
	if (r < 0) {
		struct error err = { 0 };

		plugin_error(link->transport, r, FAULT_CONNECT, &err);
		link_end(link, &err);
		return;
	}
	link->ready = true;
	poll_set(link, XFER_POLL_READ);
	link->watch->ready(link);
	if (!link->ended)
		link_flush(link);
}

static void on_event(struct link *link, int status, int events)
{
	loop_time(link->loop);
	if (link->lingering && link->conn != NULL) {
		link_flush(link);
		if (link->conn != NULL && !link->broken)
			linger(link);
		else if (link->conn != NULL)
			close_now(link);
		return;
	}
	if (link->ended)
		return;
	if (!link->ready) {
		handshake(link);
		return;
	}
	if (status < 0)
		events |= UV_READABLE | UV_WRITABLE; /* the transport says what is wrong */
	if (events & UV_WRITABLE) {
		link_flush(link);
		if (!link->ended)
			link->watch->sent(link);
	}
	if ((events & UV_READABLE) && !link->ended && link->conn != NULL)
		receive(link);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	on_event(poll->data, status, events);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	on_event(poll->data, status, UV_WRITABLE);
}

static int polls_open(struct link *link, const struct xfer_poll *poll)
{
	int r = uv_poll_init(&link->loop->uv, &link->read_poll, poll->read_fd);

	if (r < 0)
		return r;
	link->read_poll.data = link;
	link->open_handles = 1;
	if (poll->write_fd == poll->read_fd)
		return 0;
	link->write_poll = calloc(1, sizeof(*link->write_poll));
	if (link->write_poll == NULL)
		return -ENOMEM;
	r = uv_poll_init(&link->loop->uv, link->write_poll, poll->write_fd);
	if (r < 0) {
		free(link->write_poll);
		link->write_poll = NULL;
		return r;
	}
	link->write_poll->data = link;
	link->open_handles = 2;
	return 0;
}

int link_open(struct link *link, struct loop *loop, const struct plugin *transport, struct xfer_conn *conn,
              const struct frame_limits *limits, const struct link_watch *watch, void *owner, struct error *err)
{
	struct xfer_poll poll = { .struct_size = sizeof(poll) };
	int r;

	*link = (struct link){
		.loop = loop,
		.transport = transport,
		.watch = watch,
		.conn = conn,
		.limits = limits,
		.owner = owner,
	};
	list_init(&link->thirst);
	r = ops(link)->poll(conn, &poll);
	if (r == 0)
		r = polls_open(link, &poll);
	if (r < 0) {
		bool handles = link->open_handles > 0;

		error_system(err, r, FAULT_LOCAL, "the connection cannot be watched");
		if (handles) {
			link_close(link); /* closed() comes and frees */
			return -EINPROGRESS;
		}
		ops(link)->close(conn);
		link->conn = NULL;
		return r;
	}
	/* Also for a transport that is ready at once: from the loop, not from here. */
	poll_set(link, poll.events != 0 ? poll.events : XFER_POLL_WRITE);
	return 0;
}
