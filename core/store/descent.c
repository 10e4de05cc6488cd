/* SPDX-License-Identifier: BSD-2-Clause */
/* The way down a tree with a bounded number of descriptors. */
#include "store/descent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void descent_init(struct descent *descent, bool walks, bool rewinds, size_t path_max)
{
	descent->levels = NULL;
	descent->count = 0;
	descent->cap = 0;
	descent->first_open = 1;
	descent->path_max = path_max < STORE_PATH_MAX ? path_max : STORE_PATH_MAX;
	descent->walks = walks;
	descent->rewinds = rewinds;
	descent->spare = NULL;
	descent->path[0] = '\0';
}

static void level_close(struct descent *descent, struct descent_level *level)
{
	if (level->fd >= 0)
		close(level->fd);
	level->fd = -1;
	if (!level->buffer)
		return;
	free(descent->spare);
	descent->spare = level->buffer;
	level->buffer = NULL;
}

void descent_free(struct descent *descent)
{
	while (descent->count > 0)
		descent_pop(descent);
	free(descent->spare);
	free(descent->levels);
	descent->spare = NULL;
	descent->levels = NULL;
}

struct descent_level *descent_top(struct descent *descent)
{
	return &descent->levels[descent->count - 1];
}

const char *descent_name(const struct descent *descent)
{
	return descent->count < 2 ? "" : descent->path + descent->levels[descent->count - 2].path_len + 1;
}

bool descent_fits(const struct descent *descent, const char *name)
{
	size_t len = descent->count > 0 ? descent->levels[descent->count - 1].path_len : 0;
	return len + strlen(name) <= descent->path_max;
}

static int make_room(struct descent *descent)
{
	if (descent->count < descent->cap)
		return 0;
	size_t cap = descent->cap ? descent->cap * 2 : 16;
	struct descent_level *levels = realloc(descent->levels, cap * sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	descent->levels = levels;
	descent->cap = cap;
	return 0;
}

int descent_push(struct descent *descent, int fd, const char *name)
{
	struct stat st;
	if (!descent_fits(descent, name))
		return -ENAMETOOLONG;
	int code = make_room(descent);
	if (code < 0)
		return code;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (descent->count >= descent->first_open + DESCENT_OPEN - 1)
		level_close(descent, &descent->levels[descent->first_open++]);
	size_t len = 0;
	if (descent->count > 0) {
		size_t name_len = strlen(name);
		len = descent_top(descent)->path_len;
		descent->path[len] = '/';
		memmove(descent->path + len + 1, name, name_len + 1);
		len += 1 + name_len;
	}
	descent->levels[descent->count++] = (struct descent_level){ .fd = fd, .path_len = len, .st = st };
	return 0;
}

void descent_pop(struct descent *descent)
{
	level_close(descent, descent_top(descent));
	descent->count--;
	if (descent->first_open > descent->count)
		descent->first_open = descent->count > 1 ? descent->count : 1;
	if (descent->count > 0)
		descent->path[descent_top(descent)->path_len] = '\0';
}

int descent_resume(struct descent *descent)
{
	struct descent_level *level = descent_top(descent);
	struct stat st;
	int fd;
	if (level->fd >= 0)
		return 0;
	int code = beneath_open(descent->levels[0].fd, descent->walks, false, descent->path + 1,
	                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK, 0, &fd);
	if (code < 0)
		return code == -ENOENT || code == -ENOTDIR || code == -ELOOP ? -ESTALE : code;
	if (fstat(fd, &st) < 0)
		code = -errno;
	else if (st.st_dev != level->st.st_dev || st.st_ino != level->st.st_ino)
		code = -ESTALE;
	else if (descent->rewinds)
		level->at = 0;
	else if (level->at != 0 && lseek(fd, (off_t)level->at, SEEK_SET) < 0)
		code = -errno;
	if (code < 0) {
		close(fd);
		return code;
	}
	level->fd = fd;
	level->filled = 0;
	level->next = 0;
	descent->first_open = descent->count > 1 ? descent->count - 1 : 1;
	return 0;
}

static int fill(struct descent *descent, struct descent_level *level)
{
	if (!level->buffer) {
		level->buffer = descent->spare ? descent->spare : malloc(DESCENT_BUFFER);
		descent->spare = NULL;
		if (!level->buffer)
			return -ENOMEM;
	}
	ssize_t got;
	do
		got = getdents64(level->fd, level->buffer, DESCENT_BUFFER);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ENOENT ? 0 : -errno; /* the directory itself was removed: it is empty */
	level->filled = (size_t)got;
	level->next = 0;
	return got > 0;
}

int descent_next(struct descent *descent, const char **name, unsigned char *type)
{
	int code = descent_resume(descent);
	if (code < 0)
		return code;
	struct descent_level *level = descent_top(descent);
	for (;;) {
		if (level->next >= level->filled) {
			code = fill(descent, level);
			if (code <= 0)
				return code;
		}
		/* The kernel aligns the entries. */
		const struct dirent64 *entry = (const void *)(level->buffer + level->next);
		level->next += entry->d_reclen;
		level->at = entry->d_off;
		const char *found = entry->d_name;
		if (found[0] == '.' && (found[1] == '\0' || (found[1] == '.' && found[2] == '\0')))
			continue;
		*name = found;
		*type = entry->d_type;
		return 1;
	}
}

int descent_rewind(struct descent *descent)
{
	struct descent_level *level = descent_top(descent);
	level->at = 0;
	level->filled = 0;
	level->next = 0;
	return lseek(level->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}
