/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker process as its supervisor sees it. */
#ifndef XFER_DAEMON_CHILD_H
#define XFER_DAEMON_CHILD_H

#include "base/error.h"
#include "base/list.h"
#include "config/settings.h"
#include "daemon/control.h"
#include "daemon/listen.h"
#include "registry/note.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum child_state {
	CHILD_STARTING, /* is told its sockets, loads, reports */
	CHILD_READY,    /* waits for GO */
	CHILD_RUNNING,
	CHILD_DRAINING, /* no longer part of a generation */
	CHILD_KILLED    /* nor this one; only its end is awaited */
};

struct generation;

/* What a worker is started for. */
struct child_order {
	enum control_role role;
	unsigned index;
	unsigned workers;                 /* of its generation */
	bool reload;                      /* another generation serves meanwhile */
	const struct listen_set *handing; /* borrowed until the child is ready; NULL: no sockets */
};

struct child {
	struct list node;
	struct generation *generation; /* borrowed; NULL once it draws to its end */
	struct child_order order;
	enum child_state state;
	pid_t pid;
	bool reaped;
	int control;         /* owned, non-blocking; -1 once it is at its end */
	size_t told;         /* messages: START and then those of `handing` */
	size_t tell;         /* how many there are in all */
	uint64_t started;    /* ns */
	uint64_t deadline;   /* ns: ready or gone by then; CLOCK_NEVER */
	struct error err;    /* what it reported before it ended, or why it was ended */
	struct notes *notes; /* owned; what of plug-ins it is in */
};

/* Forks and executes this program as a worker; `source` is passed on as arguments, the order told in child_feed(). */
int child_spawn(struct child **out, const struct settings_source *source, const struct child_order *order,
                struct error *err);
/* Tells as much as the child takes in: call it again when the control socket is writable, while child_hungry(). */
void child_feed(struct child *child);
bool child_hungry(const struct child *child);
/* GO or DRAIN. A child that does not hear it is about to be reaped, so there is nothing to report. */
void child_tell(struct child *child, enum control_type type);
/* SIGKILL. It keeps its place and its state until it is reaped. */
void child_end(struct child *child);
/* SIGKILL, and it is out of its generation at once. */
void child_kill(struct child *child);
void child_close(struct child *child); /* the control socket */
/* After waitpid(); the child is in no list any more. */
void child_free(struct child *child);

enum { CHILD_END_MAX = 128 + NOTE_TEXT_MAX };
/* "killed by signal 11 (Segmentation fault) in integrity-foo digest()" or "ended with status 1", of what waitpid() gave. */
char *child_describe(const struct child *child, int status, char out[CHILD_END_MAX]);
/* The same for those whom it served: "died of SIGSEGV in integrity-foo digest()". */
char *child_obituary(const struct child *child, int status, char out[CHILD_END_MAX]);
/*
 * A plug-in was called more than `limit` ns ago and did not come back, though the process was not stopped: then true, and
 * err says so. To be asked several times within the limit; `fresh`: what was seen before does not count.
 */
bool child_hangs(struct child *child, uint64_t now, uint64_t limit, bool fresh);

#endif
