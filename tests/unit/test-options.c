/* SPDX-License-Identifier: BSD-2-Clause */
/* config/options: texts by their row of a table, errors that name what is wrong, and a section filled from both. */
#include "unit.h"

#include "config/options.h"
#include "config/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { FLAG, COUNTER, LIMIT, PAUSE, NAME, TOKEN, OPTIONS };

static const struct xfer_option TABLE[OPTIONS] = {
	[FLAG] = { .name = "flag", .type = XFER_OPTION_BOOL, .default_text = "no" },
	[COUNTER] = { .name = "counter",
	              .type = XFER_OPTION_INT,
	              .default_text = "3",
	              .min = -5,
	              .max = 100,
	              .unit = "beans" },
	[LIMIT] = { .name = "limit", .type = XFER_OPTION_SIZE, .default_text = "1M", .min = 1024, .max = INT64_MAX },
	[PAUSE] = { .name = "pause",
	            .type = XFER_OPTION_DURATION,
	            .default_text = "500ms",
	            .min = 1000000,
	            .max = INT64_C(3600000000000) },
	[NAME] = { .name = "name", .type = XFER_OPTION_STRING, .default_text = "joe", .max = 8 },
	[TOKEN] = { .name = "token",
	            .type = XFER_OPTION_STRING,
	            .default_text = "x",
	            .max = 4,
	            .flags = XFER_OPTION_SECRET },
};

static void assert_round_trip(int option, const char *text, const char *expected)
{
	union xfer_value value;
	struct error err = { 0 };
	struct buf out = { 0 };
	assert_int_equal(option_parse(&TABLE[option], text, &value, &err), 0);
	assert_int_equal(option_format(&TABLE[option], &value, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

static void assert_refused(int option, const char *text, int code, const char *expected)
{
	union xfer_value value = { .number = 4711 };
	struct error err = { 0 };
	assert_int_equal(option_parse(&TABLE[option], text, &value, &err), code);
	assert_string_equal(err.text, expected);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_int_equal(value.number, 4711);
	assert_int_equal(option_parse(&TABLE[option], text, &value, NULL), code);
}

static void reads_and_writes_each_type(void **state)
{
	(void)state;
	assert_round_trip(FLAG, "yes", "yes");
	assert_round_trip(FLAG, "off", "no");
	assert_round_trip(COUNTER, "-5", "-5");
	assert_round_trip(COUNTER, "100", "100");
	assert_round_trip(LIMIT, "1K", "1K");
	assert_round_trip(LIMIT, "65536", "64K");
	assert_round_trip(PAUSE, "1000ms", "1s");
	assert_round_trip(PAUSE, "1h", "1h");
	assert_round_trip(NAME, "12345678", "12345678");
	assert_round_trip(NAME, "", "");
	assert_round_trip(TOKEN, "abc", "(secret)");
}

static void refuses_by_name_value_and_range(void **state)
{
	(void)state;
	assert_refused(FLAG, "maybe", -EINVAL, "flag = maybe: not yes or no");
	assert_refused(COUNTER, "many", -EINVAL, "counter = many: not a whole number");
	assert_refused(COUNTER, "101", -ERANGE, "counter = 101: out of range, it is -5 to 100 beans");
	assert_refused(COUNTER, "-6", -ERANGE, "counter = -6: out of range, it is -5 to 100 beans");
	assert_refused(COUNTER, "99999999999999999999", -ERANGE,
	               "counter = 99999999999999999999: out of range, it is -5 to 100 beans");
	assert_refused(LIMIT, "1023", -ERANGE, "limit = 1023: out of range, it is at least 1K");
	assert_refused(LIMIT, "9223372036854775808", -ERANGE,
	               "limit = 9223372036854775808: out of range, it is at least 1K");
	assert_refused(LIMIT, "a lot", -EINVAL, "limit = a lot: not a size such as 4096, 64K, 1M or 2G");
	assert_refused(PAUSE, "5", -EINVAL, "pause = 5: not a duration such as 500ms, 4s or 10m");
	assert_refused(PAUSE, "999us", -ERANGE, "pause = 999us: out of range, it is 1ms to 1h");
	assert_refused(PAUSE, "0", -ERANGE, "pause = 0: out of range, it is 1ms to 1h");
	assert_refused(NAME, "123456789", -ERANGE, "name = 123456789: out of range, it is at most 8 bytes");
	assert_refused(TOKEN, "hunter2", -ERANGE, "token = (secret): out of range, it is at most 4 bytes");
}

static void lends_the_text_of_a_string(void **state)
{
	(void)state;
	const char *text = "lent";
	union xfer_value value;
	assert_int_equal(option_parse(&TABLE[NAME], text, &value, NULL), 0);
	assert_ptr_equal(value.text, text);
}

static void knows_no_bound_where_none_is_set(void **state)
{
	(void)state;
	const struct xfer_option open = { .name = "open", .type = XFER_OPTION_INT };
	union xfer_value value;
	struct buf out = { 0 };
	assert_int_equal(option_parse(&open, "-9223372036854775808", &value, NULL), 0);
	assert_true(value.integer == INT64_MIN);
	assert_int_equal(option_range(&open, &out), 0);
	assert_int_equal(out.len, 0);
	struct error err = { 0 };
	assert_int_equal(option_parse(&open, "9223372036854775808", &value, &err), -ERANGE);
	assert_string_equal(err.text, "open = 9223372036854775808: the number is too large");
	buf_free(&out);
}

static char KIND[] = "transport", PLUGIN[] = "fake", FILE_NAME[] = "a.ini", SET[] = "--set";

static void fills_from_section_and_defaults(void **state)
{
	(void)state;
	char counter[] = "counter", seven[] = "7", name[] = "name", jim[] = "jim";
	struct settings_line lines[] = {
		{ .key = counter, .value = seven, .file = FILE_NAME, .line = 12 },
		{ .key = name, .value = jim, .file = SET },
	};
	struct settings_section section = { .kind = KIND, .name = PLUGIN, .lines = lines, .count = COUNT(lines) };
	union xfer_value values[OPTIONS];
	assert_int_equal(options_fill(TABLE, OPTIONS, &section, values, NULL), 0);
	assert_int_equal(values[COUNTER].integer, 7);
	assert_string_equal(values[NAME].text, "jim");
	assert_int_equal(values[FLAG].boolean, 0);
	assert_int_equal(values[LIMIT].number, 1048576);
	assert_int_equal(values[PAUSE].number, 500000000);

	assert_int_equal(options_fill(TABLE, OPTIONS, NULL, values, NULL), 0);
	assert_int_equal(values[COUNTER].integer, 3);
	assert_string_equal(values[NAME].text, "joe");
}

static void names_the_place_of_a_bad_line(void **state)
{
	(void)state;
	char counter[] = "counter", lots[] = "lots", nonsense[] = "nonsense";
	struct settings_line line = { .key = counter, .value = lots, .file = FILE_NAME, .line = 12 };
	struct settings_section section = { .kind = KIND, .name = PLUGIN, .lines = &line, .count = 1 };
	union xfer_value values[OPTIONS];
	struct error err = { 0 };

	assert_int_equal(options_fill(TABLE, OPTIONS, &section, values, &err), -EINVAL);
	assert_string_equal(err.text, "a.ini:12: [transport.fake]: counter = lots: not a whole number");
	line.file = SET;
	line.line = 0;
	line.key = nonsense;
	assert_int_equal(options_fill(TABLE, OPTIONS, &section, values, &err), -EINVAL);
	assert_string_equal(err.text, "--set: [transport.fake]: unknown key 'nonsense'");
	/* A plug-in without options knows no key at all. */
	assert_int_equal(options_fill(NULL, 0, &section, NULL, &err), -EINVAL);
	assert_int_equal(options_fill(NULL, 0, NULL, NULL, &err), 0);
}

static void misses_what_is_required(void **state)
{
	(void)state;
	const struct xfer_option required = { .name = "key-file",
		                              .type = XFER_OPTION_STRING,
		                              .flags = XFER_OPTION_REQUIRED };
	struct settings_section section = { .kind = KIND, .name = PLUGIN };
	union xfer_value value;
	struct error err = { 0 };
	assert_int_equal(options_fill(&required, 1, &section, &value, &err), -EINVAL);
	assert_string_equal(err.text, "[transport.fake]: the key 'key-file' is required and not set");
	assert_int_equal(options_fill(&required, 1, NULL, &value, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_each_type),      cmocka_unit_test(refuses_by_name_value_and_range),
		cmocka_unit_test(lends_the_text_of_a_string),      cmocka_unit_test(knows_no_bound_where_none_is_set),
		cmocka_unit_test(fills_from_section_and_defaults), cmocka_unit_test(names_the_place_of_a_bad_line),
		cmocka_unit_test(misses_what_is_required),
	};
	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
