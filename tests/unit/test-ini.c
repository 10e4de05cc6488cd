/* SPDX-License-Identifier: BSD-2-Clause */
/* config/ini: what a file holds, and each thing that is refused with file and line. */
#include "unit.h"

#include "base/buf.h"
#include "config/ini.h"
#include "ini-file.h"

#include <errno.h>

/* Writes each line down as "LINE[section]" or "LINE key=value", one after the other with '|'. */
static int take(void *context, const struct ini_line *line, struct error *err)
{
	if (line->key == NULL)
		return buf_format(context, "%u[%s]|", line->line, line->section);
	if (strcmp(line->key, "refused") == 0)
		return error_set(err, -ERANGE, FAULT_USAGE, "the taker says no to %s", line->value);
	return buf_format(context, "%u %s=%s|", line->line, line->key, line->value);
}

static void assert_reads_bytes(const void *bytes, size_t len, const char *expected)
{
	struct ini_file file;
	struct error err = { 0 };
	struct buf seen = { 0 };
	ini_file_write_bytes(&file, bytes, len);
	int rc = ini_read(file.path, take, &seen, &err);
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_int_equal(buf_append(&seen, "", 1), 0);
	assert_string_equal(seen.data, expected);
	buf_free(&seen);
	ini_file_drop(&file);
}

static void assert_reads(const char *text, const char *expected)
{
	assert_reads_bytes(text, strlen(text), expected);
}

static void assert_refuses_bytes(const void *bytes, size_t len, unsigned line, const char *words)
{
	struct ini_file file;
	struct error err = { 0 };
	struct buf seen = { 0 };
	ini_file_write_bytes(&file, bytes, len);
	assert_true(ini_read(file.path, take, &seen, &err) < 0);
	assert_true(err.code < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_at_line(err.text, &file, line, words);
	/* And with nobody to listen. */
	assert_int_equal(ini_read(file.path, take, &seen, NULL), err.code);
	buf_free(&seen);
	ini_file_drop(&file);
}

static void assert_refuses(const char *text, unsigned line, const char *words)
{
	assert_refuses_bytes(text, strlen(text), line, words);
}

static void reads_sections_and_keys(void **state)
{
	(void)state;
	assert_reads("[a]\nx = 1\ny=2\n\n[b.c]\nx = 3\n", "1[a]|2 x=1|3 y=2|5[b.c]|6 x=3|");
	assert_reads("", "");
	assert_reads("[empty]", "1[empty]|");
	assert_reads("[a]\nlast = without newline", "1[a]|2 last=without newline|");
	assert_reads("[a]\r\nx = 1\r\n", "1[a]|2 x=1|");
	assert_reads("\xef\xbb\xbf[a]\nx = 1\n", "1[a]|2 x=1|");
	assert_reads("[a]\nempty =\nequals = b=c\n", "1[a]|2 empty=|3 equals=b=c|");
}

static void leaves_comments_out(void **state)
{
	(void)state;
	assert_reads("; one\n# two\n[a] ; three\nx = 1   ; four\n  ; five = 5\n", "3[a]|4 x=1|");
	/* Without a blank in front it belongs to the value, as in a path. */
	assert_reads("[a]\nx = a;b\ny = a#b #c\n", "1[a]|2 x=a;b|3 y=a#b #c|");
}

static void does_not_care_for_indentation(void **state)
{
	(void)state;
	assert_reads("  [a]\n\tx = 1\n\t  y = 2\n", "1[a]|2 x=1|3 y=2|");
	assert_refuses("[a]\nx = 1\n  and more\n", 3, "neither");
}

static void refuses_duplicates(void **state)
{
	(void)state;
	assert_refuses("[a]\nx = 1\n\nx = 1\n", 4, "the key 'x' is there twice in [a]");
	assert_refuses("[a]\nx = 1\n[b]\n[a]\ny = 1\n", 4, "the section [a] is there twice");
	assert_reads("[a]\nx = 1\n[b]\nx = 1\n", "1[a]|2 x=1|3[b]|4 x=1|");
}

static void refuses_what_is_no_line(void **state)
{
	(void)state;
	assert_refuses("[a]\nwhat is this\n", 2, "neither");
	assert_refuses("[a]\nfoo ; x = 1\n", 2, "neither");
	assert_refuses("[a\nx = 1\n", 1, "']'");
	assert_refuses("[a] x = 1\n", 1, "'x = 1' behind a heading");
	assert_refuses("\n\nx = 1\n[a]\n", 3, "before the first [section]");
}

static void says_the_first_mistake(void **state)
{
	(void)state;
	assert_refuses("[a]\nnothing\nrefused = 1\n[a]\n", 2, "neither");
	assert_refuses("[a]\nrefused = 1\nnothing\n", 2, "the taker says no to 1");
}

static void refuses_long_lines(void **state)
{
	(void)state;
	char text[512];
	struct buf expected = { 0 };
	size_t len = 197; /* of the line, what a build of inih with its defaults has room for */

	snprintf(text, sizeof(text), "[a]\nx = %0*d\n", (int)len - 4, 7);
	assert_int_equal(buf_format(&expected, "1[a]|2 x=%0*d|", (int)len - 4, 7), 0);
	assert_int_equal(buf_append(&expected, "", 1), 0);
	assert_reads(text, (const char *)expected.data);
	buf_free(&expected);

	snprintf(text, sizeof(text), "[a]\nx = %0*d\n", (int)len - 3, 7);
	assert_refuses(text, 2, "the line is longer than 197 bytes");
	snprintf(text, sizeof(text), "[a]\n; %0*d\n", 300, 7);
	assert_refuses(text, 2, "the line is longer");
	snprintf(text, sizeof(text), "[a]\n%0400d = 1", 7);
	assert_refuses(text, 2, "the line is longer");
}

static void refuses_names_that_would_be_cut(void **state)
{
	(void)state;
	char text[256];
	snprintf(text, sizeof(text), "[%050d]\n", 7);
	assert_refuses(text, 1, "longer than 49 bytes");
	snprintf(text, sizeof(text), "[a]\n%060d = 1\n", 7);
	assert_refuses(text, 2, "is too long");
	snprintf(text, sizeof(text), "[%049d]\n", 7);
	struct buf expected = { 0 };
	assert_int_equal(buf_format(&expected, "1[%049d]|", 7), 0);
	assert_int_equal(buf_append(&expected, "", 1), 0);
	assert_reads(text, (const char *)expected.data);
	buf_free(&expected);
}

static void refuses_nul_bytes(void **state)
{
	(void)state;
	static const char TEXT[] = "[a]\nx = 1\0y = 2\n";
	assert_refuses_bytes(TEXT, sizeof(TEXT) - 1, 2, "NUL");
}

static void says_what_it_cannot_read(void **state)
{
	(void)state;
	struct error err = { 0 };
	assert_int_equal(ini_read("/nowhere/xfer.ini", take, NULL, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere/xfer.ini: No such file or directory");
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_int_equal(ini_read("/", take, NULL, &err), -EISDIR);
	assert_contains(err.text, "Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sections_and_keys),
		cmocka_unit_test(leaves_comments_out),
		cmocka_unit_test(does_not_care_for_indentation),
		cmocka_unit_test(refuses_duplicates),
		cmocka_unit_test(refuses_what_is_no_line),
		cmocka_unit_test(says_the_first_mistake),
		cmocka_unit_test(refuses_long_lines),
		cmocka_unit_test(refuses_names_that_would_be_cut),
		cmocka_unit_test(refuses_nul_bytes),
		cmocka_unit_test(says_what_it_cannot_read),
	};
	return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}
