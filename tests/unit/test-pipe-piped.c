/* SPDX-License-Identifier: BSD-2-Clause */
/* Payload that goes into pipes instead of being read: the same frames, to the byte, or the plain way. */
#include "pipe-copy.h"

#include "base/clock.h"
#include "pipeline/again.h"
#include "store/known.h"

enum { CHUNK = 64 * 1024, CHUNKS = 21, TAIL = 1234, SIZE = (CHUNKS - 1) * CHUNK + TAIL };

uint64_t __real_clock_real(void);
uint64_t __wrap_clock_real(void);
/* What was written a moment ago counts as settled. */
uint64_t __wrap_clock_real(void)
{
	return __real_clock_real() + 10 * CLOCK_SECOND;
}

/* A job for chunks from `first`, with pipes of `room` bytes. */
static struct read_job *piped_job(struct copy *copy, struct pipes *pipes, uint64_t first, uint64_t count, size_t room)
{
	struct read_job *job = copy_job(copy, first, count, false);

	job->pipes = room > 0 ? pipes_take(pipes, room) : NULL;
	assert_true(room == 0 || job->pipes != NULL);
	rig_run(copy->rig, &job->job, JOB_READ);
	return job;
}

/* All bytes of a job as they would be sent. */
static uint8_t *job_bytes(struct read_job *job, size_t *len)
{
	size_t all = job->out_len + (job->piped ? job->pieces[0].bytes : 0), n;
	uint8_t *out = malloc(all);
	struct again *again;

	assert_non_null(out);
	*len = all;
	if (!job->piped) {
		memcpy(out, job->buffer->data + job->out_offset, all);
		return out;
	}
	again = again_create(job);
	assert_non_null(again);
	assert_int_equal(again_note_heads(again, job->buffer->data + job->out_offset, job->out_len), 0);
	for (size_t at = 0; at < all; at += n) {
		const uint8_t *kept = again_at(again, at, &n);

		assert_true(n > 0 && n <= all - at);
		if (kept != NULL) {
			memcpy(out + at, kept, n);
			continue;
		}
		struct pipe_lent *pipe = job->pipes;
		while (pipe->fill == 0)
			pipe = pipe->next;
		n = n < pipe->fill ? n : pipe->fill;
		ssize_t got = read(pipe->out, out + at, n);
		assert_true(got > 0);
		n = (size_t)got;
		pipe->fill -= n;
	}
	(void)again_at(again, all, &n);
	assert_int_equal(n, 0);
	again_destroy(again);
	return out;
}

static void same_bytes(struct read_job *one, struct read_job *other)
{
	size_t one_len, other_len;
	uint8_t *one_bytes = job_bytes(one, &one_len), *other_bytes = job_bytes(other, &other_len);

	assert_int_equal(one_len, other_len);
	assert_memory_equal(one_bytes, other_bytes, one_len);
	assert_int_equal(one->pieces[0].chunks, other->pieces[0].chunks);
	assert_int_equal(one->pieces[0].bytes, other->pieces[0].bytes);
	free(one_bytes);
	free(other_bytes);
}

/* Compares all of "file" read with and without pipes, in jobs of so many chunks; how many were piped. */
static unsigned compare(struct rig *rig, uint64_t size, uint64_t per_job, size_t room)
{
	struct pipes *pipes;
	struct copy copy, other; /* each counts its digests */
	unsigned piped = 0;

	assert_int_equal(pipes_create(&pipes, 16 << 20), 0);
	copy_begin(&copy, rig, "file", size);
	copy_begin(&other, rig, "file", size);
	for (uint64_t first = 0; first < copy.total; first += per_job) {
		struct read_job *plain = piped_job(&other, pipes, first, per_job, 0);
		struct read_job *job = piped_job(&copy, pipes, first, per_job, room);

		assert_int_equal(plain->pieces[0].status, STATUS_OK);
		assert_int_equal(job->pieces[0].status, STATUS_OK);
		assert_false(plain->piped);
		piped += job->piped;
		same_bytes(job, plain);
		pipes_give(pipes, job->pipes);
		job->pipes = NULL;
	}
	copy_drop(&copy);
	copy_drop(&other);
	assert_int_equal(pipes_out(pipes), 0);
	pipes_destroy(pipes);
	return piped;
}

static void without_digests(void **state)
{
	struct rig *rig = *state;

	rig_suite(rig, CHUNK, 0);
	rig_file(rig, "file", 1, SIZE);
	assert_int_equal(compare(rig, SIZE, 7, 1 << 20), 3);
	assert_int_equal(compare(rig, SIZE, 1, 1 << 20), CHUNKS);
}

static void known_open_in(struct rig *rig)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/known", rig->scratch->path);
	assert_int_equal(known_open(&rig->suite.known, path, 1 << 20, NULL), 0);
}

/* What the first reading makes the second one knows. */
static void known_digests(void **state)
{
	struct rig *rig = *state;
	struct pipes *pipes;
	struct copy copy;

	rig_suite(rig, CHUNK, RIG_DIGEST);
	known_open_in(rig);
	rig_file(rig, "file", 2, SIZE);
	assert_int_equal(pipes_create(&pipes, 4 << 20), 0);
	copy_begin(&copy, rig, "file", SIZE);
	struct read_job *fresh = piped_job(&copy, pipes, 0, 5, 1 << 20);
	assert_false(fresh->piped); /* it had to be hashed */
	pipes_give(pipes, fresh->pipes);
	struct read_job *partly = piped_job(&copy, pipes, 3, 4, 1 << 20);
	assert_false(partly->piped); /* the last two had */
	pipes_give(pipes, partly->pipes);
	assert_int_equal(partly->pieces[0].known, 2 * CHUNK);
	copy_drop(&copy);
	copy_begin(&copy, rig, "file", SIZE);
	struct read_job *part = copy_job(&copy, 0, 5, false);
	part->pieces[0].part = true; /* perhaps because they were wrong */
	part->pieces[0].fresh = true;
	part->pipes = pipes_take(pipes, 1 << 20);
	rig_run(rig, &part->job, JOB_READ);
	assert_false(part->piped);
	pipes_give(pipes, part->pipes);
	copy_drop(&copy);
	pipes_destroy(pipes);
	assert_int_equal(compare(rig, SIZE, 7, 1 << 20), 3);
	known_close(rig->suite.known);
}

/* The file digest is the same whichever way its chunks went. */
static void the_file_digest(void **state)
{
	struct rig *rig = *state;
	uint8_t want[RIG_DIGEST];

	rig_suite(rig, CHUNK, RIG_DIGEST);
	known_open_in(rig);
	rig_file(rig, "file", 3, SIZE);
	rig_file_digest(rig, "file", SIZE, want);
	for (unsigned round = 0; round < 2; round++) {
		struct pipes *pipes;
		struct copy copy;

		assert_int_equal(pipes_create(&pipes, 4 << 20), 0);
		copy_begin(&copy, rig, "file", SIZE);
		for (uint64_t first = 0; first < CHUNKS; first += 7) {
			struct read_job *job = copy_job(&copy, first, 7, first + 7 == CHUNKS);

			job->pipes = pipes_take(pipes, 1 << 20);
			rig_run(rig, &job->job, JOB_READ);
			assert_int_equal(job->piped, round);
			if (first + 7 == CHUNKS) {
				assert_true(job->pieces[0].has_digest);
				assert_memory_equal(job->pieces[0].digest, want, RIG_DIGEST);
			}
			pipes_give(pipes, job->pipes);
		}
		copy_drop(&copy);
		pipes_destroy(pipes);
	}
	known_close(rig->suite.known);
}

static void holes(void **state)
{
	struct rig *rig = *state;
	uint64_t size = 100 * (uint64_t)CHUNK;

	rig_suite(rig, CHUNK, 0);
	rig_put(rig, "file", 4, 3 * CHUNK + 5000, 9 * CHUNK - 100, size);
	assert_true(compare(rig, size, 100, 1 << 20) > 0);
	assert_true(compare(rig, size, 4, 1 << 20) > 0);
}

/* More payload than the pipes hold. */
static void small_pipes(void **state)
{
	struct rig *rig = *state;

	rig_suite(rig, CHUNK, 0);
	rig_file(rig, "file", 5, 40 * CHUNK);
	/* 16 chunks are what one pipe holds. */
	struct pipes *pipes;
	struct copy copy;
	assert_int_equal(pipes_create(&pipes, 1 << 20), 0);
	copy_begin(&copy, rig, "file", 40 * CHUNK);
	struct read_job *job = copy_job(&copy, 0, 17, false);
	job->payload_max = 17 * CHUNK;
	lent_unref(job->buffer);
	job->buffer = lend_get(rig->lender, 2 << 20);
	job->pipes = pipes_take(pipes, 1 << 20);
	assert_non_null(job->pipes);
	assert_null(pipes_take(pipes, 1));
	rig_run(rig, &job->job, JOB_READ);
	assert_false(job->piped);
	assert_int_equal(job->pieces[0].chunks, 17);
	/* One that comes back full is not lent again as it is. */
	assert_true(job->pipes->fill > 0);
	pipes_give(pipes, job->pipes);
	struct pipe_lent *pipe = pipes_take(pipes, 1);
	assert_non_null(pipe);
	assert_int_equal(pipe->fill, 0);
	uint8_t byte;
	assert_int_equal(read(pipe->out, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	pipes_give(pipes, pipe);
	copy_drop(&copy);
	pipes_destroy(pipes);
}

/* What was in pipes that are taken back is read again. */
static void taken_back(void **state)
{
	struct rig *rig = *state;
	struct pipes *pipes;
	struct copy copy;

	rig_suite(rig, CHUNK, 0);
	rig_file(rig, "file", 6, SIZE);
	assert_int_equal(pipes_create(&pipes, 4 << 20), 0);
	copy_begin(&copy, rig, "file", SIZE);
	struct read_job *job = piped_job(&copy, pipes, 0, 10, 1 << 20);
	assert_true(job->piped);
	struct again *again = again_create(job);
	assert_int_equal(again_note_heads(again, job->buffer->data + job->out_offset, job->out_len), 0);
	size_t len;
	uint8_t *want = job_bytes(job, &len);
	for (size_t from = 0; from < len; from += 70001) {
		struct again_job back = { .again = again, .from = from };

		back.len = len - from < 70001 ? len - from : 70001;
		back.buffer = lend_get(rig->lender, back.len);
		rig_run(rig, &back.job, JOB_AGAIN);
		assert_int_equal(back.code, 0);
		assert_memory_equal(back.buffer->data, want + from, back.len);
		lent_unref(back.buffer);
	}
	free(want);
	again_destroy(again);
	pipes_give(pipes, job->pipes);
	copy_drop(&copy);
	pipes_destroy(pipes);
}

/* A file that is another one by now, or shorter than it was: the job says so, as a plain one does. */
static void changed(void **state)
{
	struct rig *rig = *state;

	rig_suite(rig, CHUNK, 0);
	for (unsigned how = 0; how < 2; how++) {
		struct pipes *pipes;
		struct copy copy;

		rig_file(rig, "file", 7, SIZE);
		assert_int_equal(pipes_create(&pipes, 4 << 20), 0);
		copy_begin(&copy, rig, "file", SIZE);
		struct read_job *job = piped_job(&copy, pipes, 0, 5, 1 << 20);
		assert_true(job->piped);
		pipes_give(pipes, job->pipes);
		int fd = openat(rig->scratch->fd, "file", O_WRONLY);
		const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
		assert_int_equal(how == 0 ? ftruncate(fd, 3 * CHUNK) : pwrite(fd, "x", 1, 0) - 1, 0);
		assert_int_equal(futimens(fd, times), 0);
		close(fd);
		job = piped_job(&copy, pipes, 5, 5, 1 << 20);
		assert_int_equal(job->pieces[0].status, STATUS_CHANGED);
		assert_int_equal(job->pieces[0].chunks, 0);
		assert_false(job->piped);
		pipes_give(pipes, job->pipes);
		copy_drop(&copy);
		pipes_destroy(pipes);
		assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	}
}

static void worth_it(void **state)
{
	struct rig *rig = *state;

	rig_suite(rig, CHUNK, 0);
	assert_int_equal(read_job_pipes(&rig->suite, true, 1 << 20), 1 << 20);
	assert_int_equal(read_job_pipes(&rig->suite, false, 1000), 0);
	rig_suite(rig, CHUNK + 1024, 0); /* pages would be shared by chunks */
	assert_int_equal(read_job_pipes(&rig->suite, false, 1 << 20), 0);
	rig_suite(rig, 4096, 0);
	assert_int_equal(read_job_pipes(&rig->suite, false, 1 << 20), 0);
	rig_suite(rig, CHUNK, RIG_DIGEST); /* no digest is known */
	assert_int_equal(read_job_pipes(&rig->suite, false, 1 << 20), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(without_digests), RIG_TEST(known_digests), RIG_TEST(the_file_digest), RIG_TEST(holes),
		RIG_TEST(small_pipes),     RIG_TEST(taken_back),    RIG_TEST(changed),         RIG_TEST(worth_it),
	};
	return cmocka_run_group_tests_name("pipe-piped", tests, NULL, NULL);
}
