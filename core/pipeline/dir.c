/* SPDX-License-Identifier: BSD-2-Clause */
/* The storage stage of dir jobs. */
#include "pipeline/stage.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A hidden name beside `path`. */
static int hidden_beside(const char *path, char *out, size_t size)
{
	char name[STORE_HIDDEN_NAME_MAX];
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
	int code = store_hidden_name(name);

	if (code < 0)
		return code;
	if (snprintf(out, size, "%.*s%s", folder, path, name) >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}

/* Made under a hidden name and renamed over what is there, so that the name is never missing. */
static int symlink_replace(const struct dir_piece *piece, struct store_parent *near)
{
	char hidden[PATH_MAX];
	int code = hidden_beside(piece->path, hidden, sizeof(hidden));

	if (code == 0)
		code = store_symlink_via(near, piece->root, hidden, piece->target);
	if (code < 0)
		return code;
	code = store_set_meta_via(near, piece->root, hidden, true, &piece->meta);
	if (code == 0)
		code = store_rename_via(near, piece->root, hidden, piece->path, false);
	if (code < 0)
		(void)store_remove_via(near, piece->root, hidden);
	return code;
}

/* In one step, so that the name is never missing; then what was there has the name that `path` had. */
static int tree_replace(const struct dir_piece *piece, struct store_parent *near)
{
	int code = store_exchange_via(near, piece->root, piece->path, piece->target);

	if (code == -ENOENT) /* what was there is gone again */
		return store_rename_via(near, piece->root, piece->path, piece->target, true);
	if (code == 0)
		(void)store_remove_via(near, piece->root, piece->path);
	return code;
}

static int dir_rename(const struct dir_piece *piece, struct store_parent *near)
{
	int code = store_rename_via(near, piece->root, piece->path, piece->target, true);

	return code == -EEXIST && !piece->no_replace ? tree_replace(piece, near) : code;
}

static int dir_symlink(const struct dir_piece *piece, struct store_parent *near)
{
	int code = store_symlink_via(near, piece->root, piece->path, piece->target);

	if (code == -EEXIST && !piece->no_replace)
		return symlink_replace(piece, near);
	return code < 0 ? code : store_set_meta_via(near, piece->root, piece->path, true, &piece->meta);
}

static int dir_sync(const struct dir_piece *piece, struct job *job)
{
	job_stage(job, XFER_STAGE_SYNC);
	int code = store_sync_tree(piece->root);
	if (code == 0 && piece->path != NULL)
		code = store_sync_parent(piece->root, piece->path);
	job_stage(job, XFER_STAGE_WRITE);
	return code;
}

static int dir_make(struct dir_piece *piece, struct store_parent *near)
{
	/* A journal that cannot be written is no reason not to; one that another transfer has is. */
	if (piece->journal != NULL && journal_announce(piece->journal) == -EBUSY)
		return -EBUSY;
	return store_make_dir_known_via(near, piece->root, piece->path, &piece->existed);
}

static int dir_sweep(const struct dir_piece *piece, struct store_parent *near)
{
	/* It may stand in what goes. */
	store_parent_drop(near);
	store_parent_init(near);
	nameset_sort(piece->names);
	return store_sweep(piece->root, piece->path, piece->names);
}

static int dir_piece(struct dir_piece *piece, struct store_parent *near, struct job *job)
{
	if (piece->within != NULL && *piece->within < 0)
		return -ENOTDIR;
	switch (piece->op) {
	case DIR_MAKE: return dir_make(piece, near);
	case DIR_META:
		/* The root is not the tree's: whoever chose it keeps its mode and times. */
		if (piece->path[0] == '\0')
			return 0;
		return store_set_meta_via(near, piece->root, piece->path, false, &piece->meta);
	case DIR_SYMLINK: return dir_symlink(piece, near);
	case DIR_COMPARE: return store_link_is_via(near, piece->root, piece->path, piece->target);
	case DIR_RENAME: return dir_rename(piece, near);
	case DIR_REMOVE: return store_remove_via(near, piece->root, piece->path);
	case DIR_SWEEP: return dir_sweep(piece, near);
	case DIR_FORGET: return journal_remove(piece->journal);
	case DIR_SYNC: return dir_sync(piece, job);
	}
	return -EINVAL;
}

/* Together at the end: the first sync of a file system often takes what the others would. */
static void dir_sync_folders(struct dir_job *job)
{
	job_stage(&job->job, XFER_STAGE_SYNC);
	for (size_t i = 0; i < job->count; i++) {
		struct dir_piece *piece = &job->pieces[i];

		if (piece->sync && piece->code == 0)
			piece->code = store_sync_dir(piece->root, piece->path);
	}
	job_stage(&job->job, XFER_STAGE_WRITE);
}

uint64_t dir_stage_storage(struct dir_job *job)
{
	struct store_parent near;

	store_parent_init(&near);
	for (size_t i = 0; i < job->count; i++)
		job->pieces[i].code = dir_piece(&job->pieces[i], &near, &job->job);
	store_parent_drop(&near);
	dir_sync_folders(job);
	return 0;
}
