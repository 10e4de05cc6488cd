/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/fetch.h"

#include "engine/checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 16 * 1024 * 1024,       /* payload bytes granted ahead */
	ORDER_PAYLOAD = 1024 * 1024,     /* payload bytes of one order */
	REQUESTS_MAX = 1024,             /* READs unanswered */
	TOTALS_REQUEST = 0xfffffff0      /* beyond what a sink uses in practice; it would skip it */
};

/* An order under way. */
struct fetch_job {
	union {
		struct job job;
		struct write_job write;
		struct dir_job dir;
	};
	struct sink_order order;
};

struct fetch {
	struct client *client;
	const struct url *url;
	const struct fetch_place *place;
	struct fetch_sum *sum;
	struct sink *sink;   /* NULL before the session is open */
	struct checks checks;/* of ENTRIES and ENDS */
	unsigned jobs;       /* orders under way */
	struct fetch_job *spare; /* owned; for the next order, may be NULL */
	bool over;           /* nothing more to come from the session */
	bool sized;          /* the totals are known, or will not be */
	uint64_t files_before, bytes_before; /* of earlier sources */
	struct error err;    /* why the session ended */
	uint64_t stalled;    /* when something last came, steady ns */
	uint64_t received;
	char stall[160];
	char hidden[STORE_HIDDEN_NAME_MAX];
};

static struct channel *channel_of(struct fetch *fetch)
{
	return &fetch->client->channel;
}

void fetch_fault(struct fetch_sum *sum, const struct error *err)
{
	if (sum->fault == FAULT_NONE) {
		sum->fault = err->fault;
		sum->first = *err;
	} else if (sum->fault != err->fault) {
		sum->fault = FAULT_MIXED;
	}
}

/* ---- the end ---- */

static void maybe_stop(struct fetch *fetch)
{
	if (fetch->jobs + fetch->checks.jobs > 0)
		return;
	if (fetch->sink != NULL ? sink_finished(fetch->sink) : fetch->over)
		client_stop(fetch->client);
}

static void pump(struct fetch *fetch);

/* Nothing more will come: what is begun is tidied up. */
static void fetch_give_up(struct fetch *fetch, const struct error *err)
{
	if (fetch->over)
		return;
	fetch->over = true;
	fetch->err = *err;
	if (fetch->sink != NULL)
		sink_abort(fetch->sink);
	checks_end(&fetch->checks);
	pump(fetch);
	maybe_stop(fetch);
}

/* The session broke the protocol, or we cannot go on with it. */
static void session_fail(struct fetch *fetch, const struct error *err)
{
	struct error said = *err;
	enum status status = err->fault == FAULT_INTEGRITY ? STATUS_INTEGRITY
	                     : err->code == -ETIMEDOUT     ? STATUS_DEAD
	                                                   : STATUS_PROTOCOL;

	if (fetch->client->channel_live) {
		fetch->client->channel_live = false;
		channel_fail(channel_of(fetch), status, &said); /* comes back as ended() */
	}
	fetch_give_up(fetch, &said);
}

/* ---- orders ---- */

static int file_handle(struct fetch *fetch, struct sink_file *file)
{
	const struct write_place place = {
		.root = fetch->place->root,
		.path = file->path,
		.final = file->final,
		.sync = file->final != NULL,
	};
	struct write_file *handle;
	int r;

	if (file->handle != NULL)
		return 0;
	r = write_file_create(&handle, &place, &channel_of(fetch)->suite, file->size);
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
	case SINK_ABANDON:
		to->op = WRITE_ABANDON;
		break;
	}
}

static void order_write(struct fetch *fetch, struct fetch_job *work)
{
	work->write = (struct write_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_piece *piece = &work->order.pieces[i];

		piece->code = file_handle(fetch, piece->file);
		if (piece->code < 0)
			work->write.count = 0; /* out of memory: none of it is done */
		else if (work->write.count > 0)
			piece_fill(&work->write.pieces[i], piece);
	}
	work->job.kind = JOB_WRITE;
}

static void order_dir(struct fetch *fetch, struct fetch_job *work)
{
	static const enum dir_op ops[] = {
		[SINK_DIR_MAKE] = DIR_MAKE,     [SINK_DIR_META] = DIR_META,     [SINK_DIR_LINK] = DIR_SYMLINK,
		[SINK_DIR_SYNC] = DIR_SYNC,     [SINK_DIR_RENAME] = DIR_RENAME, [SINK_DIR_REMOVE] = DIR_REMOVE,
	};

	work->dir = (struct dir_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		const struct sink_dir_piece *piece = &work->order.dirs[i];

		work->dir.pieces[i] = (struct dir_piece){
			.op = ops[piece->op],
			.root = fetch->place->root,
			.path = piece->path,
			.target = piece->target,
			.meta = { .mode = piece->mode, .mtime = { piece->mtime, piece->mtime_ns } },
			.no_replace = piece->op == SINK_DIR_RENAME,
		};
	}
	work->job.kind = JOB_DIR;
}

static void pump(struct fetch *fetch)
{
	struct channel *channel = channel_of(fetch);

	for (;;) {
		struct fetch_job *work = fetch->spare != NULL ? fetch->spare : malloc(sizeof(*work));

		fetch->spare = work;
		if (work == NULL || fetch->sink == NULL || !sink_next(fetch->sink, &work->order))
			break; /* without memory the tick tries again */
		fetch->spare = NULL;
		if (work->order.is_dir)
			order_dir(fetch, work);
		else
			order_write(fetch, work);
		work->job.suite = &channel->suite;
		work->job.owner = fetch;
		fetch->jobs++;
		loop_submit(fetch->client->loop, &work->job);
	}
	if (fetch->sink == NULL || !fetch->client->channel_live)
		return;
	if (sink_frames(fetch->sink, channel_control(channel), fetch->client->loop->now) < 0)
		client_say(fetch->client, LOG_LEVEL_WARN, FAULT_LOCAL, "out of memory for requests");
	channel_flush(channel);
}

static void write_done(struct fetch_job *work)
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

static void order_done(struct fetch *fetch, struct fetch_job *work)
{
	fetch->jobs--;
	if (work->job.kind == JOB_WRITE) {
		write_done(work);
	} else {
		for (size_t i = 0; i < work->order.count; i++)
			work->order.dirs[i].code = work->dir.pieces[i].code;
	}
	sink_done(fetch->sink, &work->order);
	free(work);
}

/* ---- what comes ---- */

static int totals_take(struct fetch *fetch, const struct end *end)
{
	struct client_progress *progress = &fetch->sum->progress;

	fetch->sized = true;
	if (end->status != STATUS_OK)
		return 0;
	progress->files_total += end->chunks;
	progress->bytes_total += end->size;
	return 0;
}

static int ends_take(struct fetch *fetch, const uint8_t *run, size_t len, struct error *err)
{
	uint32_t digest_size = channel_of(fetch)->suite.limits.digest_size;
	struct end end;
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < len) {
		r = message_end_read(run, len, &at, digest_size, &end, err);
		if (r == 0 && end.request == TOTALS_REQUEST)
			r = totals_take(fetch, &end);
		else if (r == 0)
			r = sink_end(fetch->sink, &end, err);
	}
	return r;
}

/* The run of a frame, its digest right. */
static int run_take(void *context, enum frame_type type, const uint8_t *run, size_t len, struct error *err)
{
	struct fetch *fetch = context;

	if (type == FRAME_ENTRIES)
		return sink_entries(fetch->sink, run, len, err);
	return ends_take(fetch, run, len, err);
}

static void run_failed(void *context, const struct error *err)
{
	session_fail(context, err);
}

static int on_frame(void *context, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct fetch *fetch = context;
	const uint8_t *body = bytes + FRAME_HEADER;
	struct frame_chunk chunk;
	uint64_t first, count;
	int r;

	if (fetch->over || fetch->sink == NULL)
		return 0;
	switch (header->type) {
	case FRAME_ENTRIES:
	case FRAME_ENDS:
		return checks_add(&fetch->checks, header, body, buffer, err);
	case FRAME_CHUNK:
		r = frame_chunk_read(bytes, &channel_of(fetch)->suite.limits, &chunk, err);
		if (r == 0 && sink_chunk(fetch->sink, &chunk, buffer) == 1)
			lent_ref(buffer);
		return r;
	case FRAME_HOLE:
		r = message_hole_read(body, header->length, &first, &count, err);
		return r < 0 ? r : sink_hole(fetch->sink, header->request, first, count, err);
	default:
		return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame of type %d", (int)header->type);
	}
}

static void on_job(void *context, struct job *job)
{
	struct fetch *fetch = context;

	if (job->kind == JOB_CHECK)
		checks_done(&fetch->checks, job);
	else
		order_done(fetch, (struct fetch_job *)(void *)job);
	/* The wake-up ends with on_work(), when all jobs that came back with this one are taken. */
}

static void on_work(void *context)
{
	struct fetch *fetch = context;

	pump(fetch);
	maybe_stop(fetch);
}

/* ---- beginning ---- */

static void on_event(void *context, const struct sink_event *event)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;
	struct client_summary *summary = fetch->sum->summary;
	const struct suite *suite = &channel_of(fetch)->suite;

	if (event->kind != SINK_FILE_DONE) {
		client_say(client, event->kind == SINK_SKIPPED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, event->fault,
		           event->text);
		return;
	}
	if (suite->limits.digest_size == 0 || event->digest != NULL)
		message_digest_text(summary->digest, suite->integrity->about.name, suite->limits.chunk_size,
		                    event->digest, suite->limits.digest_size);
	if (client->watch.file != NULL)
		client->watch.file(client->watch.context, event->path[0] != '\0' ? event->path : fetch->place->name,
		                   event->bytes, event->digest != NULL || suite->limits.digest_size == 0
		                                         ? summary->digest
		                                         : "");
}

static void on_release(void *context, void *token)
{
	(void)context;
	lent_unref(token);
}

static void totals_ask(struct fetch *fetch)
{
	const struct message_list list = {
		.flags = MESSAGE_LIST_TOTALS,
		.depth = MESSAGE_DEPTH_ALL,
		.path = fetch->url->path,
		.path_len = strlen(fetch->url->path),
	};

	if (!fetch->client->options.totals)
		return;
	(void)message_list_write(channel_control(channel_of(fetch)), TOTALS_REQUEST, &list);
}

static void on_open(void *context)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;
	const struct suite *suite = &channel_of(fetch)->suite;
	uint64_t two = 2 * (uint64_t)suite->limits.chunk_size;
	uint64_t half = client->settings->memory / 2;
	const struct sink_watch watch = { .context = fetch, .event = on_event, .release = on_release };
	struct sink_params params = {
		.remote = fetch->url->path,
		.name = fetch->place->name,
		.name_exists = fetch->place->name_exists,
		.name_is_dir = fetch->place->name_is_dir,
		.hidden = fetch->hidden,
		.chunk_size = suite->limits.chunk_size,
		.digest_size = suite->limits.digest_size,
		.integrity = suite->integrity->about.name,
		.requests_max = channel_of(fetch)->requests_max < REQUESTS_MAX ? channel_of(fetch)->requests_max
		                                                               : REQUESTS_MAX,
		.window = WINDOW < half ? WINDOW : half,
		.order_payload = ORDER_PAYLOAD,
		.consumed = client->consumed,
		.granted = client->granted,
		.limit_rate = client->options.limit_rate,
		.sync = true,
	};
	struct error err = { 0 };

	if (params.window < two)
		params.window = two;
	snprintf(fetch->sum->summary->integrity, sizeof(fetch->sum->summary->integrity), "%s",
	         suite->integrity->about.name);
	if (sink_create(&fetch->sink, &params, &watch) < 0) {
		error_set(&err, -ENOMEM, FAULT_LOCAL, "out of memory for a transfer");
		fetch_give_up(fetch, &err);
		return;
	}
	fetch->stalled = client->loop->now;
	totals_ask(fetch);
	pump(fetch);
}

static void on_ended(void *context, const struct error *err)
{
	fetch_give_up(context, err);
}

static void on_progress(void *context, struct xfer_progress *ours)
{
	struct fetch *fetch = context;
	struct sink_count count = { 0 };

	if (fetch->sink != NULL)
		sink_counts(fetch->sink, &count);
	ours->received = count.received;
	ours->verified = count.bytes;
	ours->durable = count.bytes;
	ours->stage = fetch->jobs > 0 ? XFER_STAGE_WRITE : XFER_STAGE_RECEIVE;
}

/* ---- progress ---- */

static const char *stage_name(uint32_t stage)
{
	static const char *const names[] = { "idle", "read", "hash", "send", "receive", "write", "sync" };

	return stage < sizeof(names) / sizeof(names[0]) ? names[stage] : "an unknown stage";
}

/* Names what is waited for when nothing has come for a while; ends a transfer that has stalled for too long. */
static void stall_look(struct fetch *fetch)
{
	uint64_t time = fetch->client->loop->now;
	struct xfer_progress theirs;
	struct error err = { 0 };

	fetch->stall[0] = '\0';
	if (fetch->client->channel.link.received != fetch->received || !sink_waits(fetch->sink)) {
		fetch->received = fetch->client->channel.link.received;
		fetch->stalled = time;
		return;
	}
	if (time - fetch->stalled < 2 * CLOCK_SECOND)
		return;
	channel_theirs(channel_of(fetch), &theirs);
	snprintf(fetch->stall, sizeof(fetch->stall), "peer alive, in %s for %llu s", stage_name(theirs.stage),
	         (unsigned long long)((time - fetch->stalled) / CLOCK_SECOND));
	if (time - fetch->stalled < fetch->client->settings->stall_after)
		return;
	error_set(&err, -ETIMEDOUT, FAULT_PEER, "%s stalled: %s", channel_peer(channel_of(fetch)), fetch->stall);
	session_fail(fetch, &err);
}

static void progress_fill(struct fetch *fetch)
{
	struct client_progress *progress = &fetch->sum->progress;
	struct sink_count count = { 0 };

	if (fetch->sink != NULL)
		sink_counts(fetch->sink, &count);
	progress->files = fetch->files_before + count.files;
	progress->bytes = fetch->bytes_before + count.bytes;
	progress->elapsed = fetch->client->loop->now - fetch->sum->began;
	if (fetch->client->channel_live)
		progress->rtt = channel_rtt(channel_of(fetch), &progress->loss_ppm);
	progress->stall = fetch->stall[0] != '\0' ? fetch->stall : NULL;
}

static void on_tick(void *context)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;

	if (fetch->sink != NULL && client->channel_live && !fetch->over)
		stall_look(fetch);
	pump(fetch);
	progress_fill(fetch);
	if (client->watch.progress != NULL)
		client->watch.progress(client->watch.context, &fetch->sum->progress);
	maybe_stop(fetch);
}

static const struct client_verb fetch_verb = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.job = on_job,
	.progress = on_progress,
	.tick = on_tick,
	.ended = on_ended,
};

/* ---- the sum ---- */

static void sum_add(struct fetch *fetch)
{
	struct client_summary *summary = fetch->sum->summary;
	struct sink_count count;

	sink_counts(fetch->sink, &count);
	summary->files += count.files;
	summary->dirs += count.dirs;
	summary->links += count.links;
	summary->skipped += count.skipped;
	summary->failed += count.failed;
	summary->bytes += count.bytes;
	summary->received += count.received;
	summary->chunks += count.chunks;
	summary->repaired += count.repaired;
	sink_credit(fetch->sink, &fetch->client->consumed, &fetch->client->granted);
}

static int fetch_result(struct fetch *fetch, struct error *err)
{
	struct error cause = { 0 };

	/* What the user or the peer ended has no second cause beside it. */
	if (fetch->over) {
		fetch_fault(fetch->sum, &fetch->err);
		*err = fetch->err;
		return fetch->err.code;
	}
	if (sink_result(fetch->sink, &cause) != FAULT_NONE)
		fetch_fault(fetch->sum, &cause);
	return 0;
}

int fetch_run(struct client *client, const struct url *url, const struct fetch_place *place, struct fetch_sum *sum,
              struct error *err)
{
	struct fetch fetch = { .client = client, .url = url, .place = place, .sum = sum };
	int r = store_hidden_name(fetch.hidden);

	if (r < 0)
		return error_system(err, r, FAULT_LOCAL, "no random name");
	fetch.checks = (struct checks){
		.loop = client->loop,
		.suite = &client->channel.suite,
		.take = run_take,
		.failed = run_failed,
		.context = &fetch,
	};
	list_init(&fetch.checks.queue);
	fetch.files_before = sum->progress.files;
	fetch.bytes_before = sum->progress.bytes;
	client->verb = &fetch_verb;
	client->context = &fetch;
	r = client_connect(client, url, err);
	if (r == 0) {
		client_run(client, &fetch_verb, &fetch);
		if (client->interrupted && !fetch.over)
			error_set(&fetch.err, -EINTR, FAULT_INTERRUPTED, "interrupted");
		fetch.over = fetch.over || client->interrupted;
		progress_fill(&fetch);
		r = fetch_result(&fetch, err);
	}
	client->verb = NULL;
	if (fetch.sink != NULL) {
		uint64_t loss;

		sum_add(&fetch);
		sum->summary->rtt = client->channel_live ? channel_rtt(&client->channel, &loss) : sum->progress.rtt;
	}
	checks_end(&fetch.checks);
	free(fetch.spare);
	sink_destroy(fetch.sink);
	return r;
}
