/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lent buffers: where payloads live between transport and store. All of a process come from one budget, so that no
 * peer, chunk size or file size sets how much memory there is. A session that moves has some; one that rests has none.
 * Loop thread only (pool threads use the bytes of a buffer that the loop holds for them).
 */
#ifndef XFER_PIPELINE_LEND_H
#define XFER_PIPELINE_LEND_H

#include <stddef.h>
#include <stdint.h>

struct lender;

struct lent {
	uint8_t *data; /* aligned to the page */
	size_t size;   /* usable bytes, at least what was asked for */
	unsigned refs;
	struct lender *lender;
	struct lent *next; /* in the free list */
};

/* budget: bytes that may be out at a time; a single buffer beyond it is granted only when nothing else is out. */
int lend_create(struct lender **out, size_t budget);
void lend_destroy(struct lender *lender); /* all buffers are back */
/* A buffer with one reference, or NULL when the budget is spent (or memory is): wait until one comes back. */
struct lent *lend_get(struct lender *lender, size_t size);
struct lent *lent_ref(struct lent *lent);
void lent_unref(struct lent *lent);           /* NULL is allowed */
size_t lend_out(const struct lender *lender); /* bytes out now */
size_t lend_budget(const struct lender *lender);
/* Gives unused memory back to the system, when nothing has moved for a while. */
void lend_trim(struct lender *lender);

#endif
