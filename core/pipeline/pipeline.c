/* SPDX-License-Identifier: BSD-2-Clause */
/* Which job goes through which stages, the hand-over between the pools, the list of finished jobs, the counters. */
#include "pipeline/pipeline.h"

#include "base/clock.h"
#include "pipeline/pool.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum place { PLACE_DONE = 0, PLACE_STORAGE, PLACE_HASH };

enum { PLAN_MAX = 4 }; /* three stages and PLACE_DONE */
static const uint8_t plans[][PLAN_MAX] = {
	[JOB_READ] = { PLACE_STORAGE, PLACE_HASH, PLACE_DONE },
	[JOB_AGAIN] = { PLACE_STORAGE, PLACE_DONE },
	[JOB_WRITE] = { PLACE_HASH, PLACE_STORAGE, PLACE_DONE },
	[JOB_LIST] = { PLACE_STORAGE, PLACE_HASH, PLACE_DONE },
	[JOB_CHECK] = { PLACE_HASH, PLACE_DONE },
	[JOB_DIR] = { PLACE_STORAGE, PLACE_DONE },
	[JOB_PLACE] = { PLACE_STORAGE, PLACE_DONE },
	[JOB_PROBE] = { PLACE_STORAGE, PLACE_DONE },
	[JOB_KEEP] = { PLACE_STORAGE, PLACE_HASH, PLACE_STORAGE, PLACE_DONE },
	[JOB_EXPIRE] = { PLACE_STORAGE, PLACE_DONE },
};

/* Each thread has its own, so that counting moves no cache line between cores. Written by that thread alone. */
struct counter {
	_Atomic uint64_t calls;
	_Atomic uint64_t bytes;
	_Atomic uint64_t busy_ns;
};
struct counters {
	_Alignas(64) struct counter of[PIPELINE_STAGES];
};

struct pipeline {
	struct pipeline_settings settings;
	struct pool *storage;
	struct pool *hash;
	struct counters *counters; /* storage threads, then hash threads */
	pthread_mutex_t lock;      /* guards the list of finished jobs; taken with no other lock held */
	struct job *done_head;     /* linked by next; NULL when empty */
	struct job *done_tail;
	bool notified; /* since the last pipeline_take() */
};

/* What the job's next stage is. */
static enum place job_next(const struct job *job)
{
	return (enum place)plans[job->kind][job->step];
}

/*
 * The pool that runs it. Where nothing is hashed the hash stage only seals frames and counts, and a checksum against
 * accidents takes less time than moving the bytes to another core's cache: both stay with the storage thread that has
 * the job anyway. (Measured with crc32: half the processor time of a read job, three quarters of a copy.) So does what
 * is in pipes, of which the digests are known.
 */
static enum place job_pool(const struct job *job)
{
	enum place next = job_next(job);

	if (next == PLACE_HASH && job->kind != JOB_CHECK &&
	    (job->suite->integrity->integrity.strength <= XFER_STRENGTH_ACCIDENTAL ||
	     (job->kind == JOB_READ && ((const struct read_job *)job)->piped)))
		return PLACE_STORAGE;
	return next;
}

static uint32_t job_stage_name(const struct job *job)
{
	bool source = job->kind == JOB_READ || job->kind == JOB_AGAIN || job->kind == JOB_LIST;
	bool reads = source || job->kind == JOB_PLACE || job->kind == JOB_PROBE || job->kind == JOB_KEEP;

	switch (job_next(job)) {
	case PLACE_HASH: return XFER_STAGE_HASH;
	case PLACE_STORAGE: return reads ? XFER_STAGE_READ : XFER_STAGE_WRITE;
	case PLACE_DONE: break;
	}
	return source ? XFER_STAGE_SEND : XFER_STAGE_IDLE;
}

static uint64_t stage_hash(struct job **jobs, size_t count)
{
	switch (jobs[0]->kind) {
	case JOB_READ: return read_stage_hash(jobs, count);
	case JOB_WRITE: return write_stage_hash(jobs, count);
	case JOB_LIST: return list_stage_hash((struct list_job *)jobs[0]);
	case JOB_CHECK: return check_stage_hash((struct check_job *)jobs[0]);
	case JOB_KEEP: return keep_stage_hash(jobs, count);
	case JOB_AGAIN:
	case JOB_DIR:
	case JOB_PLACE:
	case JOB_PROBE:
	case JOB_EXPIRE: break;
	}
	return 0;
}

static uint64_t stage_storage(struct job *job)
{
	switch (job->kind) {
	case JOB_READ: return read_stage_storage((struct read_job *)job);
	case JOB_AGAIN: return again_stage_storage((struct again_job *)job);
	case JOB_WRITE: return write_stage_storage((struct write_job *)job);
	case JOB_LIST: return list_stage_storage((struct list_job *)job);
	case JOB_DIR: return dir_stage_storage((struct dir_job *)job);
	case JOB_PLACE: return place_stage_storage((struct place_job *)job);
	case JOB_PROBE: return probe_stage_storage((struct probe_job *)job);
	case JOB_KEEP: return keep_stage_storage((struct keep_job *)job);
	case JOB_EXPIRE: return expire_stage_storage((struct expire_job *)job);
	case JOB_CHECK: break;
	}
	return 0;
}

/* One writer: a plain load and store do. */
static void count_add(_Atomic uint64_t *number, uint64_t more)
{
	atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + more, memory_order_relaxed);
}

/* Runs the next stage of jobs of one kind, and counts it. */
static void stage_run(struct counters *counters, struct job **jobs, size_t count)
{
	enum pipeline_stage stage = PIPELINE_HASH;
	uint64_t bytes;
	uint64_t begin = clock_monotonic();

	for (size_t i = 0; i < count; i++)
		job_stage(jobs[i], job_stage_name(jobs[i]));
	if (job_next(jobs[0]) == PLACE_HASH) {
		bytes = stage_hash(jobs, count);
	} else {
		stage = jobs[0]->kind == JOB_READ || jobs[0]->kind == JOB_AGAIN || jobs[0]->kind == JOB_LIST
		                ? PIPELINE_READ
		                : PIPELINE_WRITE;
		bytes = stage_storage(jobs[0]);
	}
	for (size_t i = 0; i < count; i++)
		jobs[i]->step++;
	count_add(&counters->of[stage].calls, count);
	count_add(&counters->of[stage].bytes, bytes);
	count_add(&counters->of[stage].busy_ns, clock_monotonic() - begin);
}

/* Hands a batch to the loop; it hears of it unless it was told already and did not yet look. */
static void jobs_done(struct pipeline *pipeline, struct job **jobs, size_t count)
{
	bool notify;

	for (size_t i = 0; i < count; i++) {
		job_stage(jobs[i], job_stage_name(jobs[i]));
		jobs[i]->next = i + 1 < count ? jobs[i + 1] : NULL;
	}
	pthread_mutex_lock(&pipeline->lock);
	if (pipeline->done_head == NULL)
		pipeline->done_head = jobs[0];
	else
		pipeline->done_tail->next = jobs[0];
	pipeline->done_tail = jobs[count - 1];
	notify = !pipeline->notified;
	pipeline->notified = true;
	pthread_mutex_unlock(&pipeline->lock);
	if (notify)
		pipeline->settings.notify(pipeline->settings.context);
}

/* Another thread writes on while this one waits for the disk. */
static void sync_run(struct pipeline *pipeline, struct counters *counters, struct write_job *job, struct job **next)
{
	uint64_t begin = clock_monotonic();

	if (*next != NULL)
		pool_push(pipeline->storage, *next);
	*next = NULL;
	struct job *waiting = write_stage_sync(job);
	while (waiting != NULL) {
		struct job *one = waiting;

		waiting = one->next;
		pool_push(pipeline->storage, one);
	}
	count_add(&counters->of[PIPELINE_WRITE].busy_ns, clock_monotonic() - begin);
}

/* Runs the stages of a job that are ours. The job that has waited for its file and comes next, or NULL. */
static struct job *storage_one(struct pipeline *pipeline, struct counters *counters, struct job *job)
{
	struct write_job *write = job->kind == JOB_WRITE ? (struct write_job *)job : NULL;
	struct job *next = NULL;

	do {
		bool turn = write != NULL && job_next(job) == PLACE_STORAGE;

		if (turn && !write_turn_take(write))
			return NULL;
		stage_run(counters, &job, 1);
		if (turn) {
			next = write_turn_leave(write);
			if (write_stage_due(write))
				sync_run(pipeline, counters, write, &next);
		}
	} while (job_pool(job) == PLACE_STORAGE);
	if (job_pool(job) == PLACE_HASH) {
		job_stage(job, job_stage_name(job));
		pool_push(pipeline->hash, job);
	} else {
		jobs_done(pipeline, &job, 1);
	}
	return next;
}

static void storage_run(void *context, unsigned thread, struct job **jobs, size_t count)
{
	struct pipeline *pipeline = context;
	struct job *job = jobs[0];

	(void)count; /* the pool gathers none */
	while (job != NULL)
		job = storage_one(pipeline, &pipeline->counters[thread], job);
}

static void hash_run(void *context, unsigned thread, struct job **jobs, size_t count)
{
	struct pipeline *pipeline = context;
	size_t done = 0;

	stage_run(&pipeline->counters[pipeline->settings.storage_threads + thread], jobs, count);
	/* Of keep jobs hashed together some are done, and others have something to write. */
	for (size_t i = 0; i < count; i++) {
		struct job *job = jobs[i];

		if (job_pool(job) == PLACE_DONE) {
			jobs[done++] = job;
			continue;
		}
		job_stage(job, job_stage_name(job));
		pool_push(pipeline->storage, job);
	}
	if (done > 0)
		jobs_done(pipeline, jobs, done);
}

/* Jobs go into one call only where that lets the plug-in hash several buffers at a time. */
static bool hash_together(const struct job *a, const struct job *b)
{
	const struct plugin *integrity = a->suite->integrity;

	return a->kind == b->kind && integrity == b->suite->integrity && integrity->integrity.digest_many != NULL &&
	       (a->kind == JOB_READ || a->kind == JOB_WRITE || a->kind == JOB_KEEP);
}

/* Of the buffers that the plug-in takes side by side, those that the job has; one that has none is in nobody's way. */
static unsigned hash_share(const struct job *job)
{
	unsigned lanes = job->suite->integrity->lanes;
	uint64_t buffers = 0;

	if (lanes > 1 && job->kind == JOB_READ)
		buffers = read_job_buffers((const struct read_job *)job);
	else if (lanes > 1 && job->kind == JOB_WRITE)
		buffers = write_job_buffers((const struct write_job *)job);
	else if (lanes > 1 && job->kind == JOB_KEEP)
		buffers = keep_job_buffers((const struct keep_job *)job);
	return buffers == 0 || buffers >= lanes ? POOL_FULL
	                                        : (unsigned)buffers * (POOL_FULL / lanes) + POOL_FULL % lanes;
}

static int pools_create(struct pipeline *pipeline, struct error *err)
{
	struct pool_settings storage = {
		.name = "storage",
		.threads = pipeline->settings.storage_threads,
		.gather = 1,
		.run = storage_run,
		.context = pipeline,
	};
	struct pool_settings hash = {
		.name = "hash",
		.threads = pipeline->settings.hash_threads,
		.gather = STAGE_JOBS_MAX,
		.together = hash_together,
		.share = hash_share,
		.run = hash_run,
		.context = pipeline,
	};
	size_t threads = (size_t)storage.threads + hash.threads;

	pipeline->counters = aligned_alloc(_Alignof(struct counters), (threads + 1) * sizeof(struct counters));
	if (pipeline->counters == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot make the pipeline");
	for (size_t i = 0; i < threads; i++)
		pipeline->counters[i] = (struct counters){ 0 };
	int code = pool_create(&pipeline->storage, &storage, err);
	return code < 0 ? code : pool_create(&pipeline->hash, &hash, err);
}

int pipeline_create(struct pipeline **out, const struct pipeline_settings *settings, struct error *err)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (pipeline == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot make the pipeline");
	pipeline->settings = *settings;
	int code = -pthread_mutex_init(&pipeline->lock, NULL);
	if (code < 0) {
		free(pipeline);
		return error_system(err, code, FAULT_LOCAL, "cannot make the pipeline");
	}
	code = pools_create(pipeline, err);
	if (code < 0) {
		pipeline_destroy(pipeline);
		return code;
	}
	*out = pipeline;
	return 0;
}

void pipeline_destroy(struct pipeline *pipeline)
{
	if (pipeline == NULL)
		return;
	/* A thread of one may still be on its way out of a push to the other. */
	pool_join(pipeline->storage);
	pool_join(pipeline->hash);
	pool_destroy(pipeline->storage);
	pool_destroy(pipeline->hash);
	pthread_mutex_destroy(&pipeline->lock);
	free(pipeline->counters);
	free(pipeline);
}

void pipeline_submit(struct pipeline *pipeline, struct job *job)
{
	job->step = 0;
	job_stage(job, job_stage_name(job));
	pool_push(job_pool(job) == PLACE_HASH ? pipeline->hash : pipeline->storage, job);
}

struct job *pipeline_take(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->lock);
	struct job *jobs = pipeline->done_head;
	pipeline->done_head = NULL;
	pipeline->done_tail = NULL;
	pipeline->notified = false;
	pthread_mutex_unlock(&pipeline->lock);
	return jobs;
}

void pipeline_counters(const struct pipeline *pipeline, struct pipeline_count out[PIPELINE_STAGES])
{
	size_t threads = (size_t)pipeline->settings.storage_threads + pipeline->settings.hash_threads;

	for (int stage = 0; stage < PIPELINE_STAGES; stage++) {
		struct pipeline_count sum = { 0 };

		for (size_t i = 0; i < threads; i++) {
			struct counter *from = &pipeline->counters[i].of[stage];

			sum.calls += atomic_load_explicit(&from->calls, memory_order_relaxed);
			sum.bytes += atomic_load_explicit(&from->bytes, memory_order_relaxed);
			sum.busy_ns += atomic_load_explicit(&from->busy_ns, memory_order_relaxed);
		}
		out[stage] = sum;
	}
}
