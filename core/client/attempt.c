/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/attempt.h"

enum event { OPENED, LOST, GIVEN_UP, FINISHED, EVENTS };

/* What follows; where nothing does it stays. */
static const enum attempt_state next[][EVENTS] = {
	/* clang-format off */
	/*                         OPENED            LOST                GIVEN_UP            FINISHED */
	[ATTEMPT_CONNECTING] = { ATTEMPT_RUNNING, ATTEMPT_CONNECTING, ATTEMPT_OVER,    ATTEMPT_CONNECTING },
	[ATTEMPT_RUNNING]    = { ATTEMPT_RUNNING, ATTEMPT_ALONE,      ATTEMPT_TIDYING, ATTEMPT_OVER },
	[ATTEMPT_ALONE]      = { ATTEMPT_ALONE,   ATTEMPT_ALONE,      ATTEMPT_TIDYING, ATTEMPT_OVER },
	[ATTEMPT_TIDYING]    = { ATTEMPT_TIDYING, ATTEMPT_TIDYING,    ATTEMPT_TIDYING, ATTEMPT_OVER },
	[ATTEMPT_OVER]       = { ATTEMPT_OVER,    ATTEMPT_OVER,       ATTEMPT_OVER,    ATTEMPT_OVER },
	/* clang-format on */
};

/* ending: NULL keeps what there is. */
static bool move(struct attempt *attempt, enum event event, const struct ending *ending)
{
	enum attempt_state to = next[attempt->state][event];

	if (to == attempt->state)
		return false;
	attempt->state = to;
	if (ending != NULL)
		attempt->ending = *ending;
	return true;
}

void attempt_begin(struct attempt *attempt)
{
	*attempt = (struct attempt){ .state = ATTEMPT_CONNECTING };
}

void attempt_opened(struct attempt *attempt)
{
	move(attempt, OPENED, NULL);
}

bool attempt_lost(struct attempt *attempt, const struct ending *ending)
{
	return move(attempt, LOST, ending);
}

bool attempt_give_up(struct attempt *attempt, const struct ending *ending)
{
	return move(attempt, GIVEN_UP, ending);
}

bool attempt_finished(struct attempt *attempt)
{
	static const struct ending done = { .kind = ENDING_DONE };

	return move(attempt, FINISHED, attempt->state == ATTEMPT_TIDYING ? NULL : &done);
}
