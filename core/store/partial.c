/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partial files. Their names are made of the transfer, so that its next run finds them, and two runs of one transfer at a
 * time would write into each other's. Whoever has one open has it locked, and nobody renames or removes one that he has
 * not locked.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { PARTIAL_TRIES = 16 }; /* rounds lost to others who do the same, before it is called busy */

/* 0: ours, also where the file system has no locks; -EBUSY. */
static int partial_lock(int fd)
{
	int result;
	do
		result = flock(fd, LOCK_EX | LOCK_NB);
	while (result < 0 && errno == EINTR);
	return result < 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
}

/* Opens and locks what stands there. -EAGAIN: meanwhile something else does. */
static int partial_enter(struct store_parent *near, struct store_root *root, const char *path, int *fd, struct stat *st)
{
	struct stat named;
	int opened;
	int code = store_reopen_via(near, root, path, &opened, st);
	if (code < 0)
		return code;
	code = partial_lock(opened);
	if (code == 0) {
		/* Between the two it may have got its final name. */
		code = store_stat_via(near, root, path, &named);
		if (code == -ENOENT || (code == 0 && (named.st_dev != st->st_dev || named.st_ino != st->st_ino)))
			code = -EAGAIN;
	}
	if (code == 0 && fstat(opened, st) < 0)
		code = -errno;
	if (code < 0)
		close(opened);
	else
		*fd = opened;
	return code;
}

int store_partial_open_via(struct store_parent *near, struct store_root *root, const char *path, int *fd,
                           struct stat *st)
{
	for (int tries = 0; tries < PARTIAL_TRIES; tries++) {
		struct stat now;
		int code = partial_enter(near, root, path, fd, &now);
		if (code == 0)
			*st = now;
		if (code != -EAGAIN)
			return code;
	}
	return -EBUSY;
}

int store_partial_remove_via(struct store_parent *near, struct store_root *root, const char *path)
{
	struct stat st;
	int fd = -1;
	int code = partial_enter(near, root, path, &fd, &st);
	if (code == -EBUSY)
		return code;
	if (code == -EAGAIN || code == -ENOENT)
		return 0;
	code = store_remove_via(near, root, path);
	if (fd >= 0)
		close(fd);
	return code;
}

int store_partial_make_via(struct store_parent *near, struct store_root *root, const char *path, int *fd)
{
	for (int tries = 0; tries < PARTIAL_TRIES; tries++) {
		struct stat st;
		int made;
		int code = store_create_via(near, root, path, &made);
		if (code == -EEXIST) {
			code = store_partial_remove_via(near, root, path);
			if (code < 0)
				return code;
			continue;
		}
		if (code < 0)
			return code;
		/* Before it was locked somebody may have taken it for abandoned. */
		if (partial_lock(made) == 0) {
			if (fstat(made, &st) < 0) {
				code = -errno;
				close(made);
				return code;
			}
			if (st.st_nlink > 0) {
				*fd = made;
				return 0;
			}
		}
		close(made);
	}
	return -EBUSY;
}
