/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/generation: when a dead worker is replaced. */
#include "unit.h"

#include "base/clock.h"
#include "daemon/generation.h"

#include <errno.h>
#include <stdlib.h>

static struct generation *make(unsigned workers)
{
	struct generation *generation;
	struct settings *settings = calloc(1, sizeof *settings);
	assert_non_null(settings);
	settings->workers = workers;
	settings->listen = calloc(1, sizeof *settings->listen);
	assert_non_null(settings->listen);
	settings->listen_count = 1;
	assert_int_equal(generation_create(&generation, settings, NULL), 0);
	return generation;
}

static void refuses_what_cannot_serve(void **state)
{
	(void)state;
	struct generation *generation;
	struct settings settings = { .workers = 1 };
	struct error err = { 0 };
	assert_int_equal(generation_create(&generation, &settings, &err), -EINVAL);
	assert_int_equal(err.fault, FAULT_USAGE);
	settings.listen_count = 1;
	settings.workers = 0;
	assert_int_equal(generation_create(&generation, &settings, NULL), -EINVAL);
	settings.workers = LISTEN_WORKERS_MAX + 1;
	assert_int_equal(generation_create(&generation, &settings, NULL), -EINVAL);
}

static void pauses_grow(void **state)
{
	(void)state;
	struct generation *generation = make(2);
	struct child child = { .order.index = 1, .state = CHILD_RUNNING };
	static const uint64_t ms[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
	uint64_t now = CLOCK_SECOND;
	assert_int_equal(generation_next(generation), CLOCK_NEVER);
	for (size_t at = 0; at < COUNT(ms); at++) {
		child.started = now;
		generation_put(generation, &child);
		assert_ptr_equal(child.generation, generation);
		assert_int_equal(generation_due(generation, UINT64_MAX - 1), -1);
		now += 50 * CLOCK_MS;
		generation_vacate(generation, &child, now);
		assert_int_equal(generation_next(generation), now + ms[at] * CLOCK_MS);
		now += ms[at] * CLOCK_MS;
		if (ms[at] > 0)
			assert_int_equal(generation_due(generation, now - 1), -1);
		assert_int_equal(generation_due(generation, now), 1);
	}
	/* A long life is forgiven all that was before. */
	child.started = now;
	generation_put(generation, &child);
	now += 60 * CLOCK_SECOND;
	generation_vacate(generation, &child, now);
	assert_int_equal(generation_due(generation, now), 1);
	generation_free(generation);
}

static void knows_when_all_are_there(void **state)
{
	(void)state;
	struct generation *generation = make(2);
	struct child first = { .order.index = 0, .state = CHILD_READY };
	struct child second = { .order.index = 1, .state = CHILD_STARTING };
	generation_put(generation, &first);
	assert_false(generation_is(generation, CHILD_READY));
	generation_put(generation, &second);
	assert_false(generation_is(generation, CHILD_READY));
	second.state = CHILD_READY;
	assert_true(generation_is(generation, CHILD_READY));
	generation_free(generation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_cannot_serve),
		cmocka_unit_test(pauses_grow),
		cmocka_unit_test(knows_when_all_are_there),
	};
	return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
