/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers gathered for one call of the integrity plug-in. */
#include "pipeline/batch.h"

void batch_init(struct batch *batch, const struct suite *suite)
{
	batch->integrity = suite->integrity;
	batch->bytes = 0;
	batch->count = 0;
}

void batch_add(struct batch *batch, const void *bytes, size_t len, uint8_t *out)
{
	union {
		const void *from;
		void *base; /* the plug-in only reads it */
	} buffer = { .from = bytes };

	batch->buffers[batch->count] = (struct iovec){ .iov_base = buffer.base, .iov_len = len };
	batch->outs[batch->count] = out;
	batch->bytes += len;
	batch->count++;
}

int batch_run(struct batch *batch)
{
	size_t count = batch->count;

	batch->count = 0;
	if (count == 0)
		return 0;
	return plugin_digest_many(batch->integrity, batch->buffers, count, batch->outs);
}
