/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink: wants one file or one tree, and calls nothing complete until every chunk is there and every digest is
 * right. A state machine without I/O.
 *
 * Entries, chunks and ends of the source go in; frames to be sent (READ, CREDIT, CANCEL) and orders (write these
 * chunks, make these directories) come out; each order comes back with its results. The sink owns the names: a frame of
 * the source carries ids, and what is written where follows from the listing and from the destination alone.
 *
 * What is held is bounded: entries by the credit of the listing, payload by the credit of the session; a directory is
 * finished, and forgotten, when everything in it is.
 */
#ifndef XFER_SESSION_SINK_H
#define XFER_SESSION_SINK_H

#include "base/error.h"
#include "base/list.h"
#include "base/ranges.h"
#include "wire/message.h"

enum { SINK_PIECES_MAX = 128, SINK_DIR_PIECES_MAX = 64, SINK_HIDDEN_MAX = 32 };

struct sink_params {
	const char *remote; /* "export/dir/name": what is fetched */
	const char *name; /* its path beneath the destination's root, in a folder that is there; "" = the root itself */
	bool name_is_dir; /* a directory of that name is there: a tree is merged into it, file by file */
	bool name_exists; /* something of that name is there */
	const char *hidden;     /* a hidden name of our own that nobody else uses; ".<16 hex>" appended must fit too */
	const char *reserved;   /* what names of our own begin with: no entry may; NULL = any may */
	uint32_t chunk_size;    /* bytes, settled */
	uint32_t digest_size;   /* bytes, settled; 0 = nothing is verified */
	const char *integrity;  /* its name, for texts */
	uint32_t requests_max;  /* READ items unanswered at a time */
	uint64_t window;        /* payload bytes granted ahead; at least two chunks */
	uint64_t order_payload; /* payload bytes that one order carries at most */
	uint64_t consumed;      /* payload bytes of this session before: what an earlier sink of it came to */
	uint64_t granted;       /* and what it granted */
	uint64_t limit_rate;    /* payload bytes a second; 0 = none */
	bool sync;              /* sync before a final name is given */
};

struct sink_dir; /* private */

/* A file being fetched. The carrier of orders may keep its own `handle` in it; other fields are the sink's. */
struct sink_file {
	struct list link;     /* in one of the sink's queues, or alone */
	struct sink_dir *dir; /* NULL for a file at the top */
	void *handle;         /* the carrier's: the file being written; NULL before the first order, its end is an
	                              order to publish that succeeded, or to abandon */
	char *path;           /* where it is written, beneath the destination's root; owned */
	char *final;          /* its name when complete; NULL: path is final (in staging). Owned */
	uint64_t size;
	uint64_t chunks;    /* of the whole file */
	struct ranges seen; /* chunks that came and were not found damaged; not used for a file of one chunk */
	uint64_t done;      /* chunks written, holes counted */
	unsigned requests;  /* READs unanswered */
	unsigned writing;   /* pieces queued or out */
	unsigned out;       /* of them, out */
	unsigned repairs;   /* chunks asked for again */
	unsigned restarts;  /* times that its size was another one than listed */
	bool barrier;       /* a long run of holes is out: the file digest wants what follows to wait */
	bool failed;        /* to be abandoned once nothing is out */
	bool held;          /* the only chunk waits for its end */
	bool ended;         /* the end of the whole-file request was taken */
	bool has_digest;
	uint16_t mode;
	uint32_t mtime_ns;
	int64_t mtime;
	uint32_t request;         /* of the whole-file READ */
	struct frame_chunk chunk; /* of a file of one chunk, when held; all 0: a hole */
	void *token;              /* its buffer; NULL: a hole */
	uint8_t digest[FRAME_DIGEST_MAX];
	char name[]; /* relative to the remote path; "" for a file at the top */
};

enum sink_op { SINK_CHUNK, SINK_HOLE, SINK_PUBLISH, SINK_ABANDON };

struct sink_piece {
	enum sink_op op;
	struct sink_file *file;
	struct frame_chunk chunk; /* SINK_CHUNK */
	void *token;              /* SINK_CHUNK: the buffer it lies in; the carrier gives it back after the order */
	uint64_t first, count;    /* SINK_HOLE */
	int code;                 /* result: 0, -EBADMSG (a digest is wrong), or what the store said */
};

enum sink_dir_op { SINK_DIR_MAKE, SINK_DIR_META, SINK_DIR_LINK, SINK_DIR_SYNC, SINK_DIR_RENAME, SINK_DIR_REMOVE };

struct sink_dir_piece {
	enum sink_dir_op op;
	struct sink_dir *dir;
	const char *path;
	const char *target; /* SINK_DIR_LINK, SINK_DIR_RENAME */
	uint16_t mode;
	int64_t mtime;
	uint32_t mtime_ns;
	char *owned_path; /* the sink's, freed when the order is back */
	char *owned_target;
	int code; /* result */
};

struct sink_order {
	bool is_dir;
	size_t count;
	union {
		struct sink_piece pieces[SINK_PIECES_MAX];
		struct sink_dir_piece dirs[SINK_DIR_PIECES_MAX];
	};
};

enum sink_event_kind { SINK_FILE_DONE, SINK_FAILED, SINK_SKIPPED };

struct sink_event {
	enum sink_event_kind kind;
	enum fault fault;
	const char *path; /* SINK_FILE_DONE: relative to the remote path, "" for a single file; any bytes */
	uint64_t bytes;
	const uint8_t *digest; /* SINK_FILE_DONE: digest_size bytes, or NULL when the source was not asked for it */
	const char *text;      /* otherwise: what happened, printable */
};

struct sink_watch {
	void *context;
	void (*event)(void *context, const struct sink_event *event);
	/* A buffer that the sink kept (sink_chunk() returned 1) and that will appear in no order. */
	void (*release)(void *context, void *token);
};

struct sink_count {
	uint64_t files, dirs, links, skipped, failed;
	uint64_t bytes;    /* of content in chunks written, holes counted */
	uint64_t received; /* payload bytes that came */
	uint64_t chunks;   /* written, holes counted */
	uint64_t repaired; /* asked for again */
};

struct sink;

int sink_create(struct sink **out, const struct sink_params *params, const struct sink_watch *watch);
/* No order is out. A handle is the carrier's to know of, where the sink is not finished. NULL is allowed. */
void sink_destroy(struct sink *sink);

/* The run of an ENTRIES frame, its digest checked. An error ends the session. */
int sink_entries(struct sink *sink, const uint8_t *run, size_t len, struct error *err);
/*
 * A chunk frame whose payload is in the buffer `token` (not NULL): 1 = kept, the token comes back in an order or by
 * release(); 0 = not wanted (unknown, repeated, misplaced). An error (beyond what was granted) ends the session.
 */
int sink_chunk(struct sink *sink, const struct frame_chunk *chunk, void *token, struct error *err);
int sink_hole(struct sink *sink, uint32_t request, uint64_t first, uint64_t count, struct error *err);
/* An item of an ENDS frame, its digest checked: of a READ or of the LIST. */
int sink_end(struct sink *sink, const struct end *end, struct error *err);

/* Appends what is to be sent now: LIST first, then READ, CREDIT, CANCEL. now: ns, for limit_rate. */
int sink_frames(struct sink *sink, struct buf *out, uint64_t now);
/* When limit_rate makes sink_frames() worth calling again; CLOCK_NEVER without one. */
uint64_t sink_deadline(const struct sink *sink, uint64_t now);
/* Fills *order and returns true when something can be done now. One order of directories is out at a time. */
bool sink_next(struct sink *sink, struct sink_order *order);
/* Takes an order back. */
void sink_done(struct sink *sink, struct sink_order *order);

/*
 * Gives up, and the session with it: no answer is awaited; what is out comes back, what was begun is removed by further
 * orders. (A sink that gives up by itself, the disk being full, cancels its requests and takes their ends.)
 */
void sink_abort(struct sink *sink);
/* Everything is published, or removed again; no order is out and no request unanswered. */
bool sink_finished(const struct sink *sink);
/* 0 when all is well, else the fault of the whole: FAULT_MIXED for different causes. *err gets the first text. */
enum fault sink_result(const struct sink *sink, struct error *err);
void sink_counts(const struct sink *sink, struct sink_count *out);
/* For the next sink of the same session. */
void sink_credit(const struct sink *sink, uint64_t *consumed, uint64_t *granted);
/* Waits for the peer: a request is unanswered. */
bool sink_waits(const struct sink *sink);

#endif
