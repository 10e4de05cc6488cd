/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-stream.h"

#include "sim-end.h"

#include <string.h>

struct segment {
	struct list link;
	uint64_t when;
	size_t len;
	bool fin;
	uint8_t bytes[];
};

void sim_stream_open(struct sim_stream *stream, struct sim *sim, struct sim_end *from, struct sim_end *to)
{
	*stream = (struct sim_stream){
		.sim = sim,
		.from = from,
		.to = to,
		.cut_at = UINT64_MAX,
		.hang_at = UINT64_MAX,
		.flip_at = UINT64_MAX,
	};
	list_init(&stream->segments);
}

size_t sim_stream_room(const struct sim_stream *stream)
{
	size_t room = stream->sim->plan.net_room;

	/* Less than a quarter is not worth a packet. */
	return stream->fin || stream->under_way + room / 4 >= room ? 0 : room - stream->under_way;
}

static void arrive(struct sim *sim, struct sim_event *event);

static void expect(struct sim_stream *stream)
{
	struct list *node = list_first(&stream->segments);

	if (node != NULL && !stream->dead && !stream->silent && stream->arrival.node.at == 0)
		sim_after(stream->sim, &stream->arrival,
		          list_entry(node, struct segment, link)->when - stream->sim->now, arrive);
}

/* What is left of a segment when the connection ends in it; false: it ended before. */
static bool reach(struct sim_stream *stream, struct segment *segment)
{
	if (stream->total + segment->len > stream->hang_at) {
		stream->silent = true;
		segment->len = (size_t)(stream->hang_at - stream->total);
		sim_say(stream->sim, "net: the connection falls silent");
	}
	if (stream->total + segment->len <= stream->cut_at)
		return true;
	segment->len = (size_t)(stream->cut_at - stream->total);
	sim_say(stream->sim, "net: the connection breaks");
	return false;
}

static void arrive(struct sim *sim, struct sim_event *event)
{
	struct sim_stream *stream = list_entry(event, struct sim_stream, arrival);
	struct segment *segment = list_entry(list_first(&stream->segments), struct segment, link);
	bool more;

	if (stream->silent)
		return; /* what was sent stays under way for ever */
	list_remove(&segment->link);
	stream->under_way -= segment->len;
	more = reach(stream, segment);
	stream->total += segment->len;
	if (stream->silent)
		sim_end_silence(stream->from, stream->to);
	if (!more)
		sim_end_break(stream->from, stream->to);
	if (segment->len > 0)
		sim_end_take(stream->to, segment->bytes, segment->len);
	if (segment->fin && more && !stream->silent)
		sim_end_finished(stream->to);
	(void)sim;
	expect(stream);
	sim_end_flush(stream->from);
}

static void segment_add(struct sim_stream *stream, const uint8_t *bytes, size_t len, bool fin)
{
	struct segment *segment = sim_take_raw(stream->sim, sizeof(*segment) + len);

	segment->when = stream->sim->now + sim_around(stream->sim, stream->sim->plan.net_delay);
	if (segment->when < stream->last)
		segment->when = stream->last;
	stream->last = segment->when;
	segment->len = len;
	segment->fin = fin;
	if (len > 0)
		memcpy(segment->bytes, bytes, len);
	if (stream->flip_at >= stream->sent && stream->flip_at - stream->sent < len) {
		segment->bytes[stream->flip_at - stream->sent] ^= (uint8_t)(1u << sim_below(stream->sim, 8));
		sim_say(stream->sim, "net: a bit of byte %llu flips", (unsigned long long)stream->flip_at);
	}
	stream->sent += len;
	stream->under_way += len;
	list_append(&stream->segments, &segment->link);
	expect(stream);
}

void sim_stream_send(struct sim_stream *stream, const uint8_t *bytes, size_t len)
{
	segment_add(stream, bytes, len, false);
}

void sim_stream_finish(struct sim_stream *stream)
{
	if (stream->fin)
		return;
	stream->fin = true;
	segment_add(stream, NULL, 0, true);
}

static void broken(struct sim *sim, struct sim_event *event)
{
	struct sim_stream *stream = list_entry(event, struct sim_stream, reset);

	(void)sim;
	sim_end_reset(stream->to);
}

void sim_stream_break(struct sim_stream *stream)
{
	if (stream->dead)
		return;
	stream->dead = true;
	stream->fin = true;
	sim_never(stream->sim, &stream->arrival);
	sim_after(stream->sim, &stream->reset, sim_around(stream->sim, stream->sim->plan.net_delay), broken);
}

void sim_stream_close(struct sim_stream *stream)
{
	stream->dead = true;
	stream->fin = true;
	sim_never(stream->sim, &stream->arrival);
	sim_never(stream->sim, &stream->reset);
}
