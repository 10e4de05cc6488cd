/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files sink*.c share; nobody else includes it. */
#ifndef XFER_SESSION_SINK_STATE_H
#define XFER_SESSION_SINK_STATE_H

#include "base/clock.h"
#include "base/table.h"
#include "session/sink.h"

#include <string.h>

enum {
	HOLE_LONG = 4096,         /* chunks; longer runs of holes are written when nothing else of the file is out */
	HOLE_PIECE = 256 * 1024,  /* chunks of a run that one piece takes: the file digest goes over each of them */
	HOLES_MORE = 16384,       /* pieces of holes that may be there beside as many as chunks, see holes_max() */
	LIVE_MAX = 8192,          /* entries under way beyond which no more are listed */
	LIST_WINDOW = 256 * 1024, /* bytes of entries granted at a time */
	/*
	 * Bytes of paths of entries under way, beyond which what is listed waits as it came: an entry of 30 bytes may have three
	 * paths of four thousand. All folders of the deepest path take half of it.
	 */
	TEXTS_MAX = 16 * 1024 * 1024,
	REPAIRS_MAX = 64, /* chunks of one file asked for again */
	RESTARTS_MAX = 3, /* times a file may have another size than it had a moment ago */
	/*
	 * Chunks of a reused file that are worked on at a time: what was kept and what comes are done in no common order, and
	 * the file digest can hold back no more than so many.
	 */
	HORIZON = 32768,
	PARTS_LEAST = 4,               /* lanes that there may be soon, where there may be more */
	RANGE_FIRST = 2 * 1024 * 1024, /* bytes of a range of a lane that has not shown what it can do */
	RANGES_AHEAD = 2,              /* ranges that are asked of one lane at a time, where they are large */
	BATCH_MAX = 64,                /* READs that one of several lanes is given at a time */
	SPREAD_ORDERS = 4              /* a file of more orders than that is asked of several lanes */
};

/* A directory of the tree, until everything in it is done. */
struct sink_dir {
	struct list link;        /* in sink.dirs */
	struct sink_dir *parent; /* NULL: the top */
	unsigned pending;        /* files and directories in it that are not done */
	bool made;
	bool failed;
	size_t making;        /* 1 + the place of its MAKE in the order that is out, as long as it is not made */
	bool listed;          /* its end was listed: mode and times are known */
	bool sweeps;          /* an earlier run may have left something in it that is not listed any more */
	struct nameset names; /* of what is listed in it; only where it sweeps */
	uint16_t mode;
	uint32_t mtime_ns;
	int64_t mtime;
	char name[]; /* relative to the remote path; "" for the top */
};

/* A chunk of a large file, or holes, waiting for an order. */
struct sink_item {
	struct list link;
	struct sink_piece piece;
};

/* A READ that is not answered. */
struct sink_request {
	struct sink_file *file;
	uint64_t first, count; /* chunks; of a whole file all that it should have */
	uint64_t owed;         /* bytes of them that have not come, as far as that was counted */
	struct ranges told;    /* of a file compared by digests: chunks of which it was said what they are */
	uint16_t path_len;     /* bytes, as it was asked for */
	bool whole, digests;
	bool blurred;  /* `told` is not all of it */
	bool returned; /* cancelled: what has not come by its end is asked of others */
};

/* A session, to the sink. */
struct sink_lane {
	struct list link; /* in sink.lanes */
	struct sink *sink;
	struct table requests; /* id -> struct sink_request */
	uint32_t next_request;
	uint32_t requests_max;
	uint64_t before;    /* payload bytes of the session before this sink */
	uint64_t received;  /* and with it */
	uint64_t consumed;  /* done with */
	uint64_t granted;   /* in all */
	uint64_t owed;      /* bytes of all requests */
	uint32_t paths;     /* bytes of their paths */
	unsigned ranges;    /* of them, for parts of a file */
	struct buf cancels; /* CANCEL frames to be sent */
	unsigned pieces;    /* chunks that came over it, and are not done with */
	uint64_t paced_at;  /* ns, when its pace was measured last; 0 = never */
	uint64_t paced;     /* what it had received then */
	uint64_t pace;      /* bytes a second that it brought, as long as it owed something; UINT64_MAX = unknown */
	bool relieved;      /* it was slow in the end: nothing is asked of it as long as there are others */
	bool resting;       /* nothing more is asked of it */
	bool gone;          /* is freed with its last piece */
};

/* A range of a file to be asked for: again, or since the rest is there already. */
struct sink_ask {
	struct list link;
	struct sink_file *file;
	uint64_t first, count;
	bool digests; /* only their digests */
};

/* Chunks on disk waiting to be looked at. */
struct sink_keep_item {
	struct list link;
	struct sink_keep piece;
	uint8_t digests[]; /* where piece.digests points to, when it is not NULL */
};

/* How a tree or a file at the top ends; each step is one order of directories. */
enum sink_step { STEP_WORK, STEP_SYNC, STEP_RENAME, STEP_SYNC_RENAME, STEP_REMOVE, STEP_OVER };

struct sink {
	struct sink_params params; /* texts are owned copies */
	char *remote, *name, *hidden, *reserved, *integrity;
	char *partial; /* the path of the hidden name, beside `name` */
	struct sink_watch watch;
	struct sink_count count;
	uint64_t moved; /* see sink_moved() */

	/* the tree */
	struct list dirs;    /* all that are not done */
	unsigned dir_count;  /* length of dirs */
	struct sink_dir *at; /* the directory that the listing is in */
	uint64_t
		beyond; /* directories that it is in below that, of which no path can be written: they are passed over */
	bool begun;     /* the first entry came */
	bool staged;    /* the tree grows under the hidden name */
	bool sweeps;    /* where an earlier run may have begun it */
	bool listing;   /* the LIST is unanswered, or not all of it is taken */
	bool list_over; /* it is answered */
	struct buf
		backlog; /* entries that came and are not taken, from `backlog_at` on: no credit is granted meanwhile */
	size_t backlog_at;
	size_t texts; /* bytes, see TEXTS_MAX */
	bool list_sent;
	bool list_differs;   /* asked for again it was another one */
	uint64_t list_taken; /* bytes of entries, and what they hash to */
	uint64_t list_hash;
	uint64_t list_skip; /* asked for again: bytes to come that were taken before, and what they hash to so far */
	uint64_t list_rehash;
	uint64_t list_received; /* bytes of entries */
	uint64_t list_granted;
	unsigned live;         /* files, directories and links not done */
	struct list dir_queue; /* struct dir_item: operations in their order */
	bool dir_busy;         /* an order of directories is out */
	enum sink_step step;

	/* the files */
	struct list unknown; /* UNKNOWN: to be probed before anything else */
	struct list fresh;   /* FRESH */
	struct list ready;   /* READY: a file of one chunk is written on the way; and DOOMED */
	struct list files;   /* all others */
	struct list items;   /* chunks and holes of larger files */
	uint64_t holes;      /* pieces of holes there, or out */
	struct list asks;    /* ranges to be asked for again */
	struct list keeps;   /* struct sink_keep_item */
	unsigned keeps_out;  /* orders */
	unsigned out;        /* orders out */

	/* the lanes */
	struct sink_lane main;    /* the first; its memory is the sink's */
	struct list lanes;        /* struct sink_lane, those that are there */
	unsigned lane_count;      /* length of lanes */
	struct sink_lane *lister; /* of which the LIST is asked */
	uint64_t began;           /* ns; 0 = nothing granted yet */
	uint64_t spent;           /* payload bytes that came over lanes that are gone */

	bool aborted;
	bool leave;         /* aborted from outside: what was begun stays, for another run */
	enum fault fault;   /* FAULT_NONE, the one cause, or FAULT_MIXED */
	struct error first; /* the first failure */
};

enum { SINK_LIST_REQUEST = 1 };

/* sink.c */
/* Gives up, but the session goes on: the ends of what was asked for are awaited. */
void sink_cancel(struct sink *sink);
void sink_report(struct sink *sink, enum fault fault, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Takes what is listed, as far as there is room for it. */
void sink_list_go_on(struct sink *sink);
/* What is not taken never will be. */
void sink_list_drop(struct sink *sink);
/* All of it was taken. */
int sink_list_close(struct sink *sink, struct error *err);
/* The listing is asked of another lane, from its beginning. */
void sink_list_again(struct sink *sink, struct sink_lane *lane);
/* sink_lane.c */
void sink_lane_init(struct sink_lane *lane, struct sink *sink, uint32_t requests_max, uint64_t consumed,
                    uint64_t granted);
void sink_lanes_drop(struct sink *sink); /* frees them; no order is out */
/* A chunk that came over it is done with, or thrown away. */
void sink_lane_consume(struct sink_lane *lane, uint64_t bytes);
/* The same for one that is a piece. */
void sink_lane_release(struct sink_lane *lane, uint64_t bytes);
int sink_lane_credit(struct sink_lane *lane, struct buf *out, uint64_t now);
/* There may be several. */
static inline bool sink_spreads(const struct sink *sink)
{
	return sink->params.lanes > 1 || sink->params.shared;
}
/* Among how many the work is to be shared. */
static inline unsigned sink_width(const struct sink *sink)
{
	return sink->lane_count > sink->params.lanes ? sink->lane_count : sink->params.lanes;
}
/* For how many the ranges of a large file are made: of what one owes others that join later take nothing. */
static inline unsigned sink_parts(const struct sink *sink)
{
	unsigned width = sink_width(sink);

	return sink->params.shared && width < PARTS_LEAST ? PARTS_LEAST : width;
}
/* Whether one more thing may be asked of it. */
bool sink_lane_may_ask(const struct sink_lane *lane);
/* And whether that may be a range of a file. */
bool sink_lane_may_ask_range(const struct sink_lane *lane);
/* What it owes of large files is asked of others. */
void sink_lane_return(struct sink_lane *lane);
/* What it owes is less by so many bytes. */
void sink_lane_came(struct sink_lane *lane, struct sink_request *request, uint64_t bytes);
void sink_request_free(struct sink_lane *lane, struct sink_request *request);
/* The chunks are among those that it asked for. */
static inline bool sink_request_covers(const struct sink_request *request, uint64_t first, uint64_t count)
{
	return first >= request->first && first - request->first <= request->count &&
	       count <= request->count - (first - request->first);
}
/* sink_tail.c: the last of a job */
/* Worth a call whenever something came. */
void sink_tail_pace(struct sink_lane *lane, uint64_t now);
/* One with nothing to do: takes back what the slowest owes, where it is much slower. */
void sink_tail_relieve(struct sink_lane *idle);
/* It was relieved, and there are others to ask. */
bool sink_tail_spares(const struct sink_lane *lane);
/* sink_tree.c */
char *sink_local_path(const struct sink *sink, const char *name); /* caller frees; NULL = out of memory */
bool sink_tree_next(struct sink *sink, struct sink_order *order);
void sink_tree_done(struct sink *sink, struct sink_order *order);
/* sink_dir.c: directories and links */
/* -ENAMETOOLONG: it has no path that can be written; what is in it will be passed over. */
int sink_dir_add(struct sink *sink, const struct entry *entry, struct error *err);
int sink_dir_up(struct sink *sink, const struct entry *entry, struct error *err);
int sink_link_add(struct sink *sink, const struct entry *entry, struct error *err);
/* What an earlier run may have left under this name belongs into the directory. -ENOMEM. */
int sink_dir_note(struct sink_dir *dir, const char *name, size_t len);
void sink_dir_release(struct sink *sink, struct sink_dir *dir); /* one thing in it is done */
bool sink_dirs_take(struct sink *sink, struct sink_order *order);
void sink_dir_done(struct sink *sink, struct sink_dir_piece *piece);
void sink_dirs_forget(struct sink *sink); /* frees what is queued */
void sink_dirs_drop(struct sink *sink);   /* the same, and all directories */
static inline bool sink_verifying(const struct sink *sink)
{
	return (sink->params.flags & SINK_FLAG_VERIFY) != 0;
}
/* sink_file.c: making */
int sink_file_add(struct sink *sink, struct sink_dir *dir, const struct entry *entry, struct error *err);
/* Bytes of its paths. */
static inline size_t sink_file_texts(const struct sink_file *file)
{
	return strlen(file->name) + strlen(file->path) + (file->final != NULL ? strlen(file->final) : 0);
}
/* The name of a file as messages show it. */
const char *sink_file_text(const struct sink *sink, const struct sink_file *file, char *out, size_t size);
/* sink_life.c: life and death */
/* Into that state, and into the queue of those that are in it. */
void sink_file_move(struct sink *sink, struct sink_file *file, enum sink_file_state state);
/* Nothing more of it is taken. */
static inline bool sink_file_failed(const struct sink_file *file)
{
	return file->state >= SINK_FILE_FAILED;
}
/* What comes of it is wanted. */
static inline bool sink_file_takes(const struct sink_file *file)
{
	return file->state == SINK_FILE_WHOLE || file->state == SINK_FILE_PARTS;
}
void sink_file_fail(struct sink *sink, struct sink_file *file, enum fault fault, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* From the beginning, before all others, as if nothing of it were there. */
void sink_file_restart(struct sink *sink, struct sink_file *file);
void sink_file_free(struct sink *sink, struct sink_file *file);
/* Goes on with a failed file when nothing of it is out: removes what was written, then frees it. */
void sink_file_bury(struct sink *sink, struct sink_file *file);
void sink_file_abort(struct sink *sink);  /* all of them */
void sink_file_forget(struct sink *sink); /* the same, and no end is awaited */
void sink_file_drop(struct sink *sink);   /* frees all of them */
/* Its only chunk, which waits for the end of the file, is thrown away. */
void sink_held_drop(struct sink *sink, struct sink_file *file);
/* sink_ask.c: asking */
int sink_file_requests(struct sink_lane *lane, struct buf *out);
/* A READ that is not answered and will not be. Of a sink that gave up nothing is asked again. */
void sink_file_unask(struct sink *sink, struct sink_request *request);
uint64_t sink_file_chunks(const struct sink *sink, uint64_t size);
/* Asks for a range, behind one that ends where it begins. -ENOMEM. */
int sink_ask_range(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, bool digests);
void sink_asks_drop(struct sink *sink, const struct sink_file *file); /* NULL: of all files */
bool sink_asks_open(const struct sink *sink, const struct sink_file *file);
/* Asks for what is missing of it below its horizon, at the front of the queue. */
int sink_ask_rest(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count);
/* sink_reuse.c: what is there already */
bool sink_reuse_next(struct sink *sink, struct sink_order *order);
void sink_probes_done(struct sink *sink, struct sink_order *order);
void sink_keeps_done(struct sink *sink, struct sink_order *order);
bool sink_reuse_hole(struct sink *sink, struct sink_request *request, uint64_t first, uint64_t count);
/* Nothing of the file is out: goes on with the chunks behind the horizon; false when there are none. */
bool sink_reuse_advance(struct sink *sink, struct sink_file *file);
/* All of it was looked at: whether it stays as it stands, or is reported, and nothing is to be published. */
bool sink_reuse_settle(struct sink *sink, struct sink_file *file);
void sink_reuse_drop(struct sink *sink, struct sink_file *file); /* what waits to be looked at; NULL: of all files */
/* sink_chunk.c: what comes of them, and whether it is all */
int sink_file_end(struct sink_lane *lane, const struct end *end, struct error *err);
/* A READ of it is over. False: what it said is of no use any more. */
bool sink_file_answered(struct sink *sink, struct sink_file *file);
/* Asks again for `count` chunks; false when the file failed over it. */
bool sink_ask_again(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, const char *cause);
/* Looks whether a file of several chunks is complete, and goes on with it. */
void sink_file_settle(struct sink *sink, struct sink_file *file);
/* The same for one that fits in one chunk. */
void sink_small_settle(struct sink *sink, struct sink_file *file);
/* sink_order.c: orders and their results */
int sink_item_add(struct sink *sink, const struct sink_piece *piece);
bool sink_file_next(struct sink *sink, struct sink_order *order);
void sink_file_done(struct sink *sink, struct sink_order *order);

#endif
