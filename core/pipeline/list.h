/* SPDX-License-Identifier: BSD-2-Clause */
/* The list job: a walk through a tree becomes ENTRIES frames, one run at a time. */
#ifndef XFER_PIPELINE_LIST_H
#define XFER_PIPELINE_LIST_H

#include "base/buf.h"
#include "pipeline/job.h"
#include "store/store.h"
#include "wire/message.h"

struct list_walk; /* a LIST under way */
/*
 * depth as in LIST (MESSAGE_DEPTH_ALL). totals: no entries, only the sums. name: of the first entry when path is "": the
 * export's (may be NULL otherwise). path and name are copied, the root is kept by a reference; no I/O.
 */
int list_walk_create(struct list_walk **out, struct store_root *root, const char *path, unsigned depth, bool totals,
                     const char *name);
/* A walk through nothing but these names, as if they were directories without anything in them; names are copied. */
int list_walk_names(struct list_walk **out, const char *const *names, size_t count);
void list_walk_destroy(struct list_walk *walk); /* no job of it is under way. NULL is allowed. */

/* One job of a walk at a time. It comes back when the run is full, or after a while with what it has, even nothing. */
struct list_job {
	struct job job;
	struct list_walk *walk;
	uint32_t request;
	uint64_t run_max;   /* bytes of entries at most: the credit; at least 64 KiB is always worth waiting for */
	enum status refuse; /* not STATUS_OK: walk no further, end the request with it */
	/* Results. */
	struct buf out; /* sealed frames: ENTRIES, and ENDS when the walk is over; the caller frees it */
	uint64_t run;   /* bytes of the ENTRIES run; 0 when there is no ENTRIES frame */
	bool ended;     /* the ENDS frame is there: the walk is over */
	int code;       /* 0, or -ENOMEM and the like: there are no frames, and the walk cannot go on */
};

#endif
