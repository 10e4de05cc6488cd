/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The root and the one primitive that opens beneath it.
 *
 * openat2(2) resolves in the kernel, atomically against renames. A kernel without it (or a sandbox that forbids it)
 * gets a walk that follows no link at all: each component is opened relative to the one before, so that nothing that
 * happens meanwhile can lead out.
 */
#include "store/beneath.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct open_how and its flags, written here so that old kernel headers do. */
struct beneath_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};
enum { BENEATH_NO_MAGICLINKS = 0x02, BENEATH_NO_SYMLINKS = 0x04, BENEATH_BENEATH = 0x08 };
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* The kernel says EAGAIN when a rename anywhere raced with a ".." of a link's target. */
enum { BENEATH_TRIES = 64 };

static int open_resolved(int base, bool links, const char *path, int flags, mode_t mode, int *fd)
{
	struct beneath_how how = {
		.flags = (uint64_t)(unsigned)flags,
		.mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? mode & 07777 : 0,
		.resolve = BENEATH_BENEATH | BENEATH_NO_MAGICLINKS | (links ? 0 : BENEATH_NO_SYMLINKS),
	};
	for (int tries = 0;;) {
		long got = syscall(SYS_openat2, base, *path ? path : ".", &how, sizeof(how));
		if (got >= 0) {
			*fd = (int)got;
			return 0;
		}
		if (errno != EINTR && (errno != EAGAIN || ++tries >= BENEATH_TRIES))
			return -errno;
	}
}

/* With O_DIRECTORY a symbolic link is ENOTDIR; the caller wants to hear what it is. */
static int open_component(int dir, const char *name, int flags, mode_t mode)
{
	int fd;
	do
		fd = openat(dir, name, flags | O_NOFOLLOW, mode);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	int code = -errno;
	struct stat st;
	if (code == -ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return -ELOOP;
	return code;
}

static int open_walking(int base, const char *path, int flags, mode_t mode, int *fd)
{
	char name[STORE_NAME_MAX + 1];
	int dir = base;
	for (;;) {
		const char *slash = strchr(path, '/');
		size_t len = slash ? (size_t)(slash - path) : strlen(path);
		memcpy(name, path, len);
		name[len] = '\0';
		int next = slash ? open_component(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
		                 : open_component(dir, *name ? name : ".", flags, mode);
		if (dir != base)
			close(dir);
		if (next < 0)
			return next;
		if (!slash) {
			*fd = next;
			return 0;
		}
		dir = next;
		path = slash + 1;
	}
}

int beneath_open(int base, bool walks, bool links, const char *path, int flags, mode_t mode, int *fd)
{
	int code = store_path_check(path, strlen(path), NULL);
	if (code < 0)
		return code;
	flags |= O_CLOEXEC;
	return walks ? open_walking(base, path, flags, mode, fd) : open_resolved(base, links, path, flags, mode, fd);
}

int store_open(struct store_root *root, const char *path, int flags, mode_t mode, int *fd)
{
	return beneath_open(root->fd, root->walks, true, path, flags, mode, fd);
}

/* Whether openat2(2) is missing: an old kernel says ENOSYS, a sandbox that does not know it EPERM. */
static bool lacks_openat2(int dir)
{
	int fd;
	int code = open_resolved(dir, true, "", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, &fd);
	if (code == 0)
		close(fd);
	return code == -ENOSYS || code == -EPERM;
}

int store_root_open(struct store_root **out, const char *path, struct error *err)
{
	char shown[512];
	size_t len = strlen(path);
	int fd;
	do
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return error_system(err, -errno, FAULT_LOCAL, "cannot open the folder \"%s\"",
		                    text_printable(shown, sizeof(shown), path, len));
	struct store_root *root = malloc(sizeof(*root) + len + 1);
	if (!root) {
		close(fd);
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot open the folder \"%s\"",
		                    text_printable(shown, sizeof(shown), path, len));
	}
	atomic_init(&root->refs, 1);
	root->fd = fd;
	root->walks = lacks_openat2(fd);
	memcpy(root->path, path, len + 1);
	*out = root;
	return 0;
}

struct store_root *store_root_ref(struct store_root *root)
{
	atomic_fetch_add_explicit(&root->refs, 1, memory_order_relaxed);
	return root;
}

void store_root_unref(struct store_root *root)
{
	if (!root || atomic_fetch_sub_explicit(&root->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(root->fd);
	free(root);
}

int store_root_fd(const struct store_root *root)
{
	return root->fd;
}

const char *store_root_path(const struct store_root *root)
{
	return root->path;
}
