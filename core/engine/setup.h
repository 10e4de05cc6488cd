/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From settings to running plug-ins: loads the chosen ones, checks every plug-in section of the configuration against
 * the options table of its plug-in (one that is not installed is an error only when it is chosen), makes the instances.
 */
#ifndef XFER_ENGINE_SETUP_H
#define XFER_ENGINE_SETUP_H

#include "config/settings.h"
#include "registry/registry.h"

struct setup {
	struct registry *registry;
	struct plugin *transport;  /* the configured one */
	struct plugin **integrity; /* in order of preference; owned array */
	size_t integrity_count;
	struct plugin *liveness;
	union xfer_value **values; /* owned: values of the started plug-ins */
	size_t values_count;
	const struct settings *settings; /* borrowed, outlives the setup */
};

/* What replaces the configured choice; NULL = as configured. Each is a name or a path with a slash. */
struct setup_choice {
	const char *transport;
	const char *integrity; /* NAME[,NAME] */
	const char *liveness;
	struct notes *notes; /* where calls are noted, borrowed; NULL: in memory of the setup's own */
};

int setup_create(struct setup **out, const struct settings *settings, const struct setup_choice *choice,
                 struct log *log, struct error *err);
void setup_destroy(struct setup *setup);
/* Loads and starts one more (for a URL's or a listen item's own transport); a started one is returned again. */
int setup_plugin(struct setup *setup, enum xfer_kind kind, const char *name, struct plugin **out, struct error *err);
/* NULL when no such integrity is among the chosen. */
struct plugin *setup_integrity(const struct setup *setup, const char *name);

#endif
