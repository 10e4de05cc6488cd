/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which files become durable and get their names, what happens when the disk says no, and threads that take
 * turns. What is asked of the kernel is recorded by wrapping the calls when this test is linked.
 */
#include "pipe-write.h"

#include <pthread.h>

enum { SMALL = 1000 };

/* ---- what was asked of the kernel ---- */

enum { LOG_MAX = 1024 };
static struct {
	pthread_mutex_t lock;
	char log[LOG_MAX]; /* W writeback, F file sync, f data sync, J journal sync, R rename, D folder sync, P pwritev */
	size_t len;
	const char *fail_file; /* path of the file whose sync fails */
	const char *fail_dir;
	int fail_data; /* errno of a data sync of a file */
	ino_t journal;
	unsigned open_most; /* descriptors at a file sync */
	bool hold_write;    /* a write waits for `go`, once */
	bool hold;          /* a data sync waits for `go`, and says `held` before */
	sem_t held, go;
	_Atomic unsigned writing; /* threads in pwritev(2) */
	_Atomic unsigned writing_most;
	bool slow; /* it takes its time */
} kernel;

static void noted(char what)
{
	pthread_mutex_lock(&kernel.lock);
	assert_true(kernel.len < LOG_MAX - 1);
	kernel.log[kernel.len++] = what;
	kernel.log[kernel.len] = '\0';
	pthread_mutex_unlock(&kernel.lock);
}

static const char *fd_path(int fd, char out[512])
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(name, out, 511);
	out[len > 0 ? len : 0] = '\0';
	return out;
}

static bool ends_with(const char *path, const char *end)
{
	return end && strlen(path) >= strlen(end) && strcmp(path + strlen(path) - strlen(end), end) == 0;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names for what it wraps */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_sync_file_range(int fd, off_t offset, off_t len, unsigned flags);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);

int __wrap_fsync(int fd)
{
	struct stat st;
	char path[512];
	const char *fail;
	fstat(fd, &st);
	fail = S_ISDIR(st.st_mode) ? kernel.fail_dir : kernel.fail_file;
	noted(S_ISDIR(st.st_mode) ? 'D' : 'F');
	if (!S_ISDIR(st.st_mode) && open_descriptors() > kernel.open_most)
		kernel.open_most = open_descriptors();
	if (!ends_with(fd_path(fd, path), fail))
		return 0;
	errno = EIO;
	return -1;
}

int __wrap_fdatasync(int fd)
{
	struct stat st;
	fstat(fd, &st);
	bool journal = st.st_ino == kernel.journal;
	noted(journal ? 'J' : 'f');
	if (journal)
		return 0;
	if (kernel.hold) {
		sem_post(&kernel.held);
		sem_wait(&kernel.go);
	}
	errno = kernel.fail_data;
	return kernel.fail_data ? -1 : 0;
}

int __wrap_sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
	(void)fd;
	assert_int_equal(offset + len, 0);
	assert_int_equal(flags, SYNC_FILE_RANGE_WRITE);
	noted('W');
	return 0;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	noted('R');
	return __real_renameat(from_dir, from, to_dir, to);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	unsigned now = atomic_fetch_add(&kernel.writing, 1) + 1;
	if (now > atomic_load(&kernel.writing_most))
		atomic_store(&kernel.writing_most, now);
	if (kernel.hold_write) {
		kernel.hold_write = false;
		sem_post(&kernel.held);
		sem_wait(&kernel.go);
	}
	if (kernel.slow)
		for (int i = 0; i < 20; i++)
			sched_yield();
	ssize_t got = __real_pwritev(fd, iov, count, offset);
	atomic_fetch_sub(&kernel.writing, 1);
	return got;
}
/* NOLINTEND */

static void log_clear(void)
{
	kernel.len = 0;
	kernel.log[0] = '\0';
}

static int setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	pthread_mutex_init(&kernel.lock, NULL);
	sem_init(&kernel.held, 0, 0);
	sem_init(&kernel.go, 0, 0);
	return rig_open(state);
}

#define TEST(function)                                                                                                 \
	{                                                                                                              \
#function, function, setup, rig_close, NULL                                                            \
	}

/* ---- files of one job ---- */

enum { FILES = 12 };

/* Small files in three folders, each written and published in one job. */
struct group {
	struct put put;
	struct write_file *files[FILES];
	char paths[FILES][32], finals[FILES][32];
};

static void group_begin(struct group *group, struct rig *rig, bool sync, bool staged)
{
	static const char *const folders[] = { "a/", "b/", "" };
	put_begin(&group->put, rig, false);
	assert_int_equal(mkdirat(rig->scratch->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(rig->scratch->fd, "b", 0755), 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(group->paths[i], sizeof(group->paths[i]), "%s.xfer-%u", folders[i % 3], i);
		snprintf(group->finals[i], sizeof(group->finals[i]), "%sfile-%u", folders[i % 3], i);
		struct write_place place = {
			.root = rig->scratch->root,
			.path = staged ? group->finals[i] : group->paths[i],
			.final = staged ? NULL : group->finals[i],
			.sync = sync,
		};
		group->files[i] = put_file_at(&group->put, &place, SMALL);
		put_chunk(&group->put, group->files[i], i, SMALL, 0);
		put_last(&group->put, group->files[i], WRITE_PUBLISH, SMALL);
	}
	put_run_any(&group->put);
}

static int group_code(const struct group *group, unsigned i)
{
	assert_int_equal(group->put.write.pieces[2 * i].code, 0);
	return group->put.write.pieces[2 * i + 1].code;
}

static void group_end(struct group *group)
{
	put_clear(&group->put);
	for (unsigned i = 0; i < FILES; i++) {
		write_file_destroy(group->files[i]);
		assert_false(exists(group->put.rig->scratch->fd, group->paths[i]));
	}
	put_end(&group->put);
}

static void syncs_come_before_renames_before_folders(void **state)
{
	struct group group;
	group_begin(&group, *state, true, false);
	assert_string_equal(kernel.log, "WWWWWWWWWWWWFFFFFFFFFFFFRRRRRRRRRRRRDDD");
	for (unsigned i = 0; i < FILES; i++) {
		assert_int_equal(group_code(&group, i), 0);
		put_is(&group.put, group.finals[i], i, SMALL);
	}
	assert_true(kernel.open_most < FILES + 40);
	group_end(&group);
}

static void nothing_is_synced_that_need_not_be(void **state)
{
	struct group group;
	group_begin(&group, *state, false, false);
	assert_string_equal(kernel.log, "RRRRRRRRRRRR");
	group_end(&group);
}

static void in_a_staging_folder_names_are_final(void **state)
{
	struct group group;
	group_begin(&group, *state, false, true);
	assert_string_equal(kernel.log, "");
	for (unsigned i = 0; i < FILES; i++)
		put_is(&group.put, group.finals[i], i, SMALL);
	group_end(&group);
}

/* One whose sync fails is not known any more: it goes, is not tried again, and stops no other. */
static void a_failed_sync_fails_one_file(void **state)
{
	struct rig *rig = *state;
	struct group group;
	kernel.fail_file = ".xfer-4";
	group_begin(&group, rig, true, false);
	assert_string_equal(kernel.log, "WWWWWWWWWWWWFFFFFFFFFFFFRRRRRRRRRRRDDD");
	for (unsigned i = 0; i < FILES; i++) {
		assert_int_equal(group_code(&group, i), i == 4 ? -EIO : 0);
		assert_int_equal(exists(rig->scratch->fd, group.finals[i]), i != 4);
	}
	assert_false(exists(rig->scratch->fd, group.paths[4]));
	log_clear();
	put_clear(&group.put);
	assert_int_equal(put_op(&group.put, group.files[4], WRITE_PUBLISH, SMALL), -EIO);
	assert_int_equal(put_op(&group.put, group.files[4], WRITE_ABANDON, SMALL), 0);
	assert_string_equal(kernel.log, "");
	group_end(&group);
}

/* A folder that cannot be synced fails all that got a name in it. */
static void a_failed_sync_of_a_folder_fails_its_files(void **state)
{
	struct group group;
	kernel.fail_dir = "/b";
	group_begin(&group, *state, true, false);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(group_code(&group, i), i % 3 == 1 ? -EIO : 0);
	put_clear(&group.put);
	/* It has its name; there is nothing to be taken back. */
	assert_int_equal(put_op(&group.put, group.files[1], WRITE_ABANDON, SMALL), 0);
	assert_true(exists(group.put.rig->scratch->fd, group.finals[1]));
	group_end(&group);
}

static void a_failed_rename_fails_one_file(void **state)
{
	struct rig *rig = *state;
	struct group group;
	assert_int_equal(mkdirat(rig->scratch->fd, "file-2", 0755), 0);
	group_begin(&group, rig, true, false);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(group_code(&group, i), i == 2 ? -EISDIR : 0);
	assert_true(exists(rig->scratch->fd, ".xfer-2"));
	group_end(&group);
}

/* What is noted of a file of one chunk is noted only when it is there to stay. */
static void only_what_is_durable_is_noted(void **state)
{
	struct rig *rig = *state;
	struct put put;
	kernel.fail_dir = "/in";
	put_begin(&put, rig, true);
	struct write_place place = put_place(&put, WRITE_NEW, SMALL);
	place.sync = true;
	for (int again = 0; again < 2; again++) {
		place.journal = put.journal;
		struct write_file *file = put_file_at(&put, &place, SMALL);
		put_chunk(&put, file, SEED, SMALL, 0);
		put_last(&put, file, WRITE_PUBLISH, SMALL);
		put_run_any(&put);
		assert_int_equal(put.write.pieces[1].code, again ? 0 : -EIO);
		put_clear(&put);
		write_file_destroy(file);
		put_again(&put, RIG_CHUNK, RIG_DIGEST);
		assert_int_equal(put_probe(&put, &place, 0)->found, again ? PROBE_STANDS : PROBE_NOTHING);
		kernel.fail_dir = NULL;
	}
	put_end(&put);
}

/* ---- a file that grows ---- */

/* Writes ten chunks, each by a job of its own. */
static struct write_file *grow(struct put *put, uint64_t window, bool journal)
{
	struct write_place place = put_place(put, WRITE_NEW, TEN);
	struct stat st;
	place.sync_window = window;
	place.journal = journal ? put->journal : NULL;
	struct write_file *file = put_file_at(put, &place, TEN);
	for (uint64_t i = 0; i < 10; i++) {
		put_chunk(put, file, SEED, TEN, i);
		put_run_any(put);
		put_clear(put);
		if (i == 0 && journal) {
			assert_int_equal(fstatat(put->rig->scratch->fd, ".xfer-journal", &st, 0), 0);
			kernel.journal = st.st_ino;
		}
	}
	return file;
}

static void a_large_file_is_synced_while_it_grows(void **state)
{
	struct put put;
	put_begin(&put, *state, true);
	struct write_file *file = grow(&put, 6 * RIG_CHUNK, true);
	/* At half of the window each. The name of the journal is brought to the disk once. */
	assert_string_equal(kernel.log, "fJDfJfJ");
	put_finish(&put, file, ALL);
	put_end(&put);
}

static void without_a_window_nothing_is_synced(void **state)
{
	struct put put;
	put_begin(&put, *state, true);
	put_finish(&put, grow(&put, 0, true), ALL);
	assert_string_equal(kernel.log, "R");
	log_clear();
	put_finish(&put, grow(&put, 8 * RIG_CHUNK, false), ALL);
	assert_string_equal(kernel.log, "ffR"); /* no journal is needed for it */
	put_end(&put);
}

static void a_failed_sync_of_a_window_is_the_end(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	kernel.fail_data = EIO;
	struct write_file *file = grow(&put, 3 * RIG_CHUNK, true);
	assert_string_equal(kernel.log, "f"); /* not tried again */
	assert_int_equal(put_op(&put, file, WRITE_PUBLISH, TEN), -EIO);
	assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	write_file_destroy(file);
	put_end(&put);
}

static void submit(struct put *put)
{
	put->write.job.kind = JOB_WRITE;
	put->write.job.suite = &put->rig->suite;
	pipeline_submit(put->rig->pipeline, &put->write.job);
}

/* While one thread waits for the disk others write to the same file, even with two threads in all. */
static void others_write_while_one_syncs(void **state)
{
	struct rig *rig = *state;
	struct put put, more[3];
	put_begin(&put, rig, true);
	struct write_place place = put_place(&put, WRITE_NEW, TEN);
	place.sync_window = 6 * RIG_CHUNK;
	struct write_file *file = put_file_at(&put, &place, TEN);
	kernel.hold = true;
	put_chunk(&put, file, SEED, TEN, 0);
	put_chunk(&put, file, SEED, TEN, 1);
	put_chunk(&put, file, SEED, TEN, 2);
	submit(&put);
	assert_int_equal(sem_wait(&kernel.held), 0);
	for (unsigned i = 0; i < COUNT(more); i++) {
		put_begin(&more[i], rig, false);
		put_chunk(&more[i], file, SEED, TEN, 3 + i);
		put_run(&more[i], 0);
		put_end(&more[i]);
	}
	kernel.hold = false;
	sem_post(&kernel.go);
	rig_wait(rig, 1);
	assert_int_equal(put.write.pieces[0].code, 0);
	put_clear(&put);
	put_finish(&put, file, 0x3f);
	put_end(&put);
}

/* Also the one that waited for its turn meanwhile. */
static void whoever_waits_for_a_turn_does_not_wait_for_a_sync(void **state)
{
	struct rig *rig = *state;
	struct put first, second, other;
	rig_suite(rig, RIG_CHUNK, 0); /* then storage threads alone do it, in the order of submission */
	put_begin(&first, rig, true);
	put_begin(&second, rig, false);
	put_begin(&other, rig, false);
	struct write_place place = put_place(&first, WRITE_NEW, TEN);
	place.sync_window = 4 * RIG_CHUNK;
	struct write_file *file = put_file_at(&first, &place, TEN);
	place.path = "other";
	place.sync_window = 0;
	struct write_file *third = put_file_at(&other, &place, TEN);
	put_chunk(&first, file, SEED, TEN, 0);
	put_chunk(&first, file, SEED, TEN, 1);
	put_chunk(&second, file, SEED, TEN, 2);
	put_chunk(&other, third, SEED, TEN, 0);
	kernel.hold_write = true;
	kernel.hold = true;
	submit(&first);
	assert_int_equal(sem_wait(&kernel.held), 0);
	submit(&second);
	submit(&other);
	assert_ptr_equal(rig_take(rig), &other.write.job); /* so the second waits by now */
	sem_post(&kernel.go);
	assert_int_equal(sem_wait(&kernel.held), 0);
	/* One of the two syncs, and not both do. */
	struct job *early = rig_take(rig);
	assert_true(early == &first.write.job || early == &second.write.job);
	assert_null(early->next);
	kernel.hold = false;
	sem_post(&kernel.go);
	assert_ptr_equal(rig_take(rig), early == &first.write.job ? &second.write.job : &first.write.job);
	write_file_destroy(file);
	write_file_destroy(third);
	put_end(&first);
	put_end(&second);
	put_end(&other);
}

/* Once a power loss would cost a whole window, nobody writes to the file before the disk has some of it. */
static void nobody_writes_beyond_the_window(void **state)
{
	struct rig *rig = *state;
	struct put first, second, other;
	rig_suite(rig, RIG_CHUNK, 0); /* then storage threads alone do it, in the order of submission */
	put_begin(&first, rig, true);
	put_begin(&second, rig, false);
	put_begin(&other, rig, false);
	struct write_place place = put_place(&first, WRITE_NEW, TEN);
	place.sync_window = 2 * RIG_CHUNK;
	struct write_file *file = put_file_at(&first, &place, TEN);
	place.path = "other";
	place.sync_window = 0;
	struct write_file *third = put_file_at(&other, &place, TEN);
	put_chunk(&first, file, SEED, TEN, 0);
	put_chunk(&first, file, SEED, TEN, 1);
	put_chunk(&second, file, SEED, TEN, 2);
	put_chunk(&other, third, SEED, TEN, 0);
	kernel.hold = true;
	submit(&first);
	assert_int_equal(sem_wait(&kernel.held), 0);
	submit(&second);
	submit(&other);
	struct job *early = rig_take(rig); /* what was submitted before it waits by now, or is done */
	struct stat st = { 0 };
	int code = fstatat(rig->scratch->fd, ".xfer-partial", &st, 0);
	kernel.hold = false;
	sem_post(&kernel.go);
	rig_wait(rig, 2);
	assert_ptr_equal(early, &other.write.job);
	assert_int_equal(code, 0);
	assert_int_equal(st.st_size, 2 * RIG_CHUNK);
	assert_int_equal(second.write.pieces[0].code, 0);
	write_file_destroy(file);
	write_file_destroy(third);
	put_end(&first);
	put_end(&second);
	put_end(&other);
}

/* ---- turns ---- */

enum { TURN_JOBS = 64, TURN_SIZE = TURN_JOBS * 4 * RIG_CHUNK };

/* Jobs of one file wait for each other without keeping a thread; jobs of another file do not. */
static void one_thread_at_a_time_writes_a_file(void **state)
{
	struct rig *rig = *state;
	struct put *puts = calloc(TURN_JOBS + 1, sizeof(*puts));
	assert_non_null(puts);
	rig_threads(rig, 4, 2);
	kernel.slow = true;
	for (unsigned digest = 0; digest < 2; digest++) {
		rig_suite(rig, RIG_CHUNK, digest ? RIG_DIGEST : 0);
		struct put *first = &puts[TURN_JOBS];
		put_begin(first, rig, false);
		struct write_file *file = put_file_open(first, WRITE_NEW, TURN_SIZE, 0);
		atomic_store(&kernel.writing_most, 0);
		for (unsigned i = 0; i < TURN_JOBS; i++) {
			put_begin(&puts[i], rig, false);
			for (unsigned k = 0; k < 4; k++)
				put_chunk(&puts[i], file, SEED, TURN_SIZE, 4 * i + k);
		}
		for (unsigned i = 0; i < TURN_JOBS; i++)
			submit(&puts[i]);
		rig_wait(rig, TURN_JOBS);
		assert_int_equal(kernel.writing_most, 1);
		for (unsigned i = 0; i < TURN_JOBS; i++) {
			for (unsigned k = 0; k < 4; k++)
				assert_int_equal(puts[i].write.pieces[k].code, 0);
			put_end(&puts[i]);
		}
		assert_int_equal(put_op(first, file, WRITE_PUBLISH, TURN_SIZE), 0);
		write_file_destroy(file);
		put_is(first, "copy", SEED, TURN_SIZE);
		put_end(first);
	}
	free(puts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(syncs_come_before_renames_before_folders),
		TEST(nothing_is_synced_that_need_not_be),
		TEST(in_a_staging_folder_names_are_final),
		TEST(a_failed_sync_fails_one_file),
		TEST(a_failed_sync_of_a_folder_fails_its_files),
		TEST(a_failed_rename_fails_one_file),
		TEST(only_what_is_durable_is_noted),
		TEST(a_large_file_is_synced_while_it_grows),
		TEST(without_a_window_nothing_is_synced),
		TEST(a_failed_sync_of_a_window_is_the_end),
		TEST(others_write_while_one_syncs),
		TEST(whoever_waits_for_a_turn_does_not_wait_for_a_sync),
		TEST(nobody_writes_beyond_the_window),
		TEST(one_thread_at_a_time_writes_a_file),
	};
	return cmocka_run_group_tests_name("pipe-publish", tests, NULL, NULL);
}
