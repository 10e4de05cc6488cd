/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-receiver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A frame whose digest is being looked at. */
struct check {
	struct list link;
	struct sim_event event;
	struct sim_receiver *receiver;
	enum frame_type type;
	size_t len; /* of the run, without its digest */
	bool done, right;
	uint8_t bytes[];
};

static struct sim_receiver *of_end(struct sim_end *end)
{
	return list_entry(end, struct sim_receiver, end);
}

/* What the frames that the sink made just now grant. */
static void grants_check(struct sim_receiver *receiver, const uint8_t *bytes, size_t len)
{
	struct sim *sim = receiver->end.sim;
	uint64_t consumed, granted, total, window = sim->plan.window;
	struct frame_header header;

	if (window < 2 * (uint64_t)receiver->end.limits.chunk_size)
		window = 2 * (uint64_t)receiver->end.limits.chunk_size;
	sink_credit(sink_main(receiver->sink), &consumed, &granted);
	for (size_t at = 0; at < len; at += FRAME_HEADER + header.length) {
		sim_check(sim, frame_header_read(bytes + at, &receiver->end.limits, &header, NULL) == 0,
		          "the sink makes frames that cannot be read");
		if (header.type != FRAME_CREDIT || header.request != 0)
			continue;
		sim_check(sim,
		          message_credit_read(bytes + at + FRAME_HEADER, header.length, &total, NULL) == 0 &&
		                  total > receiver->granted_out,
		          "a credit that grants nothing");
		receiver->granted_out = total;
		sim_check(sim, total <= consumed + window, "more is granted than the window");
	}
	sim_check(sim, granted == receiver->granted_out, "the sink grants %llu and says %llu",
	          (unsigned long long)granted, (unsigned long long)receiver->granted_out);
	sim_check(sim,
	          receiver->held <=
	                  receiver->received - (consumed < receiver->received ? consumed : receiver->received),
	          "more payload is held than is accounted for");
}

static void frames_send(struct sim_receiver *receiver)
{
	struct sim_end *end = &receiver->end;
	struct buf *out = sim_end_control(end);
	size_t before = out->len;

	sim_enter(end->sim);
	/* Without memory for a frame the next event tries again. */
	(void)sink_frames(sink_main(receiver->sink), out, end->sim->now);
	sim_leave(end->sim);
	grants_check(receiver, out->data + before, out->len - before);
}

static void idle_over(struct sim *sim, struct sim_event *event)
{
	(void)sim;
	sim_receiver_pump(list_entry(event, struct sim_receiver, idle));
}

static void killed_over(struct sim_receiver *receiver)
{
	if (receiver->jobs > 0 || !list_empty(&receiver->checks))
		return;
	sink_destroy(receiver->sink);
	receiver->sink = NULL;
	receiver->disk->frozen = false;
	receiver->over = true;
	sim_journal_tear(&receiver->transfers[receiver->at].journal, sim_strikes(receiver->end.sim, STRIKE_JOURNAL));
	sim_check(receiver->end.sim, receiver->held == 0, "%llu bytes of payload are not given back",
	          (unsigned long long)receiver->held);
	while (!list_empty(&receiver->writers))
		sim_writer_free(list_entry(list_first(&receiver->writers), struct sim_writer, link));
}

static void abort_all(struct sim_receiver *receiver);

void sim_receiver_pump(struct sim_receiver *receiver)
{
	struct sim_end *end = &receiver->end;
	uint64_t deadline;

	if (receiver->sink == NULL)
		return;
	if (receiver->killed) {
		killed_over(receiver);
		return;
	}
	sim_orders_begin(receiver);
	if (end->state == SIM_OPEN) {
		frames_send(receiver);
		sim_end_flush(end);
	}
	if (receiver->sink == NULL) /* flushing ended it */
		return;
	deadline = sink_deadline(receiver->sink, end->sim->now);
	if (deadline != CLOCK_NEVER && end->state == SIM_OPEN && receiver->idle.node.at == 0)
		sim_after(end->sim, &receiver->idle, deadline - end->sim->now, idle_over);
	if (!sink_finished(receiver->sink)) {
		/* Something was damaged, and nobody is there to send it again. */
		if (receiver->alone && receiver->jobs == 0 && list_empty(&receiver->checks))
			abort_all(receiver);
		return;
	}
	sim_check(end->sim, receiver->jobs == 0, "the sink is finished with orders out");
	if (list_empty(&receiver->checks)) {
		sim_transfer_finish(receiver);
		sim_receiver_pump(receiver);
	}
}

/* ---- frames ---- */

static int ends_take(struct sim_receiver *receiver, const uint8_t *run, size_t len, struct error *err)
{
	struct end end;
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		r = message_end_read(run, len, &at, receiver->end.limits.digest_size, &end, err);
		if (r < 0)
			break;
		if (end.request > SIM_TOTALS_REQUEST - receiver->count || sim_verify_end(&receiver->verify, &end))
			continue;
		sim_enter(receiver->end.sim);
		r = sink_end(sink_main(receiver->sink), &end, err);
		sim_leave(receiver->end.sim);
	}
	return r;
}

/* Hands what was checked to the sink, as far as it follows one another. */
static void checks_take(struct sim_receiver *receiver)
{
	struct list *node;

	while ((node = list_first(&receiver->checks)) != NULL) {
		struct check *check = list_entry(node, struct check, link);
		struct error err = { 0 };
		int r = 0;

		if (!check->done)
			return;
		list_remove(node);
		if (receiver->aborted || receiver->sink == NULL)
			continue;
		sim_check(receiver->end.sim, check->right, "the digest of a run is wrong");
		if (check->type == FRAME_ENDS) {
			r = ends_take(receiver, check->bytes, check->len, &err);
		} else {
			sim_enter(receiver->end.sim);
			r = sink_entries(sink_main(receiver->sink), check->bytes, check->len, &err);
			sim_leave(receiver->end.sim);
		}
		if (r < 0)
			sim_end_fail(&receiver->end, &err);
	}
}

static void check_back(struct sim *sim, struct sim_event *event)
{
	struct check *check = list_entry(event, struct check, event);
	struct sim_receiver *receiver = check->receiver;

	sim->moved = sim->now;
	check->done = true;
	checks_take(receiver);
	sim_receiver_pump(receiver);
}

static int check_add(struct sim_receiver *receiver, const struct frame_header *header, const uint8_t *body,
                     struct error *err)
{
	struct sim *sim = receiver->end.sim;
	uint32_t size = receiver->end.limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];
	struct check *check;
	size_t run;
	int r = message_run_read(header->length, size, &run, err);

	if (r < 0)
		return r;
	check = sim_take(sim, sizeof(*check) + run);
	check->receiver = receiver;
	check->type = header->type;
	check->len = run;
	memcpy(check->bytes, body, run);
	sim_digest(digest, size, sim_hash(body, run));
	check->right = memcmp(digest, body + run, size) == 0;
	check->done = size == 0;
	list_append(&receiver->checks, &check->link);
	if (check->done)
		checks_take(receiver);
	else
		sim_after(sim, &check->event, sim_around(sim, sim->plan.hash_delay), check_back);
	return 0;
}

static int chunk_take(struct sim_receiver *receiver, const struct frame_header *header, const uint8_t *bytes,
                      struct error *err)
{
	struct sim *sim = receiver->end.sim;
	size_t len = FRAME_HEADER + header->length;
	struct sim_token *token = sim_take_raw(sim, sizeof(*token) + len);
	struct frame_chunk chunk;
	int r;

	memcpy(token->bytes, bytes, len);
	r = frame_chunk_read(token->bytes, &receiver->end.limits, &chunk, err);
	if (r < 0)
		return r;
	token->refs = 1;
	token->len = chunk.length;
	receiver->received += chunk.length;
	receiver->held += chunk.length;
	sim_enter(sim);
	r = sink_chunk(sink_main(receiver->sink), &chunk, token, err);
	sim_leave(sim);
	if (r != 1)
		sim_token_drop(receiver, token);
	sim_check(sim, r < 0 || receiver->received <= receiver->granted_out, "more is taken than was granted");
	return r < 0 ? r : 0;
}

static int digests_take(struct sim_receiver *receiver, const struct frame_header *header, const uint8_t *body,
                        struct error *err)
{
	struct message_digest_run run;
	int r = message_digest_run_read(body, header->length, receiver->end.limits.digest_size, &run, err);

	if (r < 0)
		return r;
	if (sim_verify_run(&receiver->verify, header->request, &run))
		return 0;
	sim_enter(receiver->end.sim);
	r = sink_digests(sink_main(receiver->sink), header->request, &run, err);
	sim_leave(receiver->end.sim);
	return r;
}

static int on_frame(struct sim_end *end, const struct frame_header *header, const uint8_t *bytes, struct error *err)
{
	struct sim_receiver *receiver = of_end(end);
	uint64_t first, count;
	int r;

	if (receiver->aborted || receiver->sink == NULL)
		return 0;
	switch (header->type) {
	case FRAME_DIGEST_RUN: return digests_take(receiver, header, bytes + FRAME_HEADER, err);
	case FRAME_ENTRIES:
	case FRAME_ENDS: return check_add(receiver, header, bytes + FRAME_HEADER, err);
	case FRAME_CHUNK: return chunk_take(receiver, header, bytes, err);
	case FRAME_HOLE:
		r = message_hole_read(bytes + FRAME_HEADER, header->length, &first, &count, err);
		sim_enter(end->sim);
		r = r < 0 ? r : sink_hole(sink_main(receiver->sink), header->request, first, count, err);
		sim_leave(end->sim);
		return r;
	default: return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame");
	}
}

static void on_open(struct sim_end *end)
{
	struct sim_receiver *receiver = of_end(end);

	sim_verify_ask(&receiver->verify, end, receiver->tree);
	sim_transfer_begin(receiver);
}

static void on_work(struct sim_end *end)
{
	sim_receiver_pump(of_end(end));
}

static void abort_all(struct sim_receiver *receiver)
{
	if (receiver->aborted)
		return;
	receiver->aborted = true;
	if (receiver->sink == NULL) {
		receiver->over = true;
		return;
	}
	sim_enter(receiver->end.sim);
	sink_abort(receiver->sink);
	sim_leave(receiver->end.sim);
	sim_receiver_pump(receiver);
}

static void on_ended(struct sim_end *end, const struct error *err)
{
	struct sim_receiver *receiver = of_end(end);

	sim_never(end->sim, &receiver->idle);
	if (err->fault == FAULT_PEER && receiver->sink != NULL && !sink_waits(receiver->sink) && !receiver->aborted) {
		receiver->alone = true;
		sim_receiver_pump(receiver);
	} else {
		abort_all(receiver);
	}
}

const struct sim_end_watch sim_receiver_watch = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.ended = on_ended,
};

void sim_receiver_make(struct sim_receiver *receiver, struct sim_disk *disk, struct sim_tree *tree,
                       struct sim_transfer *transfers, unsigned count)
{
	receiver->disk = disk;
	receiver->tree = tree;
	receiver->transfers = transfers;
	receiver->count = count;
	list_init(&receiver->spare);
	list_init(&receiver->checks);
	list_init(&receiver->writers);
}

void sim_receiver_cancel(struct sim_receiver *receiver)
{
	struct error err = { 0 };

	sim_say(receiver->end.sim, "sink: the user gives up");
	error_set(&err, -EINTR, FAULT_INTERRUPTED, "interrupted");
	sim_end_fail(&receiver->end, &err);
}

void sim_receiver_kill(struct sim_receiver *receiver)
{
	sim_say(receiver->end.sim, "sink: is killed");
	receiver->killed = receiver->aborted = true;
	sim_never(receiver->end.sim, &receiver->idle);
	sim_end_kill(&receiver->end);
	if (receiver->sink == NULL)
		receiver->over = true;
	sim_receiver_pump(receiver);
}

bool sim_receiver_over(const struct sim_receiver *receiver)
{
	return receiver->over && receiver->sink == NULL && list_empty(&receiver->checks);
}
