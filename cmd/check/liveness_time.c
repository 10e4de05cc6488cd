/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a liveness plug-in that concern time: when it asks, and what it says of whom it does not hear. */
#include "duo.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define MS(ns) ((double)(ns) / 1e6)

/* The longest and the shortest pause between the questions `from` to the last. */
static void gaps(const struct duo *duo, size_t from, uint64_t *shortest, uint64_t *longest)
{
	*shortest = UINT64_MAX;
	*longest = 0;
	for (size_t i = from + 1; i < duo->question_count; i++) {
		uint64_t gap = duo->questions[i] - duo->questions[i - 1];
		*shortest = gap < *shortest ? gap : *shortest;
		*longest = gap > *longest ? gap : *longest;
	}
}

/* `wanted` give or take a tenth, for the questions `from` to the last, of which there are three at least. */
static enum kit_outcome gaps_check(struct duo *duo, size_t from, uint64_t wanted, const char *when)
{
	uint64_t shortest, longest;
	if (duo->question_count < from + 3)
		return kit_failed(duo->kit, "%zu questions %s", duo->question_count - from, when);
	gaps(duo, from, &shortest, &longest);
	if (shortest < wanted - wanted / 10 || longest > wanted + wanted / 10)
		return kit_failed(duo->kit, "pauses of %.1f to %.1f ms %s, instead of %.1f ms", MS(shortest),
		                  MS(longest), when, MS(wanted));
	return KIT_OK;
}

enum kit_outcome check_interval(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 50;
	duo->stepped = true;
	duo_run(duo, 60 * duo->interval);
	if (duo->question_count < 58 || duo->question_count > 62)
		return kit_failed(kit, "%zu questions in 60 intervals", duo->question_count);
	outcome = gaps_check(duo, 0, duo->interval, "while all is answered");
	double interval = MS(duo->interval);
	duo_end(duo);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "60 intervals of %.1f ms", interval);
}

/* All goes well; nothing arrives any more; all goes well again. */
enum kit_outcome check_haste(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 50;
	duo->stepped = true;
	duo_run(duo, 10 * duo->interval + duo->interval / 2);
	duo->loss = 100;
	duo_run(duo, 4 * duo->interval);
	size_t from = duo->question_count;
	duo_run(duo, 3 * duo->interval);
	if ((outcome = gaps_check(duo, from, duo->interval / 5, "after missed answers")) != KIT_OK)
		return outcome;
	duo->loss = 0;
	duo_run(duo, 2 * duo->interval);
	from = duo->question_count - 1;
	duo_run(duo, 5 * duo->interval);
	outcome = gaps_check(duo, from, duo->interval, "when all is answered again");
	double fast = MS(duo->interval / 5);
	duo_end(duo);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "%.1f ms while nothing is answered", fast);
}

enum kit_outcome check_steady(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, XFER_PEER_STEADY);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 50;
	duo->stepped = true;
	duo_run(duo, 5 * duo->interval + duo->interval / 2);
	duo->loss = 100;
	duo_run(duo, 15 * duo->interval);
	outcome = gaps_check(duo, 0, duo->interval, "with XFER_PEER_STEADY");
	size_t count = duo->question_count;
	duo_end(duo);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "%zu questions, most of them unanswered", count);
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

static enum kit_outcome verdict_check(struct duo *duo, bool asker, bool as_wanted, enum xfer_verdict wanted,
                                      const char *when)
{
	enum xfer_verdict verdict = duo_verdict(duo, asker ? duo->asker : duo->answerer);
	if ((verdict == wanted) == as_wanted)
		return KIT_OK;
	return kit_failed(duo->kit, "the verdict of the %s is %s %s", asker ? "asker" : "answerer",
	                  duo_verdict_name(verdict), when);
}

static enum kit_outcome verdicts(struct duo *duo)
{
	enum kit_outcome outcome = KIT_OK;
	uint64_t heard[2];
	for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
		outcome = verdict_check(duo, asker, true, XFER_UNKNOWN, "before anything was heard");
	duo->delay = duo->interval / 50;
	for (int i = 0; i < 20 && outcome == KIT_OK; i++) {
		duo_run(duo, duo->interval);
		for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
			outcome = verdict_check(duo, asker, true, XFER_ALIVE, "while all is answered");
	}
	/* From here on nothing arrives. */
	duo->loss = 100;
	duo->flight_count = 0;
	for (int asker = 0; asker < 2; asker++)
		heard[asker] = duo_stats(duo, asker ? duo->asker : duo->answerer).last_heard;
	uint64_t first = heard[0] < heard[1] ? heard[0] : heard[1], last = heard[0] < heard[1] ? heard[1] : heard[0];
	if (first == 0 || last > duo->now)
		return kit_failed(duo->kit, "last_heard is %" PRIu64 " ns, now is %" PRIu64 " ns", first, duo->now);
	duo_run(duo, last + duo->dead_after * 3 / 4 - duo->now);
	for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
		outcome = verdict_check(duo, asker, true, XFER_SUSPECT, "after 3/4 of dead-after in silence");
	duo_run(duo, first + duo->dead_after - duo->interval / 50 - duo->now);
	for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
		outcome = verdict_check(duo, asker, false, XFER_DEAD, "shortly before dead-after");
	duo_run(duo, last + duo->dead_after + duo->interval / 50 - duo->now);
	for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
		outcome = verdict_check(duo, asker, true, XFER_DEAD, "shortly after dead-after");
	/* Who is heard again is alive again. */
	duo->loss = 0;
	duo_run(duo, 3 * duo->interval);
	for (int asker = 0; asker < 2 && outcome == KIT_OK; asker++)
		outcome = verdict_check(duo, asker, true, XFER_ALIVE, "when it is heard again");
	return outcome;
}

enum kit_outcome check_verdicts(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome == KIT_OK)
		outcome = verdicts(duo);
	if (outcome != KIT_OK)
		return outcome;
	double dead_after = MS(duo->dead_after);
	duo_end(duo);
	return kit_ok(kit, "both sides, dead-after %.0f ms", dead_after);
}

/* ---- deadlines -------------------------------------------------------------------------------------------------- */

/* The verdict of a peer that is left alone stays what it is until its next deadline. */
static enum kit_outcome deadline_check(struct duo *duo, struct xfer_peer *peer, const char *who)
{
	uint8_t bytes[XFER_DATAGRAM_MAX];
	for (int i = 0; duo_out(duo, peer, bytes, NULL) > 0; i++)
		if (i == 10)
			return kit_failed(duo->kit, "datagram_out() of the %s never ends at one time", who);
	uint64_t deadline = duo_deadline(duo, peer);
	if (deadline <= duo->now)
		return kit_failed(duo->kit,
		                  "next_deadline() of the %s is %" PRIu64 " ns back, and datagram_out() gave 0", who,
		                  duo->now - deadline);
	return KIT_OK;
}

static enum kit_outcome deadlines(struct duo *duo, struct xfer_peer *peer, const char *who, uint64_t span)
{
	for (uint64_t until = duo->now + span; duo->now < until;) {
		enum kit_outcome outcome = deadline_check(duo, peer, who);
		if (outcome != KIT_OK)
			return outcome;
		enum xfer_verdict before = duo_verdict(duo, peer);
		uint64_t deadline = duo_deadline(duo, peer);
		if (deadline > until)
			deadline = until;
		duo->wakes++;
		duo->now = deadline - 1;
		enum xfer_verdict after = duo_verdict(duo, peer);
		if (after != before)
			return kit_failed(duo->kit, "the verdict of the %s went from %s to %s before next_deadline()",
			                  who, duo_verdict_name(before), duo_verdict_name(after));
		duo->now = deadline;
	}
	return KIT_OK;
}

/* Alone and in silence until it has said dead: its deadlines lead through all of its verdicts. */
static enum kit_outcome deadlines_alone(struct kit *kit, bool asker, size_t *wakes, size_t *intervals)
{
	const char *who = asker ? "asker" : "answerer";
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 50;
	duo_run(duo, 20 * duo->interval);
	uint64_t start = duo->now;
	struct xfer_peer *peer = asker ? duo->asker : duo->answerer;
	outcome = deadlines(duo, peer, who, duo->dead_after + 5 * duo->interval);
	if (outcome == KIT_OK && duo_verdict(duo, peer) != XFER_DEAD)
		outcome = kit_failed(kit, "called at its deadlines only, the %s never says dead", who);
	if (outcome != KIT_OK)
		return outcome;
	*wakes += duo->wakes;
	*intervals += 20 + (size_t)((duo->now - start) / duo->interval);
	duo_end(duo);
	return KIT_OK;
}

enum kit_outcome check_deadlines(struct kit *kit)
{
	enum { WAKES_MAX = 40 }; /* in an interval */
	size_t wakes = 0, intervals = 0;
	enum kit_outcome outcome = deadlines_alone(kit, true, &wakes, &intervals);
	if (outcome == KIT_OK)
		outcome = deadlines_alone(kit, false, &wakes, &intervals);
	if (outcome != KIT_OK)
		return outcome;
	if (wakes > WAKES_MAX * intervals)
		return kit_failed(kit, "%zu deadlines in %zu intervals", wakes, intervals);
	return kit_ok(kit, "%zu deadlines in %zu intervals", wakes, intervals);
}

/* ---- a bad network ---------------------------------------------------------------------------------------------- */

enum kit_outcome check_loss(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 50;
	duo->loss = 30;
	duo->stepped = true;
	duo_run(duo, 200 * duo->interval);
	struct xfer_liveness_stats stats = duo_stats(duo, duo->asker);
	if (duo->died)
		return kit_failed(kit, "a peer that answers half of the questions was called dead");
	/* Of a hundred questions 51 are not answered. */
	if (stats.lost < stats.sent * 40 / 100 || stats.lost > stats.sent * 62 / 100)
		return kit_failed(kit, "%" PRIu64 " of %" PRIu64 " questions are called lost, where half of them are",
		                  stats.lost, stats.sent);
	duo_end(duo);
	return kit_ok(kit, "%" PRIu64 " of %" PRIu64 " questions lost, and nobody called dead", stats.lost, stats.sent);
}

enum kit_outcome check_reordering(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->jitter = 2 * duo->interval;
	duo->stepped = true;
	duo_run(duo, 100 * duo->interval);
	if (duo->refused > 0)
		return kit_failed(kit, "%zu datagrams that came late or out of order were refused", duo->refused);
	if (duo->died)
		return kit_failed(kit, "a peer whose datagrams come out of order was called dead");
	size_t count = duo->question_count;
	duo_end(duo);
	return kit_ok(kit, "%zu questions, each datagram up to two intervals late", count);
}
