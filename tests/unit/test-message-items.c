/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of entries, READ items, holes and ENDS items. */
#include "wire/message.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- entries ---- */

static struct entry file_named(const char *name)
{
	return (struct entry){ .kind = ENTRY_FILE, .mode = 0644, .name = name, .name_len = strlen(name) };
}

static int entry_write(const struct entry *entry)
{
	struct buf body = { 0 };
	int code = message_entry_write(&body, entry);

	if (code < 0)
		assert_int_equal(body.len, 0);
	buf_free(&body);
	return code;
}

static void test_entry_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		int code;
	} names[] = {
		{ "a", 1, 0 },       { "...", 3, 0 },        { ".a", 2, 0 },         { "\xff\x01\n", 3, 0 },
		{ "", 0, -EINVAL },  { ".", 1, -EINVAL },    { "..", 2, -EINVAL },   { "a/b", 3, -EINVAL },
		{ "/", 1, -EINVAL }, { "../a", 4, -EINVAL }, { "a\0b", 3, -EINVAL }, { "a/", 2, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct entry entry = file_named("");
		struct entry read;
		struct buf body = { 0 };
		size_t at = 0;
		entry.name = names[i].name;
		entry.name_len = names[i].len;
		assert_int_equal(entry_write(&entry), names[i].code);

		/* The same from a peer that writes what it likes: the name stands at the end. */
		entry = file_named("xxxx");
		entry.name_len = names[i].len > 0 ? names[i].len : 1;
		assert_int_equal(message_entry_write(&body, &entry), 0);
		body.len -= entry.name_len + 1;
		body.data[body.len++] = (uint8_t)names[i].len;
		assert_int_equal(buf_append(&body, names[i].name, names[i].len), 0);
		assert_int_equal(message_entry_read(body.data, body.len, &at, &read, NULL),
		                 names[i].code == 0 ? 0 : -EPROTO);
		assert_int_equal(at, names[i].code == 0 ? body.len : 0);
		buf_free(&body);
	}
}

static void test_entry_longest(void **state)
{
	char name[MESSAGE_ENTRY_NAME_MAX + 1], target[MESSAGE_PATH_MAX + 1];
	struct entry entry = { .kind = ENTRY_SYMLINK, .name = name, .text = target }, read;
	struct buf body = { 0 };
	size_t at = 0;

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(target, 't', sizeof(target));
	entry.name_len = MESSAGE_ENTRY_NAME_MAX;
	entry.text_len = MESSAGE_PATH_MAX;
	assert_int_equal(message_entry_write(&body, &entry), 0);
	assert_int_equal(body.len, MESSAGE_ENTRY_MAX);
	assert_int_equal(message_entry_read(body.data, body.len, &at, &read, NULL), 0);
	assert_int_equal(at, body.len);
	assert_int_equal(read.name_len, MESSAGE_ENTRY_NAME_MAX);
	assert_memory_equal(read.name, name, read.name_len);
	assert_int_equal(read.text_len, MESSAGE_PATH_MAX);
	assert_memory_equal(read.text, target, read.text_len);

	/* One byte more of a target from the wire: its length stands in front of it. */
	uint8_t *length = body.data + body.len - MESSAGE_PATH_MAX - 2;
	assert_int_equal(length[0] << 8 | length[1], MESSAGE_PATH_MAX);
	length[0] = 0x10;
	length[1] = 0x00;
	body.data[body.len - 1] = 't';
	assert_int_equal(buf_append(&body, "t", 1), 0);
	at = 0;
	assert_int_equal(message_entry_read(body.data, body.len, &at, &read, NULL), -EPROTO);
	buf_free(&body);

	entry.text_len++;
	assert_int_equal(entry_write(&entry), -EMSGSIZE);
	entry.text_len--;
	entry.name_len++;
	assert_int_equal(entry_write(&entry), -EMSGSIZE);
}

/* Places in an entry. */
enum { AT_KIND = 0, AT_FLAGS = 1, AT_MODE = 2, AT_SIZE = 4, AT_MTIME = 12, AT_MTIME_NS = 20, AT_NAME = 24 };

static int changed_entry_read(enum entry_kind kind, size_t at, const char *bytes, size_t len)
{
	struct entry entry = file_named(kind == ENTRY_UP ? "" : "name"), read = { .size = 77 };
	struct buf body = { 0 };
	size_t next = 0;

	entry.kind = kind;
	if (kind == ENTRY_SYMLINK || kind == ENTRY_SPECIAL || kind == ENTRY_UNREADABLE) {
		entry.text = "text";
		entry.text_len = 4;
	}
	assert_int_equal(message_entry_write(&body, &entry), 0);
	memcpy(body.data + at, bytes, len);
	int code = message_entry_read(body.data, body.len, &next, &read, NULL);
	if (code < 0)
		assert_int_equal(read.size, 77);
	buf_free(&body);
	return code;
}

static void test_entry_fields(void **state)
{
	(void)state;
	for (enum entry_kind kind = ENTRY_FILE; kind <= ENTRY_UNREADABLE; kind++) {
		assert_int_equal(changed_entry_read(kind, 0, "", 0), 0);
		assert_int_equal(changed_entry_read(kind, AT_FLAGS, "\1", 1), kind == ENTRY_FILE ? 0 : -EPROTO);
		assert_int_equal(changed_entry_read(kind, AT_FLAGS, "\2", 1), -EPROTO);
		assert_int_equal(changed_entry_read(kind, AT_MODE, "\x0f\xff", 2), 0);
		assert_int_equal(changed_entry_read(kind, AT_MODE, "\x10\x00", 2), -EPROTO);
		assert_int_equal(changed_entry_read(kind, AT_SIZE, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8), 0);
		assert_int_equal(changed_entry_read(kind, AT_SIZE, "\x80", 1), -EPROTO);
		assert_int_equal(changed_entry_read(kind, AT_MTIME, "\x80", 1), 0);
		assert_int_equal(changed_entry_read(kind, AT_MTIME_NS, "\x3b\x9a\xc9\xff", 4), 0);
		assert_int_equal(changed_entry_read(kind, AT_MTIME_NS, "\x3b\x9a\xca\x00", 4), -EPROTO);
	}
	assert_int_equal(changed_entry_read(ENTRY_FILE, AT_KIND, "\0", 1), -EPROTO);
	assert_int_equal(changed_entry_read(ENTRY_FILE, AT_KIND, "\7", 1), -EPROTO);
	assert_int_equal(changed_entry_read(ENTRY_FILE, AT_KIND, "\xff", 1), -EPROTO);
	assert_int_equal(changed_entry_read(ENTRY_FILE, AT_KIND, "\3", 1), -EPROTO);        /* UP with a name */
	assert_int_equal(changed_entry_read(ENTRY_UP, AT_KIND, "\1", 1), -EPROTO);          /* a file without */
	assert_int_equal(changed_entry_read(ENTRY_SYMLINK, AT_NAME + 7, "\0", 1), -EPROTO); /* "\0ext" */
	assert_int_equal(changed_entry_read(ENTRY_SYMLINK, AT_NAME + 6, "\0", 1), -EPROTO); /* no target */
	assert_int_equal(changed_entry_read(ENTRY_SPECIAL, AT_NAME + 7, "\0", 1), 0);       /* only printed */
}

static void test_entry_bad_writes(void **state)
{
	struct entry entry;

	(void)state;
	entry = file_named("a");
	entry.kind = (enum entry_kind)0;
	assert_int_equal(entry_write(&entry), -EINVAL);
	entry = file_named("a");
	entry.kind = (enum entry_kind)(ENTRY_UNREADABLE + 1);
	assert_int_equal(entry_write(&entry), -EINVAL);
	entry = file_named("a");
	entry.mode = 0100644; /* a whole st_mode */
	assert_int_equal(entry_write(&entry), -EINVAL);
	entry = file_named("a");
	entry.kind = ENTRY_UP;
	assert_int_equal(entry_write(&entry), -EINVAL);
	entry = file_named("a");
	entry.kind = ENTRY_SYMLINK;
	entry.text = "";
	assert_int_equal(entry_write(&entry), -EINVAL);
}

static void test_entry_cause_is_cut(void **state)
{
	char text[MESSAGE_TEXT_MAX + 100];
	struct entry entry = file_named("a"), read;
	struct buf body = { 0 };
	size_t at = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	entry.kind = ENTRY_UNREADABLE;
	entry.text = text;
	entry.text_len = sizeof(text);
	assert_int_equal(message_entry_write(&body, &entry), 0);
	assert_int_equal(message_entry_read(body.data, body.len, &at, &read, NULL), 0);
	assert_int_equal(read.text_len, MESSAGE_TEXT_MAX);

	/* One byte more, from the wire. */
	body.data[body.len - MESSAGE_TEXT_MAX - 1]++;
	assert_int_equal(buf_append(&body, "x", 1), 0);
	at = 0;
	assert_int_equal(message_entry_read(body.data, body.len, &at, &read, NULL), -EPROTO);
	buf_free(&body);
}

static void test_run_without_items(void **state)
{
	size_t run = 77;

	(void)state;
	assert_int_equal(message_run_read(0, 0, &run, NULL), -EPROTO);
	assert_int_equal(message_run_read(31, 32, &run, NULL), -EPROTO);
	assert_int_equal(message_run_read(32, 32, &run, NULL), -EPROTO);
	assert_int_equal(run, 77);
	assert_int_equal(message_run_read(33, 32, &run, NULL), 0);
	assert_int_equal(run, 1);
	assert_int_equal(message_run_read(33, 0, &run, NULL), 0);
	assert_int_equal(run, 33);
}

/* A cursor that a caller moved too far is an end, not a place to read at. */
static void test_beyond_the_end(void **state)
{
	const uint8_t body[1] = { 1 };
	struct message_read item;
	struct entry entry;
	struct end end;
	size_t at = 2;

	(void)state;
	assert_int_equal(message_entry_read(body, sizeof(body), &at, &entry, NULL), -EPROTO);
	assert_int_equal(message_read_item(body, sizeof(body), &at, &item, NULL), -EPROTO);
	assert_int_equal(message_end_read(body, sizeof(body), &at, 0, &end, NULL), -EPROTO);
	assert_int_equal(at, 2);
}

/* ---- READ ---- */

static void test_read_count(void **state)
{
	uint16_t count = 77;
	size_t at = 77;

	(void)state;
	assert_int_equal(message_read_count((const uint8_t *)"\0\0", 2, &at, &count, NULL), -EPROTO);
	assert_int_equal(message_read_count((const uint8_t *)"\1\1", 2, &at, &count, NULL), -EPROTO);
	assert_int_equal(message_read_count((const uint8_t *)"\1", 1, &at, &count, NULL), -EPROTO);
	assert_int_equal(count, 77);
	assert_int_equal(message_read_count((const uint8_t *)"\1\0", 2, &at, &count, NULL), 0);
	assert_int_equal(count, MESSAGE_READ_MAX);
	assert_int_equal(at, 2);
}

static void test_read_seal(void **state)
{
	const struct message_read item = { .count = MESSAGE_ALL, .path = "e/f", .path_len = 3 };
	struct buf frame = { 0 };
	size_t start = 77;

	(void)state;
	assert_int_equal(message_read_begin(&frame, &start), 0);
	assert_int_equal(start, 0);
	assert_int_equal(message_read_item_write(&frame, &item), 0);
	assert_int_equal(frame.len, FRAME_HEADER + 2 + MESSAGE_READ_ITEM_HEAD + item.path_len);
	assert_int_equal(message_read_seal(&frame, start, 1, 0), -EINVAL);
	assert_int_equal(message_read_seal(&frame, start, 1, MESSAGE_READ_MAX + 1), -EINVAL);
	assert_int_equal(message_read_seal(&frame, start, 0, 1), -EINVAL);
	assert_int_equal(message_read_seal(&frame, start, UINT32_MAX, 2), -EINVAL); /* ids would wrap around */
	assert_int_equal(message_read_seal(&frame, start, UINT32_MAX, 1), 0);
	buf_free(&frame);
}

static void test_read_items(void **state)
{
	static const char path[MESSAGE_PATH_MAX + 1] = { 'e' };
	char longest[MESSAGE_PATH_MAX + 1];
	static const struct {
		uint64_t first, count;
		int code;
	} ranges[] = {
		{ 0, 1, 0 },
		{ 0, 0, -EINVAL },
		{ UINT64_MAX, 1, -EINVAL },
		{ UINT64_MAX - 1, 1, 0 },
		{ 1, UINT64_MAX - 1, 0 },
		{ 2, UINT64_MAX - 1, -EINVAL },
		{ UINT64_MAX, MESSAGE_ALL, 0 },
	};
	struct buf body = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct message_read item = { .first = 0, .count = 1, .size = UINT64_MAX, .path = "e", .path_len = 1 },
				    read;
		size_t at = 0;
		uint16_t digits;
		assert_int_equal(message_read_item_write(&body, &item), 0);
		for (digits = 0; digits < 8; digits++) { /* as a peer may write it */
			body.data[digits] = (uint8_t)(ranges[i].first >> (56 - 8 * digits));
			body.data[8 + digits] = (uint8_t)(ranges[i].count >> (56 - 8 * digits));
		}
		assert_int_equal(message_read_item(body.data, body.len, &at, &read, NULL),
		                 ranges[i].code == 0 ? 0 : -EPROTO);
		buf_clear(&body);
		item.first = ranges[i].first;
		item.count = ranges[i].count;
		assert_int_equal(message_read_item_write(&body, &item), ranges[i].code);
		buf_clear(&body);
	}

	struct message_read item = { .count = 1, .path = path, .path_len = 0 }, read;
	assert_int_equal(message_read_item_write(&body, &item), -EINVAL); /* no path */
	item.path_len = 2;
	assert_int_equal(message_read_item_write(&body, &item), -EINVAL); /* "e\0" */
	memset(longest, 'p', sizeof(longest));
	item.path = longest;
	item.path_len = sizeof(longest);
	assert_int_equal(message_read_item_write(&body, &item), -EMSGSIZE);
	assert_int_equal(body.len, 0);
	item.path_len--;
	assert_int_equal(message_read_item_write(&body, &item), 0);
	for (size_t at = 0; at == 0;)
		assert_int_equal(message_read_item(body.data, body.len, &at, &read, NULL), 0);
	assert_int_equal(read.path_len, MESSAGE_PATH_MAX);
	body.data[24] = 8; /* an unknown flag */
	assert_int_equal(message_read_item(body.data, body.len, &(size_t){ 0 }, &read, NULL), -EPROTO);
	body.data[24] = 0;
	body.data[100] = 0;
	assert_int_equal(message_read_item(body.data, body.len, &(size_t){ 0 }, &read, NULL), -EPROTO);
	buf_free(&body);
}

static void test_holes(void **state)
{
	struct buf frame = { 0 };
	uint64_t first, count;

	(void)state;
	assert_int_equal(message_hole_write(&frame, 1, 0, 0), -EINVAL);
	assert_int_equal(message_hole_write(&frame, 1, UINT64_MAX, 1), -EINVAL);
	assert_int_equal(message_hole_write(&frame, 1, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(frame.len, 0);
	assert_int_equal(message_hole_write(&frame, 1, 3, UINT64_MAX - 3), 0);
	assert_int_equal(message_hole_read(frame.data + FRAME_HEADER, 16, &first, &count, NULL), 0);
	assert_true(first == 3 && count == UINT64_MAX - 3);
	frame.data[FRAME_HEADER + 7] = 4; /* one too far */
	assert_int_equal(message_hole_read(frame.data + FRAME_HEADER, 16, &first, &count, NULL), -EPROTO);
	memset(frame.data + FRAME_HEADER, 0, 8);
	memset(frame.data + FRAME_HEADER + 8, 0xff, 8); /* from 0 to nowhere */
	assert_int_equal(message_hole_read(frame.data + FRAME_HEADER, 16, &first, &count, NULL), -EPROTO);
	memset(frame.data + FRAME_HEADER + 8, 0, 8);
	assert_int_equal(message_hole_read(frame.data + FRAME_HEADER, 16, &first, &count, NULL), -EPROTO);
	buf_free(&frame);
}

/* ---- ENDS ---- */

static const uint8_t digest[WIRE_DIGEST_SIZE] = { 0xaa, 0xbb, 0xcc, 0xdd };

static int changed_end_read(size_t place, const char *bytes, size_t len, struct end *out)
{
	const struct end end = { .request = 9,
		                 .mode = 0644,
		                 .flags = END_DIGEST,
		                 .size = 4,
		                 .chunks = 1,
		                 .mtime = -2,
		                 .mtime_ns = 5,
		                 .digest = digest,
		                 .text = "abc",
		                 .text_len = 3 };
	struct buf body = { 0 };
	size_t at = 0;

	assert_int_equal(message_end_write(&body, WIRE_DIGEST_SIZE, &end), 0);
	memcpy(body.data + place, bytes, len);
	int code = message_end_read(body.data, body.len, &at, WIRE_DIGEST_SIZE, out, NULL);
	assert_int_equal(at, code == 0 ? body.len : 0);
	if (code == 0 && out->digest != NULL)
		assert_memory_equal(out->digest, digest, sizeof(digest));
	out->digest = NULL;
	out->text = NULL;
	buf_free(&body);
	return code;
}

static void test_end_fields(void **state)
{
	struct end end = { 0 };

	(void)state;
	assert_int_equal(changed_end_read(0, "", 0, &end), 0);
	assert_int_equal(end.request, 9);
	assert_int_equal(end.status, STATUS_OK);
	assert_int_equal(end.mode, 0644);
	assert_int_equal(end.flags, END_DIGEST);
	assert_true(end.size == 4 && end.chunks == 1 && end.mtime == -2);
	assert_int_equal(end.mtime_ns, 5);
	assert_int_equal(end.text_len, 3);

	assert_int_equal(changed_end_read(4, "\x12\x34", 2, &end), 0);
	assert_int_equal(end.status, STATUS_FAILED); /* one that is not known */
	end.size = 77;
	assert_int_equal(changed_end_read(0, "\0\0\0\0", 4, &end), -EPROTO); /* request */
	assert_int_equal(changed_end_read(6, "\x10", 1, &end), -EPROTO);     /* mode */
	assert_int_equal(changed_end_read(8, "\x04", 1, &end), -EPROTO);     /* flags */
	assert_int_equal(changed_end_read(9, "\x80", 1, &end), -EPROTO);     /* size */
	assert_int_equal(changed_end_read(33, "\x3b\x9a\xca\x00", 4, &end), -EPROTO);
	assert_int_equal(changed_end_read(41, "\xff", 1, &end), -EPROTO); /* length of the text */
	assert_int_equal(end.size, 77);
}

static void test_end_digest(void **state)
{
	struct end end = { .request = 1, .flags = END_DIGEST, .text = "" }, read;
	struct buf body = { 0 };

	(void)state;
	assert_int_equal(message_end_write(&body, WIRE_DIGEST_SIZE, &end), -EINVAL); /* where is it? */
	assert_int_equal(body.len, 0);

	/* Nothing is left out of nothing. */
	end.digest = digest;
	assert_int_equal(message_end_write(&body, 0, &end), 0);
	assert_int_equal(message_end_read(body.data, body.len, &(size_t){ 0 }, 0, &read, NULL), 0);
	assert_int_equal(read.flags, 0);
	assert_null(read.digest);
	body.data[8] = END_DIGEST;
	assert_int_equal(message_end_read(body.data, body.len, &(size_t){ 0 }, 0, &read, NULL), -EPROTO);
	buf_clear(&body);

	end.flags = 0;
	assert_int_equal(message_end_write(&body, WIRE_DIGEST_SIZE, &end), 0);
	assert_int_equal(message_end_read(body.data, body.len, &(size_t){ 0 }, WIRE_DIGEST_SIZE, &read, NULL), 0);
	assert_null(read.digest);
	buf_free(&body);
}

static void test_end_text(void **state)
{
	static const char text[600] = { 'x' };
	struct end end = { .request = 1, .text = text, .text_len = sizeof(text) }, read;
	struct buf body = { 0 };

	(void)state;
	assert_int_equal(message_end_write(&body, 0, &end), 0);
	assert_int_equal(message_end_read(body.data, body.len, &(size_t){ 0 }, 0, &read, NULL), 0);
	assert_int_equal(read.text_len, MESSAGE_TEXT_MAX);

	/* One more than may be, from a peer. */
	body.data[body.len - MESSAGE_TEXT_MAX - 1] = 1;
	assert_int_equal(buf_append(&body, "x", 1), 0);
	assert_int_equal(message_end_read(body.data, body.len, &(size_t){ 0 }, 0, &read, NULL), -EPROTO);
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_names),
		cmocka_unit_test(test_entry_longest),
		cmocka_unit_test(test_entry_fields),
		cmocka_unit_test(test_entry_bad_writes),
		cmocka_unit_test(test_entry_cause_is_cut),
		cmocka_unit_test(test_run_without_items),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_read_count),
		cmocka_unit_test(test_read_seal),
		cmocka_unit_test(test_read_items),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_end_fields),
		cmocka_unit_test(test_end_digest),
		cmocka_unit_test(test_end_text),
	};
	return cmocka_run_group_tests_name("message items", tests, NULL, NULL);
}
