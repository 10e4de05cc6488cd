/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The further sessions of a job at the client: opened when the first one has settled what is spoken, with the same daemon,
 * and opened again when they are lost. What they are used for is the verb's business.
 *
 * One that cannot be had is a warning, once; the job goes on with those that there are.
 */
#ifndef XFER_ENGINE_STREAMS_H
#define XFER_ENGINE_STREAMS_H

#include "engine/channel.h"
#include "engine/client.h"
#include "engine/dial.h"
#include "engine/receiving.h"
#include "engine/retry.h"
#include "engine/sending.h"

struct push_session;
struct streams;

/* A session beside the first. */
struct stream {
	struct streams *streams;
	struct channel channel;
	struct dial *dial; /* NULL when not dialling */
	struct retry retry;
	struct deadline again; /* the next try */
	uint64_t leave;        /* steady ns: when a goaway is followed; 0 = there was none */
	uint64_t taken;        /* bytes of frames that came, without liveness */
	bool used;             /* the channel is not closed yet */
	bool live;             /* and its session is open */
	bool waiting;          /* for the next try */
	bool given_up;
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

struct streams {
	struct client *client;
	struct channel_base base;
	const char *integrity; /* of the offer: the only one */
	struct stream *all;    /* owned; NULL: none are wanted yet */
	unsigned count;        /* of all */
	unsigned wanted;       /* how many of them there should be */
	uint64_t sent;         /* bytes, by sessions that are gone */
	bool warned;           /* that one cannot be had */
	bool closing;
};

/* How many sessions a job should have. It is the user's number so far; where it is to be found out, it is here. */
unsigned streams_number(const struct client *client);
/* The first session is open: opens the others, where they are not yet. Without memory there are none. */
void streams_begin(struct client *client);
/* As many as the job should have, whether or not the first session is there. */
void streams_fill(struct client *client);
/* Open sessions. */
unsigned streams_live(const struct client *client);
/* The session is not to go on: ends it in order. */
void streams_leave(struct stream *stream);
/* It does not send any more: the owner of `sends` set it to false. */
void streams_rest(struct stream *stream);
/* The daemon has no use for it: not tried again. */
void streams_refused(struct stream *stream, const struct error *err);
/* The peer broke the protocol. */
void streams_fail(struct stream *stream, const struct error *err);
/* Lets go of all; waits until they are closed. Not within a verb. */
void streams_close(struct client *client);
/* The same, without waiting: nothing more is heard of them. */
void streams_drop(struct client *client);

#endif
