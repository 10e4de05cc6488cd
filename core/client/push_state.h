/* SPDX-License-Identifier: BSD-2-Clause */
/* What push.c and push_said.c share; nobody else includes it. */
#ifndef XFER_CLIENT_PUSH_STATE_H
#define XFER_CLIENT_PUSH_STATE_H

#include "client/attempt.h"
#include "client/count.h"
#include "client/push.h"
#include "engine/stall.h"

enum { PUSH_REQUEST = 1 /* of every PUT: there is one at a time */ };

struct push {
	struct push_session *session;
	const struct url *url;
	const struct push_source *source;
	struct client_sum *sum;
	uint16_t flags;
	struct client_progress before; /* what earlier sources came to */
	uint64_t reached;              /* see reconnect_job */
	bool kept; /* a DONE came: all is done, but for the daemon's journal, which is to be forgotten */
	/* Of one attempt: */
	struct attempt attempt; /* RUNNING: the PUT is sent; there is nothing to tidy */
	bool listed;            /* the daemon asked what there is */
	unsigned attempts;      /* that were asked for */
	uint64_t taken;         /* bytes of frames that came, without liveness */
	uint64_t files, bytes;  /* sent */
	struct count count;     /* of a tree, for the line of progress */
	struct stall stall;
};

/* What the daemon may ask for at a time: each request is held here, and the number in the WELCOME is only the daemon's. */
static inline uint32_t push_requests(const struct channel *channel)
{
	return channel->requests_max < MESSAGE_PUT_REQUESTS_MAX ? channel->requests_max : MESSAGE_PUT_REQUESTS_MAX;
}
/* push.c */
/* This attempt is over, for whatever reason: done where ending is NULL. */
void push_end(struct push *push, const struct ending *ending);
/* What is to be put, or that it is to be forgotten: not sent yet. */
int push_write(struct push *push, struct error *err);
/* Where a request of the daemon leads: nothing but the source. */
void push_place(const struct push *push, const char *path, struct sending_place *out);
void push_piece(struct push *push, const struct sending *sending, const struct read_piece *piece,
                const struct source_request *request);
/* push_lanes.c: the sessions beside the first, and what a limit of the rate lets through on all of them */
/* Those that are open and take no part yet do. */
void push_lanes_join(struct push *push);
void push_lanes_open(void *context, struct stream *stream);
int push_lanes_frame(void *context, struct stream *stream, const struct frame_header *header, const uint8_t *bytes,
                     struct lent *buffer, struct error *err);
void push_lanes_pump(struct push *push);
/* Opens more of them where that helps. Those that do not stay: what is under way on them would have to come again. */
void push_lanes_grow(struct push *push);
/* What one does, where the first does nothing. */
void push_lanes_progress(const struct push *push, struct xfer_progress *ours);
/* Bytes that were sent over all sessions, but for questions whether the peer is alive. */
uint64_t push_lanes_sent(const struct push *push);
/* A CREDIT of the first session. */
int push_credit(struct push_session *session, const struct frame_header *header, const uint8_t *body,
                struct error *err);
/* Time has gone on. */
void push_credit_pass(struct push_session *session);
/* push_said.c: what the daemon says of a put. */
int push_event(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err);
/* The put is over: client_stop(). */
int push_done(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err);
/* All is put, and something is left behind: no failure of it, but nothing to be found by surprise either. */
void push_left(const struct push *push, const char *why);

#endif
