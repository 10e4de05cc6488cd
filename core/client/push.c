/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/push.h"

#include "client/push_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct push_session *of_sending(struct sending *sending)
{
	return list_entry(sending, struct push_session, sending);
}

/* What the daemon's requests call the source. */
static const char *source_name(const struct push_source *source)
{
	return source->name[0] != '\0' ? source->name : ".";
}

/* ---- the end ---- */

void push_end(struct push *push, const struct ending *ending)
{
	if (ending != NULL ? !attempt_give_up(&push->attempt, ending) : !attempt_finished(&push->attempt))
		return;
	attempt_finished(&push->attempt); /* there is nothing to tidy */
	client_stop(push->session->client);
}

/* ---- what the daemon asks for ---- */

/* A link in it leads to no place beside it. */
void push_place(const struct push *push, const char *path, struct sending_place *out)
{
	const struct push_source *source = push != NULL ? push->source : NULL;
	const char *name = source != NULL ? source_name(source) : "";
	size_t len = strlen(name);

	*out = (struct sending_place){ .refuse = STATUS_REFUSED };
	if (len == 0 || strncmp(path, name, len) != 0)
		return;
	out->rest = source->rest;
	if (path[len] != '\0') {
		out->rest = path + len + 1;
		if (path[len] != '/' || !source->is_dir || out->rest[0] == '\0' ||
		    store_path_check(out->rest, strlen(out->rest), NULL) < 0)
			return;
	}
	out->refuse = STATUS_OK;
	out->root = source->root;
	out->name = "source"; /* a root needs a name in a listing; nobody looks at it */
	out->unread = !source->is_dir && !source->is_file;
}

/* Payload bytes of a piece, holes counted. */
static uint64_t piece_bytes(const struct suite *suite, const struct read_piece *piece,
                            const struct source_request *request)
{
	uint64_t chunk = suite->limits.chunk_size;
	uint64_t end = (piece->first + piece->chunks) * chunk;

	if (piece->chunks == 0 || piece->first * chunk >= request->size)
		return 0;
	return (end < request->size ? end : request->size) - piece->first * chunk;
}

void push_piece(struct push *push, const struct sending *sending, const struct read_piece *piece,
                const struct source_request *request)
{
	/* Chunks that are asked for again were counted; but large files may be asked for in ranges. */
	if (push == NULL || request->digests || (request->part && (push->flags & MESSAGE_PUT_SHARED) == 0))
		return;
	push->bytes += piece_bytes(&sending->channel->suite, piece, request);
	if (!request->part && piece->ended && piece->status == STATUS_OK)
		push->files++;
}

static void on_place(struct sending *sending, const char *path, struct sending_place *out)
{
	push_place(of_sending(sending)->push, path, out);
}

static void on_asked(struct sending *sending, const struct message_list *list)
{
	struct push *push = of_sending(sending)->push;

	if (push != NULL && list != NULL)
		push->listed = true;
}

static void on_piece(struct sending *sending, const struct read_piece *piece, const struct source_request *request)
{
	push_piece(of_sending(sending)->push, sending, piece, request);
}

static void on_sending_closed(struct sending *sending)
{
	struct push_session *session = of_sending(sending);

	session->open = false;
	if (session->waiting)
		client_stop(session->client);
}

static const struct sending_watch sending_events = {
	.place = on_place,
	.asked = on_asked,
	.piece = on_piece,
	.closed = on_sending_closed,
};

/* ---- the verb ---- */

static int on_frame(void *context, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct push *push = context;
	const uint8_t *body = bytes + FRAME_HEADER;

	(void)buffer;
	push->taken += FRAME_HEADER + header->length;
	if (!attempt_runs(&push->attempt))
		return 0;
	switch (header->type) {
	case FRAME_EVENT: return push_event(push, header, body, err);
	case FRAME_DONE: return push_done(push, header, body, err);
	case FRAME_CREDIT: return push_credit(push->session, header, body, err);
	default: return sending_frame(&push->session->sending, header, body, err);
	}
}

static void on_work(void *context)
{
	struct push *push = context;

	if (push->session->open)
		sending_pump(&push->session->sending);
	push_lanes_pump(push);
	if (!push->kept)
		push_lanes_grow(push);
}

int push_write(struct push *push, struct error *err)
{
	struct client *client = push->session->client;
	const struct push_source *source = push->source;
	struct message_put put = {
		.flags = push->flags,
		.name = source->name,
		.name_len = strlen(source->name),
		.path = push->url->path,
		.path_len = strlen(push->url->path),
	};
	int r;

	put.flags |= push->kept ? MESSAGE_PUT_FORGET : MESSAGE_PUT_KEEP;
	if (client->watch.file != NULL)
		put.flags |= MESSAGE_PUT_TELL;
	if (push->url->slash)
		put.flags |= MESSAGE_PUT_INTO;
	memcpy(put.id, source->id, sizeof(put.id));
	r = message_put_write(channel_control(&client->channel), PUSH_REQUEST, &put);
	if (r == -EMSGSIZE || r == -EINVAL)
		return error_set(err, r, FAULT_USAGE, "no daemon can be told of such a path");
	return r < 0 ? error_set(err, r, FAULT_LOCAL, "out of memory for a request") : 0;
}

static void totals_begin(struct push *push)
{
	struct client *client = push->session->client;

	if (push->source->is_file) {
		push->count.files = 1;
		push->count.bytes = push->source->size;
		push->count.known = true;
	} else if (push->source->is_dir && client->options.totals) {
		count_begin(&push->count, client->loop, &client->channel.suite, push->source->root, push->source->rest);
	}
}

static void on_open(void *context)
{
	struct push *push = context;
	struct push_session *session = push->session;
	struct client *client = session->client;
	struct error err = { 0 };
	struct ending ending;

	snprintf(push->sum->summary->integrity, sizeof(push->sum->summary->integrity), "%s",
	         client->channel.suite.integrity->about.name);
	if (streams_most(client) > 1)
		push->flags |= MESSAGE_PUT_SHARED;
	if ((push->flags & MESSAGE_PUT_UPDATE) &&
	    client->channel.suite.integrity->integrity.strength < XFER_STRENGTH_CRYPTOGRAPHIC)
		client_weak(client, &err);
	else
		(void)push_write(push, &err);
	if (err.code < 0) {
		ending_without(&ending, &err);
		push_end(push, &ending);
		return;
	}
	if (!session->open) {
		sending_open(&session->sending, &client->channel, &sending_events, push_requests(&client->channel));
		session->open = true;
		session->began = client->loop->now;
		session->credit = session->passed = session->gone = 0;
	}
	client->channel.put = true;
	attempt_opened(&push->attempt);
	push->attempts++;
	stall_begin(&push->stall, client->loop->now);
	if (!push->kept)
		totals_begin(push);
	channel_flush(&client->channel);
	if (push->kept)
		return;
	streams_begin(client);
	push_lanes_join(push);
}

static void on_ended(void *context, const struct ending *ending)
{
	push_end(context, ending);
}

static void on_progress(void *context, struct xfer_progress *ours)
{
	struct push *push = context;

	if (push->session->open)
		sending_progress(&push->session->sending, ours);
	push_lanes_progress(push, ours);
}

/* Names what is waited for when nothing has moved for a while; ends a transfer that has stalled for too long. */
static void stall_check(struct push *push)
{
	struct client *client = push->session->client;
	const struct channel *channel = &client->channel;
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	const struct stall_look look = {
		.channel = channel,
		.moved = push->taken + push_lanes_sent(push),
		.waits = true,
		.ours = &ours,
	};
	struct error err = { 0 };
	struct ending ending;

	on_progress(push, &ours);
	if (stall_look(&push->stall, &look, client->loop->now) < client->settings->stall_after)
		return;
	error_set(&err, -ETIME, FAULT_PEER, "%s stalled: %s", channel_peer(channel), push->stall.text);
	ending_of_channel(&ending, &err, channel);
	push_end(push, &ending);
	client_fail(client, &err);
}

static void progress_fill(struct push *push)
{
	struct client *client = push->session->client;
	struct client_progress *progress = &push->sum->progress;

	progress->files = push->before.files + push->files;
	progress->bytes = push->before.bytes + push->bytes;
	if (push->count.known) {
		progress->files_total = push->before.files_total + push->count.files;
		progress->bytes_total = push->before.bytes_total + push->count.bytes;
	}
	client_sum_fill(push->sum, client, client->channel_live ? &client->channel : NULL, &push->stall);
}

static void progress_tell(void *context)
{
	struct push *push = context;

	progress_fill(push);
	client_sum_tell(push->sum, push->session->client);
}

static void on_tick(void *context)
{
	struct push *push = context;
	struct client *client = push->session->client;

	if (attempt_runs(&push->attempt) && client->channel_live)
		stall_check(push);
	progress_tell(push);
	if (client->options.limit_rate > 0)
		push_credit_pass(push->session);
	on_work(push); /* what waits for memory, or for the limit of the rate */
}

static const struct client_verb push_verb = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.progress = on_progress,
	.tick = on_tick,
	.ended = on_ended,
	.stream_open = push_lanes_open,
	.stream_frame = push_lanes_frame,
};

void push_session_close(struct push_session *session)
{
	if (!session->open)
		return;
	session->push = NULL;
	sending_close(&session->sending);
	session->waiting = true;
	while (session->open)
		loop_run(session->client->loop);
	session->waiting = false;
}

/* ---- an attempt, and the next one ---- */

static void attempt(void *context, struct ending *ending)
{
	struct push *push = context;
	struct push_session *session = push->session;
	struct client *client = session->client;

	attempt_begin(&push->attempt);
	push->listed = false;
	if (!push->kept)
		push->files = push->bytes = 0;
	push->stall.text[0] = '\0';
	/* One that was sent away has no session for another source. */
	if (!client->channel_live || client->channel.goaway)
		push_session_close(session);
	session->push = push;
	if (client_try(client, push->url, &push_verb, push, ending)) {
		progress_fill(push);
		*ending = push->attempt.ending;
	}
	session->push = NULL;
	count_end(&push->count);
	if (push->bytes + push->files > push->reached)
		push->reached = push->bytes + push->files;
	if (ending->kind != ENDING_DONE)
		push_session_close(session);
}

static uint64_t reached(void *context)
{
	const struct push *push = context;

	return push->reached;
}

int push_run(struct push_session *session, const struct url *url, const struct push_source *source, uint16_t flags,
             struct client_sum *sum, struct error *err)
{
	struct push push = {
		.session = session,
		.url = url,
		.source = source,
		.sum = sum,
		.flags = flags,
		.before = sum->progress,
	};
	const struct reconnect_job job = {
		.attempt = attempt, .reached = reached, .tick = progress_tell, .context = &push
	};
	int r = reconnect_run(session->client, url, &job, err);

	sum->summary->rtt = sum->progress.rtt;
	if (!push.kept || r == 0)
		return r;
	push_left(&push, err->text);
	error_clear(err);
	return 0;
}
