/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source: has files, and is asked for them. A state machine without I/O.
 *
 * Requests and credit go in; orders come out one at a time, as long as there is something that may be done now; each
 * order comes back with its results. Whoever carries orders out (the engine, a simulator) decides how many are under
 * way. Frames are made by those who carry out, since they stand where the bytes are; the source only counts them.
 */
#ifndef XFER_SESSION_SOURCE_H
#define XFER_SESSION_SOURCE_H

#include "base/error.h"
#include "base/list.h"
#include "base/table.h"
#include "wire/message.h"

enum { SOURCE_PIECES_MAX = 64 };

struct source_limits {
	uint32_t requests_max;  /* unanswered requests at a time */
	uint32_t chunk_size;    /* bytes */
	uint64_t order_payload; /* payload bytes that one order may carry */
	unsigned open_max;      /* files that are too large for one order, read at the same time */
};

/* A request of the peer. Fields are the source's; whoever carries out orders may keep its own `handle` in it. */
struct source_request {
	struct list link; /* in one of the source's queues, or alone */
	uint32_t id;
	bool is_list;
	bool part;    /* not the whole file was asked for */
	bool fresh;   /* perhaps because something was wrong: digests that are known are not good enough */
	bool digests; /* of its chunks only: no payload is sent and no credit used */
	bool cancelled;
	bool large;     /* more than one order carries */
	bool sparse;    /* holes were met: orders follow one another, each as far as its payload goes */
	bool opened;    /* the first piece came back; of a LIST: the first order went out */
	bool failed;    /* a piece failed */
	bool ended;     /* the end was sent; waits for orders under way */
	uint16_t flags; /* MESSAGE_LIST_* */
	uint16_t depth;
	uint16_t path_len;     /* READ: bytes */
	unsigned in_flight;    /* orders that hold a piece of it */
	uint64_t first, count; /* chunks asked for; count may be MESSAGE_ALL */
	uint64_t next;         /* first chunk not yet ordered */
	uint64_t stop;         /* behind the last chunk to be sent; known when opened */
	uint64_t sent;         /* chunks sent */
	uint64_t size;         /* as the peer believes */
	uint64_t credit;       /* LIST: bytes of entries that may be sent in all */
	uint64_t used;         /* LIST: bytes sent */
	void *handle;          /* the carrier's: the open file or walk; NULL before the first order */
	char path[];           /* "export/dir/file" */
};

struct source_piece {
	struct source_request *request;
	/* Chunks, as many as go into the reserved payload (holes take none). Count 0 only with end: nothing but the end. */
	uint64_t first, count;
	bool end;          /* end the request when the last of these chunks, or of the file, is in */
	uint64_t reserved; /* payload bytes taken from the credit for it; 0 with digests */
	/* Results. */
	uint64_t chunks;
	uint64_t bytes; /* of payload read */
	uint64_t total; /* chunks of the whole file */
	bool failed; /* the file did: no more chunks of it are ordered, only the end, when nothing else is under way */
	bool ended;
};

struct source_order {
	bool is_list;         /* pieces[0].request is a LIST */
	bool digests;         /* READ: of all pieces the digests are sent instead of the chunks */
	uint64_t payload_max; /* READ: payload bytes; LIST: bytes of entries */
	uint64_t run;         /* result of a LIST: bytes of entries */
	size_t count;
	struct source_piece pieces[SOURCE_PIECES_MAX];
};

struct source;

int source_create(struct source **out, const struct source_limits *limits);
/* release (may be NULL) is called with each handle that is left. No order is under way. */
void source_destroy(struct source *source, void (*release)(void *context, struct source_request *request),
                    void *context);

/* Requests. -EPROTO: id 0 or in use; -EDQUOT: more than requests_max. */
int source_read(struct source *source, uint32_t id, const struct message_read *read, struct error *err);
int source_list(struct source *source, uint32_t id, const struct message_list *list, struct error *err);
/* request 0: payload; else the LIST of that id, unknown ones are ignored. A total that goes back is -EPROTO. */
int source_credit(struct source *source, uint32_t request, uint64_t total, struct error *err);
void source_cancel(struct source *source, uint32_t id); /* unknown: ignored, it had ended */

/* Fills *order and returns true when something can be done now. */
bool source_next(struct source *source, struct source_order *order);
/* The same, but only a LIST, which needs no buffer. */
bool source_next_list(struct source *source, struct source_order *order);
/*
 * Takes an order back. Requests that ended and have nothing under way are freed: `release` is called for each before.
 */
void source_done(struct source *source, const struct source_order *order,
                 void (*release)(void *context, struct source_request *request), void *context);

size_t source_pending(const struct source *source); /* requests not ended */
uint64_t source_sent(const struct source *source);  /* payload bytes so far */

#endif
