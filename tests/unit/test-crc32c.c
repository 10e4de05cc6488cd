/* SPDX-License-Identifier: BSD-2-Clause */
/* The CRC against the vectors of RFC 3720, and the processor's ways to make it against the table. */
#include "base/crc32c.h"

#include "wire-frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* By each way that this processor has, and by the one that is chosen. */
enum { WAYS = CRC32C_WAYS + 1 };

static uint32_t crc_by(size_t way, uint32_t crc, const void *bytes, size_t len)
{
	if (way == CRC32C_WAYS || !crc32c_can((enum crc32c_way)way))
		return crc32c(crc, bytes, len);
	return crc32c_by((enum crc32c_way)way, crc, bytes, len);
}

static void ways_agree(uint32_t crc, const uint8_t *bytes, size_t len)
{
	uint32_t right = crc32c_by(CRC32C_TABLE, crc, bytes, len);

	for (size_t way = CRC32C_WORDS; way < WAYS; way++)
		assert_int_equal(crc_by(way, crc, bytes, len), right);
}

static void test_vectors(void **state)
{
	/* Appendix B.4, the last one an iSCSI read command; and the usual check value. */
	static const uint8_t command[48] = {
		0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
	};
	uint8_t bytes[32];

	(void)state;
	for (size_t f = 0; f < WAYS; f++) {
		assert_int_equal(crc_by(f, 0, "123456789", 9), 0xe3069283);
		assert_int_equal(crc_by(f, 0, NULL, 0), 0);
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(crc_by(f, 0, bytes, sizeof(bytes)), 0x8a9136aa);
		memset(bytes, 0xff, sizeof(bytes));
		assert_int_equal(crc_by(f, 0, bytes, sizeof(bytes)), 0x62a8ab43);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)i;
		assert_int_equal(crc_by(f, 0, bytes, sizeof(bytes)), 0x46dd794e);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(31 - i);
		assert_int_equal(crc_by(f, 0, bytes, sizeof(bytes)), 0x113fdb5c);
		assert_int_equal(crc_by(f, 0, command, sizeof(command)), 0xd9963a56);
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
		assert_int_equal(crc32c_by(CRC32C_TABLE, 0, &byte, 1), ~crc);
	}
}

static void test_ways_agree(void **state)
{
	static uint8_t bytes[1100];
	uint64_t seed = 1;

	(void)state;
	wire_random_bytes(&seed, bytes, sizeof(bytes));
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; len + from <= sizeof(bytes); len++)
			ways_agree((uint32_t)len, bytes + from, len);
}

/* Long ones are cut into lanes, or folded. */
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
				ways_agree((uint32_t)len, bytes + from, len);
}

static void test_joined(void **state)
{
	static uint8_t bytes[1500];
	uint64_t seed = 2;

	(void)state;
	wire_random_bytes(&seed, bytes, sizeof(bytes));
	for (size_t f = 0; f < WAYS; f++) {
		uint32_t whole = crc_by(f, 0, bytes, sizeof(bytes));
		for (size_t cut = 0; cut <= sizeof(bytes); cut++)
			assert_int_equal(crc_by(f, crc_by(f, 0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_steps),  cmocka_unit_test(test_ways_agree),
		cmocka_unit_test(test_long),    cmocka_unit_test(test_joined),
	};
	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
