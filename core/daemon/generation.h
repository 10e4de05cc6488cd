/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The workers that serve one reading of the configuration. A daemon has one that is current, and during a reload a
 * second one on trial; children that drain belong to none.
 */
#ifndef XFER_DAEMON_GENERATION_H
#define XFER_DAEMON_GENERATION_H

#include "config/settings.h"
#include "daemon/child.h"
#include "daemon/listen.h"

#include <stdbool.h>
#include <stdint.h>

/* The place of worker INDEX, which lives longer than the process that fills it. */
struct generation_slot {
	struct child *child; /* borrowed; NULL while none is there */
	uint64_t pause;      /* ns between the next death and the next start */
	uint64_t restart;    /* when to start one, ns; CLOCK_NEVER */
};

struct generation {
	struct settings *settings; /* owned */
	struct listen_set sockets; /* owned; complete when the first worker was ready */
	char liveness[CONTROL_NAME_MAX];
	unsigned workers;
	struct generation_slot slots[]; /* one for each worker */
};

/* Takes over the settings on success. */
int generation_create(struct generation **out, struct settings *settings, struct error *err);
/* No child may point at it any more. NULL is allowed. */
void generation_free(struct generation *generation);

void generation_put(struct generation *generation, struct child *child);
/* The child is dead or gives up its place; a new one is due after the pause, which grows unless it lived long. */
void generation_vacate(struct generation *generation, const struct child *child, uint64_t now);
/* The same for a worker that could not even be started. */
void generation_delay(struct generation *generation, unsigned index, uint64_t now);
bool generation_is(const struct generation *generation, enum child_state state); /* all workers */
/* The slot whose time has come, or -1; and when the next comes. */
int generation_due(const struct generation *generation, uint64_t now);
uint64_t generation_next(const struct generation *generation);

#endif
