/* SPDX-License-Identifier: BSD-2-Clause */
/* The session floor: ranges, pulse, negotiation, and the sink's first steps. */
#include "unit.h"

#include "base/clock.h"
#include "base/ranges.h"
#include "session/negotiate.h"
#include "session/pulse.h"
#include "session/sink.h"

#include <errno.h>
#include <string.h>

static void ranges_join_and_split(void **state)
{
	struct ranges ranges = { 0 };
	struct range gap;

	(void)state;
	assert_int_equal(ranges_add(&ranges, 0, 2), 0);
	assert_int_equal(ranges_add(&ranges, 4, 2), 0);
	assert_int_equal(ranges.count, 2);
	assert_true(ranges_gap(&ranges, 0, 10, &gap));
	assert_int_equal(gap.first, 2);
	assert_int_equal(gap.end, 4);
	assert_int_equal(ranges_add(&ranges, 1, 1), -EEXIST);
	assert_int_equal(ranges_add(&ranges, 3, 2), -EEXIST);
	assert_int_equal(ranges_add(&ranges, 2, 2), 0);
	assert_int_equal(ranges.count, 1);
	assert_int_equal(ranges_remove(&ranges, 3), 0);
	assert_int_equal(ranges.count, 2);
	assert_false(ranges_has(&ranges, 3));
	assert_true(ranges_has(&ranges, 2) && ranges_has(&ranges, 4));
	assert_true(ranges_gap(&ranges, 4, 10, &gap));
	assert_int_equal(gap.first, 6);
	assert_int_equal(gap.end, 10);
	assert_false(ranges_gap(&ranges, 4, 6, &gap));
	ranges_free(&ranges);
}

static void a_scattering_source_is_bounded(void **state)
{
	struct ranges ranges = { 0 };

	(void)state;
	for (uint64_t i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&ranges, 2 * i, 1), 0);
	assert_int_equal(ranges_add(&ranges, 2 * RANGES_MAX + 7, 1), -E2BIG);
	ranges_free(&ranges);
}

static void silence_of_everything_is_death(void **state)
{
	const struct pulse_params client = { true, CLOCK_SECOND / 2, 4 * CLOCK_SECOND, 4 * CLOCK_SECOND };
	const struct pulse_params daemon = { false, CLOCK_SECOND / 2, 4 * CLOCK_SECOND, 0 };
	struct pulse pulse;
	uint64_t begin = 100 * CLOCK_SECOND;

	(void)state;
	pulse_start(&pulse, &client, begin);
	assert_int_equal(pulse_check(&pulse, PULSE_UNHEARD, begin + 4 * CLOCK_SECOND - 1) & PULSE_DEAD, 0);
	assert_int_equal(pulse_check(&pulse, PULSE_UNHEARD, begin + 4 * CLOCK_SECOND), PULSE_DEAD);
	pulse_start(&pulse, &daemon, begin);
	pulse_heard(&pulse, begin + CLOCK_SECOND);
	assert_int_equal(pulse_check(&pulse, PULSE_UNHEARD, begin + 4 * CLOCK_SECOND), 0);
	assert_int_equal(pulse_check(&pulse, PULSE_UNHEARD, begin + 5 * CLOCK_SECOND), PULSE_DEAD);
}

static void blocked_datagrams_warn_once_and_ping(void **state)
{
	const struct pulse_params client = { true, CLOCK_SECOND / 2, 4 * CLOCK_SECOND, 4 * CLOCK_SECOND };
	struct pulse pulse;
	uint64_t now = CLOCK_SECOND;
	unsigned pings = 0, warnings = 0;

	(void)state;
	pulse_start(&pulse, &client, now);
	for (int i = 0; i < 200; i++) {
		unsigned todo = pulse_check(&pulse, PULSE_UNHEARD, now += CLOCK_SECOND / 10);

		assert_int_equal(todo & PULSE_DEAD, 0);
		warnings += (todo & PULSE_WARN) != 0;
		if (todo & PULSE_PING) {
			pings++;
			pulse_heard(&pulse, now);
			pulse_pong(&pulse, now - CLOCK_MS, now);
		}
	}
	assert_int_equal(warnings, 1);
	assert_in_range(pings, 30, 42);
	assert_int_equal(pulse.rtt, CLOCK_MS);
	/* Where datagrams are heard nobody asks in-band. */
	pulse_start(&pulse, &client, now);
	for (int i = 0; i < 50; i++) {
		now += CLOCK_SECOND / 10;
		pulse_heard(&pulse, now);
		assert_int_equal(pulse_check(&pulse, PULSE_HEARD, now), 0);
	}
}

/* Whoever asks once a minute is heard in between, by both sides; and lets no peer make it ask without a pause. */
static void a_rare_asker_is_not_dead_in_between(void **state)
{
	static const struct {
		uint64_t interval, ours, theirs;
		unsigned pings_min, pings_max; /* in a minute */
	} cases[] = {
		{ 60 * CLOCK_SECOND, 4 * CLOCK_SECOND, 4 * CLOCK_SECOND, 55, 65 },
		{ 60 * CLOCK_SECOND, 300 * CLOCK_SECOND, 4 * CLOCK_SECOND, 55, 65 },
		{ 60 * CLOCK_SECOND, 4 * CLOCK_SECOND, 300 * CLOCK_SECOND, 55, 65 },
		{ 60 * CLOCK_SECOND, 300 * CLOCK_SECOND, 0, 0, 0 },
		{ CLOCK_SECOND, 3 * CLOCK_SECOND, 3 * CLOCK_SECOND, 0, 0 },
		{ CLOCK_SECOND, 4 * CLOCK_SECOND, 1, 550, 1201 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct pulse_params client = { true, cases[i].interval, cases[i].ours, cases[i].theirs };
		uint64_t now = CLOCK_SECOND, end = 61 * CLOCK_SECOND;
		struct pulse pulse;
		unsigned pings = 0;

		pulse_start(&pulse, &client, now);
		while (now < end) {
			unsigned todo;

			pulse_heard(&pulse, now); /* its datagrams are answered, as rarely as they are sent */
			todo = pulse_check(&pulse, PULSE_HEARD, now);
			assert_int_equal(todo & ~(unsigned)PULSE_PING, 0);
			pings += (todo & PULSE_PING) != 0;
			assert_true(pulse_deadline(&pulse, PULSE_HEARD, now) > now);
			now = pulse_deadline(&pulse, PULSE_HEARD, now);
		}
		assert_in_range(pings, cases[i].pings_min, cases[i].pings_max);
	}
}

static void an_answer_unasked_while_questions_are_stuck(void **state)
{
	const struct pulse_params daemon = { false, CLOCK_SECOND / 2, 4 * CLOCK_SECOND, 0 };
	struct pulse pulse;
	uint64_t now = CLOCK_SECOND, last = now;

	(void)state;
	pulse_start(&pulse, &daemon, now);
	for (int i = 0; i < 100; i++) {
		now += CLOCK_SECOND / 10;
		pulse_bytes(&pulse, now);
		if (pulse_check(&pulse, PULSE_NO_DATAGRAMS, now) & PULSE_PONG) {
			assert_in_range(now - last, CLOCK_SECOND, CLOCK_SECOND + CLOCK_SECOND / 10);
			last = now;
		}
		assert_true(pulse_deadline(&pulse, PULSE_NO_DATAGRAMS, now) <= now + CLOCK_SECOND);
	}
	assert_true(now - last <= CLOCK_SECOND);
	/* Who is asked has answered; and where nothing comes nobody waits for an answer. */
	for (int i = 0; i < 100; i++) {
		now += CLOCK_SECOND / 10;
		pulse_bytes(&pulse, now);
		pulse_asked(&pulse, now);
		assert_int_equal(pulse_check(&pulse, PULSE_NO_DATAGRAMS, now), 0);
	}
	for (int i = 0; i < 39; i++)
		assert_int_equal(pulse_check(&pulse, PULSE_NO_DATAGRAMS, now += CLOCK_SECOND / 10), 0);
	/* A datagram that came later than the bytes counts. */
	pulse_heard(&pulse, now);
	pulse_bytes(&pulse, now - CLOCK_SECOND);
	assert_int_equal(pulse.heard, now);
}

static void nothing_in_common_names_both_lists(void **state)
{
	const char *const ours[] = { "alpha", "beta" };
	const char *const theirs[] = { "gamma" };
	const struct offer daemon = { ours, 2, "pulse", 1 << 20, { 1 } };
	const struct offer client = { theirs, 1, "pulse", 4096, { 2 } };
	struct message_hello hello;
	struct message_welcome welcome;
	enum status status = STATUS_OK;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(negotiate_hello(&client, &hello, &err), 0);
	assert_true(negotiate_answer(&daemon, &hello, &welcome, &status, &err) < 0);
	assert_int_equal(status, STATUS_INTEGRITY);
	assert_int_equal(err.fault, FAULT_INTEGRITY);
	assert_contains(err.text, "gamma");
	assert_contains(err.text, "alpha, beta");
}

static void the_clients_first_choice_and_the_smaller_chunk(void **state)
{
	const char *const ours[] = { "alpha", "beta" };
	const char *const theirs[] = { "gamma", "beta", "alpha" };
	const struct offer daemon = { ours, 2, "pulse", 4096, { 1 } };
	const struct offer client = { theirs, 3, "other", 1 << 20, { 2 } };
	struct message_hello hello;
	struct message_welcome welcome;
	enum status status = STATUS_OK;

	(void)state;
	assert_int_equal(negotiate_hello(&client, &hello, NULL), 0);
	assert_int_equal(negotiate_answer(&daemon, &hello, &welcome, &status, NULL), 0);
	assert_string_equal(welcome.integrity, "beta");
	assert_string_equal(welcome.liveness, "none");
	assert_int_equal(welcome.chunk_size, 4096);
	welcome.interval_ms = welcome.dead_after_ms = welcome.requests_max = 1;
	assert_int_equal(negotiate_accept(&client, &welcome, NULL), 0);
	strcpy(welcome.integrity, "delta"); /* was never offered */
	assert_true(negotiate_accept(&client, &welcome, NULL) < 0);
}

static struct sink *sink_make_with(const char *name, bool is_dir, unsigned flags)
{
	const struct sink_params params = { .remote = "x",
		                            .name = name,
		                            .name_exists = is_dir,
		                            .name_is_dir = is_dir,
		                            .hidden = ".xfer-0",
		                            .reserved = ".xfer-",
		                            .chunk_size = 1024,
		                            .integrity = "none",
		                            .requests_max = 16,
		                            .window = 4096,
		                            .order_payload = 4096,
		                            .flags = flags,
		                            .sync = true };
	const struct sink_watch watch = { 0 };
	struct sink *sink;

	assert_int_equal(sink_create(&sink, &params, &watch), 0);
	return sink;
}

static struct sink *sink_make_at(const char *name, bool is_dir)
{
	return sink_make_with(name, is_dir, 0);
}

static struct sink *sink_make(void)
{
	return sink_make_at("x", false);
}

/* A tree of one folder with one file of the given name in it, as far as it is listed; what sink_entries() said of it. */
static int list_file(struct sink *sink, const char *name)
{
	const struct entry entries[] = {
		{ .kind = ENTRY_DIR, .mode = 0755, .name = "x", .name_len = 1, .text = "" },
		{ .kind = ENTRY_FILE, .mode = 0644, .size = 5, .name = name, .name_len = strlen(name), .text = "" },
	};
	struct buf frames = { 0 }, run = { 0 };
	int r;

	assert_int_equal(sink_frames(sink_main(sink), &frames, 1), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(message_entry_write(&run, &entries[i]), 0);
	r = sink_entries(sink_main(sink), run.data, run.len, NULL);
	buf_free(&run);
	buf_free(&frames);
	return r;
}

static void a_name_of_ours_is_no_entry(void **state)
{
	struct sink *sink = sink_make();

	(void)state;
	assert_int_equal(list_file(sink, ".xfer-0.1"), -EPROTO);
	sink_destroy(sink);
	sink = sink_make();
	assert_int_equal(list_file(sink, ".xfer"), 0);
	sink_destroy(sink);
}

/* Where a folder is made, and under which name a file in it is written. */
static void place_is(const char *name, bool is_dir, const char *made, const char *written)
{
	struct sink *sink = sink_make_at(name, is_dir);
	struct sink_order order;
	struct buf frames = { 0 };
	struct end end = { .request = 2, .status = STATUS_OK, .size = 5, .chunks = 1, .text = "" };
	const struct frame_chunk chunk = { .request = 2, .length = 5 };

	assert_int_equal(list_file(sink, "file"), 0);
	assert_true(sink_next(sink, &order));
	assert_int_equal(order.dirs[0].op, SINK_DIR_MAKE);
	assert_string_equal(order.dirs[0].path, made);
	sink_done(sink, &order);
	assert_int_equal(sink_frames(sink_main(sink), &frames, 1), 0);
	assert_int_equal(sink_chunk(sink_main(sink), &chunk, &frames, NULL), 1);
	assert_int_equal(sink_end(sink_main(sink), &end, NULL), 0);
	assert_true(sink_next(sink, &order));
	assert_int_equal(order.kind, SINK_ORDER_WRITE);
	assert_string_equal(order.pieces[0].file->path, written);
	for (size_t i = 0; i < order.count; i++)
		order.pieces[i].code = 0;
	sink_done(sink, &order);
	buf_free(&frames);
	sink_destroy(sink);
}

static void what_is_unfinished_lies_beside_its_place(void **state)
{
	(void)state;
	place_is("x", false, ".xfer-0", ".xfer-0/file");
	place_is("a/b/x", false, "a/b/.xfer-0", "a/b/.xfer-0/file");
	place_is("a/b/x", true, "a/b/x", "a/b/x/.xfer-0.aad01178f02a6a23");
	place_is("", true, "", ".xfer-0.aad01178f02a6a23");
}

static void a_listing_that_leaves_what_it_never_entered(void **state)
{
	struct sink *sink = sink_make();
	const struct entry up = { .kind = ENTRY_UP, .name = "", .text = "" };
	struct buf frames = { 0 }, run = { 0 };

	(void)state;
	assert_int_equal(sink_frames(sink_main(sink), &frames, 1), 0);
	assert_true(frames.len > 0);
	assert_int_equal(message_entry_write(&run, &up), 0);
	assert_true(sink_entries(sink_main(sink), run.data, run.len, NULL) < 0);
	buf_free(&frames);
	buf_free(&run);
	sink_destroy(sink);
}

static void giving_up_before_anything_came_is_the_end(void **state)
{
	struct sink *sink = sink_make();
	struct sink_order order;
	struct buf frames = { 0 };

	(void)state;
	assert_int_equal(sink_frames(sink_main(sink), &frames, 1), 0);
	assert_false(sink_finished(sink));
	sink_abort(sink);
	assert_false(sink_next(sink, &order));
	assert_true(sink_finished(sink));
	buf_free(&frames);
	sink_destroy(sink);
}

/* A tree that is all there is given up while it is synced. Whether it is taken away. */
static bool given_up_while_synced(unsigned flags)
{
	struct sink *sink = sink_make_with("x", false, flags);
	const struct entry entries[] = { { .kind = ENTRY_DIR, .mode = 0755, .name = "x", .name_len = 1, .text = "" },
		                         { .kind = ENTRY_UP, .mode = 0755, .name = "", .text = "" } };
	const struct end end = { .request = 1, .status = STATUS_OK, .text = "" };
	struct buf frames = { 0 }, run = { 0 };
	struct sink_order order;
	bool removed;

	assert_int_equal(sink_frames(sink_main(sink), &frames, 1), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(message_entry_write(&run, &entries[i]), 0);
	assert_int_equal(sink_entries(sink_main(sink), run.data, run.len, NULL), 0);
	assert_int_equal(sink_end(sink_main(sink), &end, NULL), 0);
	while (sink_next(sink, &order) && order.dirs[0].op != SINK_DIR_SYNC)
		sink_done(sink, &order);
	assert_int_equal(order.dirs[0].op, SINK_DIR_SYNC);
	sink_abort(sink);
	sink_done(sink, &order);
	removed = sink_next(sink, &order);
	if (removed) {
		assert_int_equal(order.dirs[0].op, SINK_DIR_REMOVE);
		sink_done(sink, &order);
	}
	assert_true(sink_finished(sink));
	buf_free(&frames);
	buf_free(&run);
	sink_destroy(sink);
	return removed;
}

static void what_is_given_up_while_it_is_synced_stays_for_another_run(void **state)
{
	(void)state;
	assert_true(given_up_while_synced(0));
	assert_false(given_up_while_synced(SINK_FLAG_LEAVE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_join_and_split),
		cmocka_unit_test(a_scattering_source_is_bounded),
		cmocka_unit_test(silence_of_everything_is_death),
		cmocka_unit_test(blocked_datagrams_warn_once_and_ping),
		cmocka_unit_test(a_rare_asker_is_not_dead_in_between),
		cmocka_unit_test(an_answer_unasked_while_questions_are_stuck),
		cmocka_unit_test(nothing_in_common_names_both_lists),
		cmocka_unit_test(the_clients_first_choice_and_the_smaller_chunk),
		cmocka_unit_test(a_listing_that_leaves_what_it_never_entered),
		cmocka_unit_test(a_name_of_ours_is_no_entry),
		cmocka_unit_test(what_is_unfinished_lies_beside_its_place),
		cmocka_unit_test(giving_up_before_anything_came_is_the_end),
		cmocka_unit_test(what_is_given_up_while_it_is_synced_stays_for_another_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
