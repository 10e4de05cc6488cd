/* SPDX-License-Identifier: BSD-2-Clause */
/* base/text: numbers with units there and back, and names that cannot act. */
#include "unit.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define KEPT UINT64_C(0x5a5a) /* what an output holds before a call that has to leave it alone */

static void parses_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		uint64_t bytes;
	} CASES[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "1K", 0, 1024 },
		{ "1k", 0, 1024 },
		{ "1KiB", 0, 1024 },
		{ "16M", 0, UINT64_C(16) << 20 },
		{ "2G", 0, UINT64_C(2) << 30 },
		{ "1T", 0, UINT64_C(1) << 40 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, KEPT },
		{ "16777216T", -ERANGE, KEPT },
		{ "", -EINVAL, KEPT },
		{ "K", -EINVAL, KEPT },
		{ "-1", -EINVAL, KEPT },
		{ "+1", -EINVAL, KEPT },
		{ " 1", -EINVAL, KEPT },
		{ "1 K", -EINVAL, KEPT },
		{ "1.5M", -EINVAL, KEPT },
		{ "1KB", -EINVAL, KEPT },
		{ "1KiBs", -EINVAL, KEPT },
		{ "1X", -EINVAL, KEPT },
		{ "0x10", -EINVAL, KEPT },
	};
	for (size_t i = 0; i < COUNT(CASES); i++) {
		uint64_t bytes = KEPT;
		print_message("# size '%s'\n", CASES[i].text);
		assert_int_equal(text_parse_size(CASES[i].text, &bytes), CASES[i].rc);
		assert_true(bytes == CASES[i].bytes);
	}
}

static void parses_durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		uint64_t ns;
	} CASES[] = {
		{ "0", 0, 0 },
		{ "10ns", 0, 10 },
		{ "250us", 0, 250000 },
		{ "500ms", 0, 500000000 },
		{ "4s", 0, UINT64_C(4000000000) },
		{ "10m", 0, UINT64_C(600000000000) },
		{ "2h", 0, UINT64_C(7200000000000) },
		{ "7d", 0, UINT64_C(604800000000000) },
		{ "5", -EINVAL, KEPT },
		{ "", -EINVAL, KEPT },
		{ "s", -EINVAL, KEPT },
		{ "4 s", -EINVAL, KEPT },
		{ "4S", -EINVAL, KEPT },
		{ "4sec", -EINVAL, KEPT },
		{ "-4s", -EINVAL, KEPT },
		{ "300000d", -ERANGE, KEPT },
	};
	for (size_t i = 0; i < COUNT(CASES); i++) {
		uint64_t ns = KEPT;
		print_message("# duration '%s'\n", CASES[i].text);
		assert_int_equal(text_parse_duration(CASES[i].text, &ns), CASES[i].rc);
		assert_true(ns == CASES[i].ns);
	}
}

static void parses_integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} CASES[] = {
		{ "0", 0, 0 },
		{ "-7", 0, -7 },
		{ "+7", 0, 7 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 99 },
		{ "-9223372036854775809", -ERANGE, 99 },
		{ "", -EINVAL, 99 },
		{ "-", -EINVAL, 99 },
		{ "7x", -EINVAL, 99 },
		{ "--7", -EINVAL, 99 },
	};
	for (size_t i = 0; i < COUNT(CASES); i++) {
		int64_t value = 99;
		print_message("# integer '%s'\n", CASES[i].text);
		assert_int_equal(text_parse_int(CASES[i].text, &value), CASES[i].rc);
		assert_true(value == CASES[i].value);
	}
}

static void parses_booleans(void **state)
{
	(void)state;
	static const char *const YES[] = { "yes", "true", "on", "1", "Yes" };
	static const char *const NO[] = { "no", "false", "off", "0", "NO" };
	static const char *const NEITHER[] = { "", "y", "2", "maybe", "yes " };
	for (size_t i = 0; i < COUNT(YES); i++) {
		int value = 7;
		assert_int_equal(text_parse_bool(YES[i], &value), 0);
		assert_int_equal(value, 1);
		assert_int_equal(text_parse_bool(NO[i], &value), 0);
		assert_int_equal(value, 0);
		value = 7;
		assert_int_equal(text_parse_bool(NEITHER[i], &value), -EINVAL);
		assert_int_equal(value, 7);
	}
}

static void formats_what_it_parses(void **state)
{
	(void)state;
	char out[TEXT_NUMBER_MAX];
	assert_string_equal(text_format_size(out, 1048576), "1M");
	assert_string_equal(text_format_size(out, 1000), "1000");
	assert_string_equal(text_format_size(out, 1536), "1536");
	assert_string_equal(text_format_size(out, UINT64_C(1) << 50), "1024T");
	assert_string_equal(text_format_duration(out, 500000000), "500ms");
	assert_string_equal(text_format_duration(out, UINT64_C(4000000000)), "4s");
	assert_string_equal(text_format_duration(out, UINT64_C(600000000000)), "10m");
	assert_string_equal(text_format_duration(out, UINT64_C(90000000000)), "90s");

	static const uint64_t NUMBERS[] = { 0, 1, 1023, 1024, 1025, 3600000000000, 86400000000000, UINT64_MAX };
	for (size_t i = 0; i < COUNT(NUMBERS); i++) {
		uint64_t back = KEPT;
		assert_int_equal(text_parse_size(text_format_size(out, NUMBERS[i]), &back), 0);
		assert_true(back == NUMBERS[i]);
		assert_int_equal(text_parse_duration(text_format_duration(out, NUMBERS[i]), &back), 0);
		assert_true(back == NUMBERS[i]);
	}
}

static void speaks_to_people(void **state)
{
	(void)state;
	char out[TEXT_NUMBER_MAX];
	assert_string_equal(text_human_size(out, 0), "0 B");
	assert_string_equal(text_human_size(out, 1023), "1023 B");
	assert_string_equal(text_human_size(out, 1024), "1.0 KiB");
	assert_string_equal(text_human_size(out, 1468006), "1.4 MiB");
	assert_string_equal(text_human_size(out, 1048575), "1.0 MiB");
	assert_string_equal(text_human_size(out, UINT64_MAX), "16.0 EiB");
	const uint64_t second = UINT64_C(1000000000);
	assert_string_equal(text_human_duration(out, 0), "0s");
	assert_string_equal(text_human_duration(out, 99999999), "0s");
	assert_string_equal(text_human_duration(out, 350000000), "0.3s");
	assert_string_equal(text_human_duration(out, 4 * second), "4s");
	assert_string_equal(text_human_duration(out, 12 * second + 999999999), "12s");
	assert_string_equal(text_human_duration(out, 120 * second), "2m0s");
	assert_string_equal(text_human_duration(out, 3900 * second), "1h5m");
	assert_string_equal(text_human_duration(out, UINT64_MAX), "5124095h34m");
}

static void writes_hex(void **state)
{
	(void)state;
	char out[9];
	assert_string_equal(text_hex(out, (const uint8_t *)"\x00\x0f\xf0\xff", 4), "000ff0ff");
	assert_string_equal(text_hex(out, NULL, 0), "");
}

static void assert_printed(const char *bytes, size_t len, const char *expected)
{
	char out[64];
	assert_string_equal(text_printable(out, sizeof(out), bytes, len), expected);
}

static void prints_any_bytes(void **state)
{
	(void)state;
	assert_printed("plain name", 10, "plain name");
	assert_printed("a\nb", 3, "a\\x0ab");
	assert_printed("\033[2J", 4, "\\x1b[2J");
	assert_printed("a\\b", 3, "a\\x5cb");
	assert_printed("\x7f", 1, "\\x7f");
	assert_printed("\0", 1, "\\x00");
	assert_printed("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_printed("\xc3", 1, "\\xc3");                            /* cut short */
	assert_printed("\xc0\xaf", 2, "\\xc0\\xaf");                   /* '/' in too many bytes */
	assert_printed("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf");          /* and in more */
	assert_printed("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* half a surrogate pair */
	assert_printed("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	assert_printed("\xc2\x9b", 2, "\\xc2\\x9b");                   /* CSI as a C1 control */
	assert_printed("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");          /* right-to-left override */
}

static void prints_names_once(void **state)
{
	(void)state;
	char name[32], out[64];

	text_printable(name, sizeof(name), "a\nb\\", 4);
	assert_string_equal(text_message(out, sizeof(out), name, strlen(name)), "a\\x0ab\\x5c");
	assert_string_equal(text_message(out, sizeof(out), "a\nb\033", 4), "a\\x0ab\\x1b");
}

static void cuts_names_with_dots(void **state)
{
	(void)state;
	char out[16];
	assert_string_equal(text_printable(out, 8, "1234567", 7), "1234567");
	assert_string_equal(text_printable(out, 8, "12345678", 8), "1234...");
	assert_string_equal(text_printable(out, 8, "123\n", 4), "123\\x0a");
	assert_string_equal(text_printable(out, 8, "1234\n", 5), "1234...");
	assert_string_equal(text_printable(out, 8, "123\xc3\xa9\xc3\xa9", 7), "123\xc3\xa9\xc3\xa9");
	assert_string_equal(text_printable(out, 8, "123\xc3\xa9\xc3\xa9z", 8), "123...");
	assert_string_equal(text_printable(out, 3, "12345678", 8), "..");
	assert_string_equal(text_printable(out, 1, "12345678", 8), "");
	out[0] = 'k';
	text_printable(out, 0, "1", 1);
	assert_int_equal(out[0], 'k');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_sizes),      cmocka_unit_test(parses_durations),
		cmocka_unit_test(parses_integers),   cmocka_unit_test(parses_booleans),
		cmocka_unit_test(speaks_to_people),  cmocka_unit_test(formats_what_it_parses),
		cmocka_unit_test(writes_hex),        cmocka_unit_test(prints_any_bytes),
		cmocka_unit_test(prints_names_once), cmocka_unit_test(cuts_names_with_dots),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
