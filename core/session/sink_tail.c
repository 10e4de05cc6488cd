/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a job over several lanes: when nothing is left to ask for, and a lane has nothing to bring any more, what a much
 * slower one owes is taken back, and asked of the others.
 *
 * A connection may become slow while it owes what it was asked for when it was quick: where much was lost on its way, say.
 * Each lane is relieved once at most, so that two of them do not hand the same back and forth.
 */
#include "session/sink_state.h"

#define PACE_SPAN (500 * CLOCK_MS) /* that a pace is measured over: several round trips, but for those by satellite */

void sink_tail_pace(struct sink_lane *lane, uint64_t now)
{
	uint64_t span = now - lane->paced_at;

	if (lane->paced_at == 0 || lane->requests.count == 0) {
		lane->pace = UINT64_MAX; /* unknown */
	} else if (span >= PACE_SPAN) {
		lane->pace = (lane->received - lane->paced) * 1000 / (span / CLOCK_MS);
	} else {
		return;
	}
	lane->paced_at = now;
	lane->paced = lane->received;
}

/* It would take longer than PACE_SPAN for what it owes. */
static bool is_late(const struct sink_lane *lane)
{
	return lane->pace < UINT64_MAX && !lane->resting && !lane->relieved && lane->ranges > 0 &&
	       lane->owed > lane->pace / (CLOCK_SECOND / PACE_SPAN);
}

static struct sink_lane *latest(const struct sink *sink)
{
	struct sink_lane *found = NULL;

	for (struct list *node = sink->lanes.next; node != &sink->lanes; node = node->next) {
		struct sink_lane *lane = list_entry(node, struct sink_lane, link);

		/* The later of two owes more in relation to its pace; a shift keeps the products small. */
		if (is_late(lane) &&
		    (found == NULL || (lane->owed >> 16) * (found->pace + 1) > (found->owed >> 16) * (lane->pace + 1)))
			found = lane;
	}
	return found;
}

void sink_tail_relieve(struct sink_lane *idle)
{
	struct sink *sink = idle->sink;
	struct sink_lane *lane;

	if (!sink_spreads(sink) || sink->listing || sink->params.limit_rate > 0 || idle->requests.count > 0 ||
	    idle->resting || idle->relieved || list_first(&sink->asks) != NULL || list_first(&sink->fresh) != NULL ||
	    list_first(&sink->unknown) != NULL || sink_held(sink))
		return;
	lane = latest(sink);
	if (lane == NULL)
		return;
	lane->relieved = true;
	sink_lane_return(lane);
}

bool sink_tail_spares(const struct sink_lane *lane)
{
	const struct sink *sink = lane->sink;

	for (const struct list *node = sink->lanes.next; node != &sink->lanes && lane->relieved; node = node->next) {
		const struct sink_lane *other = list_entry(node, struct sink_lane, link);

		if (!other->relieved && !other->resting)
			return true;
	}
	return false;
}
