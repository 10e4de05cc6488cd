/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of a connection that has the files: carries out the orders of a source. */
#ifndef XFER_TESTS_SIM_SENDER_H
#define XFER_TESTS_SIM_SENDER_H

#include "session/source.h"
#include "sim-end.h"
#include "sim-tree.h"

struct sim_sender {
	struct sim_end end;
	struct sim_tree *tree;
	struct source *source; /* NULL: over */
	struct list spare;     /* jobs that came back */
	unsigned jobs;         /* orders out */
	unsigned handles;      /* kept by the source */
	uint64_t credit;       /* payload bytes granted, as it came */
	uint64_t reserved;     /* of it, by orders out */
	uint64_t sent;
	uint8_t *late; /* a chunk that comes once more, behind the end of its request */
	size_t late_len;
	bool over; /* no more orders; the source goes when the last is back */
};

extern const struct sim_end_watch sim_sender_watch;

void sim_sender_make(struct sim_sender *sender, struct sim_tree *tree);
/* Everything is given back. */
bool sim_sender_over(const struct sim_sender *sender);

#endif
