/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether root may run what is in a file: nobody else could have put it there. */
#include "registry/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* `what` is "the file" or "its folder" and `at` the one of the two; path is the plug-in's. */
static int trust_mode(const char *path, const char *what, const char *at, const struct stat *st, struct error *err)
{
	if (st->st_uid != 0)
		return error_set(err, -EACCES, FAULT_USAGE,
		                 "%s: not loaded as root: %s (%s) belongs to user %u; chown it to root", path, what, at,
		                 (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_set(err, -EACCES, FAULT_USAGE,
		                 "%s: not loaded as root: %s (%s) is writable by others (mode %04o); chmod go-w it",
		                 path, what, at, (unsigned)(st->st_mode & 07777));
	return 0;
}

int trust_file(const char *path, struct error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return error_system(err, -errno, FAULT_USAGE, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: not a regular file", path);
	if (geteuid() != 0)
		return 0;

	int rc = trust_mode(path, "the file", path, &st, err);
	if (rc < 0)
		return rc;

	char *folder = strdup(path);
	if (folder == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash == folder)
		slash++;
	if (slash != NULL)
		*slash = '\0';
	const char *at = slash != NULL ? folder : ".";
	rc = stat(at, &st) < 0 ? error_system(err, -errno, FAULT_USAGE, "%s: its folder %s", path, at)
	                       : trust_mode(path, "its folder", at, &st, err);
	free(folder);
	return rc;
}
