/* SPDX-License-Identifier: BSD-2-Clause */
/* What every kind of job has: its suite, whose it is, and where in the pipeline it is. */
#ifndef XFER_PIPELINE_JOB_H
#define XFER_PIPELINE_JOB_H

#include "base/list.h"
#include "registry/registry.h"
#include "wire/frame.h"

#include <stdatomic.h>
#include <stdint.h>

/* What a session settled on. Outlives every job and file that names it. */
struct suite {
	const struct plugin *integrity;
	struct frame_limits limits; /* chunk_size and digest_size are those of the session */
	uint32_t together;          /* payload bytes up to which a job may carry several large chunks */
	struct known *known;        /* digests that need not be made again; NULL: none are kept */
};

enum job_kind {
	JOB_READ,
	JOB_AGAIN,
	JOB_WRITE,
	JOB_LIST,
	JOB_CHECK,
	JOB_DIR,
	JOB_PLACE,
	JOB_PROBE,
	JOB_KEEP,
	JOB_EXPIRE
};

struct job {
	enum job_kind kind;
	const struct suite *suite;
	struct job *next;             /* the pipeline's, while submitted; the list that pipeline_take() returns */
	void *owner;                  /* the engine's: the session or client job it belongs to */
	struct list link;             /* the engine's: the owner's unfinished jobs, oldest first */
	_Atomic uint32_t stage;       /* XFER_STAGE_*, for the progress record */
	_Atomic uint64_t stage_since; /* monotonic ns */
	uint8_t step;                 /* the pipeline's: how many of its stages are done */
};

/* The job is at `stage` from now on (any thread that has the job). */
void job_stage(struct job *job, uint32_t stage);

#endif
