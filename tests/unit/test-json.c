/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON lines: whatever bytes go in, what comes out is one line of valid UTF-8. */
#include "unit.h"

#include "cmd/json.h"

#include <stdlib.h>
#include <string.h>

struct capture {
	FILE *out;
	char *text; /* owned */
	size_t len;
};

static void capture_open(struct capture *capture)
{
	capture->out = open_memstream(&capture->text, &capture->len);
	assert_non_null(capture->out);
}

static void capture_expect(struct capture *capture, const char *expected)
{
	assert_int_equal(fclose(capture->out), 0);
	assert_string_equal(capture->text, expected);
	free(capture->text);
}

static void test_object(void **state)
{
	struct capture capture;
	struct json json;

	(void)state;
	capture_open(&capture);
	json_begin(&json, capture.out, "file");
	json_number(&json, "bytes", UINT64_MAX);
	json_signed(&json, "mtime", -5);
	json_bool(&json, "sparse", false);
	json_seconds(&json, "rtt", 1000000042);
	json_text(&json, "nothing", NULL);
	json_open(&json, "list", '[');
	json_text(&json, NULL, "a");
	json_open(&json, NULL, '{');
	json_bool(&json, "b", true);
	json_close(&json, '}');
	json_open(&json, NULL, '[');
	json_close(&json, ']');
	json_close(&json, ']');
	json_number(&json, "last", 0);
	json_end(&json);
	capture_expect(&capture, "{\"type\":\"file\",\"bytes\":18446744073709551615,\"mtime\":-5,\"sparse\":false,"
	                         "\"rtt\":1.000000042,\"nothing\":null,\"list\":[\"a\",{\"b\":true},[]],\"last\":0}\n");
}

static void expect_text(const char *text, const char *expected)
{
	struct capture capture;
	struct json json = { .first = true };

	capture_open(&capture);
	json.out = capture.out;
	json_text(&json, NULL, text);
	capture_expect(&capture, expected);
}

static void test_text(void **state)
{
	(void)state;
	expect_text("plain", "\"plain\"");
	expect_text("", "\"\"");
	expect_text("a\"b\\c", "\"a\\\"b\\\\c\"");
	expect_text("\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\\u007f\"");
	expect_text("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

static void test_not_utf8(void **state)
{
	(void)state;
	expect_text("\x80", "\"\\ufffd\"");
	expect_text("\xc3", "\"\\ufffd\"");              /* cut */
	expect_text("a\xe2\x82", "\"a\\ufffd\\ufffd\""); /* cut */
	expect_text("\xc0\xaf", "\"\\ufffd\\ufffd\"");   /* overlong '/' */
	expect_text("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"");
	expect_text("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");            /* surrogate */
	expect_text("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond U+10FFFF */
	expect_text("\xff!", "\"\\ufffd!\"");
}

static void test_name(void **state)
{
	static const char name[] = "a\xff\\b\n\0z";
	struct capture capture;
	struct json json = { .first = true };

	(void)state;
	capture_open(&capture);
	json.out = capture.out;
	json_name(&json, "path", name, sizeof(name) - 1);
	json_name(&json, "empty", "", 0);
	capture_expect(&capture, "\"path\":\"a\\\\xff\\\\x5cb\\\\x0a\\\\x00z\",\"empty\":\"\"");
}

/* A name is told whole, however much longer the escapes make it. */
static void test_long_name(void **state)
{
	static char name[4095];
	struct capture capture;
	struct json json = { .first = true };

	(void)state;
	memset(name, 0xff, sizeof(name));
	capture_open(&capture);
	json.out = capture.out;
	json_name(&json, NULL, name, sizeof(name));
	assert_int_equal(fclose(capture.out), 0);
	assert_int_equal(capture.len, 5 * sizeof(name) + 2); /* "\\xff", five characters for each byte */
	assert_null(strstr(capture.text, "..."));
	free(capture.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object), cmocka_unit_test(test_text),      cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_name),   cmocka_unit_test(test_long_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
