/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file of a sink, from the listing to its final name.
 *
 *   UNKNOWN --probe--> PROBING --the same--> (gone)         something of it may be there already
 *                         |  |
 *                nothing  |  | something
 *                         v  +---------------------+
 *      +--------------> FRESH --by ranges--------->|        to be asked for
 *      |                  |                        |
 *      |                READ                       |
 *      |                  v                        v
 *      |<--lane gone--- WHOLE --end, lane gone-> PARTS      what is missing is asked for by ranges
 *      |                  |                        |
 *      |<--RESIZING<------+------------------------+        its size is another one: once nothing is asked for
 *      |                  |                        |
 *      |                  |  end, its only chunk   |  all that it should have
 *      |                  +--------> READY <-------+
 *      |  only chunk                   | order
 *      +--damaged------------------- ENDING --published---> (gone)
 *
 *   any of them --> FAILED --nothing is out--> DOOMED --order--> CLEARING --> GONE --no request is unanswered--> (gone)
 *                      |                         |                             ^
 *                      +--nothing of it is here--+-----------------------------+
 *
 * A file of one chunk waits, in WHOLE, for the end with the chunk `held`; checked, written and published it is in one order. In
 * a larger one each chunk is written as it comes. Who moves a file is sink_file_move() alone, which knows what may follow what.
 */
#ifndef XFER_SESSION_SINK_FILE_H
#define XFER_SESSION_SINK_FILE_H

#include "base/list.h"
#include "base/ranges.h"
#include "wire/message.h"

struct sink_dir;  /* private */
struct sink_lane; /* see sink.h */

enum sink_file_state {
	SINK_FILE_UNKNOWN,  /* waits to be probed */
	SINK_FILE_PROBING,  /* the order is out */
	SINK_FILE_FRESH,    /* waits to be asked for */
	SINK_FILE_WHOLE,    /* asked for as a whole: its end has not come */
	SINK_FILE_PARTS,    /* no end of the whole is waited for */
	SINK_FILE_RESIZING, /* nothing more of it is taken; the ends of what was asked for are waited for */
	SINK_FILE_READY,    /* waits for the order that ends it */
	SINK_FILE_ENDING,   /* which is out */
	SINK_FILE_FAILED,   /* nothing more of it is taken; what is out comes back */
	SINK_FILE_DOOMED,   /* what there is of it waits to be removed, or closed and left */
	SINK_FILE_CLEARING, /* the order is out */
	SINK_FILE_GONE      /* nothing is left but requests that are not answered */
};

enum sink_op {
	SINK_CHUNK,
	SINK_HOLE,
	SINK_COPY, /* from the old file */
	/* These end a file: */
	SINK_PUBLISH,
	SINK_SETTLE, /* what stands there stays, and gets its mode and times */
	SINK_CLOSE,  /* what was written is left for another run */
	SINK_ABANDON
};

/* What of a file is on disk before anything of it comes. */
enum sink_reuse {
	SINK_REUSE_NONE,
	SINK_REUSE_PARTIAL, /* `path`, in place */
	SINK_REUSE_OLD,     /* the file that stands under the final name: looked at, and copied from */
	SINK_REUSE_STANDS   /* the same, looked at only */
};

/* A file being fetched. The carrier of orders may keep its own `handle` in it; other fields are the sink's. */
struct sink_file {
	struct list link;     /* in one of the sink's queues, or alone */
	struct sink_dir *dir; /* NULL for a file at the top */
	void *handle;         /* the carrier's: the file being written; NULL before the first order, and behind the
	                              piece that ends it */
	char *path;           /* where it is written, beneath the destination's root; owned */
	char *final;          /* its name when complete; NULL: path is final (in staging). Owned */
	enum sink_file_state state;
	enum sink_op end; /* the piece that ends it; known in READY and DOOMED */
	uint64_t size;
	uint64_t chunks;    /* of the whole file */
	struct ranges seen; /* chunks that came and were not found damaged; not used for a file of one chunk */
	uint64_t done;      /* chunks written or kept, holes counted */
	enum sink_reuse reuse;
	bool by_digests;      /* what is on disk is compared with the source's digests, not with the journal's */
	bool differs;         /* SINK_REUSE_OLD: it is not what stands there */
	uint32_t number;      /* in the journal, of what is reused */
	uint64_t horizon;     /* PARTS: chunks below it are being worked on, those above wait */
	struct ranges claims; /* chunks that the journal says are there, as long as they are not checked */
	struct ranges kept;   /* SINK_REUSE_OLD: chunks that are right there; SINK_REUSE_STANDS: chunks that are not */
	uint64_t zeroes;      /* SINK_REUSE_OLD: chunks that are a hole there as they are here */
	uint64_t looked;      /* chunks that were looked at, right or not */
	unsigned requests;    /* READs unanswered */
	unsigned writing;     /* pieces queued or out */
	unsigned out;         /* of them, out */
	unsigned repairs;     /* chunks asked for again */
	unsigned restarts;    /* times that its size was another one than listed */
	bool barrier;         /* a long run of holes is out: the file digest wants what follows to wait */
	bool held;            /* the only chunk waits for its end */
	bool has_digest;
	uint16_t mode;
	uint32_t mtime_ns;
	int64_t mtime;
	struct frame_chunk chunk; /* of a file of one chunk, when held; all 0: a hole */
	void *token;              /* its buffer; NULL: a hole */
	struct sink_lane *lane;   /* over which it came */
	uint8_t digest[FRAME_DIGEST_MAX];
	char name[]; /* relative to the remote path; "" for a file at the top */
};

#endif
