/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sink without anything around it: the test says what comes, sees what is asked for and what is ordered. Digests are
 * what the test says they are.
 */
#ifndef XFER_TESTS_SINK_RIG_H
#define XFER_TESTS_SINK_RIG_H

#include "base/clock.h"
#include "session/sink.h"

enum { RIG_CHUNK = 1024, RIG_DIGEST = 8, RIG_ASKED_MAX = 2048, RIG_LIST = 1 /* request */ };

/* A READ item. */
struct rig_read {
	uint32_t id;
	uint64_t first, count, size;
	uint8_t flags;
	char path[160];
};

struct rig {
	struct sink_params params;
	struct sink *sink;
	struct buf run; /* entries in the making */
	/* What it sent. */
	struct rig_read asked[RIG_ASKED_MAX];
	size_t asked_count;
	uint64_t credit, list_credit; /* the last totals */
	uint32_t cancelled[16];
	unsigned cancel_count, list_count;
	/* What it holds, and what it told. */
	unsigned tokens;
	uint64_t received;
	unsigned done, failed, skipped, same, differ;
	enum fault fault;
	char text[ERROR_TEXT_MAX];
	/* What became of orders: a code for the next pieces of an operation, once. */
	int codes[SINK_ABANDON + 1];
	int dir_codes[SINK_DIR_REMOVE + 1];
	unsigned orders, pieces[SINK_ABANDON + 1], dirs[SINK_DIR_REMOVE + 1];
	enum sink_found found; /* of every probe */
	uint64_t wrong;        /* chunks that are not kept: bits of the index */
	bool existed;          /* directories that are made */
	struct nameset names;  /* of the last sweep: what was to stay */
};

/* A file, a tree ("x" to "x"), with the flags; params may be changed before rig_begin(). */
void rig_init(struct rig *rig, unsigned flags);
int rig_begin(struct rig *rig);
void rig_free(struct rig *rig);

/* What the source sends. */
void rig_entry(struct rig *rig, enum entry_kind kind, const char *name, uint64_t size);
int rig_list(struct rig *rig, struct error *err); /* the entries so far, as a run */
int rig_chunk(struct rig *rig, uint32_t id, uint64_t index, uint32_t length, struct error *err);
int rig_end(struct rig *rig, uint32_t id, enum status status, uint64_t size, struct error *err);
/* Chunks and the end of what was asked for, all of it. */
int rig_answer(struct rig *rig, const struct rig_read *read);

/* As a source that has to wait: until the LIST came, and credit for so many bytes. Memory is not short meanwhile. */
void rig_await(struct rig *rig, uint64_t bytes);
/* Takes what it sends; the items are asked[before ...]. */
int rig_frames(struct rig *rig, uint64_t now);
/* Carries out one order, or all that there are. */
bool rig_order(struct rig *rig);
void rig_orders(struct rig *rig);
/* Everything, until nothing happens any more; each READ is answered in full. */
int rig_run(struct rig *rig);

#endif
