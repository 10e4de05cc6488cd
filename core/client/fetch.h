/* SPDX-License-Identifier: BSD-2-Clause */
/* Fetching at the client: carries out the orders of a sink through the pipeline, and feeds it with what comes. */
#ifndef XFER_CLIENT_FETCH_H
#define XFER_CLIENT_FETCH_H

#include "client/client_sum.h"
#include "engine/receiving.h"

/* Where one source goes. */
struct fetch_place {
	struct store_root *root; /* borrowed; the folder that gets it */
	const char *name;        /* what it is called there */
	unsigned flags;          /* SINK_FLAG_UPDATE and the like */
	bool resume;             /* goes on where an earlier run broke off, and leaves what another may go on with */
	bool sync;
};

/*
 * Fetches one file or tree; returns when all is published, or removed again. What failed is in *sum and was told to the
 * watch; an error is returned when there is no use in going on with the next source (interrupted, peer dead).
 */
int fetch_run(struct client *client, const struct url *url, const struct fetch_place *place, struct client_sum *sum,
              struct error *err);

#endif
