/* SPDX-License-Identifier: BSD-2-Clause */
/* An order of a sink as a job of the pipeline, there and back. Private to receiving*.c. */
#ifndef XFER_ENGINE_RECEIVING_ORDER_H
#define XFER_ENGINE_RECEIVING_ORDER_H

#include "engine/receiving.h"
#include "pipeline/keep.h"
#include "pipeline/probe.h"

/* An order under way. */
struct receiving_job {
	union {
		struct job job;
		struct write_job write;
		struct dir_job dir;
		struct probe_job probe;
		struct keep_job keep;
	};
	struct sink_order order;
};

/* Makes the job of work->order; all but whose it is. -ENOBUFS: a keep has no buffer to read into, try again later. */
int receiving_order_begin(struct receiving *receiving, struct receiving_job *work);
/* Puts the results into work->order. */
void receiving_order_end(struct receiving_job *work);

#endif
