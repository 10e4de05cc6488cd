/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/growth: how many sessions a job takes, over simulated networks in simulated time. */
#include "unit.h"

#include "client/growth.h"

#include <stdio.h>
#include <string.h>

#define MB UINT64_C(1000000)
#define GIGABIT (119 * MB) /* bytes a second that a gigabit of Ethernet leaves to TCP */

/* Of a network, and of what is at its ends. Rates are bytes a second. */
struct net {
	uint64_t rtt;     /* ns */
	uint64_t link;    /* of all connections together */
	uint64_t cap;     /* of one: its window in a round trip, or what losses make of it */
	uint64_t ends;    /* of the disks and digests; 0 = more than the link */
	uint64_t left;    /* bytes of the job; 0 = without end */
	uint64_t limit;   /* of the user */
	unsigned allowed; /* sessions that the daemon takes; 0 = any */
	unsigned shaky;   /* percent by which a rate differs from moment to moment */
	unsigned pauses;  /* of a thousand moments so many begin a pause of the other side, of up to 200 ms */
	bool held;        /* the ends say that it is they who are slow */
	bool unheard;     /* nobody knows the round trip */
};

struct world {
	struct growth growth;
	const struct net *net;
	uint64_t now, moved;
	uint64_t behind;     /* bytes that come when the other side goes on */
	uint64_t sleeps;     /* ns: until then it does not */
	uint64_t opened[16]; /* when a session was, or will be, open */
	uint64_t works[16];  /* when it brings its first bytes */
	unsigned live;
	unsigned most;      /* there ever were */
	unsigned trials;    /* times that more were wanted than before */
	uint64_t filled_at; /* ns: when the link was first full to nine tenths, 0 = never */
	uint64_t seed;
};

static uint64_t draw(struct world *world)
{
	world->seed ^= world->seed << 13;
	world->seed ^= world->seed >> 7;
	world->seed ^= world->seed << 17;
	return world->seed;
}

static struct world world_make(const struct net *net)
{
	struct world world = { .net = net, .now = 1000 * CLOCK_SECOND, .live = 1, .seed = 88172645463325252 };

	growth_start(&world.growth);
	world.opened[0] = world.works[0] = world.now;
	return world;
}

/* What one connection brings now: ten packets in the first round trip, twice as many in each further one. */
static uint64_t session_rate(struct world *world, unsigned at)
{
	const struct net *net = world->net;
	uint64_t rate = 14480 * CLOCK_SECOND / net->rtt, cap = net->cap;

	if (world->now < world->works[at])
		return 0;
	for (uint64_t age = world->now - world->works[at]; age >= net->rtt && rate < cap; age -= net->rtt)
		rate *= 2;
	if (net->shaky > 0)
		cap = cap * (100 - net->shaky + draw(world) % (2 * net->shaky)) / 100;
	return rate < cap ? rate : cap;
}

static uint64_t rate(struct world *world)
{
	const struct net *net = world->net;
	uint64_t sum = 0;

	for (unsigned i = 0; i < world->live; i++)
		sum += session_rate(world, i);
	sum = sum < net->link ? sum : net->link;
	if (net->ends > 0 && sum > net->ends)
		sum = net->ends;
	if (net->limit > 0 && sum > net->limit)
		sum = net->limit;
	return sum;
}

static unsigned open_now(const struct world *world)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world->live; i++)
		count += world->now >= world->opened[i];
	return count;
}

/* So many open as are wanted and allowed: connection and hello take two round trips, the first answer one more. One that is
 * opened in advance is asked for nothing. */
static void sessions_follow(struct world *world, unsigned wanted)
{
	const struct net *net = world->net;
	unsigned may = net->allowed > 0 && net->allowed < wanted ? net->allowed : wanted;

	assert_in_range(wanted, 1, GROWTH_MOST);
	for (; world->live < may; world->live++) {
		world->opened[world->live] = world->now + 3 * net->rtt;
		world->works[world->live] = UINT64_MAX;
	}
	world->live = may;
	for (unsigned i = 1; i < may && !world->growth.ahead; i++) {
		uint64_t opened = world->opened[i];

		if (world->works[i] == UINT64_MAX)
			world->works[i] = opened > world->now ? opened : world->now + net->rtt;
	}
	if (world->live > world->most)
		world->most = world->live;
}

static void pass(struct world *world, uint64_t span)
{
	const struct net *net = world->net;
	const uint64_t step = 10 * CLOCK_MS;
	unsigned wanted = world->growth.wanted;

	for (uint64_t end = world->now + span; world->now < end;) {
		uint64_t bytes_a_second = rate(world);
		unsigned before = wanted;

		world->now += step;
		world->behind += bytes_a_second / (CLOCK_SECOND / step);
		if (world->now >= world->sleeps && draw(world) % 1000 < net->pauses)
			world->sleeps = world->now + draw(world) % (200 * CLOCK_MS);
		if (world->now >= world->sleeps) {
			world->moved += world->behind;
			world->behind = 0;
		}
		if (world->filled_at == 0 && bytes_a_second * 10 >= net->link * 9)
			world->filled_at = world->now;
		wanted = growth_look(&world->growth,
		                     &(struct growth_look){
					     .now = world->now,
					     .moved = world->moved,
					     .left = net->left > 0 ? net->left - world->moved : UINT64_MAX,
					     .rtt = net->unheard ? 0 : net->rtt + draw(world) % CLOCK_MS,
					     .limit = net->limit,
					     .live = open_now(world),
					     .coming = world->live - open_now(world),
					     .held = net->held,
				     });
		world->trials += wanted > before;
		sessions_follow(world, wanted);
	}
}

/* So many sessions in the end, and between. */
static void ends_with(struct world *world, unsigned least, unsigned most, unsigned ever)
{
	print_message(
		"round trip %d ms, %d MB/s each: %u sessions in the end, %u at most, %u trials, full after %d ms\n",
		(int)(world->net->rtt / CLOCK_MS), (int)(world->net->cap / MB), world->live, world->most, world->trials,
		world->filled_at == 0 ? -1 : (int)((world->filled_at - 1000 * CLOCK_SECOND) / CLOCK_MS));
	assert_in_range(world->live, least, most);
	assert_in_range(world->most, 1, ever);
}

/* ---- what caps one connection ---- */

static void window_at_50_ms(void **state)
{
	const struct net net = { .rtt = 50 * CLOCK_MS, .link = GIGABIT, .cap = 55 * MB };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, 15 * CLOCK_SECOND);
	/* Four fill the queues as well. */
	ends_with(&world, 3, 3, 4);
	assert_true(rate(&world) == GIGABIT);
	assert_in_range(world.filled_at - 1000 * CLOCK_SECOND, 1, CLOCK_SECOND);
}

static void window_at_100_ms(void **state)
{
	const struct net net = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, 15 * CLOCK_SECOND);
	ends_with(&world, 5, 6, 8);
	assert_true(rate(&world) == GIGABIT);
	assert_in_range(world.filled_at - 1000 * CLOCK_SECOND, 1, 2 * CLOCK_SECOND);
}

/* Each session has its own losses, and its rate jumps about. */
static void losses(void **state)
{
	const struct net net = { .rtt = 50 * CLOCK_MS, .link = GIGABIT, .cap = 3 * MB, .shaky = 20 };

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct world world = world_make(&net);

		world.seed = seed * UINT64_C(0x9e3779b97f4a7c15);
		pass(&world, 40 * CLOCK_SECOND);
		if (world.live != GROWTH_MOST)
			fail_msg("seed %d: %u sessions", (int)seed, world.live);
	}
}

/* ---- what others do not help ---- */

static void link_is_full(void **state)
{
	const struct net net = { .rtt = 50 * CLOCK_MS, .link = 12 * MB, .cap = 55 * MB };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, 15 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 4);
	assert_int_equal(world.trials, 1);
	/* Networks change: some time later it is tried again, and more and more rarely. */
	pass(&world, 600 * CLOCK_SECOND);
	assert_in_range(world.trials, 3, 6);
	ends_with(&world, 1, 1, 4);
}

/* Of so many jobs over a network, on machines with much to do: those that end with more sessions than one. */
static unsigned believed(uint64_t cap)
{
	const struct net net = { .rtt = 40 * CLOCK_MS, .link = 12 * MB, .cap = cap, .pauses = 50 };
	unsigned kept = 0;

	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct world world = world_make(&net);

		world.seed = seed * UINT64_C(0x9e3779b97f4a7c15);
		pass(&world, 15 * CLOCK_SECOND);
		kept += world.live > 1;
	}
	print_message("of 400 trials %u are believed\n", kept);
	return kept;
}

/* What waited comes at once, and rates are a matter of chance: seldom taken for a gain, and a gain is not overlooked. */
static void machine_is_loaded(void **state)
{
	(void)state;
	assert_in_range(believed(55 * MB), 0, 60);
	assert_in_range(believed(3 * MB), 380, 400);
}

static void near_by(void **state)
{
	const struct net near = { .rtt = CLOCK_MS / 5, .link = GIGABIT, .cap = GIGABIT / 4 };
	const struct net unheard = { .rtt = 50 * CLOCK_MS, .link = GIGABIT, .cap = 55 * MB, .unheard = true };
	struct world world = world_make(&near);

	(void)state;
	pass(&world, 60 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
	world = world_make(&unheard);
	pass(&world, 60 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
}

/* A full queue on the way makes the round trip longer than the distance is. */
static void queue_is_no_distance(void **state)
{
	struct net net = { .rtt = CLOCK_MS, .link = 50 * MB, .cap = 20 * MB };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, CLOCK_SECOND);
	net.rtt = 80 * CLOCK_MS;
	pass(&world, 60 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
}

/* A disk that says so is not asked by more of them; one that does not is found out. */
static void slow_disk(void **state)
{
	struct net net = { .rtt = 50 * CLOCK_MS, .link = GIGABIT, .cap = 55 * MB, .ends = 20 * MB, .held = true };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, 60 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
	net.held = false;
	world = world_make(&net);
	pass(&world, 15 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 4);
	assert_int_equal(world.trials, 1);
}

/* In the middle of a trial, or before it, when others are open for it, the disk stops: it ends all the same. */
static void disk_stops(void **state)
{
	(void)state;
	for (int trial = 0; trial < 2; trial++) {
		struct net net = { .rtt = 50 * CLOCK_MS, .link = GIGABIT, .cap = 55 * MB };
		struct world world = world_make(&net);

		while (world.live == 1 || world.growth.ahead != (trial == 0))
			pass(&world, 10 * CLOCK_MS);
		net.ends = 1;
		net.held = true;
		pass(&world, 5 * CLOCK_SECOND);
		ends_with(&world, 1, 1, 4);
		assert_false(world.growth.ahead);
	}
}

static void end_is_near(void **state)
{
	const struct net net = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .left = 40 * MB };
	struct world world = world_make(&net);

	(void)state;
	while (world.moved < 36 * MB)
		pass(&world, 10 * CLOCK_MS);
	ends_with(&world, 1, 1, 1);
}

/* Opened in advance, when nobody knew yet how much a round trip takes of it. */
static void end_is_nearer_than_it_seemed(void **state)
{
	const struct net net = { .rtt = 400 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .left = 100 * MB };
	struct world world = world_make(&net);

	(void)state;
	while (world.moved < 95 * MB)
		pass(&world, 10 * CLOCK_MS);
	ends_with(&world, 1, 1, 8);
	assert_false(world.growth.ahead);
	assert_int_equal(world.most, 8);
}

static void user_limits(void **state)
{
	const struct net net = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .limit = 10 * MB };
	const struct net wide = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .limit = 100 * MB };
	struct world world = world_make(&net);

	(void)state;
	pass(&world, 60 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
	world = world_make(&wide);
	pass(&world, 15 * CLOCK_SECOND);
	ends_with(&world, 4, 5, 8);
}

/* What the daemon refuses is not asked for again. */
static void daemon_limits(void **state)
{
	const struct net two = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .allowed = 2 };
	const struct net one = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB, .allowed = 1 };
	struct world world = world_make(&two);

	(void)state;
	pass(&world, 600 * CLOCK_SECOND);
	ends_with(&world, 2, 2, 2);
	assert_int_equal(world.growth.wanted, 2);
	world = world_make(&one);
	pass(&world, 600 * CLOCK_SECOND);
	ends_with(&world, 1, 1, 1);
	assert_int_equal(world.trials, 1);
}

/* The next source of the same job begins to count anew; what was found out stays. */
static void next_source(void **state)
{
	const struct net net = { .rtt = 100 * CLOCK_MS, .link = GIGABIT, .cap = 28 * MB };
	struct world world = world_make(&net);
	unsigned before;

	(void)state;
	pass(&world, 10 * CLOCK_SECOND);
	before = world.live;
	world.moved = 0;
	pass(&world, CLOCK_SECOND);
	ends_with(&world, before, GROWTH_MOST, GROWTH_MOST);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_at_50_ms), cmocka_unit_test(window_at_100_ms),
		cmocka_unit_test(losses),          cmocka_unit_test(link_is_full),
		cmocka_unit_test(near_by),         cmocka_unit_test(queue_is_no_distance),
		cmocka_unit_test(slow_disk),       cmocka_unit_test(disk_stops),
		cmocka_unit_test(end_is_near),     cmocka_unit_test(end_is_nearer_than_it_seemed),
		cmocka_unit_test(user_limits),     cmocka_unit_test(daemon_limits),
		cmocka_unit_test(next_source),     cmocka_unit_test(machine_is_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
