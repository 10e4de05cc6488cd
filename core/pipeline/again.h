/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a batch of frames was made of, so that its bytes can be had again: the buffer of one that does not get on is
 * given to others, and what is left of it is read again when its turn has come. What is no payload is kept.
 *
 * Where the file changed meanwhile the bytes cannot be had any more, which is an error: they would be a mixture.
 */
#ifndef XFER_PIPELINE_AGAIN_H
#define XFER_PIPELINE_AGAIN_H

#include "pipeline/job.h"
#include "pipeline/lend.h"
#include "pipeline/read.h"

#include <stdbool.h>

struct again;

/* Of a read job that came back, with frames to be sent. Keeps its files by references. NULL: out of memory. */
struct again *again_create(const struct read_job *job);
/* One more who needs it; loop thread. Each of them destroys it; NULL is allowed. */
struct again *again_ref(struct again *again);
void again_destroy(struct again *again);
bool again_noted(const struct again *again);
/* Takes down the job's frames, `len` bytes as they came; from now on they can be had again. -ENOMEM. */
int again_note(struct again *again, const uint8_t *bytes, size_t len);
/* The same of a job with `piped`, whose frames stand there without their payload. Its files stay open. */
int again_note_heads(struct again *again, const uint8_t *bytes, size_t len);
/* What comes at byte `from` of the batch, and how much of it: kept bytes, borrowed; or payload, then NULL. */
const uint8_t *again_at(const struct again *again, size_t from, size_t *len);

struct again_job {
	struct job job;
	struct again *again; /* noted; a reference */
	size_t from;         /* bytes of the batch before those that are wanted */
	size_t len;          /* bytes wanted, into the front of the buffer */
	struct lent *buffer;
	int code; /* 0; -ESTALE: the file changed; or what reading it failed with */
};

#endif
