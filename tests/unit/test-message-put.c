/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of PUT, EVENT and DONE. */
#include "wire/message.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Places in the bodies. */
enum { PUT_FLAGS = 16, PUT_NAME = 18, EVENT_KIND = 0, EVENT_FLAGS = 1, EVENT_SIZE = 4, DONE_FLAGS = 2 };

static struct message_put put_named(const char *name, size_t len)
{
	return (struct message_put){ .name = name, .name_len = len, .path = "pub/in", .path_len = 6 };
}

static int put_write(const struct message_put *put)
{
	struct buf frame = { 0 };
	int code = message_put_write(&frame, 6, put);

	if (code < 0)
		assert_int_equal(frame.len, 0);
	buf_free(&frame);
	return code;
}

static void test_put_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		int code;
	} names[] = {
		{ "", 0, 0 },         { "a", 1, 0 },          { "...", 3, 0 },       { "\xff\n", 2, 0 },
		{ ".", 1, -EINVAL },  { "..", 2, -EINVAL },   { "a/b", 3, -EINVAL }, { "/", 1, -EINVAL },
		{ "a/", 2, -EINVAL }, { "a\0b", 3, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct message_put put = put_named(names[i].name, names[i].len), read;
		struct buf frame = { 0 };
		assert_int_equal(put_write(&put), names[i].code);

		/* The same from a peer that writes what it likes. */
		put = put_named("xxx", names[i].len);
		assert_int_equal(message_put_write(&frame, 6, &put), 0);
		memcpy(frame.data + FRAME_HEADER + PUT_NAME + 1, names[i].name, names[i].len);
		assert_int_equal(message_put_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL),
		                 names[i].code == 0 ? 0 : -EPROTO);
		buf_free(&frame);
	}
}

static void test_put_bounds(void **state)
{
	char long_path[MESSAGE_PATH_MAX + 1], long_name[MESSAGE_ENTRY_NAME_MAX + 1];
	struct message_put put = put_named("a", 1), read;
	struct buf frame = { 0 };

	(void)state;
	memset(long_path, 'p', sizeof(long_path));
	memset(long_name, 'n', sizeof(long_name));
	put.path_len = 0;
	assert_int_equal(put_write(&put), -EINVAL);
	put = (struct message_put){ .name = "", .path = "a\0b", .path_len = 3 };
	assert_int_equal(put_write(&put), -EINVAL);
	put = (struct message_put){ .name = long_name, .path = long_path, .path_len = MESSAGE_PATH_MAX };
	put.name_len = MESSAGE_ENTRY_NAME_MAX;
	assert_int_equal(put_write(&put), 0);
	put.name_len++;
	assert_int_equal(put_write(&put), -EMSGSIZE);
	put.name_len--;
	put.path_len++;
	assert_int_equal(put_write(&put), -EMSGSIZE);

	put = put_named("a", 1);
	put.flags = MESSAGE_PUT_FLAGS;
	memset(put.id, 0x5a, sizeof(put.id));
	assert_int_equal(message_put_write(&frame, 6, &put), 0);
	assert_int_equal(message_put_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), 0);
	assert_int_equal(read.flags, MESSAGE_PUT_FLAGS);
	assert_memory_equal(read.id, put.id, sizeof(read.id));
	assert_int_equal(read.name_len, 1);
	assert_memory_equal(read.path, "pub/in", 6);
	frame.data[FRAME_HEADER + PUT_FLAGS] = 0x80;
	assert_int_equal(message_put_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, &read, NULL), -EPROTO);
	buf_free(&frame);
	put.flags = MESSAGE_PUT_FLAGS + 1;
	assert_int_equal(put_write(&put), -EINVAL);
}

static int event_read(struct buf *frame, uint32_t digest_size, struct message_event *out)
{
	return message_event_read(frame->data + FRAME_HEADER, frame->len - FRAME_HEADER, digest_size, out, NULL);
}

static void test_events(void **state)
{
	static const uint8_t digest[WIRE_DIGEST_SIZE] = { 1, 2, 3, 4 };
	struct message_event event = { .kind = EVENT_FILE, .flags = EVENT_DIGEST, .digest = digest, .text = "a\nb" };
	struct message_event read;
	struct buf frame = { 0 };
	char text[MESSAGE_PATH_MAX + 1];

	(void)state;
	event.text_len = 3;
	event.size = INT64_MAX;
	assert_int_equal(message_event_write(&frame, 6, WIRE_DIGEST_SIZE, &event), 0);
	assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE, &read), 0);
	assert_int_equal(read.kind, EVENT_FILE);
	assert_int_equal(read.size, INT64_MAX);
	assert_memory_equal(read.digest, digest, sizeof(digest));
	assert_int_equal(read.text_len, 3);
	assert_memory_equal(read.text, "a\nb", 3);
	/* Another digest size: the fields do not fit any more, or a digest belongs nowhere. */
	assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE + 1, &read), -EPROTO);
	assert_int_equal(event_read(&frame, 0, &read), -EPROTO);
	/* Fields out of their range. */
	frame.data[FRAME_HEADER + EVENT_SIZE] = 0x80;
	assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE, &read), -EPROTO);
	frame.data[FRAME_HEADER + EVENT_SIZE] = 0;
	for (unsigned kind = 0; kind < 256; kind++) {
		frame.data[FRAME_HEADER + EVENT_KIND] = (uint8_t)kind;
		assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE, &read), kind == EVENT_FILE ? 0 : -EPROTO);
	}
	frame.data[FRAME_HEADER + EVENT_KIND] = EVENT_FILE;
	frame.data[FRAME_HEADER + EVENT_FLAGS] |= 2;
	assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE, &read), -EPROTO);
	buf_free(&frame);

	/* Without digests the flag is left out; a digest that is promised has to be there. */
	assert_int_equal(message_event_write(&frame, 6, 0, &event), 0);
	assert_int_equal(event_read(&frame, 0, &read), 0);
	assert_int_equal(read.flags, 0);
	assert_null(read.digest);
	buf_free(&frame);
	event.digest = NULL;
	assert_int_equal(message_event_write(&frame, 6, WIRE_DIGEST_SIZE, &event), -EINVAL);

	/* A path is never cut, a text for people is. */
	memset(text, 'x', sizeof(text));
	event = (struct message_event){ .kind = EVENT_FILE, .text = text, .text_len = MESSAGE_PATH_MAX + 1 };
	assert_int_equal(message_event_write(&frame, 6, WIRE_DIGEST_SIZE, &event), -EMSGSIZE);
	text[7] = '\0';
	event.text_len = 10;
	assert_int_equal(message_event_write(&frame, 6, WIRE_DIGEST_SIZE, &event), -EINVAL);
	text[7] = 'x';
	event.kind = EVENT_FAILED;
	event.status = STATUS_STORE;
	event.text_len = MESSAGE_TEXT_MAX + 1;
	assert_int_equal(message_event_write(&frame, 6, WIRE_DIGEST_SIZE, &event), 0);
	assert_int_equal(event_read(&frame, WIRE_DIGEST_SIZE, &read), 0);
	assert_int_equal(read.text_len, MESSAGE_TEXT_MAX);
	assert_int_equal(read.status, STATUS_STORE);
	buf_free(&frame);
}

static void test_dones(void **state)
{
	static const uint8_t digest[WIRE_DIGEST_SIZE] = { 1, 2, 3, 4 };
	struct message_done done = { .flags = DONE_DIGEST, .digest = digest, .text = "" }, read;
	struct buf frame = { 0 };
	const uint8_t *body;
	size_t len;

	(void)state;
	/* Each number in its place. */
	done.files = 1, done.folders = 2, done.links = 3, done.skipped = 4, done.failed = 5;
	done.bytes = 6, done.received = 7, done.chunks = 8, done.repaired = 9, done.kept = UINT64_MAX;
	assert_int_equal(message_done_write(&frame, 6, WIRE_DIGEST_SIZE, &done), 0);
	body = frame.data + FRAME_HEADER;
	len = frame.len - FRAME_HEADER;
	assert_int_equal(message_done_read(body, len, WIRE_DIGEST_SIZE, &read, NULL), 0);
	assert_int_equal(read.files, 1);
	assert_int_equal(read.folders, 2);
	assert_int_equal(read.links, 3);
	assert_int_equal(read.skipped, 4);
	assert_int_equal(read.failed, 5);
	assert_int_equal(read.bytes, 6);
	assert_int_equal(read.received, 7);
	assert_int_equal(read.chunks, 8);
	assert_int_equal(read.repaired, 9);
	assert_true(read.kept == UINT64_MAX);
	assert_int_equal(read.same, done.same);
	assert_memory_equal(read.digest, digest, sizeof(digest));
	assert_int_equal(message_done_read(body, len, WIRE_DIGEST_SIZE + 1, &read, NULL), -EPROTO);
	assert_int_equal(message_done_read(body, len, 0, &read, NULL), -EPROTO);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(message_done_read(body, cut, WIRE_DIGEST_SIZE, &read, NULL), -EPROTO);
	frame.data[FRAME_HEADER + DONE_FLAGS] |= DONE_KEPT;
	assert_int_equal(message_done_read(body, len, WIRE_DIGEST_SIZE, &read, NULL), 0);
	assert_int_equal(read.flags, MESSAGE_DONE_FLAGS);
	frame.data[FRAME_HEADER + DONE_FLAGS] |= 4;
	assert_int_equal(message_done_read(body, len, WIRE_DIGEST_SIZE, &read, NULL), -EPROTO);
	buf_free(&frame);

	assert_int_equal(message_done_write(&frame, 6, 0, &done), 0);
	assert_int_equal(message_done_read(frame.data + FRAME_HEADER, frame.len - FRAME_HEADER, 0, &read, NULL), 0);
	assert_null(read.digest);
	buf_free(&frame);
	done.flags = 4;
	assert_int_equal(message_done_write(&frame, 6, WIRE_DIGEST_SIZE, &done), -EINVAL);
	done.flags = DONE_DIGEST;
	done.digest = NULL;
	assert_int_equal(message_done_write(&frame, 6, WIRE_DIGEST_SIZE, &done), -EINVAL);
	buf_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_names),
		cmocka_unit_test(test_put_bounds),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_dones),
	};
	return cmocka_run_group_tests_name("wire, put", tests, NULL, NULL);
}
