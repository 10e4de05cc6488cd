/* SPDX-License-Identifier: BSD-2-Clause */
/* A READ of digests beside a transfer: that the source answers it, and rightly, whatever else it is asked for. */
#ifndef XFER_TESTS_SIM_VERIFY_H
#define XFER_TESTS_SIM_VERIFY_H

#include "sim-end.h"
#include "sim-tree.h"

struct sim_verify {
	struct sim_end *end;
	struct sim_node *node;  /* the file; NULL: nothing was asked for */
	uint64_t size;          /* that was believed */
	uint64_t first, behind; /* chunks */
	uint64_t came;
	bool over;
};

void sim_verify_ask(struct sim_verify *verify, struct sim_end *end, const struct sim_tree *tree);
/* Digests came: true when they are ours. */
bool sim_verify_run(struct sim_verify *verify, uint32_t request, const struct message_digest_run *run);
/* Whether the end is of this request. */
bool sim_verify_end(struct sim_verify *verify, const struct end *end);

#endif
