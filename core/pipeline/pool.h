/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to this floor: threads that take jobs from one queue, first in first out. */
#ifndef XFER_PIPELINE_POOL_H
#define XFER_PIPELINE_POOL_H

#include "base/error.h"
#include "pipeline/job.h"

#include <stdbool.h>
#include <stddef.h>

struct pool;

enum { POOL_FULL = 1680 }; /* can be divided by 1 to 8, 10, 12, 14, 15 and 16 */

struct pool_settings {
	const char *name; /* of the threads, at most 9 bytes; borrowed */
	unsigned threads; /* at least 1 */
	unsigned gather;  /* jobs that one call of run() takes at most */
	/* May the two go into one call of run()? Not needed when gather is 1, nor is share(). */
	bool (*together)(const struct job *a, const struct job *b);
	/*
	 * How much of a call the job fills, 1 to POOL_FULL. While a thread is at work, what fills no call waits for more,
	 * until that thread comes back at the latest; while none is, nothing waits.
	 */
	unsigned (*share)(const struct job *job);
	/* thread: 0 to threads - 1. The jobs are run()'s; the array is not. */
	void (*run)(void *context, unsigned thread, struct job **jobs, size_t count);
	void *context;
};

int pool_create(struct pool **out, const struct pool_settings *settings, struct error *err);
/* Runs what is queued, then ends and joins the threads; pushes that are under way elsewhere still find the pool. */
void pool_join(struct pool *pool);                  /* NULL is allowed, and so is a second call */
void pool_destroy(struct pool *pool);               /* joined or not. NULL is allowed */
void pool_push(struct pool *pool, struct job *job); /* any thread */

#endif
