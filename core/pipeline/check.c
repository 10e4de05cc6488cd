/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash stage of check jobs. */
#include "pipeline/stage.h"

#include <errno.h>

uint64_t check_stage_hash(struct check_job *job)
{
	uint32_t size = job->job.suite->limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];

	if (size == 0) {
		job->code = 0;
		return 0;
	}
	if (job->len < size) {
		job->code = -EBADMSG;
		return 0;
	}
	size_t run = job->len - size;
	job->code = plugin_digest(job->job.suite->integrity, job->body, run, digest);
	if (job->code == 0 && !stage_digest_equal(digest, job->body + run, size))
		job->code = -EBADMSG;
	return run;
}
