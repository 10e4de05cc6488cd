/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular files opened and read: what is no regular file, where its holes are, whether it is still the same. */
#include "scratch.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { MIB = 1024 * 1024 };

static int open_both(struct scratch *s, const char *path, struct stat *st)
{
	struct store_parent near;
	int fd = -1, second = -1;
	int code = store_open_file(s->root, path, &fd, st);
	store_parent_init(&near);
	assert_int_equal(store_open_file_via(&near, s->root, path, &second, st), code);
	store_parent_drop(&near);
	assert_int_equal(fd >= 0, code == 0);
	assert_int_equal(second >= 0, code == 0);
	if (code == 0) {
		close(fd);
		close(second);
	}
	return code;
}

static void only_regular_files_open(void **state)
{
	struct scratch *s = *state;
	struct stat st = { 0 };
	unsigned before = open_descriptors();
	put_file(s->fd, "file", "text");
	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	assert_int_equal(mkfifoat(s->fd, "dir/pipe", 0644), 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(fchdir(s->fd), 0);
	strcpy(name.sun_path, "dir/socket");
	assert_int_equal(bind(sock, (void *)&name, sizeof(name)), 0);
	assert_int_equal(chdir("/"), 0);
	close(sock);

	assert_int_equal(open_both(s, "dir/pipe", &st), -ENOTSUP);
	assert_int_equal(open_both(s, "dir/socket", &st), -ENOTSUP);
	assert_int_equal(open_both(s, "dir", &st), -EISDIR);
	assert_int_equal(open_both(s, "", &st), -EISDIR);
	assert_int_equal(open_both(s, "none", &st), -ENOENT);
	assert_int_equal(open_both(s, "dir/none", &st), -ENOENT);
	assert_int_equal(open_both(s, "file/none", &st), -ENOTDIR);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(open_both(s, "file", &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(open_descriptors(), before);
}

static void reads_end_where_the_file_does(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	char bytes[16];
	int fd;
	put_file(s->fd, "file", "0123456789");
	assert_int_equal(store_open_file(s->root, "file", &fd, &st), 0);
	assert_int_equal(store_read(fd, bytes, 4, 3), 4);
	assert_memory_equal(bytes, "3456", 4);
	assert_int_equal(store_read(fd, bytes, 16, 8), 2);
	assert_memory_equal(bytes, "89", 2);
	assert_int_equal(store_read(fd, bytes, 16, 10), 0);
	assert_int_equal(store_read(fd, bytes, 16, 99), 0);
	assert_int_equal(store_read(fd, bytes, 0, 0), 0);
	assert_int_equal(store_read(fd, bytes, 16, UINT64_MAX - 3), -EINVAL);
	assert_int_equal(store_read(s->fd, bytes, 16, 0), -EISDIR);
	close(fd);
}

static void extents_are_found(void **state)
{
	struct scratch *s = *state;
	const uint64_t size = 8 * MIB;
	bool data = true;
	uint64_t end = 0;
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(store_extent(fd, 0, size, &data, &end), 0);
	if (data) {
		print_message("# skipped: this file system knows no holes\n");
		close(fd);
		skip();
	}
	assert_int_equal(end, size);
	assert_int_equal(pwrite(fd, "x", 1, 4 * MIB), 1);
	assert_int_equal(store_extent(fd, 0, size, &data, &end), 0);
	assert_false(data);
	assert_int_equal(end, 4 * MIB);
	assert_int_equal(store_extent(fd, 4 * MIB, size, &data, &end), 0);
	assert_true(data);
	assert_true(end > 4 * MIB && end <= 5 * MIB);
	assert_int_equal(store_extent(fd, end, size, &data, &end), 0);
	assert_false(data);
	assert_int_equal(end, size);
	/* Never beyond what the caller calls the size. */
	assert_int_equal(store_extent(fd, 0, 3 * MIB, &data, &end), 0);
	assert_false(data);
	assert_int_equal(end, 3 * MIB);
	assert_int_equal(store_extent(fd, 4 * MIB, 4 * MIB + 7, &data, &end), 0);
	assert_true(data);
	assert_int_equal(end, 4 * MIB + 7);
	assert_int_equal(store_extent(fd, size, size, &data, &end), -EINVAL);
	close(fd);
}

/* Pipes and the like know no seeking at all: an error; a file that shrank below the offset: a hole. */
static void extents_of_what_shrank(void **state)
{
	struct scratch *s = *state;
	bool data = true;
	uint64_t end = 0;
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(store_extent(fd, 5, 10, &data, &end), 0);
	assert_false(data);
	assert_int_equal(end, 10);
	close(fd);
}

static struct store_identity identity(struct scratch *s)
{
	struct store_identity out;
	struct stat st;
	assert_int_equal(store_stat(s->root, "file", &st), 0);
	store_identity_from(&out, &st);
	return out;
}

static void a_change_is_seen(void **state)
{
	struct scratch *s = *state;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000, .tv_nsec = 5 } };
	put_file(s->fd, "file", "text");
	assert_int_equal(utimensat(s->fd, "file", times, 0), 0);
	struct store_identity first = identity(s), now = first;
	assert_true(store_identity_equal(&first, &now));
	now.mtime.tv_nsec++;
	assert_false(store_identity_equal(&first, &now));
	now = first;
	now.ctime.tv_nsec++;
	assert_false(store_identity_equal(&first, &now));
	now = first;
	now.size++;
	assert_false(store_identity_equal(&first, &now));
	now = first;
	now.ino++;
	assert_false(store_identity_equal(&first, &now));
	now = first;
	now.dev++;
	assert_false(store_identity_equal(&first, &now));
	/* Another file of the same size and time under the name. */
	put_file(s->fd, "other", "TEXT");
	assert_int_equal(utimensat(s->fd, "other", times, 0), 0);
	assert_int_equal(renameat(s->fd, "other", s->fd, "file"), 0);
	now = identity(s);
	assert_int_equal(now.size, first.size);
	assert_false(store_identity_equal(&first, &now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(only_regular_files_open), SCRATCH_ONE(reads_end_where_the_file_does),
		SCRATCH_ONE(extents_are_found),        SCRATCH_ONE(extents_of_what_shrank),
		SCRATCH_ONE(a_change_is_seen),
	};
	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
