/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pipeline: jobs go through stages in two thread pools, one for storage and one for hashing, and come back to the
 * loop in batches.
 *
 *   read job:   storage (open, read) -> hash (digests, frames) -> loop sends the batch
 *   write job:  loop received it -> hash (check) -> storage (write, publish) -> loop
 *   list job:   storage (walk) -> hash (digest of the run) -> loop sends the frame
 *   check job:  hash (digest of a control frame's run) -> loop
 *   dir job:    storage (make, finish, remove ... directories, links and empty files)
 *
 * A stage hands the job to the next pool itself; the loop hears once, at the end. Jobs and pieces are the caller's
 * memory and must stay put until they come back; a submitted job always comes back. Submit and take: loop thread.
 */
#ifndef XFER_PIPELINE_PIPELINE_H
#define XFER_PIPELINE_PIPELINE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "pipeline/lend.h"
#include "registry/registry.h"
#include "store/store.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdatomic.h>

/* What a session settled on. Outlives every job and file that names it. */
struct suite {
	const struct plugin *integrity;
	struct frame_limits limits; /* chunk_size and digest_size are those of the session */
};

enum job_kind { JOB_READ, JOB_WRITE, JOB_LIST, JOB_CHECK, JOB_DIR };

struct job {
	enum job_kind kind;
	const struct suite *suite;
	struct job *next;             /* the pipeline's, while submitted; the list that pipeline_take() returns */
	void *owner;                  /* the engine's: the session or client job it belongs to */
	struct list link;             /* the engine's: the owner's unfinished jobs, oldest first */
	_Atomic uint32_t stage;       /* XFER_STAGE_*, for the progress record */
	_Atomic uint64_t stage_since; /* monotonic ns */
};

struct pipeline;

struct pipeline_settings {
	unsigned hash_threads;
	unsigned storage_threads;
	/* Called in a pool thread when finished jobs wait and pipeline_take() was called since the last call. */
	void (*notify)(void *context);
	void *context;
};

int pipeline_create(struct pipeline **out, const struct pipeline_settings *settings, struct error *err);
/* All jobs have come back. Joins the threads. */
void pipeline_destroy(struct pipeline *pipeline);
void pipeline_submit(struct pipeline *pipeline, struct job *job);
/* All finished jobs in the order in which they finished, linked by next; NULL when there are none. */
struct job *pipeline_take(struct pipeline *pipeline);

/* Work done by each stage since the start; read without a lock, each number exact, together approximate. */
enum pipeline_stage { PIPELINE_READ, PIPELINE_HASH, PIPELINE_WRITE, PIPELINE_STAGES };
struct pipeline_count {
	uint64_t calls;
	uint64_t bytes;
	uint64_t busy_ns; /* sum over threads */
};
void pipeline_counters(const struct pipeline *pipeline, struct pipeline_count out[PIPELINE_STAGES]);

/* ---- tally.c: the file digest, from chunk digests that come in any order ---- */

enum { TALLY_AHEAD_MAX = 16384 }; /* chunks that may be ahead of the first missing one */
struct tally;
/* The head of the file digest is hashed first, so the size must be known. */
int tally_create(struct tally **out, const struct suite *suite, uint64_t file_size);
void tally_destroy(struct tally *tally);
/* Thread-safe. -ERANGE beyond TALLY_AHEAD_MAX or for an index that is there already. */
int tally_add(struct tally *tally, uint64_t index, const uint8_t *digest);
/* `count` full chunks of zeroes from `first`; their digest is computed once. */
int tally_add_zeroes(struct tally *tally, uint64_t first, uint64_t count);
uint64_t tally_next(struct tally *tally); /* the first index that is missing */
/* -ENODATA unless exactly `chunks` were added. */
int tally_finish(struct tally *tally, uint64_t chunks, uint8_t *digest);

/* ---- read.c: the source ---- */

/* A file being read. Made in the loop without I/O; opened by its first piece; thread-safe by a lock of its own. */
struct read_file;
/* size: what the requester believes; a file of another size ends with STATUS_CHANGED before its first chunk. */
int read_file_create(struct read_file **out, struct store_root *root, const char *path, uint64_t size,
                     const struct suite *suite);
void read_file_destroy(struct read_file *file); /* no piece of it is under way; closes the descriptor */

struct read_piece {
	struct read_file *file;
	uint32_t request;
	uint64_t first;  /* chunk */
	uint64_t count;  /* at most so many chunks; fewer where the buffer or the file ends */
	bool end;        /* when this piece reached the end of what was asked, end the request in this job */
	bool part;       /* no file digest is wanted: not the whole file was asked for */
	uint64_t chunks_before; /* sent by earlier pieces of this request, for the ENDS item */
	/* Results. */
	uint64_t chunks; /* sent by this piece, holes counted */
	uint64_t bytes;  /* payload bytes put into the buffer */
	uint64_t total;  /* chunks of the whole file, known after its first piece */
	bool ended;      /* an ENDS item stands in the buffer: end was reached, or the file failed */
	enum status status; /* how it ended */
};

enum { READ_PIECES_MAX = 64 };
struct read_job {
	struct job job;
	struct lent *buffer;   /* held by the loop; read_job_buffer_size() bytes */
	uint64_t payload_max;  /* at most so many payload bytes in all pieces together: the credit */
	size_t count;
	struct read_piece pieces[READ_PIECES_MAX];
	/* Results: the frames, ready to be sent. */
	size_t out_offset;
	size_t out_len;
};
size_t read_job_buffer_size(const struct suite *suite);
/* Payload bytes that one job carries at most. */
size_t read_job_payload(const struct suite *suite);

/* ---- write.c: the sink ---- */

/* A file being written. */
struct write_file;
struct write_place {
	struct store_root *root;
	const char *path;   /* beneath root: where it is written. Copied. */
	const char *final;  /* renamed to this when published; NULL: `path` is final (in a staging folder). Copied. */
	bool sync;          /* fsync before the rename and of the folder after it */
	bool no_replace;
};
int write_file_create(struct write_file **out, const struct write_place *place, const struct suite *suite,
                      uint64_t size);
/* Removes what was written unless it was published. Storage: call it by a write piece WRITE_ABANDON first, then destroy. */
void write_file_destroy(struct write_file *file);

enum write_op {
	WRITE_CHUNK,   /* check the digest, write the payload */
	WRITE_HOLE,    /* count full chunks of zeroes from first */
	WRITE_PUBLISH, /* everything is there: compare the file digest, set size and metadata, sync, rename */
	WRITE_ABANDON  /* close and remove */
};
struct write_piece {
	struct write_file *file;
	enum write_op op;
	struct frame_chunk chunk; /* WRITE_CHUNK: index, flags, length, digest, payload (in a buffer that the loop holds) */
	uint64_t first, count;    /* WRITE_HOLE */
	uint64_t size;            /* WRITE_PUBLISH: of the file */
	uint64_t chunks;
	struct store_meta meta;
	const uint8_t *digest;    /* the file digest the source gave; NULL with digest_size 0 or an unverified one */
	/* Results. */
	int code;     /* 0; -EBADMSG: digest wrong (WRITE_CHUNK: nothing was written); else the store's error */
};
enum { WRITE_PIECES_MAX = 128 };
struct write_job {
	struct job job;
	size_t count;
	struct write_piece pieces[WRITE_PIECES_MAX];
};

/* ---- list.c ---- */

struct list_walk; /* a LIST under way */
int list_walk_create(struct list_walk **out, struct store_root *root, const char *path, unsigned depth, bool totals,
                     const char *name /* of the first entry when path is "": the export's */);
void list_walk_destroy(struct list_walk *walk);
struct list_job {
	struct job job;
	struct list_walk *walk;
	uint32_t request;
	uint64_t run_max; /* bytes of entries at most: the credit; at least 64 KiB is always worth waiting for */
	/* Results. */
	struct buf out;   /* sealed frames: ENTRIES, and ENDS when the walk is over; the caller frees it */
	uint64_t run;     /* bytes of the ENTRIES run */
	bool ended;
};

/* ---- check.c ---- */

/* A control frame whose body ends with the digest of what stands before it (ENTRIES, ENDS). */
struct check_job {
	struct job job;
	const uint8_t *body; /* in a buffer that the loop holds */
	size_t len;
	/* Result: 0 or -EBADMSG. The run is the first len - digest_size bytes. */
	int code;
};

/* ---- dir.c: everything of a tree that is no file content ---- */

enum dir_op {
	DIR_MAKE,     /* mkdir, existing is fine */
	DIR_META,     /* mode and times of a finished directory */
	DIR_SYMLINK,  /* replaces an existing non-directory */
	DIR_RENAME,   /* path -> target (no_replace) */
	DIR_REMOVE,   /* a whole tree */
	DIR_SYNC      /* syncfs of the root's file system, fsync of the parent of path */
};
struct dir_piece {
	enum dir_op op;
	struct store_root *root;
	const char *path;
	const char *target; /* DIR_SYMLINK, DIR_RENAME */
	struct store_meta meta;
	bool no_replace;
	void *user; /* the engine's */
	int code;
};
enum { DIR_PIECES_MAX = 64 };
/* Pieces are done in order; a failure does not stop the next. */
struct dir_job {
	struct job job;
	size_t count;
	struct dir_piece pieces[DIR_PIECES_MAX];
};

#endif
