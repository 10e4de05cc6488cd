/* SPDX-License-Identifier: BSD-2-Clause */
/* What the sink does beneath its root: names made and moved, content written, metadata set. */
#include "scratch.h"

#include <sched.h>
#include <sys/mount.h>

enum { BLOCK = 4096 };

static void directories_are_made(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	assert_int_equal(store_make_dir(s->root, "a"), 0);
	assert_int_equal(store_make_dir(s->root, "a"), 0);
	assert_int_equal(store_make_dir(s->root, ""), 0);
	assert_int_equal(store_make_dir(s->root, "a/b"), 0);
	assert_int_equal(store_stat(s->root, "a/b", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(store_make_dir(s->root, "no/where"), -ENOENT);
	put_file(s->fd, "file", "");
	assert_int_equal(store_make_dir(s->root, "file"), -ENOTDIR);
	assert_int_equal(symlinkat("a", s->fd, "link"), 0);
	assert_int_equal(store_make_dir(s->root, "link"), -ENOTDIR);
}

static void files_are_created_once(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	int fd = -1;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(fd);
	fd = -1;
	assert_int_equal(store_create(s->root, "file", &fd), -EEXIST);
	/* Not even through a link that leads nowhere. */
	assert_int_equal(store_symlink(s->root, "dangling", "nothing"), 0);
	assert_int_equal(store_create(s->root, "dangling", &fd), -EEXIST);
	assert_false(exists(s->fd, "nothing"));
	assert_int_equal(store_create(s->root, "", &fd), -EISDIR);
	assert_int_equal(fd, -1);
}

static void links_are_made_as_they_are(void **state)
{
	struct scratch *s = *state;
	char target[256];
	assert_int_equal(store_symlink(s->root, "link", "../../\n/\xff"), 0);
	ssize_t len = readlinkat(s->fd, "link", target, sizeof(target));
	assert_int_equal(len, 9);
	assert_memory_equal(target, "../../\n/\xff", 9);
	assert_int_equal(store_symlink(s->root, "link", "x"), -EEXIST);
	assert_int_equal(store_symlink(s->root, "", "x"), -EINVAL);
}

static void writes_land_at_their_offset(void **state)
{
	struct scratch *s = *state;
	char a[] = "aaaa", b[] = "bb", c[] = "c", text[256];
	struct iovec iov[4] = { { a, 4 }, { a, 0 }, { b, 2 }, { c, 1 } };
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(store_writev(fd, iov, 4, 3), 0);
	assert_int_equal(store_writev(fd, iov, 0, 99), 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 10);
	assert_memory_equal(text, "\0\0\0aaaabbc", 10);
	iov[0] = (struct iovec){ a, 1 };
	assert_int_equal(store_writev(fd, iov, 1, UINT64_MAX), -EFBIG);
	close(fd);
	fd = openat(s->fd, "file", O_RDONLY | O_CLOEXEC);
	iov[0] = (struct iovec){ a, 1 };
	assert_int_equal(store_writev(fd, iov, 1, 0), -EBADF);
	close(fd);
}

/* More pieces than a system call takes, and more than a pipe takes at once would be the kernel's business. */
static void writes_of_many_pieces(void **state)
{
	enum { PIECES = 3000 };
	struct scratch *s = *state;
	static char bytes[PIECES];
	static struct iovec iov[PIECES];
	char back[PIECES];
	int fd;
	for (int i = 0; i < PIECES; i++) {
		bytes[i] = (char)('a' + i % 26);
		iov[i] = (struct iovec){ &bytes[i], 1 };
	}
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(store_writev(fd, iov, PIECES, 0), 0);
	assert_int_equal(pread(fd, back, PIECES, 0), PIECES);
	assert_memory_equal(back, bytes, PIECES);
	close(fd);
}

/* Writes with what stands in *bytes, and says which blocks of the file have data and whether the content is right. */
static void check_sparse(struct scratch *s, const char *bytes, size_t len, uint64_t offset, const char *expected)
{
	char *back = calloc(1, len);
	bool data;
	uint64_t end;
	int fd;
	assert_int_equal(store_create(s->root, "sparse", &fd), 0);
	assert_int_equal(store_write_sparse(fd, bytes, len, offset), 0);
	assert_int_equal(ftruncate(fd, (off_t)(offset + len)), 0);
	assert_int_equal(pread(fd, back, len, (off_t)offset), len);
	assert_memory_equal(back, bytes, len);
	for (uint64_t block = 0; expected[block]; block++) {
		assert_int_equal(store_extent(fd, block * BLOCK, offset + len, &data, &end), 0);
		assert_int_equal(data ? 'D' : '.', expected[block]);
	}
	close(fd);
	free(back);
	assert_int_equal(unlinkat(s->fd, "sparse", 0), 0);
}

static void zeroes_are_not_written(void **state)
{
	struct scratch *s = *state;
	static char bytes[8 * BLOCK];
	struct stat st;
	check_sparse(s, bytes, sizeof(bytes), 0, "........");
	bytes[0] = 1;
	bytes[3 * BLOCK - 1] = 1;
	bytes[3 * BLOCK] = 1;
	bytes[7 * BLOCK + 5] = 1;
	if (fstat(s->fd, &st) == 0 && st.st_blksize != BLOCK) {
		print_message("# skipped: blocks of this file system are not of 4 KiB\n");
		skip();
	}
	check_sparse(s, bytes, sizeof(bytes), 0, "D.DD...D");
	/* Blocks are those of the file: one byte earlier, 3 * BLOCK stands at the end of the third. */
	check_sparse(s, bytes, sizeof(bytes), BLOCK, ".D.DD...D");
	check_sparse(s, bytes + 1, sizeof(bytes) - 1, 0, "..D....D");
	check_sparse(s, bytes + 3 * BLOCK, 10, 3 * BLOCK + 4, "...D");
	check_sparse(s, bytes, 2 * BLOCK, 100, "D..");
	check_sparse(s, bytes + 4 * BLOCK, 10, 3 * BLOCK + 4, "....");
	check_sparse(s, bytes, sizeof(bytes) - BLOCK, 0, "D.DD...");
	memset(bytes, 7, sizeof(bytes));
	check_sparse(s, bytes, sizeof(bytes), 0, "DDDDDDDD");
}

static void reserving_changes_no_size(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(store_reserve(fd, 0), 0);
	assert_int_equal(store_reserve(fd, 1 << 20), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(store_reserve(fd, UINT64_MAX), -EFBIG);
	close(fd);
}

/* ---- metadata ---- */

static const struct timespec a_time = { .tv_sec = 1234567890, .tv_nsec = 987654321 };

static void assert_meta(struct scratch *s, const char *path, mode_t mode)
{
	struct stat st;
	assert_int_equal(store_stat(s->root, path, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, a_time.tv_sec);
	assert_int_equal(st.st_mtim.tv_nsec, a_time.tv_nsec);
	if (!S_ISLNK(st.st_mode))
		assert_int_equal(st.st_mode & 07777, mode);
}

static void metadata_comes_back(void **state)
{
	struct scratch *s = *state;
	struct store_meta meta = { .mode = 07751, .mtime = a_time };
	struct stat before, after;
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(store_set_meta_fd(fd, &meta), 0);
	close(fd);
	assert_meta(s, "file", 0751);

	assert_int_equal(store_make_dir(s->root, "dir"), 0);
	assert_int_equal(store_set_meta(s->root, "dir", false, &meta), 0);
	assert_meta(s, "dir", 0751);
	assert_int_equal(store_set_meta(s->root, "", false, &meta), 0);
	assert_meta(s, "", 0751);

	/* The link's own time, not that of what it names. */
	assert_int_equal(store_make_dir(s->root, "other"), 0);
	assert_int_equal(store_stat(s->root, "other", &before), 0);
	assert_int_equal(store_symlink(s->root, "link", "other"), 0);
	assert_int_equal(store_set_meta(s->root, "link", true, &meta), 0);
	assert_meta(s, "link", 0);
	assert_int_equal(store_set_meta(s->root, "link", false, &meta), -ENOTDIR);
	assert_int_equal(store_stat(s->root, "other", &after), 0);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(store_set_meta(s->root, "none", false, &meta), -ENOENT);
	assert_int_equal(store_set_meta(s->root, "none", true, &meta), -ENOENT);
}

/* We own it and may not read it. */
static void closed_directories_get_metadata(void **state)
{
	struct scratch *s = *state;
	struct store_meta closed = { .mode = 0, .mtime = { .tv_sec = 1 } }, open = { .mode = 0755, .mtime = a_time };
	if (!become_somebody(s)) {
		print_message("# skipped: cannot become somebody else\n");
		skip();
	}
	int made = store_make_dir(s->root, "dir");
	int first = store_set_meta(s->root, "dir", false, &closed);
	int second = store_set_meta(s->root, "dir", false, &open);
	become_root_again();
	assert_int_equal(made, 0);
	assert_int_equal(first, 0);
	assert_int_equal(second, 0);
	assert_meta(s, "dir", 0755);
}

/* ---- renaming ---- */

static void names_are_moved(void **state)
{
	struct scratch *s = *state;
	char text[256];
	put_file(s->fd, "from", "new");
	put_file(s->fd, "to", "old");
	assert_int_equal(store_rename(s->root, "from", "to", true), -EEXIST);
	assert_string_equal(get_file(s->fd, "to", text), "old");
	assert_int_equal(store_rename(s->root, "from", "to", false), 0);
	assert_string_equal(get_file(s->fd, "to", text), "new");
	assert_false(exists(s->fd, "from"));
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "b", 0755), 0);
	assert_int_equal(store_rename(s->root, "to", "a/there", true), 0);
	assert_int_equal(store_rename(s->root, "a/there", "b/there", true), 0);
	assert_string_equal(get_file(s->fd, "b/there", text), "new");
	assert_int_equal(store_rename(s->root, "b", "a/b", true), 0);
	assert_string_equal(get_file(s->fd, "a/b/there", text), "new");
	assert_int_equal(store_rename(s->root, "a", "a/b/c", true), -EINVAL);
	assert_int_equal(store_rename(s->root, "none", "x", false), -ENOENT);
	assert_int_equal(store_rename(s->root, "a", "none/x", false), -ENOENT);
	assert_int_equal(store_rename(s->root, "none/x", "y", false), -ENOENT);
	assert_int_equal(store_rename(s->root, "", "y", false), -EINVAL);
	assert_int_equal(store_rename(s->root, "a", "", false), -EINVAL);
	struct store_parent near;
	store_parent_init(&near);
	put_file(s->fd, "a/x", "x");
	assert_int_equal(store_rename_via(&near, s->root, "a/x", "a/y", true), 0);
	assert_int_equal(store_rename_via(&near, s->root, "a/y", "a/b/y", true), 0);
	assert_int_equal(store_rename_via(&near, s->root, "a/b/y", "y", true), 0);
	store_parent_drop(&near);
	assert_string_equal(get_file(s->fd, "y", text), "x");
}

static void names_are_exchanged(void **state)
{
	struct scratch *s = *state;
	struct store_parent near;
	char text[256];
	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "dir/tree", 0755), 0);
	put_file(s->fd, "dir/tree/in", "in a tree");
	put_file(s->fd, "dir/file", "a file");
	store_parent_init(&near);
	assert_int_equal(store_exchange_via(&near, s->root, "dir/tree", "dir/file"), 0);
	assert_string_equal(get_file(s->fd, "dir/tree", text), "a file");
	assert_string_equal(get_file(s->fd, "dir/file/in", text), "in a tree");
	assert_int_equal(store_exchange_via(NULL, s->root, "dir/tree", "dir/file"), 0);
	assert_string_equal(get_file(s->fd, "dir/file", text), "a file");
	assert_int_equal(store_exchange_via(&near, s->root, "dir/none", "dir/file"), -ENOENT);
	assert_int_equal(store_exchange_via(&near, s->root, "dir/tree", "dir/none"), -ENOENT);
	assert_int_equal(store_exchange_via(&near, s->root, "dir/tree", "file"), -EINVAL);
	assert_int_equal(store_exchange_via(&near, s->root, "dir/..", "dir/file"), -EINVAL);
	assert_int_equal(store_exchange_via(&near, s->root, "dir/tree", "dir/.."), -EINVAL);
	assert_int_equal(store_exchange_via(&near, s->root, "", ""), -EINVAL);
	store_parent_drop(&near);
}

static void names_are_moved_without_the_flag(void **state)
{
	struct scratch *s = *state;
	char text[256];
	struct stat st;
	put_file(s->fd, "from", "new");
	put_file(s->fd, "to", "old");
	assert_int_equal(rename_beside(s->fd, "from", s->fd, "to"), -EEXIST);
	assert_string_equal(get_file(s->fd, "to", text), "old");
	assert_int_equal(rename_beside(s->fd, "from", s->fd, "new"), 0);
	assert_string_equal(get_file(s->fd, "new", text), "new");
	assert_false(exists(s->fd, "from"));
	assert_int_equal(fstatat(s->fd, "new", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(rename_beside(s->fd, "none", s->fd, "x"), -ENOENT);

	assert_int_equal(symlinkat("new", s->fd, "link"), 0);
	assert_int_equal(rename_beside(s->fd, "link", s->fd, "moved"), 0);
	assert_int_equal(fstatat(s->fd, "moved", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));

	assert_int_equal(mkdirat(s->fd, "dir", 0755), 0);
	put_file(s->fd, "dir/file", "x");
	assert_int_equal(mkdirat(s->fd, "empty", 0755), 0);
	assert_int_equal(rename_beside(s->fd, "dir", s->fd, "empty"), -EEXIST);
	assert_int_equal(rename_beside(s->fd, "dir", s->fd, "new"), -EEXIST);
	assert_int_equal(rename_beside(s->fd, "dir", s->fd, "folder"), 0);
	assert_string_equal(get_file(s->fd, "folder/file", text), "x");
	/* Into itself: refused, and nothing is left behind. */
	int folder = openat(s->fd, "folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(rename_beside(s->fd, "folder", folder, "self"), -EINVAL);
	assert_false(exists(folder, "self"));
	close(folder);
}

static void syncs_work(void **state)
{
	struct scratch *s = *state;
	int fd;
	assert_int_equal(store_make_dir(s->root, "a"), 0);
	assert_int_equal(store_create(s->root, "a/file", &fd), 0);
	assert_int_equal(store_sync_fd(fd), 0);
	assert_int_equal(store_sync_parent(s->root, "a/file"), 0);
	assert_int_equal(store_sync_parent(s->root, "a"), 0);
	assert_int_equal(store_sync_parent(s->root, "none/file"), -ENOENT);
	assert_int_equal(store_sync_parent(s->root, ""), -EINVAL);
	assert_int_equal(store_sync_tree(s->root), 0);
	close(fd);
	assert_int_equal(store_sync_fd(fd), -EBADF);
}

static void a_full_disk_is_said(void **state)
{
	struct scratch *s = *state;
	struct store_root *root;
	char *bytes = calloc(1, 1 << 20);
	int fd;
	/* A name space of our own: the mount ends with this program. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", s->out, "tmpfs", 0, "size=64k") < 0) {
		print_message("# skipped: mounting a small tmpfs is not permitted\n");
		free(bytes);
		skip();
	}
	memset(bytes, 1, 1 << 20);
	assert_int_equal(store_root_open(&root, s->out, NULL), 0);
	assert_int_equal(store_create(root, "file", &fd), 0);
	struct iovec iov = { bytes, 1 << 20 };
	assert_int_equal(store_writev(fd, &iov, 1, 0), -ENOSPC);
	assert_int_equal(store_write_sparse(fd, bytes, 1 << 20, 0), -ENOSPC);
	assert_int_equal(store_reserve(fd, 1 << 20), -ENOSPC);
	close(fd);
	store_root_unref(root);
	assert_int_equal(umount(s->out), 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(directories_are_made),
		SCRATCH_BOTH(files_are_created_once),
		SCRATCH_ONE(links_are_made_as_they_are),
		SCRATCH_ONE(writes_land_at_their_offset),
		SCRATCH_ONE(writes_of_many_pieces),
		SCRATCH_ONE(zeroes_are_not_written),
		SCRATCH_ONE(reserving_changes_no_size),
		SCRATCH_BOTH(metadata_comes_back),
		SCRATCH_ONE(closed_directories_get_metadata),
		SCRATCH_BOTH(names_are_moved),
		SCRATCH_BOTH(names_are_exchanged),
		SCRATCH_ONE(names_are_moved_without_the_flag),
		SCRATCH_BOTH(syncs_work),
		SCRATCH_ONE(a_full_disk_is_said),
	};
	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
