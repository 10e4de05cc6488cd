/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conformance kit, as the verb sees it: runs every check that fits a plug-in's kind, each in a process of its own
 * that loads the plug-in, so that a plug-in that crashes, hangs or ends the process has failed one check and no more.
 */
#ifndef XFER_CMD_CHECK_KIT_H
#define XFER_CMD_CHECK_KIT_H

#include "base/error.h"
#include "base/log.h"
#include "config/settings.h"

#include <xfer/plugin.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All borrowed. */
struct kit_subject {
	const char *path;
	const struct settings *settings; /* the plug-in's section */
	struct log *log;                 /* may be NULL */
	const char *listen;              /* authority to listen at; NULL: a free one is made up */
	const char *connect;             /* authority to connect to; NULL: where it listens */
	char *const *only;               /* ended by NULL: names of checks; NULL or empty: all */
	uint64_t deadline;               /* ns, for each check */
};

enum kit_outcome { KIT_NONE, KIT_OK, KIT_FAILED, KIT_SKIPPED };

struct kit_about {
	enum xfer_kind kind;
	char name[32];
	char version[64];
};

struct kit_result {
	const char *name;
	const char *expected;
	const char *seen; /* of a skipped one: why */
	enum kit_outcome outcome;
};

struct kit_sums {
	unsigned ok;
	unsigned failed;
	unsigned skipped;
};

struct kit_watch {
	void *context;
	void (*about)(void *context, const struct kit_about *about); /* once, before the results */
	void (*result)(void *context, const struct kit_result *result);
};

/*
 * 0 when the checks were run, whatever they said; an error with the loader's text when the plug-in cannot be loaded or
 * its options do not fit, or when there is no such check. The calling process has one thread.
 */
int kit_run(const struct kit_subject *subject, const struct kit_watch *watch, struct kit_sums *sums, struct error *err);

#endif
