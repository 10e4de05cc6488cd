/* SPDX-License-Identifier: BSD-2-Clause */
/* What every kind of job has: where in the pipeline it is. */
#include "pipeline/job.h"

#include "base/clock.h"

void job_stage(struct job *job, uint32_t stage)
{
	atomic_store_explicit(&job->stage_since, clock_monotonic(), memory_order_relaxed);
	atomic_store_explicit(&job->stage, stage, memory_order_relaxed);
}
