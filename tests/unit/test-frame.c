/* SPDX-License-Identifier: BSD-2-Clause */
/* Frame headers and chunk heads: limits, damage, nonsense. */
#include "wire/frame.h"

#include "base/crc32c.h"
#include "wire/bytes.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct frame_header header_of(enum frame_type type, uint8_t flags, uint32_t request, size_t len, int expected,
                                     const struct frame_limits *limits)
{
	uint8_t *frame = calloc(1, FRAME_HEADER + len);
	struct frame_header header = { .length = 77 };
	struct error err = { 0 };

	assert_non_null(frame);
	frame_control_seal(frame, type, flags, request, len);
	assert_int_equal(frame_header_read(frame, limits, &header, &err), expected);
	if (expected == 0) {
		assert_int_equal(header.type, type);
		assert_int_equal(header.flags, flags);
		assert_int_equal(header.length, len);
		assert_int_equal(header.request, request);
		assert_int_equal(frame_control_check(frame, frame + FRAME_HEADER, len, &err), 0);
	} else {
		assert_int_equal(header.length, 77); /* set on success only */
		assert_int_equal(err.code, expected);
		assert_int_equal(err.fault, FAULT_PEER);
		assert_true(err.text[0] != '\0');
	}
	free(frame);
	return header;
}

static bool type_is_known(unsigned type)
{
	return (type >= FRAME_HELLO && type <= FRAME_CREDIT) || (type >= FRAME_LIST && type <= FRAME_DIGEST_RUN) ||
	       (type >= FRAME_PUT && type <= FRAME_JOIN);
}

static void test_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool none = type < FRAME_CREDIT || type == FRAME_ENDS;
		bool needed = type >= FRAME_LIST && type != FRAME_ENDS;
		/* An empty body is too short for a CHUNK and none of the header's business elsewhere. */
		int shape = !type_is_known(type) || type == FRAME_CHUNK ? -EPROTO : 0;
		header_of((enum frame_type)type, 0, 0, 0, needed ? -EPROTO : shape, &wire_limits);
		header_of((enum frame_type)type, 0, 5, 0, none ? -EPROTO : shape, &wire_limits);
		header_of((enum frame_type)type, 0, UINT32_MAX, 0, none ? -EPROTO : shape, &wire_limits);
		assert_int_equal(strcmp(frame_type_name((enum frame_type)type), "unknown") != 0, type_is_known(type));
	}
	assert_string_equal(frame_type_name(FRAME_ENDS), "ENDS");
}

static void test_flags(void **state)
{
	size_t chunk = FRAME_CHUNK_HEAD + WIRE_DIGEST_SIZE + 1;

	(void)state;
	for (unsigned flags = 1; flags < 256; flags++) {
		header_of(FRAME_READ, (uint8_t)flags, 1, 0, -EPROTO, &wire_limits);
		header_of(FRAME_CHUNK, (uint8_t)flags, 1, chunk, flags == FRAME_CHUNK_SPARSE ? 0 : -EPROTO,
		          &wire_limits);
	}
}

static void test_control_limits(void **state)
{
	struct frame_limits first = { .control_max = FRAME_HELLO_MAX };

	(void)state;
	header_of(FRAME_HELLO, 0, 0, FRAME_HELLO_MAX, 0, &first);
	header_of(FRAME_HELLO, 0, 0, FRAME_HELLO_MAX + 1, -EPROTO, &first);
	header_of(FRAME_ENTRIES, 0, 1, FRAME_CONTROL_MAX, 0, &wire_limits);
	header_of(FRAME_ENTRIES, 0, 1, FRAME_CONTROL_MAX + 1, -EPROTO, &wire_limits);
}

static void test_chunk_limits(void **state)
{
	struct frame_limits first = { .control_max = FRAME_HELLO_MAX };
	struct frame_limits bare = { .control_max = FRAME_CONTROL_MAX, .chunk_size = FRAME_CHUNK_MAX_SIZE };
	size_t head = FRAME_CHUNK_HEAD + WIRE_DIGEST_SIZE;

	(void)state;
	header_of(FRAME_CHUNK, 0, 1, head + 1, -EPROTO, &first); /* before the welcome */
	header_of(FRAME_CHUNK, 0, 1, head, -EPROTO, &wire_limits);
	header_of(FRAME_CHUNK, 0, 1, head + 1, 0, &wire_limits);
	header_of(FRAME_CHUNK, 0, 1, head + FRAME_CHUNK_MIN_SIZE, 0, &wire_limits);
	header_of(FRAME_CHUNK, 0, 1, head + FRAME_CHUNK_MIN_SIZE + 1, -EPROTO, &wire_limits);
	header_of(FRAME_CHUNK, 0, 1, FRAME_CHUNK_HEAD + 1, 0, &bare); /* no digest */
	header_of(FRAME_CHUNK, 0, 1, FRAME_CHUNK_HEAD + FRAME_CHUNK_MAX_SIZE, 0, &bare);
	header_of(FRAME_CHUNK, 0, 1, FRAME_CHUNK_HEAD + FRAME_CHUNK_MAX_SIZE + 1, -EPROTO, &bare);
}

/* What a receiver does with a whole control frame: the header, then the body. */
static int receive(const uint8_t *frame, size_t len)
{
	struct frame_header header;
	int code = frame_header_read(frame, &wire_limits, &header, NULL);

	if (code < 0)
		return code;
	/* Else it would wait for bytes that do not come, or take a part for the whole. */
	assert_int_equal(header.length, len - FRAME_HEADER);
	return frame_control_check(frame, frame + FRAME_HEADER, header.length, NULL);
}

static void test_every_flipped_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf frame = { 0 };
		assert_int_equal(wire_examples[i].write(&frame), 0);
		assert_int_equal(receive(frame.data, frame.len), 0);
		for (size_t bit = 0; bit < 8 * frame.len; bit++) {
			frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(receive(frame.data, frame.len), -EBADMSG);
			frame.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(receive(frame.data, frame.len), 0);
		buf_free(&frame);
	}
}

/* Up to three flipped bits of the header's first 12 bytes, without a look at the CRC behind them. */
static void test_header_alone(void **state)
{
	uint8_t header[FRAME_HEADER];
	unsigned long passed = 0;

	(void)state;
	frame_control_seal(header, FRAME_READ, 0, 7, 0);
	for (unsigned a = 0; a < 96; a++) {
		header[a / 8] ^= (uint8_t)(1u << a % 8);
		passed += frame_header_read(header, &wire_limits, &(struct frame_header){ 0 }, NULL) != -EBADMSG;
		for (unsigned b = a + 1; b < 96; b++) {
			header[b / 8] ^= (uint8_t)(1u << b % 8);
			passed += frame_header_read(header, &wire_limits, &(struct frame_header){ 0 }, NULL) !=
			          -EBADMSG;
			for (unsigned c = b + 1; c < 96; c++) {
				header[c / 8] ^= (uint8_t)(1u << c % 8);
				passed += frame_header_read(header, &wire_limits, &(struct frame_header){ 0 }, NULL) !=
				          -EBADMSG;
				header[c / 8] ^= (uint8_t)(1u << c % 8);
			}
			header[b / 8] ^= (uint8_t)(1u << b % 8);
		}
		header[a / 8] ^= (uint8_t)(1u << a % 8);
	}
	assert_int_equal(passed, 0);
}

enum { HEAD = FRAME_HEADER + FRAME_CHUNK_HEAD + WIRE_DIGEST_SIZE };
static const uint8_t digest[WIRE_DIGEST_SIZE] = { 1, 2, 3, 4 };

static void test_chunk(void **state)
{
	uint8_t *frame = malloc(HEAD); /* the payload is not there, and not looked at */
	struct frame_chunk chunk;

	(void)state;
	assert_non_null(frame);
	assert_int_equal(frame_chunk_overhead(&wire_limits), HEAD);
	for (uint32_t length = 1; length <= FRAME_CHUNK_MIN_SIZE; length += 341) {
		frame_chunk_seal(frame, &wire_limits, 9, FRAME_CHUNK_SPARSE, UINT64_C(0x0102030405), length, digest);
		assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), 0);
		assert_int_equal(chunk.request, 9);
		assert_int_equal(chunk.flags, FRAME_CHUNK_SPARSE);
		assert_int_equal(chunk.length, length);
		assert_true(chunk.index == UINT64_C(0x0102030405));
		assert_memory_equal(chunk.digest, digest, sizeof(digest));
		assert_ptr_equal(chunk.payload, frame + HEAD);
	}
	free(frame);
}

static void test_chunk_digest_in_place(void **state)
{
	uint8_t frame[HEAD] = { 0 };
	struct frame_chunk chunk;

	(void)state;
	memcpy(frame + HEAD - WIRE_DIGEST_SIZE, digest, sizeof(digest));
	frame_chunk_seal(frame, &wire_limits, 9, 0, 0, 1, frame + HEAD - WIRE_DIGEST_SIZE);
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), 0);
	assert_memory_equal(chunk.digest, digest, sizeof(digest));
}

static void test_chunk_flipped_bits(void **state)
{
	uint8_t frame[HEAD];
	struct frame_chunk chunk;

	(void)state;
	frame_chunk_seal(frame, &wire_limits, 9, 0, 5, 1000, digest);
	for (size_t bit = 0; bit < 8 * sizeof(frame); bit++) {
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), -EBADMSG);
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), 0);
}

/* Sealed as they should be, but nonsense. */
static void test_chunk_nonsense(void **state)
{
	uint8_t frame[HEAD];
	struct frame_chunk chunk = { .length = 77 };
	struct error err = { 0 };

	(void)state;
	/* Body and payload length do not fit: the one is made longer and sealed again. */
	frame_chunk_seal(frame, &wire_limits, 9, 0, 5, 1000, digest);
	store_u32(frame + FRAME_HEADER + 8, 1001);
	store_u32(frame + 12, crc32c(crc32c(0, frame, 12), frame + FRAME_HEADER, HEAD - FRAME_HEADER));
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, &err), -EPROTO);
	assert_non_null(strstr(err.text, "1001"));

	/* The first index of which the end is beyond every file, and the last before. */
	uint64_t beyond = (uint64_t)INT64_MAX / FRAME_CHUNK_MIN_SIZE;
	frame_chunk_seal(frame, &wire_limits, 9, 0, beyond, 1, digest);
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), -EPROTO);
	frame_chunk_seal(frame, &wire_limits, 9, 0, UINT64_MAX, 1, digest);
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), -EPROTO);
	assert_int_equal(chunk.length, 77);
	frame_chunk_seal(frame, &wire_limits, 9, 0, beyond - 1, 1, digest);
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), 0);

	/* Another frame in its place. */
	frame_control_seal(frame, FRAME_PING, 0, 0, HEAD - FRAME_HEADER);
	assert_int_equal(frame_chunk_read(frame, &wire_limits, &chunk, NULL), -EPROTO);
}

/* Whatever is accepted is within the limits: random bytes, control frames and chunk heads that are sealed as they should. */
static void test_random(void **state)
{
	uint8_t *frame = malloc(HEAD);
	uint64_t seed = 3;
	unsigned accepted = 0;

	(void)state;
	assert_non_null(frame);
	for (int i = 0; i < 30000; i++) {
		struct frame_header header;
		struct frame_chunk chunk;
		wire_random_bytes(&seed, frame, HEAD);
		if (i % 3 == 1)
			frame_control_seal(frame, (enum frame_type)(frame[0] & 31), frame[1] & 1, load_u32(frame + 8),
			                   HEAD - FRAME_HEADER);
		else if (i % 3 == 2)
			frame_chunk_seal(frame, &wire_limits, load_u32(frame), frame[4] & 1,
			                 load_u64(frame + 8) >> (frame[5] & 31), load_u32(frame + 16) & 0x7ff, digest);
		if (frame_header_read(frame, &wire_limits, &header, NULL) == 0)
			assert_true(type_is_known(header.type));
		if (frame_chunk_read(frame, &wire_limits, &chunk, NULL) == 0) {
			accepted++;
			assert_int_not_equal(chunk.request, 0);
			assert_in_range(chunk.length, 1, FRAME_CHUNK_MIN_SIZE);
			assert_true(chunk.index <= (uint64_t)INT64_MAX / FRAME_CHUNK_MIN_SIZE - 1);
		}
	}
	assert_true(accepted > 100);
	free(frame);
}

/* What a stream may be that is none of ours; a beginning of ours is never taken for one of them. */
static void test_foreign(void **state)
{
	(void)state;
	static const uint8_t alert[] = { 0x15, 3, 3, 0, 2, 2, 10 }, hello[] = { 0x16, 3, 1, 2, 0 };
	static const uint8_t other[] = { 0x16, 2, 0 }, late[] = { 0x17, 3, 3, 0, 9 };
	assert_string_equal(frame_foreign(alert, sizeof(alert)), "TLS");
	assert_string_equal(frame_foreign(hello, sizeof(hello)), "TLS");
	assert_null(frame_foreign(hello, 2));
	assert_null(frame_foreign(other, sizeof(other)));
	assert_null(frame_foreign(late, sizeof(late)));
	assert_string_equal(frame_foreign((const uint8_t *)"HTTP/1.1 400", 12), "HTTP");
	assert_string_equal(frame_foreign((const uint8_t *)"GET / HTTP/1.1", 14), "HTTP");
	assert_string_equal(frame_foreign((const uint8_t *)"SSH-2.0-", 8), "SSH");
	assert_null(frame_foreign((const uint8_t *)"SSH", 3));
	assert_null(frame_foreign(NULL, 0));
	for (unsigned type = 0; type < 256; type++) {
		uint8_t frame[FRAME_HEADER];
		frame_control_seal(frame, (enum frame_type)type, 0, 0, 0);
		const char *name = frame_foreign(frame, sizeof(frame));
		if (strcmp(frame_type_name((enum frame_type)type), "unknown") != 0)
			assert_null(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_control_limits),
		cmocka_unit_test(test_chunk_limits),
		cmocka_unit_test(test_every_flipped_bit),
		cmocka_unit_test(test_header_alone),
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_chunk_digest_in_place),
		cmocka_unit_test(test_chunk_flipped_bits),
		cmocka_unit_test(test_chunk_nonsense),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
