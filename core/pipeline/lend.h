/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lent buffers: where payloads live between transport and store. All of a process come from one budget, so that no
 * peer, chunk size or file size sets how much memory there is. A session that moves has some; one that rests has none.
 * Loop thread only (pool threads use the bytes of a buffer that the loop holds for them).
 */
#ifndef XFER_PIPELINE_LEND_H
#define XFER_PIPELINE_LEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lender;
struct pipes;
struct pipe_lent;

/* What a buffer is lent for. Each use may have a share of its own, so that none takes all that there is. */
enum lend_use {
	LEND_MOVING, /* sessions that move, and whatever is no session's */
	LEND_NEW,    /* sending: sessions that have yet to move */
	LEND_SLOW,   /* receiving: whole frames of sessions that are slow */
	LEND_BEGUN,  /* receiving: beginnings of frames */
	LEND_USES
};

struct lent {
	uint8_t *data; /* aligned to the page */
	size_t size;   /* usable bytes, at least what was asked for */
	unsigned refs;
	enum lend_use use;
	struct lender *lender;
	struct lent *next;       /* in the free list */
	struct pipe_lent *pipes; /* that go back with it, into `pool`; NULL: none. See pipes.h */
	struct pipes *pool;
};

/* budget: bytes that may be out at a time; a single buffer beyond it is granted only when nothing else is out. */
int lend_create(struct lender **out, size_t budget);
void lend_destroy(struct lender *lender); /* all buffers are back */
/* A buffer with one reference, or NULL when the budget is spent (or memory is): wait until one comes back. */
struct lent *lend_get(struct lender *lender, size_t size);
struct lent *lend_get_for(struct lender *lender, enum lend_use use, size_t size); /* lend_get() is LEND_MOVING */
struct lent *lent_ref(struct lent *lent);
/* Counts it as lent for another use; false when that one's share has no room for it. */
bool lend_reuse(struct lent *lent, enum lend_use use);
void lent_unref(struct lent *lent);             /* NULL is allowed */
size_t lend_out(const struct lender *lender);   /* bytes out now */
size_t lend_spare(const struct lender *lender); /* bytes that lie free, for the next */
size_t lend_budget(const struct lender *lender);
/* At most so many bytes for this use, from now on; a single buffer beyond it is granted as with the budget. */
void lend_share(struct lender *lender, enum lend_use use, size_t bytes);
/* Bytes that may still be lent for this use. */
size_t lend_room(const struct lender *lender, enum lend_use use);
/* Gives unused memory back to the system. */
void lend_trim(struct lender *lender);
/* The same if nothing was lent since the last call; true: nothing lies free. */
bool lend_rest(struct lender *lender);

#endif
