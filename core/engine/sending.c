/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/sending.h"

#include "engine/lending.h"
#include "pipeline/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	AHEAD = 8 * 1024 * 1024,    /* bytes read and not yet sent, per session */
	CONTROL_AHEAD = 256 * 1024, /* bytes of listings and the like not yet sent, per session */
	BATCHES_MAX = 48,           /* of them, batches: below LINK_BATCHES_MAX by the jobs under way */
	LARGE_FILES_MAX = 8,        /* files of more than one order read at the same time */
	LIST_RUN_MIN = 8192,        /* bytes of entries that a session may always have unsent */
	REFILL = 256 * 1024         /* bytes of a batch that are read again at a time */
};

/* An order under way. */
struct sending_job {
	union {
		struct job job;
		struct read_job read;
		struct again_job again;
		struct list_job list;
	};
	struct sending *sending;
	struct source_order order;
};

static void request_release(void *context, struct source_request *request)
{
	(void)context;
	if (request->is_list)
		list_walk_destroy(request->handle);
	else
		read_file_destroy(request->handle);
	request->handle = NULL;
}

/* Opens the walk of a LIST at its first order. */
static int walk_open(const struct sending *sending, struct source_request *request, enum status *refuse)
{
	struct sending_place place = { .refuse = STATUS_CANCELLED };
	struct list_walk *walk;
	int r;

	if (!request->cancelled)
		sending->watch->place((struct sending *)sending, request->path, &place);
	*refuse = place.refuse;
	if (request->handle != NULL)
		return 0;
	if (place.refuse == STATUS_OK && place.root == NULL)
		r = list_walk_names(&walk, place.names, place.name_count);
	else
		r = list_walk_create(&walk, place.refuse == STATUS_OK ? place.root : NULL,
		                     place.refuse == STATUS_OK ? place.rest : "", request->depth,
		                     (request->flags & MESSAGE_LIST_TOTALS) != 0, place.name);
	if (r == 0)
		request->handle = walk;
	return r;
}

/* Makes the file of a READ at its first order; a storage thread opens it. */
static int file_open(const struct sending *sending, struct source_request *request, enum status *refuse)
{
	struct sending_place place = { .refuse = STATUS_CANCELLED };
	struct read_file *file;
	int r;

	if (request->handle != NULL && !request->cancelled) {
		*refuse = STATUS_OK;
		return 0;
	}
	if (!request->cancelled)
		sending->watch->place((struct sending *)sending, request->path, &place);
	if (place.refuse == STATUS_OK && (place.root == NULL || place.unread))
		place.refuse = STATUS_SPECIAL; /* a list of names is no file */
	*refuse = place.refuse;
	if (request->handle != NULL)
		return 0;
	r = read_file_create(&file, place.refuse == STATUS_OK ? place.root : NULL,
	                     place.refuse == STATUS_OK ? place.rest : "", request->size, &sending->channel->suite);
	if (r == 0)
		request->handle = file;
	return r;
}

static void job_begin(struct sending_job *work, enum job_kind kind)
{
	struct sending *sending = work->sending;

	work->job.kind = kind;
	work->job.suite = &sending->channel->suite;
	work->job.owner = &sending->owner;
	list_append(&sending->jobs, &work->job.link);
	sending->job_count++;
	loop_submit(sending->channel->base->loop, &work->job);
}

static int list_begin(struct sending_job *work)
{
	struct source_request *request = work->order.pieces[0].request;
	int r = walk_open(work->sending, request, &work->list.refuse);
	uint64_t run_max;

	if (r < 0)
		return r;
	work->list.walk = request->handle;
	work->list.request = request->id;
	/* What of it is not taken stays in memory. */
	run_max = LIST_RUN_MIN + lending_ahead(&work->sending->channel->link, CONTROL_AHEAD);
	work->list.run_max = work->order.payload_max < run_max ? work->order.payload_max : run_max;
	job_begin(work, JOB_LIST);
	return 0;
}

static int read_begin(struct sending_job *work)
{
	const struct source_order *order = &work->order;

	for (size_t i = 0; i < order->count; i++) {
		struct source_request *request = order->pieces[i].request;
		struct read_piece *piece = &work->read.pieces[i];
		int r;

		piece->request = request->id;
		piece->first = order->pieces[i].first;
		piece->count = order->pieces[i].count;
		piece->end = order->pieces[i].end;
		piece->part = request->part;
		piece->fresh = request->fresh;
		piece->chunks_before = request->sent;
		r = file_open(work->sending, request, &piece->refuse);
		if (r < 0)
			return r;
		piece->file = request->handle;
	}
	work->read.count = order->count;
	work->read.digests = order->digests;
	work->read.payload_max = order->payload_max;
	job_begin(work, JOB_READ);
	return 0;
}

static void sending_fail(struct sending *sending, int code, const char *what)
{
	struct error err = { 0 };

	error_system(&err, code, FAULT_LOCAL, "%s", what);
	channel_fail(sending->channel, STATUS_FAILED, &err);
}

static bool may_read(const struct sending *sending)
{
	const struct link *link = &sending->channel->link;
	size_t payload = read_job_payload(&sending->channel->suite);
	unsigned jobs_max = 2 * sending->channel->base->loop->threads + 2;

	if (sending->source == NULL || sending->channel->state != CHANNEL_OPEN)
		return false;
	if (sending->job_count >= jobs_max || link_batches(link) >= BATCHES_MAX)
		return false;
	/* A client that grants much and reads nothing fills no memory of ours. */
	if (link_control_queued(link) > lending_ahead(link, CONTROL_AHEAD))
		return false;
	/* One order may always be under way, however large the chunks are. */
	return sending->job_count + link_batches(link) == 0 ||
	       link_queued(link) + sending->job_count * payload < lending_ahead(link, AHEAD);
}

/* Reads on in a batch of which the buffer was taken back; false when a buffer was missing. */
static bool refill(struct sending *sending)
{
	struct loop *loop = sending->channel->base->loop;
	const struct link_batch *batch = link_wants(&sending->channel->link);
	struct sending_job *work;
	struct lent *buffer;
	size_t len;

	if (batch == NULL || sending->refilling || sending->channel->state != CHANNEL_OPEN)
		return true;
	len = batch->taken < REFILL ? batch->taken : REFILL;
	buffer = lend_get_for(loop->lender, lending_use(&sending->channel->link), len);
	if (buffer == NULL)
		return false;
	work = malloc(sizeof(*work));
	if (work == NULL) {
		lent_unref(buffer);
		sending_fail(sending, -ENOMEM, "out of memory for a job");
		return true;
	}
	work->sending = sending;
	work->again = (struct again_job){
		.again = again_ref(batch->again),
		.from = batch->size - batch->taken,
		.len = len,
		.buffer = buffer,
	};
	sending->refilling = true;
	job_begin(work, JOB_AGAIN);
	return true;
}

/* Pipes for payload that nobody looks at: whether there is any, the job finds out. */
static struct pipe_lent *pipes_for(const struct sending *sending, const struct source_order *order)
{
	const struct source_piece *piece = &order->pieces[0];
	size_t bytes = 0;

	if (order->count == 1 && !order->is_list && !order->digests && link_takes_pipes(&sending->channel->link))
		bytes = read_job_pipes(&sending->channel->suite, piece->request->fresh, order->payload_max);
	return bytes > 0 ? lending_pipes(sending->channel->base->loop, bytes) : NULL;
}

/* The next order, with a buffer where it needs one. 0: there is none; -ENOBUFS: there is no buffer for it. */
static int order_next(struct sending *sending, struct sending_job *work)
{
	struct lender *lender = sending->channel->base->loop->lender;
	struct lent *buffer;

	if (source_next_list(sending->source, &work->order))
		return 1;
	buffer = lend_get_for(lender, lending_use(&sending->channel->link),
	                      read_job_buffer_size(&sending->channel->suite));
	if (buffer == NULL)
		return -ENOBUFS;
	if (!source_next(sending->source, &work->order)) {
		lent_unref(buffer);
		return 0;
	}
	memset(&work->read, 0, offsetof(struct read_job, pieces) + work->order.count * sizeof(work->read.pieces[0]));
	work->read.buffer = buffer;
	work->read.pipes = pipes_for(sending, &work->order);
	return 1;
}

static int order_begin(struct sending_job *work)
{
	int r;

	if (work->order.is_list) {
		work->list = (struct list_job){ 0 };
		return list_begin(work);
	}
	r = read_begin(work);
	if (r < 0) {
		lent_unref(work->read.buffer);
		pipes_give(work->sending->channel->base->loop->pipes, work->read.pipes);
	}
	return r;
}

/* Starts what can be started; false when a buffer was missing. */
static bool pump(struct sending *sending)
{
	if (!refill(sending))
		return false;
	while (may_read(sending)) {
		struct sending_job *work = malloc(sizeof(*work));
		int r;

		if (work == NULL) {
			sending_fail(sending, -ENOMEM, "out of memory for a job");
			return true;
		}
		work->sending = sending;
		r = order_next(sending, work);
		if (r <= 0) {
			free(work);
			return r == 0;
		}
		r = order_begin(work);
		if (r < 0) {
			/* The order never comes back; the session ends, and its source with it. */
			free(work);
			sending_fail(sending, r, "out of memory for a job");
			return true;
		}
	}
	return true;
}

void sending_pump(struct sending *sending)
{
	struct loop *loop = sending->channel->base->loop;

	/* First, for what is sent makes room for what is read. */
	if (sending->channel->state == CHANNEL_OPEN)
		channel_flush(sending->channel);
	list_remove(&sending->hunger);
	if (!pump(sending))
		lending_wait(loop,
		             lending_use(&sending->channel->link) == LEND_MOVING ? &loop->hungry : &loop->hungry_new,
		             &sending->hunger);
}

void sending_refill(struct sending *sending)
{
	struct loop *loop = sending->channel->base->loop;

	if (!refill(sending) && list_empty(&sending->hunger))
		lending_wait(loop, &loop->hungry_new, &sending->hunger);
}

/* In order, until one finds no buffer: so whoever needs a large one gets it too. */
static void feed(struct list *queue)
{
	struct list *node;

	while ((node = list_first(queue)) != NULL) {
		struct sending *sending = list_entry(node, struct sending, hunger);

		list_remove(node);
		if (!pump(sending)) {
			list_prepend(queue, node);
			return;
		}
	}
}

void sendings_feed(struct loop *loop)
{
	feed(&loop->hungry);
	feed(&loop->hungry_new);
}

static void list_done(struct sending_job *work)
{
	struct sending *sending = work->sending;
	struct list_job *list = &work->list;

	if (list->code < 0) {
		sending_fail(sending, list->code, "a listing failed");
	} else if (sending->channel->state == CHANNEL_OPEN) {
		work->order.run = list->run;
		work->order.pieces[0].ended = list->ended;
		if (buf_append(channel_control(sending->channel), list->out.data, list->out.len) < 0)
			sending_fail(sending, -ENOMEM, "out of memory for a listing");
	}
	buf_free(&list->out);
}

/* The frames of a job, on their way; takes over its buffer and its pipes. */
static int frames_send(struct sending *sending, struct read_job *read)
{
	struct link *link = &sending->channel->link;
	bool keep = read->piped || sending->channel->server;
	struct again *again = keep ? again_create(read) : NULL;
	size_t len = read->out_len;
	int r;

	if (!read->piped) {
		pipes_give(sending->channel->base->loop->pipes, read->pipes);
		return link_batch(link, read->buffer, read->out_offset, len, again);
	}
	r = again != NULL ? again_note_heads(again, read->buffer->data + read->out_offset, len) : -ENOMEM;
	lent_unref(read->buffer);
	if (r < 0) {
		pipes_give(sending->channel->base->loop->pipes, read->pipes);
		again_destroy(again);
		return r;
	}
	return link_batch_piped(link, read->pipes, len + read->pieces[0].bytes, again);
}

static void read_done(struct sending_job *work)
{
	struct sending *sending = work->sending;
	struct read_job *read = &work->read;
	int r = 0;

	for (size_t i = 0; i < read->count; i++) {
		struct source_piece *piece = &work->order.pieces[i];

		piece->chunks = read->pieces[i].chunks;
		piece->bytes = read->pieces[i].bytes;
		piece->total = read->pieces[i].total;
		piece->ended = read->pieces[i].ended;
		piece->failed = read->pieces[i].status != STATUS_OK;
		if (read->digests)
			read->pieces[i].bytes = 0; /* of what was read, nothing was sent */
		if (sending->watch->piece != NULL)
			sending->watch->piece(sending, &read->pieces[i], piece->request);
	}
	if (read->out_len > 0 && sending->channel->state == CHANNEL_OPEN) {
		r = frames_send(sending, read);
	} else {
		lent_unref(read->buffer);
		pipes_give(sending->channel->base->loop->pipes, read->pipes);
	}
	if (r == 0 && read->code < 0)
		r = read->code;
	if (r < 0)
		sending_fail(sending, r, "a file cannot be sent");
}

static void again_done(struct sending_job *work)
{
	struct sending *sending = work->sending;
	struct again_job *again = &work->again;
	struct error err = { 0 };

	sending->refilling = false;
	again_destroy(again->again);
	if (again->code == 0) {
		link_refill(&sending->channel->link, again->buffer, again->len);
		return;
	}
	lent_unref(again->buffer);
	if (again->code != -ESTALE) {
		sending_fail(sending, again->code, "a file cannot be sent");
	} else if (sending->channel->state == CHANNEL_OPEN) {
		error_set(&err, -ESTALE, FAULT_CHANGED, "a file changed while it was sent");
		channel_fail(sending->channel, STATUS_CHANGED, &err);
	}
}

static void maybe_closed(struct sending *sending)
{
	if (!sending->closing || sending->job_count > 0)
		return;
	sending->closing = false;
	source_destroy(sending->source, request_release, NULL);
	sending->source = NULL;
	list_remove(&sending->hunger);
	sending->watch->closed(sending);
}

static void on_job(struct loop_owner *owner, struct job *job)
{
	struct sending *sending = list_entry(owner, struct sending, owner);
	struct sending_job *work = (struct sending_job *)(void *)job;

	list_remove(&job->link);
	sending->job_count--;
	if (job->kind == JOB_AGAIN) {
		again_done(work);
	} else {
		if (job->kind == JOB_LIST)
			list_done(work);
		else
			read_done(work);
		source_done(sending->source, &work->order, request_release, NULL);
	}
	free(work);
	if (sending->closing)
		maybe_closed(sending);
	else
		sending_pump(sending);
}

static int read_take(struct sending *sending, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_read item;
	uint16_t count;
	size_t at = 0;
	int r = message_read_count(body, header->length, &at, &count, err);

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = message_read_item(body, header->length, &at, &item, err);
		if (r == 0 && (item.flags & MESSAGE_READ_DIGESTS) && sending->channel->suite.limits.digest_size == 0)
			r = error_set(err, -EPROTO, FAULT_PEER, "digests were asked for, but there are none");
		if (r == 0)
			r = source_read(sending->source, header->request + i, &item, err);
		if (r == 0 && sending->watch->asked != NULL)
			sending->watch->asked(sending, NULL);
	}
	return r < 0 ? r : message_body_end(header->length, at, err);
}

static int list_take(struct sending *sending, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_list list;
	int r = message_list_read(body, header->length, &list, err);

	if (r == 0)
		r = source_list(sending->source, header->request, &list, err);
	if (r == 0 && sending->watch->asked != NULL)
		sending->watch->asked(sending, &list);
	return r;
}

static int credit_take(struct sending *sending, const struct frame_header *header, const uint8_t *body,
                       struct error *err)
{
	uint64_t total;
	int r = message_credit_read(body, header->length, &total, err);

	return r < 0 ? r : source_credit(sending->source, header->request, total, err);
}

static int source_ready(struct sending *sending, struct error *err)
{
	const struct suite *suite = &sending->channel->suite;
	const struct source_limits limits = {
		.requests_max = sending->requests_max + 16, /* listings beside the reads */
		.chunk_size = suite->limits.chunk_size,
		.order_payload = read_job_payload(suite),
		.open_max = LARGE_FILES_MAX,
	};

	if (sending->source != NULL)
		return 0;
	if (source_create(&sending->source, &limits) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a source");
	return 0;
}

int sending_frame(struct sending *sending, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	int r = source_ready(sending, err);

	if (r < 0)
		return r;
	switch (header->type) {
	case FRAME_LIST: return list_take(sending, header, body, err);
	case FRAME_READ: return read_take(sending, header, body, err);
	case FRAME_CREDIT: return credit_take(sending, header, body, err);
	case FRAME_CANCEL:
		r = message_cancel_read(body, header->length, err);
		if (r == 0)
			source_cancel(sending->source, header->request);
		return r;
	default: return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame of type %d", (int)header->type);
	}
}

void sending_open(struct sending *sending, struct channel *channel, const struct sending_watch *watch,
                  uint32_t requests_max)
{
	*sending = (struct sending){
		.owner.done = on_job,
		.channel = channel,
		.watch = watch,
		.requests_max = requests_max,
	};
	list_init(&sending->hunger);
	list_init(&sending->jobs);
}

bool sending_idle(const struct sending *sending)
{
	return sending->job_count == 0 && link_batches(&sending->channel->link) == 0 &&
	       (sending->source == NULL || source_pending(sending->source) == 0);
}

void sending_progress(const struct sending *sending, struct xfer_progress *ours)
{
	struct list *oldest = list_first(&sending->jobs);

	if (oldest != NULL)
		job_progress(list_entry(oldest, struct job, link), ours);
	else if (link_queued(&sending->channel->link) > 0)
		ours->stage = XFER_STAGE_SEND;
}

void sending_close(struct sending *sending)
{
	sending->closing = true;
	list_remove(&sending->hunger);
	maybe_closed(sending);
}
