/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lanes of a sink: sessions over which it asks and is answered, each with its own requests and its own credit.
 *
 * Whoever has room takes what is next: small files some at a time, large ones by ranges that get smaller towards the end, so
 * that all come to their end together. A lane that is gone gives back what it owed.
 */
#include "session/sink_state.h"

#include <errno.h>
#include <stdlib.h>

/* ---- life ---- */

void sink_lane_init(struct sink_lane *lane, struct sink *sink, uint32_t requests_max, uint64_t consumed,
                    uint64_t granted)
{
	*lane = (struct sink_lane){
		.sink = sink,
		.requests_max = requests_max,
		.before = consumed,
		.received = consumed,
		.consumed = consumed,
		.granted = granted,
		.next_request = SINK_LIST_REQUEST + 1,
	};
	list_append(&sink->lanes, &lane->link);
	sink->lane_count++;
}

struct sink_lane *sink_main(struct sink *sink)
{
	return &sink->main;
}

int sink_lane_add(struct sink *sink, struct sink_lane **out, uint32_t requests_max, uint64_t consumed, uint64_t granted)
{
	struct sink_lane *lane = malloc(sizeof(*lane));

	if (lane == NULL)
		return -ENOMEM;
	sink_lane_init(lane, sink, requests_max, consumed, granted);
	if (sink->lister == NULL && sink->listing)
		sink_list_again(sink, lane);
	*out = lane;
	return 0;
}

static void lane_free(struct sink_lane *lane)
{
	if (lane != &lane->sink->main)
		free(lane);
}

/* Nothing is left that it is asked for. */
static void lane_clear(struct sink_lane *lane)
{
	struct sink_request *request;

	for (size_t at = 0; (request = table_next(&lane->requests, &at, NULL)) != NULL;) {
		ranges_free(&request->told);
		free(request);
	}
	table_free(&lane->requests);
	buf_free(&lane->cancels);
}

void sink_lanes_drop(struct sink *sink)
{
	struct list *node;

	while ((node = list_first(&sink->lanes)) != NULL) {
		struct sink_lane *lane = list_entry(node, struct sink_lane, link);

		list_remove(node);
		lane_clear(lane);
		lane_free(lane);
	}
}

void sink_lane_rest(struct sink_lane *lane, bool rests)
{
	lane->resting = rests;
}

void sink_lane_return(struct sink_lane *lane)
{
	struct sink_request *request;
	uint64_t id;

	for (size_t at = 0; (request = table_next(&lane->requests, &at, &id)) != NULL;) {
		if (!request->whole && !request->returned && message_cancel_write(&lane->cancels, (uint32_t)id) == 0)
			request->returned = true;
	}
}

void sink_lane_yield(struct sink_lane *lane)
{
	if (lane->resting)
		return;
	lane->resting = true;
	sink_lane_return(lane);
}

bool sink_lane_idle(const struct sink_lane *lane)
{
	return lane->requests.count == 0 && (lane != lane->sink->lister || !lane->sink->listing);
}

void sink_request_free(struct sink_lane *lane, struct sink_request *request)
{
	lane->owed -= request->owed;
	lane->ranges -= !request->whole;
	lane->paths -= request->path_len;
	ranges_free(&request->told);
	free(request);
}

/* Another one that may list. */
static struct sink_lane *lister_other(const struct sink_lane *lane)
{
	const struct sink *sink = lane->sink;

	for (struct list *node = sink->lanes.next; node != &sink->lanes && !sink->list_differs; node = node->next) {
		struct sink_lane *other = list_entry(node, struct sink_lane, link);

		if (other != lane && !other->resting)
			return other;
	}
	return NULL;
}

bool sink_lane_needed(const struct sink_lane *lane)
{
	const struct sink *sink = lane->sink;

	return lane == sink->lister && sink->listing && !sink->aborted && lister_other(lane) == NULL;
}

void sink_lane_lost(struct sink_lane *lane)
{
	struct sink *sink = lane->sink;
	struct sink_request *request;

	list_remove(&lane->link);
	sink->lane_count--;
	if (lane == sink->lister && sink->listing && sink->aborted)
		sink->listing = false;
	else if (lane == sink->lister && sink->listing)
		sink_list_again(sink, lister_other(lane));
	sink->spent += lane->received - lane->before;
	for (size_t at = 0; (request = table_next(&lane->requests, &at, NULL)) != NULL;)
		sink_file_unask(sink, request);
	lane_clear(lane);
	lane->gone = true;
	if (lane->pieces == 0)
		lane_free(lane);
}

/* ---- what it may be asked for ---- */

bool sink_lane_may_ask(const struct sink_lane *lane)
{
	const struct sink *sink = lane->sink;

	if (lane->resting || lane->requests.count >= lane->requests_max || lane->paths >= MESSAGE_READ_PATHS)
		return false;
	if (!sink_spreads(sink))
		return true;
	if (sink_tail_spares(lane))
		return false;
	/* What is more than two windows is better asked of who is quicker, or of who has not come yet. */
	return lane->owed < 2 * sink->params.window &&
	       (lane->requests.count < BATCH_MAX ||
	        lane->requests.count < 2 * (uint64_t)lane->requests_max / sink_width(sink));
}

bool sink_lane_may_ask_range(const struct sink_lane *lane)
{
	return !sink_spreads(lane->sink) || lane->ranges < RANGES_AHEAD ||
	       lane->owed < lane->sink->params.order_payload;
}

void sink_lane_came(struct sink_lane *lane, struct sink_request *request, uint64_t bytes)
{
	if (request == NULL)
		return;
	if (bytes > request->owed)
		bytes = request->owed;
	request->owed -= bytes;
	lane->owed -= bytes;
	lane->sink->moved += bytes;
}

/* ---- credit ---- */

void sink_lane_consume(struct sink_lane *lane, uint64_t bytes)
{
	lane->consumed += bytes;
}

void sink_lane_release(struct sink_lane *lane, uint64_t bytes)
{
	if (lane == NULL)
		return; /* a hole */
	lane->consumed += bytes;
	if (--lane->pieces == 0 && lane->gone)
		lane_free(lane);
}

void sink_credit(const struct sink_lane *lane, uint64_t *consumed, uint64_t *granted)
{
	*consumed = lane->consumed;
	*granted = lane->granted;
}

/* Its part of what all of them may have under way. */
static uint64_t window_of(const struct sink *sink)
{
	uint64_t least = 2 * (uint64_t)sink->params.chunk_size, window = sink->params.window;

	if (sink->lane_count > 1 && sink->params.window_all > 0 && sink->params.window_all / sink->lane_count < window)
		window = sink->params.window_all / sink->lane_count;
	if (window < least && sink->params.window > least)
		window = least;
	/* Whole orders: what is left beside them would be sent, hashed and written by itself each time. */
	if (window >= 4 * (uint64_t)sink->params.order_payload && sink->params.order_payload > 0)
		window -= window % sink->params.order_payload;
	return window;
}

bool sink_held(const struct sink *sink)
{
	uint64_t window = window_of(sink);

	for (const struct list *node = sink->lanes.next; node != &sink->lanes; node = node->next) {
		const struct sink_lane *lane = list_entry(node, struct sink_lane, link);

		if (lane->received - lane->consumed >= window / 2)
			return true;
	}
	return false;
}

/* Payload bytes that the limit of the rate has come to since the beginning, and that nobody was granted yet. */
static uint64_t allowance(const struct sink *sink, uint64_t now)
{
	uint64_t rate = sink->params.limit_rate, elapsed = now - sink->began, spent = sink->spent;
	uint64_t allowed = elapsed / CLOCK_SECOND * rate + elapsed % CLOCK_SECOND * rate / CLOCK_SECOND +
	                   sink->params.chunk_size; /* less than one chunk would never move */

	for (const struct list *node = sink->lanes.next; node != &sink->lanes; node = node->next) {
		const struct sink_lane *lane = list_entry(node, struct sink_lane, link);

		spent += lane->granted > lane->before ? lane->granted - lane->before : 0;
	}
	return allowed > spent ? allowed - spent : 0;
}

/* How far the source may send: a window ahead of what is done with, and no faster than the limit. */
static uint64_t credit_total(struct sink_lane *lane, uint64_t now)
{
	struct sink *sink = lane->sink;
	uint64_t total = lane->consumed + window_of(sink), left, least = 1;

	if (sink->began == 0)
		sink->began = now;
	if (sink->params.limit_rate == 0)
		return total;
	if (sink_spreads(sink)) {
		/* No more than is asked of it, and whole chunks: what it cannot use the others would miss. */
		if (total > lane->received + lane->owed)
			total = lane->received + lane->owed;
		least = sink->params.chunk_size;
	}
	if (total <= lane->granted)
		return lane->granted;
	left = allowance(sink, now);
	if (left < least && left < total - lane->granted)
		return lane->granted;
	return total - lane->granted < left ? total : lane->granted + left;
}

int sink_lane_credit(struct sink_lane *lane, struct buf *out, uint64_t now)
{
	struct sink *sink = lane->sink;
	uint64_t total = credit_total(lane, now);
	uint64_t step = sink->params.limit_rate > 0 ? 1 : window_of(sink) / 4;
	uint64_t list = sink->list_received + LIST_WINDOW;
	int r;

	sink_tail_pace(lane, now);

	if (total > lane->granted && total - lane->granted >= step) {
		r = message_credit_write(out, 0, total);
		if (r < 0)
			return r;
		lane->granted = total;
	}
	if (lane == sink->lister && sink->listing && sink->backlog.len == 0 && sink->live < LIVE_MAX &&
	    list >= sink->list_granted + LIST_WINDOW / 2) {
		r = message_credit_write(out, SINK_LIST_REQUEST, list);
		if (r < 0)
			return r;
		sink->list_granted = list;
	}
	return 0;
}
