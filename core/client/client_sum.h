/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the sources of one job come to together (a get of several URLs, a put of several files): the numbers of the
 * summary, the line of progress, and the fault that the program ends with.
 */
#ifndef XFER_CLIENT_CLIENT_SUM_H
#define XFER_CLIENT_CLIENT_SUM_H

#include "client/client_state.h"
#include "engine/stall.h"

struct client_sum {
	struct client_summary *summary; /* borrowed */
	struct client_progress progress;
	uint64_t began;                 /* steady ns */
	struct error first;             /* the first failure */
	enum fault fault;               /* FAULT_MIXED for different causes */
	char waits[RECONNECT_TEXT_MAX]; /* what progress.stall may point to */
};

/* One source after the other. */
struct client_sources {
	size_t count;
	/*
	 * The source of that index. What failed of it is in *sum and was told; an error is returned when the session is
	 * lost with it, or the user interrupted.
	 */
	int (*one)(void *context, size_t index, struct client_sum *sum, struct error *err);
	void *context;
};

/* The line of progress, but for its numbers. channel: of which the round trip is told, NULL: of none. */
void client_sum_fill(struct client_sum *sum, struct client *client, const struct channel *channel,
                     const struct stall *stall);
void client_sum_tell(const struct client_sum *sum, const struct client *client);
/* A failure, told already. */
void client_sum_fault(struct client_sum *sum, const struct error *err);
/*
 * Runs all sources, though one fails, until the user interrupts; fills the summary and lets go of the session. An empty
 * err->text means that everything was told.
 */
int client_sum_run(struct client *client, const struct client_sources *sources, struct client_summary *summary,
                   struct error *err);

#endif
