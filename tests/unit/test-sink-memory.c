/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sink for which memory runs out, at every allocation that it makes: once, or from there on. It says so or does without,
 * gives back what it holds, forgets nothing that it asked for, and calls nothing complete that is not.
 */
#include "unit.h"

#include "alloc.h"
#include "sink-rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scenario {
	unsigned flags;
	bool exists; /* at the destination */
	enum sink_found found;
	uint64_t wrong;
	bool single; /* a file at the top */
	bool damaged;
	bool holes;
	bool aborted;   /* in the middle */
	unsigned files; /* that are done, or unchanged, when all is well */
};

static const struct scenario scenarios[] = {
	{ .files = 4 },
	{ .exists = true, .files = 4 },
	{ .single = true, .damaged = true, .files = 1 },
	{ .single = true, .holes = true, .files = 1 },
	{ .flags = SINK_FLAG_LEAVE | SINK_FLAG_RESUME, .found = SINK_CLAIMS, .wrong = 2, .files = 4 },
	{ .flags = SINK_FLAG_LEAVE | SINK_FLAG_RESUME, .found = SINK_STANDS, .wrong = 4, .files = 4 },
	{ .flags = SINK_FLAG_UPDATE, .exists = true, .found = SINK_OLD, .wrong = 6, .files = 4 },
	{ .flags = SINK_FLAG_VERIFY, .exists = true, .found = SINK_OLD, .files = 4 },
	{ .flags = SINK_FLAG_LEAVE, .aborted = true },
	{ .aborted = true },
};

static void entries_make(struct rig *rig, const struct scenario *scenario)
{
	if (scenario->single) {
		rig_entry(rig, ENTRY_FILE, "x", 7 * RIG_CHUNK);
		return;
	}
	rig_entry(rig, ENTRY_DIR, "x", 0);
	rig_entry(rig, ENTRY_DIR, "hollow", 0);
	rig_entry(rig, ENTRY_UP, "", 0);
	rig_entry(rig, ENTRY_FILE, "small", 10);
	rig_entry(rig, ENTRY_FILE, "large", 5 * RIG_CHUNK + 1);
	rig_entry(rig, ENTRY_DIR, "inner", 0);
	rig_entry(rig, ENTRY_SYMLINK, "link", 0);
	rig_entry(rig, ENTRY_FILE, "empty", 0);
	rig_entry(rig, ENTRY_UP, "", 0);
	rig_entry(rig, ENTRY_FILE, "last", 70 * RIG_CHUNK);
	rig_entry(rig, ENTRY_UP, "", 0);
}

/* All that comes, until the sink is finished or the session is to end. */
static int drive(struct rig *rig, const struct scenario *scenario)
{
	int r;

	(void)rig_frames(rig, CLOCK_SECOND);
	rig_await(rig, 7 * RIG_CHUNK);
	entries_make(rig, scenario);
	r = rig_list(rig, NULL);
	if (r == 0)
		r = rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL);
	rig_orders(rig);
	if (r == 0 && scenario->holes && rig_frames(rig, CLOCK_SECOND) == 0 && rig->asked_count == 1) {
		r = sink_hole(sink_main(rig->sink), rig->asked[0].id, 1, 3, NULL);
		if (r == 0)
			r = sink_hole(sink_main(rig->sink), rig->asked[0].id, 5, 1, NULL);
		rig->asked_count = 0;
		for (uint64_t i = 0; r >= 0 && i < 7; i++)
			r = i == 0 || i == 4 || i == 6 ? rig_chunk(rig, rig->asked[0].id, i, RIG_CHUNK, NULL) : 0;
		r = r < 0 ? r : rig_end(rig, rig->asked[0].id, STATUS_OK, 7 * RIG_CHUNK, NULL);
	}
	rig->codes[SINK_CHUNK] = scenario->damaged ? -EBADMSG : 0;
	if (scenario->aborted) {
		(void)rig_frames(rig, CLOCK_SECOND);
		(void)rig_chunk(rig, 3, 0, RIG_CHUNK, NULL);
		return -ECONNRESET;
	}
	return r < 0 ? r : rig_run(rig);
}

/* Runs a scenario in which allocations n ... n + count - 1 fail; how many did. */
static uint64_t run(const struct scenario *scenario, uint64_t n, uint64_t count)
{
	static struct rig rig;
	uint64_t failed;
	long live = alloc_live();
	int r;

	rig_init(&rig, scenario->flags);
	rig.params.name_exists = scenario->exists;
	rig.params.name_is_dir = scenario->exists && !scenario->single;
	rig.found = scenario->found;
	rig.wrong = scenario->wrong;
	alloc_fail(n, count);
	r = rig_begin(&rig);
	assert_true(r == 0 || r == -ENOMEM);
	if (r == 0)
		r = drive(&rig, scenario);
	(void)alloc_stop(&failed);
	if (rig.sink != NULL) {
		/* With memory again it goes on where it was, unless the session ended. */
		if (r == 0)
			r = rig_run(&rig);
		if (r < 0)
			sink_abort(rig.sink);
		rig_orders(&rig);
		assert_true(sink_finished(rig.sink));
		assert_false(sink_waits(rig.sink));
		assert_int_equal(rig.tokens, 0);
		if (r == 0 && sink_result(rig.sink, NULL) == FAULT_NONE)
			assert_int_equal(rig.done + rig.same, scenario->files);
		else
			assert_true(failed > 0 || scenario->aborted);
		if (r < 0 && !scenario->aborted)
			assert_int_equal(r, -ENOMEM);
	}
	rig_free(&rig);
	assert_int_equal(alloc_live(), live);
	return failed;
}

static void memory_is_short_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		uint64_t n = 1;

		while (run(&scenarios[i], n, 1) > 0)
			n++;
		assert_true(n > 10);
	}
}

static void memory_is_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		for (uint64_t n = 1; run(&scenarios[i], n, UINT32_MAX) > 0; n++)
			;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_short_once),
		cmocka_unit_test(memory_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
