/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The expire job: takes away what an abandoned put left in an export, one transfer in each turn, so that others have
 * theirs in between. What is left is known by the journals in JOURNAL_FOLDER; one that is locked is in use.
 */
#ifndef XFER_PIPELINE_EXPIRE_H
#define XFER_PIPELINE_EXPIRE_H

#include "pipeline/job.h"
#include "store/journal.h"
#include "store/store.h"

struct expire_job {
	struct job job;
	struct store_root *root; /* of an export; borrowed */
	int64_t before;          /* seconds since 1970: a journal that was not written to since then has expired */
	/* The pipeline's, from one turn to the next; zeroes before the first. */
	char **names; /* owned; of the journals to look at */
	size_t count, next;
	bool listed;
	/* Results of a turn. */
	bool done;     /* there is no more: else it is to be submitted again */
	bool removed;  /* something was: `about` says what */
	char *journal; /* owned; its path. NULL: nothing was found in this turn */
	struct journal_about about;
	int code; /* 0, or why it could not be removed, or the folder not be read (then journal is NULL) */
};

/* Frees what the turns hold. The struct is the caller's, and may be used again. */
void expire_job_free(struct expire_job *job);

#endif
