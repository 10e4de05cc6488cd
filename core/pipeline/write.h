/* SPDX-License-Identifier: BSD-2-Clause */
/* The write job: received chunks are checked, written, and in the end published under their final name. */
#ifndef XFER_PIPELINE_WRITE_H
#define XFER_PIPELINE_WRITE_H

#include "pipeline/job.h"
#include "store/store.h"

/* A file being written. */
struct write_file;
struct write_place {
	struct store_root *root;
	const char *path;  /* beneath root: where it is written. Copied. */
	const char *final; /* renamed to this when published; NULL: `path` is final (in a staging folder). Copied. */
	bool sync;         /* fsync before the rename and of the folder after it */
	bool no_replace;
};
/* Created on disk by its first piece that writes, or by WRITE_PUBLISH. Has a lock of its own. */
int write_file_create(struct write_file **out, const struct write_place *place, const struct suite *suite,
                      uint64_t size);
/*
 * No piece of it is under way. After WRITE_PUBLISH or WRITE_ABANDON came back without error this is no I/O; otherwise it
 * removes what was written, which may block. NULL is allowed.
 */
void write_file_destroy(struct write_file *file);

enum write_op {
	WRITE_CHUNK,   /* check the digest, write the payload */
	WRITE_HOLE,    /* count full chunks of zeroes from first */
	WRITE_PUBLISH, /* everything is there: compare the file digest, set size and metadata, sync, rename */
	WRITE_ABANDON  /* close and remove */
};
/*
 * Pieces of one file may be under way in several jobs. WRITE_PUBLISH and WRITE_ABANDON stand behind the others in the
 * same job, or come when the others are back.
 */
struct write_piece {
	struct write_file *file;
	enum write_op op;
	struct frame_chunk chunk; /* WRITE_CHUNK; digest and payload lie in a buffer that the loop holds */
	uint64_t first, count;    /* WRITE_HOLE */
	uint64_t size;            /* WRITE_PUBLISH: of the file */
	uint64_t chunks;
	struct store_meta meta;
	const uint8_t *digest; /* the file digest the source gave; NULL with digest_size 0 or an unverified one */
	/*
	 * Result. 0; -EBADMSG: the digest is wrong (WRITE_CHUNK: nothing was written, it may come again); -ERANGE: a chunk
	 * that is there already or not in the file; -ENODATA: WRITE_PUBLISH before everything was there. Else the store's
	 * error, which stays: later pieces of the file do nothing and have the same code (but WRITE_ABANDON).
	 */
	int code;
};
enum { WRITE_PIECES_MAX = 128 };
struct write_job {
	struct job job;
	size_t count;
	struct write_piece pieces[WRITE_PIECES_MAX];
};

#endif
