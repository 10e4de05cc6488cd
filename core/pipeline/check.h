/* SPDX-License-Identifier: BSD-2-Clause */
/* The check job: a control frame whose body ends with the digest of what stands before it (ENTRIES, ENDS). */
#ifndef XFER_PIPELINE_CHECK_H
#define XFER_PIPELINE_CHECK_H

#include "pipeline/job.h"

struct check_job {
	struct job job;
	const uint8_t *body; /* in a buffer that the loop holds */
	size_t len;
	/* Result: 0 or -EBADMSG. The run is the first len - digest_size bytes. */
	int code;
};

#endif
