/* SPDX-License-Identifier: BSD-2-Clause */
/* The source's side: a regular file opened, read, and told from what it was before. */
#include "store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

void store_identity_from(struct store_identity *out, const struct stat *st)
{
	*out = (struct store_identity){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool store_identity_equal(const struct store_identity *a, const struct store_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && same_time(&a->mtime, &b->mtime) &&
	       same_time(&a->ctime, &b->ctime);
}

/* O_NONBLOCK: the open of a pipe must not wait for its other end. */
enum { FILE_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static int open_any(struct store_parent *near, struct store_root *root, const char *path, int *fd)
{
	if (!near)
		return store_open(root, path, FILE_FLAGS, 0, fd);
	struct spot spot;
	int code;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code;
		do
			*fd = openat(spot.dir, spot.name, FILE_FLAGS | O_NOFOLLOW);
		while (*fd < 0 && errno == EINTR);
		code = *fd < 0 ? -errno : 0;
	} while (spot_again(&spot, code));
	/* A symbolic link: whether it stays beneath is only known from the root. */
	return code == -ELOOP ? store_open(root, path, FILE_FLAGS, 0, fd) : code;
}

int store_open_file_via(struct store_parent *near, struct store_root *root, const char *path, int *fd, struct stat *st)
{
	struct stat now;
	int opened;
	if (*path == '\0')
		return -EISDIR;
	int code = open_any(near, root, path, &opened);
	if (code == -ENXIO || code == -ENODEV) /* what the open of a socket or of a device without a driver says */
		return -ENOTSUP;
	if (code < 0)
		return code;
	if (fstat(opened, &now) < 0)
		code = -errno;
	else if (S_ISDIR(now.st_mode))
		code = -EISDIR;
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

ssize_t store_read(int fd, void *bytes, size_t len, uint64_t offset)
{
	size_t done = 0;
	if (len > SSIZE_MAX || offset > (uint64_t)INT64_MAX - len)
		return -EINVAL;
	while (done < len) {
		ssize_t got = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int store_extent(int fd, uint64_t offset, uint64_t size, bool *data, uint64_t *end)
{
	if (offset >= size || size > (uint64_t)INT64_MAX)
		return -EINVAL;
	off_t at = lseek(fd, (off_t)offset, SEEK_DATA);
	if (at < 0 && errno == ENXIO) { /* no data up to the end */
		*data = false;
		*end = size;
		return 0;
	}
	if (at > (off_t)offset) {
		*data = false;
		*end = (uint64_t)at < size ? (uint64_t)at : size;
		return 0;
	}
	if (at < 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return -errno;
	off_t hole = at < 0 ? -1 : lseek(fd, (off_t)offset, SEEK_HOLE);
	*data = true;
	*end = hole > (off_t)offset && (uint64_t)hole < size ? (uint64_t)hole : size;
	return 0;
}
