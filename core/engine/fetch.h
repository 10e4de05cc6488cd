/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching at the client: carries out the orders of a sink through the pipeline, and feeds it with what comes. */
#ifndef XFER_ENGINE_FETCH_H
#define XFER_ENGINE_FETCH_H

#include "engine/client_state.h"
#include "engine/receiving.h"

struct fetch;

/* Where one source goes. */
struct fetch_place {
	struct store_root *root; /* borrowed; the folder that gets it */
	const char *name;        /* what it is called there */
	bool name_exists;
	bool name_is_dir;
};

/* What a fetch adds to: the job as a whole. */
struct fetch_sum {
	struct client_summary *summary;
	struct client_progress progress;
	uint64_t began; /* steady ns */
	struct error first;
	enum fault fault;
};

/*
 * Fetches one file or tree; returns when all is published, or removed again. What failed is in *sum and was told to the
 * watch; an error is returned when there is no use in going on with the next source (interrupted, peer dead).
 */
int fetch_run(struct client *client, const struct url *url, const struct fetch_place *place, struct fetch_sum *sum,
              struct error *err);
/* Adds a failure to the sum. */
void fetch_fault(struct fetch_sum *sum, const struct error *err);

#endif
