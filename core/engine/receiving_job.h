/* SPDX-License-Identifier: BSD-2-Clause */
/* The orders of a sink as jobs of the pipeline. Private to receiving*.c. */
#ifndef XFER_ENGINE_RECEIVING_JOB_H
#define XFER_ENGINE_RECEIVING_JOB_H

#include "engine/receiving.h"
#include "pipeline/keep.h"
#include "pipeline/probe.h"

enum { RECEIVING_LARGE = 256 * 1024 }; /* bytes; a chunk from here on is worth a call that is full */

/* An order under way. */
struct receiving_job {
	union {
		struct job job;
		struct write_job write;
		struct dir_job dir;
		struct probe_job probe;
		struct keep_job keep;
	};
	struct sink_order order;
};

/* receiving_job.c */
/* Orders become jobs, as long as there are some, and buffers for them, and it is not better to wait. */
void receiving_jobs_begin(struct receiving *receiving);
/* The loop's, for receiving.owner. */
void receiving_job_done(struct loop_owner *owner, struct job *job);
/* None is out: lets go of what is kept for the next. */
void receiving_jobs_close(struct receiving *receiving);
/* Where the journal tells of nothing that is left, it goes. True: by a job, which is out now. */
bool receiving_journal_end(struct receiving *receiving);
/* receiving_order.c */
/* Makes the job of work->order; all but whose it is. -ENOBUFS: a keep has no buffer to read into, try again later. */
int receiving_order_begin(struct receiving *receiving, struct receiving_job *work);
/* Puts the results into work->order. */
void receiving_order_end(struct receiving_job *work);

#endif
