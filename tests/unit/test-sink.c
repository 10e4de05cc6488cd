/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink as a whole: what it takes of a listing, what it does when the disk fails, what it grants and asks for. */
#include "session/sink_state.h"
#include "sink-begin.h"

#include <errno.h>

/* ---- listings ---- */

struct bad_listing {
	const char *words;
	bool local; /* ours to report; the session goes on */
	bool exists, is_dir;
	struct {
		enum entry_kind kind;
		const char *name;
	} entries[3];
};

static void what_no_listing_says(void **state)
{
	static const struct bad_listing cases[] = {
		{ "never entered", false, false, false, { { ENTRY_UP, "" } } },
		{ "behind its end", false, false, false, { { ENTRY_FILE, "x" }, { ENTRY_FILE, "y" } } },
		{ "behind its end", false, false, false, { { ENTRY_DIR, "x" }, { ENTRY_UP, "" }, { ENTRY_DIR, "y" } } },
		{ "never entered", false, false, false, { { ENTRY_DIR, "x" }, { ENTRY_UP, "" }, { ENTRY_UP, "" } } },
		{ "never listed", false, false, false, { { ENTRY_DIR, "x" }, { ENTRY_FILE, ".xfer-1" } } },
		{ "never listed", false, false, false, { { ENTRY_DIR, "x" }, { ENTRY_DIR, ".xfer-" } } },
		{ "a file is there", true, true, false, { { ENTRY_DIR, "x" } } },
		{ "one is there", true, true, true, { { ENTRY_FILE, "x" } } },
		{ "one is there", true, true, true, { { ENTRY_SYMLINK, "x" } } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rig *rig = rig_make(0);
		struct error err = { 0 };
		int r;

		rig->params.name_exists = cases[i].exists;
		rig->params.name_is_dir = cases[i].is_dir;
		assert_int_equal(rig_begin(rig), 0);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		for (size_t k = 0; k < 3 && cases[i].entries[k].name != NULL; k++)
			rig_entry(rig, cases[i].entries[k].kind, cases[i].entries[k].name, 0);
		r = rig_list(rig, &err);
		assert_int_equal(r, cases[i].local ? 0 : -EPROTO);
		assert_contains(cases[i].local ? rig->text : err.text, cases[i].words);
		assert_int_equal(cases[i].local ? rig->fault : err.fault, cases[i].local ? FAULT_LOCAL : FAULT_PEER);
		if (r < 0)
			sink_abort(rig->sink);
		else
			assert_int_equal(rig_end(rig, RIG_LIST, STATUS_CANCELLED, 0, NULL), 0);
		rig_orders(rig);
		assert_true(sink_finished(rig->sink));
		rig_drop(rig);
	}
}

static void a_listing_ends_where_it_began(void **state)
{
	struct rig *rig = rig_start(0);
	struct error err = { 0 };

	(void)state;
	rig_entry(rig, ENTRY_DIR, "x", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, &err), -EPROTO);
	assert_contains(err.text, "within a directory");
	rig_drop(rig);
	/* It may break off; then all of it goes. What comes behind its end is nobody's. */
	rig = rig_start(0);
	rig_entry(rig, ENTRY_DIR, "x", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_IO, 0, &err), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, &err), 0);
	rig_entry(rig, ENTRY_FILE, "y", 0);
	assert_int_equal(rig_list(rig, &err), 0);
	rig_orders(rig);
	assert_int_equal(rig->dirs[SINK_DIR_REMOVE], 1);
	assert_int_equal(rig->dirs[SINK_DIR_RENAME], 0);
	assert_int_equal(result(rig, "export/x"), status_fault(STATUS_IO));
	rig_drop(rig);
}

static void entries_beyond_their_credit(void **state)
{
	struct rig *rig = rig_start(0);
	struct error err = { 0 };
	char name[200];
	int r = 0;

	(void)state;
	rig_entry(rig, ENTRY_DIR, "x", 0);
	for (unsigned i = 0; r == 0 && i < 10000; i++) {
		snprintf(name, sizeof(name), "%0190u", i);
		rig_entry(rig, ENTRY_FILE, name, 10);
		r = rig_list(rig, &err);
	}
	assert_int_equal(r, -EPROTO);
	assert_contains(err.text, "more entries than there was credit for");
	rig_drop(rig);
}

/* Of long paths fewer are asked for at a time, and all of them in the end. */
static void long_paths_are_asked_for_by_and_by(void **state)
{
	enum { FILES = 500, LEN = 2000 };
	struct rig *rig = rig_make(0);
	char remote[LEN], name[16];
	size_t asked, at = 0;

	(void)state;
	memset(remote, 'x', sizeof(remote) - 1);
	remote[sizeof(remote) - 1] = '\0';
	rig->params.remote = remote;
	rig->params.requests_max = 1024;
	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	rig_entry(rig, ENTRY_DIR, "x", 0);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		rig_entry(rig, ENTRY_FILE, name, 10);
	}
	rig_entry(rig, ENTRY_UP, "", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	do {
		asked = rig->asked_count;
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	} while (rig->asked_count > asked);
	/* "remote/f000" */
	assert_int_equal(asked, MESSAGE_READ_PATHS / (LEN - 1 + 5) + 1);
	for (; at < rig->asked_count; at++) {
		assert_int_equal(rig_answer(rig, &rig->asked[at]), 0);
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_in_range(rig->asked_count - at, 0, asked + 1);
	}
	assert_int_equal(rig->done, FILES);
	rig_drop(rig);
}

/* However long the list is: no more of it is asked for while too much of it is not done. */
static void the_list_waits_for_the_files(void **state)
{
	struct rig *rig = rig_make(0);
	char name[64];
	uint64_t granted;

	(void)state;
	rig->params.requests_max = 256;
	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	rig_entry(rig, ENTRY_DIR, "x", 0);
	for (unsigned i = 0; i < LIVE_MAX; i++) {
		snprintf(name, sizeof(name), "%060u", i);
		rig_entry(rig, ENTRY_FILE, name, 10);
		if (i % 512 == 511) {
			assert_int_equal(rig_list(rig, NULL), 0);
			assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		}
	}
	granted = rig->list_credit;
	assert_true(granted > 0);
	rig_orders(rig);
	/* Unanswered, it does not move, whatever came; answered, it does. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(rig_frames(rig, CLOCK_SECOND + i), 0);
	assert_int_equal(rig->list_credit, granted);
	assert_int_equal(rig->asked_count, 256);
	for (size_t i = 0; i < rig->asked_count; i++) {
		assert_int_equal(rig_answer(rig, &rig->asked[i % RIG_ASKED_MAX]), 0);
		if (i % 64 == 63) {
			rig_orders(rig);
			assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		}
	}
	assert_true(rig->list_credit > granted);
	sink_abort(rig->sink);
	rig_orders(rig);
	rig_drop(rig);
}

static void special_files_and_unreadable_ones_are_named(void **state)
{
	struct rig *rig = rig_start(0);

	(void)state;
	rig_entry(rig, ENTRY_DIR, "x", 0);
	rig_entry(rig, ENTRY_SPECIAL, "so\ncket", 0);
	rig_entry(rig, ENTRY_UP, "", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->skipped, 1);
	assert_contains(rig->text, "export/x/so\\x0acket: skipped: target");
	assert_int_equal(result(rig, "1 special files were skipped"), FAULT_MIXED);
	rig_drop(rig);
	rig = rig_start(0);
	rig_entry(rig, ENTRY_UNREADABLE, "x", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(result(rig, "export/x: the source cannot be read: target"), FAULT_REFUSED);
	rig_drop(rig);
}

static void a_path_that_is_too_long_fails_alone(void **state)
{
	struct rig *rig = rig_start(0);
	char name[256];

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	rig_entry(rig, ENTRY_DIR, "x", 0);
	for (unsigned i = 0; i < 15; i++)
		rig_entry(rig, ENTRY_DIR, name, 0);
	name[250] = '\0';
	rig_entry(rig, ENTRY_FILE, name, 10); /* 8 + 15 * 256 + 251 = 4099 bytes */
	rig_entry(rig, ENTRY_FILE, "short", 10);
	for (unsigned i = 0; i < 16; i++)
		rig_entry(rig, ENTRY_UP, "", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->done, 1);
	assert_int_equal(result(rig, "its path is longer than 4095 bytes"), FAULT_LOCAL);
	rig_drop(rig);
}

/* ---- disks ---- */

static void what_hits_one_file_will_hit_the_next(void **state)
{
	static const int codes[] = { -ENOSPC, -EDQUOT, -EROFS, -EIO, -ENOMEM, -EMFILE, -EBUSY };

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		struct rig *rig = rig_start(0);

		tree(rig, 20);
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(rig->asked_count, 20);
		rig->codes[SINK_PUBLISH] = codes[i];
		assert_int_equal(rig_answer(rig, &rig->asked[0]), 0);
		rig_orders(rig);
		/* Said once; all that was asked for is cancelled, its ends are awaited, nothing is left. */
		assert_int_equal(rig->failed, 1);
		assert_int_equal(rig->fault, FAULT_LOCAL);
		assert_false(sink_finished(rig->sink));
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(rig->cancel_count, 19);
		for (size_t k = 1; k < 20; k++)
			assert_int_equal(rig_end(rig, rig->asked[k].id, STATUS_CANCELLED, 10, NULL), 0);
		rig_orders(rig);
		assert_int_equal(rig->dirs[SINK_DIR_REMOVE], 1);
		assert_int_equal(result(rig, "export/x/f0: "), FAULT_LOCAL);
		rig_drop(rig);
	}
}

static void one_that_cannot_be_written_stops_no_other(void **state)
{
	struct rig *rig = rig_start(0);

	(void)state;
	tree(rig, 3);
	rig->codes[SINK_PUBLISH] = -EACCES;
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->done, 2);
	assert_int_equal(rig->dirs[SINK_DIR_RENAME], 1);
	assert_int_equal(result(rig, "cannot be written"), FAULT_LOCAL);
	rig_drop(rig);
	/* Unless what there is of it cannot be removed: then nobody may see the tree. */
	rig = rig_start(0);
	tree(rig, 3);
	rig->codes[SINK_PUBLISH] = -EACCES;
	rig->codes[SINK_ABANDON] = -EACCES;
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->dirs[SINK_DIR_RENAME], 0);
	assert_int_equal(rig->dirs[SINK_DIR_REMOVE], 1);
	rig_drop(rig);
}

static void the_last_steps_of_a_tree(void **state)
{
	static const enum sink_dir_op steps[] = { SINK_DIR_SYNC, SINK_DIR_RENAME };

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct rig *rig = rig_make(0);

		rig->params.sync = true;
		assert_int_equal(rig_begin(rig), 0);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		tree(rig, 2);
		rig->dir_codes[steps[i]] = i == 0 ? -EIO : -EEXIST;
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->dirs[SINK_DIR_REMOVE], 1);
		assert_int_equal(result(rig, i == 0 ? "cannot be synced" : "it was made meanwhile"), FAULT_LOCAL);
		rig_drop(rig);
	}
}

/* ---- credit ---- */

static void credit_follows_what_is_written(void **state)
{
	struct rig *rig = rig_make(0);
	uint64_t before;

	(void)state;
	rig->params.window = 8 * RIG_CHUNK;
	rig->params.consumed = 1000;
	rig->params.granted = 1500;
	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->credit, 1000 + 8 * RIG_CHUNK);
	(void)one_file(rig, 100 * RIG_CHUNK);
	before = rig->credit;
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(rig_chunk(rig, rig->asked[0].id, i, RIG_CHUNK, NULL), 1);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->credit, before); /* nothing of it is written */
	rig_orders(rig);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->credit, before + 7 * RIG_CHUNK);
	sink_abort(rig->sink);
	rig_orders(rig);
	rig_drop(rig);
}

static void a_rate_is_kept(void **state)
{
	struct rig *rig = rig_make(0);
	uint64_t now = 5 * CLOCK_SECOND;

	(void)state;
	rig->params.limit_rate = 10000;
	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, now), 0);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t deadline = sink_deadline(rig->sink, now);

		assert_true(deadline > now && deadline <= now + CLOCK_SECOND);
		now = deadline;
		assert_int_equal(rig_frames(rig, now), 0);
		assert_true(rig->credit <= (now - 5 * CLOCK_SECOND) / (CLOCK_SECOND / 10000) + RIG_CHUNK);
		assert_true(rig->credit >= (now - 5 * CLOCK_SECOND) / (CLOCK_SECOND / 10000));
	}
	sink_abort(rig->sink);
	assert_true(sink_deadline(rig->sink, now) == CLOCK_NEVER);
	rig_drop(rig);
}

/* ---- numbers of requests ---- */

static void numbers_begin_again_and_skip_those_in_use(void **state)
{
	struct rig *rig = rig_start(0);

	(void)state;
	rig->sink->main.next_request = UINT32_MAX - 300; /* a long job has come so far */
	tree(rig, 600);
	rig_orders(rig);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	/* The first stays unanswered, whatever happens; 64 are out at a time. */
	for (size_t at = 1; at < 600; at++) {
		if (at == rig->asked_count)
			assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_true(at < rig->asked_count);
		assert_int_not_equal(rig->asked[at].id, rig->asked[0].id);
		assert_true(rig->asked[at].id > RIG_LIST);
		assert_int_equal(rig_answer(rig, &rig->asked[at]), 0);
		rig_orders(rig);
		if (at == 100) /* begun again */
			assert_int_equal(rig->asked[at].id, RIG_LIST + 1 + at - 64);
		if (at == 200) /* and come round */
			rig->sink->main.next_request = UINT32_MAX - 310;
	}
	assert_int_equal(rig_answer(rig, &rig->asked[0]), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->done, 600);
	assert_int_equal(result(rig, ""), FAULT_NONE);
	rig_drop(rig);
}

/*
 * Far away what counts is how often the sink has to wait for an answer before it can ask for more. The listing, as many READs
 * as may be unanswered, the rest: a connection and its hello, and all of it is there after five round trips.
 */
static void thousands_of_files_in_three_flights(void **state)
{
	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		struct rig *rig = rig_make(0);
		unsigned flights = 0;
		char name[16];

		rig->params.requests_max = 1024;
		rig->params.window = 16 * 1024 * RIG_CHUNK;
		rig->params.shared = shared != 0;
		assert_int_equal(rig_begin(rig), 0);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(rig->list_count, 1);
		flights++;
		rig_entry(rig, ENTRY_DIR, "x", 0);
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			rig_entry(rig, ENTRY_FILE, name, RIG_CHUNK);
		}
		rig_entry(rig, ENTRY_UP, "", 0);
		assert_true(rig->run.len <= rig->list_credit || rig->list_credit == 0);
		assert_int_equal(rig_list(rig, NULL), 0);
		assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
		for (size_t at = 0; !sink_finished(rig->sink);) {
			size_t asked = at;

			/* All that can be asked for without another word of the source. */
			do {
				asked = rig->asked_count;
				rig_orders(rig);
				assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
			} while (rig->asked_count > asked);
			flights += rig->asked_count > at;
			assert_in_range(flights, 1, 3);
			for (; at < rig->asked_count; at++) {
				const struct rig_read *read = &rig->asked[at];

				assert_in_range(rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL), 1, 1);
				assert_int_equal(rig_end(rig, read->id, STATUS_OK, RIG_CHUNK, NULL), 0);
			}
		}
		assert_int_equal(rig->done, 2000);
		assert_int_equal(result(rig, ""), FAULT_NONE);
		rig_drop(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousands_of_files_in_three_flights),
		cmocka_unit_test(what_no_listing_says),
		cmocka_unit_test(a_listing_ends_where_it_began),
		cmocka_unit_test(long_paths_are_asked_for_by_and_by),
		cmocka_unit_test(entries_beyond_their_credit),
		cmocka_unit_test(the_list_waits_for_the_files),
		cmocka_unit_test(special_files_and_unreadable_ones_are_named),
		cmocka_unit_test(a_path_that_is_too_long_fails_alone),
		cmocka_unit_test(what_hits_one_file_will_hit_the_next),
		cmocka_unit_test(one_that_cannot_be_written_stops_no_other),
		cmocka_unit_test(the_last_steps_of_a_tree),
		cmocka_unit_test(credit_follows_what_is_written),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(numbers_begin_again_and_skip_those_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
