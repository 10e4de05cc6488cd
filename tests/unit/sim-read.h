/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of the orders of a source: a walk through the tree, files that are read. As in pipeline/list.c, read*.c. */
#ifndef XFER_TESTS_SIM_READ_H
#define XFER_TESTS_SIM_READ_H

#include "base/ranges.h"
#include "sim-sender.h"

/* What the source keeps for a request: a file that is read, or a walk through the tree. */
struct sim_reading {
	struct sim_node *node; /* NULL: there is none */
	struct sim_version *version;
	bool opened;
	bool up, begun, held, over; /* of a walk */
	struct sim_node *at;
	uint64_t listed;    /* bytes of entries */
	enum status status; /* why it failed */
	struct ranges sent; /* chunks */
	unsigned out;       /* orders that have a piece of it */
	bool ended;         /* its end was written */
	bool told;          /* and the source knows */
};

struct sim_send_job {
	struct sim_event event;
	struct list link; /* in sender.spare */
	struct sim_sender *sender;
	struct buf control; /* result of a listing */
	uint8_t *bytes;     /* result of a read */
	size_t len;
	struct buf ends;
	struct source_order order;
};

/* The order is carried out: what is to be sent stands in control, or in bytes. */
void sim_list_run(struct sim_send_job *job);
void sim_read_run(struct sim_send_job *job);
/* Ends a run that begins at `start` in a buffer with its digest, and seals the frame. */
void sim_run_seal(const struct sim_sender *sender, struct buf *out, size_t start, enum frame_type type,
                  uint32_t request);

#endif
