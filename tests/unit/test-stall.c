/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/stall: what is said of a peer from whom nothing comes, in simulated time. */
#include "unit.h"

#include "engine/stall.h"

#include <stdlib.h>
#include <string.h>

struct world {
	struct stall stall;
	struct channel *channel; /* owned; what a session told in-band, no heartbeat */
	struct xfer_progress ours;
	uint64_t now;
	uint64_t moved;
};

static int world_make(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	if (world == NULL || (world->channel = calloc(1, sizeof *world->channel)) == NULL)
		return -1;
	if ((world->channel->theirs = calloc(1, sizeof *world->channel->theirs)) == NULL)
		return -1;
	world->now = 1000 * CLOCK_SECOND;
	world->channel->pulse.interval = CLOCK_SECOND / 2;
	world->channel->pulse.heard = world->now;
	stall_begin(&world->stall, world->now);
	*state = world;
	return 0;
}

static int world_free(void **state)
{
	struct world *world = *state;

	free(world->channel->theirs);
	free(world->channel);
	free(world);
	return 0;
}

/* Time passes; a living peer is heard at its end. */
static void pass(struct world *world, uint64_t seconds, bool alive)
{
	world->now += seconds * CLOCK_SECOND;
	if (alive)
		world->channel->pulse.heard = world->now;
}

static uint64_t look(struct world *world, bool waits)
{
	const struct stall_look look = {
		.channel = world->channel,
		.moved = world->moved,
		.waits = waits,
		.ours = &world->ours,
	};

	return stall_look(&world->stall, &look, world->now);
}

static void tell(struct world *world, uint32_t stage, uint32_t seconds)
{
	world->channel->theirs->stage = stage;
	world->channel->theirs->stage_age_ms = seconds * 1000;
	world->channel->theirs->received = 1;
}

static void names_the_stage(void **state)
{
	struct world *world = *state;
	static const struct {
		uint32_t stage;
		const char *text;
	} rows[] = {
		{ XFER_STAGE_READ, "peer alive, blocked in read for 40 s" },
		{ XFER_STAGE_HASH, "peer alive, blocked in hash for 40 s" },
		{ XFER_STAGE_WRITE, "peer alive, blocked in write for 40 s" },
		{ XFER_STAGE_SYNC, "peer alive, blocked in sync for 40 s" },
		{ XFER_STAGE_SEND, "peer alive, in send, nothing has come for 41 s" },
		{ XFER_STAGE_IDLE, "peer alive and idle, nothing has come for 41 s" },
		{ 99, "peer alive, in an unknown stage, nothing has come for 41 s" },
	};

	pass(world, 41, true);
	for (size_t i = 0; i < COUNT(rows); i++) {
		tell(world, rows[i].stage, 40);
		assert_int_equal(look(world, true), 41 * CLOCK_SECOND);
		assert_string_equal(world->stall.text, rows[i].text);
	}
}

static void what_moves_is_no_stall(void **state)
{
	struct world *world = *state;

	tell(world, XFER_STAGE_READ, 40);
	for (int i = 0; i < 100; i++) {
		pass(world, 1, true);
		world->moved++;
		assert_int_equal(look(world, true), 0);
		assert_string_equal(world->stall.text, "");
	}
	pass(world, 1, true);
	assert_int_equal(look(world, true), 0);
	pass(world, 1, true);
	assert_int_equal(look(world, true), 2 * CLOCK_SECOND);
	/* Half a frame that was counted, and became a whole one, is no step back and none forward. */
	world->moved--;
	pass(world, 1, true);
	assert_int_equal(look(world, true), 3 * CLOCK_SECOND);
	world->moved++;
	assert_int_equal(look(world, true), 3 * CLOCK_SECOND);
	world->moved++;
	assert_int_equal(look(world, true), 0);
	assert_string_equal(world->stall.text, "");
}

static void who_owes_nothing_does_not_stall(void **state)
{
	struct world *world = *state;

	pass(world, 100, true);
	assert_int_equal(look(world, false), 0);
	assert_string_equal(world->stall.text, "");
	pass(world, 3, true);
	assert_int_equal(look(world, true), 3 * CLOCK_SECOND);
}

static void our_own_disk_is_not_the_peers(void **state)
{
	struct world *world = *state;

	tell(world, XFER_STAGE_IDLE, 0);
	world->ours = (struct xfer_progress){ .stage = XFER_STAGE_SYNC, .stage_age_ms = 12000 };
	pass(world, 700, true);
	assert_int_equal(look(world, true), 0);
	assert_string_equal(world->stall.text, "blocked in sync here for 12 s");
	/* It has come back: now the peer has its time. */
	world->ours = (struct xfer_progress){ .stage = XFER_STAGE_RECEIVE };
	pass(world, 5, true);
	assert_int_equal(look(world, true), 5 * CLOCK_SECOND);
	/* A disk that works is none that is blocked. */
	world->ours = (struct xfer_progress){ .stage = XFER_STAGE_WRITE, .stage_age_ms = 100 };
	assert_int_equal(look(world, true), 5 * CLOCK_SECOND);
}

static void who_is_not_heard_is_not_alive(void **state)
{
	struct world *world = *state;

	tell(world, XFER_STAGE_SYNC, 40);
	pass(world, 3, false);
	look(world, true);
	assert_string_equal(world->stall.text, "no sign of the peer for 3 s");
	/* Bytes are a sign as well. */
	world->channel->link.received_at = world->now;
	look(world, true);
	assert_string_equal(world->stall.text, "peer alive, blocked in sync for 40 s");
	/* Who is asked rarely is heard rarely. */
	world->channel->pulse.interval = 10 * CLOCK_SECOND;
	pass(world, 20, false);
	look(world, true);
	assert_string_equal(world->stall.text, "peer alive, blocked in sync for 40 s");
	pass(world, 10, false);
	look(world, true);
	assert_string_equal(world->stall.text, "no sign of the peer for 30 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_the_stage, world_make, world_free),
		cmocka_unit_test_setup_teardown(what_moves_is_no_stall, world_make, world_free),
		cmocka_unit_test_setup_teardown(who_owes_nothing_does_not_stall, world_make, world_free),
		cmocka_unit_test_setup_teardown(our_own_disk_is_not_the_peers, world_make, world_free),
		cmocka_unit_test_setup_teardown(who_is_not_heard_is_not_alive, world_make, world_free),
	};
	return cmocka_run_group_tests_name("stall", tests, NULL, NULL);
}
