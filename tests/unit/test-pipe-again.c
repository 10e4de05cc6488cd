/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that are made again out of what was taken down of them: the same bytes, however they are cut, or none. */
#include "pipe-copy.h"

#include <sys/stat.h>

/* Bytes [from, from + len) of the batch, made again into a buffer that is not empty before. */
static int made_again(struct rig *rig, struct again *again, size_t from, size_t len, struct lent **out)
{
	struct again_job job = { .again = again, .from = from, .len = len };

	job.buffer = lend_get(rig->lender, len);
	assert_non_null(job.buffer);
	memset(job.buffer->data, 0xa5, len);
	rig_run(rig, &job.job, JOB_AGAIN);
	*out = job.buffer;
	return job.code;
}

/* The whole batch of a job, in pieces of `step` bytes. */
static void same_again(struct rig *rig, const struct read_job *job, struct again *again, size_t step)
{
	const uint8_t *bytes = job->buffer->data + job->out_offset;

	for (size_t from = 0; from < job->out_len; from += step) {
		size_t len = job->out_len - from < step ? job->out_len - from : step;
		struct lent *got;

		assert_int_equal(made_again(rig, again, from, len, &got), 0);
		assert_memory_equal(got->data, bytes + from, len);
		lent_unref(got);
	}
}

static struct again *noted(const struct read_job *job)
{
	struct again *again = again_create(job);

	assert_non_null(again);
	assert_false(again_noted(again));
	assert_int_equal(again_note(again, job->buffer->data + job->out_offset, job->out_len), 0);
	assert_true(again_noted(again));
	return again;
}

static void a_file_comes_again(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	uint64_t size = 40 * RIG_CHUNK + 77;

	rig_file(rig, "file", 1, size);
	copy_begin(&copy, rig, "file", size);
	copy_read(&copy, 16);
	for (size_t i = 0; i < copy.count; i++) {
		struct again *again = noted(copy.jobs[i]);

		same_again(rig, copy.jobs[i], again, copy.jobs[i]->out_len);
		same_again(rig, copy.jobs[i], again, 4099);
		same_again(rig, copy.jobs[i], again, RIG_CHUNK);
		again_destroy(again);
	}
	copy_drop(&copy);
}

/* A read that was digested sends no payload, and so there is none to be read. */
static void digests_come_again(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	uint64_t size = 40 * RIG_CHUNK;

	rig_file(rig, "file", 2, size);
	copy_begin(&copy, rig, "file", size);
	struct read_job *job = copy_job(&copy, 0, 40, true);
	job->digests = true;
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = noted(job);
	assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	same_again(rig, job, again, 100);
	again_destroy(again);
	copy_drop(&copy);
}

static void holes_come_again(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	uint64_t size = 1000 * (uint64_t)RIG_CHUNK + 100;

	rig_put(rig, "file", 3, 40 * RIG_CHUNK, 44 * RIG_CHUNK, size);
	copy_begin(&copy, rig, "file", size);
	struct read_job *job = copy_job(&copy, 0, copy.total, true);
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = noted(job);
	same_again(rig, job, again, 1);
	again_destroy(again);
	copy_drop(&copy);
}

static void small_files_come_again(void **state)
{
	struct rig *rig = *state;
	struct copy copies[READ_PIECES_MAX];
	struct read_job *job = calloc(1, sizeof(*job));
	char name[32];

	assert_non_null(job);
	job->buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite));
	job->payload_max = read_job_payload(&rig->suite);
	job->count = READ_PIECES_MAX;
	for (unsigned i = 0; i < READ_PIECES_MAX; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		rig_file(rig, name, i, i * 61);
		copy_begin(&copies[i], rig, name, i * 61);
		job->pieces[i] = (struct read_piece){
			.file = copies[i].from, .request = 100 + i, .count = MESSAGE_ALL, .end = true
		};
	}
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = noted(job);
	/* Whoever asked for them is done with them; what is left of the batch is not. */
	for (unsigned i = 0; i < READ_PIECES_MAX; i++)
		copy_drop(&copies[i]);
	same_again(rig, job, again, 333);
	again_destroy(again);
	lent_unref(job->buffer);
	free(job);
}

/* Descriptors are given back when it is taken down, and while nothing of it is read. */
static void no_descriptor_is_held(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	unsigned before = open_descriptors();

	rig_file(rig, "file", 4, 3 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 3 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 0, 2, false);
	rig_run(rig, &job->job, JOB_READ);
	assert_int_equal(open_descriptors(), before + 1);
	struct again *again = noted(job);
	assert_int_equal(open_descriptors(), before);
	same_again(rig, job, again, 1000);
	assert_int_equal(open_descriptors(), before);
	/* The file is still one that can be read on. */
	struct read_job *last = copy_job(&copy, 2, 1, true);
	rig_run(rig, &last->job, JOB_READ);
	assert_int_equal(last->pieces[0].status, STATUS_OK);
	assert_true(last->pieces[0].ended);
	again_destroy(again);
	copy_drop(&copy);
}

/* What `change` does to "file" is noticed: bytes of another file never come. */
static void changed(struct rig *rig, void (*change)(struct rig *rig))
{
	struct copy copy;
	struct lent *got;

	rig_file(rig, "file", 5, 3 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 3 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 0, 3, true);
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = noted(job);
	change(rig);
	assert_int_equal(made_again(rig, again, 100, 5000, &got), -ESTALE);
	lent_unref(got);
	again_destroy(again);
	copy_drop(&copy);
	(void)unlinkat(rig->scratch->fd, "file", 0);
}

static void write_to(struct rig *rig)
{
	/* The clock of a file system may stand still for some milliseconds. */
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	rig_put(rig, "file", 6, RIG_CHUNK, 2 * RIG_CHUNK, 3 * RIG_CHUNK);
	assert_int_equal(utimensat(rig->scratch->fd, "file", times, 0), 0);
}

static void replace(struct rig *rig)
{
	rig_file(rig, "other", 5, 3 * RIG_CHUNK);
	assert_int_equal(renameat(rig->scratch->fd, "other", rig->scratch->fd, "file"), 0);
}

static void cut(struct rig *rig)
{
	int fd = openat(rig->scratch->fd, "file", O_WRONLY);

	assert_int_equal(ftruncate(fd, RIG_CHUNK), 0);
	close(fd);
}

static void what_changed_does_not_come(void **state)
{
	struct rig *rig = *state;

	changed(rig, write_to);
	changed(rig, replace);
	changed(rig, cut);
}

static void what_is_gone_does_not_come(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	struct lent *got;

	rig_file(rig, "file", 7, 3 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 3 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 0, 3, true);
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = noted(job);
	assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	assert_int_equal(made_again(rig, again, 0, 5000, &got), -ENOENT);
	lent_unref(got);
	/* What is kept anyway does not need it. */
	assert_int_equal(made_again(rig, again, 0, 20, &got), 0);
	lent_unref(got);
	again_destroy(again);
	copy_drop(&copy);
}

static void what_is_no_frame_is_not_taken_down(void **state)
{
	struct rig *rig = *state;
	struct copy copy;

	rig_file(rig, "file", 8, 2 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 2 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 0, 2, true);
	rig_run(rig, &job->job, JOB_READ);
	struct again *again = again_create(job);
	assert_int_equal(again_note(again, job->buffer->data + job->out_offset, job->out_len - 1), -EINVAL);
	assert_false(again_noted(again));
	again_destroy(again);
	again_destroy(NULL);
	copy_drop(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_file_comes_again),         RIG_TEST(digests_come_again),
		RIG_TEST(holes_come_again),           RIG_TEST(small_files_come_again),
		RIG_TEST(no_descriptor_is_held),      RIG_TEST(what_changed_does_not_come),
		RIG_TEST(what_is_gone_does_not_come), RIG_TEST(what_is_no_frame_is_not_taken_down),
	};
	return cmocka_run_group_tests_name("pipe-again", tests, NULL, NULL);
}
