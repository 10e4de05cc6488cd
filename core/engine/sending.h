/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sending half of a session: carries out the orders of a source through the pipeline and sends what comes of them.
 * The daemon has one for a get, the client for a put. One that rests has neither buffers nor a source.
 */
#ifndef XFER_ENGINE_SENDING_H
#define XFER_ENGINE_SENDING_H

#include "engine/channel.h"
#include "pipeline/read.h"
#include "session/source.h"

struct sending;

/* Where a request's path leads. */
struct sending_place {
	enum status refuse;      /* not STATUS_OK: it is refused with this, and the rest does not count */
	struct store_root *root; /* borrowed */
	const char *rest;        /* the path beneath root; lasts as long as the path that was given */
	const char *name;        /* what the root itself is called in a listing; may be NULL when rest is not "" */
	bool unread;             /* it may be listed, and not read */
	/* A list of names instead of a place in the file system: root is NULL. */
	const char *const *names;
	size_t name_count;
};

struct sending_watch {
	void (*place)(struct sending *sending, const char *path, struct sending_place *out);
	/* A LIST or a READ came; a piece of a READ is done. NULL is allowed. */
	void (*asked)(struct sending *sending, const struct message_list *list);
	void (*piece)(struct sending *sending, const struct read_piece *piece, const struct source_request *request);
	/* The last job is back after sending_close(). */
	void (*closed)(struct sending *sending);
};

struct sending {
	struct loop_owner owner;
	struct channel *channel; /* borrowed */
	const struct sending_watch *watch;
	struct source *source; /* NULL until the first request */
	struct list hunger;    /* in loop.hungry or .hungry_new: waits for a buffer to read into */
	struct list jobs;      /* struct job.link, oldest first */
	unsigned job_count;
	uint32_t requests_max;
	bool refilling; /* a batch is being read again */
	bool closing;
};

void sending_open(struct sending *sending, struct channel *channel, const struct sending_watch *watch,
                  uint32_t requests_max);
/* LIST, READ, CREDIT, CANCEL. */
int sending_frame(struct sending *sending, const struct frame_header *header, const uint8_t *body, struct error *err);
/* Starts what can be started. */
void sending_pump(struct sending *sending);
/* For channel_watch: the bytes of a batch are wanted again. */
void sending_refill(struct sending *sending);
/* Those who had no buffer try again. */
void sendings_feed(struct loop *loop);
/* Nothing is asked for and nothing is to be sent. */
bool sending_idle(const struct sending *sending);
/* The stage and age of the oldest job. */
void sending_progress(const struct sending *sending, struct xfer_progress *ours);
/* No more orders; watch->closed() comes when the last job is back, perhaps from within. */
void sending_close(struct sending *sending);

#endif
