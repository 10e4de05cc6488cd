/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sink with one to four lanes that are cut and come back, in a small world that follows from a seed: a source that
 * answers in pieces, over whichever lane; a disk of which chunks are right or wrong; orders that come back late. Whatever
 * happens, every file is complete in the end, no chunk is written twice, and nobody is sent more than was granted.
 *
 *     tests/unit/test-sink-lanes            the seeds of make check
 *     tests/unit/test-sink-lanes SEED       one
 */
#include "sink-lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char token;

uint64_t lanes_below(struct world *world, uint64_t limit)
{
	uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % limit;
}

/* ---- what the sink tells ---- */

static void on_event(void *context, const struct sink_event *event)
{
	struct world *world = context;

	if (event->kind == SINK_FAILED)
		fprintf(stderr, "seed %llu: %s\n", (unsigned long long)world->seed, event->text);
	MUST(world, event->kind == SINK_FILE_DONE || event->kind == SINK_UNCHANGED);
}

static void on_release(void *context, void *what)
{
	struct world *world = context;

	MUST(world, what == &token && world->tokens > 0);
	world->tokens--;
}

/* ---- the source ---- */

static unsigned file_number(struct world *world, const char *path, size_t len)
{
	char text[64];
	unsigned number = FILES;

	snprintf(text, sizeof(text), "%.*s", (int)len, path);
	MUST(world, sscanf(text, "export/x/f%u", &number) == 1 && number < world->file_count);
	return number;
}

static void reads_take(struct world *world, struct lane *lane, uint32_t id, const uint8_t *body, size_t len)
{
	struct message_read item;
	uint16_t count;
	size_t at = 0;

	MUST(world, message_read_count(body, len, &at, &count, NULL) == 0);
	for (uint32_t i = 0; i < count; i++) {
		struct read *read = &lane->reads[lane->count];
		struct file *file;

		MUST(world, message_read_item(body, len, &at, &item, NULL) == 0);
		MUST(world, lane->count < world->params.requests_max);
		lane->count++;
		*read = (struct read){
			.id = id + i,
			.file = file_number(world, item.path, item.path_len),
			.next = item.first,
			.size = item.size,
			.part = (item.flags & MESSAGE_READ_PART) != 0,
			.digests = (item.flags & MESSAGE_READ_DIGESTS) != 0,
		};
		file = &world->files[read->file];
		read->end = item.count < file->chunks - item.first ? item.first + item.count : file->chunks;
		MUST(world, item.size != file->size || item.first <= file->chunks);
	}
}

static void cancel_take(struct lane *lane, uint32_t id)
{
	for (unsigned i = 0; i < lane->count; i++)
		lane->reads[i].cancelled |= lane->reads[i].id == id;
}

/* Everything that a lane has to say. */
static bool frames_take(struct world *world, struct lane *lane)
{
	const struct frame_limits limits = { .control_max = FRAME_CONTROL_MAX };
	struct frame_header header;
	struct buf out = { 0 };
	bool some;

	MUST(world, sink_frames(lane->lane, &out, world->now) == 0);
	some = out.len > 0;
	for (size_t at = 0; at < out.len; at += FRAME_HEADER + header.length) {
		const uint8_t *body = out.data + at + FRAME_HEADER;
		uint64_t total, consumed, granted;

		MUST(world, frame_header_read(out.data + at, &limits, &header, NULL) == 0);
		switch (header.type) {
		case FRAME_LIST:
			MUST(world, world->lister < 0 && !world->listed);
			world->lister = (int)(lane - world->lanes);
			world->list_at = 0;
			break;
		case FRAME_READ: reads_take(world, lane, header.request, body, header.length); break;
		case FRAME_CANCEL: cancel_take(lane, header.request); break;
		case FRAME_CREDIT:
			MUST(world, message_credit_read(body, header.length, &total, NULL) == 0);
			if (header.request != 0)
				break;
			MUST(world, total > lane->granted);
			world->granted_all += total - lane->granted;
			lane->granted = total;
			sink_credit(lane->lane, &consumed, &granted);
			MUST(world, granted == total && total <= consumed + world->params.window);
			break;
		default: MUST(world, false);
		}
	}
	buf_free(&out);
	return some;
}

/* The next of the entries: the folder, its files, the end of the folder. */
static void entry_make(struct world *world, unsigned at, struct entry *out, char name[16])
{
	*out = (struct entry){ .kind = ENTRY_UP, .mode = 0755, .name = "", .text = "" };
	if (at > world->file_count)
		return;
	out->kind = at == 0 ? ENTRY_DIR : ENTRY_FILE;
	out->name_len = (size_t)(at == 0 ? snprintf(name, 16, "x") : snprintf(name, 16, "f%u", at - 1));
	out->name = name;
	out->size = at == 0 ? 0 : world->files[at - 1].listed;
	out->mtime = 77;
}

/* Some of the listing, over the lane that it was asked of. */
static void listing_send(struct world *world)
{
	struct sink_lane *lane = world->lanes[world->lister].lane;
	const struct end end = { .request = 1, .status = STATUS_OK, .text = "" };
	unsigned all = world->file_count + 2, count = 1 + (unsigned)lanes_below(world, all);
	struct buf run = { 0 };
	struct entry entry;
	char name[16];

	for (; count > 0 && world->list_at < all; count--) {
		entry_make(world, world->list_at++, &entry, name);
		assert_int_equal(message_entry_write(&run, &entry), 0);
	}
	MUST(world, sink_entries(lane, run.data, run.len, NULL) == 0);
	buf_free(&run);
	if (world->list_at < all || lanes_below(world, 2) == 0)
		return;
	world->listed = true;
	MUST(world, sink_end(lane, &end, NULL) == 0);
}

static void read_end(struct world *world, struct lane *lane, unsigned index, enum status status)
{
	static const uint8_t digest[DIGEST];
	struct read read = lane->reads[index];
	const struct end end = {
		.request = read.id,
		.status = status,
		.mode = 0644,
		.size = world->files[read.file].size,
		.mtime = 77,
		.flags = read.part || status != STATUS_OK ? 0 : END_DIGEST,
		.digest = read.part || status != STATUS_OK ? NULL : digest,
		.text = "",
	};

	memmove(&lane->reads[index], &lane->reads[index + 1], (lane->count - index - 1) * sizeof(read));
	lane->count--;
	MUST(world, sink_end(lane->lane, &end, NULL) == 0);
}

static void digests_send(struct world *world, struct lane *lane, struct read *read)
{
	static const uint8_t zeroes[64 * DIGEST];
	uint64_t left = read->end - read->next, most = left < 64 ? left : 64;
	const struct message_digest_run run = {
		.first = read->next,
		.count = 1 + lanes_below(world, most),
		.digests = zeroes,
	};

	if (world->files[read->file].holes && lanes_below(world, 4) == 0 && read->end < world->files[read->file].chunks)
		MUST(world, sink_hole(lane->lane, read->id, run.first, run.count, NULL) == 0);
	else
		MUST(world, sink_digests(lane->lane, read->id, &run, NULL) == 0);
	read->next += run.count;
}

static bool chunk_send(struct world *world, struct lane *lane, struct read *read)
{
	static const uint8_t digest[DIGEST];
	const struct file *file = &world->files[read->file];
	uint64_t left = file->size - read->next * CHUNK;
	const struct frame_chunk chunk = {
		.request = read->id,
		.index = read->next,
		.length = left < CHUNK ? (uint32_t)left : CHUNK,
		.digest = digest,
		.payload = digest,
	};
	uint64_t holes = read->end - read->next;
	int r;

	if (file->holes && read->end < file->chunks && lanes_below(world, 6) == 0) {
		holes = 1 + lanes_below(world, holes < 8 ? holes : 8);
		MUST(world, sink_hole(lane->lane, read->id, read->next, holes, NULL) == 0);
		read->next += holes;
		return true;
	}
	if (lane->received + chunk.length > lane->granted)
		return false;
	lane->received += chunk.length;
	r = sink_chunk(lane->lane, &chunk, &token, NULL);
	MUST(world, r >= 0);
	world->tokens += r == 1;
	read->next++;
	return true;
}

/* One step of one answer; false when nothing can be sent. */
static bool answer(struct world *world, struct lane *lane)
{
	unsigned index = lane->count > 0 ? (unsigned)lanes_below(world, lane->count < 3 ? lane->count : 3) : 0;
	struct read *read = &lane->reads[index];
	const struct file *file;

	if (lane->count == 0)
		return false;
	file = &world->files[read->file];
	if (read->cancelled)
		read_end(world, lane, index, STATUS_CANCELLED);
	else if (read->size != file->size)
		read_end(world, lane, index, STATUS_CHANGED);
	else if (read->next >= read->end)
		read_end(world, lane, index, STATUS_OK);
	else if (read->digests)
		digests_send(world, lane, read);
	else
		return chunk_send(world, lane, read);
	return true;
}

/* ---- lanes ---- */

static unsigned lanes_live(const struct world *world)
{
	unsigned count = 0;

	for (unsigned i = 0; i < LANES; i++)
		count += world->lanes[i].lane != NULL;
	return count;
}

static void lane_lose(struct world *world, struct lane *lane)
{
	/* What it was granted and did not use nobody has any more. */
	world->granted_all -= lane->granted - lane->received;
	sink_lane_lost(lane->lane);
	lane->lane = NULL;
	lane->count = 0;
	if (world->lister == lane - world->lanes)
		world->lister = -1;
}

static void lane_cut(struct world *world)
{
	struct lane *lane = &world->lanes[lanes_below(world, LANES)];

	if (lane->lane == NULL || lanes_live(world) == 1 || world->cuts == 0 || sink_lane_needed(lane->lane))
		return;
	world->cuts--;
	lane_lose(world, lane);
}

/* It is let go of when it owes nothing any more. */
static void lane_yield(struct world *world)
{
	struct lane *lane = &world->lanes[1 + lanes_below(world, LANES - 1)];

	if (lane->lane != NULL)
		sink_lane_yield(lane->lane);
	lane->yields = lane->lane != NULL;
}

static void lane_leave(struct world *world, struct lane *lane)
{
	if (!lane->yields || !sink_lane_idle(lane->lane) || sink_lane_needed(lane->lane))
		return;
	MUST(world, lane->count == 0);
	lane_lose(world, lane);
}

static void lane_add(struct world *world)
{
	struct lane *lane = &world->lanes[lanes_below(world, world->lane_max)];

	if (lane->lane != NULL)
		return;
	*lane = (struct lane){ 0 };
	assert_int_equal(sink_lane_add(world->sink, &lane->lane, world->params.requests_max, 0, 0), 0);
}

/* ---- a run ---- */

static void file_draw(struct world *world, struct file *file)
{
	uint64_t most = lanes_below(world, 4) == 0 ? 800 * CHUNK : lanes_below(world, 2) == 0 ? 40 * CHUNK : 2 * CHUNK;

	file->listed = file->size = lanes_below(world, most);
	if (lanes_below(world, 8) == 0)
		file->size += lanes_below(world, 2) == 0 ? 5000 : file->size / 2; /* it grew since it was listed */
	file->chunks = (file->size + CHUNK - 1) / CHUNK;
	file->now = calloc(file->chunks + 1, 1);
	file->old = calloc(file->chunks + 1, 1);
	assert_true(file->now != NULL && file->old != NULL);
	file->holes = lanes_below(world, 4) == 0;
	file->has_old = world->params.flags != 0 && file->chunks > 0 && lanes_below(world, 2) == 0;
	for (uint64_t i = 0, wrong = 1 + lanes_below(world, 9); file->has_old && i < file->chunks; i++)
		file->old[i] = wrong > 8 || lanes_below(world, wrong) != 0;
}

static void world_begin(struct world *world, uint64_t seed)
{
	static const unsigned flags[] = { 0, 0, SINK_FLAG_LEAVE | SINK_FLAG_RESUME,
		                          SINK_FLAG_UPDATE | SINK_FLAG_COMPARE };
	const struct sink_watch watch = { .context = world, .event = on_event, .release = on_release };

	memset(world, 0, sizeof(*world));
	world->seed = world->random = seed;
	world->now = CLOCK_SECOND;
	world->lister = -1;
	world->lane_max = 1 + (unsigned)lanes_below(world, LANES);
	world->cuts = (unsigned)lanes_below(world, 12);
	world->damage = (unsigned)lanes_below(world, 4);
	world->params = (struct sink_params){
		.remote = "export/x",
		.name = "x",
		.hidden = ".xfer-0",
		.flags = flags[lanes_below(world, 4)],
		.chunk_size = CHUNK,
		.digest_size = DIGEST,
		.integrity = "mix",
		.strong = true,
		.requests_max = 1 + (uint32_t)lanes_below(world, READS),
		.window = (2 + lanes_below(world, 100)) * CHUNK,
		.window_all = lanes_below(world, 2) * 100 * CHUNK,
		.lanes = lanes_below(world, 2) == 0 ? world->lane_max : 1,
		.shared = world->lane_max > 1,
		.order_payload = (1 + lanes_below(world, 16)) * CHUNK,
		.keep_payload = 16 * CHUNK,
		.keeps_max = 2,
		.limit_rate = lanes_below(world, 4) == 0 ? 200 * CHUNK : 0,
	};
	world->params.name_exists = world->params.name_is_dir = (world->params.flags & SINK_FLAG_UPDATE) != 0;
	world->file_count = 1 + (unsigned)lanes_below(world, FILES);
	for (unsigned i = 0; i < world->file_count; i++)
		file_draw(world, &world->files[i]);
	assert_int_equal(sink_create(&world->sink, &world->params, &watch), 0);
	world->lanes[0].lane = sink_main(world->sink);
}

static bool step(struct world *world)
{
	struct lane *lane = &world->lanes[lanes_below(world, LANES)];
	uint64_t what = lanes_below(world, 200);
	bool some = false;

	if (what == 0)
		lane_cut(world);
	else if (what < 4)
		lane_add(world);
	else if (what == 4)
		lane_yield(world);
	if (world->lister >= 0 && !world->listed && lanes_below(world, 4) == 0)
		listing_send(world);
	if (what % 3 == 0)
		some = lanes_order_take(world);
	else if (what % 3 == 1)
		some = lanes_order_back(world);
	if (lane->lane != NULL)
		some |= frames_take(world, lane) || answer(world, lane);
	if (lane->lane != NULL)
		lane_leave(world, lane);
	return some;
}

static void rate_check(struct world *world)
{
	uint64_t elapsed = world->now - CLOCK_SECOND, rate = world->params.limit_rate;

	MUST(world, rate == 0 || world->granted_all <= elapsed / 1000 * rate / (CLOCK_SECOND / 1000) + CHUNK + 1);
}

static void world_end(struct world *world)
{
	struct sink_count count;
	uint64_t bytes = 0;

	MUST(world, sink_result(world->sink, NULL) == FAULT_NONE && world->out == 0 && world->tokens == 0);
	sink_counts(world->sink, &count);
	for (unsigned i = 0; i < world->file_count; i++) {
		MUST(world, world->files[i].done || world->files[i].chunks == 0);
		bytes += world->files[i].size;
		free(world->files[i].now);
		free(world->files[i].old);
	}
	MUST(world, count.files + count.same == world->file_count);
	MUST(world, count.bytes >= bytes); /* holes are counted as whole chunks */
	sink_destroy(world->sink);
}

static void run(uint64_t seed)
{
	static struct world world;
	unsigned steps = 0;

	world_begin(&world, seed);
	while (!sink_finished(world.sink) || world.out > 0) {
		MUST(&world, ++steps < STEPS);
		if (!step(&world))
			world.now += CLOCK_MS;
		rate_check(&world);
	}
	world_end(&world);
}

static void test_lanes_that_come_and_go(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed);
}

static void entries_give(struct sink_lane *lane, uint64_t size, int wanted)
{
	const struct entry top = { .kind = ENTRY_DIR, .mode = 0755, .name = "x", .name_len = 1, .text = "" };
	const struct entry file = {
		.kind = ENTRY_FILE, .mode = 0644, .name = "f0", .name_len = 2, .size = size, .text = ""
	};
	struct buf run = { 0 };
	struct error err = { 0 };

	assert_int_equal(message_entry_write(&run, &top), 0);
	assert_int_equal(message_entry_write(&run, &file), 0);
	assert_int_equal(sink_entries(lane, run.data, run.len, &err), wanted);
	buf_free(&run);
	if (wanted < 0)
		assert_contains(err.text, "changed while it was listed");
}

/* A listing that goes on with another one would be a mixture. */
static void test_a_listing_that_differs(void **state)
{
	static struct world world;
	struct sink_lane *other;
	struct buf out = { 0 };

	(void)state;
	world_begin(&world, 5);
	sink_destroy(world.sink);
	world.params.lanes = 2;
	assert_int_equal(sink_create(&world.sink, &world.params, &(struct sink_watch){ 0 }), 0);
	assert_true(sink_lane_needed(sink_main(world.sink)));
	assert_int_equal(sink_lane_add(world.sink, &other, 4, 0, 0), 0);
	assert_int_equal(sink_frames(sink_main(world.sink), &out, CLOCK_SECOND), 0);
	entries_give(sink_main(world.sink), 3, 0);
	assert_false(sink_lane_needed(sink_main(world.sink)));
	sink_lane_lost(sink_main(world.sink));
	assert_int_equal(sink_frames(other, &out, CLOCK_SECOND), 0);
	entries_give(other, 4, -ESTALE);
	assert_true(sink_lane_needed(other));
	sink_abort(world.sink);
	while (lanes_order_take(&world) || lanes_order_back(&world))
		;
	assert_true(sink_finished(world.sink));
	world.params.lanes = 0;
	for (unsigned i = 0; i < world.file_count; i++) {
		free(world.files[i].now);
		free(world.files[i].old);
	}
	sink_destroy(world.sink);
	buf_free(&out);
}

/* One lane all but stops while it owes much: it ends with what the other brings, and nothing comes twice. */
static void test_a_slow_lane_is_relieved(void **state)
{
	static struct world world;
	const struct sink_watch watch = { .context = &world, .event = on_event, .release = on_release };
	struct lane *quick = &world.lanes[0], *slow = &world.lanes[1];
	struct sink_count count;
	bool cancelled = false;

	(void)state;
	world_begin(&world, 5);
	for (unsigned i = 0; i < world.file_count; i++) {
		free(world.files[i].now);
		free(world.files[i].old);
	}
	sink_destroy(world.sink);
	world.files[0] = (struct file){ .listed = 400 * CHUNK, .size = 400 * CHUNK, .chunks = 400 };
	world.files[0].now = calloc(401, 1);
	world.files[0].old = calloc(401, 1);
	world.file_count = 1;
	world.damage = 0;
	world.params.flags = 0;
	world.params.name_exists = world.params.name_is_dir = false;
	world.params.requests_max = 64;
	world.params.window = world.params.window_all = 512 * CHUNK;
	world.params.lanes = 2;
	world.params.order_payload = 16 * CHUNK;
	world.params.limit_rate = 0;
	assert_int_equal(sink_create(&world.sink, &world.params, &watch), 0);
	quick->lane = sink_main(world.sink);
	assert_int_equal(sink_lane_add(world.sink, &slow->lane, 64, 0, 0), 0);
	for (unsigned turn = 0; !sink_finished(world.sink) || world.out > 0; turn++) {
		world.now += 10 * CLOCK_MS;
		MUST(&world, world.now < 6 * CLOCK_SECOND); /* it owes a chunk a second */
		if (world.lister >= 0 && !world.listed)
			listing_send(&world);
		while (lanes_order_take(&world) || lanes_order_back(&world))
			;
		frames_take(&world, slow);
		for (unsigned i = 0; i < 4 && (frames_take(&world, quick) || answer(&world, quick)); i++)
			;
		for (unsigned i = 0; i < slow->count; i++)
			cancelled |= slow->reads[i].cancelled;
		if (turn % 100 == 99 || cancelled)
			answer(&world, slow);
	}
	assert_true(cancelled);
	sink_counts(world.sink, &count);
	assert_int_equal(count.received, 400 * CHUNK);
	world_end(&world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_listing_that_differs),
		cmocka_unit_test(test_a_slow_lane_is_relieved),
		cmocka_unit_test(test_lanes_that_come_and_go),
	};

	if (argc > 1) {
		run(strtoull(argv[1], NULL, 10));
		return 0;
	}
	return cmocka_run_group_tests_name("sink, lanes", tests, NULL, NULL);
}
