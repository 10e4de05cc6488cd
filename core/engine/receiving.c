/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/receiving.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 16 * 1024 * 1024,   /* payload bytes granted ahead */
	ORDER_PAYLOAD = 1024 * 1024, /* payload bytes of one order */
	REQUESTS_MAX = 1024,         /* READs unanswered */
	CONTROL_AHEAD = 256 * 1024   /* bytes of control frames not yet sent */
};

/* An order under way. */
struct receiving_job {
	union {
		struct job job;
		struct write_job write;
		struct dir_job dir;
	};
	struct sink_order order;
};

static int file_handle(struct receiving *receiving, struct sink_file *file)
{
	const struct write_place place = {
		.root = receiving->root,
		.path = file->path,
		.final = file->final,
		.sync = receiving->sync && file->final != NULL,
	};
	struct write_file *handle;
	int r;

	if (file->handle != NULL)
		return 0;
	r = write_file_create(&handle, &place, &receiving->channel->suite, file->size);
	if (r == 0)
		file->handle = handle;
	return r;
}

static void piece_fill(struct write_piece *to, const struct sink_piece *from)
{
	struct sink_file *file = from->file;

	*to = (struct write_piece){ .file = file->handle };
	switch (from->op) {
	case SINK_CHUNK:
		to->op = WRITE_CHUNK;
		to->chunk = from->chunk;
		break;
	case SINK_HOLE:
		to->op = WRITE_HOLE;
		to->first = from->first;
		to->count = from->count;
		break;
	case SINK_PUBLISH:
		to->op = WRITE_PUBLISH;
		to->size = file->size;
		to->chunks = file->chunks;
		to->meta = (struct store_meta){ .mode = file->mode, .mtime = { file->mtime, file->mtime_ns } };
		to->digest = file->has_digest ? file->digest : NULL;
		break;
	case SINK_ABANDON: to->op = WRITE_ABANDON; break;
	}
}

static void order_write(struct receiving *receiving, struct receiving_job *work)
{
	work->write = (struct write_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_piece *piece = &work->order.pieces[i];

		piece->code = file_handle(receiving, piece->file);
		if (piece->code < 0)
			work->write.count = 0; /* out of memory: none of it is done */
		else if (work->write.count > 0)
			piece_fill(&work->write.pieces[i], piece);
	}
	work->job.kind = JOB_WRITE;
}

static void order_dir(struct receiving *receiving, struct receiving_job *work)
{
	static const enum dir_op ops[] = {
		[SINK_DIR_MAKE] = DIR_MAKE, [SINK_DIR_META] = DIR_META,     [SINK_DIR_LINK] = DIR_SYMLINK,
		[SINK_DIR_SYNC] = DIR_SYNC, [SINK_DIR_RENAME] = DIR_RENAME, [SINK_DIR_REMOVE] = DIR_REMOVE,
	};

	work->dir = (struct dir_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		const struct sink_dir_piece *piece = &work->order.dirs[i];

		work->dir.pieces[i] = (struct dir_piece){
			.op = ops[piece->op],
			.root = receiving->root,
			.path = piece->path,
			.target = piece->target,
			.meta = { .mode = piece->mode, .mtime = { piece->mtime, piece->mtime_ns } },
			.no_replace = piece->op == SINK_DIR_RENAME && !receiving->replace,
		};
	}
	work->job.kind = JOB_DIR;
}

static void jobs_begin(struct receiving *receiving)
{
	for (;;) {
		struct receiving_job *work = receiving->spare != NULL ? receiving->spare : malloc(sizeof(*work));

		receiving->spare = work;
		if (work == NULL || !sink_next(receiving->sink, &work->order))
			return; /* without memory the next event tries again */
		receiving->spare = NULL;
		if (work->order.is_dir)
			order_dir(receiving, work);
		else
			order_write(receiving, work);
		work->job.suite = &receiving->channel->suite;
		work->job.owner = &receiving->owner;
		list_append(&receiving->jobs, &work->job.link);
		receiving->job_count++;
		loop_submit(receiving->channel->base->loop, &work->job);
	}
}

void receiving_pump(struct receiving *receiving)
{
	struct channel *channel = receiving->channel;

	if (receiving->sink == NULL)
		return;
	/* One who has much to tell and listens to nothing gets no further. */
	if (!receiving->aborted && channel->state == CHANNEL_OPEN &&
	    link_control_queued(&channel->link) > CONTROL_AHEAD)
		return;
	jobs_begin(receiving);
	if (channel->state == CHANNEL_OPEN) {
		/* Without memory for a frame the next event tries again. */
		(void)sink_frames(receiving->sink, channel_control(channel), channel->base->loop->now);
		channel_flush(channel);
	}
	if (receiving->job_count + receiving->checks.jobs == 0 && sink_finished(receiving->sink) && !receiving->told) {
		receiving->told = true;
		receiving->watch->finished(receiving);
	}
}

static void write_done(struct receiving_job *work)
{
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_piece *piece = &work->order.pieces[i];

		if (piece->code == 0)
			piece->code = work->write.count == 0 ? -ENOMEM : work->write.pieces[i].code;
		if (piece->op == SINK_CHUNK)
			lent_unref(piece->token);
		/* The last piece of a file: what it was written through goes before the file itself does. */
		if (piece->op == SINK_ABANDON || (piece->op == SINK_PUBLISH && piece->code == 0)) {
			write_file_destroy(piece->file->handle);
			piece->file->handle = NULL;
		}
	}
}

static void order_done(struct receiving *receiving, struct receiving_job *work)
{
	list_remove(&work->job.link);
	receiving->job_count--;
	if (work->job.kind == JOB_WRITE) {
		write_done(work);
	} else {
		for (size_t i = 0; i < work->order.count; i++)
			work->order.dirs[i].code = work->dir.pieces[i].code;
	}
	sink_done(receiving->sink, &work->order);
	if (receiving->spare == NULL)
		receiving->spare = work;
	else
		free(work);
}

static void on_job(struct loop_owner *owner, struct job *job)
{
	struct receiving *receiving = list_entry(owner, struct receiving, owner);

	if (job->kind == JOB_CHECK)
		checks_done(&receiving->checks, job);
	else
		order_done(receiving, (struct receiving_job *)(void *)job);
	receiving_pump(receiving);
}

static int ends_take(struct receiving *receiving, const uint8_t *run, size_t len, struct error *err)
{
	uint32_t digest_size = receiving->channel->suite.limits.digest_size;
	struct end end;
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		r = message_end_read(run, len, &at, digest_size, &end, err);
		if (r == 0 && (receiving->watch->end == NULL || !receiving->watch->end(receiving, &end)))
			r = sink_end(receiving->sink, &end, err);
	}
	return r;
}

/* The run of a frame, its digest right. */
static int run_take(void *context, enum frame_type type, const uint8_t *run, size_t len, struct error *err)
{
	struct receiving *receiving = context;

	if (type == FRAME_ENTRIES)
		return sink_entries(receiving->sink, run, len, err);
	return ends_take(receiving, run, len, err);
}

static void run_failed(void *context, const struct error *err)
{
	struct receiving *receiving = context;

	receiving->watch->broken(receiving, err);
}

int receiving_frame(struct receiving *receiving, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	const uint8_t *body = bytes + FRAME_HEADER;
	struct frame_chunk chunk;
	uint64_t first, count;
	int r;

	if (receiving->aborted || receiving->sink == NULL)
		return 0;
	switch (header->type) {
	case FRAME_ENTRIES:
	case FRAME_ENDS: return checks_add(&receiving->checks, header, body, buffer, err);
	case FRAME_CHUNK:
		r = frame_chunk_read(bytes, &receiving->channel->suite.limits, &chunk, err);
		if (r == 0)
			r = sink_chunk(receiving->sink, &chunk, buffer, err);
		if (r == 1)
			lent_ref(buffer);
		return r < 0 ? r : 0;
	case FRAME_HOLE:
		r = message_hole_read(body, header->length, &first, &count, err);
		return r < 0 ? r : sink_hole(receiving->sink, header->request, first, count, err);
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

int receiving_open(struct receiving *receiving, struct channel *channel, const struct receiving_place *place,
                   uint64_t consumed, uint64_t granted, const struct receiving_watch *watch, struct error *err)
{
	const struct suite *suite = &channel->suite;
	const struct sink_watch events = { .context = receiving, .event = on_event, .release = on_release };
	uint64_t two = 2 * (uint64_t)suite->limits.chunk_size;
	uint64_t half = channel->base->setup->settings->memory / 2;
	char hidden[STORE_HIDDEN_NAME_MAX];
	struct sink_params params = {
		.remote = place->remote,
		.name = place->name,
		.name_exists = place->name_exists,
		.name_is_dir = place->name_is_dir,
		.hidden = hidden,
		.reserved = STORE_HIDDEN,
		.chunk_size = suite->limits.chunk_size,
		.digest_size = suite->limits.digest_size,
		.integrity = suite->integrity->about.name,
		.requests_max = channel->requests_max < REQUESTS_MAX ? channel->requests_max : REQUESTS_MAX,
		.window = WINDOW < half ? WINDOW : half,
		.order_payload = ORDER_PAYLOAD,
		.consumed = consumed,
		.granted = granted,
		.limit_rate = place->limit_rate,
		.sync = place->sync,
	};
	int r = store_hidden_name(hidden);

	if (r < 0)
		return error_system(err, r, FAULT_LOCAL, "no random name");
	if (params.window < two)
		params.window = two;
	*receiving = (struct receiving){
		.owner.done = on_job,
		.channel = channel,
		.watch = watch,
		.root = place->root,
		.sync = place->sync,
		.replace = place->replace,
		.checks = {
			.loop = channel->base->loop,
			.suite = suite,
			.take = run_take,
			.failed = run_failed,
			.context = receiving,
		},
	};
	receiving->checks.owner = &receiving->owner;
	list_init(&receiving->checks.queue);
	list_init(&receiving->jobs);
	if (sink_create(&receiving->sink, &params, &events) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a transfer");
	return 0;
}

void receiving_abort(struct receiving *receiving)
{
	if (receiving->sink == NULL || receiving->aborted)
		return;
	receiving->aborted = true;
	sink_abort(receiving->sink);
	checks_end(&receiving->checks);
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
	checks_end(&receiving->checks);
	free(receiving->spare);
	receiving->spare = NULL;
	sink_destroy(receiving->sink);
	receiving->sink = NULL;
}
