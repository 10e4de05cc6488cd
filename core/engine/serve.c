/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/serve.h"

#include "engine/transfer_log.h"
#include "pipeline/list.h"
#include "pipeline/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	AHEAD = 8 * 1024 * 1024, /* bytes read and not yet sent, per session */
	CONTROL_AHEAD = 256 * 1024, /* bytes of listings and the like not yet sent, per session */
	BATCHES_MAX = 48,        /* of them, batches: below LINK_BATCHES_MAX by the jobs under way */
	LARGE_FILES_MAX = 8      /* files of more than one order read at the same time */
};

/* An order under way. */
struct serve_job {
	union {
		struct job job;
		struct read_job read;
		struct list_job list;
	};
	struct serve *serve;
	struct source_order order;
};

static struct serve *of_channel(struct channel *channel)
{
	return channel->owner;
}

/* ---- requests and their files ---- */

static void request_release(void *context, struct source_request *request)
{
	(void)context;
	if (request->is_list)
		list_walk_destroy(request->handle);
	else
		read_file_destroy(request->handle);
	request->handle = NULL;
}

/* Takes "export/rest" apart. *rest is "" for the export itself. NULL when there is no such export. */
static const struct serve_export *export_find(const struct serve_base *base, const char *path, const char **rest)
{
	size_t len = strcspn(path, "/");

	*rest = path[len] == '/' ? path + len + 1 : path + len;
	for (size_t i = 0; i < base->export_count; i++) {
		const struct serve_export *export = &base->exports[i];

		if (strlen(export->settings->name) == len && memcmp(export->settings->name, path, len) == 0)
			return export;
	}
	return NULL;
}

/* Where a request's path leads; anything but STATUS_OK refuses it. */
static enum status request_place(const struct serve_base *base, const struct source_request *request,
                                 const struct serve_export **export, const char **rest)
{
	*export = export_find(base, request->path, rest);
	if (request->cancelled)
		return STATUS_CANCELLED;
	if (*export == NULL || (*export)->root == NULL)
		return STATUS_REFUSED;
	if (store_path_check(*rest, strlen(*rest), NULL) < 0)
		return STATUS_REFUSED;
	return STATUS_OK;
}

static int names_open(const struct serve_base *base, struct source_request *request)
{
	const char **names = calloc(base->export_count + 1, sizeof(*names));
	struct list_walk *walk;
	int r;

	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < base->export_count; i++)
		names[i] = base->exports[i].settings->name;
	r = list_walk_names(&walk, names, base->export_count);
	free(names);
	if (r == 0)
		request->handle = walk;
	return r;
}

static int walk_open(const struct serve_base *base, struct source_request *request, enum status *refuse)
{
	const struct serve_export *export;
	struct list_walk *walk;
	const char *rest;
	int r;

	if (request->path[0] == '\0' && !request->cancelled) {
		*refuse = STATUS_OK;
		return request->handle == NULL ? names_open(base, request) : 0;
	}
	*refuse = request_place(base, request, &export, &rest);
	if (request->handle != NULL)
		return 0;
	r = list_walk_create(&walk, *refuse == STATUS_OK ? export->root : NULL, rest, request->depth,
	                     (request->flags & MESSAGE_LIST_TOTALS) != 0,
	                     export != NULL ? export->settings->name : NULL);
	if (r == 0)
		request->handle = walk;
	return r;
}

static int file_open(const struct serve *serve, struct source_request *request, enum status *refuse)
{
	const struct serve_export *export;
	struct read_file *file;
	const char *rest;
	int r;

	*refuse = request_place(serve->base, request, &export, &rest);
	if (request->handle != NULL)
		return 0;
	r = read_file_create(&file, *refuse == STATUS_OK ? export->root : NULL, rest, request->size,
	                     &serve->channel.suite);
	if (r == 0)
		request->handle = file;
	return r;
}

/* ---- orders ---- */

static void job_begin(struct serve_job *work, enum job_kind kind)
{
	struct serve *serve = work->serve;

	work->job.kind = kind;
	work->job.suite = &serve->channel.suite;
	work->job.owner = serve;
	list_append(&serve->jobs, &work->job.link);
	serve->job_count++;
	loop_submit(serve->channel.base->loop, &work->job);
}

static int list_begin(struct serve_job *work)
{
	struct source_request *request = work->order.pieces[0].request;
	int r = walk_open(work->serve->base, request, &work->list.refuse);

	if (r < 0)
		return r;
	work->list.walk = request->handle;
	work->list.request = request->id;
	work->list.run_max = work->order.payload_max;
	job_begin(work, JOB_LIST);
	return 0;
}

static int read_begin(struct serve_job *work)
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
		piece->chunks_before = request->sent;
		r = file_open(work->serve, request, &piece->refuse);
		if (r < 0)
			return r;
		piece->file = request->handle;
	}
	work->read.count = order->count;
	work->read.payload_max = order->payload_max;
	job_begin(work, JOB_READ);
	return 0;
}

static void serve_fail(struct serve *serve, int code, const char *what)
{
	struct error err = { 0 };

	error_system(&err, code, FAULT_LOCAL, "%s", what);
	channel_fail(&serve->channel, STATUS_FAILED, &err);
}

static bool may_read(const struct serve *serve)
{
	const struct link *link = &serve->channel.link;
	size_t payload = read_job_payload(&serve->channel.suite);
	unsigned jobs_max = 2 * serve->channel.base->loop->threads + 2;

	if (serve->source == NULL || serve->channel.state != CHANNEL_OPEN)
		return false;
	if (serve->job_count >= jobs_max || link_batches(link) >= BATCHES_MAX)
		return false;
	/* A client that grants much and reads nothing fills no memory of ours. */
	if (link_control_queued(link) > CONTROL_AHEAD)
		return false;
	/* One order may always be under way, however large the chunks are. */
	return serve->job_count + link_batches(link) == 0 || link_queued(link) + serve->job_count * payload < AHEAD;
}

/* Starts what can be started; false when a buffer was missing. */
static bool pump(struct serve *serve)
{
	struct lender *lender = serve->channel.base->loop->lender;

	while (may_read(serve)) {
		struct lent *buffer = lend_get(lender, read_job_buffer_size(&serve->channel.suite));
		struct serve_job *work;
		int r;

		if (buffer == NULL)
			return false;
		work = malloc(sizeof(*work));
		if (work == NULL) {
			lent_unref(buffer);
			serve_fail(serve, -ENOMEM, "out of memory for a job");
			return true;
		}
		if (!source_next(serve->source, &work->order)) {
			lent_unref(buffer);
			free(work);
			return true;
		}
		work->serve = serve;
		if (work->order.is_list) {
			lent_unref(buffer);
			work->list = (struct list_job){ 0 };
			r = list_begin(work);
		} else {
			memset(&work->read, 0, offsetof(struct read_job, pieces) +
			                               work->order.count * sizeof(work->read.pieces[0]));
			work->read.buffer = buffer;
			r = read_begin(work);
			if (r < 0)
				lent_unref(buffer);
		}
		if (r < 0) {
			/* The order never comes back; the session ends, and its source with it. */
			free(work);
			serve_fail(serve, r, "out of memory for a job");
			return true;
		}
	}
	return true;
}

static void serve_pump(struct serve *serve)
{
	list_remove(&serve->starving);
	if (!pump(serve))
		list_append(&serve->base->starved, &serve->starving);
	if (serve->channel.state == CHANNEL_OPEN)
		channel_flush(&serve->channel);
}

void serve_feed(struct serve_base *base)
{
	struct list waiting;
	struct list *node;

	/* Once round: who finds none again goes to the end of the queue. */
	list_init(&waiting);
	while ((node = list_first(&base->starved)) != NULL) {
		list_remove(node);
		list_append(&waiting, node);
	}
	while ((node = list_first(&waiting)) != NULL)
		serve_pump(list_entry(node, struct serve, starving));
	links_feed(base->channel.loop);
}

static void maybe_free(struct serve *serve)
{
	struct serve_base *base = serve->base;

	if (!serve->closed || serve->job_count > 0)
		return;
	source_destroy(serve->source, request_release, NULL);
	transfer_free(serve);
	list_remove(&serve->link);
	list_remove(&serve->starving);
	base->session_count--;
	free(serve);
	base->gone(base);
}

static void list_done(struct serve_job *work)
{
	struct serve *serve = work->serve;
	struct list_job *list = &work->list;

	if (list->code < 0) {
		serve_fail(serve, list->code, "a listing failed");
	} else if (serve->channel.state == CHANNEL_OPEN) {
		work->order.run = list->run;
		work->order.pieces[0].ended = list->ended;
		if (buf_append(channel_control(&serve->channel), list->out.data, list->out.len) < 0)
			serve_fail(serve, -ENOMEM, "out of memory for a listing");
	}
	buf_free(&list->out);
}

static void read_done(struct serve_job *work)
{
	struct serve *serve = work->serve;
	struct read_job *read = &work->read;
	int r = 0;

	for (size_t i = 0; i < read->count; i++) {
		struct source_piece *piece = &work->order.pieces[i];

		piece->chunks = read->pieces[i].chunks;
		piece->bytes = read->pieces[i].bytes;
		piece->total = read->pieces[i].total;
		piece->ended = read->pieces[i].ended;
		transfer_piece(serve, &read->pieces[i], piece->request);
	}
	if (read->out_len > 0 && serve->channel.state == CHANNEL_OPEN)
		r = link_batch(&serve->channel.link, read->buffer, read->out_offset, read->out_len);
	else
		lent_unref(read->buffer);
	if (r == 0 && read->code < 0)
		r = read->code;
	if (r < 0)
		serve_fail(serve, r, "a file cannot be sent");
}

void serve_job_done(struct job *job)
{
	struct serve_job *work = (struct serve_job *)(void *)job;
	struct serve *serve = work->serve;

	list_remove(&job->link);
	serve->job_count--;
	if (job->kind == JOB_LIST)
		list_done(work);
	else
		read_done(work);
	source_done(serve->source, &work->order, request_release, NULL);
	free(work);
	if (serve->closed)
		maybe_free(serve);
	else
		serve_pump(serve);
}

/* ---- what the client asks ---- */

static int read_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_read item;
	uint16_t count;
	size_t at = 0;
	int r = message_read_count(body, header->length, &at, &count, err);

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = message_read_item(body, header->length, &at, &item, err);
		if (r == 0)
			r = source_read(serve->source, header->request + i, &item, err);
		if (r == 0)
			transfer_read(serve);
	}
	return r < 0 ? r : message_body_end(header->length, at, err);
}

static int list_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_list list;
	int r = message_list_read(body, header->length, &list, err);

	if (r == 0)
		r = source_list(serve->source, header->request, &list, err);
	if (r == 0)
		transfer_list(serve, &list);
	return r;
}

static int credit_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	uint64_t total;
	int r = message_credit_read(body, header->length, &total, err);

	return r < 0 ? r : source_credit(serve->source, header->request, total, err);
}

static int source_ready(struct serve *serve, struct error *err)
{
	const struct suite *suite = &serve->channel.suite;
	const struct source_limits limits = {
		.requests_max = serve->base->channel.requests_max + 16, /* listings beside the reads */
		.chunk_size = suite->limits.chunk_size,
		.order_payload = read_job_payload(suite),
		.open_max = LARGE_FILES_MAX,
	};

	if (serve->source != NULL)
		return 0;
	if (source_create(&serve->source, &limits) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a source");
	return 0;
}

static int on_frame(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct serve *serve = of_channel(channel);
	const uint8_t *body = bytes + FRAME_HEADER;
	int r = source_ready(serve, err);

	(void)buffer;
	if (r < 0)
		return r;
	switch (header->type) {
	case FRAME_LIST:
		return list_take(serve, header, body, err);
	case FRAME_READ:
		return read_take(serve, header, body, err);
	case FRAME_CREDIT:
		return credit_take(serve, header, body, err);
	case FRAME_CANCEL:
		r = message_cancel_read(body, header->length, err);
		if (r == 0)
			source_cancel(serve->source, header->request);
		return r;
	default:
		return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame of type %d", (int)header->type);
	}
}

static void on_open(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	log_say(serve->base->log, LOG_LEVEL_DEBUG, "session from %s: %s, chunks of %u bytes", channel_peer(channel),
	        channel->suite.integrity->about.name, channel->suite.limits.chunk_size);
}

static void on_work(struct channel *channel)
{
	serve_pump(of_channel(channel));
}

static void on_progress(struct channel *channel, struct xfer_progress *ours)
{
	struct serve *serve = of_channel(channel);
	struct list *oldest = list_first(&serve->jobs);
	uint64_t time = clock_monotonic();
	uint64_t since;

	ours->stage = XFER_STAGE_IDLE;
	if (oldest != NULL) {
		struct job *job = list_entry(oldest, struct job, link);

		ours->stage = atomic_load(&job->stage);
		since = atomic_load(&job->stage_since);
		ours->stage_age_ms = (uint32_t)(time > since ? (time - since) / CLOCK_MS : 0);
	} else if (link_queued(&channel->link) > 0) {
		ours->stage = XFER_STAGE_SEND;
	}
}

static void on_warn(struct channel *channel, const char *text)
{
	log_say(of_channel(channel)->base->log, LOG_LEVEL_WARN, "%s: %s", channel_peer(channel), text);
}

static void on_ended(struct channel *channel, const struct error *err)
{
	struct serve *serve = of_channel(channel);

	transfer_end(serve, err);
	if (err->code == -ETIMEDOUT)
		log_say(serve->base->log, LOG_LEVEL_WARN, "session of %s timed out: %s", channel_peer(channel),
		        err->text);
	else if (err->code != 0)
		log_say(serve->base->log, err->fault == FAULT_REFUSED ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
		        "session of %s ended: %s", channel_peer(channel), err->text);
	else
		log_say(serve->base->log, LOG_LEVEL_DEBUG, "session of %s ended", channel_peer(channel));
	channel_close(channel);
}

static void on_closed(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	serve->closed = true;
	maybe_free(serve);
}

const struct channel_watch serve_watch = {
	.open = on_open,
	.frame = on_frame,
	.settled = on_work,
	.sent = on_work,
	.progress = on_progress,
	.warn = on_warn,
	.ended = on_ended,
	.closed = on_closed,
};

int serve_open(struct serve_base *base, const struct plugin *transport, struct xfer_conn *conn,
               struct heartbeat_port *port, uint16_t port_number, struct error *err)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int r;

	if (serve == NULL) {
		transport->transport.close(conn);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a session");
	}
	serve->base = base;
	list_init(&serve->jobs);
	list_init(&serve->starving);
	list_append(&base->sessions, &serve->link);
	base->session_count++;
	r = channel_open(&serve->channel, &base->channel, transport, conn, true, port, port_number, serve, err);
	if (r < 0 && r != -EINPROGRESS) {
		list_remove(&serve->link);
		base->session_count--;
		free(serve->channel.endpoint);
		free(serve);
	}
	return r;
}

bool serve_idle(const struct serve *serve)
{
	return serve->job_count == 0 && link_batches(&serve->channel.link) == 0 &&
	       (serve->source == NULL || source_pending(serve->source) == 0);
}

void serve_end(struct serve *serve, enum status status, const char *text)
{
	struct error err = { 0 };

	error_set(&err, -ESHUTDOWN, FAULT_REFUSED, "%s", text);
	if (serve->channel.state != CHANNEL_ENDED)
		channel_fail(&serve->channel, status, &err);
}
