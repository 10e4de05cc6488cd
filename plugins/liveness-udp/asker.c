/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The asking side: when to ask, what an answer says, and which questions were missed or lost.
 *
 * A question is *missed* when its answer did not come within half an interval (or within the usual round trip, where
 * that is longer): two in a row make the asker suspicious and hasty. The earlier the haste, the more questions fit
 * before a peer is called dead, and the rarer is a wrong verdict on a bad network. A question is *lost*, for the
 * figures, when its answer did not come within two intervals or a second. An answer that comes later still proves that
 * the peer lives.
 */
#include "peer.h"

#include <errno.h>

enum { HASTE = 5, MISSES_MAX = 2 };

#define SECOND UINT64_C(1000000000)
#define CLOCK_GRAIN (SECOND / 100) /* RFC 6298's G: a timer is never tighter than this around a round trip */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t bit_of(const struct asker *asker, uint64_t sequence)
{
	return UINT64_C(1) << (asker->peer.sequence - sequence);
}

static int asker_was_answered(const struct asker *asker, uint64_t sequence)
{
	return (asker->peer.window & bit_of(asker, sequence)) != 0;
}

/* The `now` of a question in the window. */
static uint64_t asker_asked(const struct asker *asker, uint64_t sequence)
{
	return asker->born + asker->asked[sequence % WINDOW];
}

/* How long an answer usually takes at most: the retransmission time-out of RFC 6298. */
static uint64_t asker_patience(const struct asker *asker)
{
	if (asker->rtt_smoothed == 0)
		return SECOND;
	return asker->rtt_smoothed + larger(CLOCK_GRAIN, 4 * asker->rtt_variation);
}

static uint64_t asker_missed_after(const struct asker *asker)
{
	uint64_t wait = larger(asker->peer.interval / 2, asker_patience(asker));

	return smaller(wait, larger(asker->peer.interval, asker->peer.dead_after));
}

static uint64_t asker_lost_after(const struct asker *asker)
{
	return larger(larger(2 * asker->peer.interval, SECOND), asker_missed_after(asker));
}

static uint64_t asker_gap(const struct asker *asker)
{
	if (asker->misses < MISSES_MAX || asker->peer.steady)
		return asker->peer.interval;
	/* The window has to hold questions long enough for late answers: no more than half of it until one is lost. */
	return smaller(asker->peer.interval,
	               larger(asker->peer.interval / HASTE, asker_lost_after(asker) / (WINDOW / 2)));
}

void asker_start(struct asker *asker)
{
	asker->born = asker->peer.now;
	asker->judge_next = 1;
	asker->settle_next = 1;
}

static void asker_settle(struct asker *asker, int lost)
{
	asker->losses = (asker->losses << 1) | (uint64_t)lost;
	asker->lost += (uint64_t)lost;
	if (asker->settled < WINDOW)
		asker->settled++;
	asker->settle_next++;
}

void asker_judge(struct asker *asker)
{
	const struct xfer_peer *peer = &asker->peer;
	uint64_t missed_after = asker_missed_after(asker);
	uint64_t lost_after = asker_lost_after(asker);

	for (; asker->judge_next <= peer->sequence; asker->judge_next++) {
		if (asker_was_answered(asker, asker->judge_next))
			continue;
		if (peer->now - asker_asked(asker, asker->judge_next) < missed_after)
			break;
		asker->misses++;
	}
	while (asker->settle_next <= peer->sequence) {
		int answered = asker_was_answered(asker, asker->settle_next);

		if (!answered && peer->now - asker_asked(asker, asker->settle_next) < lost_after)
			break;
		asker_settle(asker, !answered);
	}
}

uint64_t asker_due(const struct asker *asker)
{
	if (asker->peer.sequence == 0)
		return asker->born;
	return asker->last_asked + asker_gap(asker);
}

uint64_t asker_ask(struct asker *asker)
{
	struct xfer_peer *peer = &asker->peer;
	uint64_t due = asker_due(asker);

	/* The oldest question leaves the window: what was not settled by now is lost. */
	if (peer->sequence >= WINDOW && asker->settle_next <= peer->sequence - (WINDOW - 1))
		asker_settle(asker, !asker_was_answered(asker, asker->settle_next));
	if (peer->sequence >= WINDOW && asker->judge_next <= peer->sequence - (WINDOW - 1)) {
		asker->misses += !asker_was_answered(asker, asker->judge_next);
		asker->judge_next++;
	}
	asker->last_asked = peer->now - due < asker_gap(asker) ? due : peer->now;
	peer->sequence++;
	peer->window <<= 1;
	peer->sent++;
	asker->asked[peer->sequence % WINDOW] = peer->now - asker->born;
	return peer->sequence;
}

/* RFC 6298, with alpha 1/8 and beta 1/4. */
static void asker_measure(struct asker *asker, uint64_t rtt)
{
	if (asker->rtt_smoothed == 0) {
		asker->rtt_smoothed = rtt;
		asker->rtt_variation = rtt / 2;
		asker->rtt_min = rtt;
		asker->rtt_max = rtt;
	} else {
		uint64_t off = rtt > asker->rtt_smoothed ? rtt - asker->rtt_smoothed : asker->rtt_smoothed - rtt;

		asker->rtt_variation = asker->rtt_variation - asker->rtt_variation / 4 + off / 4;
		asker->rtt_smoothed = larger(1, asker->rtt_smoothed - asker->rtt_smoothed / 8 + rtt / 8);
		asker->rtt_min = smaller(asker->rtt_min, rtt);
		asker->rtt_max = larger(asker->rtt_max, rtt);
	}
	asker->rtt_last = rtt;
}

int asker_answered(struct asker *asker, const struct datagram *answer, uint64_t *rtt)
{
	struct xfer_peer *peer = &asker->peer;

	if (answer->sequence == 0 || answer->sequence > peer->sequence || peer->sequence - answer->sequence >= WINDOW)
		return -EBADMSG;
	/* The time that comes back has to be the one that went out: a peer cannot choose its round trip. */
	if (answer->asked_at != asker->asked[answer->sequence % WINDOW] || asker_was_answered(asker, answer->sequence))
		return -EBADMSG;
	*rtt = larger(1, peer->now - asker->born - answer->asked_at);
	peer->window |= bit_of(asker, answer->sequence);
	asker_measure(asker, *rtt);
	/* The peer lived after this question, so the silence to judge begins behind it. */
	asker->judge_next = larger(asker->judge_next, answer->sequence + 1);
	asker->misses = 0;
	asker->heard_at = peer->sequence;
	return 0;
}

uint64_t asker_deadline(const struct asker *asker)
{
	uint64_t deadline = UINT64_MAX;

	if (asker->judge_next <= asker->peer.sequence)
		deadline = asker_asked(asker, asker->judge_next) + asker_missed_after(asker);
	if (asker->settle_next <= asker->peer.sequence)
		deadline = smaller(deadline, asker_asked(asker, asker->settle_next) + asker_lost_after(asker));
	return deadline;
}

uint32_t asker_loss_ppm(const struct asker *asker)
{
	if (asker->settled == 0)
		return 0;
	return (uint32_t)((unsigned int)__builtin_popcountll(asker->losses) * UINT64_C(1000000) / asker->settled);
}
