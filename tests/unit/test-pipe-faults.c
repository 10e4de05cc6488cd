/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes wrong in read and write jobs: files that change, digests that do not fit, disks that are full. */
#include "pipe-copy.h"

#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { TEN = 10 * RIG_CHUNK };

/* ---- read ---- */

/* Reads everything by one piece and says how it ended: no chunk may be there unless all is well. */
static enum status read_status(struct rig *rig, const char *name, uint64_t believed, struct copy *copy)
{
	copy_begin(copy, rig, name, believed);
	struct read_job *job = copy_job(copy, 0, MESSAGE_ALL, true);
	rig_run(rig, &job->job, JOB_READ);
	assert_true(job->pieces[0].ended);
	copy_frames(copy, job);
	assert_int_equal(copy->end.ends, 1);
	assert_int_equal(copy->end.status, job->pieces[0].status);
	if (copy->end.status != STATUS_OK) {
		assert_int_equal(job->pieces[0].chunks, 0);
		assert_int_equal(copy->chunks, 0);
		assert_null(copy->end.end.digest);
	}
	return copy->end.status;
}

static void causes_have_their_status(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 1, TEN);
	assert_int_equal(mkdirat(rig->scratch->fd, "dir", 0755), 0);
	assert_int_equal(mkfifoat(rig->scratch->fd, "pipe", 0644), 0);
	assert_int_equal(symlinkat("../out", rig->scratch->fd, "away"), 0);
	static const struct {
		const char *name;
		enum status status;
	} cases[] = {
		{ "file", STATUS_OK },        { "none", STATUS_NOT_FOUND },      { "file/none", STATUS_NOT_FOUND },
		{ "dir", STATUS_SPECIAL },    { "pipe", STATUS_SPECIAL },        { "away/file", STATUS_REFUSED },
		{ "../out", STATUS_REFUSED }, { "/etc/passwd", STATUS_REFUSED },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(read_status(rig, cases[i].name, TEN, &copy), cases[i].status);
		if (cases[i].status != STATUS_OK)
			assert_true(copy.end.end.text_len > 0);
		copy_drop(&copy);
	}
}

static void another_size_is_told_before_the_first_chunk(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 1, TEN);
	assert_int_equal(read_status(rig, "file", TEN + 1, &copy), STATUS_CHANGED);
	assert_int_equal(copy.end.end.size, TEN);
	assert_int_equal(copy.jobs[0]->pieces[0].total, 10);
	copy_drop(&copy);
}

enum change { CHANGE_CONTENT, CHANGE_SHRINK, CHANGE_GROW, CHANGE_VANISH, CHANGE_TIMES };

static void change_file(struct rig *rig, enum change change)
{
	int fd = openat(rig->scratch->fd, "file", O_WRONLY | O_CLOEXEC);
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
	assert_true(fd >= 0);
	switch (change) {
	case CHANGE_CONTENT:
		assert_int_equal(pwrite(fd, "changed", 7, RIG_CHUNK), 7);
		/* The clock of the file system may stand still between two calls; an owner who restores mtime cannot
		 * restore ctime, and neither can we: it is the mtime that is made to differ for sure. */
		assert_int_equal(futimens(fd, times), 0);
		break;
	case CHANGE_SHRINK: assert_int_equal(ftruncate(fd, 2 * RIG_CHUNK), 0); break;
	case CHANGE_GROW: assert_int_equal(ftruncate(fd, 20 * RIG_CHUNK), 0); break;
	case CHANGE_VANISH: assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0); break;
	case CHANGE_TIMES: assert_int_equal(futimens(fd, times), 0); break;
	}
	close(fd);
}

static void a_change_between_two_pieces_is_seen(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	for (enum change change = CHANGE_CONTENT; change <= CHANGE_TIMES; change++) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 999 } };
		unlinkat(rig->scratch->fd, "file", 0);
		rig_file(rig, "file", 1, TEN);
		/* ctime moves with the clock's tick: let the file be older than the change. */
		assert_int_equal(utimensat(rig->scratch->fd, "file", times, 0), 0);
		usleep(20 * 1000);
		copy_begin(&copy, rig, "file", TEN);
		struct read_job *first = copy_job(&copy, 0, 3, false);
		rig_run(rig, &first->job, JOB_READ);
		assert_int_equal(first->pieces[0].status, STATUS_OK);
		change_file(rig, change);
		struct read_job *second = copy_job(&copy, 3, 3, false);
		rig_run(rig, &second->job, JOB_READ);
		assert_int_equal(second->pieces[0].status, STATUS_CHANGED);
		/* Nothing comes of it, and it does not end the request: others may be under way. The last one does. */
		assert_false(second->pieces[0].ended);
		assert_int_equal(second->out_len, 0);
		struct read_job *third = copy_job(&copy, 6, 4, true);
		rig_run(rig, &third->job, JOB_READ);
		assert_int_equal(third->pieces[0].status, STATUS_CHANGED);
		assert_true(third->pieces[0].ended);
		copy_frames(&copy, third);
		assert_int_equal(copy.end.status, STATUS_CHANGED);
		assert_int_equal(copy.chunks, 0);
		copy_drop(&copy);
	}
}

/* The engine has no root for a path that leads to no export. */
static void a_refused_request_ends(void **state)
{
	struct rig *rig = *state;
	struct copy copy = { .rig = rig };
	assert_int_equal(read_file_create(&copy.from, NULL, "none/file", TEN, &rig->suite), 0);
	struct read_job *job = copy_job(&copy, 0, MESSAGE_ALL, true);
	job->pieces[0].refuse = STATUS_REFUSED;
	rig_run(rig, &job->job, JOB_READ);
	copy_frames(&copy, job);
	assert_int_equal(copy.end.ends, 1);
	assert_int_equal(copy.end.status, STATUS_REFUSED);
	copy_drop(&copy);
}

static void a_cancelled_request_ends(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 1, TEN);
	copy_begin(&copy, rig, "file", TEN);
	struct read_job *job = copy_job(&copy, 0, MESSAGE_ALL, true);
	job->pieces[0].refuse = STATUS_CANCELLED;
	rig_run(rig, &job->job, JOB_READ);
	copy_frames(&copy, job);
	assert_int_equal(copy.chunks, 0);
	assert_int_equal(copy.end.ends, 1);
	assert_int_equal(copy.end.status, STATUS_CANCELLED);
	copy_drop(&copy);
}

static void a_failing_plugin_sends_nothing(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 1, TEN);
	copy_begin(&copy, rig, "file", TEN);
	atomic_store(&rig->integrity.fail, -EIO);
	struct read_job *job = copy_job(&copy, 0, MESSAGE_ALL, true);
	rig_run(rig, &job->job, JOB_READ);
	assert_int_equal(job->code, -EIO);
	assert_int_equal(job->out_len, 0);
	assert_int_equal(job->pieces[0].status, STATUS_FAILED);
	assert_int_equal(job->pieces[0].chunks, 0);
	copy_drop(&copy);
}

/* ---- write ---- */

/* A file of ten chunks, read, and its write job with all of them and WRITE_PUBLISH at the end. */
struct sink {
	struct copy copy;
	struct write_file *file;
	struct write_job job;
	uint8_t digest[RIG_DIGEST];
};

static void sink_begin(struct sink *sink, struct rig *rig, bool no_replace)
{
	struct copy *copy = &sink->copy;
	memset(sink, 0, sizeof(*sink));
	rig_file(rig, "file", 3, TEN);
	copy_begin(copy, rig, "file", TEN);
	copy_read(copy, 10);
	struct write_place place = {
		.root = rig->scratch->root,
		.path = ".xfer-partial",
		.final = "copy",
		.no_replace = no_replace,
	};
	assert_int_equal(write_file_create(&sink->file, &place, &rig->suite, TEN), 0);
	copy->to = sink->file;
	copy->write = &sink->job;
	for (size_t i = 0; i < copy->count; i++)
		copy_frames(copy, copy->jobs[i]);
	assert_int_equal(sink->job.count, 10);
	memcpy(sink->digest, copy->end.end.digest, RIG_DIGEST);
	sink->job.pieces[sink->job.count++] = (struct write_piece){
		.file = sink->file,
		.op = WRITE_PUBLISH,
		.size = TEN,
		.chunks = 10,
		.meta = { .mode = 0600 },
		.digest = sink->digest,
	};
}

/* Runs the sink's job; all pieces but the last have this code. */
static int sink_run(struct sink *sink, struct rig *rig, int code)
{
	rig_run(rig, &sink->job.job, JOB_WRITE);
	for (size_t i = 0; i + 1 < sink->job.count; i++)
		assert_int_equal(sink->job.pieces[i].code, code);
	return sink->job.pieces[sink->job.count - 1].code;
}

/* One piece alone. */
static int sink_one(struct sink *sink, struct rig *rig, const struct write_piece *piece)
{
	sink->job.pieces[0] = *piece;
	sink->job.count = 1;
	return sink_run(sink, rig, 0);
}

static int sink_op(struct sink *sink, struct rig *rig, enum write_op op)
{
	struct write_piece piece = { .file = sink->file, .op = op, .size = TEN, .chunks = 10, .digest = sink->digest };
	return sink_one(sink, rig, &piece);
}

static void sink_end(struct sink *sink, struct rig *rig)
{
	write_file_destroy(sink->file);
	copy_drop(&sink->copy);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
}

static void a_damaged_chunk_is_caught_and_may_come_again(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	sink_begin(&sink, rig, false);
	struct write_piece good = sink.job.pieces[4];
	struct frame_chunk *chunk = &sink.job.pieces[4].chunk;
	uint8_t *damaged = malloc(chunk->length);
	assert_non_null(damaged);
	memcpy(damaged, chunk->payload, chunk->length);
	damaged[chunk->length - 1] ^= 1;
	chunk->payload = damaged;
	rig_run(rig, &sink.job.job, JOB_WRITE);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(sink.job.pieces[i].code, i == 4 ? -EBADMSG : 0);
	assert_int_equal(sink.job.pieces[10].code, -ENODATA);
	assert_false(exists(rig->scratch->fd, "copy"));
	/* Nothing of it was written. */
	int fd = openat(rig->scratch->fd, ".xfer-partial", O_RDONLY | O_CLOEXEC);
	uint8_t byte = 1;
	assert_int_equal(pread(fd, &byte, 1, 4 * RIG_CHUNK), 1);
	assert_int_equal(byte, 0);
	close(fd);

	assert_int_equal(sink_one(&sink, rig, &good), 0);
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), 0);
	rig_same(rig, "file", "copy");
	free(damaged);
	sink_end(&sink, rig);
}

/* Chunks that do not stand one behind the other are written where they belong. */
static void chunks_come_in_any_order(void **state)
{
	static const size_t order[10] = { 4, 5, 7, 8, 9, 0, 2, 1, 3, 6 };
	struct rig *rig = *state;
	struct sink sink;
	struct write_piece pieces[10];
	sink_begin(&sink, rig, false);
	memcpy(pieces, sink.job.pieces, sizeof(pieces));
	for (size_t i = 0; i < 10; i++)
		sink.job.pieces[i] = pieces[order[i]];
	assert_int_equal(sink_run(&sink, rig, 0), 0);
	rig_same(rig, "file", "copy");
	sink_end(&sink, rig);
}

static void a_repeated_or_misplaced_chunk_is_refused(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	sink_begin(&sink, rig, false);
	struct write_piece again = sink.job.pieces[4];
	sink.job.count = 10;
	assert_int_equal(sink_run(&sink, rig, 0), 0);
	assert_int_equal(sink_one(&sink, rig, &again), -ERANGE);
	again.chunk.index = 10;
	assert_int_equal(sink_one(&sink, rig, &again), -ERANGE);
	again.chunk.index = UINT64_MAX / RIG_CHUNK;
	assert_int_equal(sink_one(&sink, rig, &again), -ERANGE);
	again.chunk.index = 9;
	again.chunk.length--;
	assert_int_equal(sink_one(&sink, rig, &again), -ERANGE);
	struct write_piece hole = { .file = sink.file, .op = WRITE_HOLE, .first = 9, .count = 2 };
	assert_int_equal(sink_one(&sink, rig, &hole), -ERANGE);
	hole.count = UINT64_MAX;
	assert_int_equal(sink_one(&sink, rig, &hole), -ERANGE);
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), 0);
	rig_same(rig, "file", "copy");
	sink_end(&sink, rig);
}

static void a_wrong_file_digest_is_not_published(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	sink_begin(&sink, rig, false);
	sink.digest[RIG_DIGEST - 1] ^= 0x80;
	assert_int_equal(sink_run(&sink, rig, 0), -EBADMSG);
	assert_false(exists(rig->scratch->fd, "copy"));
	assert_true(exists(rig->scratch->fd, ".xfer-partial"));
	assert_int_equal(sink_op(&sink, rig, WRITE_ABANDON), 0);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), -ECANCELED);
	sink_end(&sink, rig);
}

static void a_file_that_is_given_up_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	sink_begin(&sink, rig, false);
	sink.job.count = 3;
	assert_int_equal(sink_run(&sink, rig, 0), 0);
	assert_true(exists(rig->scratch->fd, ".xfer-partial"));
	sink_end(&sink, rig); /* the destructor alone does it too */
}

static void an_existing_file_is_replaced_or_kept(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	char text[256];
	put_file(rig->scratch->fd, "copy", "mine");
	sink_begin(&sink, rig, true);
	assert_int_equal(sink_run(&sink, rig, 0), -EEXIST);
	assert_string_equal(get_file(rig->scratch->fd, "copy", text), "mine");
	struct write_piece hole = { .file = sink.file, .op = WRITE_HOLE };
	assert_int_equal(sink_one(&sink, rig, &hole), -EEXIST); /* it stays */
	sink_end(&sink, rig);
	sink_begin(&sink, rig, false);
	assert_int_equal(sink_run(&sink, rig, 0), 0);
	rig_same(rig, "file", "copy");
	sink_end(&sink, rig);
}

/* What an earlier run left under the name of the partial file, unless that run is not over. */
static void an_abandoned_partial_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	put_file(rig->scratch->fd, ".xfer-partial", "abandoned, and longer than nothing");
	sink_begin(&sink, rig, false);
	assert_int_equal(sink_run(&sink, rig, 0), 0);
	rig_same(rig, "file", "copy");
	sink_end(&sink, rig);
}

static void an_error_of_the_store_stays_with_the_file(void **state)
{
	struct rig *rig = *state;
	struct sink sink;
	char text[256];
	sink_begin(&sink, rig, false);
	put_file(rig->scratch->fd, ".xfer-partial", "somebody else's");
	int fd = openat(rig->scratch->fd, ".xfer-partial", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(sink_run(&sink, rig, -EBUSY), -EBUSY);
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), -EBUSY);
	assert_int_equal(sink_op(&sink, rig, WRITE_ABANDON), 0);
	/* Not ours to remove. */
	assert_string_equal(get_file(rig->scratch->fd, ".xfer-partial", text), "somebody else's");
	assert_int_equal(unlinkat(rig->scratch->fd, ".xfer-partial", 0), 0);
	close(fd);
	sink_end(&sink, rig);
}

/* Writes beyond a limit: first what fits, then an error, which stays. */
static void fill(struct rig *rig, int code)
{
	struct sink sink;
	sink_begin(&sink, rig, false);
	rig_run(rig, &sink.job.job, JOB_WRITE);
	assert_int_equal(sink.job.pieces[9].code, code);
	assert_int_equal(sink.job.pieces[10].code, code);
	assert_false(exists(rig->scratch->fd, "copy"));
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), code);
	assert_int_equal(sink_op(&sink, rig, WRITE_ABANDON), 0);
	sink_end(&sink, rig);
}

static void a_file_beyond_the_limit_fails(void **state)
{
	struct rig *rig = *state;
	struct rlimit before, limit;
	rig_file(rig, "file", 3, TEN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 3 * RIG_CHUNK;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	struct sink sink;
	memset(&sink, 0, sizeof(sink));
	copy_begin(&sink.copy, rig, "file", TEN);
	copy_read(&sink.copy, 10);
	struct write_place place = { .root = rig->scratch->root, .path = ".xfer-partial", .final = "copy" };
	assert_int_equal(write_file_create(&sink.file, &place, &rig->suite, TEN), 0);
	sink.copy.to = sink.file;
	sink.copy.write = &sink.job;
	for (size_t i = 0; i < sink.copy.count; i++)
		copy_frames(&sink.copy, sink.copy.jobs[i]);
	rig_run(rig, &sink.job.job, JOB_WRITE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(sink.job.pieces[9].code, -EFBIG);
	assert_int_equal(sink_op(&sink, rig, WRITE_PUBLISH), -EFBIG);
	assert_int_equal(sink_op(&sink, rig, WRITE_ABANDON), 0);
	sink_end(&sink, rig);
}

static void a_full_disk_fails(void **state)
{
	struct rig *rig = *state;
	/* The pool's threads must see the mount: they are made after it. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", rig->scratch->in, "tmpfs", 0, "size=64K") < 0)
		skip();
	store_root_unref(rig->scratch->root);
	close(rig->scratch->fd);
	assert_int_equal(store_root_open(&rig->scratch->root, rig->scratch->in, NULL), 0);
	rig->scratch->fd = open(rig->scratch->in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig_threads(rig, 2, 2);
	fill(rig, -ENOSPC);
	assert_int_equal(umount2(rig->scratch->in, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(causes_have_their_status),
		RIG_TEST(another_size_is_told_before_the_first_chunk),
		RIG_TEST(a_change_between_two_pieces_is_seen),
		RIG_TEST(a_refused_request_ends),
		RIG_TEST(a_cancelled_request_ends),
		RIG_TEST(a_failing_plugin_sends_nothing),
		RIG_TEST(a_damaged_chunk_is_caught_and_may_come_again),
		RIG_TEST(chunks_come_in_any_order),
		RIG_TEST(a_repeated_or_misplaced_chunk_is_refused),
		RIG_TEST(a_wrong_file_digest_is_not_published),
		RIG_TEST(a_file_that_is_given_up_leaves_nothing),
		RIG_TEST(an_existing_file_is_replaced_or_kept),
		RIG_TEST(an_abandoned_partial_is_replaced),
		RIG_TEST(an_error_of_the_store_stays_with_the_file),
		RIG_TEST(a_file_beyond_the_limit_fails),
		RIG_TEST(a_full_disk_fails), /* last: it moves this process to a mount namespace of its own */
	};
	return cmocka_run_group_tests_name("pipe-faults", tests, NULL, NULL);
}
