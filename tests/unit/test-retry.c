/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/retry: when a lost session is tried again, in simulated time. */
#include "unit.h"

#include "base/clock.h"
#include "client/retry.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MOST UINT64_MAX

static const struct retry_limits ordinary = { .tries = RETRY_TRIES_ANY, .span = 120 * CLOCK_SECOND };

/* A client in simulated time. */
struct world {
	struct retry retry;
	uint64_t now;
	uint64_t pause;
	uint64_t reached;
};

static struct world world_make(const struct retry_limits *limits)
{
	struct world world = { .now = 1000 * CLOCK_SECOND };

	retry_start(&world.retry, limits);
	retry_job(&world.retry);
	return world;
}

static enum retry_verdict opened(struct world *world, uint8_t boot)
{
	const uint8_t id[MESSAGE_BOOT_ID] = { [15] = boot };

	return retry_opened(&world->retry, id, false, world->now);
}

/* The pause passes. */
static enum retry_verdict lost_by(struct world *world, enum ending_kind how, uint64_t random)
{
	enum retry_verdict verdict;

	world->pause = MOST;
	verdict = retry_lost(&world->retry, how, world->reached, random, world->now, &world->pause);
	if (verdict == RETRY_AGAIN)
		world->now += world->pause;
	else
		assert_true(world->pause == MOST);
	return verdict;
}

static enum retry_verdict lost(struct world *world, enum ending_kind how)
{
	return lost_by(world, how, 0);
}

static void pauses_grow_and_are_jittered(void **state)
{
	(void)state;
	static const unsigned bounds[] = { 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	struct world world = world_make(&ordinary);

	assert_int_equal(opened(&world, 1), RETRY_AGAIN);
	for (size_t i = 0; i < COUNT(bounds); i++) {
		uint64_t bound = bounds[i] * CLOCK_MS;
		/* Full jitter: from nothing at all to the bound, and each in between. */
		struct retry same = world.retry;
		uint64_t pause;
		assert_int_equal(retry_lost(&same, ENDING_CONNECT, 0, 0, world.now, &pause), RETRY_AGAIN);
		assert_int_equal(pause, 0);
		same = world.retry;
		assert_int_equal(retry_lost(&same, ENDING_CONNECT, 0, bound / 3, world.now, &pause), RETRY_AGAIN);
		assert_int_equal(pause, bound / 3);
		same = world.retry;
		assert_int_equal(retry_lost(&same, ENDING_CONNECT, 0, bound + 1, world.now, &pause), RETRY_AGAIN);
		assert_int_equal(pause, 0);
		assert_int_equal(lost_by(&world, ENDING_CONNECT, bound), RETRY_AGAIN);
		assert_int_equal(world.pause, bound);
	}
}

static void progress_begins_anew(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	opened(&world, 1);
	for (int i = 0; i < 8; i++)
		assert_int_equal(lost_by(&world, ENDING_SILENT, 5 * CLOCK_SECOND), RETRY_AGAIN);
	assert_true(retry_down(&world.retry, world.now) > 10 * CLOCK_SECOND);
	opened(&world, 2);
	world.now += 500 * CLOCK_SECOND;
	world.reached = 7;
	assert_int_equal(lost_by(&world, ENDING_SILENT, 200 * CLOCK_MS), RETRY_AGAIN);
	assert_int_equal(world.pause, 200 * CLOCK_MS);
	assert_int_equal(retry_down(&world.retry, world.now), 200 * CLOCK_MS);
	/* To be as far as before is no progress. */
	opened(&world, 2);
	assert_int_equal(lost_by(&world, ENDING_SILENT, 400 * CLOCK_MS), RETRY_AGAIN);
	assert_int_equal(world.pause, 400 * CLOCK_MS);
}

static void time_without_a_session_runs_out(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);
	uint64_t began;

	opened(&world, 1);
	began = world.now;
	for (;;) {
		enum retry_verdict verdict = lost_by(&world, ENDING_CONNECT, 7 * CLOCK_SECOND);
		if (verdict != RETRY_AGAIN) {
			assert_int_equal(verdict, RETRY_OVER);
			break;
		}
		/* No pause goes beyond the limit, and what it takes to be refused counts. */
		assert_true(world.now - began <= 120 * CLOCK_SECOND);
		world.now += 10 * CLOCK_MS;
	}
	assert_true(world.now - began >= 120 * CLOCK_SECOND);
	assert_int_equal(retry_left(&world.retry, world.now), 0);
}

static void time_in_a_session_does_not_count(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	opened(&world, 1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(lost_by(&world, ENDING_SILENT, 100 * CLOCK_MS), RETRY_AGAIN);
		opened(&world, 1);
		world.now += 60 * CLOCK_SECOND;
	}
	assert_int_equal(retry_down(&world.retry, world.now), 1000 * CLOCK_MS);
}

static void tries_are_counted(void **state)
{
	(void)state;
	const struct retry_limits limits = { .tries = 3, .span = 120 * CLOCK_SECOND };
	struct world world = world_make(&limits);

	opened(&world, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_AGAIN);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_OVER);
	/* A session without progress is one of the tries. */
	world = world_make(&limits);
	opened(&world, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lost(&world, ENDING_SILENT), RETRY_AGAIN);
		opened(&world, 1);
	}
	assert_int_equal(lost(&world, ENDING_SILENT), RETRY_OVER);
}

static void nothing_is_tried_again_when_not_wanted(void **state)
{
	(void)state;
	const struct retry_limits no_time = { .tries = RETRY_TRIES_ANY, .span = 0, .first = true };
	const struct retry_limits no_tries = { .tries = 0, .span = 120 * CLOCK_SECOND, .first = true };
	const struct retry_limits *none[] = { &no_time, &no_tries };

	for (size_t i = 0; i < COUNT(none); i++) {
		struct world world = world_make(none[i]);
		assert_false(retry_wanted(&world.retry));
		assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_NOT);
		opened(&world, 1);
		assert_int_equal(lost(&world, ENDING_AWAY), RETRY_NOT);
	}
	struct world world = world_make(&ordinary);
	assert_true(retry_wanted(&world.retry));
	opened(&world, 1);
	assert_int_equal(lost(&world, ENDING_FINAL), RETRY_NOT);
}

static void the_first_connection_is_another_thing(void **state)
{
	(void)state;
	struct retry_limits limits = ordinary;
	struct world world = world_make(&limits);

	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_NOT);
	assert_int_equal(lost(&world, ENDING_BUSY), RETRY_NOT);
	/* A daemon that is about to go: the next one is there, or none. */
	assert_int_equal(lost(&world, ENDING_AWAY), RETRY_AGAIN);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_NOT);
	limits.first = true;
	world = world_make(&limits);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_AGAIN);
	world.now += 119 * CLOCK_SECOND;
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_AGAIN);
	world.now += 1 * CLOCK_SECOND;
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_OVER);
}

static void who_was_given_up_is_tried_once(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	opened(&world, 1);
	assert_int_equal(lost(&world, ENDING_SILENT), RETRY_AGAIN);
	world.now += 120 * CLOCK_SECOND;
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_OVER);
	retry_job(&world.retry);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_NOT);
	/* It is back: as ever. */
	retry_job(&world.retry);
	opened(&world, 2);
	assert_int_equal(lost(&world, ENDING_SILENT), RETRY_AGAIN);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_AGAIN);
}

static void goaway_is_no_error(void **state)
{
	(void)state;
	const struct retry_limits limits = { .tries = 1, .span = 120 * CLOCK_SECOND };
	struct world world = world_make(&limits);

	opened(&world, 1);
	for (uint8_t i = 0; i < 10; i++) {
		world.reached++;
		assert_int_equal(lost_by(&world, ENDING_AWAY, 100 * CLOCK_MS), RETRY_AGAIN);
		assert_int_equal(world.pause, 100 * CLOCK_MS);
		assert_int_equal(opened(&world, (uint8_t)(2 + i)), RETRY_AGAIN);
	}
	assert_int_equal(world.retry.tries, 0);
	/* One that sends away at once, always, is one that fails. */
	assert_int_equal(lost_by(&world, ENDING_AWAY, 200 * CLOCK_MS), RETRY_AGAIN);
	assert_int_equal(world.pause, 200 * CLOCK_MS);
	opened(&world, 2);
	assert_int_equal(lost(&world, ENDING_AWAY), RETRY_OVER);
}

/* Ends the session, and opens the next one on that worker. */
static enum retry_verdict dies(struct world *world, uint8_t next)
{
	assert_int_equal(lost(world, ENDING_BROKEN), RETRY_AGAIN);
	return opened(world, next);
}

static void a_request_that_kills_is_given_up(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	opened(&world, 1);
	world.reached = 100;
	assert_int_equal(dies(&world, 2), RETRY_AGAIN);
	assert_int_equal(dies(&world, 3), RETRY_AGAIN);
	assert_int_equal(dies(&world, 4), RETRY_HOPELESS);
	assert_int_equal(world.retry.deaths, RETRY_DEATHS);

	/* Another request is another thing. */
	retry_job(&world.retry);
	world.reached = 0;
	assert_int_equal(dies(&world, 5), RETRY_AGAIN);
	assert_int_equal(dies(&world, 6), RETRY_AGAIN);
}

/* Where the next worker says that the last one died, no other evidence is asked for, nor stands against it. */
static void what_is_told_is_a_death(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);
	const uint8_t id[MESSAGE_BOOT_ID] = { [15] = 1 };

	opened(&world, 1);
	for (int i = 1; i < RETRY_DEATHS; i++) {
		assert_int_equal(lost(&world, ENDING_SILENT), RETRY_AGAIN);
		assert_int_equal(retry_opened(&world.retry, id, true, world.now), RETRY_AGAIN);
	}
	assert_int_equal(lost(&world, ENDING_SILENT), RETRY_AGAIN);
	assert_int_equal(retry_opened(&world.retry, id, true, world.now), RETRY_HOPELESS);
}

static void deaths_in_between_are_forgiven(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	/* Each session got further. */
	opened(&world, 1);
	for (uint8_t i = 2; i < 20; i++) {
		world.reached++;
		assert_int_equal(dies(&world, i), RETRY_AGAIN);
	}
	/* No connection in between: the same deaths. */
	assert_int_equal(dies(&world, 30), RETRY_AGAIN);
	assert_int_equal(lost(&world, ENDING_BROKEN), RETRY_AGAIN);
	assert_int_equal(lost(&world, ENDING_CONNECT), RETRY_AGAIN);
	assert_int_equal(opened(&world, 31), RETRY_HOPELESS);
}

static void only_a_death_is_a_death(void **state)
{
	(void)state;
	static const enum ending_kind others[] = { ENDING_SILENT, ENDING_AWAY, ENDING_BUSY };

	for (size_t i = 0; i < COUNT(others); i++) {
		struct world world = world_make(&ordinary);
		opened(&world, 1);
		for (uint8_t boot = 2; boot < 12; boot++) {
			assert_int_equal(lost(&world, others[i]), RETRY_AGAIN);
			assert_int_equal(opened(&world, boot), RETRY_AGAIN);
		}
	}
	/* The stream breaks, and the worker lives: a worker met again proves it, though there are several. */
	struct world world = world_make(&ordinary);
	opened(&world, 1);
	for (uint8_t i = 0; i < 12; i++)
		assert_int_equal(dies(&world, (uint8_t)(1 + i % 3)), RETRY_AGAIN);
	world = world_make(&ordinary);
	opened(&world, 1);
	for (uint8_t i = 0; i < 12; i++)
		assert_int_equal(dies(&world, 1), RETRY_AGAIN);
}

static void nonsense_is_not_listened_to_for_long(void **state)
{
	(void)state;
	struct world world = world_make(&ordinary);

	opened(&world, 1);
	for (int i = 1; i < RETRY_NONSENSE; i++) {
		assert_int_equal(lost(&world, ENDING_NONSENSE), RETRY_AGAIN);
		opened(&world, 1);
	}
	assert_int_equal(lost(&world, ENDING_NONSENSE), RETRY_HOPELESS);
	/* A bad line: it gets on between the errors. */
	world = world_make(&ordinary);
	opened(&world, 1);
	for (int i = 0; i < 50; i++) {
		world.reached++;
		assert_int_equal(lost(&world, ENDING_NONSENSE), RETRY_AGAIN);
		opened(&world, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_grow_and_are_jittered),
		cmocka_unit_test(progress_begins_anew),
		cmocka_unit_test(time_without_a_session_runs_out),
		cmocka_unit_test(time_in_a_session_does_not_count),
		cmocka_unit_test(tries_are_counted),
		cmocka_unit_test(nothing_is_tried_again_when_not_wanted),
		cmocka_unit_test(the_first_connection_is_another_thing),
		cmocka_unit_test(who_was_given_up_is_tried_once),
		cmocka_unit_test(goaway_is_no_error),
		cmocka_unit_test(a_request_that_kills_is_given_up),
		cmocka_unit_test(what_is_told_is_a_death),
		cmocka_unit_test(deaths_in_between_are_forgiven),
		cmocka_unit_test(only_a_death_is_a_death),
		cmocka_unit_test(nonsense_is_not_listened_to_for_long),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
