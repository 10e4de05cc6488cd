/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink's side: names made, changed and moved beneath a root. */
#include "store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int store_make_dir_known_via(struct store_parent *near, struct store_root *root, const char *path, bool *existed)
{
	struct spot spot;
	int code;
	*existed = *path == '\0';
	if (*existed)
		return 0;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		code = mkdirat(spot.dir, spot.name, 0700) < 0 ? -errno : 0;
		if (code == -EEXIST) {
			struct stat st;
			*existed = true;
			code = fstatat(spot.dir, spot.name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
			if (code == 0 && !S_ISDIR(st.st_mode))
				code = -ENOTDIR;
		}
	} while (spot_again(&spot, code));
	return code;
}

int store_make_dir_via(struct store_parent *near, struct store_root *root, const char *path)
{
	bool existed;
	return store_make_dir_known_via(near, root, path, &existed);
}

int store_create_via(struct store_parent *near, struct store_root *root, const char *path, int *fd)
{
	enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };
	struct spot spot;
	int code;
	if (!near) /* O_EXCL follows no link in the last place: one call does it */
		return *path ? store_open(root, path, FLAGS, 0600, fd) : -EISDIR;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		int made;
		do
			made = openat(spot.dir, spot.name, FLAGS, 0600);
		while (made < 0 && errno == EINTR);
		code = made < 0 ? -errno : 0;
		if (made >= 0)
			*fd = made;
	} while (spot_again(&spot, code));
	return code;
}

static int open_existing(int dir, const char *name, int flags, int *fd)
{
	do
		*fd = openat(dir, name, flags);
	while (*fd < 0 && errno == EINTR);
	return *fd < 0 ? -errno : 0;
}

int store_reopen_via(struct store_parent *near, struct store_root *root, const char *path, int *fd, struct stat *st)
{
	/* O_NONBLOCK: a pipe is opened at once, and then found to be one. */
	enum { FLAGS = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
	struct spot spot;
	struct stat now;
	int opened = -1;
	int code;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		code = open_existing(spot.dir, spot.name, FLAGS, &opened);
		/* A finished one of a tree that is not: it has its mode already. */
		if (code == -EACCES && fchmodat(spot.dir, spot.name, 0600, AT_SYMLINK_NOFOLLOW) == 0)
			code = open_existing(spot.dir, spot.name, FLAGS, &opened);
	} while (spot_again(&spot, code));
	if (code == -EISDIR || code == -ELOOP || code == -ENXIO || code == -ENODEV)
		return -ENOTSUP;
	if (code < 0)
		return code;
	if (fstat(opened, &now) < 0)
		code = -errno;
	else if (!S_ISREG(now.st_mode))
		code = -ENOTSUP;
	if (code < 0) {
		close(opened);
		return code;
	}
	*fd = opened;
	*st = now;
	return 0;
}

int store_symlink_via(struct store_parent *near, struct store_root *root, const char *path, const char *target)
{
	struct spot spot;
	int code;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		code = symlinkat(target, spot.dir, spot.name) < 0 ? -errno : 0;
	} while (spot_again(&spot, code));
	return code;
}

int store_link_is_via(struct store_parent *near, struct store_root *root, const char *path, const char *target)
{
	char there[STORE_PATH_MAX + 1];
	struct spot spot;
	bool same;
	int code;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		ssize_t len = readlinkat(spot.dir, spot.name, there, sizeof(there));
		code = len < 0 ? -errno : 0;
		same = len >= 0 && (size_t)len == strlen(target) && memcmp(there, target, (size_t)len) == 0;
	} while (spot_again(&spot, code));
	return code == 0 && !same ? -ESTALE : code;
}

int store_stat_via(struct store_parent *near, struct store_root *root, const char *path, struct stat *st)
{
	struct spot spot;
	struct stat now;
	int code;
	if (*path == '\0') {
		if (fstat(root->fd, &now) < 0)
			return -errno;
		*st = now;
		return 0;
	}
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		code = fstatat(spot.dir, spot.name, &now, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	} while (spot_again(&spot, code));
	if (code == 0)
		*st = now;
	return code;
}

/* ---- renaming ---- */

/* A directory takes the place of an empty one, so one of ours claims the name first; nobody else's is replaced. */
static int rename_dir_beside(int from_dir, const char *from, int to_dir, const char *to)
{
	if (mkdirat(to_dir, to, 0700) < 0)
		return -errno;
	if (renameat(from_dir, from, to_dir, to) == 0)
		return 0;
	int code = -errno;
	unlinkat(to_dir, to, AT_REMOVEDIR);
	return code == -ENOTEMPTY ? -EEXIST : code;
}

int rename_beside(int from_dir, const char *from, int to_dir, const char *to)
{
	struct stat st;
	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return rename_dir_beside(from_dir, from, to_dir, to);
	if (linkat(from_dir, from, to_dir, to, 0) == 0) {
		if (unlinkat(from_dir, from, 0) == 0)
			return 0;
		int code = -errno;
		unlinkat(to_dir, to, 0);
		return code;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
		return -errno;
	/* Neither this flag nor hard links: what comes into being between the two calls would be replaced. */
	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT || renameat(from_dir, from, to_dir, to) < 0)
		return -errno;
	return 0;
}

static int rename_spots(const struct spot *from, const struct spot *to, bool no_replace)
{
	if (!no_replace)
		return renameat(from->dir, from->name, to->dir, to->name) < 0 ? -errno : 0;
	if (renameat2(from->dir, from->name, to->dir, to->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return rename_beside(from->dir, from->name, to->dir, to->name);
}

static size_t parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

int store_rename_via(struct store_parent *near, struct store_root *root, const char *from, const char *to,
                     bool no_replace)
{
	struct spot there, here;
	int code;
	bool again;
	/* Both in one folder is what a finished file does: then it is looked up once. */
	bool same = parent_len(from) == parent_len(to) && memcmp(from, to, parent_len(from)) == 0;
	int name_code = store_path_check(from, strlen(from), NULL);
	if (name_code < 0 || *from == '\0')
		return -EINVAL;
	do {
		code = spot_find(&there, near, root, to);
		if (code < 0)
			return code;
		if (same) {
			here = there;
			here.owned = false;
			here.name = from + (there.name - to);
		} else {
			code = spot_find(&here, NULL, root, from);
		}
		if (code == 0) {
			code = rename_spots(&here, &there, no_replace);
			if (!same && here.owned)
				close(here.dir);
		}
		again = spot_again(&there, code);
	} while (again);
	parent_forget(near, from);
	parent_forget(near, to);
	return code;
}

int store_exchange_via(struct store_parent *near, struct store_root *root, const char *a, const char *b)
{
	struct spot spot;
	int code;
	bool again;
	if (parent_len(a) != parent_len(b) || memcmp(a, b, parent_len(a)) != 0 ||
	    store_path_check(a, strlen(a), NULL) < 0 || *a == '\0')
		return -EINVAL;
	do {
		code = spot_find(&spot, near, root, b);
		if (code < 0)
			return code;
		const char *other = a + (spot.name - b);
		code = renameat2(spot.dir, other, spot.dir, spot.name, RENAME_EXCHANGE) < 0 ? -errno : 0;
		if (code == -EINVAL || code == -ENOSYS)
			code = -EEXIST;
		again = spot_again(&spot, code);
	} while (again);
	parent_forget(near, a);
	parent_forget(near, b);
	return code;
}

/* ---- metadata ---- */

enum { PROC_NAME_MAX = 32 };

/* The only name under which what is open as O_PATH can be changed. */
static const char *proc_name(char out[PROC_NAME_MAX], int fd)
{
	snprintf(out, PROC_NAME_MAX, "/proc/self/fd/%d", fd);
	return out;
}

int beneath_chmod_dir(int dir, mode_t mode)
{
	char name[PROC_NAME_MAX];
	return chmod(proc_name(name, dir), mode) < 0 ? -errno : 0;
}

/* For a directory that we own and may not read. */
static int set_meta_unread(int dir, const struct store_meta *meta)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, meta->mtime };
	char name[PROC_NAME_MAX];
	int code = beneath_chmod_dir(dir, meta->mode & 0777);
	if (code == 0 && utimensat(AT_FDCWD, proc_name(name, dir), times, 0) < 0)
		code = -errno;
	return code;
}

static int set_meta_dir(int parent, const char *name, const struct store_meta *meta)
{
	enum { FLAGS = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	int fd = openat(parent, name, O_RDONLY | FLAGS);
	bool unread = fd < 0 && errno == EACCES;
	if (unread)
		fd = openat(parent, name, O_PATH | FLAGS);
	if (fd < 0)
		return -errno;
	int code = unread ? set_meta_unread(fd, meta) : store_set_meta_fd(fd, meta);
	close(fd);
	return code;
}

int store_set_meta_via(struct store_parent *near, struct store_root *root, const char *path, bool is_link,
                       const struct store_meta *meta)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, meta->mtime };
	struct spot spot;
	int code;
	if (*path == '\0')
		return is_link ? -EINVAL : set_meta_dir(root->fd, ".", meta);
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		if (!is_link)
			code = set_meta_dir(spot.dir, spot.name, meta);
		else if (utimensat(spot.dir, spot.name, times, AT_SYMLINK_NOFOLLOW) < 0)
			code = -errno;
	} while (spot_again(&spot, code));
	return code;
}

/* ---- durability ---- */

int store_sync_dir(struct store_root *root, const char *path)
{
	int fd;
	int code = store_open(root, path, O_RDONLY | O_DIRECTORY, 0, &fd);

	/* Names can be made in a folder that may not be read, and only an open folder can be synced by itself. */
	if (code == -EACCES)
		return store_sync_tree(root);
	if (code < 0)
		return code;
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS) /* EINVAL: this file system syncs no directories */
		code = -errno;
	close(fd);
	return code;
}

int store_sync_parent(struct store_root *root, const char *path)
{
	char parent[STORE_PATH_MAX + 1];
	size_t len = parent_len(path);
	int code = *path ? store_path_check(path, strlen(path), NULL) : -EINVAL;

	if (code < 0)
		return code;
	memcpy(parent, path, len);
	parent[len] = '\0';
	return store_sync_dir(root, parent);
}

int store_sync_tree(struct store_root *root)
{
	return syncfs(root->fd) < 0 ? -errno : 0;
}
