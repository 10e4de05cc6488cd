/* SPDX-License-Identifier: BSD-2-Clause */
/* base/buf: grows, formats, consumes. */
#include "unit.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

static void appends_and_grows(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
	assert_int_equal(buf.len, 10000);
	for (size_t i = 0; i < buf.len; i++)
		assert_int_equal(buf.data[i], '0' + i % 10);
	buf_free(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, 0);
}

static void appends_nothing(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_null(buf.data);
	buf_free(&buf);
}

static void formats(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	assert_int_equal(buf_format(&buf, "%s=%d", "key", 42), 0);
	assert_int_equal(buf_format(&buf, ";%0200d", 7), 0);
	assert_int_equal(buf.len, 6 + 1 + 200);
	assert_memory_equal(buf.data, "key=42;000", 10);
	assert_int_equal(buf.data[buf.len - 1], '7');
	buf_free(&buf);
}

static void consumes(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	assert_int_equal(buf_append(&buf, "abcdef", 6), 0);
	buf_consume(&buf, 0);
	assert_int_equal(buf.len, 6);
	buf_consume(&buf, 2);
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "cdef", 4);
	buf_consume(&buf, 4);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf_append(&buf, "xy", 2), 0);
	size_t cap = buf.cap;
	buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, cap);
	buf_free(&buf);
}

static void refuses_what_no_memory_holds(void **state)
{
	(void)state;
	struct buf buf = { 0 };
	assert_int_equal(buf_append(&buf, "abc", 3), 0);
	struct buf before = buf;
	assert_int_equal(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX / 2), -ENOMEM);
	assert_memory_equal(&buf, &before, sizeof(buf));
	assert_memory_equal(buf.data, "abc", 3);
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_grows),
		cmocka_unit_test(appends_nothing),
		cmocka_unit_test(formats),
		cmocka_unit_test(consumes),
		cmocka_unit_test(refuses_what_no_memory_holds),
	};
	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
