/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/link_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINGER (1 * CLOCK_SECOND)

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_writable(uv_poll_t *poll, int status, int events);

/* ---- waiting ---- */

void link_poll(struct link *link, uint32_t events)
{
	int read_events = 0;

	if (link->events == events || link->conn == NULL)
		return;
	link->events = (uint8_t)events;
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

void link_poll_add(struct link *link, uint32_t event)
{
	link_poll(link, link->events | event);
}

void link_poll_drop(struct link *link, uint32_t event)
{
	link_poll(link, link->events & ~event);
}

/* ---- the end ---- */

void link_end(struct link *link, const struct error *err)
{
	if (link->ended)
		return;
	link->ended = true;
	link_poll(link, 0);
	link->watch->ended(link, err);
}

void link_end_system(struct link *link, int code, const char *doing)
{
	struct error err = { 0 };

	/* Who is refused may learn it only here, when our side of the handshake is long done. */
	plugin_error(link->transport, code, code == -EACCES ? FAULT_REFUSED : FAULT_PEER, &err);
	error_prefix(&err, "%s", doing);
	link->broken = true;
	link_end(link, &err);
}

static void on_mute(struct deadline *deadline)
{
	struct link *link = list_entry(deadline, struct link, patience);

	link_end_system(link, link->mute, "sending");
}

/* A peer that goes says why, and what it said is still there when it takes no more of us. */
void link_mute(struct link *link, int code)
{
	if (link->mute != 0)
		return;
	link->mute = code;
	if (link->ended) {
		link->broken = true; /* nobody listens any more */
		return;
	}
	link->patience.fire = on_mute;
	if (loop_deadline(link->loop, &link->patience, link->loop->now + LINGER) < 0)
		link_end_system(link, code, "sending");
	else
		link_poll_drop(link, XFER_POLL_WRITE);
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
	link_poll(link, 0);
	list_remove(&link->unread);
	uv_close((uv_handle_t *)&link->read_poll, on_handle_closed);
	if (link->write_poll != NULL)
		uv_close((uv_handle_t *)link->write_poll, on_handle_closed);
	transport_close(link->transport, link->conn);
	link->conn = NULL;
	link_rx_drop(link);
	link_out_drop(link);
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
		n = transport_recv(link->transport, link->conn, waste, sizeof(waste));
	while (n > 0);
	if (n != -EAGAIN && n != -EINTR)
		close_now(link);
}

void link_close(struct link *link)
{
	if (link->conn == NULL || link->lingering)
		return;
	link->ended = true;
	link_rx_drop(link);
	link->patience.fire = on_patience;
	if (!link->linger || link->broken || link->mute != 0 || !link->ready ||
	    loop_deadline(link->loop, &link->patience, link->loop->now + LINGER) < 0) {
		close_now(link);
		return;
	}
	link->lingering = true;
	link_poll(link, XFER_POLL_READ | (link->control.len > link->control_sent || link->shut ? XFER_POLL_WRITE : 0));
}

/* ---- events ---- */

static void handshake(struct link *link)
{
	int r = transport_handshake(link->transport, link->conn);

	if (r == -EAGAIN) {
		struct xfer_poll poll = { .struct_size = sizeof(poll) };

		if (transport_poll(link->transport, link->conn, &poll) == 0)
			link_poll(link, poll.events);
		return;
	}
	if (r < 0) {
		struct error err = { 0 };

		plugin_error(link->transport, r, r == -EACCES ? FAULT_REFUSED : FAULT_CONNECT, &err);
		link_end(link, &err);
		return;
	}
	link->ready = true;
	link_poll(link, XFER_POLL_READ);
	/* The first bytes may have come with the last ones of the handshake. */
	link_again(link);
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
		link->willing = true;
		link_flush(link);
		if (!link->ended)
			link->watch->sent(link);
	}
	if ((events & UV_READABLE) && !link->ended && link->conn != NULL)
		link_receive(link);
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
              const struct frame_limits *limits, const struct link_watch *watch, struct error *err)
{
	struct xfer_poll poll = { .struct_size = sizeof(poll) };
	int r;

	*link = (struct link){
		.loop = loop,
		.transport = transport,
		.watch = watch,
		.conn = conn,
		.limits = limits,
	};
	list_init(&link->thirst);
	list_init(&link->unread);
	r = transport_poll(link->transport, conn, &poll);
	if (r == 0)
		r = polls_open(link, &poll);
	if (r < 0) {
		bool handles = link->open_handles > 0;

		error_system(err, r, FAULT_LOCAL, "the connection cannot be watched");
		if (handles) {
			link_close(link); /* closed() comes and frees */
			return -EINPROGRESS;
		}
		transport_close(link->transport, conn);
		link->conn = NULL;
		return r;
	}
	/* Also for a transport that is ready at once: from the loop, not from here. */
	link_poll(link, poll.events != 0 ? poll.events : XFER_POLL_WRITE);
	return 0;
}
