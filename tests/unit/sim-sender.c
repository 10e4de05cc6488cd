/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-sender.h"

#include "sim-read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void release(void *context, struct source_request *request)
{
	struct sim_sender *sender = context;
	struct sim_reading *reading = request->handle;

	if (reading == NULL)
		return;
	sim_check(sender->end.sim, reading->out == 0, "request %u is let go with orders out", request->id);
	ranges_free(&reading->sent);
	sender->handles--;
	request->handle = NULL;
}

/* ---- jobs ---- */

static void pump(struct sim_sender *sender);

static void maybe_over(struct sim_sender *sender)
{
	if (!sender->over || sender->jobs > 0 || sender->source == NULL)
		return;
	sim_enter(sender->end.sim);
	source_destroy(sender->source, release, sender);
	sim_leave(sender->end.sim);
	sender->source = NULL;
	sim_check(sender->end.sim, sender->handles == 0, "%u requests were not let go", sender->handles);
}

static void job_back(struct sim *sim, struct sim_event *event)
{
	struct sim_send_job *job = list_entry(event, struct sim_send_job, event);
	struct sim_sender *sender = job->sender;

	sim->moved = sim->now;
	sender->jobs--;
	for (size_t i = 0; i < job->order.count; i++) {
		const struct source_piece *piece = &job->order.pieces[i];
		struct sim_reading *reading = piece->request->handle;

		reading->out--;
		reading->told = reading->told || piece->ended;
		sender->reserved -= job->order.is_list ? 0 : piece->reserved;
		sender->sent += job->order.is_list || job->order.digests ? 0 : piece->bytes;
	}
	sim_check(sim, sender->sent + sender->reserved <= sender->credit, "more was sent than granted");
	if (sender->end.state == SIM_OPEN && job->control.len > 0 &&
	    buf_append(sim_end_control(&sender->end), job->control.data, job->control.len) < 0)
		abort();
	if (sender->end.state == SIM_OPEN && job->len > 0)
		sim_end_batch(&sender->end, job->bytes, job->len);
	buf_free(&job->control);
	buf_free(&job->ends);
	sim_enter(sim);
	source_done(sender->source, &job->order, release, sender);
	sim_leave(sim);
	list_append(&sender->spare, &job->link);
	if (sender->over)
		maybe_over(sender);
	else
		pump(sender);
}

static void job_run(struct sim *sim, struct sim_event *event)
{
	struct sim_send_job *job = list_entry(event, struct sim_send_job, event);

	if (job->order.is_list)
		sim_list_run(job);
	else
		sim_read_run(job);
	sim_after(sim, event, sim_around(sim, sim->plan.hash_delay), job_back);
}

static void handle_make(struct sim_sender *sender, struct source_request *request)
{
	struct sim_reading *reading = request->handle;

	if (reading == NULL) {
		reading = sim_take(sender->end.sim, sizeof(*reading));
		reading->node = sim_tree_find(sender->tree, request->path);
		request->handle = reading;
		sender->handles++;
	}
	reading->out++;
}

/* One chunk at least. */
static uint64_t order_payload(const struct sim_sender *sender)
{
	uint64_t payload = sender->end.sim->plan.read_payload;

	return payload > sender->end.limits.chunk_size ? payload : sender->end.limits.chunk_size;
}

static void job_check(struct sim_sender *sender, const struct sim_send_job *job)
{
	uint64_t reserved = 0;

	for (size_t i = 0; i < job->order.count; i++) {
		const struct source_piece *piece = &job->order.pieces[i];
		const struct sim_reading *reading = piece->request->handle;

		sim_say(sender->end.sim, "source: order: %s of request %u, from %llu, count %lld, for %llu bytes%s",
		        job->order.is_list ? "listing" : "piece", piece->request->id, (unsigned long long)piece->first,
		        (long long)piece->count, (unsigned long long)piece->reserved,
		        piece->end ? ", then its end" : "");
		reserved += piece->reserved;
		sim_check(sender->end.sim, job->order.is_list || job->order.payload_max <= order_payload(sender),
		          "an order of %llu bytes", (unsigned long long)job->order.payload_max);
		sim_check(sender->end.sim, !(piece->end || job->order.is_list) || reading->out == 1,
		          "request %u is to end while orders of it are out", piece->request->id);
		sim_check(sender->end.sim, !reading->told, "request %u goes on behind its end", piece->request->id);
	}
	sender->reserved += job->order.is_list ? 0 : reserved;
	sim_check(sender->end.sim, job->order.is_list || reserved == (job->order.digests ? 0 : job->order.payload_max),
	          "pieces do not add up to the order");
	sim_check(sender->end.sim, sender->sent + sender->reserved <= sender->credit, "more is ordered than granted");
}

static bool may_read(const struct sim_sender *sender)
{
	const struct sim_end *end = &sender->end;
	const struct sim_plan *plan = &end->sim->plan;

	if (end->state != SIM_OPEN || sender->over || sender->jobs >= plan->reads_max)
		return false;
	return sender->jobs + end->batch_count == 0 || end->queued + sender->jobs * plan->read_payload < plan->ahead;
}

static struct sim_send_job *job_make(struct sim_sender *sender)
{
	struct list *node = list_first(&sender->spare);
	struct sim_send_job *job = node != NULL ? list_entry(node, struct sim_send_job, link) : NULL;

	if (job == NULL)
		job = sim_take_raw(sender->end.sim, sizeof(*job));
	else
		list_remove(node);
	memset(job, 0, offsetof(struct sim_send_job, order));
	job->sender = sender;
	return job;
}

static void pump(struct sim_sender *sender)
{
	struct sim *sim = sender->end.sim;
	struct sim_send_job *job;
	bool some;

	while (may_read(sender)) {
		job = job_make(sender);
		sim_enter(sim);
		some = source_next(sender->source, &job->order);
		sim_leave(sim);
		if (!some) {
			list_append(&sender->spare, &job->link);
			break;
		}
		for (size_t i = 0; i < job->order.count; i++)
			handle_make(sender, job->order.pieces[i].request);
		sender->jobs++;
		job_check(sender, job);
		sim_after(sim, &job->event, sim_around(sim, sim->plan.disk_delay), job_run);
	}
	if (sender->end.state == SIM_OPEN)
		sim_end_flush(&sender->end);
}

/* ---- frames ---- */

static int read_take(struct sim_sender *sender, const struct frame_header *header, const uint8_t *body,
                     struct error *err)
{
	struct message_read item;
	uint16_t count = 0;
	size_t at = 0;
	int r = message_read_count(body, header->length, &at, &count, err);

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = message_read_item(body, header->length, &at, &item, err);
		if (r < 0)
			break;
		sim_say(sender->end.sim, "source: request %u: chunks from %llu, count %lld, of %llu bytes",
		        header->request + i, (unsigned long long)item.first, (long long)item.count,
		        (unsigned long long)item.size);
		sim_enter(sender->end.sim);
		r = source_read(sender->source, header->request + i, &item, err);
		sim_leave(sender->end.sim);
	}
	return r < 0 ? r : message_body_end(header->length, at, err);
}

static int take(struct sim_sender *sender, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_list list;
	uint64_t total;
	int r;

	switch (header->type) {
	case FRAME_READ: return read_take(sender, header, body, err);
	case FRAME_LIST:
		r = message_list_read(body, header->length, &list, err);
		sim_enter(sender->end.sim);
		r = r < 0 ? r : source_list(sender->source, header->request, &list, err);
		sim_leave(sender->end.sim);
		return r;
	case FRAME_CREDIT:
		r = message_credit_read(body, header->length, &total, err);
		if (r == 0)
			r = source_credit(sender->source, header->request, total, err);
		if (r == 0 && header->request == 0)
			sender->credit = total;
		return r;
	case FRAME_CANCEL: source_cancel(sender->source, header->request); return 0;
	default: return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame");
	}
}

static int on_frame(struct sim_end *end, const struct frame_header *header, const uint8_t *bytes, struct error *err)
{
	struct sim_sender *sender = list_entry(end, struct sim_sender, end);
	int r = take(sender, header, bytes + FRAME_HEADER, err);

	/* What a sink of ours asks for is always right, unless it was damaged on the way or memory ran out. */
	sim_check(end->sim, r == 0 || err->code == -ENOMEM, "the source refuses what the sink asks for: %s", err->text);
	return r;
}

static void on_open(struct sim_end *end)
{
	struct sim_sender *sender = list_entry(end, struct sim_sender, end);
	const struct sim_plan *plan = &end->sim->plan;
	const struct source_limits limits = {
		.requests_max = plan->requests_max + 16,
		.chunk_size = end->limits.chunk_size,
		.order_payload = order_payload(sender),
		.open_max = plan->open_max,
	};
	struct error err = { 0 };
	int r;

	sim_enter(end->sim);
	r = source_create(&sender->source, &limits);
	sim_leave(end->sim);
	if (r == 0)
		return;
	sender->over = true;
	error_set(&err, r, FAULT_LOCAL, "out of memory for a source");
	sim_end_fail(end, &err);
}

static void on_work(struct sim_end *end)
{
	struct sim_sender *sender = list_entry(end, struct sim_sender, end);

	if (sender->source != NULL)
		pump(sender);
}

static void on_ended(struct sim_end *end, const struct error *err)
{
	struct sim_sender *sender = list_entry(end, struct sim_sender, end);

	/* In order the sink goes only when all that it asked for is answered. */
	sim_check(end->sim,
	          err->code != 0 || sender->source == NULL || source_pending(sender->source) == 0 ||
	                  sim_struck(end->sim) > 0 || end->sim->plan.totals || end->sim->plan.verify,
	          "the sink went, and %zu requests are unanswered", source_pending(sender->source));
	sender->over = true;
	maybe_over(sender);
}

const struct sim_end_watch sim_sender_watch = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.ended = on_ended,
};

void sim_sender_make(struct sim_sender *sender, struct sim_tree *tree)
{
	sender->tree = tree;
	list_init(&sender->spare);
}

bool sim_sender_over(const struct sim_sender *sender)
{
	return sender->source == NULL && sender->jobs == 0;
}
