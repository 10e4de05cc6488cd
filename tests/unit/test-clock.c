/* SPDX-License-Identifier: BSD-2-Clause */
/* base/clock: goes on, and forgives our own pauses. */
#include "unit.h"

#include "base/clock.h"

static const uint64_t START = 5000 * CLOCK_SECOND;

static void goes_on(void **state)
{
	(void)state;
	uint64_t first = clock_monotonic();
	uint64_t second = clock_monotonic();
	assert_true(first > 0);
	assert_true(second >= first);
	/* 2020 was over when this was written. */
	assert_true(clock_real() > UINT64_C(1577836800) * CLOCK_SECOND);
}

static void follows_the_raw_clock(void **state)
{
	(void)state;
	struct clock_steady clock = { 0 };
	bool paused = true;
	assert_true(clock_steady_tick(&clock, START, &paused) == START);
	assert_false(paused);
	for (uint64_t i = 1; i <= 100; i++) {
		assert_true(clock_steady_tick(&clock, START + i * CLOCK_TICK, &paused) == START + i * CLOCK_TICK);
		assert_false(paused);
	}
}

static void takes_a_second_as_lateness_and_more_as_a_pause(void **state)
{
	(void)state;
	struct clock_steady clock = { 0 };
	bool paused;
	clock_steady_tick(&clock, START, NULL);
	uint64_t now = clock_steady_tick(&clock, START + CLOCK_PAUSE, &paused);
	assert_true(now == START + CLOCK_PAUSE);
	assert_false(paused);

	/* Ten minutes stopped count as one tick. */
	uint64_t raw = START + CLOCK_PAUSE + 600 * CLOCK_SECOND;
	assert_true(clock_steady_tick(&clock, raw, &paused) == now + CLOCK_TICK);
	assert_true(paused);
	assert_true(clock_steady_tick(&clock, raw + CLOCK_TICK, &paused) == now + 2 * CLOCK_TICK);
	assert_false(paused);

	/* And a second pause is forgiven on top of the first. */
	raw += CLOCK_TICK + 3600 * CLOCK_SECOND;
	assert_true(clock_steady_tick(&clock, raw, &paused) == now + 3 * CLOCK_TICK);
	assert_true(paused);
}

static void never_goes_back(void **state)
{
	(void)state;
	struct clock_steady clock = { 0 };
	uint64_t now = clock_steady_tick(&clock, START, NULL);
	assert_true(clock_steady_tick(&clock, START - CLOCK_TICK, NULL) == now);
	assert_true(clock_steady_tick(&clock, START + 1, NULL) == now + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on),
		cmocka_unit_test(follows_the_raw_clock),
		cmocka_unit_test(takes_a_second_as_lateness_and_more_as_a_pause),
		cmocka_unit_test(never_goes_back),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
