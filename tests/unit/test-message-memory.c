/* SPDX-License-Identifier: BSD-2-Clause */
/* A message for which memory runs out, at every place where it can: the buffer is as it was. Linked with a wrapped
 * buf_append(). */
#include "wire/message.h"

#include "wire-frames.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

int __real_buf_append(struct buf *buf, const void *bytes, size_t len);
int __wrap_buf_append(struct buf *buf, const void *bytes, size_t len);

static unsigned appends_left; /* before one fails */

int __wrap_buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (appends_left == 0)
		return -ENOMEM;
	appends_left--;
	return __real_buf_append(buf, bytes, len);
}

static void test_every_append(void **state)
{
	static const char before[] = "what was there";

	(void)state;
	for (size_t i = 0; i < wire_example_count; i++) {
		/* A body in the making is the caller's to take back; its parts are tested below. */
		bool parts = wire_examples[i].type == FRAME_ENTRIES || wire_examples[i].type == FRAME_READ ||
		             wire_examples[i].type == FRAME_ENDS;
		int code = -ENOMEM;
		for (unsigned enough = 0; code != 0; enough++) {
			struct buf out = { 0 };
			appends_left = 1;
			assert_int_equal(buf_append(&out, before, sizeof(before)), 0);
			appends_left = enough;
			code = wire_examples[i].write(&out);
			if (code != 0) {
				assert_int_equal(code, -ENOMEM);
				if (!parts)
					assert_int_equal(out.len, sizeof(before));
			} else {
				assert_true(enough > 0);
				assert_true(out.len > sizeof(before));
			}
			assert_memory_equal(out.data, before, sizeof(before));
			buf_free(&out);
		}
	}
}

static int write_entry(struct buf *body)
{
	const struct entry entry = { .kind = ENTRY_SYMLINK, .name = "n", .name_len = 1, .text = "t", .text_len = 1 };
	return message_entry_write(body, &entry);
}

static int write_read(struct buf *body)
{
	const struct message_read item = { .count = 1, .path = "p", .path_len = 1 };
	return message_read_item_write(body, &item);
}

static int write_end(struct buf *body)
{
	const struct end end = { .request = 1, .text = "t", .text_len = 1 };
	return message_end_write(body, 0, &end);
}

static int begin_body(struct buf *body)
{
	size_t start = 77;
	int code = message_body_begin(body, &start);
	assert_int_equal(start, code == 0 ? 1 : 77);
	return code;
}

static int begin_read(struct buf *body)
{
	size_t start = 77;
	int code = message_read_begin(body, &start);
	assert_int_equal(start, code == 0 ? 1 : 77);
	return code;
}

static void test_every_part(void **state)
{
	int (*const parts[])(struct buf *) = { write_entry, write_read, write_end, begin_body, begin_read };

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int code = -ENOMEM;
		for (unsigned enough = 0; code != 0; enough++) {
			struct buf body = { 0 };
			appends_left = 1;
			assert_int_equal(buf_append(&body, "b", 1), 0);
			appends_left = enough;
			code = parts[i](&body);
			assert_true(code == 0 ? body.len > 1 : body.len == 1);
			buf_free(&body);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_append),
		cmocka_unit_test(test_every_part),
	};
	return cmocka_run_group_tests_name("messages without memory", tests, NULL, NULL);
}
