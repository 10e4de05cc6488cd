/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink: wants one file or one tree, and calls nothing complete until every chunk is there and every digest is
 * right. A state machine without I/O.
 *
 * Entries, chunks and ends of the source go in; frames to be sent (READ, CREDIT, CANCEL) and orders (write these
 * chunks, make these directories) come out; each order comes back with its results. The sink owns the names: a frame of
 * the source carries ids, and what is written where follows from the listing and from the destination alone.
 *
 * What comes, comes over a *lane*: a session of its own with its own requests and its own credit. There is one from the
 * beginning, which lists; others may join it and go away again. What a lane owed when it went is asked of the others.
 *
 * What is held is bounded: entries by the credit of the listing, payload by the credit of each lane; a directory is
 * finished, and forgotten, when everything in it is.
 */
#ifndef XFER_SESSION_SINK_H
#define XFER_SESSION_SINK_H

#include "base/error.h"
#include "base/nameset.h"
#include "session/sink_file.h"

enum { SINK_PIECES_MAX = 128, SINK_DIR_PIECES_MAX = 64, SINK_PROBES_MAX = 64, SINK_KEEPS_MAX = 64 };
enum { SINK_KEEP_CHUNKS = 64, SINK_HIDDEN_MAX = 32 }; /* chunks of one keep piece; bytes of a hidden name */

/* What counts of what is at the destination already, and what becomes of what was begun. */
#define SINK_FLAG_RESUME 0x01 /* an earlier run of this transfer left something: files are probed for it */
#define SINK_FLAG_UPDATE 0x02 /* a file of the same size and mtime is left alone; of another, what differs is fetched */
#define SINK_FLAG_COMPARE 0x04 /* with UPDATE: size and mtime do not make a file the same, digests do */
#define SINK_FLAG_VERIFY 0x08  /* digests are compared, nothing is changed */
#define SINK_FLAG_LEAVE 0x10   /* what was begun stays there when the session goes, for another run */

struct sink_params {
	const char *remote; /* "export/dir/name": what is fetched */
	const char *name; /* its path beneath the destination's root, in a folder that is there; "" = the root itself */
	bool name_is_dir; /* a directory of that name is there: a tree is merged into it, file by file */
	bool name_exists; /* something of that name is there */
	const char *hidden;    /* a hidden name of our own that nobody else uses; ".<16 hex>" appended must fit too */
	unsigned flags;        /* SINK_FLAG_* */
	const char *reserved;  /* what names of our own begin with: no entry may; NULL = any may */
	uint32_t chunk_size;   /* bytes, settled */
	uint32_t digest_size;  /* bytes, settled; 0 = nothing is verified */
	const char *integrity; /* its name, for texts */
	bool strong;           /* a digest may be taken for the content: it is of cryptographic strength */
	uint32_t requests_max; /* READ items unanswered at a time, of the first lane */
	uint64_t window;       /* payload bytes granted ahead to one lane; at least two chunks */
	uint64_t window_all; /* and to all of them, as long as each has room for two chunks; 0: no more than `window` */
	unsigned lanes;      /* how many there are to be, as far as known: from two on large files are cut; 0 means 1 */
	bool shared;         /* others may join later: large files are cut from the beginning */
	uint64_t order_payload; /* payload bytes that one order carries at most */
	uint64_t keep_payload;  /* bytes on disk that one order of keeps reads at most; one chunk always goes */
	unsigned keeps_max;     /* orders of keeps out at a time */
	uint64_t consumed;      /* payload bytes of the first lane before: what an earlier sink of it came to */
	uint64_t granted;       /* and what it granted */
	uint64_t limit_rate;    /* payload bytes a second; 0 = none */
	bool sync;              /* sync before a final name is given */
};

struct sink_piece {
	enum sink_op op;
	struct sink_file *file;
	struct frame_chunk chunk; /* SINK_CHUNK */
	void *token;              /* SINK_CHUNK: the buffer it lies in; the carrier gives it back after the order */
	struct sink_lane *lane;   /* SINK_CHUNK: over which it came; the sink's */
	uint64_t first, count;    /* SINK_HOLE, SINK_COPY */
	int code;                 /* result: 0, -EBADMSG (a digest is wrong), or what the store said */
};

enum sink_dir_op {
	SINK_DIR_MAKE,
	SINK_DIR_META,
	SINK_DIR_LINK,
	SINK_DIR_COMPARE, /* whether it is a link to the target: 0, -ESTALE, -EINVAL */
	SINK_DIR_SWEEP,   /* what an earlier run left in it, and is not among the names */
	SINK_DIR_SYNC,
	SINK_DIR_RENAME,
	SINK_DIR_REMOVE
};

struct sink_dir_piece {
	enum sink_dir_op op;
	struct sink_dir *dir;
	const char *path;
	const char *target;   /* SINK_DIR_LINK, SINK_DIR_COMPARE, SINK_DIR_RENAME */
	struct nameset names; /* SINK_DIR_SWEEP: what is to be in it; the sink's, freed when the order is back */
	uint16_t mode;
	int64_t mtime;
	uint32_t mtime_ns;
	bool sync; /* SINK_DIR_META: all that was made in it has to last, too */
	/*
	 * The directory that it is in, or about, has to be one of ours: where the MAKE of it failed, what stands under
	 * its name may be a link that leads elsewhere, and nothing may be done beneath it.
	 */
	bool lost;        /* that MAKE failed already: the code is -ENOTDIR, and nothing is done */
	size_t within;    /* 1 + its place in this order: when it fails the same is so; 0: it is in none */
	char *owned_path; /* the sink's, freed when the order is back */
	char *owned_target;
	bool existed; /* result of SINK_DIR_MAKE: it was there */
	int code;     /* result */
};

/* What is there of a file? */
enum sink_found { SINK_NOTHING, SINK_CLAIMS, SINK_STANDS, SINK_CHANGED, SINK_SAME, SINK_OLD };
struct sink_probe {
	struct sink_file *file;
	/* Results, see pipeline's probe.h: the same words mean the same. */
	enum sink_found found;
	uint32_t number;
	uint64_t size;        /* of what is there, bytes */
	struct ranges claims; /* the sink's from now on */
	int code;
};

/* Are these chunks, on disk, what they should be? */
struct sink_keep {
	struct sink_file *file;
	uint64_t first, count;  /* at most SINK_KEEP_CHUNKS, but for zeroes */
	bool zeroes;            /* they should be a hole */
	const uint8_t *digests; /* the sink's, until the order is back; NULL: as the journal says */
	uint64_t kept;          /* result: bit i for chunk first + i; for zeroes bit 0 for all */
	int code;               /* result; an error keeps nothing */
};

enum sink_order_kind { SINK_ORDER_WRITE, SINK_ORDER_DIRS, SINK_ORDER_PROBE, SINK_ORDER_KEEP };
struct sink_order {
	enum sink_order_kind kind;
	size_t count;
	union {
		struct sink_piece pieces[SINK_PIECES_MAX];
		struct sink_dir_piece dirs[SINK_DIR_PIECES_MAX];
		struct sink_probe probes[SINK_PROBES_MAX];
		struct sink_keep keeps[SINK_KEEPS_MAX];
	};
};

enum sink_event_kind { SINK_FILE_DONE, SINK_FAILED, SINK_SKIPPED, SINK_UNCHANGED, SINK_DIFFERS };

struct sink_event {
	enum sink_event_kind kind;
	enum fault fault;
	const char *path; /* but for SKIPPED and FAILED: relative to the remote path, "" for a single file; any bytes */
	uint64_t bytes;
	const struct ranges *chunks; /* SINK_DIFFERS */
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
	uint64_t kept;     /* bytes that were there already and right, so that they need not come */
	uint64_t listed;   /* bytes of the files that the listing named */
	uint64_t same;     /* files left alone */
	uint64_t differ;   /* SINK_FLAG_VERIFY: files that are not what they are at the source */
};

struct sink;

int sink_create(struct sink **out, const struct sink_params *params, const struct sink_watch *watch);
/* No order is out. A handle is the carrier's to know of, where the sink is not finished. NULL is allowed. */
void sink_destroy(struct sink *sink);

/* ---- lanes ---- */

/* The one that is there from the beginning, as long as the sink is. */
struct sink_lane *sink_main(struct sink *sink);
/* One more; consumed and granted: of its session before, see sink_credit(). */
int sink_lane_add(struct sink *sink, struct sink_lane **out, uint32_t requests_max, uint64_t consumed,
                  uint64_t granted);
/* Nothing more is asked of it, or again. */
void sink_lane_rest(struct sink_lane *lane, bool rests);
/* The same for good, and of large files others are asked for what it has not brought. */
void sink_lane_yield(struct sink_lane *lane);
/* It owes nothing. */
bool sink_lane_idle(const struct sink_lane *lane);
/* The sink cannot go on without it: it is the one that lists, and no other lane can list again. */
bool sink_lane_needed(const struct sink_lane *lane);
/*
 * Its session is gone, and so is the lane: what it owed is asked of others, the listing too. One that is needed: the sink
 * is to be given up instead.
 */
void sink_lane_lost(struct sink_lane *lane);
/* For the next sink of the same session. */
void sink_credit(const struct sink_lane *lane, uint64_t *consumed, uint64_t *granted);

/* The run of an ENTRIES frame, its digest checked. An error ends the session. */
int sink_entries(struct sink_lane *lane, const uint8_t *run, size_t len, struct error *err);
/*
 * A chunk frame whose payload is in the buffer `token` (not NULL): 1 = kept, the token comes back in an order or by
 * release(); 0 = not wanted (unknown, repeated, misplaced). An error (beyond what was granted) ends the session.
 */
int sink_chunk(struct sink_lane *lane, const struct frame_chunk *chunk, void *token, struct error *err);
int sink_hole(struct sink_lane *lane, uint32_t request, uint64_t first, uint64_t count, struct error *err);
/* The digests of chunks that were asked for by READ with MESSAGE_READ_DIGESTS; they are copied. */
int sink_digests(struct sink_lane *lane, uint32_t request, const struct message_digest_run *run, struct error *err);
/* An item of an ENDS frame, its digest checked: of a READ or of the LIST. */
int sink_end(struct sink_lane *lane, const struct end *end, struct error *err);

/*
 * Appends what is to be sent now: LIST first, then READ, CREDIT, CANCEL. now: ns, for limit_rate. Where there are several
 * lanes, a few READs at a time: called for each in turn until none has anything to send.
 */
int sink_frames(struct sink_lane *lane, struct buf *out, uint64_t now);

/* ---- all of it ---- */

/* When limit_rate makes sink_frames() worth calling again; CLOCK_NEVER without one. */
uint64_t sink_deadline(const struct sink *sink, uint64_t now);
/* Fills *order and returns true when something can be done now. One order of directories is out at a time. */
bool sink_next(struct sink *sink, struct sink_order *order);
/* Takes an order back. */
void sink_done(struct sink *sink, struct sink_order *order);

/*
 * Gives up, and the session with it: no answer is awaited; what is out comes back, what was begun is removed by further
 * orders, or closed and left with SINK_FLAG_LEAVE. (A sink that gives up by itself, the disk being full, cancels its
 * requests, takes their ends and removes what it made.)
 */
void sink_abort(struct sink *sink);
/* The listing said what there is to be had: from there on the sink answers for what is at the destination. */
bool sink_begun(const struct sink *sink);
/* Payload bytes that are still to come, at most; UINT64_MAX while the listing is not at its end. */
uint64_t sink_left(const struct sink *sink);
/*
 * Grows with what is of use: bytes that were asked for, and had not come before, names, ends. So one who sends the same again
 * and again, or what nobody wants, does not get on.
 */
uint64_t sink_moved(const struct sink *sink);
/* Much of what came waits to be written: it is not the source that is waited for. */
bool sink_held(const struct sink *sink);
/* Everything is published, or removed again; no order is out and no request unanswered. */
bool sink_finished(const struct sink *sink);
/* 0 when all is well, else the fault of the whole: FAULT_MIXED for different causes. *err gets the first text. */
enum fault sink_result(const struct sink *sink, struct error *err);
void sink_counts(const struct sink *sink, struct sink_count *out);
/* Waits for the peer: a request is unanswered. */
bool sink_waits(const struct sink *sink);

#endif
