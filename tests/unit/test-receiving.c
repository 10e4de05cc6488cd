/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A receiving half whose sessions go while what came over them is still looked at, lanes whose peer listens to nothing, and
 * chunks that wait for others.
 */
#include "scratch.h"

#include "config/settings.h"
#include "engine/receiving.h"
#include "engine/setup.h"

enum { DIGEST = 4, MEMORY = 8 << 20, CHUNK = 256 << 10 };

struct rig {
	struct loop *loop;
	struct scratch *scratch;
	struct plugin integrity;
	struct settings settings;
	struct setup setup;
	struct channel_base base;
	struct channel first, second;
	struct receiving *receiving; /* NULL: freed */
	struct receiving_lane lane;  /* of the second session */
	unsigned gone;
	bool stops; /* whenever jobs came back, the loop stops */
};

static struct rig *the_rig;

static int fake_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	(void)instance;
	(void)bytes;
	(void)len;
	(void)flags;
	memset(out, 0, DIGEST);
	return 0;
}

static void on_event(struct receiving *receiving, const struct sink_event *event)
{
	(void)receiving;
	(void)event;
}

static void on_broken(struct receiving *receiving, struct receiving_lane *lane, const struct error *err)
{
	(void)receiving;
	(void)lane;
	fail_msg("%s", err->text);
}

static void on_lane_gone(struct receiving *receiving, struct receiving_lane *lane)
{
	assert_non_null(the_rig->receiving);
	assert_ptr_equal(receiving, the_rig->receiving);
	assert_ptr_equal(lane, &the_rig->lane);
	the_rig->gone++;
}

/* As a put whose session has closed before. */
static void on_finished(struct receiving *receiving)
{
	assert_ptr_equal(receiving, the_rig->receiving);
	receiving_close(receiving);
	free(receiving);
	the_rig->receiving = NULL;
	loop_stop(the_rig->loop);
}

static const struct receiving_watch watch = {
	.event = on_event, .broken = on_broken, .lane_gone = on_lane_gone, .finished = on_finished
};

static void on_settled(void *context)
{
	(void)context;
	if (the_rig->stops)
		loop_stop(the_rig->loop);
}

static void channel_fake(struct rig *rig, struct channel *channel)
{
	channel->base = &rig->base;
	channel->state = CHANNEL_OPEN;
	channel->requests_max = 1024;
	channel->link.loop = rig->loop;
	channel->suite = (struct suite){
		.integrity = &rig->integrity,
		.limits = { .control_max = FRAME_CONTROL_MAX, .chunk_size = CHUNK, .digest_size = DIGEST },
	};
}

static int rig_open(void **state)
{
	const struct loop_settings settings = { .threads = 1, .memory = MEMORY, .settled = on_settled };
	const struct receiving_place place = { .name = "new", .remote = "src", .lanes = 2 };
	struct receiving_place here = place;
	struct rig *rig = calloc(1, sizeof(*rig));
	struct error err = { 0 };
	void *scratch;

	if (rig == NULL || scratch_open(&scratch, false) < 0)
		return -1;
	the_rig = rig;
	rig->scratch = scratch;
	rig->integrity.about.name = "fake";
	rig->integrity.integrity.digest_size = DIGEST;
	rig->integrity.integrity.digest = fake_digest;
	rig->integrity.lanes = 1;
	rig->settings.memory = MEMORY;
	rig->setup.settings = &rig->settings;
	assert_int_equal(loop_create(&rig->loop, &settings, &err), 0);
	rig->base.loop = rig->loop;
	rig->base.setup = &rig->setup;
	channel_fake(rig, &rig->first);
	channel_fake(rig, &rig->second);
	rig->receiving = calloc(1, sizeof(*rig->receiving));
	here.root = rig->scratch->root;
	assert_non_null(rig->receiving);
	assert_int_equal(receiving_open(rig->receiving, &rig->first, &here, 0, 0, &watch, &err), 0);
	assert_int_equal(receiving_lane_open(rig->receiving, &rig->lane, &rig->second, 0, 0, &err), 0);
	*state = rig;
	return 0;
}

static int rig_close(void **state)
{
	struct rig *rig = *state;
	void *scratch = rig->scratch;

	if (rig->receiving != NULL) {
		receiving_close(rig->receiving);
		free(rig->receiving);
	}
	buf_free(&rig->first.link.control);
	buf_free(&rig->second.link.control);
	loop_destroy(rig->loop);
	free(rig);
	return scratch_close(&scratch);
}

/* A list whose digest a pool thread looks at. */
static void list_comes(struct rig *rig)
{
	const struct frame_header header = { .type = FRAME_ENTRIES, .request = 1, .length = 64 + DIGEST };
	struct lent *buffer = lend_get(rig->loop->lender, 4096);
	struct error err = { 0 };

	assert_non_null(buffer);
	memset(buffer->data, 0, 4096);
	assert_int_equal(receiving_frame(&rig->lane, &header, buffer->data, buffer, &err), 0);
	lent_unref(buffer);
}

/* What is looked at last belongs to a session that is gone, and the put is over with it. */
static void a_lane_goes_before_the_end(void **state)
{
	struct rig *rig = *state;

	list_comes(rig);
	receiving_lane_end(&rig->lane);
	assert_true(receiving_lane_busy(&rig->lane));
	rig->first.state = CHANNEL_ENDED;
	rig->second.state = CHANNEL_ENDED;
	receiving_abort(rig->receiving);
	assert_non_null(rig->receiving);
	loop_run(rig->loop);
	assert_null(rig->receiving);
	assert_int_equal(rig->gone, 1);
	assert_false(receiving_lane_busy(&rig->lane));
}

/* Each session is asked for itself, until it is told more than it takes. */
static void a_lane_that_is_deaf_is_told_no_more(void **state)
{
	struct rig *rig = *state;
	struct buf *first = channel_control(&rig->first), *second = channel_control(&rig->second);
	const uint8_t nothing[1024] = { 0 };
	size_t before;

	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(buf_append(second, nothing, sizeof(nothing)), 0);
	before = second->len;
	receiving_pump(rig->receiving);
	assert_true(first->len > 0);
	assert_int_equal(second->len, before);
	buf_clear(second);
	receiving_pump(rig->receiving);
	assert_true(second->len > 0);
}

/* The listing: one file of so many chunks. */
static void file_comes(struct rig *rig, uint64_t chunks)
{
	struct lent *buffer = lend_get(rig->loop->lender, 4096);
	struct entry entry = { .kind = ENTRY_FILE, .mode = 0644, .size = chunks * CHUNK, .name = "src", .name_len = 3 };
	struct frame_header header = { .type = FRAME_ENTRIES, .request = 1 };
	struct error err = { 0 };

	assert_non_null(buffer);
	memset(buffer->data, 0, 4096);
	struct buf body = { .data = buffer->data + FRAME_HEADER, .cap = 4096 - FRAME_HEADER };
	assert_int_equal(message_entry_write(&body, &entry), 0);
	header.length = (uint32_t)body.len + DIGEST;
	assert_int_equal(receiving_frame(&rig->receiving->main, &header, buffer->data, buffer, &err), 0);
	lent_unref(buffer);
}

/* As a link hands it on. */
static void chunk_comes(struct rig *rig, uint64_t index)
{
	const struct frame_limits *limits = &rig->first.suite.limits;
	const uint8_t digest[DIGEST] = { 0 };
	size_t overhead = frame_chunk_overhead(limits);
	struct lent *buffer = lend_get(rig->loop->lender, overhead + CHUNK);
	struct frame_header header;
	struct error err = { 0 };

	assert_non_null(buffer);
	frame_chunk_seal(buffer->data, limits, 2, 0, index, CHUNK, digest);
	memset(buffer->data + overhead, (int)index, CHUNK);
	assert_int_equal(frame_header_read(buffer->data, limits, &header, &err), 0);
	assert_int_equal(receiving_frame(&rig->receiving->main, &header, buffer->data, buffer, &err), 0);
	lent_unref(buffer);
	receiving_pump(rig->receiving);
}

static uint64_t chunks_written(struct rig *rig)
{
	struct sink_count count;

	sink_counts(rig->receiving->sink, &count);
	return count.chunks;
}

/* Until no job is out. */
static void jobs_end(struct rig *rig)
{
	while (rig->receiving->job_count > 0 || rig->receiving->main.checks.jobs > 0)
		loop_run(rig->loop);
}

/* Three go together; fewer wait for others, but not for long. */
static void chunks_wait_for_others_for_a_moment(void **state)
{
	struct rig *rig = *state;
	struct receiving *receiving = rig->receiving;

	rig->integrity.lanes = 3;
	rig->stops = true;
	rig->second.state = CHANNEL_ENDED;
	receiving_pump(receiving);
	file_comes(rig, 9);
	jobs_end(rig);
	for (uint64_t i = 0; i < 2; i++) {
		chunk_comes(rig, i);
		assert_int_equal(receiving->job_count, 0);
	}
	chunk_comes(rig, 2);
	assert_int_equal(receiving->writing, 1);
	jobs_end(rig);
	assert_int_equal(chunks_written(rig), 3);

	/* While something is written the next ones wait for that, and four are three and one. */
	for (uint64_t i = 3; i < 6; i++)
		chunk_comes(rig, i);
	assert_int_equal(receiving->writing, 1);
	chunk_comes(rig, 6);
	assert_int_equal(receiving->writing, 1);
	jobs_end(rig);
	assert_int_equal(chunks_written(rig), 6);

	/* Nothing more comes. */
	while (chunks_written(rig) == 6)
		loop_run(rig->loop);
	assert_int_equal(chunks_written(rig), 7);

	rig->stops = false;
	rig->first.state = CHANNEL_ENDED;
	receiving_lane_end(&rig->lane);
	receiving_abort(receiving);
	loop_run(rig->loop);
	assert_null(rig->receiving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lane_goes_before_the_end, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(a_lane_that_is_deaf_is_told_no_more, rig_open, rig_close),
		cmocka_unit_test_setup_teardown(chunks_wait_for_others_for_a_moment, rig_open, rig_close),
	};

	return cmocka_run_group_tests_name("receiving", tests, NULL, NULL);
}
