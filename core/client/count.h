/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting a tree of ours beside what is done with it: the sums for a line of progress. */
#ifndef XFER_CLIENT_COUNT_H
#define XFER_CLIENT_COUNT_H

#include "engine/loop.h"

struct count {
	struct loop_owner owner;
	struct loop *loop;
	const struct suite *suite;
	struct list_job job;
	struct list_walk *walk; /* owned; NULL: not begun */
	bool busy;              /* the job is out */
	bool ending;
	bool known; /* the sums are there */
	uint64_t files, bytes;
};

/* The suite has to last until count_end(). Without memory nothing will be known. */
void count_begin(struct count *count, struct loop *loop, const struct suite *suite, struct store_root *root,
                 const char *path);
/* Waits for the job, in the loop: not within one of its callbacks. A count that was never begun is zeroed. */
void count_end(struct count *count);

#endif
