/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pipeline: jobs go through stages in two thread pools, one for storage and one for hashing, and come back to the
 * loop in batches.
 *
 *   read job:   storage (open, read) -> hash (digests, frames) -> loop sends the batch
 *   again job:  storage (open, read what was read before) -> loop sends what is left of the batch
 *   write job:  loop received it -> hash (check) -> storage (write, publish) -> loop
 *   list job:   storage (walk) -> hash (digest of the run) -> loop sends the frame
 *   check job:  hash (digest of a control frame's run) -> loop
 *   dir job:    storage (make, finish, remove ... directories, links and empty files)
 *   place job:  storage (look where something goes)
 *   probe job:  storage (what is there already) -> loop
 *   expire job: storage (take away what was abandoned) -> loop
 *   keep job:   storage (read) -> hash (is it right?) -> storage (into the journal, where it is new) -> loop
 *
 * A stage hands the job to the next pool itself; the loop hears once, at the end. Where the integrity is none or a mere
 * checksum the hash stage runs in the storage thread. Jobs and pieces are the caller's memory and must stay put until
 * they come back; a submitted job always comes back. Submit and take: loop thread.
 */
#ifndef XFER_PIPELINE_PIPELINE_H
#define XFER_PIPELINE_PIPELINE_H

#include "base/error.h"
#include "pipeline/again.h"
#include "pipeline/check.h"
#include "pipeline/dir.h"
#include "pipeline/expire.h"
#include "pipeline/job.h"
#include "pipeline/keep.h"
#include "pipeline/lend.h"
#include "pipeline/list.h"
#include "pipeline/place.h"
#include "pipeline/probe.h"
#include "pipeline/read.h"
#include "pipeline/tally.h"
#include "pipeline/write.h"

struct pipeline;

struct pipeline_settings {
	unsigned hash_threads;
	unsigned storage_threads;
	/* Called in a pool thread when finished jobs wait and pipeline_take() was called since the last call. */
	void (*notify)(void *context);
	void *context;
};

int pipeline_create(struct pipeline **out, const struct pipeline_settings *settings, struct error *err);
/* All jobs have come back. Joins the threads. NULL is allowed. */
void pipeline_destroy(struct pipeline *pipeline);
void pipeline_submit(struct pipeline *pipeline, struct job *job);
/* All finished jobs in the order in which they finished, linked by next; NULL when there are none. */
struct job *pipeline_take(struct pipeline *pipeline);

/* Work done by each stage since the start; read without a lock, each number exact, together approximate. */
enum pipeline_stage { PIPELINE_READ, PIPELINE_HASH, PIPELINE_WRITE, PIPELINE_STAGES };
struct pipeline_count {
	uint64_t calls;   /* jobs */
	uint64_t bytes;   /* payload, and entries of listings */
	uint64_t busy_ns; /* sum over threads */
};
void pipeline_counters(const struct pipeline *pipeline, struct pipeline_count out[PIPELINE_STAGES]);

#endif
