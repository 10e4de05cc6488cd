/* SPDX-License-Identifier: BSD-2-Clause */
/* The pools: batches and their notifications, what blocks and what does not, threads that end. */
#include "pipe-rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void check_fill(struct check_job *job, struct rig *rig)
{
	/* Made once: pool threads read it from then on. */
	static uint8_t body[100 + RIG_DIGEST] = { 0 };
	if (body[0] == 0) {
		body[0] = 1;
		rig_digest(&rig->integrity, body, 100, body + 100, 0);
	}
	*job = (struct check_job){ .job = { .kind = JOB_CHECK, .suite = &rig->suite },
		                   .body = body,
		                   .len = sizeof(body) };
}

static void every_job_comes_back_once(void **state)
{
	enum { JOBS = 2000 };
	struct rig *rig = *state;
	struct check_job *jobs = calloc(JOBS, sizeof(*jobs));
	assert_non_null(jobs);
	for (int i = 0; i < JOBS; i++) {
		check_fill(&jobs[i], rig);
		jobs[i].code = 1;
	}
	for (int i = 0; i < JOBS; i++)
		pipeline_submit(rig->pipeline, &jobs[i].job);
	for (size_t left = JOBS; left > 0;)
		for (struct job *job = rig_take(rig); job; job = job->next) {
			assert_int_equal(((struct check_job *)job)->code, 0);
			((struct check_job *)job)->code = 2; /* a second time would be seen */
			left--;
		}
	assert_null(pipeline_take(rig->pipeline));
	free(jobs);
}

static void one_thread_keeps_the_order(void **state)
{
	enum { JOBS = 100 };
	struct rig *rig = *state;
	struct check_job jobs[JOBS];
	uintptr_t next = 0;
	rig_threads(rig, 1, 1);
	for (uintptr_t i = 0; i < JOBS; i++) {
		check_fill(&jobs[i], rig);
		jobs[i].job.owner = &jobs[i];
		pipeline_submit(rig->pipeline, &jobs[i].job);
	}
	while (next < JOBS)
		for (struct job *job = rig_take(rig); job; job = job->next)
			assert_ptr_equal(job->owner, &jobs[next++]);
}

/* ---- notifications ---- */

struct gate {
	sem_t entered, release;
	_Atomic unsigned calls;
	sigset_t mask; /* of the thread that called */
};

static void gate_notify(void *context)
{
	struct gate *gate = context;
	if (atomic_fetch_add(&gate->calls, 1) > 0) {
		sem_post(&gate->entered);
		return;
	}
	pthread_sigmask(SIG_SETMASK, NULL, &gate->mask);
	sem_post(&gate->entered);
	sem_wait(&gate->release);
}

static struct pipeline *gate_pipeline(struct gate *gate)
{
	struct pipeline_settings settings = {
		.storage_threads = 1, .hash_threads = 1, .notify = gate_notify, .context = gate
	};
	struct pipeline *pipeline;
	sem_init(&gate->entered, 0, 0);
	sem_init(&gate->release, 0, 0);
	gate->calls = 0;
	assert_int_equal(pipeline_create(&pipeline, &settings, NULL), 0);
	return pipeline;
}

static void a_blocked_storage_thread_stops_no_hashing(void **state)
{
	struct rig *rig = *state;
	struct gate gate;
	struct pipeline *pipeline = gate_pipeline(&gate);
	struct dir_job dir = { .job = { .kind = JOB_DIR, .suite = &rig->suite } };
	struct check_job check;
	check_fill(&check, rig);
	pipeline_submit(pipeline, &dir.job);
	sem_wait(&gate.entered); /* the only storage thread sits in the notification now */
	assert_ptr_equal(pipeline_take(pipeline), &dir.job);
	pipeline_submit(pipeline, &check.job);
	sem_wait(&gate.entered);
	assert_ptr_equal(pipeline_take(pipeline), &check.job);
	assert_int_equal(check.code, 0);
	sem_post(&gate.release);
	pipeline_destroy(pipeline);
}

static void a_batch_is_told_once(void **state)
{
	struct rig *rig = *state;
	struct gate gate;
	struct pipeline *pipeline = gate_pipeline(&gate);
	struct check_job jobs[50];
	size_t count = 0;
	sem_post(&gate.release); /* nothing blocks here */
	for (int i = 0; i < 50; i++) {
		check_fill(&jobs[i], rig);
		pipeline_submit(pipeline, &jobs[i].job);
	}
	pipeline_destroy(pipeline); /* runs what is queued; nobody took anything meanwhile */
	assert_int_equal(gate.calls, 1);
	for (int i = 0; i < 50; i++)
		count += jobs[i].code == 0;
	assert_int_equal(count, 50);
}

static void pool_threads_take_no_signal(void **state)
{
	struct rig *rig = *state;
	struct gate gate;
	struct pipeline *pipeline = gate_pipeline(&gate);
	struct check_job check;
	sigset_t mine;
	check_fill(&check, rig);
	sem_post(&gate.release);
	pipeline_submit(pipeline, &check.job);
	sem_wait(&gate.entered);
	pipeline_destroy(pipeline);
	assert_true(sigismember(&gate.mask, SIGINT));
	assert_true(sigismember(&gate.mask, SIGTERM));
	assert_true(sigismember(&gate.mask, SIGCHLD));
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGINT));
}

static void the_stage_is_known(void **state)
{
	struct rig *rig = *state;
	struct gate gate;
	struct pipeline *pipeline = gate_pipeline(&gate);
	struct dir_job dir = { .job = { .kind = JOB_DIR, .suite = &rig->suite } };
	struct dir_job behind = dir;
	pipeline_submit(pipeline, &dir.job);
	sem_wait(&gate.entered);
	uint64_t before = behind.job.stage_since;
	pipeline_submit(pipeline, &behind.job); /* waits behind the blocked thread */
	assert_int_equal(behind.job.stage, XFER_STAGE_WRITE);
	assert_true(behind.job.stage_since > before);
	sem_post(&gate.release);
	pipeline_destroy(pipeline);
	assert_int_equal(behind.job.stage, XFER_STAGE_IDLE);
}

/* ---- hash threads at work ---- */

/* An integrity plug-in of which digest() waits until as many calls are inside as `party` says. */
static pthread_barrier_t party;

static int party_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	pthread_barrier_wait(&party);
	return rig_digest(instance, bytes, len, out, flags);
}

static void all_threads_work_at_once(void **state)
{
	enum { THREADS = 4, ROUNDS = 20 };
	struct rig *rig = *state;
	struct check_job jobs[THREADS];
	rig_threads(rig, 1, THREADS);
	for (int i = 0; i < THREADS; i++)
		check_fill(&jobs[i], rig);
	pthread_barrier_init(&party, NULL, THREADS);
	rig->plugin.integrity.digest = party_digest;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < THREADS; i++)
			pipeline_submit(rig->pipeline, &jobs[i].job);
		rig_wait(rig, THREADS);
	}
	pthread_barrier_destroy(&party);
}

enum { GATHERED = 4, TURNS = 30 };

static struct read_job *gather_begin(struct rig *rig, uint64_t first)
{
	struct read_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	*job = (struct read_job){
		.job = { .kind = JOB_READ, .suite = &rig->suite },
		.buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite)),
		.payload_max = 2 * RIG_CHUNK,
		.count = 1,
		.pieces = { { .request = 1, .first = first, .count = 2 } },
	};
	assert_int_equal(read_file_create(&job->pieces[0].file, rig->scratch->root, "file", 10 * RIG_CHUNK,
	                                  &rig->suite),
	                 0);
	pipeline_submit(rig->pipeline, &job->job);
	return job;
}

static void gather_end(struct read_job *job)
{
	assert_int_equal(job->pieces[0].chunks, 2);
	read_file_destroy(job->pieces[0].file);
	lent_unref(job->buffer);
	free(job);
}

/* Jobs of two chunks each, for lanes that are filled by all of them, while a hash thread is busy. */
static void gather(struct rig *rig, unsigned threads, unsigned lanes, unsigned calls)
{
	struct check_job check;
	struct read_job *jobs[GATHERED];
	struct dir_job last = { 0 };
	struct dir_job *turns = calloc((size_t)GATHERED * TURNS, sizeof(*turns));

	assert_non_null(turns);
	rig->plugin.lanes = lanes;
	rig_threads(rig, 1, threads);
	check_fill(&check, rig);
	pthread_barrier_init(&party, NULL, 2);
	rig->plugin.integrity.digest = party_digest;
	atomic_store(&rig->integrity.calls_many, 0);
	atomic_store(&rig->integrity.buffers_max, 0);
	pipeline_submit(rig->pipeline, &check.job);
	for (uint64_t i = 0; i < GATHERED; i++) {
		jobs[i] = gather_begin(rig, 2 * i);
		/* The storage thread is done with it, and whoever took it too early has had the time to. */
		for (int k = 0; k < TURNS && i + 1 < GATHERED && calls == 1; k++)
			rig_run(rig, &turns[i * TURNS + (unsigned)k].job, JOB_DIR);
	}
	/* With other threads the call does not wait for the busy one once it is full. */
	if (threads > 1)
		rig_wait(rig, GATHERED);
	else
		rig_run(rig, &last.job, JOB_DIR);
	pthread_barrier_wait(&party);
	rig_wait(rig, threads > 1 ? 1 : GATHERED + 1);
	assert_int_equal(rig->integrity.calls_many, calls);
	assert_int_equal(rig->integrity.buffers_max, 2 * GATHERED / calls);
	for (int i = 0; i < GATHERED; i++)
		gather_end(jobs[i]);
	free(turns);
	pthread_barrier_destroy(&party);
}

static void waiting_jobs_are_hashed_together(void **state)
{
	struct rig *rig = *state;

	rig_file(rig, "file", 1, 10 * RIG_CHUNK);
	gather(rig, 1, 2 * GATHERED, 1);
	gather(rig, 3, 2 * GATHERED, 1);
	gather(rig, 1, GATHERED, 2);
	gather(rig, 3, GATHERED, 2);
	/* A plug-in that takes one after the other: nothing waits. */
	gather(rig, 3, 1, GATHERED);
}

/* While nobody hashes, a job waits for no other, however many would go together. */
static void a_job_alone_does_not_wait(void **state)
{
	struct rig *rig = *state;

	rig_file(rig, "file", 1, 10 * RIG_CHUNK);
	rig->plugin.lanes = 16;
	for (uint64_t i = 0; i < 5; i++) {
		struct read_job *job = gather_begin(rig, 2 * i);

		rig_wait(rig, 1);
		gather_end(job);
	}
	assert_int_equal(rig->integrity.calls_many, 5);
}

/* A checksum is made where the bytes are: no hash thread is needed. */
static void a_checksum_stays_with_the_storage_thread(void **state)
{
	struct rig *rig = *state;
	struct check_job check;
	struct read_job *job = calloc(1, sizeof(*job));
	assert_non_null(job);
	rig_threads(rig, 1, 1);
	check_fill(&check, rig);
	rig_file(rig, "file", 1, 2 * RIG_CHUNK);
	pthread_barrier_init(&party, NULL, 2);
	rig->plugin.integrity.digest = party_digest;
	rig->plugin.integrity.strength = XFER_STRENGTH_ACCIDENTAL;
	pipeline_submit(rig->pipeline, &check.job); /* keeps the only hash thread */
	job->buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite));
	job->payload_max = 2 * RIG_CHUNK;
	job->count = 1;
	job->pieces[0] = (struct read_piece){ .request = 1, .count = 2 };
	assert_int_equal(read_file_create(&job->pieces[0].file, rig->scratch->root, "file", 2 * RIG_CHUNK, &rig->suite),
	                 0);
	rig_run(rig, &job->job, JOB_READ);
	assert_int_equal(job->pieces[0].chunks, 2);
	pthread_barrier_wait(&party);
	rig_wait(rig, 1);
	read_file_destroy(job->pieces[0].file);
	lent_unref(job->buffer);
	free(job);
	pthread_barrier_destroy(&party);
}

/* ---- making and ending ---- */

static void idle_pools_end(void **state)
{
	struct rig *rig = *state;
	for (unsigned i = 1; i < 20; i++)
		rig_threads(rig, i, 20 - i);
}

static void no_threads_are_an_error(void **state)
{
	struct rig *rig = *state;
	struct pipeline_settings settings = { .storage_threads = 1, .notify = rig_notify, .context = rig };
	struct pipeline *pipeline = NULL;
	struct error err = { 0 };
	assert_int_equal(pipeline_create(&pipeline, &settings, &err), -EINVAL);
	assert_null(pipeline);
	assert_contains(err.text, "hash");
}

static void a_thread_that_cannot_start_is_an_error(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)state;
	print_message("# skipped: a sanitizer needs more addresses than a limit would leave\n");
	skip();
#else
	struct rig *rig = *state;
	struct rlimit before, limit;
	struct pipeline_settings settings = {
		.storage_threads = 1, .hash_threads = 100, .notify = rig_notify, .context = rig
	};
	struct pipeline *pipeline = NULL;
	struct error err = { 0 };
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	limit = before;
	limit.rlim_cur = (pages + 5000) * 4096; /* room for about 20 stacks */
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	int code = pipeline_create(&pipeline, &settings, &err);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(code, -EAGAIN);
	assert_null(pipeline);
	assert_contains(err.text, "of the hash pool");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(every_job_comes_back_once),
		RIG_TEST(one_thread_keeps_the_order),
		RIG_TEST(a_blocked_storage_thread_stops_no_hashing),
		RIG_TEST(a_batch_is_told_once),
		RIG_TEST(pool_threads_take_no_signal),
		RIG_TEST(the_stage_is_known),
		RIG_TEST(all_threads_work_at_once),
		RIG_TEST(waiting_jobs_are_hashed_together),
		RIG_TEST(a_job_alone_does_not_wait),
		RIG_TEST(a_checksum_stays_with_the_storage_thread),
		RIG_TEST(idle_pools_end),
		RIG_TEST(no_threads_are_an_error),
		RIG_TEST(a_thread_that_cannot_start_is_an_error),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
