/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/receiving.h"

#include "engine/receiving_job.h"

#include <errno.h>

enum {
	WINDOW = 16 * 1024 * 1024, /* payload bytes granted ahead */
	REQUESTS_MAX = 1024,       /* READs unanswered */
	KEEPS_MAX = 4,             /* jobs that look at what is there, beside the others */
	CONTROL_AHEAD = 256 * 1024 /* bytes of control frames not yet sent */
};

/* It has been told much that it does not listen to. */
static bool lane_deaf(const struct receiving_lane *lane)
{
	return link_control_queued(&lane->channel->link) > CONTROL_AHEAD;
}

static bool lane_open(const struct receiving_lane *lane)
{
	return lane->lane != NULL && !lane->lost && lane->channel->state == CHANNEL_OPEN;
}

/* A little for each in turn, until nobody has anything to send. The first changes, so that a limit is shared. */
static void lanes_ask(struct receiving *receiving)
{
	struct list *node = list_first(&receiving->lanes);
	uint64_t now = receiving->base->loop->now;
	bool some = node != NULL;

	if (node != NULL) {
		list_remove(node);
		list_append(&receiving->lanes, node);
	}
	while (some) {
		some = false;
		for (node = receiving->lanes.next; node != &receiving->lanes; node = node->next) {
			struct receiving_lane *lane = list_entry(node, struct receiving_lane, link);
			struct buf *out = lane_open(lane) && !lane_deaf(lane) ? channel_control(lane->channel) : NULL;
			size_t before = out != NULL ? out->len : 0;

			/* Without memory for a frame the next event tries again. */
			if (out != NULL && sink_frames(lane->lane, out, now) == 0)
				some = some || out->len > before;
		}
	}
	/* A connection may be found broken: what follows from it comes later, but for the state of its channel. */
	for (node = receiving->lanes.next; node != &receiving->lanes; node = node->next) {
		struct receiving_lane *lane = list_entry(node, struct receiving_lane, link);

		if (lane_open(lane))
			channel_flush(lane->channel);
	}
}

/* One who has much to tell and listens to nothing gets no further. */
static bool tells_in_vain(const struct receiving *receiving)
{
	return !receiving->aborted && lane_open(&receiving->main) && lane_deaf(&receiving->main);
}

bool receiving_busy(const struct receiving *receiving)
{
	if (receiving->job_count > 0)
		return true;
	for (const struct list *node = receiving->lanes.next; node != &receiving->lanes; node = node->next) {
		if (list_entry(node, struct receiving_lane, link)->checks.jobs > 0)
			return true;
	}
	return false;
}

/* No job is out and nothing is left to do: the journal goes by a job of its own, then the owner hears it. */
static void end_look(struct receiving *receiving)
{
	if (receiving->told || receiving_busy(receiving) || !sink_finished(receiving->sink))
		return;
	if (receiving_journal_end(receiving))
		return;
	receiving->told = true;
	receiving->watch->finished(receiving); /* the last: its owner may free it */
}

void receiving_pump(struct receiving *receiving)
{
	if (receiving->sink == NULL)
		return;
	list_remove(&receiving->hunger);
	if (tells_in_vain(receiving))
		return;
	receiving_jobs_begin(receiving);
	lanes_ask(receiving);
	end_look(receiving);
}

/* ---- lanes ---- */

/* Nothing of it is out any more. */
static void lane_drop(struct receiving_lane *lane)
{
	list_remove(&lane->link);
	if (lane->lane != NULL && !lane->receiving->aborted)
		sink_lane_lost(lane->lane);
	lane->lane = NULL;
}

static void on_check(struct loop_owner *owner, struct job *job)
{
	struct receiving_lane *lane = list_entry(owner, struct receiving_lane, owner);
	struct receiving *receiving = lane->receiving;

	bool gone;

	checks_done(&lane->checks, job);
	gone = lane->lost && lane->checks.jobs == 0;
	if (gone) {
		lane_drop(lane);
		if (receiving->watch->lane_gone != NULL)
			receiving->watch->lane_gone(receiving, lane);
	}
	/* The last: when it finishes, its owner may free it. */
	receiving_pump(receiving);
}

static int ends_take(struct receiving_lane *lane, const uint8_t *run, size_t len, struct error *err)
{
	struct receiving *receiving = lane->receiving;
	uint32_t digest_size = receiving->suite.limits.digest_size;
	struct end end;
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		r = message_end_read(run, len, &at, digest_size, &end, err);
		if (r == 0 && (receiving->watch->end == NULL || !receiving->watch->end(receiving, &end)))
			r = sink_end(lane->lane, &end, err);
	}
	return r;
}

/* The run of a frame, its digest right. */
static int run_take(void *context, enum frame_type type, const uint8_t *run, size_t len, struct error *err)
{
	struct receiving_lane *lane = context;

	if (type == FRAME_ENTRIES)
		return sink_entries(lane->lane, run, len, err);
	return ends_take(lane, run, len, err);
}

static void run_failed(void *context, const struct error *err)
{
	struct receiving_lane *lane = context;
	struct error said = *err;

	if (err->code == -EPROTO || err->code == -EBADMSG)
		error_prefix(&said, "%s breaks the protocol", channel_peer(lane->channel));
	lane->receiving->watch->broken(lane->receiving, lane, &said);
}

static void lane_begin(struct receiving *receiving, struct receiving_lane *lane, struct channel *channel)
{
	*lane = (struct receiving_lane){
		.owner.done = on_check,
		.receiving = receiving,
		.channel = channel,
		.checks = {
			.loop = receiving->base->loop,
			.owner = &lane->owner,
			.suite = &receiving->suite,
			.take = run_take,
			.failed = run_failed,
			.context = lane,
		},
	};
	list_init(&lane->checks.queue);
	link_pipe_in(&channel->link, true);
	list_append(&receiving->lanes, &lane->link);
}

/* READs that may be unanswered. */
static uint32_t requests_of(const struct channel *channel)
{
	return channel->requests_max < REQUESTS_MAX ? channel->requests_max : REQUESTS_MAX;
}

int receiving_lane_open(struct receiving *receiving, struct receiving_lane *lane, struct channel *channel,
                        uint64_t consumed, uint64_t granted, struct error *err)
{
	if (receiving_lane_busy(lane))
		return -EBUSY;
	lane_begin(receiving, lane, channel);
	if (sink_lane_add(receiving->sink, &lane->lane, requests_of(channel), consumed, granted) == 0)
		return 0;
	list_remove(&lane->link);
	return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a session");
}

void receiving_lane_end(struct receiving_lane *lane)
{
	if (lane->lane == NULL || lane->lost)
		return;
	lane->lost = true;
	if (lane->checks.jobs == 0)
		lane_drop(lane);
}

bool receiving_lane_busy(const struct receiving_lane *lane)
{
	return lane->lane != NULL || lane->checks.jobs > 0;
}

bool receiving_lane_needed(const struct receiving_lane *lane)
{
	return lane->lane != NULL && sink_lane_needed(lane->lane);
}

int receiving_frame(struct receiving_lane *lane, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct receiving *receiving = lane->receiving;
	const uint8_t *body = bytes + FRAME_HEADER;
	struct message_digest_run run;
	struct frame_chunk chunk;
	uint64_t first, count;
	int r;

	if (lane->lane == NULL || receiving->aborted || receiving->sink == NULL)
		return 0;
	switch (header->type) {
	case FRAME_ENTRIES:
	case FRAME_ENDS: return checks_add(&lane->checks, header, body, buffer, err);
	case FRAME_CHUNK:
		r = frame_chunk_read(bytes, &receiving->suite.limits, &chunk, err);
		if (r == 0)
			r = sink_chunk(lane->lane, &chunk, buffer, err);
		if (r == 1)
			lent_ref(buffer);
		receiving->ready += r == 1 && chunk.length >= RECEIVING_LARGE;
		return r < 0 ? r : 0;
	case FRAME_HOLE:
		r = message_hole_read(body, header->length, &first, &count, err);
		return r < 0 ? r : sink_hole(lane->lane, header->request, first, count, err);
	case FRAME_DIGEST_RUN:
		r = message_digest_run_read(body, header->length, receiving->suite.limits.digest_size, &run, err);
		return r < 0 ? r : sink_digests(lane->lane, header->request, &run, err);
	default: return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame of type %d", (int)header->type);
	}
}

static void on_event(void *context, const struct sink_event *event)
{
	struct receiving *receiving = context;

	receiving->watch->event(receiving, event);
}

static void on_release(void *context, void *token)
{
	(void)context;
	lent_unref(token);
}

/* The other half is for what is written, and for whoever else moves. */
static uint64_t memory_half(const struct channel *channel)
{
	return channel->base->setup->settings->memory / 2;
}

uint64_t receiving_window(const struct channel *channel)
{
	uint64_t two = 2 * (uint64_t)channel->suite.limits.chunk_size, half = memory_half(channel);
	uint64_t window = half < WINDOW ? half : WINDOW;

	return window < two ? two : window;
}

static struct sink_params params_of(const struct channel *channel, const struct receiving_place *place)
{
	const struct suite *suite = &channel->suite;

	return (struct sink_params){
		.remote = place->remote,
		.name = place->name,
		.name_exists = place->name_exists,
		.name_is_dir = place->name_is_dir,
		.hidden = place->hidden,
		.reserved = STORE_HIDDEN,
		.flags = place->flags,
		.chunk_size = suite->limits.chunk_size,
		.digest_size = suite->limits.digest_size,
		.integrity = suite->integrity->about.name,
		.strong = suite->integrity->integrity.strength >= XFER_STRENGTH_CRYPTOGRAPHIC,
		.requests_max = requests_of(channel),
		.window = receiving_window(channel),
		.window_all = memory_half(channel),
		.lanes = place->lanes,
		.shared = place->shared,
		.order_payload = read_job_payload(suite),
		.keep_payload = keep_job_payload(suite),
		.keeps_max = KEEPS_MAX,
		.limit_rate = place->limit_rate,
		.sync = place->sync,
	};
}

int receiving_open(struct receiving *receiving, struct channel *channel, const struct receiving_place *place,
                   uint64_t consumed, uint64_t granted, const struct receiving_watch *watch, struct error *err)
{
	const struct sink_watch events = { .context = receiving, .event = on_event, .release = on_release };
	struct sink_params params = params_of(channel, place);
	char hidden[STORE_HIDDEN_NAME_MAX];
	int r = params.hidden == NULL ? store_hidden_name(hidden) : 0;

	if (r < 0)
		return error_system(err, r, FAULT_LOCAL, "no random name");
	if (params.hidden == NULL)
		params.hidden = hidden;
	params.consumed = consumed;
	params.granted = granted;
	*receiving = (struct receiving){
		.owner.done = receiving_job_done,
		.base = channel->base,
		.suite = channel->suite,
		.watch = watch,
		.root = place->root,
		.sync = place->sync,
		.flags = place->flags,
		.replace = place->replace,
		.keep = place->keep,
	};
	list_init(&receiving->lanes);
	lane_begin(receiving, &receiving->main, channel);
	list_init(&receiving->jobs);
	list_init(&receiving->hunger);
	if (sink_create(&receiving->sink, &params, &events) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a transfer");
	receiving->main.lane = sink_main(receiving->sink);
	receiving->journal = place->journal;
	return 0;
}

void receivings_feed(struct loop *loop)
{
	struct list waiting;
	struct list *node;

	/* Once round: who finds none again goes to the end of the queue. */
	list_init(&waiting);
	while ((node = list_first(&loop->keeping)) != NULL) {
		list_remove(node);
		list_append(&waiting, node);
	}
	while ((node = list_first(&waiting)) != NULL) {
		list_remove(node);
		receiving_pump(list_entry(node, struct receiving, hunger));
	}
}

static void checks_over(struct receiving *receiving)
{
	for (struct list *node = receiving->lanes.next; node != &receiving->lanes; node = node->next)
		checks_end(&list_entry(node, struct receiving_lane, link)->checks);
}

void receiving_abort(struct receiving *receiving)
{
	if (receiving->sink == NULL || receiving->aborted)
		return;
	receiving->aborted = true;
	sink_abort(receiving->sink);
	checks_over(receiving);
	receiving_pump(receiving);
}

void receiving_progress(const struct receiving *receiving, struct xfer_progress *ours)
{
	struct list *oldest = list_first(&receiving->jobs);
	struct sink_count count;

	sink_counts(receiving->sink, &count);
	ours->received = count.received;
	ours->verified = count.bytes;
	ours->durable = count.bytes;
	if (oldest != NULL)
		job_progress(list_entry(oldest, struct job, link), ours);
	else if (sink_waits(receiving->sink))
		ours->stage = XFER_STAGE_RECEIVE;
}

void receiving_close(struct receiving *receiving)
{
	if (receiving->sink == NULL)
		return;
	list_remove(&receiving->hunger);
	receiving_jobs_close(receiving);
	checks_over(receiving);
	for (struct list *node; (node = list_first(&receiving->lanes)) != NULL;) {
		list_entry(node, struct receiving_lane, link)->lane = NULL;
		list_remove(node);
	}
	sink_destroy(receiving->sink);
	receiving->sink = NULL;
	journal_close(receiving->journal);
	receiving->journal = NULL;
}
