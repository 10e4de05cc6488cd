/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to this floor: what the pools call for each kind of job. A storage stage takes one job, a hash stage takes
 * several of a kind and suite, so that the integrity plug-in sees many buffers at once. All return the bytes handled.
 */
#ifndef XFER_PIPELINE_STAGE_H
#define XFER_PIPELINE_STAGE_H

#include "pipeline/again.h"
#include "pipeline/check.h"
#include "pipeline/dir.h"
#include "pipeline/expire.h"
#include "pipeline/keep.h"
#include "pipeline/list.h"
#include "pipeline/place.h"
#include "pipeline/probe.h"
#include "pipeline/read.h"
#include "pipeline/write.h"

enum { STAGE_JOBS_MAX = 8 }; /* jobs that a hash stage takes at once */

uint64_t read_stage_storage(struct read_job *job);
uint64_t read_stage_hash(struct job *const *jobs, size_t count);
uint64_t again_stage_storage(struct again_job *job);
uint64_t write_stage_hash(struct job *const *jobs, size_t count);
uint64_t write_stage_storage(struct write_job *job);
/* Whether files of the job are to be synced now, and that, which needs no turn. Returns those who have waited for it, linked by next. */
bool write_stage_due(const struct write_job *job);
struct job *write_stage_sync(struct write_job *job);
/* Before and after the storage stage. False: the job waits for its file, and is somebody else's from now on. */
bool write_turn_take(struct write_job *job);
struct job *write_turn_leave(struct write_job *job); /* the one that has waited and whose turn it is, or NULL */
uint64_t list_stage_storage(struct list_job *job);
uint64_t list_stage_hash(struct list_job *job);
uint64_t check_stage_hash(struct check_job *job);
uint64_t dir_stage_storage(struct dir_job *job);
uint64_t expire_stage_storage(struct expire_job *job);
uint64_t place_stage_storage(struct place_job *job);
uint64_t probe_stage_storage(struct probe_job *job);
uint64_t keep_stage_storage(struct keep_job *job); /* before the hash stage, and where job->noted after it */
uint64_t keep_stage_hash(struct job *const *jobs, size_t count);

/* Buffers that a job gives to the integrity plug-in in its hash stage, or will. */
uint64_t read_job_buffers(const struct read_job *job);
uint64_t write_job_buffers(const struct write_job *job);
uint64_t keep_job_buffers(const struct keep_job *job);

/* The status that tells a requester of an error of the store's reading side, and a text for it (0: none). */
enum status stage_status(int code);
const char *stage_text(int code, char *out, size_t size);
/* Compares in a time that does not depend on the bytes. */
bool stage_digest_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
