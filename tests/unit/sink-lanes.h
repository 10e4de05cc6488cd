/* SPDX-License-Identifier: BSD-2-Clause */
/* The world of test-sink-lanes, which follows from its seed. */
#ifndef XFER_TESTS_LANES_H
#define XFER_TESTS_LANES_H

#include "base/clock.h"
#include "session/sink.h"
#include "unit.h"

enum { CHUNK = 1024, DIGEST = 8, LANES = 4, FILES = 24, READS = 256, ORDERS = 64, SEEDS = 1500, STEPS = 400000 };

struct file {
	uint64_t listed, size; /* bytes; as the listing says, as it is */
	uint64_t chunks;
	uint8_t *now, *old; /* right (1) or not, for each chunk: what is being written, what stood there */
	bool has_old, done, holes;
	unsigned published;
};

struct read {
	uint32_t id;
	unsigned file;
	uint64_t next, end, size;
	bool digests, part, cancelled;
};

struct lane {
	struct sink_lane *lane; /* NULL: there is none */
	struct read reads[READS];
	unsigned count;
	uint64_t granted, received;
	bool yields;
};

struct world {
	uint64_t seed, random, now;
	struct sink *sink;
	struct sink_params params;
	struct file files[FILES];
	unsigned file_count, tokens, cuts, out, lane_max, damage;
	bool listed;
	int lister;           /* which lane was asked for the list; -1: none */
	unsigned list_at;     /* how much of it was sent over it */
	uint64_t granted_all; /* new credit, of all lanes */
	struct lane lanes[LANES];
	struct sink_order *orders[ORDERS];
};

#define MUST(world, holds)                                                                                             \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)(world)->seed, __FILE__,         \
			        __LINE__, #holds);                                                                     \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

uint64_t lanes_below(struct world *world, uint64_t limit); /* 0 ... limit - 1 */
/* lanes-disk.c: begins an order, or ends one of those that are out; false when there is none. */
bool lanes_order_take(struct world *world);
bool lanes_order_back(struct world *world);

#endif
