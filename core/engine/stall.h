/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stall has a name: how long nothing has come that was asked for, and what the peer said of itself meanwhile, in
 * heartbeats or pongs.
 */
#ifndef XFER_ENGINE_STALL_H
#define XFER_ENGINE_STALL_H

#include "engine/channel.h"

enum { STALL_TEXT_MAX = 160 };

/* Something must have been missing for so long before it has a name. */
#define STALL_NAMED (2 * CLOCK_SECOND)

struct stall {
	uint64_t moved;            /* the highest count so far */
	uint64_t since;            /* steady ns: when it grew last, or nothing was waited for */
	char text[STALL_TEXT_MAX]; /* "peer alive, blocked in sync for 40 s"; "" = nothing stalls */
};

struct stall_look {
	const struct channel *channel;
	uint64_t moved; /* grows with what the peer does for us; liveness does not count */
	bool waits;     /* for the peer */
	/* What we do ourselves: a disk of ours that is blocked is not the peer's stall. Stage and age; NULL = nothing */
	const struct xfer_progress *ours;
};

/* The name of XFER_STAGE_*. */
const char *stall_stage(uint32_t stage);
void stall_begin(struct stall *stall, uint64_t now);
/* Fills stall->text. Returns for how long the peer has owed us something, in ns; 0 while it is not to blame. */
uint64_t stall_look(struct stall *stall, const struct stall_look *look, uint64_t now);

#endif
