/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time. Everything is uint64_t nanoseconds of the monotonic clock.
 *
 * A steady clock leaves out the time in which this process itself did not run (SIGSTOP, a suspended machine): the
 * owner ticks it at least every CLOCK_TICK; a gap beyond CLOCK_PAUSE is taken as our own pause and forgiven, so that no
 * deadline of a peer runs out while we were the one who slept.
 */
#ifndef XFER_BASE_CLOCK_H
#define XFER_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_MS UINT64_C(1000000)
#define CLOCK_SECOND UINT64_C(1000000000)
#define CLOCK_NEVER UINT64_MAX
#define CLOCK_TICK (250 * CLOCK_MS)
#define CLOCK_PAUSE (1 * CLOCK_SECOND)

uint64_t clock_monotonic(void); /* CLOCK_MONOTONIC, ns */
uint64_t clock_real(void);      /* CLOCK_REALTIME, ns since 1970 */

struct clock_steady {
	uint64_t last;     /* monotonic time of the last tick; 0 = never ticked */
	uint64_t forgiven; /* sum of the pauses left out */
};

/* Reads `raw` (a monotonic time) as steady time; *paused (may be NULL) says whether a pause was forgiven just now. */
uint64_t clock_steady_tick(struct clock_steady *clock, uint64_t raw, bool *paused);

#endif
