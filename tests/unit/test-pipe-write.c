/* SPDX-License-Identifier: BSD-2-Clause */
/* Payload that came into pipes: the same file as by way of memory, whatever splice(2) does; and back into memory. */
#include "pipe-rig.h"

#include "base/crc32c.h"
#include "pipeline/pipes.h"
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>

enum { CHUNK = 1 << 20, TAIL = 300001, SIZE = 2 * CHUNK + TAIL };

/* What the next calls of splice(2) do. */
static _Atomic int fail_errno; /* 0: nothing */
static _Atomic int fail_after; /* calls that are left alone before that one */
static _Atomic int fail_calls; /* and so many of them */
static _Atomic size_t at_most; /* bytes of one call, 0: all */
static _Atomic int spliced;    /* calls that moved something */

ssize_t __real_splice(int from, off64_t *at, int to, off64_t *there, size_t len, unsigned flags);
ssize_t __wrap_splice(int from, off64_t *at, int to, off64_t *there, size_t len, unsigned flags);
ssize_t __wrap_splice(int from, off64_t *at, int to, off64_t *there, size_t len, unsigned flags)
{
	if (fail_errno != 0 && fail_after-- <= 0 && fail_calls-- > 0) {
		errno = fail_errno;
		return fail_errno < 0 ? 0 : -1;
	}
	ssize_t n = __real_splice(from, at, to, there, at_most > 0 && len > at_most ? at_most : len, flags);
	spliced += n > 0;
	return n;
}

struct arrived {
	struct pipes *pool;
	uint8_t *bytes; /* SIZE */
};

static void arrive(struct arrived *arrived)
{
	assert_int_equal(pipes_create(&arrived->pool, 8 << 20), 0);
	arrived->bytes = malloc(SIZE);
	assert_non_null(arrived->bytes);
	for (size_t i = 0; i < SIZE; i++)
		arrived->bytes[i] = rig_byte(5, i);
	fail_errno = 0;
	at_most = 0;
	spliced = 0;
}

/* Pipes with these bytes, in pieces: each takes up a page of a pipe, however little it is. */
static struct pipe_lent *piped(struct arrived *arrived, const uint8_t *bytes, size_t len, size_t piece)
{
	struct pipe_lent *list = pipes_take(arrived->pool, 6 << 20), *pipe = list;

	assert_non_null(list);
	for (size_t at = 0; at < len;) {
		size_t step = len - at < piece ? len - at : piece;
		struct iovec iov = { .iov_base = (void *)(uintptr_t)(bytes + at), .iov_len = step };
		/* By reference, as they come from a socket: two pieces never share a page. */
		ssize_t n = vmsplice(pipe->in, &iov, 1, SPLICE_F_NONBLOCK);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_false(pipe_has_room(pipe));
			pipe = pipe->next;
			assert_non_null(pipe);
			continue;
		}
		pipe->fill += (size_t)n;
		at += (size_t)n;
	}
	assert_int_equal(pipes_bytes(list), len);
	return list;
}

/* All chunks of a file, each with `lead` bytes in memory and the rest in pipes; what the first failed with. */
static int written(struct rig *rig, struct arrived *arrived, struct journal *journal, size_t lead, size_t piece)
{
	struct write_place place = { .root = rig->scratch->root, .path = "new", .journal = journal, .name = "" };
	struct write_job *job = calloc(1, sizeof(*job));
	struct write_file *file;
	int code = 0;

	assert_non_null(job);
	rig_suite(rig, CHUNK, 0);
	place.identity.size = SIZE;
	assert_int_equal(write_file_create(&file, &place, &rig->suite, SIZE), 0);
	for (uint64_t i = 0; i * CHUNK < SIZE && code == 0; i++) {
		uint8_t *bytes = arrived->bytes + i * CHUNK;
		size_t len = SIZE - i * CHUNK < CHUNK ? SIZE - i * CHUNK : CHUNK;

		job->count = 1;
		job->pieces[0] = (struct write_piece){
			.file = file,
			.op = WRITE_CHUNK,
			.chunk = { .index = i, .length = (uint32_t)len, .payload = bytes },
			.pipes = piped(arrived, bytes + lead, len - lead, piece),
		};
		rig_run(rig, &job->job, JOB_WRITE);
		code = job->pieces[0].code;
		if (code == 0 && journal != NULL)
			assert_int_equal(job->pieces[0].crc, crc32c(0, bytes, len));
		if (code == 0)
			assert_int_equal(pipes_bytes(job->pieces[0].pipes), 0);
		pipes_give(arrived->pool, job->pieces[0].pipes);
	}
	job->pieces[0] = (struct write_piece){ .file = file, .op = code == 0 ? WRITE_PUBLISH : WRITE_ABANDON };
	job->pieces[0].size = SIZE;
	job->pieces[0].chunks = 3;
	job->pieces[0].meta.mode = 0640;
	rig_run(rig, &job->job, JOB_WRITE);
	assert_int_equal(job->pieces[0].code, 0);
	write_file_destroy(file);
	free(job);
	if (code == 0) {
		rig_same(rig, "old", "new");
		assert_int_equal(unlinkat(rig->scratch->fd, "new", 0), 0);
	}
	assert_int_equal(faccessat(rig->scratch->fd, "new", F_OK, 0), -1);
	return code;
}

static void leave(struct arrived *arrived)
{
	fail_errno = 0;
	assert_int_equal(pipes_out(arrived->pool), 0);
	pipes_destroy(arrived->pool);
	free(arrived->bytes);
}

static void the_same_bytes(void **state)
{
	struct rig *rig = *state;
	struct arrived arrived;

	arrive(&arrived);
	rig_file(rig, "old", 5, SIZE);
	assert_int_equal(written(rig, &arrived, NULL, 0, CHUNK), 0);
	assert_true(spliced > 0);
	assert_int_equal(written(rig, &arrived, NULL, 1234, CHUNK), 0);
	assert_int_equal(written(rig, &arrived, NULL, 0, 1448), 0);
	at_most = 10001; /* short ones */
	assert_int_equal(written(rig, &arrived, NULL, 77, 3000), 0);
	leave(&arrived);
}

static void with_a_journal(void **state)
{
	struct rig *rig = *state;
	const struct journal_head head = { .source = "here", .partial = "new", .target = "new" };
	const struct journal_suite cut = { .chunk_size = CHUNK, .integrity = "none" };
	struct arrived arrived;
	struct journal *journal;
	bool resumed;

	arrive(&arrived);
	rig_file(rig, "old", 5, SIZE);
	assert_int_equal(journal_open(&journal, rig->scratch->root, "j", &head, &cut, &resumed, NULL), 0);
	assert_int_equal(written(rig, &arrived, journal, 0, CHUNK), 0);
	assert_int_equal(written(rig, &arrived, journal, 4000, 2222), 0);
	assert_int_equal(journal_remove(journal), 0);
	leave(&arrived);
}

static void faults(void **state)
{
	static const struct {
		int fails, calls, code;
	} cases[] = {
		{ EINTR, 3, 0 },        { EINVAL, 1, 0 }, { EINVAL, 1000, 0 },    { ENOSYS, 1000, 0 },
		{ ENOSPC, 1, -ENOSPC }, { EIO, 1, -EIO }, { EDQUOT, 1, -EDQUOT }, { -1, 1, -EIO },
	};
	struct rig *rig = *state;
	struct arrived arrived;

	arrive(&arrived);
	rig_file(rig, "old", 5, SIZE);
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int after = 0; after < 3; after++) {
			at_most = 400000;
			fail_errno = cases[i].fails;
			fail_after = after;
			fail_calls = cases[i].calls;
			assert_int_equal(written(rig, &arrived, NULL, 0, 5000), cases[i].code);
		}
	leave(&arrived);
}

static void back_into_memory(void **state)
{
	struct rig *rig = *state;
	struct arrived arrived;
	uint8_t *got = malloc(CHUNK);
	struct pipe_lent *list;

	(void)rig;
	arrive(&arrived);
	assert_non_null(got);
	list = piped(&arrived, arrived.bytes, CHUNK, 1448);
	assert_true(list->next->fill > 0); /* one did not hold it */
	assert_int_equal(pipes_read(list, got), 0);
	assert_memory_equal(got, arrived.bytes, CHUNK);
	assert_int_equal(pipes_bytes(list), 0);
	pipes_give(arrived.pool, list);
	free(got);
	leave(&arrived);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_same_bytes),
		RIG_TEST(with_a_journal),
		RIG_TEST(faults),
		RIG_TEST(back_into_memory),
	};
	return cmocka_run_group_tests_name("pipe-write", tests, NULL, NULL);
}
