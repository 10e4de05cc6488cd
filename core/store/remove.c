/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes a file or a whole tree away, following nothing. */
#include "store/descent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	/* A directory is read again until a pass finds nothing: some file systems skip names while others vanish. The
	 * bound is for the one who fills the folder while we empty it. */
	REMOVE_PASSES = 16,
	DIR_FLAGS = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

static void note(int *first, int code)
{
	if (*first == 0)
		*first = code;
}

/* Gives us back our rights to a directory that we own. */
static int open_up(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | DIR_FLAGS);
	if (fd < 0)
		return -errno;
	int code = beneath_chmod_dir(fd, 0700);
	close(fd);
	return code;
}

/* Readable is not writable: 0555 is a usual mode of a fetched folder. Root needs none of it. */
static void allow(int fd)
{
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0 && errno == EACCES)
		(void)fchmod(fd, 0700);
}

/* 0: entered; -errno. */
static int enter(struct descent *descent, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | DIR_FLAGS);
	if (fd < 0 && errno == EACCES && open_up(dir, name) == 0)
		fd = openat(dir, name, O_RDONLY | DIR_FLAGS);
	if (fd < 0)
		return -errno;
	allow(fd);
	int code = descent_push(descent, fd, descent->count > 0 ? name : "");
	if (code < 0)
		close(fd);
	return code;
}

/* A tree deeper than our paths go is taken away in parts: the rest moves up to the top, whose next pass finds it. */
static int lift(struct descent *descent, int dir, const char *name)
{
	char hidden[STORE_HIDDEN_NAME_MAX];
	int code = store_hidden_name(hidden);
	if (code < 0)
		return code;
	if (renameat(dir, name, descent->levels[0].fd, hidden) < 0)
		return -errno;
	descent->levels[0].changed = true;
	return 0;
}

/* 0: gone; 1: a directory with something in it, which was entered; -errno. */
static int take(struct descent *descent, int dir, const char *name, unsigned char type)
{
	if (type != DT_DIR) {
		if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR && errno != EPERM)
			return -errno;
		int code = -errno;
		struct stat st;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (!S_ISDIR(st.st_mode))
			return code;
	}
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	if (descent->count > 0 && !descent_fits(descent, name))
		return lift(descent, dir, name);
	int code = enter(descent, dir, name);
	return code == 0 ? 1 : code == -ENOENT ? 0 : code;
}

/* At the end of a directory: whether it is worth another pass. */
static bool another_pass(struct descent *descent)
{
	struct descent_level *level = descent_top(descent);
	if (!level->changed || ++level->passes >= REMOVE_PASSES)
		return false;
	level->changed = false;
	return descent_rewind(descent) == 0;
}

/* Empties and removes what is entered, up to and without the top. */
static int empty(struct descent *descent, int *first)
{
	while (descent->count > 0) {
		const char *name;
		unsigned char type;
		int code = descent_next(descent, &name, &type);
		if (code == 1) {
			code = take(descent, descent_top(descent)->fd, name, type);
			if (code == 0)
				descent_top(descent)->changed = true;
			if (code < 0)
				note(first, code);
			if (code == -ENOMEM)
				return code;
			continue;
		}
		if (code < 0)
			note(first, code);
		else if (another_pass(descent))
			continue;
		if (code == -ENOMEM || descent->count == 1)
			return code;
		name = descent_name(descent);
		descent_pop(descent);
		code = descent_resume(descent);
		if (code == 0 && unlinkat(descent_top(descent)->fd, name, AT_REMOVEDIR) < 0)
			code = errno == ENOENT ? 0 : -errno;
		if (code == 0)
			descent_top(descent)->changed = true;
		else
			note(first, code);
	}
	return 0;
}

static int remove_tree(struct store_root *root, int dir, const char *name)
{
	struct descent descent;
	int first = 0;
	descent_init(&descent, root->walks, true, STORE_PATH_MAX);
	int code = take(&descent, dir, name, DT_UNKNOWN);
	if (code == 1) {
		empty(&descent, &first);
		code = unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
		if (first < 0)
			code = first;
	}
	descent_free(&descent);
	return code;
}

int store_remove_via(struct store_parent *near, struct store_root *root, const char *path)
{
	struct spot spot;
	int code;
	do {
		code = spot_find(&spot, near, root, path);
		if (code < 0)
			return code == -ENOENT ? 0 : code;
		code = remove_tree(root, spot.dir, spot.name);
	} while (spot_again(&spot, code));
	parent_forget(near, path);
	return code;
}

/* One pass through the directory; *some: something was removed, so that another may find more. */
static int sweep_pass(struct store_root *root, DIR *dir, const struct nameset *names, bool *some)
{
	struct dirent *entry;
	int first = 0;

	*some = false;
	rewinddir(dir);
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || nameset_have(names, name, strlen(name)))
			continue;
		int code = remove_tree(root, dirfd(dir), name);
		if (code < 0)
			note(&first, code);
		else
			*some = true;
	}
	if (errno != 0)
		note(&first, -errno);
	return first;
}

int store_sweep(struct store_root *root, const char *path, const struct nameset *names)
{
	int fd;
	int code = store_open(root, path, O_RDONLY | O_DIRECTORY, 0, &fd);
	if (code < 0)
		return code;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		code = -errno;
		close(fd);
		return code;
	}
	allow(fd);
	bool some = true;
	for (unsigned pass = 0; code == 0 && some && pass < REMOVE_PASSES; pass++)
		code = sweep_pass(root, dir, names, &some);
	closedir(dir);
	return code;
}
