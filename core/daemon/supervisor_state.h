/* SPDX-License-Identifier: BSD-2-Clause */
/* The supervisor's own: what its loop, its children and its trials share. */
#ifndef XFER_DAEMON_SUPERVISOR_STATE_H
#define XFER_DAEMON_SUPERVISOR_STATE_H

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "daemon/child.h"
#include "daemon/deaths.h"
#include "daemon/generation.h"

#include <poll.h>

/* A worker that is not ready by then never will be: a name server does not answer, or a plug-in hangs. */
#define SUPERVISOR_START_TIMEOUT (60 * CLOCK_SECOND)

struct supervisor {
	const struct settings_source *source; /* borrowed */
	struct log *log;                      /* owned */
	int signals;                          /* owned */
	struct list children;
	size_t child_count;
	struct listen_set handed;   /* by the service manager, until the first generation has it */
	struct generation *current; /* owned; NULL until the first one is ready */
	struct generation *trial;   /* owned; NULL when there is none */
	struct pollfd *polls;       /* owned; room for all children and the signals */
	size_t poll_cap;
	struct deaths deaths;
	uint64_t look_at;  /* ns, when to look for hung workers */
	bool reload_again; /* SIGHUP came during a trial */
	bool stopping;
	uint64_t stopped; /* when it was told to, ns */
	bool failed;      /* the first generation did not become ready: */
	struct error failure;
};

/* ---- supervisor_child.c ---- */

/* Starts a worker of the generation, which says how many there are and whether it is a reload. */
int supervisor_spawn(struct supervisor *supervisor, struct generation *generation, const struct child_order *wanted,
                     struct error *err);
/* A line about the child; `how` may be NULL. */
void supervisor_log(struct supervisor *supervisor, enum log_level level, const char *what, const struct child *child,
                    const char *how);
/* It serves from here on. */
void supervisor_release(struct supervisor *supervisor, struct child *child, const char *how);
/* Takes all that the child has said. Frees none, but may start some, which moves `polls`. */
void supervisor_hear(struct supervisor *supervisor, struct child *child);
/* Takes leave of all that have ended. */
void supervisor_reap(struct supervisor *supervisor);

/* ---- supervisor_trial.c ---- */

/* Takes over the settings, also when it fails. */
int trial_start(struct supervisor *supervisor, struct settings *settings, struct error *err);
/* A worker of the trial has not become ready: it is all over, and what serves goes on. */
void trial_fail(struct supervisor *supervisor, const struct error *err);
/* SIGHUP: reads the configuration and starts a trial of it. */
void trial_reload(struct supervisor *supervisor);
/* A worker is ready, of the trial or instead of one that died. */
void trial_ready(struct supervisor *supervisor, struct child *child, const char *liveness);
/* Ends a generation's part in the daemon, and frees it: who runs drains, the others have nothing to finish. */
void supervisor_retire(struct generation *generation);

#endif
