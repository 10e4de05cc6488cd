/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the store: how a path becomes a descriptor beneath a root. Only core/store and its unit test include this. */
#ifndef XFER_STORE_BENEATH_H
#define XFER_STORE_BENEATH_H

#include "store/store.h"

#include <stdatomic.h>

enum {
	STORE_PATH_MAX = 4095, /* bytes, as store_path_check() */
	STORE_NAME_MAX = 255
};

struct store_root {
	_Atomic unsigned refs;
	int fd;     /* O_RDONLY | O_DIRECTORY */
	bool walks; /* no openat2(2) here: component by component. Set once at the start. */
	char path[];
};

/*
 * The primitive: opens `path` ("" = base itself, else checked) beneath the directory `base`. With `walks` component by
 * component; links: whether symbolic links that stay beneath are followed (never with `walks`).
 */
int beneath_open(int base, bool walks, bool links, const char *path, int flags, mode_t mode, int *fd);

/* A path taken apart: the folder that holds the thing, open, and the name in it. */
struct spot {
	int dir;          /* lent when !owned */
	const char *name; /* points into the path */
	bool owned;
	bool remembered; /* dir was opened by an earlier call: its folder may be gone */
	struct store_parent *near;
};

/*
 *	do {
 *		int code = spot_find(&spot, near, root, path);
 *		if (code < 0)
 *			return code;
 *		result = ... one call with spot.dir and spot.name: 0 or -errno ...
 *	} while (spot_again(&spot, result));
 *
 * spot_again() ends the use of the spot; it asks for a second round where a remembered folder turned out to be gone.
 * "" has no parent: -EINVAL.
 */
int spot_find(struct spot *spot, struct store_parent *near, struct store_root *root, const char *path);
bool spot_again(struct spot *spot, int result);
/* Forgets the remembered folder if it is `path` or below. */
void parent_forget(struct store_parent *near, const char *path);

/* chmod and utimensat of a directory that is open as O_PATH at least. */
int beneath_chmod_dir(int dir, mode_t mode);

/* The way of store_rename() where the file system has no RENAME_NOREPLACE. */
int rename_beside(int from_dir, const char *from, int to_dir, const char *to);

#endif
