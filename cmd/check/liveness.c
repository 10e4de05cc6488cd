/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a liveness plug-in, in simulated time: one exchange, what it says of it, and the list of all. */
#include "duo.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PEER_ROUNDS = 3000, PEER_WARMUP = 300, EXCHANGES = 20, ENDURANCE_ROUNDS = 66000 };

static enum kit_outcome check_timing(struct kit *kit)
{
	uint64_t interval = 0, dead_after = 0;
	KIT_VOID(kit, liveness, timing, kit->plugin->instance, &interval, &dead_after);
	if (interval == 0 || dead_after == 0)
		return kit_failed(kit, "interval %" PRIu64 " ns, dead-after %" PRIu64 " ns", interval, dead_after);
	if (dead_after < 2 * interval)
		return kit_failed(kit, "dead-after, %" PRIu64 " ns, is shorter than two intervals of %" PRIu64 " ns",
		                  dead_after, interval);
	return kit_ok(kit, "interval %" PRIu64 " ms, dead-after %" PRIu64 " ms", interval / CLOCK_MS,
	              dead_after / CLOCK_MS);
}

static enum kit_outcome exchange_told(struct duo *duo)
{
	struct kit *kit = duo->kit;
	uint8_t question[XFER_DATAGRAM_MAX], answer[XFER_DATAGRAM_MAX];
	struct xfer_asked asked;
	struct xfer_heard heard;
	uint64_t trip = duo->interval / 10;
	while (duo_out(duo, duo->asker, question, &asked) <= 0)
		duo->now += duo->interval / 100;
	if (!asked.is_question)
		return kit_failed(kit, "the asker's datagram is no question");
	uint64_t sequence = asked.sequence;
	duo->now += trip / 2;
	int rc = duo_in(duo, duo->answerer, question, duo->size, &heard);
	if (rc != 0)
		return kit_returned(kit, "datagram_in()", rc, "for a question");
	if (heard.sequence != sequence || heard.is_answer || !heard.reply || heard.rtt != 0)
		return kit_failed(kit,
		                  "of question %" PRIu64 " the answerer heard: sequence %" PRIu64
		                  ", is_answer %d, reply %d, rtt %" PRIu64,
		                  sequence, heard.sequence, heard.is_answer, heard.reply, heard.rtt);
	if (duo_out(duo, duo->answerer, answer, &asked) <= 0 || asked.is_question || asked.sequence != sequence)
		return kit_failed(kit, "the answer to question %" PRIu64 " is none, or has another sequence", sequence);
	duo->now += trip - trip / 2;
	rc = duo_in(duo, duo->asker, answer, duo->size, &heard);
	if (rc != 0)
		return kit_returned(kit, "datagram_in()", rc, "for an answer");
	if (heard.sequence != sequence || !heard.is_answer || heard.rtt != trip)
		return kit_failed(kit,
		                  "of answer %" PRIu64 " after %" PRIu64 " ns the asker heard: sequence %" PRIu64
		                  ", is_answer %d, rtt %" PRIu64,
		                  sequence, trip, heard.sequence, heard.is_answer, heard.rtt);
	return KIT_OK;
}

static enum kit_outcome check_exchange(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	for (int i = 0; i < EXCHANGES && outcome == KIT_OK; i++)
		outcome = exchange_told(duo);
	if (outcome != KIT_OK)
		return outcome;
	duo_end(duo);
	return kit_ok(kit, "%d questions and answers, each round trip to the nanosecond", EXCHANGES);
}

/* Each datagram at the end of memory: a byte more would be a crash. */
static enum kit_outcome check_size(struct kit *kit)
{
	struct duo *duo;
	struct fence fence;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	if (fence_make(&fence, XFER_DATAGRAM_MAX) < 0)
		return kit_failed(kit, "no memory for the check");
	uint8_t *bytes = fence_end(&fence, duo->size);
	for (int i = 0; i < 2 * EXCHANGES; i++) {
		struct xfer_asked asked = { .struct_size = sizeof(asked) };
		struct xfer_peer *peer = i % 2 == 0 ? duo->asker : duo->answerer;
		ssize_t size;
		for (int wait = 0; wait < 1000; wait++) {
			size = (ssize_t)KIT_SIZE(kit, liveness, datagram_out, peer, bytes, duo->size, duo->now, &asked);
			if (size != 0)
				break;
			duo->now += duo->interval / 100;
		}
		if (size < 0)
			return kit_returned(kit, "datagram_out()", size, "with room for datagram_size");
		if ((size_t)size != duo->size)
			return kit_failed(kit, "a datagram of %zd bytes, where datagram_size is %zu", size, duo->size);
		int rc = duo_in(duo, i % 2 == 0 ? duo->answerer : duo->asker, bytes, duo->size, NULL);
		if (rc != 0)
			return kit_returned(kit, "datagram_in()", rc, "for what datagram_out() gave");
	}
	size_t size = duo->size;
	duo_end(duo);
	fence_free(&fence);
	return kit_ok(kit, "%d datagrams of %zu bytes", 2 * EXCHANGES, size);
}

/* Who is not asked says nothing, and who was answered says nothing but the next question. */
static enum kit_outcome check_once(struct kit *kit)
{
	struct duo *duo;
	uint8_t bytes[XFER_DATAGRAM_MAX], more[XFER_DATAGRAM_MAX];
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	for (int i = 0; i < EXCHANGES; i++) {
		struct xfer_heard heard;
		if (duo_out(duo, duo->answerer, more, NULL) != 0)
			return kit_failed(kit, "the answerer speaks without a question");
		if (!duo_ask(duo, bytes))
			return kit_failed(kit, "no question for ten intervals");
		if (duo_out(duo, duo->asker, more, NULL) != 0)
			return kit_failed(kit, "there are two questions at one time");
		(void)duo_in(duo, duo->answerer, bytes, duo->size, NULL);
		if (duo_out(duo, duo->answerer, bytes, NULL) == 0)
			return kit_failed(kit, "there is no answer to a question");
		if (duo_out(duo, duo->answerer, more, NULL) != 0)
			return kit_failed(kit, "there are two answers to a question");
		duo->now += duo->interval / 100;
		(void)duo_in(duo, duo->asker, bytes, duo->size, &heard);
		if (heard.reply || duo_out(duo, duo->asker, more, NULL) != 0)
			return kit_failed(kit, "the asker answers an answer");
	}
	duo_end(duo);
	return kit_ok(kit, "%d questions, one answer each", EXCHANGES);
}

static enum kit_outcome check_stats(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	duo->delay = duo->interval / 40;
	struct xfer_liveness_stats fresh = duo_stats(duo, duo->asker);
	if (fresh.sent != 0 || fresh.received != 0 || fresh.rtt_last != 0 || fresh.last_heard != 0)
		return kit_failed(kit, "there are statistics before anything happened");
	for (int i = 0; i < EXCHANGES; i++)
		if ((outcome = duo_exchange(duo)) != KIT_OK)
			return outcome;
	struct xfer_liveness_stats asker = duo_stats(duo, duo->asker), answerer = duo_stats(duo, duo->answerer);
	uint64_t trip = 2 * duo->delay;
	if (asker.sent != EXCHANGES || asker.received != EXCHANGES || answerer.sent != EXCHANGES ||
	    answerer.received != EXCHANGES || asker.lost != 0 || asker.rejected != 0 || answerer.rejected != 0)
		return kit_failed(kit,
		                  "of %d exchanges: asker sent %" PRIu64 ", received %" PRIu64 ", lost %" PRIu64
		                  "; answerer sent %" PRIu64 ", received %" PRIu64,
		                  EXCHANGES, asker.sent, asker.received, asker.lost, answerer.sent, answerer.received);
	if (asker.rtt_last != trip || asker.rtt_min != trip || asker.rtt_max != trip ||
	    asker.rtt_smoothed > trip + trip / 100 || asker.rtt_smoothed < trip - trip / 100)
		return kit_failed(kit,
		                  "round trips of %" PRIu64 " ns: last %" PRIu64 ", min %" PRIu64 ", smoothed %" PRIu64
		                  ", max %" PRIu64,
		                  trip, asker.rtt_last, asker.rtt_min, asker.rtt_smoothed, asker.rtt_max);
	if (asker.last_heard != duo->now || answerer.last_heard != duo->now - duo->delay)
		return kit_failed(kit, "last_heard is %" PRIu64 " ns after the asker heard something",
		                  duo->now - asker.last_heard);
	/* Told with the questions, in microseconds: what the log of the daemon has. */
	if (answerer.rtt_smoothed > trip + trip / 100 || answerer.rtt_smoothed + 1000 < trip - trip / 100)
		return kit_failed(kit,
		                  "the answerer has a round trip of %" PRIu64 " ns, where the asker measured %" PRIu64,
		                  answerer.rtt_smoothed, trip);
	/* Now they differ. */
	for (int i = 0; i < EXCHANGES; i++) {
		duo->delay = duo->interval / (20 + kit_below(kit, 60));
		if ((outcome = duo_exchange(duo)) != KIT_OK)
			return outcome;
	}
	asker = duo_stats(duo, duo->asker);
	if (asker.rtt_last != 2 * duo->delay || asker.rtt_min > asker.rtt_smoothed ||
	    asker.rtt_smoothed > asker.rtt_max || asker.rtt_min >= asker.rtt_max)
		return kit_failed(kit,
		                  "of mixed round trips: last %" PRIu64 " (it was %" PRIu64 "), min %" PRIu64
		                  ", smoothed %" PRIu64 ", max %" PRIu64,
		                  asker.rtt_last, 2 * duo->delay, asker.rtt_min, asker.rtt_smoothed, asker.rtt_max);
	duo_end(duo);
	return kit_ok(kit, "%d exchanges counted and measured", 2 * EXCHANGES);
}

/* A session of a night: whatever counts in it has more bits than two bytes have. */
static enum kit_outcome check_endurance(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	for (unsigned round = 0; round < ENDURANCE_ROUNDS && outcome == KIT_OK; round++)
		outcome = duo_exchange(duo);
	if (outcome != KIT_OK)
		return outcome;
	struct xfer_liveness_stats stats = duo_stats(duo, duo->asker);
	if (stats.received != ENDURANCE_ROUNDS || stats.rejected != 0 || duo_verdict(duo, duo->asker) != XFER_ALIVE)
		return kit_failed(kit,
		                  "of %d exchanges %" PRIu64 " count, %" PRIu64 " were rejected, and the peer is %s",
		                  ENDURANCE_ROUNDS, stats.received, stats.rejected,
		                  duo_verdict_name(duo_verdict(duo, duo->asker)));
	duo_end(duo);
	return kit_ok(kit, "%d exchanges", ENDURANCE_ROUNDS);
}

static enum kit_outcome progress_check(struct duo *duo, struct xfer_peer *from, struct xfer_peer *to, const char *who)
{
	struct kit *kit = duo->kit;
	struct xfer_progress theirs = { .struct_size = sizeof(theirs) };
	const struct xfer_progress ours = {
		.struct_size = sizeof(ours),
		.received = kit_random(kit) >> 1,
		.verified = kit_random(kit) >> 1,
		.durable = kit_random(kit) >> 1,
		.stage = 1 + (uint32_t)kit_below(kit, XFER_STAGE_SYNC),
		.stage_age_ms = (uint32_t)kit_below(kit, UINT32_MAX),
	};
	KIT_VOID(kit, liveness, progress_set, from, &ours);
	enum kit_outcome outcome = duo_exchange(duo);
	if (outcome != KIT_OK)
		return outcome;
	KIT_VOID(kit, liveness, progress_get, to, &theirs);
	if (theirs.received != ours.received || theirs.verified != ours.verified || theirs.durable != ours.durable ||
	    theirs.stage != ours.stage || theirs.stage_age_ms != ours.stage_age_ms)
		return kit_failed(kit, "the progress of the %s arrives as another one", who);
	return KIT_OK;
}

static enum kit_outcome check_progress(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome != KIT_OK)
		return outcome;
	struct xfer_progress none = { .struct_size = sizeof(none) };
	KIT_VOID(kit, liveness, progress_get, duo->asker, &none);
	if (none.received != 0 || none.verified != 0 || none.durable != 0 || none.stage != 0 || none.stage_age_ms != 0)
		return kit_failed(kit, "there is a progress of the peer before it was heard");
	duo->delay = duo->interval / 50;
	for (int i = 0; i < EXCHANGES && outcome == KIT_OK; i++) {
		outcome = progress_check(duo, duo->asker, duo->answerer, "asker");
		if (outcome == KIT_OK)
			outcome = progress_check(duo, duo->answerer, duo->asker, "answerer");
	}
	if (outcome != KIT_OK)
		return outcome;
	duo_end(duo);
	return kit_ok(kit, "%d records in each direction", EXCHANGES);
}

static enum kit_outcome check_peers(struct kit *kit)
{
	struct census before;
	char text[128];
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	for (unsigned round = 0; round < PEER_WARMUP + PEER_ROUNDS && outcome == KIT_OK; round++) {
		if (round == PEER_WARMUP)
			census_take(&before);
		if (round % 4 == 0)
			outcome = duo_exchange(duo);
		if (outcome == KIT_OK)
			outcome = duo_renew(duo);
	}
	if (outcome != KIT_OK)
		return outcome;
	if (census_growth(&before, PEER_ROUNDS, text) != NULL)
		return kit_failed(kit, "%s of peer_create() and peer_destroy()", text);
	duo_end(duo);
	return kit_ok(kit, "%d peers", 2 * PEER_ROUNDS);
}

const struct kit_check kit_liveness_checks[] = {
	{ "timing", "interval and dead-after are above 0, and dead-after is two intervals at least", check_timing },
	{ "exchange", "a question is heard as one and answered, and the answer tells the round trip", check_exchange },
	{ "size", "every datagram has datagram_size bytes, and no more are written", check_size },
	{ "once", "a question has one answer, and an answer none", check_once },
	{ "interval", "questions come at the interval", check_interval },
	{ "haste", "after missed answers questions come five times as often, until they are answered", check_haste },
	{ "steady", "with XFER_PEER_STEADY questions never come faster than the interval", check_steady },
	{ "verdicts", "unknown, alive, suspect and dead come at their times, and alive again", check_verdicts },
	{ "deadlines", "next_deadline() lies ahead, is not too near, and no verdict changes before it",
	  check_deadlines },
	{ "loss", "with a third lost in each direction nobody is called dead, and the lost are counted", check_loss },
	{ "reordering", "datagrams that come late and out of order are taken", check_reordering },
	{ "repetition", "a datagram that comes again is refused with -EBADMSG, and counted", check_repetition },
	{ "forgery", "what is changed, random or thrown back is refused with -EBADMSG, and counted", check_forgery },
	{ "lengths", "a datagram of any other length is refused with -EBADMSG", check_lengths },
	{ "sessions", "a datagram of a session with another key or slot is refused", check_sessions },
	{ "stats", "counts and round trips are those that were", check_stats },
	{ "endurance", "a session of tens of thousands of exchanges goes on as it began", check_endurance },
	{ "progress", "the progress of either side arrives at the other", check_progress },
	{ "leaks", "peers that are made and destroyed thousands of times leave nothing behind", check_peers },
	{ 0 },
};
