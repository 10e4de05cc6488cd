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
#include <stdio.h>
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

enum { PATH_ROOM = 8192 }; /* for what the kernel says of where a descriptor is */

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

/* Where the descriptor is; -errno, -ENAMETOOLONG. */
static int descriptor_path(int fd, char out[PATH_ROOM])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, out, PATH_ROOM - 1);
	if (len < 0)
		return -errno;
	if (len == PATH_ROOM - 1)
		return -ENAMETOOLONG;
	out[len] = '\0';
	return 0;
}

/* Whether a link led to a name of our own: 0 or -ENOENT. Where nobody can say where links led, none is followed. */
static int led_to_hidden(int base, int fd)
{
	char top[PATH_ROOM], led[PATH_ROOM];
	if (descriptor_path(base, top) < 0 || descriptor_path(fd, led) < 0)
		return -ELOOP;
	size_t len = strlen(top);
	/* The root may lie below a hidden name itself. */
	const char *rest = strncmp(led, top, len) == 0 ? led + len : led;
	return store_path_hidden(rest) ? -ENOENT : 0;
}

/* Follows links, where nothing is to be created. */
static int open_linked(int base, const char *path, int flags, int *fd)
{
	int got;
	int code = open_resolved(base, true, path, flags, 0, &got);
	if (code < 0)
		return code;
	code = led_to_hidden(base, got);
	if (code < 0)
		close(got);
	else
		*fd = got;
	return code;
}

/* Creates in a folder to which links lead; a link as the last name is not followed. */
static int create_linked(int base, const char *path, int flags, mode_t mode, int *fd)
{
	const char *slash = strrchr(path, '/');
	char parent[STORE_PATH_MAX + 1];
	int dir;
	if (!slash)
		return -ELOOP;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	int code = open_linked(base, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, &dir);
	if (code < 0)
		return code;
	code = open_resolved(dir, false, slash + 1, flags, mode, fd);
	close(dir);
	return code;
}

int beneath_open(int base, bool walks, bool links, const char *path, int flags, mode_t mode, int *fd)
{
	int code = store_path_check(path, strlen(path), NULL);
	if (code < 0)
		return code;
	flags |= O_CLOEXEC;
	if (walks)
		return open_walking(base, path, flags, mode, fd);
	/* Nearly no path has a link in it, and one without leads to no other name than it says. */
	code = open_resolved(base, false, path, flags, mode, fd);
	if (code != -ELOOP || !links)
		return code;
	if (store_path_hidden(path)) /* one of our own */
		return open_resolved(base, true, path, flags, mode, fd);
	return flags & O_CREAT ? create_linked(base, path, flags, mode, fd) : open_linked(base, path, flags, fd);
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
