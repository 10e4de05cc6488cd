/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sink asks for: files as a whole, ranges of large ones, and again what a lane owed when it went. */
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t request_next(struct sink_lane *lane, uint32_t count)
{
	/* Ids of one frame are consecutive and do not wrap; ids in use are skipped (a long job may wrap around). */
	for (uint32_t i = 0; i < count; i++) {
		if (lane->next_request > UINT32_MAX - count) {
			lane->next_request = SINK_LIST_REQUEST + 1;
			i = 0;
		}
		if (table_get(&lane->requests, (uint64_t)lane->next_request + i) != NULL) {
			lane->next_request += i + 1;
			i = UINT32_MAX;
		}
	}
	return lane->next_request;
}

static struct sink_ask *ask_make(struct sink_file *file, uint64_t first, uint64_t count, bool digests)
{
	struct sink_ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return NULL;
	ask->file = file;
	ask->first = first;
	ask->count = count;
	ask->digests = digests;
	return ask;
}

int sink_ask_range(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, bool digests)
{
	struct sink_ask *ask = sink->asks.prev != &sink->asks ? list_entry(sink->asks.prev, struct sink_ask, link)
	                                                      : NULL;

	if (ask != NULL && ask->file == file && ask->digests == digests && ask->first + ask->count == first) {
		ask->count += count;
		return 0;
	}
	ask = ask_make(file, first, count, digests);
	if (ask == NULL)
		return -ENOMEM;
	list_append(&sink->asks, &ask->link);
	return 0;
}

/* What is in none of two sets, between two chunks, in front of all that is to be asked: others wait for it. */
static int ask_gaps(struct sink *sink, struct sink_ask *like, uint64_t end, const struct ranges *there,
                    const struct ranges *told)
{
	struct range outer = { like->first, like->first }, gap;
	struct list *at = &sink->asks;

	while (ranges_gap(there, outer.end, end, &outer)) {
		for (gap.end = outer.first; ranges_gap(told, gap.end, outer.end, &gap);) {
			struct sink_ask *ask = ask_make(like->file, gap.first, gap.end - gap.first, like->digests);

			if (ask == NULL)
				return -ENOMEM;
			list_prepend(at, &ask->link); /* behind the one before */
			at = &ask->link;
		}
	}
	return 0;
}

int sink_ask_rest(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count)
{
	struct sink_ask like = { .file = file, .first = first };

	return ask_gaps(sink, &like, first + count, &file->seen, &(struct ranges){ 0 });
}

void sink_asks_drop(struct sink *sink, const struct sink_file *file)
{
	for (struct list *node = sink->asks.next; node != &sink->asks;) {
		struct sink_ask *ask = list_entry(node, struct sink_ask, link);

		node = node->next;
		if (file == NULL || ask->file == file) {
			list_remove(&ask->link);
			free(ask);
		}
	}
}

bool sink_asks_open(const struct sink *sink, const struct sink_file *file)
{
	for (const struct list *node = sink->asks.next; node != &sink->asks; node = node->next) {
		if (list_entry(node, struct sink_ask, link)->file == file)
			return true;
	}
	return false;
}

/* Something to ask for. */
struct asking {
	struct sink_file *file;
	struct sink_ask *ask; /* part of the file; NULL: all of it */
	uint64_t count;       /* chunks from the front of it */
};

/* Digests that the source knows are good until one of the file was wrong: then they are to be made. */
static uint8_t read_flags(const struct asking *asking)
{
	if (asking->ask == NULL)
		return 0;
	if (asking->ask->digests)
		return MESSAGE_READ_PART | MESSAGE_READ_DIGESTS;
	return asking->file->repairs == 0 ? MESSAGE_READ_PART | MESSAGE_READ_KNOWN : MESSAGE_READ_PART;
}

static struct sink_request *request_make(struct sink_lane *lane, uint32_t id, const struct asking *asking)
{
	struct sink_request *request = calloc(1, sizeof(*request));
	const struct sink_file *file = asking->file;
	uint64_t chunk = lane->sink->params.chunk_size, end;

	if (request == NULL)
		return NULL;
	request->file = asking->file;
	request->whole = asking->ask == NULL;
	request->digests = asking->ask != NULL && asking->ask->digests;
	request->first = asking->ask != NULL ? asking->ask->first : 0;
	request->count = asking->ask != NULL ? asking->count : file->chunks;
	end = request->first + request->count;
	request->owed = (end < file->chunks ? end * chunk : file->size) - request->first * chunk;
	if (table_put(&lane->requests, id, request) < 0) {
		free(request);
		return NULL;
	}
	return request;
}

static int request_add(struct sink_lane *lane, struct buf *body, uint32_t id, const struct asking *asking)
{
	struct sink *sink = lane->sink;
	struct sink_file *file = asking->file;
	struct sink_request *request = request_make(lane, id, asking);
	char path[MESSAGE_PATH_MAX + 2];
	int n = snprintf(path, sizeof(path), "%s%s%s", sink->remote, file->name[0] != '\0' ? "/" : "", file->name);
	const struct message_read item = {
		.first = asking->ask != NULL ? asking->ask->first : 0,
		.count = asking->ask != NULL ? asking->count : MESSAGE_ALL,
		.size = file->size,
		.flags = read_flags(asking),
		.path = path,
		.path_len = (size_t)n,
	};
	int r = request != NULL ? message_read_item_write(body, &item) : -ENOMEM;

	if (r < 0) {
		free(table_remove(&lane->requests, id)); /* nothing of it was told */
		return r;
	}
	file->requests++;
	request->path_len = (uint16_t)n;
	lane->owed += request->owed;
	lane->ranges += !request->whole;
	lane->paths += request->path_len;
	if (asking->ask == NULL) {
		sink_file_move(sink, file, SINK_FILE_WHOLE);
		file->horizon = file->chunks;
		return 0;
	}
	asking->ask->first += asking->count;
	asking->ask->count -= asking->count;
	if (asking->ask->count == 0) {
		list_remove(&asking->ask->link);
		free(asking->ask);
	}
	return 0;
}

/*
 * How much of a range one lane gets: less and less towards its end, and no more than a fourth of what it has brought, so that
 * none is left alone with the last of it. Where packets are lost, one may be ten times as slow as another.
 */
static uint64_t ask_part(const struct sink_lane *lane, const struct sink_ask *ask)
{
	const struct sink *sink = lane->sink;
	const struct sink_params *params = &sink->params;
	uint64_t part = ask->count / (2 * (uint64_t)sink_parts(sink));
	uint64_t brought = (lane->received - lane->before) / 4;
	uint64_t shown = brought > RANGE_FIRST ? brought : RANGE_FIRST;
	uint64_t most = (shown < params->window ? shown : params->window) / params->chunk_size;
	uint64_t least = params->order_payload / 4 / params->chunk_size;

	if (!sink_spreads(sink))
		return ask->count;
	part = part > most ? most : part;
	part = part < least ? least : part;
	part = part < 1 ? 1 : part;
	return part < ask->count ? part : ask->count;
}

/* A large file, by ranges from the beginning. */
static void file_spread(struct sink *sink, struct sink_file *file)
{
	sink_file_move(sink, file, SINK_FILE_PARTS);
	file->horizon = 0;
	(void)sink_reuse_advance(sink, file);
}

static bool to_spread(const struct sink *sink, const struct sink_file *file)
{
	return sink_spreads(sink) && file->chunks > 1 && file->reuse == SINK_REUSE_NONE &&
	       file->size > SPREAD_ORDERS * sink->params.order_payload;
}

/* The next thing to ask for; false when there is none. It stays where it is until it is asked for. */
static bool ask_next(struct sink_lane *lane, struct asking *out)
{
	struct sink *sink = lane->sink;
	struct list *node;

	*out = (struct asking){ 0 };
	for (;;) {
		struct sink_file *next;

		node = list_first(&sink->asks);
		if (node != NULL && !sink_lane_may_ask_range(lane))
			return false;
		if (node != NULL) {
			out->ask = list_entry(node, struct sink_ask, link);
			out->file = out->ask->file;
			out->count = ask_part(lane, out->ask);
			return true;
		}
		node = list_first(&sink->fresh);
		if (node == NULL)
			return false;
		next = list_entry(node, struct sink_file, link);
		if (next->dir != NULL && !next->dir->made)
			return false;
		if (next->dir != NULL && next->dir->failed) {
			sink_file_fail(sink, next, FAULT_LOCAL, "its directory could not be made");
		} else if (to_spread(sink, next)) {
			file_spread(sink, next);
		} else {
			/* An empty one too: it may have grown, and the source counts what it gave. */
			out->file = next;
			return true;
		}
	}
}

/* Makes a frame of `asking` and of what comes behind it, as much as goes into one. */
static int read_make(struct sink_lane *lane, struct buf *out, struct asking *asking)
{
	size_t most = sink_spreads(lane->sink) ? BATCH_MAX : MESSAGE_READ_MAX;
	uint32_t base = request_next(lane, MESSAGE_READ_MAX);
	size_t start, count = 0;
	int sealed, r = message_read_begin(out, &start);

	if (r < 0)
		return r;
	do {
		r = request_add(lane, out, base + (uint32_t)count, asking);
		count += r == 0;
	} while (r == 0 && count < most && sink_lane_may_ask(lane) &&
	         out->len - start < FRAME_CONTROL_MAX - MESSAGE_PATH_MAX - MESSAGE_READ_ITEM_HEAD &&
	         ask_next(lane, asking));
	if (count == 0) {
		out->len = start;
		return r;
	}
	/* What is in the frame was asked for, whatever happened behind it. */
	lane->next_request = base + (uint32_t)count;
	sealed = message_read_seal(out, start, base, (uint16_t)count);
	return r < 0 ? r : sealed;
}

int sink_file_requests(struct sink_lane *lane, struct buf *out)
{
	struct asking asking;
	int r = 0;

	while (r == 0 && sink_lane_may_ask(lane) && ask_next(lane, &asking)) {
		r = read_make(lane, out, &asking);
		if (sink_spreads(lane->sink))
			break; /* now the others */
	}
	if (lane->requests.count == 0)
		sink_tail_relieve(lane);
	return r;
}

/* ---- what a lane owed when it went ---- */

/* A file that was asked for as a whole, of which some came. */
static int whole_again(struct sink *sink, struct sink_file *file)
{
	uint64_t seen = file->seen.count > 0 ? file->seen.all[file->seen.count - 1].end : 0;

	sink_file_move(sink, file, SINK_FILE_PARTS);
	file->horizon = file->chunks - seen < HORIZON ? file->chunks : seen + HORIZON;
	return sink_ask_rest(sink, file, 0, file->horizon);
}

/* A part of one, or its digests. */
static int part_again(struct sink *sink, const struct sink_request *request)
{
	struct sink_ask like = { .file = request->file, .first = request->first, .digests = request->digests };
	static const struct ranges none;

	return ask_gaps(sink, &like, request->first + request->count, request->digests ? &none : &request->file->seen,
	                &request->told);
}

void sink_file_unask(struct sink *sink, struct sink_request *request)
{
	struct sink_file *file = request->file;
	int r;

	if (!sink_file_answered(sink, file))
		return;
	if (request->whole && file->chunks <= 1) {
		sink_held_drop(sink, file);
		sink_file_restart(sink, file);
		return;
	}
	r = request->blurred ? -ENOMEM : request->whole ? whole_again(sink, file) : part_again(sink, request);
	if (r < 0)
		sink_file_fail(sink, file, FAULT_LOCAL, "out of memory");
	else
		sink_file_settle(sink, file);
}
