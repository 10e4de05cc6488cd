/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink: chunks, holes and ends that it takes and that it refuses; what it asks for again, and how often. */
#include "session/sink_state.h"
#include "sink-begin.h"

#include <errno.h>

/* ---- chunks, holes and ends ---- */

static void chunks_that_nobody_wants(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 3 * RIG_CHUNK + 10);
	struct sink_count count;
	struct error err = { 0 };
	uint64_t consumed, granted;

	(void)state;
	assert_int_equal(rig_chunk(rig, read->id + 1, 0, RIG_CHUNK, NULL), 0); /* no such request */
	assert_int_equal(rig_chunk(rig, read->id, 4, RIG_CHUNK, NULL), 0);     /* not in the file */
	assert_int_equal(rig_chunk(rig, read->id, UINT64_MAX, RIG_CHUNK, NULL), 0);
	assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK - 1, NULL), 0); /* another length */
	assert_int_equal(rig_chunk(rig, read->id, 3, RIG_CHUNK, NULL), 0);
	assert_int_equal(rig_chunk(rig, read->id, 3, 10, NULL), 1);
	assert_int_equal(rig_chunk(rig, read->id, 3, 10, NULL), 0); /* again */
	sink_counts(rig->sink, &count);
	assert_int_equal(count.received, rig->received);
	sink_credit(sink_main(rig->sink), &consumed, &granted);
	assert_int_equal(consumed, rig->received - 10); /* what is not wanted is done with */
	assert_int_equal(granted, rig->credit);
	/* Beyond the credit nothing may come. */
	while (rig->received + RIG_CHUNK <= rig->credit)
		assert_int_equal(rig_chunk(rig, 77, 0, RIG_CHUNK, NULL), 0);
	assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK, &err), -EPROTO);
	assert_contains(err.text, "more chunks than there was credit for");
	sink_abort(rig->sink);
	rig_orders(rig);
	assert_int_equal(rig->tokens, 0);
	rig_drop(rig);
}

/* A source that says the same of a hole again and again, or cuts it small, costs no more memory than one that does not. */
static void holes_by_the_million(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, (UINT64_C(1) << 40) * RIG_CHUNK);
	static struct sink_order order;
	uint64_t at = 0;

	(void)state;
	assert_int_equal(sink_hole(sink_main(rig->sink), read->id, 0, 1, NULL), 0);
	for (uint64_t i = 1; i < 100000; i++)
		assert_int_equal(sink_hole(sink_main(rig->sink), read->id, i, 1, NULL), 0);
	assert_int_equal(rig->sink->holes, 1);
	/* One that is long comes out in pieces, of which nobody is busy with for long. */
	assert_int_equal(sink_hole(sink_main(rig->sink), read->id, 100000, (UINT64_C(1) << 40) - 100000, NULL), 0);
	for (int i = 0; i < 5; i++) {
		assert_true(sink_next(rig->sink, &order));
		assert_int_equal(order.count, 1);
		assert_int_equal(order.pieces[0].first, at);
		assert_true(order.pieces[0].count > 0 && order.pieces[0].count <= HOLE_PIECE);
		at += order.pieces[0].count;
		order.pieces[0].code = 0;
		sink_done(rig->sink, &order);
	}
	sink_abort(rig->sink);
	rig_orders(rig);
	assert_int_equal(rig->sink->holes, 0);
	rig_drop(rig);
	/* Where they cannot be put together there is an end, too. */
	rig = rig_start(0);
	read = one_file(rig, (UINT64_C(1) << 40) * RIG_CHUNK);
	for (uint64_t i = 200000; i > 0; i--)
		assert_int_equal(sink_hole(sink_main(rig->sink), read->id, i, 1, NULL), 0);
	assert_true(rig->sink->holes <= HOLES_MORE + rig->params.window / RIG_CHUNK);
	sink_abort(rig->sink);
	rig_orders(rig);
	rig_drop(rig);
}

static void holes_that_are_none(void **state)
{
	static const struct {
		uint64_t size, first, count;
		int code;
	} cases[] = {
		{ 4 * RIG_CHUNK, 0, 0, -EPROTO },
		{ 4 * RIG_CHUNK, 5, 1, -EPROTO },
		{ 4 * RIG_CHUNK, 1, 4, -EPROTO },
		{ 4 * RIG_CHUNK, 2, UINT64_MAX - 1, -EPROTO },
		{ 4 * RIG_CHUNK + 1, 4, 1, -EPROTO },
		{ 4 * RIG_CHUNK + 1, 0, 5, -EPROTO },
		{ 4 * RIG_CHUNK, UINT64_MAX, 2, -EPROTO },
		{ 4 * RIG_CHUNK, 0, 4, 0 },
		{ RIG_CHUNK, 0, 1, 0 },
		{ 4 * RIG_CHUNK + 1, 0, 4, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rig *rig = rig_start(0);
		const struct rig_read *read = one_file(rig, cases[i].size);
		struct error err = { 0 };

		assert_int_equal(sink_hole(sink_main(rig->sink), read->id + 1, 7, 7, &err), 0); /* nobody's */
		assert_int_equal(sink_hole(sink_main(rig->sink), read->id, cases[i].first, cases[i].count, &err),
		                 cases[i].code);
		if (cases[i].code == 0) { /* once more is no error and no second hole */
			assert_int_equal(sink_hole(sink_main(rig->sink), read->id, cases[i].first, cases[i].count,
			                           &err),
			                 0);
			assert_int_equal(rig_end(rig, read->id, STATUS_OK, cases[i].size, NULL), 0);
			assert_int_equal(rig_run(rig), 0);
			assert_int_equal(rig->pieces[SINK_HOLE], 1);
			assert_int_equal(result(rig, ""), FAULT_NONE);
		}
		sink_abort(rig->sink);
		rig_orders(rig);
		rig_drop(rig);
	}
}

static void ends_that_are_none(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 2 * RIG_CHUNK);
	struct end end = { .request = read->id, .status = STATUS_OK, .size = 2 * RIG_CHUNK, .text = "" };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(rig_end(rig, read->id + 1, STATUS_OK, 5, &err), 0); /* nobody's */
	assert_int_equal(rig_end(rig, read->id, STATUS_OK, 5, &err), -EPROTO);
	assert_contains(err.text, "another size");
	rig_drop(rig);
	rig = rig_start(0);
	read = one_file(rig, 2 * RIG_CHUNK);
	assert_int_equal(sink_end(sink_main(rig->sink), &end, &err), -EPROTO);
	assert_contains(err.text, "without its digest");
	rig_drop(rig);
}

static void a_file_that_failed_at_the_source(void **state)
{
	static const struct {
		enum status status;
		enum fault fault;
		const char *words;
	} cases[] = {
		{ STATUS_NOT_FOUND, FAULT_CHANGED, "it vanished" },
		{ STATUS_REFUSED, FAULT_REFUSED, "export/x: " },
		{ STATUS_IO, FAULT_NONE, "export/x: " },
		{ STATUS_FAILED, FAULT_NONE, "export/x: " },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct rig *rig = rig_start(0);
		const struct rig_read *read = one_file(rig, 2 * RIG_CHUNK);

		assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL), 1);
		rig_orders(rig);
		assert_int_equal(rig_end(rig, read->id, cases[i].status, 2 * RIG_CHUNK, NULL), 0);
		assert_int_equal(rig_run(rig), 0);
		assert_int_equal(rig->pieces[SINK_ABANDON], 1);
		assert_int_equal(rig->pieces[SINK_PUBLISH], 0);
		assert_int_equal(result(rig, cases[i].words),
		                 cases[i].fault != FAULT_NONE ? cases[i].fault : status_fault(cases[i].status));
		rig_drop(rig);
	}
}

/* It grew between the listing and the reading: it is begun anew, but not for ever. */
static void a_file_of_another_size_begins_again(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 100);
	uint64_t size = 100;

	(void)state;
	for (unsigned i = 0; i < RESTARTS_MAX; i++) {
		size += RIG_CHUNK;
		assert_int_equal(rig_end(rig, read->id, STATUS_CHANGED, size, NULL), 0);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		assert_int_equal(rig->asked_count, i + 2);
		read = &rig->asked[i + 1];
		assert_int_equal(read->size, size);
	}
	assert_int_equal(rig_end(rig, read->id, STATUS_CHANGED, 7, NULL), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(result(rig, "export/x"), FAULT_CHANGED);
	rig_drop(rig);
	/* When something of it was taken already there is no second beginning. */
	rig = rig_start(0);
	read = one_file(rig, 2 * RIG_CHUNK);
	assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL), 1);
	assert_int_equal(rig_end(rig, read->id, STATUS_CHANGED, 7, NULL), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->asked_count, 1);
	assert_int_equal(result(rig, "export/x"), FAULT_CHANGED);
	rig_drop(rig);
}

/* Repeated for ever, a chunk gets its credit back for ever; but who only repeats does not get on, and is found to stall. */
static void what_is_repeated_moves_nothing(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read;
	uint64_t moved;

	(void)state;
	read = one_file(rig, 3 * RIG_CHUNK);
	moved = sink_moved(rig->sink);
	for (int i = 0; i < 3; i++) {
		(void)rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL);
		assert_int_equal(rig_run(rig), 0);
	}
	assert_int_equal(sink_moved(rig->sink), moved + 3 * (uint64_t)RIG_CHUNK); /* as much as was asked for */
	for (int i = 0; i < 50; i++) {
		assert_int_equal(rig_chunk(rig, read->id, 0, RIG_CHUNK, NULL), 0);
		assert_int_equal(sink_hole(sink_main(rig->sink), read->id, 0, 1, NULL), 0);
		assert_int_equal(rig_chunk(rig, 77, 0, RIG_CHUNK, NULL), 0);
		assert_int_equal(rig_run(rig), 0);
	}
	assert_int_equal(sink_moved(rig->sink), moved + 3 * (uint64_t)RIG_CHUNK);
	assert_int_equal(rig_end(rig, 77, STATUS_OK, 0, NULL), 0);
	assert_int_equal(sink_moved(rig->sink), moved + 3 * (uint64_t)RIG_CHUNK);
	rig_drop(rig);
}

/* ---- repairing ---- */

static void a_damaged_chunk_is_asked_for_by_itself(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 3 * RIG_CHUNK);
	struct sink_count count;

	(void)state;
	rig->codes[SINK_CHUNK] = -EBADMSG; /* the first */
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->asked_count, 1);
	assert_int_equal(rig_answer(rig, read), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->asked_count, 2);
	assert_int_equal(rig->asked[1].first, 0);
	assert_int_equal(rig->asked[1].count, 1);
	assert_true(rig->asked[1].flags & MESSAGE_READ_PART);
	assert_false(rig->asked[1].flags & MESSAGE_READ_KNOWN); /* the digest may be what was wrong */
	sink_counts(rig->sink, &count);
	assert_int_equal(count.repaired, 1);
	assert_int_equal(count.chunks, 3);
	assert_int_equal(result(rig, ""), FAULT_NONE);
	rig_drop(rig);
}

static void repairing_has_a_budget(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 3 * RIG_CHUNK);

	(void)state;
	/* Chunk 1 never comes right. */
	assert_int_equal(rig_answer(rig, read), 0);
	for (size_t at = 1; !sink_finished(rig->sink); at++) {
		assert_true(at <= REPAIRS_MAX + 1);
		rig->codes[SINK_CHUNK] = -EBADMSG;
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
		if (at < rig->asked_count)
			assert_int_equal(rig_answer(rig, &rig->asked[at]), 0);
	}
	assert_int_equal(rig->asked_count, REPAIRS_MAX + 1);
	assert_int_equal(result(rig, "came with a wrong digest"), FAULT_INTEGRITY);
	assert_int_equal(rig->pieces[SINK_ABANDON], 1);
	rig_drop(rig);
	/* Nor does that of a file that has only one. */
	rig = rig_start(0);
	read = one_file(rig, 10);
	for (size_t at = 0; at < rig->asked_count; at++) {
		rig->codes[SINK_CHUNK] = -EBADMSG;
		rig->codes[SINK_PUBLISH] = -ENODATA;
		assert_int_equal(rig_answer(rig, &rig->asked[at]), 0);
		rig_orders(rig);
		assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	}
	assert_int_equal(rig->asked_count, RESTARTS_MAX + 1);
	assert_int_equal(result(rig, "chunk 0 of 1"), FAULT_INTEGRITY);
	rig_drop(rig);
}

static void chunks_that_never_came_are_asked_for(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 9 * RIG_CHUNK);

	(void)state;
	for (uint64_t i = 0; i < 9; i++) {
		if (i != 2 && i != 5 && i != 6)
			assert_int_equal(rig_chunk(rig, read->id, i, RIG_CHUNK, NULL), 1);
	}
	assert_int_equal(rig_end(rig, read->id, STATUS_OK, 9 * RIG_CHUNK, NULL), 0);
	rig_orders(rig);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->asked_count, 3);
	assert_int_equal(rig->asked[1].first, 2);
	assert_int_equal(rig->asked[1].count, 1);
	assert_int_equal(rig->asked[2].first, 5);
	assert_int_equal(rig->asked[2].count, 2);
	assert_int_equal(rig_answer(rig, &rig->asked[1]), 0);
	assert_int_equal(rig_answer(rig, &rig->asked[2]), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(result(rig, ""), FAULT_NONE);
	rig_drop(rig);
}

static void a_wrong_file_digest_is_the_end(void **state)
{
	struct rig *rig = rig_start(0);
	const struct rig_read *read = one_file(rig, 3 * RIG_CHUNK);

	(void)state;
	rig->codes[SINK_PUBLISH] = -EBADMSG;
	assert_int_equal(rig_answer(rig, read), 0);
	assert_int_equal(rig_run(rig), 0);
	assert_int_equal(rig->pieces[SINK_ABANDON], 1);
	assert_int_equal(result(rig, "the file digest under mix"), FAULT_INTEGRITY);
	rig_drop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_that_nobody_wants),
		cmocka_unit_test(holes_by_the_million),
		cmocka_unit_test(holes_that_are_none),
		cmocka_unit_test(ends_that_are_none),
		cmocka_unit_test(a_file_that_failed_at_the_source),
		cmocka_unit_test(a_file_of_another_size_begins_again),
		cmocka_unit_test(what_is_repeated_moves_nothing),
		cmocka_unit_test(a_damaged_chunk_is_asked_for_by_itself),
		cmocka_unit_test(repairing_has_a_budget),
		cmocka_unit_test(chunks_that_never_came_are_asked_for),
		cmocka_unit_test(a_wrong_file_digest_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
