/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The further sessions of a job at the client: opened when the first one has settled what is spoken, with the same daemon,
 * and opened again when they are lost. What they are used for is the verb's business.
 *
 * One that cannot be had is a warning, once; the job goes on with those that there are. Where the user has not said how
 * many there should be, that is found out (growth.h), and nobody is warned.
 */
#ifndef XFER_CLIENT_STREAMS_H
#define XFER_CLIENT_STREAMS_H

#include "client/client.h"
#include "client/growth.h"
#include "client/stream.h"

struct streams {
	struct client *client;
	struct channel_base base;
	const char *integrity; /* of the offer: the only one */
	struct stream *all;    /* owned; NULL: none are wanted yet */
	unsigned count;        /* of all */
	unsigned wanted;       /* how many of them there should be */
	uint64_t sent;         /* bytes, by sessions that are gone */
	struct growth growth;  /* where the user has not said how many */
	uint64_t looked;       /* steady ns, when that was looked at last */
	unsigned most_live;    /* sessions that were open at a time, with the first */
	bool warned;           /* that one cannot be had */
	bool closing;
};

/* How many sessions a job should have now: as many as the user says, or as have been found to help. */
unsigned streams_number(const struct client *client);
/* And how many it may come to. Known when the first one is open. */
unsigned streams_most(const struct client *client);

/* What a job has come to. */
struct streams_look {
	uint64_t moved; /* bytes, over all its sessions */
	uint64_t left;  /* bytes to come; UINT64_MAX = unknown */
	bool held;      /* it is we who are slow */
	bool keep;      /* sessions that do not help stay open */
};
/* It is worth looking again whether more sessions would help: streams_grow(). */
bool streams_due(const struct client *client);
/* Those that are open are to work: else they were opened in advance. */
bool streams_used(const struct client *client);
/* Opens more, or says of those that do not help that they are `surplus`. */
void streams_grow(struct client *client, const struct streams_look *look);
/* The first session is open: opens the others, where they are not yet. Without memory there are none. */
void streams_begin(struct client *client);
/* As many as the job should have, whether or not the first session is there. */
void streams_fill(struct client *client);
/* Open sessions. */
unsigned streams_live(const struct client *client);
/* One of them is open. */
void streams_opened(struct client *client);
/* One cannot be had: said once. */
void streams_missing(struct client *client, const struct error *err);
/* Lets go of all; waits until they are closed. Not within a verb. */
void streams_close(struct client *client);
/* The same, without waiting: nothing more is heard of them. */
void streams_drop(struct client *client);

#endif
