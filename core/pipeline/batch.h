/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to this floor: buffers gathered for one call of the integrity plug-in. */
#ifndef XFER_PIPELINE_BATCH_H
#define XFER_PIPELINE_BATCH_H

#include "pipeline/job.h"

#include <stddef.h>
#include <stdint.h>

enum { BATCH_MAX = 128 }; /* buffers */

struct batch {
	const struct plugin *integrity;
	uint64_t bytes; /* digested so far */
	size_t count;   /* waiting */
	struct iovec buffers[BATCH_MAX];
	uint8_t *outs[BATCH_MAX];
};

void batch_init(struct batch *batch, const struct suite *suite);
/* There is room (count < BATCH_MAX). The digest of the buffer is at `out` after the next batch_run(). */
void batch_add(struct batch *batch, const void *bytes, size_t len, uint8_t *out);
int batch_run(struct batch *batch); /* empties it, also where it fails */

#endif
