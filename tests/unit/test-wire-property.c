/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds for every message: random but legal ones come back field by field, and a burst of errors is seen. */
#include "wire/message.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 300, ITEMS_MAX = 40 };

static uint64_t below(uint64_t *seed, uint64_t limit)
{
	return wire_random(seed) % limit;
}

/* Numbers of every magnitude. */
static uint64_t magnitude(uint64_t *seed)
{
	return wire_random(seed) >> below(seed, 64);
}

/* Bytes of a path or a name: anything but NUL and '/'. They point into a pool that all share. */
static const char *string(uint64_t *seed, size_t min, size_t max, size_t *len)
{
	static char pool[2 * MESSAGE_PATH_MAX];

	for (size_t i = 0; pool[sizeof(pool) - 1] == '\0' && i < sizeof(pool); i++) {
		char c = (char)(1 + i % 255);
		pool[i] = c == '/' ? '_' : c;
	}
	*len = min + (below(seed, 4) == 0 ? below(seed, max - min + 1) : below(seed, 12) % (max - min + 1));
	return pool + below(seed, sizeof(pool) - *len + 1);
}

static void assert_string(const char *got, size_t got_len, const char *wanted, size_t wanted_len)
{
	assert_int_equal(got_len, wanted_len);
	assert_memory_equal(got, wanted, wanted_len);
}

/* "." and ".." cannot come out of the pool: its bytes follow one another. */
static struct entry random_entry(uint64_t *seed)
{
	struct entry entry = {
		.kind = (enum entry_kind)(ENTRY_FILE + below(seed, 6)),
		.mode = (uint16_t)below(seed, 010000),
		.size = magnitude(seed) >> 1,
		.mtime = (int64_t)magnitude(seed),
		.mtime_ns = (uint32_t)below(seed, 1000000000),
		.name = "",
		.text = "",
	};

	if (entry.kind == ENTRY_FILE)
		entry.flags = (uint8_t)below(seed, 2);
	if (entry.kind != ENTRY_UP)
		entry.name = string(seed, 2, MESSAGE_ENTRY_NAME_MAX, &entry.name_len);
	if (entry.kind == ENTRY_SYMLINK)
		entry.text = string(seed, 1, MESSAGE_PATH_MAX, &entry.text_len);
	if (entry.kind == ENTRY_SPECIAL || entry.kind == ENTRY_UNREADABLE)
		entry.text = string(seed, 0, MESSAGE_TEXT_MAX, &entry.text_len);
	return entry;
}

static void test_runs_of_entries(void **state)
{
	struct entry entries[ITEMS_MAX];
	uint64_t seed = 10;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t count = 1 + below(&seed, ITEMS_MAX), at = 0;
		struct buf run = { 0 };
		for (size_t i = 0; i < count; i++) {
			size_t before = run.len;
			entries[i] = random_entry(&seed);
			assert_int_equal(message_entry_write(&run, &entries[i]), 0);
			assert_in_range(run.len - before, 25, MESSAGE_ENTRY_MAX);
		}
		for (size_t i = 0; i < count; i++) {
			struct entry read;
			assert_int_equal(message_entry_read(run.data, run.len, &at, &read, NULL), 0);
			assert_int_equal(read.kind, entries[i].kind);
			assert_int_equal(read.flags, entries[i].flags);
			assert_int_equal(read.mode, entries[i].mode);
			assert_true(read.size == entries[i].size && read.mtime == entries[i].mtime);
			assert_int_equal(read.mtime_ns, entries[i].mtime_ns);
			assert_string(read.name, read.name_len, entries[i].name, entries[i].name_len);
			assert_string(read.text, read.text_len, entries[i].text, entries[i].text_len);
		}
		assert_int_equal(at, run.len);
		buf_free(&run);
	}
}

static void test_reads(void **state)
{
	struct message_read items[ITEMS_MAX];
	uint64_t seed = 11;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint16_t count = (uint16_t)(1 + below(&seed, ITEMS_MAX)), counted = 0, written = 0;
		struct buf frame = { 0 };
		size_t start = 0, at = 0;
		assert_int_equal(message_read_begin(&frame, &start), 0);
		/* As a requester does it: what does not fit any more goes into the next frame. */
		for (; written < count; written++) {
			struct message_read *item = &items[written];
			*item = (struct message_read){
				.first = magnitude(&seed) >> 1,
				.count = below(&seed, 2) == 0 ? MESSAGE_ALL : 1 + (magnitude(&seed) >> 2),
				.size = magnitude(&seed),
				.flags = (uint8_t)below(&seed, 2),
			};
			item->path = string(&seed, 1, MESSAGE_PATH_MAX, &item->path_len);
			if (frame.len - FRAME_HEADER + MESSAGE_READ_ITEM_HEAD + item->path_len > FRAME_CONTROL_MAX)
				break;
			assert_int_equal(message_read_item_write(&frame, item), 0);
		}
		assert_int_equal(message_read_seal(&frame, start, 1, written), 0);

		const uint8_t *body = frame.data + FRAME_HEADER;
		size_t len = frame.len - FRAME_HEADER;
		assert_int_equal(message_read_count(body, len, &at, &counted, NULL), 0);
		assert_int_equal(counted, written);
		for (unsigned i = 0; i < counted; i++) {
			struct message_read read;
			assert_int_equal(message_read_item(body, len, &at, &read, NULL), 0);
			assert_true(read.first == items[i].first && read.count == items[i].count &&
			            read.size == items[i].size);
			assert_int_equal(read.flags, items[i].flags);
			assert_string(read.path, read.path_len, items[i].path, items[i].path_len);
		}
		assert_int_equal(message_body_end(len, at, NULL), 0);
		buf_free(&frame);
	}
}

static void test_runs_of_ends(void **state)
{
	struct end ends[ITEMS_MAX];
	uint8_t digests[ITEMS_MAX][FRAME_DIGEST_MAX];
	uint64_t seed = 12;

	(void)state;
	wire_random_bytes(&seed, digests[0], sizeof(digests));
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t digest_size = (uint32_t)below(&seed, FRAME_DIGEST_MAX) + 1;
		size_t count = 1 + below(&seed, ITEMS_MAX), at = 0;
		struct buf run = { 0 };
		for (size_t i = 0; i < count; i++) {
			ends[i] = (struct end){
				.request = 1 + (uint32_t)below(&seed, UINT32_MAX),
				.status = (enum status)below(&seed, STATUS_DEAD + 1),
				.mode = (uint16_t)below(&seed, 010000),
				.flags = (uint8_t)below(&seed, 4),
				.size = magnitude(&seed) >> 1,
				.chunks = magnitude(&seed),
				.mtime = (int64_t)magnitude(&seed),
				.mtime_ns = (uint32_t)below(&seed, 1000000000),
				.digest = digests[i],
			};
			ends[i].text = string(&seed, 0, MESSAGE_TEXT_MAX, &ends[i].text_len);
			assert_int_equal(message_end_write(&run, digest_size, &ends[i]), 0);
		}
		for (size_t i = 0; i < count; i++) {
			struct end read;
			assert_int_equal(message_end_read(run.data, run.len, &at, digest_size, &read, NULL), 0);
			assert_int_equal(read.request, ends[i].request);
			assert_int_equal(read.status, ends[i].status);
			assert_int_equal(read.mode, ends[i].mode);
			assert_int_equal(read.flags, ends[i].flags);
			assert_true(read.size == ends[i].size && read.chunks == ends[i].chunks);
			assert_true(read.mtime == ends[i].mtime);
			assert_int_equal(read.mtime_ns, ends[i].mtime_ns);
			assert_string(read.text, read.text_len, ends[i].text, ends[i].text_len);
			if ((ends[i].flags & END_DIGEST) != 0)
				assert_memory_equal(read.digest, digests[i], digest_size);
			else
				assert_null(read.digest);
		}
		assert_int_equal(at, run.len);
		buf_free(&run);
	}
}

/* Whatever happens within 32 bits in a row of a body: the CRC sees it. */
static void test_bursts(void **state)
{
	uint64_t seed = 13;

	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf frame = { 0 };
		assert_int_equal(wire_examples[i].write(&frame), 0);
		size_t len = frame.len - FRAME_HEADER;
		for (unsigned round = 0; round < 2000 && len >= 5; round++) {
			uint64_t burst = (wire_random(&seed) & UINT32_MAX) | 1;
			uint8_t *at = frame.data + FRAME_HEADER + below(&seed, len - 4);
			burst <<= below(&seed, 8);
			for (unsigned turn = 0; turn < 2; turn++) { /* the second takes it back */
				for (unsigned byte = 0; byte < 5; byte++)
					at[byte] ^= (uint8_t)(burst >> 8 * byte);
				assert_int_equal(frame_control_check(frame.data, frame.data + FRAME_HEADER, len, NULL),
				                 turn == 0 ? -EBADMSG : 0);
			}
		}
		buf_free(&frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_of_entries),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_runs_of_ends),
		cmocka_unit_test(test_bursts),
	};
	return cmocka_run_group_tests_name("wire, properties", tests, NULL, NULL);
}
