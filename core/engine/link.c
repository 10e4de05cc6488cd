/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/link_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINGER (1 * CLOCK_SECOND)

/* ---- waiting ---- */

void link_poll(struct link *link, uint32_t events)
{
	struct poller *poller = &link->loop->poller;

	if (link->events == events || link->conn == NULL)
		return;
	link->events = (uint8_t)events;
	if (events != XFER_POLL_READ)
		polled_slow(poller, &link->polled, false);
	if (link->writing == NULL) {
		polled_wait(poller, &link->polled, events);
		return;
	}
	polled_wait(poller, &link->polled, events & XFER_POLL_READ);
	polled_wait(poller, &link->writing->polled, events & XFER_POLL_WRITE);
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

static void polls_close(struct link *link)
{
	polled_close(&link->loop->poller, &link->polled);
	if (link->writing != NULL)
		polled_close(&link->loop->poller, &link->writing->polled);
}

static void close_now(struct link *link)
{
	(void)loop_deadline(link->loop, &link->patience, CLOCK_NEVER);
	polls_close(link);
	list_remove(&link->unread);
	transport_close(link->transport, link->conn);
	link->conn = NULL;
	link_rx_drop(link);
	link_out_drop(link);
	buf_free(&link->control);
	/* Who called may still look at it. */
	list_append(&link->loop->closed, &link->unread);
	link_wake(link->loop);
}

void links_closed(struct loop *loop)
{
	struct list *node;

	while ((node = list_first(&loop->closed)) != NULL) {
		struct link *link = list_entry(node, struct link, unread);

		list_remove(node);
		free(link->writing);
		link->writing = NULL;
		if (link->watch->closed != NULL)
			link->watch->closed(link);
	}
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

static void on_event(struct link *link, uint32_t events)
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
	if (events & XFER_POLL_WRITE) {
		link->willing = true;
		link_flush(link);
		if (!link->ended)
			link->watch->sent(link);
	}
	if ((events & XFER_POLL_READ) && !link->ended && link->conn != NULL)
		link_receive(link);
}

static void on_polled(struct polled *polled, uint32_t events)
{
	on_event(list_entry(polled, struct link, polled), events);
}

static void on_writable(struct polled *polled, uint32_t events)
{
	(void)events;
	on_event(list_entry(polled, struct link_writing, polled)->link, XFER_POLL_WRITE);
}

static int polls_open(struct link *link, const struct xfer_poll *poll)
{
	int r = polled_open(&link->loop->poller, &link->polled, poll->read_fd, on_polled);

	if (r < 0 || poll->write_fd == poll->read_fd)
		return r;
	link->writing = malloc(sizeof(*link->writing));
	if (link->writing == NULL)
		return -ENOMEM;
	link->writing->link = link;
	return polled_open(&link->loop->poller, &link->writing->polled, poll->write_fd, on_writable);
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
		.polled.fd = -1,
	};
	list_init(&link->thirst);
	list_init(&link->unread);
	r = transport_poll(link->transport, conn, &poll);
	if (r == 0)
		r = polls_open(link, &poll);
	if (r < 0) {
		error_system(err, r, FAULT_LOCAL, "the connection cannot be watched");
		polls_close(link);
		free(link->writing);
		link->writing = NULL;
		transport_close(link->transport, conn);
		link->conn = NULL;
		return r;
	}
	/* Also for a transport that is ready at once: from the loop, not from here. */
	link_poll(link, poll.events != 0 ? poll.events : XFER_POLL_WRITE);
	return 0;
}
