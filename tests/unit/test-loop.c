/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/loop: deadlines fire in order, and none keeps others from firing. */
#include "unit.h"

#include "engine/loop.h"

#include <stdlib.h>

enum { FIRES_MAX = 100000, DEADLINES = 3 };

struct rig {
	struct loop *loop;
	struct deadline again; /* is set again to a time that is over */
	struct deadline once;
	unsigned fires;
	unsigned fires_before; /* of `again`, when `once` fired */
	bool over;
	struct deadline some[DEADLINES];
	unsigned order[DEADLINES];
	unsigned count;
};

static void settled(void *context)
{
	(void)context;
}

static int rig_open(void **state)
{
	const struct loop_settings settings = { .threads = 1, .memory = 8 << 20, .settled = settled };
	struct rig *rig = calloc(1, sizeof(*rig));
	struct error err = { 0 };

	if (rig == NULL || loop_create(&rig->loop, &settings, &err) < 0)
		return -1;
	*state = rig;
	return 0;
}

static int rig_close(void **state)
{
	struct rig *rig = *state;

	loop_destroy(rig->loop);
	free(rig);
	return 0;
}

static void on_again(struct deadline *deadline)
{
	struct rig *rig = list_entry(deadline, struct rig, again);

	/* The end of a loop that spins, so that the test fails instead of hanging. */
	if (rig->over || ++rig->fires >= FIRES_MAX)
		return;
	assert_int_equal(loop_deadline(rig->loop, deadline, 1), 0);
}

static void on_once(struct deadline *deadline)
{
	struct rig *rig = list_entry(deadline, struct rig, once);

	rig->fires_before = rig->fires;
	rig->over = true;
	loop_stop(rig->loop);
}

static void set_again_and_again(void **state)
{
	struct rig *rig = *state;

	rig->again.fire = on_again;
	rig->once.fire = on_once;
	loop_time(rig->loop);
	assert_int_equal(loop_deadline(rig->loop, &rig->again, 1), 0);
	assert_int_equal(loop_deadline(rig->loop, &rig->once, rig->loop->now + 20 * CLOCK_MS), 0);
	loop_run(rig->loop);
	assert_true(rig->over);
	assert_in_range(rig->fires_before, 1, 1000);
}

static void on_some(struct deadline *deadline, unsigned index)
{
	struct rig *rig = list_entry(deadline - index, struct rig, some);

	rig->order[rig->count++] = index;
	if (rig->count == DEADLINES)
		loop_stop(rig->loop);
}
static void on_some_0(struct deadline *deadline)
{
	on_some(deadline, 0);
}
static void on_some_1(struct deadline *deadline)
{
	on_some(deadline, 1);
}
static void on_some_2(struct deadline *deadline)
{
	on_some(deadline, 2);
}

static void in_order(void **state)
{
	struct rig *rig = *state;
	uint64_t now = loop_time(rig->loop);

	rig->some[0].fire = on_some_0;
	rig->some[1].fire = on_some_1;
	rig->some[2].fire = on_some_2;
	assert_int_equal(loop_deadline(rig->loop, &rig->some[0], now + 8 * CLOCK_MS), 0);
	assert_int_equal(loop_deadline(rig->loop, &rig->some[1], now), 0);
	assert_int_equal(loop_deadline(rig->loop, &rig->some[2], now + 30 * CLOCK_MS), 0);
	assert_int_equal(loop_deadline(rig->loop, &rig->some[2], now + 4 * CLOCK_MS), 0);
	loop_run(rig->loop);
	assert_int_equal(rig->order[0], 1);
	assert_int_equal(rig->order[1], 2);
	assert_int_equal(rig->order[2], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(set_again_and_again, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(in_order, rig_open, rig_close),
	};
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
