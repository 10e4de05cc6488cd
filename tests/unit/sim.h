/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator's heart: a seed, the random numbers that follow from it, a clock that moves from event to event, and a
 * verdict. Everything that happens in a run follows from its seed, so that a failure is repeated by
 *     tests/unit/test-session-sim SEED
 * which also tells what happens, step by step.
 *
 *   sim-run       a world: a tree, a disk, connections one after the other until all is fetched or given up
 *   sim-end       one end of a connection: frames, hello, pulse             (in the program: engine/channel.c, link.c)
 *   sim-stream    the bytes between the ends: delay, pieces, death
 *   sim-sender    carries out the orders of a source                        (engine/sending.c, pipeline/read*.c, list.c)
 *   sim-receiver  carries out the orders of a sink                          (engine/receiving.c, checks.c)
 *   sim-writer    the file being written                                    (pipeline/write*.c, dir.c)
 *   sim-tree      what the source has; changes while it is read
 *   sim-disk      what the sink writes to; operations fail on purpose
 *
 * Nothing here knows which program is the client: the side with the tree may be either.
 */
#ifndef XFER_TESTS_SIM_H
#define XFER_TESTS_SIM_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;

/* Embedded in whatever has something to do at a time. */
struct sim_event {
	struct heap_node node;
	void (*run)(struct sim *sim, struct sim_event *event);
};

/* What can go wrong. Each place where it may asks sim_strikes(). */
enum sim_strike {
	STRIKE_DAMAGE,  /* a payload is damaged behind its digest */
	STRIKE_LOSE,    /* the source forgets a chunk */
	STRIKE_REPEAT,  /* the source sends a chunk twice */
	STRIKE_STRAY,   /* the source sends a chunk that was not asked for, or is none of its file */
	STRIKE_LIE,     /* the source breaks the protocol, or tells of what is not so */
	STRIKE_DIGEST,  /* the source gives a wrong file digest */
	STRIKE_FLIP,    /* a bit flips on the way */
	STRIKE_CUT,     /* the connection breaks */
	STRIKE_HANG,    /* the connection falls silent */
	STRIKE_CHANGE,  /* a file at the source changes */
	STRIKE_VANISH,  /* it is removed */
	STRIKE_READ,    /* it cannot be read */
	STRIKE_WALK,    /* a listing breaks off */
	STRIKE_WRITE,   /* an operation of the sink's disk fails */
	STRIKE_FULL,    /* and from there on all that need room */
	STRIKE_CANCEL,  /* the user gives up */
	STRIKE_CRASH,   /* the receiving program is killed */
	STRIKE_JOURNAL, /* the journal of an earlier run lies */
	STRIKE_ROT,     /* what an earlier run left on the disk is not what it was */
	STRIKE_MEMORY,  /* an allocation fails */
	STRIKES
};

struct sim_odds {
	unsigned left;   /* strikes to come */
	unsigned wait;   /* opportunities to let pass before the next */
	unsigned spread; /* after each, so many at most are let pass */
	unsigned hits;
};

enum sim_datagrams { SIM_NO_DATAGRAMS, SIM_DEAF, SIM_HEARD };

/* What a seed decides at its beginning. */
struct sim_plan {
	bool source_connects; /* a put: the side with the tree is the client */
	enum sim_datagrams datagrams;
	uint64_t net_delay, disk_delay, hash_delay; /* ns, the most that is usual */
	uint32_t net_room;                          /* bytes under way in one direction */
	uint32_t chunk_client, chunk_daemon;        /* bytes */
	unsigned integrity;                         /* which of the names is preferred */
	uint32_t requests_max;
	uint64_t window, order_payload, read_payload, ahead;
	uint64_t limit_rate;
	unsigned open_max, reads_max, writes_max;
	bool sync, totals;
	unsigned transfers;
	unsigned nodes; /* of the tree */
	bool restless;  /* files change between two connections */
	bool odd;       /* what cannot be represented, what cannot be read */
	bool verify;    /* digests are asked for beside the transfer */
	uint64_t keep_payload;
	unsigned keeps_max;
};

struct sim {
	uint64_t seed;
	uint64_t random;
	uint64_t now;    /* ns, steady */
	uint64_t moved;  /* when something other than a heartbeat happened last */
	uint64_t events; /* so far */
	uint64_t closes; /* serial of what is stamped on the disk */
	bool trace;
	bool calm; /* nothing goes wrong any more */
	struct heap queue;
	struct sim_plan plan;
	struct sim_odds odds[STRIKES];
	struct sim_block *blocks; /* memory of this run, freed as one */
	size_t room;
	uint8_t *at;
};

enum { SIM_EVENTS_MAX = 4000000, SIM_PATH_MAX = 4096 };
#define SIM_STUCK (300 * CLOCK_SECOND)

void sim_begin(struct sim *sim, uint64_t seed, bool trace);
void sim_end(struct sim *sim);
void sim_tidy(void); /* frees what runs leave for one another */
long sim_live(void); /* allocations that are not freed, beside those of the simulator itself */
/* For the handler of a crash: what was being run, 0 = nothing. */
uint64_t sim_running(void);

uint64_t sim_number(struct sim *sim);                /* any */
uint64_t sim_below(struct sim *sim, uint64_t limit); /* 0 ... limit - 1 */
bool sim_chance(struct sim *sim, unsigned percent);
uint64_t sim_around(struct sim *sim, uint64_t most); /* mostly small, at most `most`, seldom ten times as much */
bool sim_strikes(struct sim *sim, enum sim_strike strike);
unsigned sim_struck(const struct sim *sim); /* how often, so far */

void *sim_take(struct sim *sim, size_t size); /* zeroed; until sim_end() */
void *sim_take_raw(struct sim *sim, size_t size);

void sim_after(struct sim *sim, struct sim_event *event, uint64_t delay, void (*run)(struct sim *, struct sim_event *));
void sim_never(struct sim *sim, struct sim_event *event);
/* Runs the next event; false when there is none. */
bool sim_step(struct sim *sim);

/* An invariant is broken: says so, with the seed, and ends the program. */
void sim_fail(const struct sim *sim, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
#define sim_check(sim, holds, ...)                                                                                     \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			sim_fail((sim), __VA_ARGS__);                                                                  \
	} while (0)
void sim_tell(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define sim_say(sim, ...)                                                                                              \
	do {                                                                                                           \
		if ((sim)->trace)                                                                                      \
			sim_tell((sim), __VA_ARGS__);                                                                  \
	} while (0)

/* Around every call into the session floor: only there does memory run out. */
void sim_enter(struct sim *sim);
void sim_leave(struct sim *sim);

/* A digest of its own, and how long it is: 8 bytes again and again. */
uint64_t sim_hash(const void *bytes, size_t len);
void sim_digest(uint8_t *out, uint32_t size, uint64_t hash);

#endif
