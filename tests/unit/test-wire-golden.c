/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One example of each frame, byte by byte: the format of XFER/1 cannot change unnoticed. The bytes were made by another
 * program, from the drawings in xfer-protocol(7) alone. A line for the header, the rest is the body.
 */
#include "wire/frame.h"
#include "wire/message.h"

#include "base/text.h"

#include "wire-frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* clang-format off */
static const struct {
	const char *name; /* of the example */
	const char *hex;
} golden[] = {
	{ "HELLO",
	  "010012c4000000360000000026e8db1b"
	  "58464552000100020102030405060708b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"
	  "00100000020673686132353605637263333203756470" },
	{ "WELCOME",
	  "02004a840000005300000000d6606b75"
	  "5846455200013aa20000000000000000b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1"
	  "0000040011223344556677885e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e000001f4"
	  "00000fa0000000400673686132353603756470" },
	{ "ERROR",
	  "030008f2000000110000000097c33d99"
	  "0002000d6e6f2073756368206672616d65" },
	{ "GOAWAY",
	  "04001ba9000000040000000054ce7282"
	  "000c0000" },
	{ "PING",
	  "05007b570000003800000000dd9110bf"
	  "00000000000000070000001cbe991a1400000000000000010000000000000002"
	  "00000000000000030000000400000005000000fa000f4240" },
	{ "PONG",
	  "0600d95f0000003800000000b7eb4b67"
	  "00000000000000070000001cbe991a1400000000000000010000000000000002"
	  "00000000000000030000000400000005000000fa000f4240" },
	{ "CREDIT",
	  "070029a20000000800000000048c73a0"
	  "0000000100000000" },
	{ "CREDIT of a list",
	  "0700c9060000000800000003cf7a5347"
	  "0000000000010000" },
	{ "LIST",
	  "10004f020000001500000003e404cf8f"
	  "0001ffff000000000004000000077075622f737263" },
	{ "ENTRIES",
	  "1100eaf0000000b500000003c967fedc"
	  "020001ed0000000000000000ffffffffffffffff3b9ac9ff03737263010109ed"
	  "7fffffffffffffff000000006553f1000000000103ff0a20040001ff00000000"
	  "00000000000000000000000000000000032e2e2e00042e2e2f78050000000000"
	  "00000000000000000000000000000000000001730006736f636b657406000000"
	  "000000000000000000000000000000000000000001750000030001ed00000000"
	  "0000000080000000000000000000000000d1d2d3d4" },
	{ "ENTRIES, one",
	  "110047380000002600000003757d45b9"
	  "040001ff0000000000000000000000000000000000000000032e2e2e00042e2e"
	  "2f78d1d2d3d4" },
	{ "READ",
	  "1200f8e40000004200000004062f6d21"
	  "00020000000000000000ffffffffffffffff0000000000000005000005707562"
	  "2f61000000000000000900000000000000010000010000000000010005707562"
	  "2f62" },
	{ "HOLE",
	  "1400a0810000001000000004a18f9c96"
	  "00000000000000100000000000000400" },
	{ "ENDS",
	  "1500dab60000005d00000000135ceac8"
	  "00000004000001a40300000000000000050000000000000001000000006553f1"
	  "00075bcd15d1d2d3d40000000000050007000000000000000000000600000000"
	  "00000000000000000000000000000000000769742067726577d1d2d3d4" },
	{ "ENDS, one",
	  "1500683d0000002f00000000eb834e69"
	  "00000004000001a40300000000000000050000000000000001000000006553f1"
	  "00075bcd15d1d2d3d40000d1d2d3d4" },
	{ "CANCEL",
	  "16005c8b0000000000000004804e04a3" },
	{ "DIGEST_RUN",
	  "17000d130000000c000000055d91452f"
	  "0000000000000007d1d2d3d4" },
	{ "PUT",
	  "2000c7390000001e00000006a497b165"
	  "1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d00110373726300067075622f696e" },
	{ "PUT, nameless",
	  "200009cf0000001600000006a9218924"
	  "0000000000000000000000000000000001ff00000170" },
	{ "DONE",
	  "210002ff00000061000000060d5c0d84"
	  "0000010000000000000001000000000000000200000000000000030000000000"
	  "0000040000000000000005000001000000000000000000000000060000000000"
	  "000007000000000000000800000000000000090000000000000000d1d2d3d400"
	  "00" },
	{ "DONE, refused",
	  "210092fc0000006d00000006ecf17cee"
	  "0005000000000000000000000000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000000000000000000000000000"
	  "0000000000000000000000000000000000000000000000000000000010707562"
	  "20697320726561642d6f6e6c79" },
	{ "EVENT of a failure",
	  "2200d5c20000001e000000060ed80924"
	  "0100000f000000000000000000107372632f613a206469736b2066756c6c" },
	{ "EVENT of a file",
	  "2200b44e0000001400000006566397ea"
	  "030100000000000000000005d1d2d3d40002610a" },
	{ "JOIN",
	  "23006b2e0000002000000007b83ca51b"
	  "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0cececececececececececececececece" },
};
/* clang-format on */

static void test_control_frames(void **state)
{
	(void)state;
	assert_int_equal(sizeof(golden) / sizeof(golden[0]), wire_example_count);
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf frame = { 0 };
		assert_string_equal(wire_examples[i].name, golden[i].name);
		assert_int_equal(wire_examples[i].write(&frame), 0);
		char *hex = malloc(2 * frame.len + 1);
		assert_non_null(hex);
		assert_string_equal(text_hex(hex, frame.data, frame.len), golden[i].hex);
		free(hex);
		buf_free(&frame);
	}
}

static void test_chunk_head(void **state)
{
	static const uint8_t digest[WIRE_DIGEST_SIZE] = { 0xd1, 0xd2, 0xd3, 0xd4 };
	uint8_t frame[FRAME_HEADER + FRAME_CHUNK_HEAD + WIRE_DIGEST_SIZE];
	char hex[2 * sizeof(frame) + 1];

	(void)state;
	frame_chunk_seal(frame, &wire_limits, 4, FRAME_CHUNK_SPARSE, 0x0102, 1000, digest);
	assert_string_equal(text_hex(hex, frame, sizeof(frame)), "13010f7b000003f800000004168f695e"
	                                                         "0000000000000102000003e8d1d2d3d4");
}

static void test_file_digest(void **state)
{
	/* "xfer1:file" NUL "sha256" NUL, 1 MiB chunks, 4 GiB and a byte */
	static const char expected[] = "78666572313a66696c6500"
				       "73686132353600"
				       "00100000"
				       "0000000100000001";
	uint8_t head[MESSAGE_DIGEST_HEAD_MAX];
	char hex[2 * sizeof(head) + 1];
	size_t len = message_digest_head(head, "sha256", 1 << 20, (UINT64_C(1) << 32) + 1);

	(void)state;
	assert_string_equal(text_hex(hex, head, len), expected);
	len = message_digest_head(head, "a23456789-123456789-123456789-1", 1024, 0);
	assert_int_equal(len, MESSAGE_DIGEST_HEAD_MAX);
}

static void test_file_digest_text(void **state)
{
	uint8_t digest[FRAME_DIGEST_MAX];
	char text[MESSAGE_DIGEST_TEXT_MAX];

	(void)state;
	memset(digest, 0xfe, sizeof(digest));
	message_digest_text(text, "crc32", 1 << 20, digest, 4);
	assert_string_equal(text, "xfer1:crc32:1M:fefefefe");
	message_digest_text(text, "crc32", 1500, digest, 1);
	assert_string_equal(text, "xfer1:crc32:1500:fe");
	message_digest_text(text, "none", 1 << 20, NULL, 0);
	assert_string_equal(text, "unverified");
	message_digest_text(text, "a23456789-123456789-123456789-1", 4294967295u, digest, FRAME_DIGEST_MAX);
	assert_int_equal(strlen(text), 6 + 31 + 1 + 10 + 1 + 128);
	assert_memory_equal(text, "xfer1:a23456789-123456789-123456789-1:4294967295:fefe", 53);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_frames),
		cmocka_unit_test(test_chunk_head),
		cmocka_unit_test(test_file_digest),
		cmocka_unit_test(test_file_digest_text),
	};
	return cmocka_run_group_tests_name("wire, golden bytes", tests, NULL, NULL);
}
