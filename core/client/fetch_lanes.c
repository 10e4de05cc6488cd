/* SPDX-License-Identifier: BSD-2-Clause */
/* The sessions of a get beside the first: they join as lanes of the same sink, and what one owed when it went others bring. */
#include "client/fetch_state.h"

#include <errno.h>
#include <string.h>

static bool takes_part(const struct fetch *fetch, const struct stream *stream)
{
	return stream_live(stream) && stream->lane.lane != NULL && stream->lane.receiving == &fetch->receiving;
}

static unsigned lanes_live(const struct fetch *fetch)
{
	const struct streams *streams = &fetch->client->streams;
	unsigned count = 0;

	for (unsigned i = 0; i < streams->count; i++)
		count += takes_part(fetch, &streams->all[i]);
	return count;
}

void fetch_lanes_join(struct fetch *fetch)
{
	struct streams *streams = &fetch->client->streams;
	struct error err = { 0 };
	bool some = false;

	if (!attempt_runs(&fetch->attempt) || !streams_used(fetch->client))
		return;
	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *stream = &streams->all[i];

		if (stream->fate == STREAM_SURPLUS)
			continue;
		/* What came over the session that it stood for before may still be looked at: then a moment later. */
		if (stream_live(stream) && !stream->channel.goaway && stream->lane.lane == NULL)
			some |= receiving_lane_open(&fetch->receiving, &stream->lane, &stream->channel,
			                            stream->consumed, stream->granted, &err) == 0;
	}
	if (some)
		receiving_pump(&fetch->receiving);
}

void fetch_lanes_open(void *context, struct stream *stream)
{
	(void)stream;
	fetch_lanes_join(context);
}

int fetch_lanes_frame(void *context, struct stream *stream, const struct frame_header *header, const uint8_t *bytes,
                      struct lent *buffer, struct error *err)
{
	struct fetch *fetch = context;

	fetch->taken += FRAME_HEADER + header->length;
	return takes_part(fetch, stream) ? receiving_frame(&stream->lane, header, bytes, buffer, err) : 0;
}

bool fetch_lanes_carry_on(struct fetch *fetch)
{
	struct receiving_lane *main = &fetch->receiving.main;

	if (!attempt_runs(&fetch->attempt) || receiving_lane_needed(main) || lanes_live(fetch) == 0)
		return false;
	receiving_lane_end(main);
	return true;
}

void fetch_lanes_ended(void *context, struct stream *stream, const struct ending *ending)
{
	struct fetch *fetch = context;

	if (!attempt_runs(&fetch->attempt) || stream->lane.lane == NULL)
		return;
	/* The last one that is lost says why. */
	if (receiving_lane_needed(&stream->lane) || (fetch_main_gone(fetch) && lanes_live(fetch) == 0))
		fetch_lost(fetch, ending);
	else
		receiving_lane_end(&stream->lane);
	receiving_pump(&fetch->receiving);
}

/* One that was told to go is asked for nothing more, and goes when it owes nothing, or after a while. */
static void lane_look(struct fetch *fetch, struct stream *stream)
{
	struct client *client = fetch->client;

	if (stream->fate == STREAM_SURPLUS) {
		sink_lane_yield(stream->lane.lane);
		if (sink_lane_idle(stream->lane.lane))
			stream_leave(stream);
		return;
	}
	if (!stream->channel.goaway || !retry_wanted(&stream->retry))
		return;
	sink_lane_rest(stream->lane.lane, true);
	if (stream->leave == 0)
		stream->leave = client->loop->now + FETCH_GRACE;
	if (sink_lane_idle(stream->lane.lane) || client->loop->now >= stream->leave)
		stream_leave(stream);
}

void fetch_lanes_look(struct fetch *fetch)
{
	struct streams *streams = &fetch->client->streams;

	for (unsigned i = 0; i < streams->count && attempt_runs(&fetch->attempt); i++) {
		struct stream *stream = &streams->all[i];

		if (takes_part(fetch, stream))
			lane_look(fetch, stream);
		else if (stream_live(stream) && stream->fate == STREAM_SURPLUS && stream->lane.lane == NULL)
			stream_leave(stream); /* opened in advance, and not needed */
	}
	fetch_lanes_join(fetch);
}

void fetch_lanes_grow(struct fetch *fetch)
{
	const struct sink *sink = fetch->receiving.sink;

	if (!attempt_runs(&fetch->attempt) || !streams_due(fetch->client))
		return;
	/* Half of a chunk counts: a whole one may take longer than a period. */
	streams_grow(fetch->client, &(struct streams_look){
					    .moved = fetch->taken + fetch_lanes_half(fetch),
					    .left = sink_left(sink),
					    .held = sink_held(sink),
				    });
}

void fetch_lanes_count(struct fetch *fetch)
{
	struct streams *streams = &fetch->client->streams;

	for (unsigned i = 0; i < streams->count; i++) {
		struct stream *stream = &streams->all[i];

		if (takes_part(fetch, stream))
			sink_credit(stream->lane.lane, &stream->consumed, &stream->granted);
	}
}

const struct channel *fetch_lanes_blame(const struct fetch *fetch)
{
	const struct client *client = fetch->client;
	const struct channel *some = client->channel_live ? &client->channel : NULL;

	if (!fetch_begun(fetch))
		return some;
	if (some != NULL && !sink_lane_idle(fetch->receiving.main.lane))
		return some;
	for (unsigned i = 0; i < client->streams.count; i++) {
		const struct stream *stream = &client->streams.all[i];

		if (!takes_part(fetch, stream))
			continue;
		if (!sink_lane_idle(stream->lane.lane))
			return &stream->channel;
		some = some == NULL ? &stream->channel : some;
	}
	return some;
}

uint64_t fetch_lanes_half(const struct fetch *fetch)
{
	const struct client *client = fetch->client;
	uint64_t half = client->channel_live ? link_half(&client->channel.link) : 0;

	for (unsigned i = 0; i < client->streams.count; i++) {
		const struct stream *stream = &client->streams.all[i];

		half += stream_live(stream) ? link_half(&stream->channel.link) : 0;
	}
	return half;
}
