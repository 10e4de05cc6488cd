/* SPDX-License-Identifier: BSD-2-Clause */
/* The orders of a sink: that each may be given just now, what becomes of it, and that it comes back. */
#include "sim-receiver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HOLE_LONG = 4096 /* chunks */ };

struct job {
	struct sim_event event;
	struct list link; /* in receiver.spare */
	struct sim_receiver *receiver;
	struct sink_order order;
};

void sim_token_drop(struct sim_receiver *receiver, struct sim_token *token)
{
	sim_check(receiver->end.sim, token->refs == 1, "a buffer is given back twice");
	token->refs--;
	receiver->held -= token->len;
}

static void writer_ready(struct sim_receiver *receiver, struct sink_file *file)
{
	char path[2 * SIM_PATH_MAX];
	const struct sim_transfer *transfer = &receiver->transfers[receiver->at];
	struct sim_writer *writer;

	if (file->handle != NULL)
		return;
	snprintf(path, sizeof(path), "%s%s%s", transfer->remote, file->name[0] != '\0' ? "/" : "", file->name);
	writer = sim_writer_make(receiver->disk, sim_tree_find(receiver->tree, path), file,
	                         receiver->end.limits.chunk_size, receiver->end.limits.digest_size);
	list_append(&receiver->writers, &writer->link);
	file->handle = writer;
}

/* Of holes; the file digest wants to see it before what is behind it. */
static bool is_long(const struct sink_piece *piece)
{
	return piece->op == SINK_HOLE && piece->count > HOLE_LONG;
}

static void order_check(struct sim_receiver *receiver, struct sink_order *order)
{
	struct sim *sim = receiver->end.sim;
	uint64_t bytes = 0;

	sim_check(sim, order->count > 0, "an order of nothing");
	if (order->kind == SINK_ORDER_DIRS) {
		sim_check(sim, receiver->dir_jobs == 0, "two orders of directories at a time");
		for (size_t i = 0; i < order->count; i++) {
			sim_check(sim, order->dirs[i].op < SINK_DIR_SYNC || receiver->jobs == 0,
			          "the last step comes while orders are out");
			sim_check(sim, order->dirs[i].op != SINK_DIR_RENAME || !receiver->aborted,
			          "a tree is published that was given up");
		}
		return;
	}
	for (size_t i = 0; i < order->count; i++) {
		struct sink_piece *piece = &order->pieces[i];
		struct sim_writer *writer;
		unsigned here = 0;

		writer_ready(receiver, piece->file);
		writer = piece->file->handle;
		writer->out++;
		if (piece->op == SINK_CHUNK)
			bytes += piece->chunk.length;
		for (size_t k = 0; k <= i; k++)
			here += order->pieces[k].file == piece->file;
		sim_check(sim, writer->out == 1 || (!writer->alone && !is_long(piece)),
		          "%s: a long run of holes is not alone", writer->path);
		writer->alone = is_long(piece);
		sim_check(sim, piece->op < SINK_PUBLISH || writer->out == here, "%s ends while orders of it are out",
		          writer->path);
	}
	sim_check(sim,
	          bytes <= sim->plan.order_payload || order->count <= 2 || bytes <= receiver->end.limits.chunk_size,
	          "an order of %llu bytes", (unsigned long long)bytes);
}

static void order_say(const struct sim_receiver *receiver, const struct sink_order *order)
{
	static const char *const pieces[] = { "chunk", "hole", "publish", "abandon" };
	static const char *const dirs[] = { "make", "meta", "link", "sync", "rename", "remove" };

	for (size_t i = 0; i < order->count && receiver->end.sim->trace; i++) {
		const struct sink_piece *piece = &order->pieces[i];

		if (order->kind == SINK_ORDER_DIRS)
			sim_say(receiver->end.sim, "sink: order: %s %s", dirs[order->dirs[i].op], order->dirs[i].path);
		else
			sim_say(receiver->end.sim, "sink: order: %s %s, %llu", pieces[piece->op], piece->file->path,
			        (unsigned long long)(piece->op == SINK_HOLE ? piece->first : piece->chunk.index));
	}
}

static void order_run(struct sim_receiver *receiver, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		if (order->kind == SINK_ORDER_DIRS)
			sim_dir_piece(receiver->disk, &order->dirs[i]);
		else
			sim_writer_piece(order->pieces[i].file->handle, &order->pieces[i],
			                 receiver->end.sim->plan.sync);
	}
}

/* What the carrier does with the results before it gives the order back. */
static void order_take(struct sim_receiver *receiver, struct sink_order *order)
{
	for (size_t i = 0; i < order->count && order->kind == SINK_ORDER_WRITE; i++) {
		struct sink_piece *piece = &order->pieces[i];
		struct sim_writer *writer = piece->file->handle;

		writer->out--;
		writer->alone = writer->alone && !is_long(piece);
		if (piece->op == SINK_CHUNK)
			sim_token_drop(receiver, piece->token);
		if (piece->op == SINK_ABANDON || (piece->op == SINK_PUBLISH && piece->code == 0)) {
			sim_writer_free(writer);
			piece->file->handle = NULL;
		}
	}
}

static void job_back(struct sim *sim, struct sim_event *event)
{
	struct job *job = list_entry(event, struct job, event);
	struct sim_receiver *receiver = job->receiver;

	sim->moved = sim->now;
	receiver->jobs--;
	receiver->dir_jobs -= job->order.kind == SINK_ORDER_DIRS;
	order_take(receiver, &job->order);
	sim_enter(sim);
	sink_done(receiver->sink, &job->order);
	sim_leave(sim);
	list_append(&receiver->spare, &job->link);
	sim_receiver_pump(receiver);
}

static void job_run(struct sim *sim, struct sim_event *event)
{
	struct job *job = list_entry(event, struct job, event);

	if (!job->receiver->killed) {
		order_run(job->receiver, &job->order);
	} else {
		for (size_t i = 0; i < job->order.count; i++)
			*(job->order.kind == SINK_ORDER_DIRS ? &job->order.dirs[i].code
			                                     : &job->order.pieces[i].code) = -ECANCELED;
	}
	sim_after(sim, event, sim_around(sim, sim->plan.hash_delay), job_back);
}

static struct job *job_make(struct sim_receiver *receiver)
{
	struct list *node = list_first(&receiver->spare);
	struct job *job = node != NULL ? list_entry(node, struct job, link) : NULL;

	if (job == NULL)
		job = sim_take_raw(receiver->end.sim, sizeof(*job));
	else
		list_remove(node);
	memset(job, 0, offsetof(struct job, order));
	job->receiver = receiver;
	return job;
}

void sim_orders_begin(struct sim_receiver *receiver)
{
	struct sim *sim = receiver->end.sim;
	struct job *job;
	bool some;

	while (receiver->jobs < sim->plan.writes_max) {
		job = job_make(receiver);
		sim_enter(sim);
		some = sink_next(receiver->sink, &job->order);
		sim_leave(sim);
		if (!some) {
			list_append(&receiver->spare, &job->link);
			return;
		}
		order_check(receiver, &job->order);
		receiver->jobs++;
		receiver->dir_jobs += job->order.kind == SINK_ORDER_DIRS;
		order_say(receiver, &job->order);
		sim_after(sim, &job->event, sim_around(sim, sim->plan.disk_delay), job_run);
	}
}
