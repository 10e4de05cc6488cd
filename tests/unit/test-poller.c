/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/poller: who is waited for is told, who is slow is not waited for, and who goes is not heard of again. */
#include "unit.h"

#include "engine/poller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xfer/plugin.h>

enum { PAIRS = 3 };

struct end {
	struct polled polled;
	struct rig *rig;
	int near, far;
	unsigned fires;
	uint32_t events; /* of the last one */
};

struct rig {
	uv_loop_t uv;
	struct poller poller;
	struct end ends[PAIRS];
	bool closes; /* who fires first closes the others */
};

static void on_fire(struct polled *polled, uint32_t events)
{
	struct end *end = (struct end *)(void *)polled;
	char byte;

	end->fires++;
	end->events = events;
	if (events & XFER_POLL_READ)
		(void)!read(end->near, &byte, 1);
	for (int i = 0; end->rig->closes && i < PAIRS; i++) {
		struct end *other = &end->rig->ends[i];

		if (other == end)
			continue;
		polled_close(&end->rig->poller, &other->polled);
		/* Its memory is another's now. */
		other->polled = (struct polled){ .fire = on_fire, .fd = -1, .events = XFER_POLL_READ };
	}
}

static int rig_open(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (rig == NULL || uv_loop_init(&rig->uv) < 0 || poller_open(&rig->poller, &rig->uv) < 0)
		return -1;
	for (int i = 0; i < PAIRS; i++) {
		struct end *end = &rig->ends[i];
		int made[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, made) < 0)
			return -1;
		end->rig = rig;
		end->near = made[0];
		end->far = made[1];
		if (polled_open(&rig->poller, &end->polled, end->near, on_fire) < 0)
			return -1;
		polled_wait(&rig->poller, &end->polled, XFER_POLL_READ);
	}
	*state = rig;
	return 0;
}

static int rig_close(void **state)
{
	struct rig *rig = *state;

	for (int i = 0; i < PAIRS; i++) {
		polled_close(&rig->poller, &rig->ends[i].polled);
		close(rig->ends[i].near);
		if (rig->ends[i].far >= 0)
			close(rig->ends[i].far);
	}
	assert_int_equal(rig->poller.slow_count, 0);
	poller_close(&rig->poller);
	uv_run(&rig->uv, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig->uv), 0);
	free(rig);
	return 0;
}

static void say(struct rig *rig, int at)
{
	assert_int_equal(write(rig->ends[at].far, "x", 1), 1);
}

static void run(struct rig *rig)
{
	uv_run(&rig->uv, UV_RUN_NOWAIT);
}

static void test_wait(void **state)
{
	struct rig *rig = *state;

	say(rig, 0);
	say(rig, 1);
	polled_wait(&rig->poller, &rig->ends[1].polled, 0);
	run(rig);
	assert_int_equal(rig->ends[0].fires, 1);
	assert_int_equal(rig->ends[0].events, XFER_POLL_READ);
	assert_int_equal(rig->ends[1].fires, 0);
	run(rig);
	assert_int_equal(rig->ends[0].fires, 1);
	polled_wait(&rig->poller, &rig->ends[1].polled, XFER_POLL_READ | XFER_POLL_WRITE);
	run(rig);
	assert_int_equal(rig->ends[1].fires, 1);
	assert_int_equal(rig->ends[1].events, XFER_POLL_READ | XFER_POLL_WRITE);
}

/* Of an end of the stream whoever waits is told; who waits for nothing is told when he waits again. */
static void test_hang_up(void **state)
{
	struct rig *rig = *state;

	polled_wait(&rig->poller, &rig->ends[1].polled, 0);
	for (int i = 0; i < 2; i++) {
		close(rig->ends[i].far);
		rig->ends[i].far = -1;
	}
	run(rig);
	assert_int_equal(rig->ends[0].fires, 1);
	assert_int_equal(rig->ends[0].events, XFER_POLL_READ | XFER_POLL_WRITE);
	assert_int_equal(rig->ends[1].fires, 0);
	polled_wait(&rig->poller, &rig->ends[1].polled, XFER_POLL_READ);
	run(rig);
	assert_int_equal(rig->ends[1].fires, 1);
}

/* All three have something in one turn, and two of them are gone before theirs has come. */
static void test_close_in_turn(void **state)
{
	struct rig *rig = *state;
	unsigned fires = 0;

	rig->closes = true;
	for (int i = 0; i < PAIRS; i++)
		say(rig, i);
	run(rig);
	for (int i = 0; i < PAIRS; i++)
		fires += rig->ends[i].fires;
	assert_int_equal(fires, 1);
}

static void test_slow(void **state)
{
	struct rig *rig = *state;

	polled_slow(&rig->poller, &rig->ends[0].polled, true);
	polled_slow(&rig->poller, &rig->ends[1].polled, true);
	assert_int_equal(rig->poller.slow_count, 2);
	for (int i = 0; i < PAIRS; i++)
		say(rig, i);
	run(rig);
	assert_int_equal(rig->ends[0].fires, 0);
	assert_int_equal(rig->ends[2].fires, 1);
	poller_look(&rig->poller);
	assert_int_equal(rig->ends[0].fires, 1);
	assert_int_equal(rig->ends[1].fires, 1);
	assert_int_equal(rig->ends[2].fires, 1);

	/* What came meanwhile is not lost on the way back. */
	say(rig, 0);
	polled_slow(&rig->poller, &rig->ends[0].polled, false);
	assert_int_equal(rig->poller.slow_count, 1);
	run(rig);
	assert_int_equal(rig->ends[0].fires, 2);
	say(rig, 1);
	polled_wait(&rig->poller, &rig->ends[1].polled, 0);
	poller_look(&rig->poller);
	assert_int_equal(rig->ends[1].fires, 1);
}

/* A file is no connection, and is no reason to end the process. */
static void test_file(void **state)
{
	struct rig *rig = *state;
	struct polled polled = { .fd = -1 };
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(polled_open(&rig->poller, &polled, fileno(file), on_fire), -EPERM);
	polled_close(&rig->poller, &polled);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wait, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_hang_up, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_close_in_turn, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_slow, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(test_file, rig_open, rig_close),
	};

	return cmocka_run_group_tests_name("engine/poller", tests, NULL, NULL);
}
