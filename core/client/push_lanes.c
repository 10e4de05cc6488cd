/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sessions of a put beside the first: they join it, and the daemon asks over all of them. And the limit of the rate,
 * which is that of all together: it holds back the credit that the daemon gave.
 */
#include "base/text.h"
#include "client/push_state.h"

#include <errno.h>
#include <string.h>

enum { PING_FRAME = FRAME_HEADER + MESSAGE_PING_BYTES };

static struct stream *of_sending(struct sending *sending)
{
	return list_entry(sending, struct stream, sending);
}

/* ---- what the daemon asks for ---- */

static void on_place(struct sending *sending, const char *path, struct sending_place *out)
{
	push_place(of_sending(sending)->session->push, path, out);
}

static void on_piece(struct sending *sending, const struct read_piece *piece, const struct source_request *request)
{
	push_piece(of_sending(sending)->session->push, sending, piece, request);
}

static void on_closed(struct sending *sending)
{
	struct stream *stream = of_sending(sending);

	stream->sends = false;
	stream->session->gone += stream->passed;
	stream->credit = stream->passed = 0;
	stream_rest(stream);
}

static const struct sending_watch lane_events = {
	.place = on_place,
	.piece = on_piece,
	.closed = on_closed,
};

static void join(struct push *push, struct stream *stream)
{
	const struct channel *first = &push->session->client->channel;
	struct channel *channel = &stream->channel;
	struct message_join message;
	struct error err = { 0 };

	memcpy(message.boot_id, first->boot_id, sizeof(message.boot_id));
	memcpy(message.key, first->key, sizeof(message.key));
	if (message_join_write(channel_control(channel), PUSH_REQUEST, &message) < 0) {
		error_set(&err, -ENOMEM, FAULT_LOCAL, "out of memory for a request");
		stream_refused(stream, &err);
		return;
	}
	stream->session = push->session;
	stream->credit = stream->passed = 0;
	sending_open(&stream->sending, channel, &lane_events, push_requests(channel));
	stream->sends = true;
	channel->put = true;
	channel_flush(channel);
}

void push_lanes_join(struct push *push)
{
	struct client *client = push->session->client;

	if (!streams_used(client))
		return;
	for (unsigned i = 0; i < client->streams.count && client->channel_live; i++) {
		struct stream *stream = &client->streams.all[i];

		if (stream_live(stream) && !stream->sends)
			join(push, stream);
	}
}

void push_lanes_open(void *context, struct stream *stream)
{
	struct push *push = context;

	(void)stream;
	/* What is done needs nobody: it takes part in what comes next. */
	if (!push->kept)
		push_lanes_join(push);
}

/* The JOIN was refused. */
static int done_take(struct push *push, struct stream *stream, const struct frame_header *header, const uint8_t *body,
                     struct error *err)
{
	const struct suite *suite = &push->session->client->channel.suite;
	struct message_done done;
	struct error cause = { 0 };
	char text[MESSAGE_TEXT_MAX];
	int r = message_done_read(body, header->length, suite->limits.digest_size, &done, err);

	if (r < 0)
		return r;
	text_printable(text, sizeof(text), done.text, done.text_len);
	error_set(&cause, -ECONNREFUSED, FAULT_REFUSED, "%s: %s", status_text(done.status), text);
	stream_refused(stream, &cause);
	return 0;
}

static int credit_take(struct push_session *session, struct sending *sending, uint64_t *credit,
                       const struct frame_header *header, const uint8_t *body, struct error *err)
{
	uint64_t total;
	int r;

	if (session->client->options.limit_rate == 0 || header->request != 0)
		return sending_frame(sending, header, body, err);
	r = message_credit_read(body, header->length, &total, err);
	if (r < 0)
		return r;
	if (total < *credit)
		return error_set(err, -EPROTO, FAULT_PEER, "credit went back");
	*credit = total;
	push_credit_pass(session);
	return 0;
}

int push_lanes_frame(void *context, struct stream *stream, const struct frame_header *header, const uint8_t *bytes,
                     struct lent *buffer, struct error *err)
{
	struct push *push = context;
	const uint8_t *body = bytes + FRAME_HEADER;

	(void)buffer;
	push->taken += FRAME_HEADER + header->length;
	if (push->attempt.ending.kind > ENDING_DONE || !stream->sends)
		return 0;
	switch (header->type) {
	case FRAME_DONE: return done_take(push, stream, header, body, err);
	case FRAME_CREDIT: return credit_take(push->session, &stream->sending, &stream->credit, header, body, err);
	default: return sending_frame(&stream->sending, header, body, err);
	}
}

/* ---- the limit of the rate ---- */

/* How much of what the daemon granted may be used now, of one session. */
struct share {
	struct push_session *session;
	uint64_t left;  /* payload bytes that time has come for, and that nobody has */
	uint64_t bound; /* that one session may have without using them: the others would miss them */
	uint64_t least; /* less than one chunk moves nothing */
};

static void share_pass(struct share *share, struct sending *sending, uint64_t credit, uint64_t *passed)
{
	uint64_t unused, room, grant;

	if (sending->source == NULL)
		return;
	unused = *passed - source_sent(sending->source);
	room = credit > *passed ? credit - *passed : 0;
	if (unused >= share->bound)
		return;
	room = room < share->bound - unused ? room : share->bound - unused;
	grant = room < share->left ? room : share->left;
	if (grant < room && grant < share->least)
		return;
	*passed += grant;
	share->left -= grant;
	(void)source_credit(sending->source, 0, *passed, NULL); /* never less than before */
}

void push_credit_pass(struct push_session *session)
{
	struct client *client = session->client;
	struct streams *streams = &client->streams;
	uint64_t rate = client->options.limit_rate, chunk = client->channel.suite.limits.chunk_size;
	uint64_t elapsed = client->loop->now - session->began;
	uint64_t total = elapsed / CLOCK_SECOND * rate + elapsed % CLOCK_SECOND * rate / CLOCK_SECOND +
	                 chunk; /* less than one chunk would never move */
	uint64_t spent = session->gone + session->passed;
	bool several = streams->count > 0;
	struct share share = {
		.session = session,
		.bound = several ? chunk + rate / 4 : UINT64_MAX,
		.least = several ? chunk : 0,
	};

	if (!session->open || rate == 0)
		return;
	for (unsigned i = 0; i < streams->count; i++)
		spent += streams->all[i].passed;
	share.left = total > spent ? total - spent : 0;
	session->turn++;
	for (unsigned i = 0; i <= streams->count; i++) {
		unsigned at = (session->turn + i) % (streams->count + 1);

		if (at == streams->count)
			share_pass(&share, &session->sending, session->credit, &session->passed);
		else if (streams->all[at].sends)
			share_pass(&share, &streams->all[at].sending, streams->all[at].credit,
			           &streams->all[at].passed);
	}
}

int push_credit(struct push_session *session, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	return credit_take(session, &session->sending, &session->credit, header, body, err);
}

/* ---- all of them ---- */

void push_lanes_pump(struct push *push)
{
	struct streams *streams = &push->session->client->streams;

	for (unsigned i = 0; i < streams->count; i++) {
		if (streams->all[i].sends && stream_live(&streams->all[i]))
			sending_pump(&streams->all[i].sending);
	}
}

void push_lanes_grow(struct push *push)
{
	struct client *client = push->session->client;
	const struct count *count = &push->count;

	if (!attempt_runs(&push->attempt) || !streams_due(client))
		return;
	streams_grow(client, &(struct streams_look){
				     .moved = push_lanes_sent(push),
				     .left = !count->known                ? UINT64_MAX
	                                     : count->bytes > push->bytes ? count->bytes - push->bytes
	                                                                  : 0,
				     .keep = true,
			     });
	if (!push->kept)
		push_lanes_join(push);
}

void push_lanes_progress(const struct push *push, struct xfer_progress *ours)
{
	const struct streams *streams = &push->session->client->streams;

	for (unsigned i = 0; i < streams->count && ours->stage == XFER_STAGE_IDLE; i++) {
		if (streams->all[i].sends && stream_live(&streams->all[i]))
			sending_progress(&streams->all[i].sending, ours);
	}
}

static uint64_t sent_of(const struct channel *channel)
{
	uint64_t sent = channel->link.sent_bytes, pings = channel->pulse.pings * PING_FRAME;

	return sent > pings ? sent - pings : 0;
}

uint64_t push_lanes_sent(const struct push *push)
{
	const struct client *client = push->session->client;
	uint64_t sent = sent_of(&client->channel) + client->streams.sent;

	for (unsigned i = 0; i < client->streams.count; i++) {
		const struct stream *stream = &client->streams.all[i];

		sent += stream_live(stream) ? sent_of(&stream->channel) : 0;
	}
	return sent;
}
