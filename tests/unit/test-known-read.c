/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests that were kept beside fresh ones: while a file is written to all the time, whatever a read job gives out has the
 * digest of what it gives out. The clock is set on, so that a change counts as old at once; the writer waits a tick of the
 * file system's clock between two changes, which is what the two seconds of the real one are for.
 */
#include "pipe-rig.h"

#include "base/clock.h"
#include "store/known.h"

#include <pthread.h>

enum { CHUNK = 64 * 1024, CHUNKS = 20, CHANGES = 40 };

uint64_t __real_clock_real(void);
uint64_t __wrap_clock_real(void);
uint64_t __wrap_clock_real(void)
{
	return __real_clock_real() + 10 * CLOCK_SECOND;
}

static void tick(void)
{
	const struct timespec pause = { .tv_nsec = 12 * 1000 * 1000 };

	nanosleep(&pause, NULL);
}

struct writer {
	struct rig *rig;
	_Atomic bool done;
};

static void *writer_run(void *context)
{
	struct writer *writer = context;
	int fd = openat(writer->rig->scratch->fd, "file", O_WRONLY | O_CLOEXEC);

	for (unsigned i = 0; fd >= 0 && i < CHANGES; i++) {
		uint8_t byte = (uint8_t)i;

		tick();
		if (pwrite(fd, &byte, 1, (off_t)(i * 7 % CHUNKS) * CHUNK + i) != 1)
			break;
	}
	close(fd);
	atomic_store(&writer->done, true);
	return NULL;
}

struct tally_of {
	unsigned jobs, changed, found;
};

/* Four chunks of the file, from `first`; their digests are those of what stands behind them. */
static void read_once(struct rig *rig, uint64_t first, struct tally_of *sum)
{
	size_t overhead = frame_chunk_overhead(&rig->suite.limits);
	struct read_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	*job = (struct read_job){
		.buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite)),
		.payload_max = 4 * CHUNK,
		.count = 1,
		.pieces = { { .request = 1, .first = first, .count = 4 } },
	};
	struct read_piece *piece = &job->pieces[0];
	assert_int_equal(read_file_create(&piece->file, rig->scratch->root, "file", CHUNKS * CHUNK, &rig->suite), 0);
	rig_run(rig, &job->job, JOB_READ);
	sum->jobs++;
	if (piece->status == STATUS_OK) {
		assert_int_equal(piece->chunks, 4);
		assert_int_equal(job->out_len, 4 * (overhead + CHUNK));
		sum->found += piece->known > 0;
	} else {
		assert_int_equal(piece->status, STATUS_CHANGED);
		assert_int_equal(piece->chunks, 0);
		sum->changed++;
	}
	for (uint64_t i = 0; i < piece->chunks; i++) {
		const uint8_t *frame = job->buffer->data + job->out_offset + i * (overhead + CHUNK);
		uint8_t want[RIG_DIGEST];

		rig_digest(&rig->integrity, frame + overhead, CHUNK, want, 0);
		assert_memory_equal(frame + FRAME_HEADER + FRAME_CHUNK_HEAD, want, RIG_DIGEST);
	}
	read_file_destroy(piece->file);
	lent_unref(job->buffer);
	free(job);
}

static void kept_digests_are_those_of_the_bytes(void **state)
{
	struct rig *rig = *state;
	struct writer writer = { .rig = rig };
	struct tally_of sum = { 0 };
	pthread_t thread;
	char path[400];

	rig_suite(rig, CHUNK, RIG_DIGEST);
	snprintf(path, sizeof(path), "%s/known", rig->scratch->path);
	assert_int_equal(known_open(&rig->suite.known, path, 1 << 20, NULL), 0);
	rig_file(rig, "file", 1, CHUNKS * CHUNK);
	tick();
	for (uint64_t i = 0; i + 4 <= CHUNKS; i += 2)
		read_once(rig, i, &sum);
	assert_int_equal(sum.changed, 0);
	assert_int_equal(sum.found, CHUNKS / 2 - 2); /* half of each job but the first */
	assert_int_equal(pthread_create(&thread, NULL, writer_run, &writer), 0);
	for (uint64_t i = 0; !atomic_load(&writer.done); i++)
		read_once(rig, i * 3 % (CHUNKS - 3), &sum);
	pthread_join(thread, NULL);
	tick();
	sum.found = 0;
	for (uint64_t round = 0; round < 2; round++)
		for (uint64_t i = 0; i + 4 <= CHUNKS; i += 4)
			read_once(rig, i, &sum);
	assert_true(sum.found >= CHUNKS / 4);
	printf("# %u jobs, %u of them met a change\n", sum.jobs, sum.changed);
	known_close(rig->suite.known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(kept_digests_are_those_of_the_bytes),
	};
	return cmocka_run_group_tests_name("known read", tests, NULL, NULL);
}
