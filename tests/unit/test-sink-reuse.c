/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink: what of a file is there already is looked at, and kept, or not. */
#include "sink-begin.h"

#include <errno.h>

static void digests_that_nobody_asked_for(void **state)
{
	static const uint8_t digests[4 * RIG_DIGEST];
	static const struct message_digest_run runs[] = { { 4, 1, digests }, { 2, 3, digests }, { 9, 1, digests } };
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(runs); i++) {
		struct rig *rig = rig_make(SINK_FLAG_UPDATE);

		rig->params.name_exists = true;
		rig->found = SINK_OLD;
		assert_int_equal(rig_begin(rig), 0);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		rig_entry(rig, ENTRY_FILE, "x", 4 * RIG_CHUNK);
		assert_int_equal(rig_list(rig, NULL), 0);
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_true(rig->asked[0].flags & MESSAGE_READ_DIGESTS);
		assert_int_equal(sink_digests(sink_main(rig->sink), 99, &runs[i], &err), 0); /* nobody's */
		assert_int_equal(sink_digests(sink_main(rig->sink), rig->asked[0].id, &runs[i], &err), -EPROTO);
		sink_abort(rig->sink);
		rig_orders(rig);
		rig_drop(rig);
	}
}

/* Of a file at the top with 6 chunks, of which 1 and 4 are wrong where they are. */
static struct rig *with_old(unsigned flags, enum sink_found found, uint64_t wrong, uint64_t size)
{
	struct rig *rig = rig_make(flags);

	rig->params.name_exists = found == SINK_OLD || found == SINK_SAME;
	rig->found = found;
	rig->wrong = wrong;
	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	rig_entry(rig, ENTRY_FILE, "x", size);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	return rig;
}

static void only_what_differs_is_fetched(void **state)
{
	struct rig *rig = with_old(SINK_FLAG_UPDATE, SINK_OLD, 0x12, 6 * RIG_CHUNK);
	struct sink_count count;

	(void)state;
	assert_int_equal(rig_run(rig), 0);
	sink_counts(rig->sink, &count);
	assert_int_equal(count.kept, 4 * RIG_CHUNK);
	assert_int_equal(count.received, 2 * RIG_CHUNK);
	assert_int_equal(rig->pieces[SINK_CHUNK], 2);
	assert_true(rig->pieces[SINK_COPY] > 0);
	assert_int_equal(rig->done, 1);
	assert_int_equal(result(rig, ""), FAULT_NONE);
	rig_drop(rig);
	/* Nothing differs: it stays. */
	rig = with_old(SINK_FLAG_UPDATE, SINK_OLD, 0, 6 * RIG_CHUNK);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->same, 1);
	assert_int_equal(rig->pieces[SINK_COPY], 0);
	assert_int_equal(result(rig, ""), FAULT_NONE);
	rig_drop(rig);
	rig = with_old(SINK_FLAG_UPDATE, SINK_SAME, 0, 6 * RIG_CHUNK);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->same, 1);
	assert_int_equal(rig->asked_count, 0);
	rig_drop(rig);
}

/* It is somebody else's, and neither damaged nor asked for again. */
static void what_stays_and_cannot_be_settled(void **state)
{
	static const uint64_t sizes[] = { RIG_CHUNK, 6 * RIG_CHUNK };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct rig *rig = with_old(SINK_FLAG_UPDATE, SINK_OLD, 0, sizes[i]);

		rig->codes[SINK_SETTLE] = -EPERM;
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->asked_count, 1);
		assert_int_equal(result(rig, "its mode and times cannot be set: Operation not permitted"), FAULT_LOCAL);
		rig_drop(rig);
	}
}

static void comparing_changes_nothing(void **state)
{
	static const struct {
		enum sink_found found;
		uint64_t wrong;
		enum fault fault;
	} cases[] = {
		{ SINK_OLD, 0, FAULT_NONE },
		{ SINK_OLD, 0x12, FAULT_INTEGRITY },
		{ SINK_NOTHING, 0, FAULT_INTEGRITY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rig *rig = with_old(SINK_FLAG_VERIFY, cases[i].found, cases[i].wrong, 6 * RIG_CHUNK);

		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->pieces[SINK_CHUNK] + rig->pieces[SINK_COPY] + rig->pieces[SINK_HOLE] +
		                         rig->pieces[SINK_PUBLISH] + rig->pieces[SINK_SETTLE],
		                 0);
		assert_int_equal(rig->received, 0);
		assert_int_equal(result(rig, ""), cases[i].fault);
		rig_drop(rig);
	}
}

/* One hole at the source, of which no digest comes: looked at all the same. */
static void a_file_that_is_one_hole_is_looked_at(void **state)
{
	static const unsigned flags[] = { SINK_FLAG_UPDATE, SINK_FLAG_VERIFY };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct rig *rig = with_old(flags[i / 2], SINK_OLD, i % 2, RIG_CHUNK);

		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(rig->asked_count, 1);
		assert_int_equal(sink_hole(sink_main(rig->sink), rig->asked[0].id, 0, 1, NULL), 0);
		assert_int_equal(rig_end(rig, rig->asked[0].id, STATUS_OK, RIG_CHUNK, NULL), 0);
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->same, i % 2 == 0 ? 1 : 0);
		assert_int_equal(rig->done, i == 1 ? 1 : 0);
		assert_int_equal(rig->differ, i == 3 ? 1 : 0);
		rig_drop(rig);
	}
}

static void what_nobody_looked_at_is_not_unchanged(void **state)
{
	static const uint8_t digests[6 * RIG_DIGEST];
	static const struct message_digest_run run = { 0, 5, digests };
	static const unsigned flags[] = { SINK_FLAG_UPDATE, SINK_FLAG_VERIFY };

	(void)state;
	for (size_t i = 0; i < COUNT(flags); i++) {
		struct rig *rig = with_old(flags[i], SINK_OLD, 0, 6 * RIG_CHUNK);

		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(sink_digests(sink_main(rig->sink), rig->asked[0].id, &run, NULL), 0);
		assert_int_equal(rig_end(rig, rig->asked[0].id, STATUS_OK, 6 * RIG_CHUNK, NULL), 0);
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->same, 0);
		assert_int_equal(result(rig, "digests of 5 of 6 chunks"), FAULT_INTEGRITY);
		rig_drop(rig);
	}
}

/* What an earlier run began goes, although this one never came so far. */
static void what_fails_at_once_leaves_nothing_of_before(void **state)
{
	struct rig *rig = rig_start(SINK_FLAG_LEAVE);

	(void)state;
	tree(rig, 2);
	rig_orders(rig);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig_end(rig, rig->asked[0].id, STATUS_REFUSED, 10, NULL), 0);
	assert_int_equal(rig_answer(rig, &rig->asked[1]), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->pieces[SINK_ABANDON], 1);
	assert_int_equal(rig->pieces[SINK_PUBLISH], 1);
	assert_int_equal(result(rig, "export/x/f0"), FAULT_REFUSED);
	rig_drop(rig);
}

static bool stays(struct rig *rig, const char *name)
{
	nameset_sort(&rig->names);
	return nameset_have(&rig->names, name, strlen(name));
}

/* x: f, a link, a directory with f; what goes wrong is left to the caller. */
static struct rig *listed_again(unsigned flags, bool existed)
{
	struct rig *rig = rig_start(flags);

	rig->existed = existed;
	rig_entry(rig, ENTRY_DIR, "x", 0);
	rig_entry(rig, ENTRY_FILE, "f", 10);
	rig_entry(rig, ENTRY_SYMLINK, "link", 0);
	rig_entry(rig, ENTRY_DIR, "dir", 0);
	rig_entry(rig, ENTRY_FILE, "g", 10);
	rig_entry(rig, ENTRY_UP, "", 0);
	rig_entry(rig, ENTRY_UNREADABLE, "h", 0);
	rig_entry(rig, ENTRY_UP, "", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	return rig;
}

/* What the source removed between two runs must not appear with the tree. */
static void what_is_not_listed_any_more_is_swept_away(void **state)
{
	static const unsigned flags[] = { SINK_FLAG_RESUME, SINK_FLAG_LEAVE };
	struct rig *rig;

	(void)state;
	for (size_t i = 0; i < COUNT(flags); i++) {
		rig = listed_again(flags[i], true);
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->dirs[SINK_DIR_SWEEP], 2);
		assert_int_equal(rig->dirs[SINK_DIR_RENAME], 1);
		assert_true(stays(rig, "f"));
		assert_true(stays(rig, "link"));
		assert_true(stays(rig, "dir"));
		assert_false(stays(rig, "g"));
		assert_false(stays(rig, "h"));
		rig_drop(rig);
		/* Nothing was there. */
		rig = listed_again(flags[i], false);
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->dirs[SINK_DIR_SWEEP], 0);
		assert_int_equal(rig->dirs[SINK_DIR_RENAME], 1);
		rig_drop(rig);
	}
	/* Nothing can have been there. */
	rig = listed_again(0, true);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->dirs[SINK_DIR_SWEEP], 0);
	rig_drop(rig);
}

/* Each costs a look at a whole chunk, and none costs credit. */
static void digests_told_again_and_again(void **state)
{
	static const uint8_t digests[4 * RIG_DIGEST];
	static const struct message_digest_run some = { 1, 4, digests }, over = { 3, 3, digests },
					       first = { 0, 1, digests };
	struct rig *rig = with_old(SINK_FLAG_UPDATE, SINK_OLD, 0, 6 * RIG_CHUNK);
	const struct rig_read *read = &rig->asked[0];
	static struct sink_order order;
	size_t looked = 0;

	(void)state;
	rig_orders(rig);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(sink_digests(sink_main(rig->sink), read->id, &some, NULL), 0);
		assert_int_equal(sink_digests(sink_main(rig->sink), read->id, &over, NULL), 0);
		assert_int_equal(sink_hole(sink_main(rig->sink), read->id, 2, 2, NULL), 0);
		assert_int_equal(sink_digests(sink_main(rig->sink), read->id, &first, NULL), 0);
	}
	/* Nor is a chunk taken where digests were asked for. */
	assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL), 0);
	while (sink_next(rig->sink, &order)) {
		assert_int_equal(order.kind, SINK_ORDER_KEEP);
		for (size_t i = 0; i < order.count; i++)
			looked += order.keeps[i].count;
		sink_done(rig->sink, &order);
	}
	assert_int_equal(looked, 5);
	sink_abort(rig->sink);
	rig_orders(rig);
	rig_drop(rig);
}

/* An earlier run may have left something else under the name, and only part of it. */
static void what_cannot_be_made_does_not_stay_as_it_was(void **state)
{
	struct rig *rig = listed_again(SINK_FLAG_RESUME, true);

	(void)state;
	rig->dir_codes[SINK_DIR_LINK] = -EACCES;
	assert_int_equal(rig_run(rig), 0);
	assert_true(stays(rig, "f"));
	assert_true(stays(rig, "dir"));
	assert_false(stays(rig, "link"));
	assert_int_equal(result(rig, ""), FAULT_MIXED);
	rig_drop(rig);
}

static void a_tree_that_cannot_be_swept_does_not_appear(void **state)
{
	struct rig *rig = listed_again(SINK_FLAG_RESUME, true);

	(void)state;
	rig->dir_codes[SINK_DIR_SWEEP] = -EACCES;
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->dirs[SINK_DIR_RENAME], 0);
	assert_int_equal(rig->dirs[SINK_DIR_REMOVE], 1);
	assert_int_equal(result(rig, ""), FAULT_MIXED);
	assert_contains(rig->text, "what an earlier run left in it cannot be removed");
	rig_drop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_that_nobody_asked_for),
		cmocka_unit_test(digests_told_again_and_again),
		cmocka_unit_test(only_what_differs_is_fetched),
		cmocka_unit_test(what_stays_and_cannot_be_settled),
		cmocka_unit_test(comparing_changes_nothing),
		cmocka_unit_test(a_file_that_is_one_hole_is_looked_at),
		cmocka_unit_test(what_nobody_looked_at_is_not_unchanged),
		cmocka_unit_test(what_fails_at_once_leaves_nothing_of_before),
		cmocka_unit_test(what_is_not_listed_any_more_is_swept_away),
		cmocka_unit_test(what_cannot_be_made_does_not_stay_as_it_was),
		cmocka_unit_test(a_tree_that_cannot_be_swept_does_not_appear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
