/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets the buffers of a process: those who move.
 *
 * A session that sends begins with one order, and reads ahead by as much as it has shown to get rid of. When buffers
 * are short, those of sessions that do not get on are taken back, the longest at rest first, and read again when the
 * transport takes bytes again. Each use of buffers has a share of its own (lend.h), so that neither the new nor the slow
 * keep those waiting who move, nor the other way round.
 */
#ifndef XFER_ENGINE_LENDING_H
#define XFER_ENGINE_LENDING_H

#include "engine/link.h"

enum { LENDING_SCRATCH = 128 * 1024 /* bytes of the buffer that links share to receive into */ };

/* The daemon's shares; without them every use may have everything. */
void lending_shares(struct loop *loop);

/* The shared buffer, or one like it while somebody has that; NULL: there is none. Handed back by lending_give(). */
struct lent *lending_take(struct loop *loop);
/* Any buffer, with one reference; NULL is allowed. */
void lending_give(struct loop *loop, struct lent *lent);
bool lending_is_scratch(const struct lent *lent);
/* Whether what could not be received whole may be kept beside the budget. */
bool lending_stash_room(const struct loop *loop);

/* What a session that sends may be lent, by what it has shown. */
enum lend_use lending_use(const struct link *link);
/* Bytes that it may have read and not sent, at most `most`. */
uint64_t lending_ahead(const struct link *link, uint64_t most);

/*
 * Payload bytes up to which a job may carry several large chunks. With one chunk it always fits what is kept free for those
 * who wait, a quarter of the budget; larger jobs have to as well, or they would wait for ever.
 */
uint32_t lending_together(const struct loop *loop);

/* Empty pipes that hold `bytes` together, if need be those of sessions that do not get on; NULL: there are none. */
struct pipe_lent *lending_pipes(struct loop *loop, size_t bytes);

/* Puts the node at the end of the queue `list` of the loop's, and sees to it that buffers come back. */
void lending_wait(struct loop *loop, struct list *list, struct list *node);

#endif
