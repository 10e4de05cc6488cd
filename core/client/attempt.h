/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt of a job, a get's or a put's: how far it is, and how it ended. No I/O: whoever runs it says what happened,
 * and does what the new state asks for. What ended it first is the ending; what follows from it is no second cause.
 *
 *                 opened            finished: all is published, or the daemon said so
 *    CONNECTING ----------> RUNNING ----------------------------------------------+
 *        |                   |   |  lost: the session is gone                     |
 *        |                   |   +-----------------------> ALONE -----------------+
 *        |                   |  given up                     | given up           |
 *        |  given up         +---------------+---------------+                    v
 *        |                                   v              finished, tidied up   |
 *        |                                TIDYING --------------------------------+--> OVER
 *        +----------------------------------------------------------------------------^
 *
 * Any other event changes nothing.
 */
#ifndef XFER_CLIENT_ATTEMPT_H
#define XFER_CLIENT_ATTEMPT_H

#include "client/ending.h"

enum attempt_state {
	ATTEMPT_CONNECTING, /* nothing has begun */
	ATTEMPT_RUNNING,    /* asked for, and under way */
	ATTEMPT_ALONE,      /* without a session: what has come is still written */
	ATTEMPT_TIDYING,    /* nothing more is taken: what was begun is removed, or closed and left */
	ATTEMPT_OVER
};

struct attempt {
	enum attempt_state state;
	struct ending ending; /* NONE until it is known; ALONE: what it will be if not all has come */
};

void attempt_begin(struct attempt *attempt);
void attempt_opened(struct attempt *attempt);
/* True where these changed something. */
bool attempt_lost(struct attempt *attempt, const struct ending *ending);
bool attempt_give_up(struct attempt *attempt, const struct ending *ending);
/* DONE, unless it was given up before. */
bool attempt_finished(struct attempt *attempt);
static inline bool attempt_runs(const struct attempt *attempt)
{
	return attempt->state == ATTEMPT_RUNNING;
}

#endif
