/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Syncs that do nothing and say that all is well, for LD_PRELOAD: a harness of power losses has to notice.
 *
 *   XFER_TEST_NOSYNC   which: "files", "folders", or "all"
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The next function of that name, of the type of ours. */
#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	return found;
}

static bool skipped(int fd)
{
	const char *which = getenv("XFER_TEST_NOSYNC");
	struct stat st;

	if (which == NULL || fstat(fd, &st) < 0)
		return false;
	return strcmp(which, "all") == 0 || strcmp(which, S_ISDIR(st.st_mode) ? "folders" : "files") == 0;
}

int fsync(int fd)
{
	return skipped(fd) ? 0 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
	return skipped(fd) ? 0 : NEXT(fdatasync)(fd);
}

int syncfs(int fd)
{
	return skipped(fd) ? 0 : NEXT(syncfs)(fd);
}

/* It syncs nothing for good, but where it helps by chance a missing sync would be hidden. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
	return skipped(fd) ? 0 : NEXT(sync_file_range)(fd, offset, len, flags);
}
