/* SPDX-License-Identifier: BSD-2-Clause */
/* The folder that holds a name: opened beneath the root, and remembered for the next name in it. */
#include "store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void store_parent_init(struct store_parent *near)
{
	near->root = NULL;
	near->fd = -1;
	near->len = 0;
}

void store_parent_drop(struct store_parent *near)
{
	if (!near->root)
		return;
	close(near->fd);
	store_root_unref(near->root);
	store_parent_init(near);
}

void parent_forget(struct store_parent *near, const char *path)
{
	size_t len = strlen(path);
	if (near && near->root && near->len >= len && memcmp(near->path, path, len) == 0 &&
	    (near->len == len || near->path[len] == '/'))
		store_parent_drop(near);
}

static bool parent_is(const struct store_parent *near, const struct store_root *root, const char *path, size_t len)
{
	return near->root == root && near->len == len && memcmp(near->path, path, len) == 0;
}

int spot_find(struct spot *spot, struct store_parent *near, struct store_root *root, const char *path)
{
	size_t len = strlen(path);
	int code = len == 0 ? -EINVAL : store_path_check(path, len, NULL);
	if (code < 0)
		return code;
	*spot = (struct spot){ .dir = root->fd, .name = path, .near = near };
	const char *slash = memrchr(path, '/', len);
	if (!slash)
		return 0;
	spot->name = slash + 1;
	size_t parent_len = (size_t)(slash - path);
	if (near && parent_is(near, root, path, parent_len)) {
		spot->dir = near->fd;
		spot->remembered = true;
		return 0;
	}
	char parent[STORE_PATH_MAX + 1];
	memcpy(parent, path, parent_len);
	parent[parent_len] = '\0';
	code = store_open(root, parent, O_PATH | O_DIRECTORY, 0, &spot->dir);
	if (code < 0)
		return code;
	if (!near) {
		spot->owned = true;
		return 0;
	}
	store_parent_drop(near);
	near->root = store_root_ref(root);
	near->fd = spot->dir;
	near->len = parent_len;
	memcpy(near->path, parent, parent_len);
	return 0;
}

bool spot_again(struct spot *spot, int result)
{
	if (spot->owned)
		close(spot->dir);
	if (!spot->remembered || (result != -ENOENT && result != -ESTALE))
		return false;
	store_parent_drop(spot->near);
	return true;
}
