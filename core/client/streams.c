/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/streams.h"

#include "client/client_state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CONNECT_TIMEOUT (10 * CLOCK_SECOND)
#define LOOK_EVERY (5 * CLOCK_MS)

enum { HELD_MS = 100 };

static struct stream *of_channel(struct channel *channel)
{
	return channel->owner;
}

static struct client *client_of(const struct stream *stream)
{
	return stream->streams->client;
}

/* A network lies between, and it is no short one. What a transport without addresses costs, or asks the user, who knows. */
static bool is_far(const struct client *client)
{
	const struct channel_remote *remote = client->channel.remote;

	if (!client->channel_live || remote == NULL || client->distance < GROWTH_FAR)
		return false;
	switch (remote->address.any.sa_family) {
	case AF_INET: return ntohl(remote->address.in.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET;
	case AF_INET6: return !IN6_IS_ADDR_LOOPBACK(&remote->address.in6.sin6_addr);
	default: return false;
	}
}

static bool is_automatic(const struct client *client)
{
	return client->options.streams == 0;
}

unsigned streams_most(const struct client *client)
{
	if (!is_automatic(client))
		return client->options.streams;
	return client->streams.count > 0 ? client->streams.count : is_far(client) ? GROWTH_MOST : 1;
}

unsigned streams_number(const struct client *client)
{
	if (!is_automatic(client))
		return client->options.streams;
	return client->streams.count > 0 ? client->streams.wanted : 1;
}

unsigned streams_live(const struct client *client)
{
	unsigned count = 0;

	for (unsigned i = 0; i < client->streams.count; i++)
		count += client->streams.all[i].live;
	return count;
}

/* ---- what the user hears ---- */

static void warn_once(struct stream *stream, const struct error *err)
{
	struct client *client = client_of(stream);
	char text[ERROR_TEXT_MAX + 80];

	if (stream->streams->warned || is_automatic(client))
		return;
	stream->streams->warned = true;
	snprintf(text, sizeof(text), "fewer than %u sessions, going on with those there are: %s",
	         streams_number(client), err->text);
	client_say(client, LOG_LEVEL_WARN, FAULT_NONE, text);
}

/* ---- one ---- */

static void stream_dial(struct stream *stream);

static void on_again(struct deadline *deadline)
{
	struct stream *stream = list_entry(deadline, struct stream, again);

	stream->waiting = false;
	streams_fill(client_of(stream));
}

/* It is lost, or was not to be had. */
static void stream_lost(struct stream *stream, const struct ending *ending)
{
	struct client *client = client_of(stream);
	enum ending_kind how = ending->kind;
	uint64_t random = 0, pause = 0;

	if (stream->streams->closing || client->interrupted || stream->surplus)
		return;
	/* The daemon is there, and may be about to reload; but where there is no room for one more there will be none. */
	if (how == ENDING_BUSY && !stream->retry.had)
		how = ENDING_FINAL;
	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK); /* as in reconnect.c */
	if (retry_lost(&stream->retry, how, stream->taken, random, client->loop->now, &pause) == RETRY_AGAIN &&
	    loop_deadline(client->loop, &stream->again, client->loop->now + pause) == 0) {
		stream->waiting = true;
		return;
	}
	stream->given_up = true;
	warn_once(stream, &ending->err);
}

/* It was not even connected. */
static void stream_missed(struct stream *stream, const struct error *err)
{
	struct ending ending;

	ending_without(&ending, err);
	stream_lost(stream, &ending);
}

static void live_count(struct client *client)
{
	unsigned live = streams_live(client) + client->channel_live;

	if (live > client->streams.most_live)
		client->streams.most_live = live;
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
		stream->given_up = true;
		warn_once(stream, &err);
		channel_finish(channel);
		return;
	}
	stream->live = true;
	live_count(client);
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
	bool live = stream->live;
	struct ending ending;

	ending_of_channel(&ending, err, channel);
	stream->live = false;
	stream->leave = 0;
	stream->streams->sent += channel->link.sent_bytes;
	channel_close(channel);
	if (stream->sends)
		sending_close(&stream->sending);
	if (!stream->given_up)
		stream_lost(stream, &ending);
	if (live && client->verb != NULL && client->verb->stream_ended != NULL)
		client->verb->stream_ended(client->context, stream, &ending);
}

/* Its memory is in use. */
static bool stream_busy(const struct stream *stream)
{
	return stream->used || stream->sends;
}

static void on_closed(struct channel *channel)
{
	struct stream *stream = of_channel(channel);

	stream->used = false;
	streams_rest(stream);
}

void streams_rest(struct stream *stream)
{
	if (stream_busy(stream))
		return;
	if (stream->streams->closing)
		loop_stop(stream->streams->client->loop); /* streams_close() waits */
	else
		streams_fill(client_of(stream));
}

static const struct channel_watch stream_events = {
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
	stream->consumed = stream->granted = 0;
	r = channel_open(&stream->channel, &stream->streams->base, client->transport, conn, false,
	                 client_port(client, conn), 0, stream, &err);
	stream->used = r == 0 || r == -EINPROGRESS;
	if (r < 0)
		stream_missed(stream, &err);
}

static void on_dial_failed(void *context, const struct error *err)
{
	struct stream *stream = context;

	stream->dial = NULL;
	stream_missed(stream, err);
}

static void stream_dial(struct stream *stream)
{
	struct client *client = client_of(stream);
	const struct dial_watch watch = { on_connected, on_dial_failed, stream };
	struct error err = { 0 };

	stream->surplus = false;
	if (dial_start(&stream->dial, client->loop, client->transport, client->url, CONNECT_TIMEOUT, &watch, &err) <
	    0) {
		stream->given_up = true;
		warn_once(stream, &err);
	}
}

void streams_leave(struct stream *stream)
{
	if (stream->live)
		channel_finish(&stream->channel); /* comes back as ended() */
}

void streams_refused(struct stream *stream, const struct error *err)
{
	stream->given_up = true;
	warn_once(stream, err);
	streams_leave(stream);
}

void streams_fail(struct stream *stream, const struct error *err)
{
	struct error said = *err;

	if (stream->live)
		channel_fail(&stream->channel, ending_status(&said), &said);
}

/* ---- all of them ---- */

static int streams_make(struct client *client)
{
	struct streams *streams = &client->streams;
	struct retry_limits limits = client->options.retry;
	unsigned count = streams_most(client);

	limits.first = true;
	streams->all = calloc(count, sizeof(*streams->all));
	if (streams->all == NULL)
		return -ENOMEM;
	streams->count = count;
	growth_start(&streams->growth);
	for (unsigned i = 0; i < count; i++) {
		streams->all[i].streams = streams;
		streams->all[i].again.fire = on_again;
		retry_start(&streams->all[i].retry, &limits);
	}
	return 0;
}

void streams_begin(struct client *client)
{
	struct streams *streams = &client->streams;
	const struct suite *suite = &client->channel.suite;

	streams->client = client;
	if (streams_most(client) < 2 || (streams->all == NULL && streams_make(client) < 0))
		return;
	/* The others offer exactly what the first one settled. */
	if (streams_live(client) == 0) {
		streams->base = client->base;
		streams->base.watch = &stream_events;
		streams->base.lost = NULL; /* the first one asks */
		streams->integrity = suite->integrity->about.name;
		streams->base.offer.integrity = &streams->integrity;
		streams->base.offer.integrity_count = 1;
		streams->base.offer.chunk_size = suite->limits.chunk_size;
		streams->base.hello_timeout = client->settings->hello_timeout;
	}
	streams->wanted = is_automatic(client) ? streams->growth.wanted : streams->count;
	streams_fill(client);
}

void streams_fill(struct client *client)
{
	struct streams *streams = &client->streams;
	unsigned there = client->channel_live && !client->channel.goaway;

	if (streams->closing || client->interrupted)
		return;
	for (unsigned i = 0; i < streams->count; i++) {
		const struct stream *stream = &streams->all[i];

		there += stream_busy(stream) || stream->dial != NULL || stream->waiting || stream->given_up;
	}
	for (unsigned i = 0; i < streams->count && there < streams->wanted; i++) {
		struct stream *stream = &streams->all[i];

		if (stream_busy(stream) || stream->dial != NULL || stream->waiting || stream->given_up)
			continue;
		stream_dial(stream);
		there++;
	}
}

/* ---- how many help ---- */

bool streams_due(const struct client *client)
{
	const struct streams *streams = &client->streams;

	return is_automatic(client) && streams->count > 0 && !streams->closing &&
	       client->loop->now - streams->looked >= LOOK_EVERY;
}

/* A stage of a pool has had the same piece of work for long: the network is not what is waited for. */
static bool stage_held(const struct xfer_progress *theirs)
{
	return theirs->stage != XFER_STAGE_IDLE && theirs->stage != XFER_STAGE_SEND &&
	       theirs->stage != XFER_STAGE_RECEIVE && theirs->stage_age_ms >= HELD_MS;
}

static bool stream_coming(const struct stream *stream)
{
	return stream->dial != NULL || stream->waiting || (stream->used && !stream->live && !stream->given_up);
}

/* One that is not open yet is not opened; others go when they are not needed any more. */
static void stream_shed(struct stream *stream)
{
	struct client *client = client_of(stream);

	if (stream->dial != NULL)
		dial_cancel(stream->dial);
	stream->dial = NULL;
	(void)loop_deadline(client->loop, &stream->again, CLOCK_NEVER);
	stream->waiting = false;
	stream->surplus = stream->used;
}

static void streams_shed(struct streams *streams, unsigned there)
{
	for (unsigned i = streams->count; i-- > 0 && there > streams->wanted;) {
		struct stream *stream = &streams->all[i];

		if (stream->surplus || !(stream->live || stream_coming(stream)))
			continue;
		stream_shed(stream);
		there--;
	}
}

void streams_grow(struct client *client, const struct streams_look *look)
{
	struct streams *streams = &client->streams;
	struct xfer_progress theirs = { .struct_size = sizeof(theirs) };
	unsigned main = client->channel_live && !client->channel.goaway, coming = 0, live = main;
	uint64_t loss;

	for (unsigned i = 0; i < streams->count; i++) {
		const struct stream *stream = &streams->all[i];

		live += stream->live && !stream->surplus && !stream->channel.goaway;
		coming += stream_coming(stream) && !stream->surplus;
	}
	if (main > 0)
		channel_theirs(&client->channel, &theirs);
	streams->looked = client->loop->now;
	streams->wanted = growth_look(&streams->growth,
	                              &(struct growth_look){
					      .now = client->loop->now,
					      .moved = look->moved,
					      .left = look->left,
					      .rtt = main > 0 ? channel_rtt(&client->channel, &loss) : 0,
					      .limit = client->options.limit_rate,
					      .live = live,
					      .coming = coming,
					      .held = look->held || stage_held(&theirs),
				      });
	if (!look->keep)
		streams_shed(streams, live + coming);
	streams_fill(client);
}

/* ---- the end ---- */

void streams_drop(struct client *client)
{
	struct streams *streams = &client->streams;

	streams->wanted = 0;
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *stream = &streams->all[i];

		if (stream->dial != NULL)
			dial_cancel(stream->dial);
		stream->dial = NULL;
		(void)loop_deadline(client->loop, &stream->again, CLOCK_NEVER);
		stream->waiting = false;
		if (stream->live)
			link_finish(&stream->channel.link);
		stream->live = false;
		if (stream->used)
			channel_close(&stream->channel);
		if (stream->sends)
			sending_close(&stream->sending);
	}
}

static bool streams_used(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->count; i++) {
		if (stream_busy(&streams->all[i]))
			return true;
	}
	return false;
}

void streams_close(struct client *client)
{
	struct streams *streams = &client->streams;

	streams->closing = true;
	streams_drop(client);
	while (streams_used(streams))
		loop_run(client->loop); /* until on_closed() */
	free(streams->all);
	*streams = (struct streams){
		.client = client,
		.most_live = streams->most_live,
		.warned = streams->warned,
	};
}
