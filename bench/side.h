/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one side of a transfer costs: the processor time of all its processes, and their memory.
 *
 * With a control group the kernel keeps the account, to the nanosecond, and nothing that ends is forgotten. Without one
 * it is the sum over a process, its living descendants and those that they waited for, in ticks of the clock.
 */
#ifndef XFER_BENCH_SIDE_H
#define XFER_BENCH_SIDE_H

#include <sys/types.h>

struct side {
	const char *group; /* folder of its control group, NULL = none */
	pid_t root;        /* first of its processes, 0 = not there; what counts without a group */
	long peak_kib;     /* highest sum of VmHWM over its processes that lived at one time */
};

/* Moves the calling process into `group`. 0 or -errno. */
int side_join(const char *group);

/* Seconds of processor time so far; what it took between two calls is the difference. 0 or -errno. */
int side_cpu(const struct side *side, double *out);

/* Looks at the memory of its processes, and keeps the highest. */
void side_sample(struct side *side);

/* Forgets the peak, here and in the kernel, which takes up from what is in memory now. */
void side_forget(struct side *side);

#endif
