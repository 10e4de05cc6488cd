/* SPDX-License-Identifier: BSD-2-Clause */
/* Partial files, which one writer has at a time; ranges that are copied or made zeroes. */
#include "scratch.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ioctl.h>

enum { K = 1024, BLOCK = 4 * K, SIZE = 64 * BLOCK };

/* ---- what the kernel refuses, and how often it was asked ---- */

static struct {
	int copy;  /* errno of copy_file_range(2); -1: it copies nothing. 0: the kernel's */
	int punch; /* errno of fallocate(2) */
	unsigned copies, punches;
	_Atomic int rob;    /* the folder in which "p" is taken away before it is locked; 0 = none */
	const char *rob_to; /* what it is renamed to; NULL: it is removed */
} fake;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names for what it wraps */
ssize_t __real_copy_file_range(int in, off_t *off_in, int out, off_t *off_out, size_t len, unsigned flags);
ssize_t __wrap_copy_file_range(int in, off_t *off_in, int out, off_t *off_out, size_t len, unsigned flags);
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);

ssize_t __wrap_copy_file_range(int in, off_t *off_in, int out, off_t *off_out, size_t len, unsigned flags)
{
	fake.copies++;
	if (fake.copy > 0) {
		errno = fake.copy;
		return -1;
	}
	if (fake.copy < 0)
		return 0;
	return __real_copy_file_range(in, off_in, out, off_out, len > BLOCK + 1 ? BLOCK + 1 : len, flags);
}

int __wrap_flock(int fd, int operation)
{
	int dir = atomic_exchange(&fake.rob, 0);
	if (dir != 0 && (fake.rob_to ? renameat(dir, "p", dir, fake.rob_to) : unlinkat(dir, "p", 0)) < 0)
		return -1;
	return __real_flock(fd, operation);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
	fake.punches++;
	if (fake.punch == 0)
		return __real_fallocate(fd, mode, offset, len);
	errno = fake.punch;
	return -1;
}
/* NOLINTEND */

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	return scratch_kernel(state);
}

/* ---- partial files ---- */

static int locked(const struct scratch *s, const char *name)
{
	int fd = openat(s->fd, name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	int code = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
	close(fd);
	return code;
}

static void one_writes_a_partial_at_a_time(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	char text[256];
	int fd, other;
	assert_int_equal(store_partial_open_via(NULL, s->root, "p", &fd, &st), -ENOENT);
	assert_int_equal(store_partial_make_via(NULL, s->root, "p", &fd), 0);
	assert_int_equal(locked(s, "p"), EWOULDBLOCK);
	assert_int_equal(store_partial_make_via(NULL, s->root, "p", &other), -EBUSY);
	assert_int_equal(store_partial_open_via(NULL, s->root, "p", &other, &st), -EBUSY);
	assert_int_equal(store_partial_remove_via(NULL, s->root, "p"), -EBUSY);
	assert_int_equal(write(fd, "content", 7), 7);
	close(fd);
	assert_int_equal(store_partial_open_via(NULL, s->root, "p", &fd, &st), 0);
	assert_int_equal(st.st_size, 7);
	assert_int_equal(locked(s, "p"), EWOULDBLOCK);
	close(fd);
	assert_string_equal(get_file(s->fd, "p", text), "content");
	assert_int_equal(store_partial_make_via(NULL, s->root, "p", &fd), 0);
	assert_string_equal(get_file(s->fd, "p", text), "");
	close(fd);
	assert_int_equal(store_partial_remove_via(NULL, s->root, "p"), 0);
	assert_int_equal(store_partial_remove_via(NULL, s->root, "p"), 0);
	assert_false(exists(s->fd, "p"));
}

static void what_is_no_file_is_replaced_and_not_opened(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	int fd;
	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "dir/below", 0755), 0);
	assert_int_equal(mkfifoat(s->fd, "pipe", 0644), 0);
	assert_int_equal(symlinkat("../out/victim", s->fd, "link"), 0);
	put_file(s->fd, "../out/victim", "mine");
	static const char *const names[] = { "dir", "pipe", "link" };
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(store_partial_open_via(NULL, s->root, names[i], &fd, &st), -ENOTSUP);
		assert_int_equal(store_partial_make_via(NULL, s->root, names[i], &fd), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		close(fd);
	}
	char text[256];
	assert_string_equal(get_file(s->fd, "../out/victim", text), "mine");
}

/* One that has its mode already, 0444, is ours to write all the same. */
static void a_finished_partial_can_be_opened(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	int fd = -1;
	if (!become_somebody(s))
		skip();
	put_file(s->fd, "p", "content");
	assert_int_equal(fchmodat(s->fd, "p", 0444, 0), 0);
	int code = store_partial_open_via(NULL, s->root, "p", &fd, &st);
	become_root_again();
	assert_int_equal(code, 0);
	close(fd);
}

/* Between the making and the locking, or the opening and the locking, somebody else was quicker. */
static void a_partial_that_goes_before_it_is_locked_is_not_ours(void **state)
{
	struct scratch *s = *state;
	struct stat st, named;
	int fd;
	fake.rob = s->fd;
	assert_int_equal(store_partial_make_via(NULL, s->root, "p", &fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fstatat(s->fd, "p", &named, 0), 0);
	assert_int_equal(st.st_ino, named.st_ino);
	close(fd);
	fake.rob = s->fd;
	fake.rob_to = "final";
	assert_int_equal(store_partial_open_via(NULL, s->root, "p", &fd, &st), -ENOENT);
	assert_true(exists(s->fd, "final"));
	put_file(s->fd, "p", "new");
	fake.rob = s->fd;
	assert_int_equal(store_partial_remove_via(NULL, s->root, "p"), 0);
	assert_true(exists(s->fd, "final"));
}

/* Threads that make, rename and remove the same partial: what has the final name is always one writer's, and whole. */
struct race {
	struct scratch *s;
	unsigned number;
	unsigned published;
};

static void *race_run(void *argument)
{
	struct race *race = argument;
	for (int round = 0; round < 300; round++) {
		int fd;
		if (store_partial_make_via(NULL, race->s->root, "p", &fd) < 0)
			continue;
		char text[3] = { (char)('a' + race->number), 0, 0 };
		if (write(fd, text, 1) == 1 && write(fd, text, 1) == 1 &&
		    store_rename(race->s->root, "p", "final", false) == 0)
			race->published++;
		close(fd);
	}
	return NULL;
}

static void writers_do_not_rename_each_others_partials(void **state)
{
	enum { RACERS = 4 };
	struct scratch *s = *state;
	struct race races[RACERS];
	pthread_t threads[RACERS];
	char text[256];
	for (unsigned i = 0; i < RACERS; i++) {
		races[i] = (struct race){ .s = s, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, race_run, &races[i]), 0);
	}
	for (int round = 0; round < 3000; round++)
		if (get_file(s->fd, "final", text)) {
			assert_int_equal(strlen(text), 2);
			assert_int_equal(text[0], text[1]);
		}
	unsigned published = 0;
	for (unsigned i = 0; i < RACERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		published += races[i].published;
	}
	assert_true(published > 0);
	assert_non_null(get_file(s->fd, "final", text));
}

/* ---- ranges ---- */

static uint8_t content(uint64_t at)
{
	return (uint8_t)(at * 7 / 3 % 251 + 1);
}

/* A file of SIZE bytes; with holes: every third block is one, and the last. */
static int make_file(struct scratch *s, const char *name, bool holes)
{
	int fd = openat(s->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	uint8_t block[BLOCK];
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	for (uint64_t at = 0; at < SIZE; at += BLOCK) {
		if (holes && (at / BLOCK % 3 == 1 || at + BLOCK == SIZE))
			continue;
		for (size_t i = 0; i < BLOCK; i++)
			block[i] = content(at + i);
		assert_int_equal(pwrite(fd, block, BLOCK, (off_t)at), BLOCK);
	}
	return fd;
}

static uint8_t byte_at(int fd, uint64_t at)
{
	uint8_t byte = 0;
	assert_true(pread(fd, &byte, 1, (off_t)at) >= 0);
	return byte;
}

/* Copies some ranges, whole blocks or not, over what stands there or not. */
static void copy_ranges(struct scratch *s, bool holes, bool over)
{
	static const uint64_t ranges[][2] = {
		{ 0, 3 * BLOCK }, { 10 * BLOCK + 5, 7000 }, { 20 * BLOCK, 30 * BLOCK + 1 }, { SIZE - 100, 100 }
	};
	int from = make_file(s, "from", holes);
	int to = over ? make_file(s, "to", false) : openat(s->fd, "to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t expected[SIZE], found[SIZE];
	memset(expected, 0, SIZE);
	if (over)
		assert_int_equal(pread(to, expected, SIZE, 0), SIZE);
	for (size_t i = 0; i < COUNT(ranges); i++) {
		assert_int_equal(store_copy(from, to, ranges[i][0], ranges[i][1]), 0);
		assert_int_equal(pread(from, expected + ranges[i][0], ranges[i][1], (off_t)ranges[i][0]), ranges[i][1]);
	}
	assert_int_equal(ftruncate(to, SIZE), 0); /* holes at the end leave it short */
	assert_int_equal(pread(to, found, SIZE, 0), SIZE);
	assert_memory_equal(expected, found, SIZE);
	close(from);
	close(to);
}

static void ranges_are_copied_however_the_kernel_can(void **state)
{
	static const int refusals[] = { 0, EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, EPERM, -1 };
	for (size_t i = 0; i < COUNT(refusals); i++) {
		fake.copy = refusals[i];
		for (int how = 0; how < 4; how++)
			copy_ranges(*state, how & 1, how & 2);
		assert_true(fake.copies > 0);
	}
}

static void a_failing_copy_fails(void **state)
{
	struct scratch *s = *state;
	int from = make_file(s, "from", false), to = make_file(s, "to", false);
	assert_int_equal(store_copy(from, to, SIZE - 10, 11), -ENODATA);
	assert_int_equal(store_copy(from, to, UINT64_MAX - 10, 100), -EFBIG);
	assert_int_equal(store_copy(from, to, 1, UINT64_MAX / 2), -EFBIG);
	fake.copy = ENOSPC;
	assert_int_equal(store_copy(from, to, 0, 100), -ENOSPC);
	close(to);
	to = openat(s->fd, "to", O_RDONLY | O_CLOEXEC);
	fake.copy = 0;
	assert_int_equal(store_copy(from, to, 0, 100), -EBADF);
	close(from);
	close(to);
}

/* Holes stay holes, so that a sparse file does not grow. */
static void copied_holes_take_no_room(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	int from = openat(s->fd, "from", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int to = openat(s->fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(from, 1 << 30), 0);
	assert_int_equal(pwrite(from, "x", 1, 1 << 29), 1);
	assert_int_equal(store_copy(from, to, 0, 1 << 30), 0);
	assert_int_equal(fstat(to, &st), 0);
	assert_true(st.st_blocks * 512 <= 1 << 20);
	assert_int_equal(byte_at(to, 1 << 29), 'x');
	close(from);
	close(to);
}

/* Where the file system shares blocks, a copy is made of these. */
static void copies_share_blocks_where_they_can(void **state)
{
	struct scratch *s = *state;
	int from = make_file(s, "from", false);
	int clone = openat(s->fd, "clone", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool shares = ioctl(clone, FICLONE, from) == 0;
	close(clone);
	if (!shares) {
		close(from);
		print_message("# skipped: this file system shares no blocks\n");
		skip();
	}
	int to = openat(s->fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(store_copy(from, to, 0, SIZE), 0);
	assert_int_equal(fsync(to), 0);
	union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} extents = { .map = { .fm_length = SIZE, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = 1 } };
	assert_int_equal(ioctl(to, FS_IOC_FIEMAP, &extents.map), 0);
	assert_int_equal(extents.map.fm_mapped_extents, 1);
	assert_true(extents.map.fm_extents[0].fe_flags & FIEMAP_EXTENT_SHARED);
	close(from);
	close(to);
}

static void ranges_become_zeroes(void **state)
{
	static const int refusals[] = { 0, EOPNOTSUPP, ENOSYS, EINVAL, EPERM };
	for (size_t i = 0; i < COUNT(refusals); i++) {
		for (int holes = 0; holes < 2; holes++) {
			struct scratch *s = *state;
			struct stat st;
			int fd = make_file(s, "file", holes);
			uint8_t expected[SIZE], found[SIZE];
			fake.punch = refusals[i];
			assert_int_equal(pread(fd, expected, SIZE, 0), SIZE);
			assert_int_equal(store_zero(fd, BLOCK - 7, 5 * BLOCK), 0);
			memset(expected + BLOCK - 7, 0, 5 * BLOCK);
			assert_int_equal(store_zero(fd, SIZE - 10, 1000 * BLOCK), 0);
			memset(expected + SIZE - 10, 0, 10);
			assert_int_equal(store_zero(fd, SIZE + 10, 10), 0);
			assert_int_equal(pread(fd, found, SIZE, 0), SIZE);
			assert_memory_equal(expected, found, SIZE);
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_size, SIZE);
			assert_true(fake.punches > 0);
			close(fd);
		}
	}
}

static void what_is_a_hole_is_not_touched(void **state)
{
	struct scratch *s = *state;
	int fd = openat(s->fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(store_zero(fd, 0, SIZE), 0);
	assert_int_equal(fake.punches, 0);
	fake.punch = ENOSPC;
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(store_zero(fd, 0, SIZE), -ENOSPC);
	close(fd);
}

#define TEST(function)                                                                                                 \
	{                                                                                                              \
#function, function, setup, scratch_close, NULL                                                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_writes_a_partial_at_a_time),
		TEST(what_is_no_file_is_replaced_and_not_opened),
		TEST(a_finished_partial_can_be_opened),
		TEST(a_partial_that_goes_before_it_is_locked_is_not_ours),
		TEST(writers_do_not_rename_each_others_partials),
		TEST(ranges_are_copied_however_the_kernel_can),
		TEST(a_failing_copy_fails),
		TEST(copied_holes_take_no_room),
		TEST(copies_share_blocks_where_they_can),
		TEST(ranges_become_zeroes),
		TEST(what_is_a_hole_is_not_touched),
	};
	return cmocka_run_group_tests_name("partial", tests, NULL, NULL);
}
