/* SPDX-License-Identifier: BSD-2-Clause */
/* The write job: received chunks are checked, written, and in the end published under their final name. */
#ifndef XFER_PIPELINE_WRITE_H
#define XFER_PIPELINE_WRITE_H

#include "pipeline/job.h"
#include "pipeline/pipes.h"
#include "store/journal.h"
#include "store/store.h"

/* A file being written. */
struct write_file;
/* What of it is there already, for keep pieces (keep.h) to look at. */
enum write_reuse {
	WRITE_NEW,    /* nothing: what stands at `path` is of no use and replaced */
	WRITE_RESUME, /* `path` holds what the journal claims: opened as it is, never cut before it is published */
	WRITE_STANDS, /* `old` is looked at and nothing else: nothing is written, published or removed */
	WRITE_OLD     /* `old` is looked at; WRITE_COPY takes chunks from there, `path` is as with WRITE_NEW */
};
struct write_place {
	struct store_root *root;
	const char *path;  /* beneath root: where it is written. Copied. Locked while it is open: else -EBUSY. */
	const char *final; /* renamed to this when published; NULL: `path` is final (in a staging folder). Copied. */
	bool sync;         /* fsync before the rename and of the folder after it */
	bool no_replace;
	enum write_reuse reuse;
	const char *old; /* WRITE_STANDS, WRITE_OLD. Copied. */
	/*
	 * Where chunks are noted, NULL: nowhere. Borrowed, outlives the file. What is noted when: of a file of several
	 * chunks each chunk once it is written, of others all when they are published. With `final` the file itself is
	 * noted before there is anything at `path`, so that whoever finds the journal finds that too.
	 */
	struct journal *journal;
	const char *name;             /* its path in the journal. Copied; may be NULL without one */
	struct journal_file identity; /* as listed; path is not looked at */
	uint32_t number;              /* what the journal calls it, as the probe said; 0: it is not in it */
	/*
	 * After so many bytes that were written to it the file and then the journal are synced, beside what else goes on, so
	 * that a power loss costs no more than that. 0 = never.
	 */
	uint64_t sync_window;
};
/* Created on disk by its first piece that writes, or by WRITE_PUBLISH. Has a lock of its own. */
int write_file_create(struct write_file **out, const struct write_place *place, const struct suite *suite,
                      uint64_t size);
/*
 * No piece of it is under way. After WRITE_PUBLISH, WRITE_SETTLE, WRITE_CLOSE or WRITE_ABANDON came back without error
 * this is no I/O; otherwise it removes what was created (not what was resumed), which may block. NULL is allowed.
 */
void write_file_destroy(struct write_file *file);

enum write_op {
	WRITE_CHUNK,   /* check the digest, write the payload */
	WRITE_HOLE,    /* count full chunks of zeroes from first */
	WRITE_COPY,    /* count chunks from first, kept from the old file: copied to where they belong */
	WRITE_PUBLISH, /* everything is there: compare the file digest, set size and metadata, sync, rename */
	WRITE_SETTLE, /* all of `old` was kept: compare the file digest; WRITE_OLD: mode and times where they differ, sync */
	WRITE_CLOSE,  /* close, and leave what was written for another time */
	WRITE_ABANDON /* close and remove */
};
/*
 * Pieces of one file may be under way in several jobs. WRITE_PUBLISH and what follows it above stand behind the others in
 * the same job, or come when the others are back.
 */
struct write_piece {
	struct write_file *file;
	enum write_op op;
	struct frame_chunk chunk; /* WRITE_CHUNK; digest and payload lie in a buffer that the loop holds */
	/*
	 * WRITE_CHUNK, without digests: what of the payload, at its end, is in pipes that the loop holds; NULL: nothing.
	 * They are read, and emptied where the chunk is written.
	 */
	struct pipe_lent *pipes;
	uint64_t first, count; /* WRITE_HOLE, WRITE_COPY */
	uint64_t size;         /* WRITE_PUBLISH, WRITE_SETTLE: of the file */
	uint64_t chunks;
	struct store_meta meta;
	const uint8_t *digest; /* the file digest the source gave; NULL with digest_size 0 or an unverified one */
	uint8_t *
		made; /* result of WRITE_PUBLISH, WRITE_SETTLE: the file digest as it is here (digest_size bytes); may be NULL */
	/*
	 * Result. 0; -EBADMSG: the digest is wrong (WRITE_CHUNK: nothing was written, it may come again); -ERANGE: a chunk
	 * that is there already or not in the file; -ENODATA: WRITE_PUBLISH before everything was there; -ESTALE: `old`
	 * was changed meanwhile. Else the store's error. From WRITE_CHUNK, WRITE_COPY and WRITE_PUBLISH an error of the
	 * store stays: later pieces of the file do nothing and have the same code (but WRITE_CLOSE and WRITE_ABANDON). A
	 * file that could not be synced is removed at once: what of it is on disk nobody knows.
	 */
	int code;
	uint32_t crc; /* the pipeline's: CRC-32C of the payload, with a journal */
};
enum { WRITE_PIECES_MAX = 128 };
struct write_job {
	struct job job;
	size_t count;
	/*
	 * Result: 0, or what journal_flush() said, which is told once. -EBUSY: nothing was begun, and all pieces have that
	 * code. With any other no piece failed for it.
	 */
	int journal_code;
	struct write_piece pieces[WRITE_PIECES_MAX];
};

#endif
