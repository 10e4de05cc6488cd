/* SPDX-License-Identifier: BSD-2-Clause */
/* base/nameset: names that were added are in it, and no others. */
#include "unit.h"

#include "base/nameset.h"

#include <stdio.h>
#include <string.h>

static bool have(const struct nameset *names, const char *name)
{
	return nameset_have(names, name, strlen(name));
}

static void has_what_was_added(void **state)
{
	struct nameset names = { 0 };
	char name[16];

	(void)state;
	for (int i = 0; i < 10000; i += 2) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(nameset_add(&names, name, strlen(name)), 0);
	}
	assert_int_equal(nameset_add(&names, "0", 1), 0); /* twice is no harm */
	nameset_sort(&names);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(have(&names, name), i % 2 == 0);
	}
	assert_false(have(&names, ""));
	nameset_free(&names);
	assert_false(have(&names, "0"));
}

static void takes_any_bytes(void **state)
{
	struct nameset names = { 0 };

	(void)state;
	assert_false(have(&names, "\xff"));
	nameset_sort(&names);
	assert_int_equal(nameset_add(&names, "\xff\n", 2), 0);
	nameset_sort(&names);
	assert_true(have(&names, "\xff\n"));
	assert_false(have(&names, "\xff"));
	assert_false(have(&names, "\n\xff"));
	nameset_free(&names);
	nameset_free(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_what_was_added),
		cmocka_unit_test(takes_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
