/* SPDX-License-Identifier: BSD-2-Clause */
/* What push.c and push_said.c share; nobody else includes it. */
#ifndef XFER_ENGINE_PUSH_STATE_H
#define XFER_ENGINE_PUSH_STATE_H

#include "engine/count.h"
#include "engine/push.h"
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
	/* Of one attempt: */
	bool asked;            /* the PUT is sent */
	bool over;             /* nothing more comes from the session */
	bool done;             /* the DONE came */
	bool goaway;           /* which said that the daemon goes away */
	bool busy;             /* which said that an earlier attempt still holds what it began */
	unsigned attempts;     /* that were asked for */
	struct error err;      /* why the session ended */
	uint64_t taken;        /* bytes of frames that came, without liveness */
	uint64_t files, bytes; /* sent */
	struct count count;    /* of a tree, for the line of progress */
	struct stall stall;
	char waits[RECONNECT_TEXT_MAX];
};

/* push_said.c: what the daemon says of a put. */
int push_event(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err);
/* The put is over: client_stop(). */
int push_done(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err);

#endif
