/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many sessions a job takes, where the user does not say. No I/O: what was moved and the time go in, a number comes out.
 *
 * One connection that is far away is often capped by less than the network: by the kernel's limit of a send buffer, which
 * bounds what may be under way in a round trip, or by what a loss does to it. So a job begins with one session, and when its
 * rate does not rise any more, some are tried beside it. What they bring is measured: they stay where the rate rose by a
 * worthwhile share, else they are let go. Near by there is no such cap, and nothing is tried. Where much is to come, they are
 * opened in advance, while the rate of the first still rises, and have nothing to do until it was measured by itself.
 */
#ifndef XFER_CLIENT_GROWTH_H
#define XFER_CLIENT_GROWTH_H

#include "base/clock.h"

#include <stdbool.h>

/* Nearer than that (ns of a round trip) one session is enough: a buffer of 4 MiB makes 800 MB/s of it. */
#define GROWTH_FAR (5 * CLOCK_MS)

enum {
	GROWTH_MOST = 8, /* sessions; as many as browsers and download managers take */
	GROWTH_RATES = 3 /* periods that are looked at together; a period is a round trip */
};

struct growth_look {
	uint64_t now;    /* steady ns */
	uint64_t moved;  /* bytes of the job so far, over all its sessions; less than before: it is another job */
	uint64_t left;   /* bytes that are still to come; UINT64_MAX = nobody knows */
	uint64_t rtt;    /* ns, measured now; 0 = unknown */
	uint64_t limit;  /* bytes a second that the user allows; 0 = any */
	unsigned live;   /* sessions that are open */
	unsigned coming; /* that may be open soon; 0 with fewer than are wanted: more are not to be had */
	bool held;       /* something other than the network holds the job back: a disk, a digest */
};

enum growth_phase {
	GROWTH_MEASURE, /* what so many sessions bring */
	GROWTH_OPEN,    /* the others are on their way */
	GROWTH_TRY,     /* whether they bring more */
	GROWTH_REST     /* until it is worth trying again */
};

/* Rates differ from period to period, most of all where this process has to wait for a processor. */
struct growth_sum {
	uint64_t bytes;
	uint64_t span; /* ns */
};

struct growth {
	enum growth_phase phase;
	unsigned most;           /* sessions */
	unsigned wanted;         /* sessions */
	unsigned before;         /* while trying: how many there were */
	struct growth_sum alone; /* and what they brought */
	struct growth_sum tried; /* in the second half of the trial: what all of them did */
	bool ahead;              /* those beyond the first are opened in advance: they get no work yet */
	bool tested;             /* there was a trial */
	uint64_t rtt;   /* ns, the shortest that was seen: what queues add is none of the distance; 0 = unknown */
	uint64_t at;    /* steady ns, when the period began; 0 = there is none */
	uint64_t moved; /* then */
	uint64_t rates[GROWTH_RATES];         /* bytes a second, of the last periods, the newest first */
	struct growth_sum last[GROWTH_RATES]; /* of which they are */
	unsigned periods;                     /* of this phase */
	uint64_t until;                       /* steady ns: of GROWTH_REST; of what is open in advance */
	uint64_t pause;                       /* ns, of the next rest */
};

void growth_start(struct growth *growth);
/* How many sessions there should be; worth a call whenever something came. */
unsigned growth_look(struct growth *growth, const struct growth_look *look);

#endif
