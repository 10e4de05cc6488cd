/* SPDX-License-Identifier: BSD-2-Clause */
/* Every message: there and back, cut short, with too much behind it; and the rules of those that are not made of items. */
#include "wire/message.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf example_frame(size_t i)
{
	struct buf frame = { 0 };

	assert_int_equal(wire_examples[i].write(&frame), 0);
	assert_true(frame.len >= FRAME_HEADER);
	return frame;
}

/* Reads a body of exactly `len` bytes, so that a sanitizer sees every byte that is read beyond it. */
static int recode(const struct wire_example *example, const uint8_t *body, size_t len, struct buf *out,
                  struct error *err)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	assert_non_null(exact);
	if (len > 0)
		memcpy(exact, body, len);
	int code = wire_recode(example->type, example->request, exact, len, WIRE_DIGEST_SIZE, out, NULL, err);
	free(exact);
	return code;
}

static void test_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf frame = example_frame(i);
		struct buf again = { 0 };
		struct frame_header header;
		assert_int_equal(frame_header_read(frame.data, &wire_limits, &header, NULL), 0);
		assert_int_equal(header.type, wire_examples[i].type);
		assert_int_equal(header.request, wire_examples[i].request);
		assert_int_equal(header.length, frame.len - FRAME_HEADER);
		assert_int_equal(recode(&wire_examples[i], frame.data + FRAME_HEADER, header.length, &again, NULL), 0);
		assert_int_equal(again.len, frame.len);
		assert_memory_equal(again.data, frame.data, frame.len);
		buf_free(&again);
		buf_free(&frame);
	}
}

/* Runs of several items may be cut between two of them as far as the reader knows: their digest is what tells. */
static bool is_run(const struct wire_example *example)
{
	return strcmp(example->name, "ENTRIES") == 0 || strcmp(example->name, "ENDS") == 0;
}

static void test_every_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf frame = example_frame(i);
		for (size_t len = 0; len < frame.len - FRAME_HEADER && !is_run(&wire_examples[i]); len++) {
			struct buf again = { 0 };
			struct error err = { 0 };
			if (recode(&wire_examples[i], frame.data + FRAME_HEADER, len, &again, &err) != -EPROTO)
				fail_msg("%s cut to %zu bytes", wire_examples[i].name, len);
			assert_int_equal(err.fault, FAULT_PEER);
			buf_free(&again);
		}
		buf_free(&frame);
	}
}

static void test_trailing_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		for (unsigned byte = 0; byte < 256; byte += 255) {
			struct buf frame = example_frame(i);
			struct buf again = { 0 };
			uint8_t last = (uint8_t)byte;
			assert_int_equal(buf_append(&frame, &last, 1), 0);
			if (recode(&wire_examples[i], frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &again,
			           NULL) != -EPROTO)
				fail_msg("%s with %u behind it", wire_examples[i].name, byte);
			buf_free(&again);
			buf_free(&frame);
		}
	}
}

/* Frames are appended: what stands in the buffer already stays. */
static void test_appends(void **state)
{
	struct buf all = { 0 };
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < wire_example_count; i++)
		assert_int_equal(wire_examples[i].write(&all), 0);
	for (size_t i = 0; i < wire_example_count; i++) {
		struct buf one = example_frame(i);
		assert_true(all.len - at >= one.len);
		assert_memory_equal(all.data + at, one.data, one.len);
		at += one.len;
		buf_free(&one);
	}
	assert_int_equal(at, all.len);
	buf_free(&all);
}

/*
 * Random and damaged bodies of every type: nothing is read beyond them (a sanitizer tells), and what was accepted can
 * be written, and says the same when it is read again.
 */
static void test_random(void **state)
{
	uint64_t seed = 4;
	unsigned accepted = 0;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		for (size_t i = 0; i < wire_example_count; i++) {
			const struct wire_example *example = &wire_examples[i];
			struct buf frame = example_frame(i), first = { 0 }, second = { 0 };
			uint8_t *body = frame.data + FRAME_HEADER;
			size_t len = frame.len - FRAME_HEADER;
			if (round % 4 == 0)
				wire_random_bytes(&seed, body, len);
			for (unsigned n = round % 4; n > 0 && len > 0; n--)
				wire_random_bytes(&seed, body + wire_random(&seed) % len, 1);
			if (round % 8 > 5)
				len -= wire_random(&seed) % (len + 1);
			if (recode(example, body, len, &first, NULL) == 0 && first.len > 0) {
				accepted++;
				assert_int_equal(recode(example, first.data + FRAME_HEADER, first.len - FRAME_HEADER,
				                        &second, NULL),
				                 0);
				assert_int_equal(second.len, first.len);
				assert_memory_equal(second.data, first.data, first.len);
			}
			buf_free(&second);
			buf_free(&first);
			buf_free(&frame);
		}
	}
	assert_true(accepted > 1000);
}

/* ---- HELLO and WELCOME ---- */

enum { HELLO = 0, WELCOME = 1 }; /* in wire_examples */

static int change_and_read(size_t example, size_t at, const char *bytes, size_t len, void *out)
{
	struct buf frame = example_frame(example);
	struct error err = { 0 };
	int code;

	memcpy(frame.data + FRAME_HEADER + at, bytes, len);
	if (example == HELLO)
		code = message_hello_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, out, &err);
	else
		code = message_welcome_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, out, &err);
	buf_free(&frame);
	return code;
}

static void test_hello_fields(void **state)
{
	struct message_hello hello;

	(void)state;
	assert_int_equal(change_and_read(HELLO, 0, "", 0, &hello), 0);
	assert_int_equal(hello.version_min, 1);
	assert_int_equal(hello.version_max, 2);
	assert_true(hello.features == UINT64_C(0x0102030405060708));
	assert_int_equal(hello.boot_id[0], 0xb0);
	assert_int_equal(hello.boot_id[MESSAGE_BOOT_ID - 1], 0xb0);
	assert_int_equal(hello.chunk_size, 1 << 20);
	assert_int_equal(hello.integrity_count, 2);
	assert_string_equal(hello.integrity[0], "sha256");
	assert_string_equal(hello.integrity[1], "crc32");
	assert_string_equal(hello.liveness, "udp");
}

static void test_hello_refused(void **state)
{
	struct message_hello hello = { .chunk_size = 77 };

	(void)state;
	assert_int_equal(change_and_read(HELLO, 0, "x", 1, &hello), -EPROTO);           /* magic */
	assert_int_equal(change_and_read(HELLO, 4, "\0\3\0\2", 4, &hello), -EPROTO);    /* versions 3 to 2 */
	assert_int_equal(change_and_read(HELLO, 32, "\0\0\3\xff", 4, &hello), -EPROTO); /* chunk size 1023 */
	assert_int_equal(change_and_read(HELLO, 32, "\1\0\0\1", 4, &hello), -EPROTO);   /* 16 MiB + 1 */
	assert_int_equal(change_and_read(HELLO, 36, "\0", 1, &hello), -EPROTO);         /* offers nothing */
	assert_int_equal(change_and_read(HELLO, 36, "\x11", 1, &hello), -EPROTO);       /* offers 17 */
	assert_int_equal(change_and_read(HELLO, 37, "\0", 1, &hello), -EPROTO);         /* a name of nothing */
	assert_int_equal(change_and_read(HELLO, 38, "S", 1, &hello), -EPROTO);          /* "Sha256" */
	assert_int_equal(change_and_read(HELLO, 38, "../", 3, &hello), -EPROTO);        /* "../256" */
	assert_int_equal(hello.chunk_size, 77);
	assert_int_equal(change_and_read(HELLO, 32, "\0\0\4\0", 4, &hello), 0); /* 1 KiB */
	assert_int_equal(hello.chunk_size, FRAME_CHUNK_MIN_SIZE);
	assert_int_equal(change_and_read(HELLO, 32, "\1\0\0\0", 4, &hello), 0); /* 16 MiB */
}

/* Bodies that fit in every other way: names of `len` bytes, `count` of them. */
static int hello_of(uint8_t count, uint8_t len)
{
	static const uint8_t head[36] = { 'X', 'F', 'E', 'R', 0, 1, 0, 1, [32] = 0, 0, 4, 0 };
	struct message_hello hello;
	struct buf body = { 0 };

	assert_int_equal(buf_append(&body, head, sizeof(head)), 0);
	assert_int_equal(buf_append(&body, &count, 1), 0);
	for (unsigned i = 0; i < count + 1u; i++) { /* the last one is the liveness */
		static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789";
		assert_int_equal(buf_append(&body, &len, 1), 0);
		assert_int_equal(buf_append(&body, name, len), 0);
	}
	int code = message_hello_read(body.data, body.len, &hello, NULL);
	buf_free(&body);
	return code;
}

static void test_hello_names(void **state)
{
	(void)state;
	assert_int_equal(hello_of(1, 1), 0);
	assert_int_equal(hello_of(MESSAGE_INTEGRITIES_MAX, MESSAGE_NAME_MAX), 0);
	assert_int_equal(hello_of(0, 1), -EPROTO);
	assert_int_equal(hello_of(MESSAGE_INTEGRITIES_MAX + 1, 1), -EPROTO);
	assert_int_equal(hello_of(1, 0), -EPROTO);
	assert_int_equal(hello_of(1, MESSAGE_NAME_MAX + 1), -EPROTO);
}

/* A program that speaks only later versions has to hear that, not that it is broken. */
static void test_hello_of_another_version(void **state)
{
	static const char later[] = "XFER\0\2\0\5 something else";
	static const char earlier[] = "XFER\0\0\0\0 something else";
	struct message_hello hello = { .chunk_size = 77 };

	(void)state;
	assert_int_equal(message_hello_read((const uint8_t *)later, sizeof(later), &hello, NULL), 0);
	assert_int_equal(hello.version_min, 2);
	assert_int_equal(hello.version_max, 5);
	assert_int_equal(hello.chunk_size, 0);
	assert_int_equal(hello.integrity_count, 0);
	assert_int_equal(message_hello_read((const uint8_t *)earlier, sizeof(earlier), &hello, NULL), 0);
	assert_int_equal(hello.version_max, 0);
}

static void test_hello_largest(void **state)
{
	struct message_hello hello = { .version_min = 1, .version_max = 1, .chunk_size = 1024, .integrity_count = 16 };
	struct message_hello read;
	struct buf frame = { 0 };

	(void)state;
	for (size_t i = 0; i < MESSAGE_INTEGRITIES_MAX; i++)
		memset(hello.integrity[i], 'a' + (int)i, MESSAGE_NAME_MAX);
	memset(hello.liveness, 'z', MESSAGE_NAME_MAX);
	assert_int_equal(message_hello_write(&frame, &hello), 0);
	assert_int_equal(message_hello_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), 0);
	assert_memory_equal(&read, &hello, sizeof(hello));

	/* And what must not be written: the buffer stays as it was. */
	size_t len = frame.len;
	hello.integrity_count = MESSAGE_INTEGRITIES_MAX + 1;
	assert_int_equal(message_hello_write(&frame, &hello), -EINVAL);
	hello.integrity_count = 0;
	assert_int_equal(message_hello_write(&frame, &hello), -EINVAL);
	hello.integrity_count = 1;
	hello.integrity[0][3] = '_';
	assert_int_equal(message_hello_write(&frame, &hello), -EINVAL);
	assert_int_equal(frame.len, len);
	buf_free(&frame);
}

static void test_options_are_skipped(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int code;
	} options[] = {
		{ "\0\2\0\0", 4, 0 },       { "\0\2\0\3abc\xff\xff\0\1z", 12, 0 },
		{ "\0", 1, -EPROTO },       { "\0\2\0", 3, -EPROTO },
		{ "\0\2\0\1", 4, -EPROTO }, { "\0\2\0\0\0\1\xff\xff", 8, -EPROTO },
	};

	(void)state;
	for (size_t example = HELLO; example <= WELCOME; example++) {
		for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			struct buf frame = example_frame(example), again = { 0 };
			assert_int_equal(buf_append(&frame, options[i].bytes, options[i].len), 0);
			assert_int_equal(recode(&wire_examples[example], frame.data + FRAME_HEADER,
			                        frame.len - FRAME_HEADER, &again, NULL),
			                 options[i].code);
			buf_free(&again);
			buf_free(&frame);
		}
	}
}

/* The worker that was lost, among options that nobody knows. */
static void test_option_lost(void **state)
{
	struct message_hello hello = { .version_min = 1, .version_max = 1, .chunk_size = 1024, .integrity_count = 1 };
	struct message_hello read;
	struct buf frame = { 0 };

	(void)state;
	strcpy(hello.integrity[0], "sha256");
	strcpy(hello.liveness, "none");
	assert_int_equal(message_hello_write(&frame, &hello), 0);
	assert_int_equal(message_hello_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), 0);
	assert_false(read.has_lost);
	buf_free(&frame);

	hello.has_lost = true;
	memset(hello.lost, 0xb1, sizeof(hello.lost));
	assert_int_equal(message_hello_write(&frame, &hello), 0);
	assert_int_equal(buf_append(&frame, "\0\7\0\1z", 5), 0);
	assert_int_equal(message_hello_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), 0);
	assert_memory_equal(&read, &hello, sizeof(hello));
	buf_free(&frame);

	/* Of another length it is nobody's id. */
	frame = example_frame(HELLO);
	assert_int_equal(buf_append(&frame, "\0\1\0\3abc", 7), 0);
	assert_int_equal(message_hello_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), -EPROTO);
	buf_free(&frame);
}

static void test_option_died(void **state)
{
	struct message_welcome welcome, read;
	struct buf frame = { 0 };
	char text[MESSAGE_DIED_MAX + 2];

	(void)state;
	assert_int_equal(change_and_read(WELCOME, 0, "", 0, &welcome), 0);
	assert_null(welcome.died);
	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len <= MESSAGE_DIED_MAX + 1; len += len == 0 ? 1 : len == 1 ? MESSAGE_DIED_MAX - 1 : 1) {
		welcome.died = text;
		welcome.died_len = len;
		assert_int_equal(message_welcome_write(&frame, &welcome), 0);
		assert_int_equal(message_welcome_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL),
		                 0);
		assert_non_null(read.died);
		assert_int_equal(read.died_len, len < MESSAGE_DIED_MAX ? len : MESSAGE_DIED_MAX);
		assert_memory_equal(read.died, text, read.died_len);
		buf_free(&frame);
	}
	/* Whoever sends more breaks the protocol. */
	welcome.died = NULL;
	assert_int_equal(message_welcome_write(&frame, &welcome), 0);
	assert_int_equal(buf_append(&frame, "\0\1\1\x2d", 4), 0);
	assert_int_equal(buf_append(&frame, text, MESSAGE_DIED_MAX + 1), 0);
	assert_int_equal(message_welcome_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL),
	                 -EPROTO);
	buf_free(&frame);
}

static void test_welcome_fields(void **state)
{
	struct message_welcome welcome;

	(void)state;
	assert_int_equal(change_and_read(WELCOME, 0, "", 0, &welcome), 0);
	assert_int_equal(welcome.version, 1);
	assert_int_equal(welcome.heartbeat_port, 15010);
	assert_true(welcome.features == 0);
	assert_int_equal(welcome.boot_id[7], 0xb1);
	assert_int_equal(welcome.chunk_size, 1024);
	assert_true(welcome.slot == UINT64_C(0x1122334455667788));
	assert_int_equal(welcome.key[15], 0x5e);
	assert_int_equal(welcome.interval_ms, 500);
	assert_int_equal(welcome.dead_after_ms, 4000);
	assert_int_equal(welcome.requests_max, 64);
	assert_string_equal(welcome.integrity, "sha256");
	assert_string_equal(welcome.liveness, "udp");
}

static void test_welcome_refused(void **state)
{
	struct message_welcome welcome = { .version = 77 };

	(void)state;
	assert_int_equal(change_and_read(WELCOME, 3, "S", 1, &welcome), -EPROTO);           /* magic */
	assert_int_equal(change_and_read(WELCOME, 4, "\0\2", 2, &welcome), -EPROTO);        /* version */
	assert_int_equal(change_and_read(WELCOME, 32, "\0\0\3\xff", 4, &welcome), -EPROTO); /* chunk size 1023 */
	assert_int_equal(change_and_read(WELCOME, 60, "\0\0\0\0", 4, &welcome), -EPROTO);   /* interval 0 */
	assert_int_equal(change_and_read(WELCOME, 64, "\0\0\1\xf3", 4, &welcome), -EPROTO); /* dead after 499 ms */
	assert_int_equal(change_and_read(WELCOME, 68, "\0\0\0\0", 4, &welcome), -EPROTO);   /* no requests */
	assert_int_equal(change_and_read(WELCOME, 73, " ", 1, &welcome), -EPROTO);          /* integrity " ha256" */
	assert_int_equal(change_and_read(WELCOME, 80, "UDP", 3, &welcome), -EPROTO);        /* liveness */
	assert_int_equal(welcome.version, 77);
	assert_int_equal(change_and_read(WELCOME, 64, "\0\0\1\xf4", 4, &welcome), 0); /* dead after 500 ms */
}

/* ---- the small ones ---- */

static void test_notice_text_is_cut(void **state)
{
	char text[MESSAGE_TEXT_MAX + 8];
	struct message_notice notice;
	struct buf frame = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	text[MESSAGE_TEXT_MAX] = '\0';
	assert_int_equal(message_notice_write(&frame, FRAME_ERROR, STATUS_IO, text), 0);
	assert_int_equal(message_notice_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &notice, NULL), 0);
	assert_int_equal(notice.status, STATUS_IO);
	assert_int_equal(notice.text_len, MESSAGE_TEXT_MAX);
	assert_memory_equal(notice.text, text, MESSAGE_TEXT_MAX);
	buf_clear(&frame);

	/* A character of three bytes over the edge: it goes as a whole. */
	memset(text, 'x', sizeof(text));
	memcpy(text + MESSAGE_TEXT_MAX - 2, "\xe2\x82\xac", 3);
	text[MESSAGE_TEXT_MAX + 1] = '\0';
	assert_int_equal(message_notice_write(&frame, FRAME_ERROR, STATUS_IO, text), 0);
	assert_int_equal(message_notice_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &notice, NULL), 0);
	assert_int_equal(notice.text_len, MESSAGE_TEXT_MAX - 2);
	buf_clear(&frame);

	/* Bytes that are no UTF-8 are cut where it has to be. */
	memset(text, 0x80, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(message_notice_write(&frame, FRAME_ERROR, STATUS_IO, text), 0);
	assert_int_equal(message_notice_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &notice, NULL), 0);
	assert_int_equal(notice.text_len, MESSAGE_TEXT_MAX);
	buf_free(&frame);
}

static void test_notice_text_too_long(void **state)
{
	uint8_t body[4 + MESSAGE_TEXT_MAX + 1] = { 0, STATUS_IO, 2, 1 };
	struct message_notice notice;

	(void)state;
	assert_int_equal(message_notice_read(body, sizeof(body), &notice, NULL), -EPROTO);
	body[3] = 0;
	assert_int_equal(message_notice_read(body, sizeof(body) - 1, &notice, NULL), 0);
}

static void test_statuses(void **state)
{
	struct message_notice notice;

	(void)state;
	for (unsigned number = 0; number <= UINT16_MAX; number++) {
		uint8_t body[4] = { (uint8_t)(number >> 8), (uint8_t)number, 0, 0 };
		enum status expected = number <= STATUS_STALLED ? (enum status)number : STATUS_FAILED;
		assert_int_equal(message_notice_read(body, sizeof(body), &notice, NULL), 0);
		assert_int_equal(notice.status, expected);
		assert_string_equal(status_name((enum status)number), status_name(expected));
		assert_int_equal(status_fault((enum status)number), status_fault(expected));
		assert_int_equal(status_fault((enum status)number) == FAULT_NONE, number == STATUS_OK);
	}
	assert_string_equal(status_name(STATUS_NOT_FOUND), "not-found");
	assert_int_equal(status_fault(STATUS_CHANGED), FAULT_CHANGED);
	assert_int_equal(status_fault(STATUS_INTEGRITY), FAULT_INTEGRITY);
	assert_int_equal(status_fault(STATUS_REFUSED), FAULT_REFUSED);
	assert_int_equal(status_fault(STATUS_NOT_FOUND), FAULT_REFUSED);
}

static void test_list(void **state)
{
	char path[MESSAGE_PATH_MAX + 1];
	struct message_list list = { .depth = 1, .credit = UINT64_MAX, .path = path };
	struct message_list read;
	struct buf frame = { 0 };

	(void)state;
	memset(path, 'p', sizeof(path));
	for (size_t len = 0; len <= MESSAGE_PATH_MAX; len += MESSAGE_PATH_MAX) { /* "" lists the exports */
		list.path_len = len;
		assert_int_equal(message_list_write(&frame, 1, &list), 0);
		assert_int_equal(message_list_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL),
		                 0);
		assert_int_equal(read.path_len, len);
		assert_memory_equal(read.path, path, len);
		assert_true(read.credit == UINT64_MAX);
		assert_int_equal(read.depth, 1);
		frame.data[FRAME_HEADER] = 0x80; /* an unknown flag */
		assert_int_equal(message_list_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL),
		                 -EPROTO);
		frame.data[FRAME_HEADER] = 0;
		if (len > 0) {
			frame.data[frame.len - 1] = '\0';
			assert_int_equal(message_list_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read,
			                                   NULL),
			                 -EPROTO);
		}
		buf_clear(&frame);
	}
	list.path_len = sizeof(path);
	assert_int_equal(message_list_write(&frame, 1, &list), -EMSGSIZE);
	list.path_len = 3;
	path[1] = '\0';
	assert_int_equal(message_list_write(&frame, 1, &list), -EINVAL);
	assert_int_equal(frame.len, 0);
	buf_free(&frame);
}

static void test_body_too_long(void **state)
{
	static const uint8_t bytes[FRAME_CONTROL_MAX];
	struct buf frame = { 0 };
	size_t start = 0;

	(void)state;
	assert_int_equal(message_credit_write(&frame, 0, 1), 0); /* something in front */
	assert_int_equal(message_body_begin(&frame, &start), 0);
	assert_int_equal(start, FRAME_HEADER + 8);
	assert_int_equal(buf_append(&frame, bytes, sizeof(bytes)), 0);
	assert_int_equal(message_body_seal(&frame, start, FRAME_ENTRIES, 1), 0);
	assert_int_equal(buf_append(&frame, bytes, 1), 0);
	assert_int_equal(message_body_seal(&frame, start, FRAME_ENTRIES, 1), -EMSGSIZE);
	buf_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_trailing_byte),
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_hello_fields),
		cmocka_unit_test(test_hello_refused),
		cmocka_unit_test(test_hello_names),
		cmocka_unit_test(test_hello_of_another_version),
		cmocka_unit_test(test_hello_largest),
		cmocka_unit_test(test_options_are_skipped),
		cmocka_unit_test(test_option_lost),
		cmocka_unit_test(test_option_died),
		cmocka_unit_test(test_welcome_fields),
		cmocka_unit_test(test_welcome_refused),
		cmocka_unit_test(test_notice_text_is_cut),
		cmocka_unit_test(test_notice_text_too_long),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_body_too_long),
	};
	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
