/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/stream.h"

#include "client/client_state.h"

#include <errno.h>

#define CONNECT_TIMEOUT (10 * CLOCK_SECOND)

static struct stream *of_channel(struct channel *channel)
{
	return channel->owner;
}

static struct client *client_of(const struct stream *stream)
{
	return stream->streams->client;
}

static void on_again(struct deadline *deadline)
{
	struct stream *stream = list_entry(deadline, struct stream, again);

	stream->fate = STREAM_FREE;
	streams_fill(client_of(stream));
}

void stream_init(struct stream *stream, struct streams *streams, const struct retry_limits *limits)
{
	stream->streams = streams;
	stream->again.fire = on_again;
	retry_start(&stream->retry, limits);
}

static void stream_give_up(struct stream *stream, const struct error *err)
{
	stream->fate = STREAM_GIVEN_UP;
	streams_missing(client_of(stream), err);
}

/* It is lost, or was not to be had. */
static void stream_lost(struct stream *stream, const struct ending *ending)
{
	struct client *client = client_of(stream);
	enum ending_kind how = ending->kind;
	uint64_t pause = 0;

	if (stream->streams->closing || client->interrupted || stream->fate == STREAM_SURPLUS)
		return;
	/* The daemon is there, and may be about to reload; but where there is no room for one more there will be none. */
	if (how == ENDING_BUSY && !stream->retry.had)
		how = ENDING_FINAL;
	if (retry_lost(&stream->retry, how, stream->taken, retry_random(), client->loop->now, &pause) == RETRY_AGAIN &&
	    loop_deadline(client->loop, &stream->again, client->loop->now + pause) == 0) {
		stream->fate = STREAM_WAITING;
		return;
	}
	stream_give_up(stream, &ending->err);
}

/* It was not even connected. */
static void stream_missed(struct stream *stream, const struct error *err)
{
	struct ending ending;

	ending_without(&ending, err);
	stream_lost(stream, &ending);
}

static void on_open(struct channel *channel)
{
	struct stream *stream = of_channel(channel);
	struct client *client = client_of(stream);
	struct error err = { 0 };

	/* What it settles is what it was offered: one integrity; but for a daemon with smaller chunks. */
	if (channel->suite.limits.chunk_size != stream->streams->base.offer.chunk_size) {
		error_set(&err, -EPROTO, FAULT_PEER, "%s settles on other chunks than before", channel_peer(channel));
		channel_fail(channel, STATUS_PROTOCOL, &err);
		return;
	}
	if (retry_opened(&stream->retry, channel->boot_id, false, client->loop->now) == RETRY_HOPELESS) {
		error_set(&err, -ECONNABORTED, FAULT_PEER,
		          "the worker that served a further session died again and again");
		stream_give_up(stream, &err);
		channel_finish(channel);
		return;
	}
	stream->state = STREAM_LIVE;
	streams_opened(client);
	if (client->verb != NULL && client->verb->stream_open != NULL)
		client->verb->stream_open(client->context, stream);
}

static int on_frame(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct stream *stream = of_channel(channel);
	struct client *client = client_of(stream);

	stream->taken += FRAME_HEADER + header->length;
	if (client->verb == NULL || client->verb->stream_frame == NULL)
		return 0;
	return client->verb->stream_frame(client->context, stream, header, bytes, buffer, err);
}

static void on_work(struct channel *channel)
{
	client_work(client_of(of_channel(channel)));
}

static void on_progress(struct channel *channel, struct xfer_progress *ours)
{
	client_progress(client_of(of_channel(channel)), channel, ours);
}

/* The first session says it. */
static void on_warn(struct channel *channel, const char *text)
{
	(void)channel;
	(void)text;
}

static void on_ended(struct channel *channel, const struct error *err)
{
	struct stream *stream = of_channel(channel);
	struct client *client = client_of(stream);
	bool live = stream_live(stream);
	struct ending ending;

	ending_of_channel(&ending, err, channel);
	stream->state = STREAM_CLOSING;
	stream->leave = 0;
	stream->streams->sent += channel->link.sent_bytes;
	channel_close(channel);
	if (stream->sends)
		sending_close(&stream->sending);
	if (stream->fate != STREAM_GIVEN_UP)
		stream_lost(stream, &ending);
	if (live && client->verb != NULL && client->verb->stream_ended != NULL)
		client->verb->stream_ended(client->context, stream, &ending);
}

bool stream_busy(const struct stream *stream)
{
	return stream->state >= STREAM_OPENING || stream->sends;
}

bool stream_taken(const struct stream *stream)
{
	return stream->state != STREAM_CLOSED || stream->sends || stream->fate == STREAM_WAITING ||
	       stream->fate == STREAM_GIVEN_UP;
}

bool stream_coming(const struct stream *stream)
{
	if (stream->fate == STREAM_FREE)
		return stream->state != STREAM_CLOSED && stream->state != STREAM_LIVE;
	return stream->fate == STREAM_WAITING;
}

static void on_closed(struct channel *channel)
{
	struct stream *stream = of_channel(channel);

	stream->state = STREAM_CLOSED;
	stream_rest(stream);
}

void stream_rest(struct stream *stream)
{
	if (stream_busy(stream))
		return;
	if (stream->streams->closing)
		loop_stop(stream->streams->client->loop); /* streams_close() waits */
	else
		streams_fill(client_of(stream));
}

const struct channel_watch stream_events = {
	.open = on_open,
	.frame = on_frame,
	.settled = on_work,
	.sent = on_work,
	.progress = on_progress,
	.warn = on_warn,
	.ended = on_ended,
	.closed = on_closed,
};

static void on_connected(void *context, struct xfer_conn *conn)
{
	struct stream *stream = context;
	struct client *client = client_of(stream);
	struct error err = { 0 };
	int r;

	stream->dial = NULL;
	stream->state = STREAM_OPENING;
	stream->consumed = stream->granted = 0;
	r = channel_open(&stream->channel, &stream->streams->base, client->transport, conn, false,
	                 client_port(client, conn), 0, stream, &err);
	if (r == 0)
		return;
	stream->state = r == -EINPROGRESS ? STREAM_CLOSING : STREAM_CLOSED;
	stream_missed(stream, &err);
}

static void on_dial_failed(void *context, const struct error *err)
{
	struct stream *stream = context;

	stream->dial = NULL;
	stream->state = STREAM_CLOSED;
	stream_missed(stream, err);
}

void stream_dial(struct stream *stream)
{
	struct client *client = client_of(stream);
	const struct dial_watch watch = { on_connected, on_dial_failed, stream };
	struct error err = { 0 };

	stream->fate = STREAM_FREE;
	if (dial_start(&stream->dial, client->loop, client->transport, client->url, CONNECT_TIMEOUT, &watch, &err) == 0)
		stream->state = STREAM_DIALLING;
	else
		stream_give_up(stream, &err);
}

void stream_leave(struct stream *stream)
{
	if (stream_live(stream))
		channel_finish(&stream->channel); /* comes back as ended() */
}

void stream_refused(struct stream *stream, const struct error *err)
{
	stream_give_up(stream, err);
	stream_leave(stream);
}

void stream_fail(struct stream *stream, const struct error *err)
{
	struct error said = *err;

	if (stream_live(stream))
		channel_fail(&stream->channel, ending_status(&said), &said);
}

/* Neither dialled nor waiting any more. */
static void stream_calm(struct stream *stream)
{
	if (stream->state == STREAM_DIALLING) {
		dial_cancel(stream->dial);
		stream->dial = NULL;
		stream->state = STREAM_CLOSED;
	}
	(void)loop_deadline(client_of(stream)->loop, &stream->again, CLOCK_NEVER);
	if (stream->fate == STREAM_WAITING)
		stream->fate = STREAM_FREE;
}

void stream_shed(struct stream *stream)
{
	stream_calm(stream);
	if (stream->state != STREAM_CLOSED)
		stream->fate = STREAM_SURPLUS;
}

void stream_drop(struct stream *stream)
{
	stream_calm(stream);
	if (stream_live(stream))
		link_finish(&stream->channel.link);
	if (stream->state != STREAM_CLOSED) {
		stream->state = STREAM_CLOSING;
		channel_close(&stream->channel);
	}
	if (stream->sends)
		sending_close(&stream->sending);
}
