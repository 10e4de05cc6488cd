/* SPDX-License-Identifier: BSD-2-Clause */
/* client/ending, client/attempt: what an end is taken for, and which of several ends of an attempt counts. */
#include "unit.h"

#include "client/attempt.h"

#include <errno.h>

static void a_session_ends_for_one_cause(void **state)
{
	(void)state;
	static const struct {
		int code;
		enum fault fault;
		struct ending_words words;
		enum ending_kind kind;
	} rows[] = {
		{ -ECONNRESET, FAULT_PEER, { 0 }, ENDING_BROKEN },
		{ -EPIPE, FAULT_PEER, { 0 }, ENDING_BROKEN },
		{ -ETIMEDOUT, FAULT_PEER, { 0 }, ENDING_SILENT },
		{ -ECONNREFUSED, FAULT_CONNECT, { 0 }, ENDING_CONNECT },
		{ -ETIMEDOUT, FAULT_CONNECT, { 0 }, ENDING_CONNECT },
		{ -EBADMSG, FAULT_PEER, { 0 }, ENDING_NONSENSE },
		{ -EPROTO, FAULT_PEER, { 0 }, ENDING_NONSENSE },
		{ -ECONNRESET, FAULT_PEER, { .goaway = true }, ENDING_AWAY },
		{ 0, FAULT_NONE, { .goaway = true }, ENDING_AWAY },
		{ 0, FAULT_NONE, { 0 }, ENDING_FINAL },
		{ -ECONNABORTED, FAULT_PEER, { .told = true, .said = STATUS_SHUTDOWN }, ENDING_AWAY },
		{ -ECONNABORTED, FAULT_PEER, { .told = true, .said = STATUS_IDLE }, ENDING_AWAY },
		{ -ECONNABORTED, FAULT_PEER, { .told = true, .said = STATUS_DEAD }, ENDING_SILENT },
		{ -ECONNABORTED, FAULT_REFUSED, { .told = true, .said = STATUS_LIMIT }, ENDING_BUSY },
		{ -ECONNABORTED, FAULT_PEER, { .told = true, .said = STATUS_PROTOCOL }, ENDING_NONSENSE },
		{ -ECONNABORTED, FAULT_INTEGRITY, { .told = true, .said = STATUS_INTEGRITY }, ENDING_FINAL },
		{ -ECONNABORTED, FAULT_REFUSED, { .told = true, .said = STATUS_REFUSED }, ENDING_FINAL },
		{ -ECONNABORTED, FAULT_CONNECT, { .told = true, .said = STATUS_VERSION }, ENDING_FINAL },
		{ -ECONNABORTED, FAULT_MIXED, { .told = true, .said = STATUS_FAILED }, ENDING_FINAL },
		{ -ETIME, FAULT_PEER, { 0 }, ENDING_FINAL },
		{ -ECONNABORTED, FAULT_PEER, { .told = true, .said = STATUS_STALLED }, ENDING_FINAL },
		{ -EBADMSG, FAULT_INTEGRITY, { 0 }, ENDING_FINAL },
		{ -ENOSPC, FAULT_LOCAL, { .goaway = true }, ENDING_FINAL },
		{ -EINVAL, FAULT_USAGE, { 0 }, ENDING_FINAL },
		{ -ENOENT, FAULT_REFUSED, { 0 }, ENDING_FINAL },
		{ -EINTR, FAULT_INTERRUPTED, { .goaway = true }, ENDING_STOPPED },
		{ -EINTR, FAULT_INTERRUPTED, { .told = true, .said = STATUS_LIMIT }, ENDING_STOPPED },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct error err = { .code = rows[i].code, .fault = rows[i].fault };
		struct ending ending;

		ending_judge(&ending, &err, &rows[i].words);
		assert_int_equal(ending.kind, rows[i].kind);
		assert_int_equal(ending.err.code, err.code);
	}
}

static const struct ending lost = { .kind = ENDING_BROKEN }, stopped = { .kind = ENDING_STOPPED };

static struct attempt attempt_in(enum attempt_state state)
{
	struct attempt attempt;

	attempt_begin(&attempt);
	if (state == ATTEMPT_CONNECTING)
		return attempt;
	attempt_opened(&attempt);
	if (state == ATTEMPT_ALONE)
		attempt_lost(&attempt, &lost);
	else if (state == ATTEMPT_TIDYING)
		attempt_give_up(&attempt, &stopped);
	else if (state == ATTEMPT_OVER)
		attempt_finished(&attempt);
	assert_int_equal(attempt.state, state);
	return attempt;
}

static void what_finishes_is_done(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_RUNNING);

	assert_true(attempt_runs(&attempt));
	assert_true(attempt_finished(&attempt));
	assert_int_equal(attempt.state, ATTEMPT_OVER);
	assert_int_equal(attempt.ending.kind, ENDING_DONE);
	assert_int_equal(ending_result(&attempt.ending, NULL), 0);
	/* The session goes behind it: nobody cares. */
	assert_false(attempt_lost(&attempt, &lost));
	assert_false(attempt_give_up(&attempt, &stopped));
	assert_int_equal(attempt.ending.kind, ENDING_DONE);
}

static void nothing_begun_is_nothing_to_tidy(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_CONNECTING);

	assert_false(attempt_lost(&attempt, &lost));
	assert_false(attempt_finished(&attempt));
	assert_true(attempt_give_up(&attempt, &lost));
	assert_int_equal(attempt.state, ATTEMPT_OVER);
	assert_int_equal(attempt.ending.kind, ENDING_BROKEN);
}

static void the_first_cause_counts(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_TIDYING);

	assert_false(attempt_give_up(&attempt, &lost));
	assert_false(attempt_lost(&attempt, &lost));
	assert_true(attempt_finished(&attempt));
	assert_int_equal(attempt.state, ATTEMPT_OVER);
	assert_int_equal(attempt.ending.kind, ENDING_STOPPED);
}

static void what_had_come_is_done_without_a_session(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_ALONE);

	assert_int_equal(attempt.ending.kind, ENDING_BROKEN);
	assert_false(attempt_lost(&attempt, &stopped));
	assert_int_equal(attempt.ending.kind, ENDING_BROKEN);
	assert_true(attempt_finished(&attempt));
	assert_int_equal(attempt.ending.kind, ENDING_DONE);
}

static void what_had_not_come_is_lost(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_ALONE);
	struct error err = { 0 };

	assert_true(attempt_give_up(&attempt, &attempt.ending));
	assert_true(attempt_finished(&attempt));
	assert_int_equal(attempt.ending.kind, ENDING_BROKEN);
	/* However little is known of it, it is an error. */
	assert_int_equal(ending_result(&attempt.ending, &err), -EIO);
}

static void a_user_stops_what_is_alone(void **state)
{
	(void)state;
	struct attempt attempt = attempt_in(ATTEMPT_ALONE);

	assert_true(attempt_give_up(&attempt, &stopped));
	assert_true(attempt_finished(&attempt));
	assert_int_equal(attempt.ending.kind, ENDING_STOPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_ends_for_one_cause),
		cmocka_unit_test(what_finishes_is_done),
		cmocka_unit_test(nothing_begun_is_nothing_to_tidy),
		cmocka_unit_test(the_first_cause_counts),
		cmocka_unit_test(what_had_come_is_done_without_a_session),
		cmocka_unit_test(what_had_not_come_is_lost),
		cmocka_unit_test(a_user_stops_what_is_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
