/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/relay.h"

#include "daemon/local.h"
#include "registry/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONTROL_AHEAD = 8 * 1024 * 1024, /* bytes to the client: READs of as many paths as may be unanswered, twice */
	HELD_MAX = 8 * 1024 * 1024,      /* bytes of buffers that wait for the other worker */
	BATCHES_MAX = 16                 /* of them, those that are on its link; the others can be counted */
};

/* Whole frames in one buffer. */
struct parcel {
	struct list link;
	struct lent *buffer; /* one reference */
	size_t offset, len;
};

struct relay {
	struct channel channel; /* to the other worker, as its client */
	struct channel_base base;
	const char *integrity;
	struct channel *session; /* NULL: closed */
	struct relay_watch watch;
	struct message_join join;
	uint32_t request;
	struct list parcels; /* in the order in which they came; they go out as the link takes them */
	uint64_t held;       /* bytes of the buffers that they lie in */
	bool used;           /* the channel is not closed yet */
};

static struct relay *of_channel(struct channel *channel)
{
	return channel->owner;
}

static void parcel_free(struct relay *relay, struct parcel *parcel)
{
	list_remove(&parcel->link);
	relay->held -= parcel->buffer->size;
	lent_unref(parcel->buffer);
	free(parcel);
}

/*
 * Two chunks are always taken, so that one comes while the other goes. What is more is an eighth of all buffers at most:
 * other sessions want some, too.
 */
static uint64_t held_max(const struct relay *relay)
{
	uint64_t eighth = relay->base.setup->settings->memory / 8;
	uint64_t two = 2 * (uint64_t)relay->session->suite.limits.chunk_size;
	uint64_t most = eighth < HELD_MAX ? eighth : HELD_MAX;

	return most < two ? two : most;
}

/* The client is not listened to as long as the other worker does not keep up, for whatever reason. */
static void session_pace(struct relay *relay)
{
	uint64_t held = relay->held + link_queued(&relay->channel.link);

	if (relay->session == NULL)
		return;
	if (held > held_max(relay))
		link_pause(&relay->session->link);
	else if (held <= held_max(relay) / 2)
		link_go_on(&relay->session->link);
}

/* All of it as batches: a control frame would overtake the chunks that came before it. */
static void parcels_send(struct relay *relay)
{
	struct list *node;

	while (relay->channel.state == CHANNEL_OPEN && (node = list_first(&relay->parcels)) != NULL &&
	       link_batches(&relay->channel.link) < BATCHES_MAX) {
		struct parcel *parcel = list_entry(node, struct parcel, link);

		if (link_batch(&relay->channel.link, lent_ref(parcel->buffer), parcel->offset, parcel->len, NULL) < 0)
			break; /* the next event tries again */
		parcel_free(relay, parcel);
	}
	if (relay->channel.state == CHANNEL_OPEN)
		channel_flush(&relay->channel);
	session_pace(relay);
}

/* ---- the other worker ---- */

static void on_open(struct channel *channel)
{
	struct relay *relay = of_channel(channel);
	struct error err = { 0 };

	channel->put = true;
	if (channel->suite.limits.chunk_size != relay->session->suite.limits.chunk_size ||
	    message_join_write(channel_control(channel), relay->request, &relay->join) < 0) {
		error_set(&err, -EPROTO, FAULT_PEER, "the other worker does not take it");
		channel_fail(channel, STATUS_FAILED, &err);
		return;
	}
	parcels_send(relay);
}

/*
 * The other worker sees what it said taken at once, so it is here that a client is found which listens to nothing. The
 * session is closed with it.
 */
static bool session_deaf(struct relay *relay)
{
	struct error err = { 0 };

	if (link_control_queued(&relay->session->link) <= CONTROL_AHEAD)
		return false;
	error_set(&err, -EDQUOT, FAULT_REFUSED, "too many requests are not read");
	channel_fail(relay->session, STATUS_LIMIT, &err);
	return true;
}

/* What it asks the client. */
static int on_frame(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct relay *relay = of_channel(channel);

	(void)buffer;
	if (relay->session == NULL || relay->session->state != CHANNEL_OPEN)
		return 0;
	if (buf_append(channel_control(relay->session), bytes, FRAME_HEADER + header->length) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a frame");
	if (session_deaf(relay) || header->type != FRAME_DONE)
		return 0;
	/* A DONE here is that of a JOIN: that of the PUT goes to the first session. */
	channel_flush(relay->session);
	if (relay->session != NULL)
		relay->watch.refused(relay->watch.context);
	return 0;
}

static void on_settled(struct channel *channel)
{
	struct relay *relay = of_channel(channel);

	if (relay->session != NULL && relay->session->state == CHANNEL_OPEN)
		channel_flush(relay->session);
	parcels_send(relay);
}

static void on_sent(struct channel *channel)
{
	parcels_send(of_channel(channel));
}

static void on_progress(struct channel *channel, struct xfer_progress *ours)
{
	(void)channel;
	(void)ours;
}

static void on_warn(struct channel *channel, const char *text)
{
	(void)channel;
	(void)text;
}

static void on_ended(struct channel *channel, const struct error *err)
{
	struct relay *relay = of_channel(channel);
	struct error said = *err;

	channel_close(channel);
	if (relay->session != NULL)
		relay->watch.ended(relay->watch.context, &said);
}

static void parcels_drop(struct relay *relay)
{
	struct list *node;

	while ((node = list_first(&relay->parcels)) != NULL)
		parcel_free(relay, list_entry(node, struct parcel, link));
}

static void relay_free(struct relay *relay)
{
	parcels_drop(relay);
	if (relay->watch.closed != NULL)
		relay->watch.closed(relay->watch.context);
	free(relay);
}

static void on_closed(struct channel *channel)
{
	struct relay *relay = of_channel(channel);

	relay->used = false;
	if (relay->session == NULL)
		relay_free(relay);
}

static const struct channel_watch relay_events = {
	.open = on_open,
	.frame = on_frame,
	.settled = on_settled,
	.sent = on_sent,
	.progress = on_progress,
	.warn = on_warn,
	.ended = on_ended,
	.closed = on_closed,
};

int relay_open(struct relay **out, struct channel *session, uint32_t request, const struct message_join *join,
               const struct relay_watch *watch, struct error *err)
{
	struct relay *relay;
	struct xfer_conn *conn;
	int r = local_connect(join->boot_id, &conn);

	if (r < 0)
		return error_system(err, r, FAULT_CONNECT, "the worker that has the other session");
	relay = calloc(1, sizeof(*relay));
	if (relay == NULL) {
		transport_close(&local_transport, conn);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a session");
	}
	list_init(&relay->parcels);
	link_pipe_in(&session->link, false); /* frames are handed over whole */
	relay->session = session;
	relay->request = request;
	relay->join = *join;
	relay->watch = *watch;
	relay->integrity = session->suite.integrity->about.name;
	relay->base = (struct channel_base){
		.loop = session->base->loop,
		.setup = session->base->setup,
		.offer = {
			.integrity = &relay->integrity,
			.integrity_count = 1,
			.liveness = session->base->offer.liveness,
			.chunk_size = session->suite.limits.chunk_size,
		},
		.watch = &relay_events,
		.hello_timeout = session->base->hello_timeout,
	};
	memcpy(relay->base.offer.boot_id, session->base->offer.boot_id, sizeof(relay->base.offer.boot_id));
	r = channel_open(&relay->channel, &relay->base, &local_transport, conn, false, NULL, 0, relay, err);
	relay->used = r == 0 || r == -EINPROGRESS;
	if (r == 0) {
		*out = relay;
		return 0;
	}
	/* Nobody knows of it; what is to be closed yet frees it. */
	relay_drop(relay);
	return r;
}

/* What may be sent at all is the other worker's to say, who grants credit for it. */
int relay_frame(struct relay *relay, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                struct error *err)
{
	size_t offset = (size_t)(bytes - buffer->data), len = FRAME_HEADER + header->length;
	struct parcel *last = relay->parcels.prev != &relay->parcels
	                              ? list_entry(relay->parcels.prev, struct parcel, link)
	                              : NULL;
	struct parcel *parcel;

	if (buffer->pipes != NULL)
		return error_set(err, -EPROTO, FAULT_LOCAL, "a chunk that is not all there");
	if (last != NULL && last->buffer == buffer && last->offset + last->len == offset) {
		last->len += len;
		return 0;
	}
	parcel = calloc(1, sizeof(*parcel));
	if (parcel == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a frame");
	parcel->buffer = lent_ref(buffer);
	parcel->offset = offset;
	parcel->len = len;
	relay->held += buffer->size;
	list_append(&relay->parcels, &parcel->link);
	session_pace(relay);
	return 0;
}

void relay_work(struct relay *relay)
{
	parcels_send(relay);
}

void relay_drop(struct relay *relay)
{
	relay->watch.closed = NULL;
	relay_close(relay);
}

void relay_close(struct relay *relay)
{
	if (relay->session != NULL)
		link_go_on(&relay->session->link);
	relay->session = NULL;
	parcels_drop(relay);
	if (!relay->used) {
		relay_free(relay);
		return;
	}
	if (relay->channel.state != CHANNEL_ENDED)
		link_finish(&relay->channel.link);
	channel_close(&relay->channel);
}
