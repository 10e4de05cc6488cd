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

static struct sim_place place_of(const struct sim_receiver *receiver, const struct sink_file *file)
{
	struct sim_transfer *transfer = &receiver->transfers[receiver->at];
	char path[2 * SIM_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", transfer->remote, file->name[0] != '\0' ? "/" : "", file->name);
	return (struct sim_place){
		.disk = receiver->disk,
		.journal = transfer->resumes ? &transfer->journal : NULL,
		.node = sim_tree_find(receiver->tree, path),
		.chunk_size = receiver->end.limits.chunk_size,
		.digest_size = receiver->end.limits.digest_size,
	};
}

static struct sim_writer *writer_ready(struct sim_receiver *receiver, struct sink_file *file)
{
	struct sim_place place;
	struct sim_writer *writer;

	if (file->handle != NULL)
		return file->handle;
	place = place_of(receiver, file);
	file->handle = writer = sim_writer_make(&place, file);
	list_append(&receiver->writers, &writer->link);
	return writer;
}

/* ---- what may be ordered ---- */

/* Of holes; the file digest wants to see it before what is behind it. */
static bool is_long(const struct sink_piece *piece)
{
	return piece->op == SINK_HOLE && piece->count > HOLE_LONG;
}

static bool is_end(enum sink_op op)
{
	return op >= SINK_PUBLISH;
}

/* By itself, before the connection was gone; then nothing is left. */
static bool sink_gave_up(const struct sim *sim)
{
	return sim->odds[STRIKE_WRITE].hits + sim->odds[STRIKE_FULL].hits + sim->odds[STRIKE_MEMORY].hits +
	               sim->odds[STRIKE_WALK].hits + sim->odds[STRIKE_LIE].hits >
	       0;
}

static void dirs_check(struct sim_receiver *receiver, const struct sink_order *order)
{
	struct sim *sim = receiver->end.sim;

	sim_check(sim, receiver->dir_jobs == 0, "two orders of directories at a time");
	for (size_t i = 0; i < order->count; i++) {
		sim_check(sim, order->dirs[i].op < SINK_DIR_SYNC || receiver->jobs == 0,
		          "the last step comes while orders are out");
		sim_check(sim, order->dirs[i].op != SINK_DIR_RENAME || !receiver->aborted,
		          "a tree is published that was given up");
		sim_check(sim,
		          order->dirs[i].op != SINK_DIR_REMOVE || !receiver->aborted ||
		                  !receiver->transfers[receiver->at].resumes || sink_gave_up(sim),
		          "what was to be left is removed");
	}
}

static void pieces_check(struct sim_receiver *receiver, struct sink_order *order)
{
	struct sim *sim = receiver->end.sim;
	uint64_t bytes = 0;

	for (size_t i = 0; i < order->count; i++) {
		struct sink_piece *piece = &order->pieces[i];
		struct sim_writer *writer = writer_ready(receiver, piece->file);
		unsigned here = 0;

		writer->out++;
		bytes += piece->op == SINK_CHUNK ? piece->chunk.length : 0;
		for (size_t k = 0; k <= i; k++)
			here += order->pieces[k].file == piece->file;
		sim_check(sim, writer->out == 1 || (!writer->alone && !is_long(piece)),
		          "%s: a long run of holes is not alone", writer->path);
		writer->alone = is_long(piece);
		sim_check(sim, !is_end(piece->op) || writer->out == here, "%s ends while orders of it are out",
		          writer->path);
	}
	sim_check(sim,
	          bytes <= sim->plan.order_payload || order->count <= 2 || bytes <= receiver->end.limits.chunk_size,
	          "an order of %llu bytes", (unsigned long long)bytes);
}

static void probes_check(struct sim_receiver *receiver, const struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++)
		sim_check(receiver->end.sim, order->probes[i].file->handle == NULL, "%s is probed too late",
		          order->probes[i].file->path);
}

static void keeps_check(struct sim_receiver *receiver, struct sink_order *order)
{
	struct sim *sim = receiver->end.sim;
	uint64_t chunks = 0, most = sim->plan.keep_payload / receiver->end.limits.chunk_size;

	receiver->keep_jobs++;
	sim_check(sim, receiver->keep_jobs <= sim->plan.keeps_max, "too many orders that look at what is there");
	for (size_t i = 0; i < order->count; i++) {
		const struct sink_keep *piece = &order->keeps[i];

		writer_ready(receiver, piece->file)->out++;
		sim_check(sim, piece->count > 0 && (piece->zeroes || piece->count <= SINK_KEEP_CHUNKS),
		          "%s: %llu chunks to look at", piece->file->path, (unsigned long long)piece->count);
		chunks += piece->zeroes ? 0 : piece->count;
	}
	sim_check(sim, chunks <= 1 || chunks <= most, "%llu chunks to look at in an order", (unsigned long long)chunks);
}

static void order_check(struct sim_receiver *receiver, struct sink_order *order)
{
	sim_check(receiver->end.sim, order->count > 0, "an order of nothing");
	switch (order->kind) {
	case SINK_ORDER_WRITE: pieces_check(receiver, order); break;
	case SINK_ORDER_DIRS: dirs_check(receiver, order); break;
	case SINK_ORDER_PROBE: probes_check(receiver, order); break;
	case SINK_ORDER_KEEP: keeps_check(receiver, order); break;
	}
}

static void order_say(const struct sim_receiver *receiver, const struct sink_order *order)
{
	static const char *const pieces[] = { "chunk", "hole", "copy", "publish", "settle", "close", "abandon" };
	static const char *const dirs[] = { "make", "meta", "link", "sweep", "sync", "rename", "remove" };
	const struct sim *sim = receiver->end.sim;

	for (size_t i = 0; i < order->count; i++) {
		const struct sink_piece *piece = &order->pieces[i];
		const struct sink_keep *keep = &order->keeps[i];

		switch (order->kind) {
		case SINK_ORDER_WRITE:
			sim_say(sim, "sink: order: %s %s, %llu", pieces[piece->op], piece->file->path,
			        (unsigned long long)(piece->op == SINK_CHUNK ? piece->chunk.index : piece->first));
			break;
		case SINK_ORDER_DIRS:
			sim_say(sim, "sink: order: %s %s", dirs[order->dirs[i].op], order->dirs[i].path);
			break;
		case SINK_ORDER_PROBE: sim_say(sim, "sink: order: probe %s", order->probes[i].file->path); break;
		case SINK_ORDER_KEEP:
			sim_say(sim, "sink: order: keep %s, %llu from %llu%s", keep->file->path,
			        (unsigned long long)keep->count, (unsigned long long)keep->first,
			        keep->zeroes ? ", zeroes" : "");
			break;
		}
	}
}

/* ---- what becomes of it ---- */

/* Nothing is done in a directory that could not be made. */
static void dirs_run(struct sim_receiver *receiver, struct sink_order *order, size_t at)
{
	struct sink_dir_piece *piece = &order->dirs[at];

	if (piece->lost || (piece->within > 0 && order->dirs[piece->within - 1].code < 0))
		piece->code = -ENOTDIR;
	else
		sim_dir_piece(receiver->disk, piece);
}

static void order_run(struct sim_receiver *receiver, struct sink_order *order)
{
	const struct sim_transfer *transfer = &receiver->transfers[receiver->at];
	struct sim_place place;

	for (size_t i = 0; i < order->count; i++) {
		switch (order->kind) {
		case SINK_ORDER_WRITE:
			sim_writer_piece(order->pieces[i].file->handle, &order->pieces[i],
			                 receiver->end.sim->plan.sync);
			break;
		case SINK_ORDER_DIRS: dirs_run(receiver, order, i); break;
		case SINK_ORDER_PROBE:
			place = place_of(receiver, order->probes[i].file);
			sim_enter(receiver->end.sim);
			sim_probe(&place, transfer->flags_now, &order->probes[i]);
			sim_leave(receiver->end.sim);
			break;
		case SINK_ORDER_KEEP: sim_keep(order->keeps[i].file->handle, &order->keeps[i]); break;
		}
	}
}

/* The process was killed before it came to this. */
static void order_lose(struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		switch (order->kind) {
		case SINK_ORDER_WRITE: order->pieces[i].code = -ECANCELED; break;
		case SINK_ORDER_DIRS: order->dirs[i].code = -ECANCELED; break;
		case SINK_ORDER_PROBE: order->probes[i].code = -ECANCELED; break;
		case SINK_ORDER_KEEP: order->keeps[i].code = -ECANCELED; break;
		}
	}
}

static void piece_take(struct sim_receiver *receiver, struct sink_piece *piece)
{
	struct sim_writer *writer = piece->file->handle;

	writer->out--;
	writer->alone = writer->alone && !is_long(piece);
	if (piece->op == SINK_CHUNK)
		sim_token_drop(receiver, piece->token);
	if (is_end(piece->op) && (piece->op >= SINK_CLOSE || piece->code == 0)) {
		sim_writer_free(writer);
		piece->file->handle = NULL;
	}
}

/* What the carrier does with the results before it gives the order back. */
static void order_take(struct sim_receiver *receiver, struct sink_order *order)
{
	receiver->dir_jobs -= order->kind == SINK_ORDER_DIRS;
	receiver->keep_jobs -= order->kind == SINK_ORDER_KEEP;
	for (size_t i = 0; i < order->count; i++) {
		if (order->kind == SINK_ORDER_WRITE)
			piece_take(receiver, &order->pieces[i]);
		else if (order->kind == SINK_ORDER_KEEP)
			((struct sim_writer *)order->keeps[i].file->handle)->out--;
	}
}

static void job_back(struct sim *sim, struct sim_event *event)
{
	struct job *job = list_entry(event, struct job, event);
	struct sim_receiver *receiver = job->receiver;

	sim->moved = sim->now;
	receiver->jobs--;
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

	if (job->receiver->killed)
		order_lose(&job->order);
	else
		order_run(job->receiver, &job->order);
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
		if (sim->trace)
			order_say(receiver, &job->order);
		sim_after(sim, &job->event, sim_around(sim, sim->plan.disk_delay), job_run);
	}
}
