/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/streams.h"

#include "client/client_state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_EVERY (5 * CLOCK_MS)

enum { HELD_MS = 100 };

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

bool streams_used(const struct client *client)
{
	return !is_automatic(client) || !client->streams.growth.ahead;
}

unsigned streams_live(const struct client *client)
{
	unsigned count = 0;

	for (unsigned i = 0; i < client->streams.count; i++)
		count += stream_live(&client->streams.all[i]);
	return count;
}

void streams_opened(struct client *client)
{
	unsigned live = streams_live(client) + client->channel_live;

	if (live > client->streams.most_live)
		client->streams.most_live = live;
}

/* ---- what the user hears ---- */

void streams_missing(struct client *client, const struct error *err)
{
	char text[ERROR_TEXT_MAX + 80];

	if (client->streams.warned || is_automatic(client))
		return;
	client->streams.warned = true;
	snprintf(text, sizeof(text), "fewer than %u sessions, going on with those there are: %s",
	         streams_number(client), err->text);
	client_say(client, LOG_LEVEL_WARN, FAULT_NONE, text);
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
	for (unsigned i = 0; i < count; i++)
		stream_init(&streams->all[i], streams, &limits);
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
	for (unsigned i = 0; i < streams->count; i++)
		there += stream_taken(&streams->all[i]);
	for (unsigned i = 0; i < streams->count && there < streams->wanted; i++) {
		if (stream_taken(&streams->all[i]))
			continue;
		stream_dial(&streams->all[i]);
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

static void streams_shed(struct streams *streams, unsigned there)
{
	for (unsigned i = streams->count; i-- > 0 && there > streams->wanted;) {
		struct stream *stream = &streams->all[i];

		if (stream->fate == STREAM_SURPLUS || !(stream_live(stream) || stream_coming(stream)))
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

		live += stream_live(stream) && stream->fate != STREAM_SURPLUS && !stream->channel.goaway;
		coming += stream_coming(stream);
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
	for (unsigned i = 0; i < streams->count; i++)
		stream_drop(&streams->all[i]);
}

static bool streams_busy(const struct streams *streams)
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
	while (streams_busy(streams))
		loop_run(client->loop); /* until on_closed() */
	free(streams->all);
	*streams = (struct streams){
		.client = client,
		.most_live = streams->most_live,
		.warned = streams->warned,
	};
}
