/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting at the client: offers a source to the daemon, and serves it, and nothing else, until the daemon is done. */
#ifndef XFER_CLIENT_PUSH_H
#define XFER_CLIENT_PUSH_H

#include "client/client_sum.h"
#include "engine/sending.h"

struct push;

/* A file or a tree of ours. */
struct push_source {
	struct store_root *root; /* borrowed: the folder that is put, or that holds what is put */
	const char *rest;        /* what is put, beneath root; "" = root itself */
	const char *name;        /* what it is called; "" = nothing, only what is in it counts */
	uint64_t size;           /* bytes; of a regular file */
	uint8_t id[MESSAGE_TRANSFER_ID];
	bool is_dir;
	bool is_file; /* a regular one; neither: a symbolic link, or what cannot be put */
};

/* What the puts of one job share: the sending half of the session. Zeroed but for `client` at first. */
struct push_session {
	struct client *client;
	struct sending sending;
	bool open;         /* sending is */
	bool waiting;      /* for its end */
	struct push *push; /* the one that runs; NULL between them */
	uint64_t began;    /* steady ns, when it was opened: for the limit of the rate */
	uint64_t credit;   /* payload bytes that the daemon granted since */
	uint64_t passed;   /* of them, those that the limit of the rate let through */
	uint64_t gone;     /* the same, of further sessions that are gone */
	unsigned turn;     /* whose turn it is under a limit */
};

/*
 * Puts one source at the URL's path; flags: MESSAGE_PUT_*. Returns when the daemon is done. What failed is in *sum and was
 * told to the watch; an error is returned when there is no use in going on (interrupted, peer dead): the session is of no
 * use then.
 */
int push_run(struct push_session *session, const struct url *url, const struct push_source *source, uint16_t flags,
             struct client_sum *sum, struct error *err);
/* Lets go of the sending half; waits for its jobs. Not within a verb. */
void push_session_close(struct push_session *session);

#endif
