/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps a generation's workers complete: who is there, and when a dead one is replaced. */
#include "daemon/generation.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* A worker that keeps dying is replaced at once the first time, then after pauses that double between these. */
#define PAUSE_FIRST (100 * CLOCK_MS)
#define PAUSE_MAX (10 * CLOCK_SECOND)
/* One that lived this long does not keep dying. */
#define LIVED_LONG (60 * CLOCK_SECOND)

int generation_create(struct generation **out, struct settings *settings, struct error *err)
{
	unsigned workers = settings->workers;
	if (workers < 1 || workers > LISTEN_WORKERS_MAX)
		return error_set(err, -EINVAL, FAULT_USAGE, "[daemon] workers = %u: it is 1 to %d", workers,
		                 LISTEN_WORKERS_MAX);
	if (settings->listen_count == 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "[daemon] listen: there is nothing to listen on");
	struct generation *generation = calloc(1, sizeof *generation + workers * sizeof generation->slots[0]);
	if (generation == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot keep %u workers", workers);
	for (unsigned at = 0; at < workers; at++)
		generation->slots[at].restart = CLOCK_NEVER;
	generation->workers = workers;
	generation->settings = settings;
	*out = generation;
	return 0;
}

void generation_free(struct generation *generation)
{
	if (generation == NULL)
		return;
	listen_set_free(&generation->sockets);
	settings_free(generation->settings);
	free(generation);
}

void generation_put(struct generation *generation, struct child *child)
{
	struct generation_slot *slot = &generation->slots[child->order.index];
	slot->child = child;
	slot->restart = CLOCK_NEVER;
	child->generation = generation;
}

void generation_vacate(struct generation *generation, const struct child *child, uint64_t now)
{
	struct generation_slot *slot = &generation->slots[child->order.index];
	if (now - child->started >= LIVED_LONG)
		slot->pause = 0;
	slot->child = NULL;
	generation_delay(generation, child->order.index, now);
}

void generation_delay(struct generation *generation, unsigned index, uint64_t now)
{
	struct generation_slot *slot = &generation->slots[index];
	slot->restart = now + slot->pause;
	slot->pause = slot->pause == 0 ? PAUSE_FIRST : slot->pause * 2;
	if (slot->pause > PAUSE_MAX)
		slot->pause = PAUSE_MAX;
}

bool generation_is(const struct generation *generation, enum child_state state)
{
	for (unsigned at = 0; at < generation->workers; at++)
		if (generation->slots[at].child == NULL || generation->slots[at].child->state != state)
			return false;
	return true;
}

int generation_due(const struct generation *generation, uint64_t now)
{
	for (unsigned at = 0; at < generation->workers; at++)
		if (generation->slots[at].restart <= now)
			return (int)at;
	return -1;
}

uint64_t generation_next(const struct generation *generation)
{
	uint64_t next = CLOCK_NEVER;
	for (unsigned at = 0; at < generation->workers; at++)
		if (generation->slots[at].restart < next)
			next = generation->slots[at].restart;
	return next;
}
