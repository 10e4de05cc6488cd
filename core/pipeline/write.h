/* SPDX-License-Identifier: BSD-2-Clause */
/* The write job: received chunks are checked, written, and in the end published under their final name. */
#ifndef XFER_PIPELINE_WRITE_H
#define XFER_PIPELINE_WRITE_H

#include "pipeline/job.h"
#include "store/journal.h"
#include "store/store.h"

/* A file being written. */
struct write_file;
/* What of it is there already, for keep pieces (keep.h) to look at. */
enum write_reuse {
	WRITE_NEW,    /* nothing: what stands at `path` is of no use and replaced */
	WRITE_RESUME, /* `path` holds what the journal claims: opened as it is, never cut */
	WRITE_STANDS, /* `old` is looked at and nothing else: nothing is written, published or removed */
	WRITE_OLD /* `old` is looked at; WRITE_COPY takes chunks from there (all at once by cloning where that works) */
};
struct write_place {
	struct store_root *root;
	const char *path;  /* beneath root: where it is written. Copied. */
	const char *final; /* renamed to this when published; NULL: `path` is final (in a staging folder). Copied. */
	bool sync;         /* fsync before the rename and of the folder after it */
	bool no_replace;
	enum write_reuse reuse;
	const char *old;              /* WRITE_STANDS, WRITE_OLD. Copied. */
	struct journal *journal;      /* where chunks are noted, NULL: nowhere. Borrowed, outlives the file */
	const char *name;             /* its path in the journal. Copied. */
	struct journal_file identity; /* as listed; path is not looked at */
	uint32_t number;              /* WRITE_RESUME, WRITE_STANDS: what the journal calls it */
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
	WRITE_COPY,    /* count chunks from first, kept from the old file: copied to where they belong */
	WRITE_PUBLISH, /* everything is there: compare the file digest, set size and metadata, sync, rename */
	WRITE_SETTLE,  /* WRITE_OLD: all chunks were kept, so the old file stays: it gets mode and times where they differ */
	WRITE_CLOSE,   /* close, and leave what was written for another time */
	WRITE_ABANDON  /* close and remove */
};
/*
 * Pieces of one file may be under way in several jobs. WRITE_PUBLISH and those after it stand behind the others in the
 * same job, or come when the others are back.
 */
struct write_piece {
	struct write_file *file;
	enum write_op op;
	struct frame_chunk chunk; /* WRITE_CHUNK; digest and payload lie in a buffer that the loop holds */
	uint64_t first, count;    /* WRITE_HOLE, WRITE_COPY */
	uint64_t size;            /* WRITE_PUBLISH: of the file */
	uint64_t chunks;
	struct store_meta meta;
	const uint8_t *digest; /* the file digest the source gave; NULL with digest_size 0 or an unverified one */
	uint8_t *made; /* result of WRITE_PUBLISH: the file digest as it is here (digest_size bytes); may be NULL */
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
