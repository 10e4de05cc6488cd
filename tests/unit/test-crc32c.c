/* SPDX-License-Identifier: BSD-2-Clause */
/* The CRC against the vectors of RFC 3720, and the processor's instruction against the table. */
#include "base/crc32c.h"

#include "wire-frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t (*crc_function)(uint32_t crc, const void *bytes, size_t len);
static const crc_function both[] = { crc32c, crc32c_table };

static void test_vectors(void **state)
{
	/* Appendix B.4, the last one an iSCSI read command; and the usual check value. */
	static const uint8_t command[48] = {
		0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
	};
	uint8_t bytes[32];

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		assert_int_equal(both[f](0, "123456789", 9), 0xe3069283);
		assert_int_equal(both[f](0, NULL, 0), 0);
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(both[f](0, bytes, sizeof(bytes)), 0x8a9136aa);
		memset(bytes, 0xff, sizeof(bytes));
		assert_int_equal(both[f](0, bytes, sizeof(bytes)), 0x62a8ab43);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)i;
		assert_int_equal(both[f](0, bytes, sizeof(bytes)), 0x46dd794e);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(31 - i);
		assert_int_equal(both[f](0, bytes, sizeof(bytes)), 0x113fdb5c);
		assert_int_equal(both[f](0, command, sizeof(command)), 0xd9963a56);
	}
}

/* The table is the only thing written by hand: each bit of a byte, step by step. */
static void test_steps(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)i;
		uint32_t crc = 0xffffffff ^ byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
		assert_int_equal(crc32c_table(0, &byte, 1), ~crc);
	}
}

static void test_both_agree(void **state)
{
	uint8_t bytes[320];
	uint64_t seed = 1;

	(void)state;
	wire_random_bytes(&seed, bytes, sizeof(bytes));
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; len + from <= sizeof(bytes); len++)
			assert_int_equal(crc32c((uint32_t)len, bytes + from, len),
			                 crc32c_table((uint32_t)len, bytes + from, len));
}

/* Long ones are cut into lanes. */
static void test_long(void **state)
{
	enum { LANES = 3 * 1024 };
	static uint8_t bytes[4 * LANES + 16];
	uint64_t seed = 3;

	(void)state;
	wire_random_bytes(&seed, bytes, sizeof(bytes));
	for (size_t lanes = 1; lanes <= 4; lanes++)
		for (size_t len = lanes * LANES - 16; len < lanes * LANES + 16; len++)
			for (size_t from = 0; from + len <= sizeof(bytes) && from < 9; from++)
				assert_int_equal(crc32c((uint32_t)len, bytes + from, len),
				                 crc32c_table((uint32_t)len, bytes + from, len));
}

static void test_joined(void **state)
{
	uint8_t bytes[64];
	uint64_t seed = 2;

	(void)state;
	wire_random_bytes(&seed, bytes, sizeof(bytes));
	for (size_t f = 0; f < 2; f++) {
		uint32_t whole = both[f](0, bytes, sizeof(bytes));
		for (size_t cut = 0; cut <= sizeof(bytes); cut++)
			assert_int_equal(both[f](both[f](0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_steps),  cmocka_unit_test(test_both_agree),
		cmocka_unit_test(test_long),    cmocka_unit_test(test_joined),
	};
	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
