/* SPDX-License-Identifier: BSD-2-Clause */
/* base/error: code, fault and one printable line. */
#include "unit.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>

static void keeps_what_it_is_told(void **state)
{
	(void)state;
	struct error err = { 0 };
	assert_int_equal(error_set(&err, -EPROTO, FAULT_PEER, "frame %d of %s", 3, "peer"), -EPROTO);
	assert_int_equal(err.code, -EPROTO);
	assert_int_equal(err.fault, FAULT_PEER);
	assert_string_equal(err.text, "frame 3 of peer");
	error_clear(&err);
	assert_int_equal(err.code, 0);
	assert_int_equal(err.fault, FAULT_NONE);
	assert_string_equal(err.text, "");
}

static void allows_nobody_to_listen(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EIO, FAULT_LOCAL, "x"), -EIO);
	assert_int_equal(error_system(NULL, -EIO, FAULT_LOCAL, "x"), -EIO);
	error_prefix(NULL, "x");
	error_clear(NULL);
}

static void adds_the_systems_text(void **state)
{
	(void)state;
	struct error err = { 0 };
	assert_int_equal(error_system(&err, -ENOENT, FAULT_LOCAL, "%s", "/etc/nothing"), -ENOENT);
	assert_string_equal(err.text, "/etc/nothing: No such file or directory");
}

static void prefixes(void **state)
{
	(void)state;
	struct error err = { 0 };
	error_prefix(&err, "nothing happened");
	assert_string_equal(err.text, "");
	error_set(&err, -EIO, FAULT_LOCAL, "cannot read");
	error_prefix(&err, "file %d", 7);
	assert_string_equal(err.text, "file 7: cannot read");
	assert_int_equal(err.code, -EIO);
	assert_int_equal(err.fault, FAULT_LOCAL);
}

static void may_repeat_its_own_text(void **state)
{
	(void)state;
	struct error err = { 0 };
	error_set(&err, -EIO, FAULT_LOCAL, "inner");
	error_set(&err, -EPROTO, FAULT_PEER, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void cuts_what_is_too_long(void **state)
{
	(void)state;
	struct error err = { 0 };
	char text[ERROR_TEXT_MAX * 2];
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EIO, FAULT_LOCAL, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERROR_TEXT_MAX - 5, "a...");

	error_system(&err, -EIO, FAULT_LOCAL, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "...");

	/* Two-byte letters: a cut in the middle of one would leave half of it. */
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		text[i] = i % 2 == 0 ? '\xc3' : '\xa9';
	for (size_t shift = 0; shift < 2; shift++) {
		error_set(&err, -EIO, FAULT_LOCAL, "%s%s", shift == 0 ? "" : "x", text);
		assert_null(strchr(err.text, '?'));
		assert_string_equal(err.text + strlen(err.text) - 5, "\xc3\xa9...");
	}
}

static void stays_one_printable_line(void **state)
{
	(void)state;
	struct error err = { 0 };
	error_set(&err, -EIO, FAULT_LOCAL, "a\nb\033[2J\xff\xc3\xa9");
	assert_string_equal(err.text, "a b?[2J?\xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_it_is_told),    cmocka_unit_test(allows_nobody_to_listen),
		cmocka_unit_test(adds_the_systems_text),    cmocka_unit_test(prefixes),
		cmocka_unit_test(may_repeat_its_own_text),  cmocka_unit_test(cuts_what_is_too_long),
		cmocka_unit_test(stays_one_printable_line),
	};
	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
