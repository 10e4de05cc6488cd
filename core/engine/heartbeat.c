/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/heartbeat.h"

#include "registry/liveness.h"
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN = 256 /* datagrams before others have their turn */ };

/* Who is asked so often is not woken by each question, but looks every millisecond: 4 of them are there by then. */
#define GATHER_PAUSE (1 * CLOCK_MS)
#define GATHER_WINDOW (50 * CLOCK_MS)
enum { GATHER_MIN = 200 /* datagrams in a window */ };

_Static_assert((int)DATAGRAM_ROOM >= (int)HEARTBEAT_SLOT + (int)XFER_DATAGRAM_MAX, "a datagram fits");

/* What is due, if anything. A datagram that cannot be sent is one that was lost. */
static bool due_make(struct heartbeat *heartbeat, const struct datagram_path *to, struct datagram_item *out,
                     struct xfer_asked *asked)
{
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	uint64_t slot = htobe64(heartbeat->slot);
	ssize_t n;

	heartbeat->port->watch->progress(heartbeat, &ours);
	liveness_progress_set(heartbeat->port->plugin, heartbeat->peer, &ours);
	n = liveness_datagram_out(heartbeat->port->plugin, heartbeat->peer, out->bytes + HEARTBEAT_SLOT,
	                          XFER_DATAGRAM_MAX, heartbeat->port->loop->now, asked);
	if (n <= 0 || n > XFER_DATAGRAM_MAX)
		return false;
	memcpy(out->bytes, &slot, sizeof(slot));
	out->len = HEARTBEAT_SLOT + (size_t)n;
	out->path = *to;
	return true;
}

static void deadline_set(struct heartbeat *heartbeat)
{
	uint64_t now = heartbeat->port->loop->now;
	uint64_t when = liveness_next_deadline(heartbeat->port->plugin, heartbeat->peer, now);

	/* A plug-in that wants to be called all the time is called every millisecond. */
	if (when != CLOCK_NEVER && when < now + CLOCK_MS)
		when = now + CLOCK_MS;
	(void)loop_deadline(heartbeat->port->loop, &heartbeat->asker->deadline, when);
}

static void on_deadline(struct deadline *deadline)
{
	struct heartbeat_asker *asker = list_entry(deadline, struct heartbeat_asker, deadline);
	struct heartbeat_port *port = asker->heartbeat->port;
	struct xfer_asked asked = { .struct_size = sizeof(asked) };
	struct datagram_item item;

	if (due_make(asker->heartbeat, &asker->to, &item, &asked)) {
		(void)datagram_send(port->fd, &item, 1);
		if (asked.is_question && port->watch->asked != NULL)
			port->watch->asked(asker->heartbeat, &asked);
	}
	deadline_set(asker->heartbeat);
}

/* What came. True: there is an answer to it. */
static bool datagram_take(struct heartbeat_port *port, const struct datagram_item *item, struct datagram_item *answer)
{
	struct xfer_heard heard = { .struct_size = sizeof(heard) };
	struct xfer_asked asked = { .struct_size = sizeof(asked) };
	struct heartbeat *heartbeat;
	bool answers = false;
	uint64_t slot;

	if (item->len < HEARTBEAT_SLOT || item->len > sizeof(item->bytes))
		return false; /* too long to be ours */
	memcpy(&slot, item->bytes, sizeof(slot));
	heartbeat = table_get(port->peers, be64toh(slot));
	if (heartbeat == NULL)
		return false; /* a stranger gets no answer */
	if (liveness_datagram_in(heartbeat->port->plugin, heartbeat->peer, item->bytes + HEARTBEAT_SLOT,
	                         item->len - HEARTBEAT_SLOT, port->loop->now, &heard) < 0)
		return false;
	if (heard.reply)
		answers = due_make(heartbeat, &item->path, answer, &asked);
	if (heartbeat->asker != NULL)
		deadline_set(heartbeat);
	heartbeat->port->watch->heard(heartbeat, &heard);
	return answers;
}

/* A turn of what came, many with one call; returns how many there were. */
static unsigned port_take(struct heartbeat_port *port)
{
	struct datagram_item items[DATAGRAM_ITEMS], answers[DATAGRAM_ITEMS];
	unsigned taken = 0;
	int count;

	do {
		unsigned answered = 0;

		count = datagram_receive(port->fd, items, DATAGRAM_ITEMS);
		for (int i = 0; i < count && port->open; i++)
			answered += datagram_take(port, &items[i], &answers[answered]);
		if (answered > 0 && port->open)
			(void)datagram_send(port->fd, answers, answered);
		if (count == -EAGAIN)
			break;
		taken += count > 0 ? (unsigned)count : 1; /* the ICMP error of one that was sent */
	} while ((count < 0 || count == DATAGRAM_ITEMS) && taken < TURN && port->open);
	return taken;
}

static void on_datagrams(uv_poll_t *poll, int status, int events);

static void gather_end(struct heartbeat_port *port)
{
	port->gathers = false;
	uv_poll_start(&port->poll, UV_READABLE, on_datagrams);
}

/* Whether it pays to be woken by each of them, once in a while. */
static void port_count(struct heartbeat_port *port, unsigned taken)
{
	uint64_t now = port->loop->now, passed = now - port->counted_at;
	bool often;

	port->counted += taken;
	if (passed < GATHER_WINDOW)
		return;
	often = port->counted >= GATHER_MIN * (passed / GATHER_WINDOW);
	port->counted = 0;
	port->counted_at = now;
	if (port->gathers && !often)
		gather_end(port);
	if (port->gathers || !often || loop_deadline(port->loop, &port->gather, now + GATHER_PAUSE) < 0)
		return;
	port->gathers = true;
	uv_poll_stop(&port->poll);
}

static void on_datagrams(uv_poll_t *poll, int status, int events)
{
	struct heartbeat_port *port = poll->data;
	unsigned taken;

	(void)status;
	(void)events;
	loop_time(port->loop);
	taken = port_take(port);
	if (port->open)
		port_count(port, taken);
}

static void on_gather(struct deadline *deadline)
{
	struct heartbeat_port *port = list_entry(deadline, struct heartbeat_port, gather);
	unsigned taken = port_take(port);

	if (port->open)
		port_count(port, taken);
	if (port->open && port->gathers && loop_deadline(port->loop, deadline, port->loop->now + GATHER_PAUSE) < 0)
		gather_end(port);
}

int heartbeat_port_open(struct heartbeat_port *port, struct loop *loop, int fd, struct table *peers, struct error *err)
{
	int r;

	*port = (struct heartbeat_port){ .loop = loop, .fd = fd, .peers = peers };
	r = uv_poll_init(&loop->uv, &port->poll, fd);
	if (r < 0) {
		close(fd);
		return error_system(err, r, FAULT_LOCAL, "the datagram socket cannot be watched");
	}
	port->poll.data = port;
	port->gather.fire = on_gather;
	port->open = true;
	uv_poll_start(&port->poll, UV_READABLE, on_datagrams);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct heartbeat_port *port = handle->data;

	port->closed = true;
}

void heartbeat_port_close(struct heartbeat_port *port)
{
	if (!port->open)
		return;
	port->open = false;
	(void)loop_deadline(port->loop, &port->gather, CLOCK_NEVER);
	uv_close((uv_handle_t *)&port->poll, on_closed);
	close(port->fd);
}

static int asker_make(struct heartbeat *heartbeat, const struct heartbeat_start *start, struct error *err)
{
	struct heartbeat_asker *asker = calloc(1, sizeof(*asker));

	if (asker == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a heartbeat");
	asker->heartbeat = heartbeat;
	asker->deadline.fire = on_deadline;
	asker->to.peer_len = start->to_len;
	memcpy(&asker->to.peer, start->to, start->to_len);
	heartbeat->asker = asker;
	return 0;
}

int heartbeat_open(struct heartbeat *heartbeat, const struct heartbeat_start *start, struct error *err)
{
	struct xfer_peer_params params = start->params;
	int r;

	params.struct_size = sizeof(params);
	params.now = start->port->loop->now;
	*heartbeat = (struct heartbeat){
		.port = start->port,
		.slot = params.slot,
	};
	start->port->plugin = start->plugin;
	start->port->watch = start->watch;
	if (start->to != NULL) {
		r = asker_make(heartbeat, start, err);
		if (r < 0)
			return r;
	}
	r = liveness_peer_create(start->plugin, &params, &heartbeat->peer);
	if (r < 0) {
		r = plugin_error(start->plugin, r, FAULT_LOCAL, err);
		free(heartbeat->asker);
		*heartbeat = (struct heartbeat){ 0 };
		return r;
	}
	r = table_put(start->port->peers, heartbeat->slot, heartbeat);
	if (r < 0) {
		liveness_peer_destroy(heartbeat->port->plugin, heartbeat->peer);
		free(heartbeat->asker);
		*heartbeat = (struct heartbeat){ 0 };
		return error_set(err, r, FAULT_LOCAL, "no slot for a heartbeat");
	}
	if (heartbeat->asker != NULL)
		on_deadline(&heartbeat->asker->deadline);
	return 0;
}

void heartbeat_close(struct heartbeat *heartbeat)
{
	if (heartbeat->peer == NULL)
		return;
	table_remove(heartbeat->port->peers, heartbeat->slot);
	if (heartbeat->asker != NULL)
		(void)loop_deadline(heartbeat->port->loop, &heartbeat->asker->deadline, CLOCK_NEVER);
	liveness_peer_destroy(heartbeat->port->plugin, heartbeat->peer);
	free(heartbeat->asker);
	*heartbeat = (struct heartbeat){ 0 };
}

enum pulse_datagrams heartbeat_state(const struct heartbeat *heartbeat, uint64_t now)
{
	if (heartbeat->peer == NULL)
		return PULSE_NO_DATAGRAMS;
	switch (liveness_verdict(heartbeat->port->plugin, heartbeat->peer, now)) {
	case XFER_UNKNOWN: return PULSE_UNHEARD;
	case XFER_ALIVE: return PULSE_HEARD;
	case XFER_SUSPECT:
	case XFER_DEAD: break;
	}
	return PULSE_LATE;
}

void heartbeat_stats(const struct heartbeat *heartbeat, struct xfer_liveness_stats *out)
{
	*out = (struct xfer_liveness_stats){ .struct_size = sizeof(*out) };
	if (heartbeat->peer != NULL)
		liveness_stats(heartbeat->port->plugin, heartbeat->peer, out);
}

void heartbeat_progress(const struct heartbeat *heartbeat, struct xfer_progress *theirs)
{
	*theirs = (struct xfer_progress){ .struct_size = sizeof(*theirs) };
	if (heartbeat->peer != NULL)
		liveness_progress_get(heartbeat->port->plugin, heartbeat->peer, theirs);
}
