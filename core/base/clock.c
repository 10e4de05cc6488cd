/* SPDX-License-Identifier: BSD-2-Clause */
/* Time, and time that leaves out our own pauses. */
#include "base/clock.h"

#include <time.h>

static uint64_t clock_read(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * CLOCK_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_real(void)
{
	return clock_read(CLOCK_REALTIME);
}

uint64_t clock_steady_tick(struct clock_steady *clock, uint64_t raw, bool *paused)
{
	bool forgive = false;

	/* Callers that read the clock before they are delayed may come with an older time: it never goes back. */
	if (raw < clock->last)
		raw = clock->last;
	if (clock->last != 0 && raw - clock->last > CLOCK_PAUSE) {
		/* One tick would have passed anyway; the rest is ours. */
		clock->forgiven += raw - clock->last - CLOCK_TICK;
		forgive = true;
	}
	clock->last = raw;
	if (paused != NULL)
		*paused = forgive;
	return raw - clock->forgiven;
}
