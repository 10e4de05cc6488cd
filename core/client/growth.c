/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/growth.h"

#include <string.h>

enum {
	FIRST = 4, /* sessions that the first trial makes of one: a step of two is too small a part of a long wait */
	FIRST_FAR = 8, /* and over DISTANT: what a fixed window brings is less with each millisecond */
	SMOOTH = 8,    /* periods after which rates need not be alike any more */
	SETTLE = 12,   /* periods that new sessions have to come up to their rate: a thousandfold, doubling each time */
	PLAIN = 16,    /* after which twice as much is believed */
	SURE = 36,     /* and after which what they bring is believed */
	OPENING = 40,  /* periods after which one that is still not open does not come */
	NEWS = 3, /* and before what is new of them is worth counting: the question, and two round trips of a few packets */
	WORTH = 12 /* round trips of work that have to be left: a trial takes as long */
};

#define PERIOD_LEAST (50 * CLOCK_MS)
#define PERIOD_MOST CLOCK_SECOND
#define DISTANT (75 * CLOCK_MS)
#define AHEAD_LEAST UINT64_C(64000000) /* bytes to come that are worth the hello of sessions that may not be needed */
#define PAUSE_FIRST (20 * CLOCK_SECOND)
#define PAUSE_MOST (640 * CLOCK_SECOND)

void growth_start(struct growth *growth)
{
	*growth = (struct growth){ .most = GROWTH_MOST, .wanted = 1, .pause = PAUSE_FIRST };
}

/* Rates are far below what would overflow here. */
static bool at_least(uint64_t rate, uint64_t base, unsigned percent)
{
	return rate * 100 >= base * percent;
}

static uint64_t period_of(const struct growth *growth)
{
	if (growth->rtt < PERIOD_LEAST)
		return PERIOD_LEAST;
	return growth->rtt < PERIOD_MOST ? growth->rtt : PERIOD_MOST;
}

static void period_begin(struct growth *growth, const struct growth_look *look)
{
	growth->at = look->now;
	growth->moved = look->moved;
}

static void phase_begin(struct growth *growth, enum growth_phase phase)
{
	growth->phase = phase;
	growth->periods = 0;
}

static void rest(struct growth *growth, uint64_t now)
{
	phase_begin(growth, GROWTH_REST);
	growth->until = now + growth->pause;
	growth->pause = growth->pause * 2 < PAUSE_MOST ? growth->pause * 2 : PAUSE_MOST;
}

/* Bytes a second; 0 of nothing. A period is not short. */
static uint64_t rate_of(const struct growth_sum *sum)
{
	return sum->span >= 1000 ? sum->bytes * (CLOCK_SECOND / 1000) / (sum->span / 1000) : 0;
}

static void sum_add(struct growth_sum *sum, const struct growth_sum *more)
{
	sum->bytes += more->bytes;
	sum->span += more->span;
}

static struct growth_sum last(const struct growth *growth)
{
	struct growth_sum sum = { 0 };

	for (unsigned i = 0; i < GROWTH_RATES; i++)
		sum_add(&sum, &growth->last[i]);
	return sum;
}

static uint64_t mean(const struct growth *growth)
{
	struct growth_sum sum = last(growth);

	return rate_of(&sum);
}

/*
 * The rate does not rise any more. What a connection begins with doubles in each round trip, up to the last one. Where others
 * wait for it, a period earlier: that what is measured from then on is without them takes three more, see NEWS.
 */
static bool steady(const struct growth *growth)
{
	if (growth->periods < GROWTH_RATES || growth->rates[GROWTH_RATES - 1] == 0)
		return false;
	if (at_least(growth->rates[0], growth->rates[1], 125) ||
	    at_least(growth->rates[1], growth->rates[2], growth->ahead ? 195 : 160))
		return false;
	/* Where one fell the other side, or a processor, makes a pause, and what is measured says little. */
	return growth->periods >= SMOOTH ||
	       (at_least(growth->rates[0], growth->rates[1], 75) && at_least(growth->rates[1], growth->rates[2], 75));
}

static bool worthwhile(const struct growth *growth, const struct growth_look *look)
{
	uint64_t rate = mean(growth);

	if (!growth->ahead && growth->wanted >= growth->most)
		return false;
	if (look->limit > 0 && at_least(rate, look->limit, 80))
		return false;
	return look->left / WORTH >=
	       rate / CLOCK_SECOND * growth->rtt + rate % CLOCK_SECOND * growth->rtt / CLOCK_SECOND;
}

static unsigned next_of(const struct growth *growth)
{
	unsigned first = growth->rtt >= DISTANT ? FIRST_FAR : FIRST;
	unsigned next = growth->wanted < first ? first : 2 * growth->wanted;

	return next < growth->most ? next : growth->most;
}

static void trial(struct growth *growth)
{
	growth->before = growth->ahead ? 1 : growth->wanted;
	/* The first of these periods may have been the last in which the rate rose. */
	growth->alone = growth->last[0];
	sum_add(&growth->alone, &growth->last[1]);
	if (!at_least(growth->rates[1], growth->rates[2], 125))
		sum_add(&growth->alone, &growth->last[2]);
	growth->wanted = growth->ahead ? growth->wanted : next_of(growth);
	growth->ahead = false;
	growth->tested = true;
	phase_begin(growth, GROWTH_OPEN);
}

/* The first session is coming up to its rate, and it is far away: most probably others are needed. */
static void open_ahead(struct growth *growth, const struct growth_look *look)
{
	if (growth->tested || growth->ahead || growth->periods < 2 || look->limit > 0 || look->left < AHEAD_LEAST)
		return;
	growth->wanted = next_of(growth);
	growth->ahead = growth->wanted > 1;
	growth->until = look->now + OPENING * period_of(growth);
}

/* They are not needed, or nobody can tell. */
static void ahead_end(struct growth *growth)
{
	growth->wanted = 1;
	growth->ahead = false;
	growth->tested = true;
}

/* No more than there are can be had, ever. */
static void refused(struct growth *growth, const struct growth_look *look)
{
	unsigned live = look->live > growth->before ? look->live : growth->before;

	growth->wanted = live < growth->wanted ? live : growth->wanted;
	growth->most = growth->wanted;
}

static void open_look(struct growth *growth, const struct growth_look *look)
{
	if (look->live < growth->wanted && (look->coming == 0 || growth->periods >= OPENING))
		refused(growth, look);
	if (growth->wanted == growth->before)
		rest(growth, look->now);
	else if (look->live >= growth->wanted)
		phase_begin(growth, GROWTH_TRY);
	/* Until the first of the others is there, it is still those before. */
	else if (look->live <= growth->before && !look->held)
		sum_add(&growth->alone, &growth->last[0]);
	growth->tried = (struct growth_sum){ 0 };
}

static void measure_look(struct growth *growth, const struct growth_look *look)
{
	if (growth->ahead && look->now >= growth->until) {
		ahead_end(growth);
	} else if (!steady(growth)) {
		open_ahead(growth, look);
	} else if (worthwhile(growth, look)) {
		trial(growth);
		if (look->live >= growth->wanted)
			open_look(growth, look);
	} else if (growth->ahead) {
		ahead_end(growth);
	}
}

/*
 * As many as bring what all of them do, and up to three fifths more, so that a pause at either end is made up for: with each
 * one beyond that more is under way, which waits in the queues of the network, until they drop some of it.
 */
static unsigned enough(const struct growth *growth)
{
	uint64_t base = rate_of(&growth->alone), whole = rate_of(&growth->tried), now = mean(growth);
	unsigned count = growth->before + 1;

	whole = (now > whole ? now : whole) * growth->before;
	while (count < growth->wanted && base * 5 * (count + 1) <= whole * 8)
		count++;
	return count;
}

/* No pause makes that much of nothing. */
static bool plain(const struct growth *growth)
{
	return growth->periods >= PLAIN && at_least(rate_of(&growth->tried), rate_of(&growth->alone), 160);
}

static void try_look(struct growth *growth, const struct growth_look *look)
{
	uint64_t rate = mean(growth), base = rate_of(&growth->alone);
	/* The rate that as many sessions more would bring, if each brought the same, less a fourth. */
	bool scales = rate * 4 * growth->before >= base * 3 * growth->wanted, helped;

	if (growth->periods <= NEWS && !look->held)
		sum_add(&growth->alone, &growth->last[0]);
	if (growth->periods > SETTLE / 2 && !look->held)
		sum_add(&growth->tried, &growth->last[0]);

	if (steady(growth) && scales) {
		/* The network has more to give. */
		if (worthwhile(growth, look))
			trial(growth);
		else
			rest(growth, look->now);
		return;
	}
	if (growth->periods < SETTLE)
		return;
	helped = at_least(rate_of(&growth->tried), base, 115);
	if (growth->periods < SURE && !plain(growth) && (helped || at_least(rate, base, 115)))
		return; /* a burst behind a pause looks like a gain, and a pause like none; they do their work meanwhile */
	growth->wanted = helped ? enough(growth) : growth->before;
	rest(growth, look->now);
}

static void phase_look(struct growth *growth, const struct growth_look *look)
{
	switch (growth->phase) {
	case GROWTH_MEASURE: measure_look(growth, look); return;
	case GROWTH_OPEN: open_look(growth, look); return;
	case GROWTH_TRY: try_look(growth, look); return;
	case GROWTH_REST:
		if (look->now >= growth->until)
			phase_begin(growth, GROWTH_MEASURE);
		return;
	}
}

/* A period is over. What a disk makes of it says nothing about the network; and before anything came there is no rate. */
static void period_end(struct growth *growth, const struct growth_look *look)
{
	const struct growth_sum sum = { look->moved - growth->moved, look->now - growth->at };
	uint64_t rate = rate_of(&sum);
	bool idle = rate == 0 && growth->periods == 0;

	if (growth->phase == GROWTH_MEASURE && (look->held || idle)) {
		growth->periods = 0;
		if (growth->ahead && look->now >= growth->until)
			ahead_end(growth);
		return;
	}
	growth->periods++;
	if (!look->held) {
		memmove(&growth->rates[1], &growth->rates[0], (GROWTH_RATES - 1) * sizeof(growth->rates[0]));
		growth->rates[0] = rate;
		memmove(&growth->last[1], &growth->last[0], (GROWTH_RATES - 1) * sizeof(growth->last[0]));
		growth->last[0] = sum;
	}
	phase_look(growth, look);
}

unsigned growth_look(struct growth *growth, const struct growth_look *look)
{
	if (look->rtt > 0 && (growth->rtt == 0 || look->rtt < growth->rtt))
		growth->rtt = look->rtt;
	if (growth->rtt < GROWTH_FAR)
		return growth->wanted;
	if (growth->at == 0 || look->moved < growth->moved) {
		period_begin(growth, look);
	} else if (look->now - growth->at >= period_of(growth)) {
		period_end(growth, look);
		period_begin(growth, look);
	}
	return growth->wanted;
}
