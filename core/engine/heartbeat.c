/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/heartbeat.h"

#include "registry/liveness.h"
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATAGRAM_MAX = HEARTBEAT_SLOT + XFER_DATAGRAM_MAX, TURN = 256 /* datagrams before others have their turn */ };

/* Sends what is due, if anything. A datagram that cannot be sent is one that was lost. */
static void send_due(struct heartbeat *heartbeat, const struct datagram_path *to)
{
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	struct xfer_asked asked = { .struct_size = sizeof(asked) };
	uint8_t bytes[DATAGRAM_MAX];
	uint64_t slot = htobe64(heartbeat->slot);
	ssize_t n;

	heartbeat->port->watch->progress(heartbeat, &ours);
	liveness_progress_set(heartbeat->port->plugin, heartbeat->peer, &ours);
	n = liveness_datagram_out(heartbeat->port->plugin, heartbeat->peer, bytes + HEARTBEAT_SLOT, XFER_DATAGRAM_MAX,
	                          heartbeat->port->loop->now, &asked);
	if (n <= 0 || n > XFER_DATAGRAM_MAX)
		return;
	memcpy(bytes, &slot, sizeof(slot));
	(void)datagram_send(heartbeat->port->fd, bytes, HEARTBEAT_SLOT + (size_t)n, to);
	if (asked.is_question && heartbeat->port->watch->asked != NULL)
		heartbeat->port->watch->asked(heartbeat, &asked);
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

	send_due(asker->heartbeat, &asker->to);
	deadline_set(asker->heartbeat);
}

static void datagram_take(struct heartbeat_port *port, const uint8_t *bytes, size_t len,
                          const struct datagram_path *from)
{
	struct xfer_heard heard = { .struct_size = sizeof(heard) };
	struct heartbeat *heartbeat;
	uint64_t slot;

	if (len < HEARTBEAT_SLOT)
		return;
	memcpy(&slot, bytes, sizeof(slot));
	heartbeat = table_get(port->peers, be64toh(slot));
	if (heartbeat == NULL)
		return; /* a stranger gets no answer */
	if (liveness_datagram_in(heartbeat->port->plugin, heartbeat->peer, bytes + HEARTBEAT_SLOT, len - HEARTBEAT_SLOT,
	                         port->loop->now, &heard) < 0)
		return;
	if (heard.reply)
		send_due(heartbeat, from);
	if (heartbeat->asker != NULL)
		deadline_set(heartbeat);
	heartbeat->port->watch->heard(heartbeat, &heard);
}

static void on_datagrams(uv_poll_t *poll, int status, int events)
{
	struct heartbeat_port *port = poll->data;

	(void)status;
	(void)events;
	loop_time(port->loop);
	for (int i = 0; i < TURN && port->open; i++) {
		struct datagram_path from;
		uint8_t bytes[DATAGRAM_MAX];
		ssize_t n = datagram_receive(port->fd, bytes, sizeof(bytes), &from);

		if (n == -EAGAIN)
			break;
		if (n < 0 || (size_t)n > sizeof(bytes))
			continue; /* an ICMP error of an earlier datagram, or something too long to be ours */
		datagram_take(port, bytes, (size_t)n, &from);
	}
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
