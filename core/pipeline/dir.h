/* SPDX-License-Identifier: BSD-2-Clause */
/* The dir job: everything of a tree that is no file content. */
#ifndef XFER_PIPELINE_DIR_H
#define XFER_PIPELINE_DIR_H

#include "pipeline/job.h"
#include "store/journal.h"
#include "store/store.h"

enum dir_op {
	DIR_MAKE,    /* mkdir, existing is fine */
	DIR_META,    /* mode and times of a finished directory */
	DIR_SYMLINK, /* path -> target with meta's times; replaces an existing non-directory (unless no_replace) */
	DIR_COMPARE, /* whether path is a link to target, as store_link_is_via() says */
	DIR_RENAME, /* path -> target (no_replace); otherwise in place of what is there, file or tree, which is removed */
	DIR_REMOVE, /* a whole tree */
	DIR_SWEEP,  /* what is in the directory and not among the names */
	DIR_FORGET, /* the journal is removed and closed, whatever comes of it */
	DIR_SYNC    /* syncfs of the root's file system, fsync of the parent of path (which may be NULL) */
};
struct dir_piece {
	enum dir_op op;
	struct store_root *root;
	const char *path;
	const char *target;    /* DIR_SYMLINK, DIR_COMPARE, DIR_RENAME */
	struct nameset *names; /* DIR_SWEEP; sorted by it */
	struct store_meta meta;
	bool no_replace;
	bool sync; /* DIR_META: the folder itself is synced too, with the names that it got */
	struct journal
		*journal; /* DIR_FORGET; DIR_MAKE: begun before, so that who finds it finds the directory. Or NULL */
	/*
	 * The code of another piece, further up, without whose success nothing is done; or of one that failed before. The
	 * store follows links that stay beneath the root: what could not be made as a directory may be one.
	 */
	const int *within; /* NULL: none */
	bool existed;      /* result of DIR_MAKE: it was there */
	int code;          /* result: 0 or the store's -errno; -ENOTDIR: what it is within could not be made */
};
enum { DIR_PIECES_MAX = 64 };
/* Pieces are done in order, then the syncs of folders; a failure stops only those within. */
struct dir_job {
	struct job job;
	size_t count;
	struct dir_piece pieces[DIR_PIECES_MAX];
};

#endif
