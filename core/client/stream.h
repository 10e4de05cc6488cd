/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session of a job beside the first, again and again: what it is now, and what is to become of it.
 *
 *   CLOSED --dial--> DIALLING --connected--> OPENING --WELCOME--> LIVE
 *     ^                  |                      |                   |
 *     +---no connection--+                      +------ over -------+--> CLOSING --closed--> CLOSED
 */
#ifndef XFER_CLIENT_STREAM_H
#define XFER_CLIENT_STREAM_H

#include "client/dial.h"
#include "client/retry.h"
#include "engine/channel.h"
#include "engine/receiving.h"
#include "engine/sending.h"

struct push_session;
struct streams;

enum stream_state {
	STREAM_CLOSED,
	STREAM_DIALLING,
	STREAM_OPENING, /* connected; nothing is settled */
	STREAM_LIVE,
	STREAM_CLOSING /* nothing is heard of it any more; its channel is in use */
};

enum stream_fate {
	STREAM_FREE,    /* dialled when one more is wanted */
	STREAM_WAITING, /* dialled again when its pause is over */
	STREAM_GIVEN_UP,
	STREAM_SURPLUS /* one too many: to go when it owes nothing */
};

struct stream {
	struct streams *streams;
	enum stream_state state;
	enum stream_fate fate;
	struct channel channel;
	struct dial *dial; /* DIALLING */
	struct retry retry;
	struct deadline again; /* WAITING: the next try */
	uint64_t leave;        /* steady ns: when a goaway is followed; 0 = there was none */
	uint64_t taken;        /* bytes of frames that came, without liveness */
	/* A get: */
	struct receiving_lane lane;
	uint64_t consumed, granted; /* credit of the session, see sink_credit() */
	/* A put: */
	struct sending sending;
	struct push_session *session; /* borrowed */
	uint64_t credit;              /* payload bytes that the daemon granted */
	uint64_t passed;              /* of them, those that the limit of the rate let through */
	bool sends;                   /* `sending` is open */
};

/* What their channels tell. */
extern const struct channel_watch stream_events;

void stream_init(struct stream *stream, struct streams *streams, const struct retry_limits *limits);
static inline bool stream_live(const struct stream *stream)
{
	return stream->state == STREAM_LIVE;
}
/* Its memory is in use by a session. */
bool stream_busy(const struct stream *stream);
/* It is not free to be dialled. */
bool stream_taken(const struct stream *stream);
/* On its way to be open. */
bool stream_coming(const struct stream *stream);
void stream_dial(struct stream *stream);
/* The session is not to go on: ends it in order. */
void stream_leave(struct stream *stream);
/* It does not send any more: the owner of `sends` set it to false. */
void stream_rest(struct stream *stream);
/* The daemon has no use for it: not tried again. */
void stream_refused(struct stream *stream, const struct error *err);
/* The peer broke the protocol. */
void stream_fail(struct stream *stream, const struct error *err);
/* One that is not open yet is not opened; others go when they are not needed any more. */
void stream_shed(struct stream *stream);
/* Ends it, and nothing more is heard of it. */
void stream_drop(struct stream *stream);

#endif
