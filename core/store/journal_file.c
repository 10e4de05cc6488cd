/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of a journal: made, opened, locked and removed while others do the same. */
#include "store/beneath.h"
#include "store/journal_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
	TRIES = 16, /* against those who remove what we are about to open */
	OPEN_FLAGS = O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
};

/*
 * Locks of the open file (fcntl(2)) also hold between two openings in one process, and can be asked for without being
 * taken: who lists journals does not get into the way of a transfer that begins.
 */
static int lock_call(int fd, int command, struct flock *lock)
{
	int result;
	*lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	do
		result = fcntl(fd, command, lock);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* 0: ours from now on; -EBUSY; -ESTALE: the name means another file by now, or none. */
static int lock_file(struct store_root *root, const char *path, int fd)
{
	struct stat here, there;
	struct flock lock;
	int code = lock_call(fd, F_OFD_SETLK, &lock);
	if (code == -EAGAIN || code == -EACCES)
		return -EBUSY;
	/* Else: a file system without locks. Two runs of one command would write the same bytes into one file. */
	if (fstat(fd, &here) < 0)
		return -errno;
	code = store_stat(root, path, &there);
	if (code == 0 && (here.st_dev != there.st_dev || here.st_ino != there.st_ino))
		code = -ESTALE;
	return code == -ENOENT ? -ESTALE : code;
}

int journal_file_there(struct store_root *root, const char *path, int flags, int *fd, struct stat *st)
{
	int opened;
	int code = store_open(root, path, flags | OPEN_FLAGS, 0, &opened);
	if (code == -ELOOP || code == -EISDIR || code == -ENXIO || code == -ENODEV)
		return -EINVAL;
	if (code < 0)
		return code;
	if (fstat(opened, st) < 0)
		code = -errno;
	else if (!S_ISREG(st->st_mode) || st->st_nlink > 1) /* another name would be another's file */
		code = -EINVAL;
	if (code < 0)
		close(opened);
	else
		*fd = opened;
	return code;
}

int journal_file_open(struct store_root *root, const char *path, int *fd, struct stat *st)
{
	int code = -ESTALE;
	for (int tries = 0; code == -ESTALE && tries < TRIES; tries++) {
		int opened;
		code = journal_file_there(root, path, O_RDWR, &opened, st);
		if (code < 0)
			return code;
		code = lock_file(root, path, opened);
		if (code < 0)
			close(opened);
		else
			*fd = opened;
	}
	return code == -ESTALE ? -EBUSY : code;
}

char *journal_file_folder(char out[RECORD_PATH_MAX + 1], const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	memcpy(out, path, len);
	out[len] = '\0';
	slash = strrchr(out, '/');
	if (strcmp(slash ? slash + 1 : out, JOURNAL_FOLDER) != 0)
		out[0] = '\0';
	return out;
}

void journal_file_tidy(struct store_root *root, const char *path)
{
	char folder[RECORD_PATH_MAX + 1];
	struct spot spot;
	if (*journal_file_folder(folder, path) && spot_find(&spot, NULL, root, folder) == 0) {
		(void)unlinkat(spot.dir, spot.name, AT_REMOVEDIR); /* others have theirs in it */
		spot_again(&spot, 0);
	}
}

int journal_file_make(struct store_root *root, const char *path, int *fd)
{
	char folder[RECORD_PATH_MAX + 1];
	int code = -ESTALE;
	journal_file_folder(folder, path);
	for (int tries = 0; code == -ESTALE && tries < TRIES; tries++) {
		int made;
		code = store_open(root, path, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600, &made);
		if (code == -ENOENT && *folder) {
			code = store_make_dir(root, folder);
			if (code == 0)
				code = -ESTALE;
			continue;
		}
		if (code < 0)
			break;
		code = lock_file(root, path, made);
		/* Nothing is left of one that is of no use. Whoever has locked it meanwhile has it. */
		if (code < 0 && code != -EBUSY && code != -ESTALE)
			(void)journal_file_remove(root, path);
		if (code < 0)
			close(made);
		else
			*fd = made;
	}
	if (code < 0)
		journal_file_tidy(root, path);
	return code == -EEXIST || code == -ESTALE ? -EBUSY : code;
}

int journal_file_remove(struct store_root *root, const char *path)
{
	struct spot spot;
	int code = spot_find(&spot, NULL, root, path);
	if (code == 0) {
		code = unlinkat(spot.dir, spot.name, 0) < 0 ? -errno : 0;
		spot_again(&spot, code);
	}
	journal_file_tidy(root, path);
	return code == -ENOENT ? 0 : code;
}

bool journal_file_busy(int fd)
{
	struct flock lock;
	return lock_call(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
