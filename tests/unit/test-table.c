/* SPDX-License-Identifier: BSD-2-Clause */
/* base/table: against a plain array that knows what should be in it. */
#include "unit.h"

#include "base/table.h"

#include <errno.h>
#include <stdbool.h>

enum { KEYS = 1000 };

static void finds_nothing_in_nothing(void **state)
{
	(void)state;
	struct table table = { 0 };
	size_t at = 0;
	assert_null(table_get(&table, 0));
	assert_null(table_remove(&table, 0));
	assert_null(table_next(&table, &at, NULL));
	table_free(&table);
}

static void refuses_a_key_twice(void **state)
{
	(void)state;
	struct table table = { 0 };
	int a, b;
	assert_int_equal(table_put(&table, 0, &a), 0);
	assert_int_equal(table_put(&table, 0, &b), -EEXIST);
	assert_ptr_equal(table_get(&table, 0), &a);
	assert_ptr_equal(table_remove(&table, 0), &a);
	assert_null(table_get(&table, 0));
	assert_int_equal(table_put(&table, 0, &b), 0);
	assert_ptr_equal(table_get(&table, 0), &b);
	table_free(&table);
}

/* Keys that share their low bits, as slots and request ids of one client do. */
static uint64_t key_of(size_t i)
{
	return i % 2 == 0 ? (uint64_t)i : (uint64_t)i << 40;
}

static void remembers_all_through_growth_and_removal(void **state)
{
	(void)state;
	struct table table = { 0 };
	int values[KEYS];
	bool in[KEYS] = { false };
	uint64_t seed = 42;

	for (int step = 0; step < 20000; step++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		size_t i = (size_t)(seed >> 33) % KEYS;
		/* The first half mostly adds, the second mostly removes. */
		bool add = (seed >> 20) % 4 != (step < 10000 ? 0 : 1) && (step < 10000 || (seed >> 22) % 4 == 0);
		if (add) {
			assert_int_equal(table_put(&table, key_of(i), &values[i]), in[i] ? -EEXIST : 0);
			in[i] = true;
		} else {
			assert_ptr_equal(table_remove(&table, key_of(i)), in[i] ? &values[i] : NULL);
			in[i] = false;
		}
	}

	size_t expected = 0;
	for (size_t i = 0; i < KEYS; i++) {
		assert_ptr_equal(table_get(&table, key_of(i)), in[i] ? &values[i] : NULL);
		expected += in[i];
	}
	assert_int_equal(table.count, expected);

	size_t at = 0, seen = 0;
	uint64_t key = 0;
	for (int *value; (value = table_next(&table, &at, &key)) != NULL; seen++) {
		size_t i = (size_t)(value - values);
		assert_true(in[i]);
		assert_true(key == key_of(i));
	}
	assert_int_equal(seen, expected);
	table_free(&table);
}

static void gives_memory_back(void **state)
{
	(void)state;
	struct table table = { 0 };
	int value;
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(table_put(&table, i, &value), 0);
	assert_true(table.cap >= 10000);
	for (uint64_t i = 0; i < 10000; i++)
		assert_non_null(table_remove(&table, i));
	assert_int_equal(table.count, 0);
	assert_int_equal(table.cap, 8);
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_in_nothing),
		cmocka_unit_test(refuses_a_key_twice),
		cmocka_unit_test(remembers_all_through_growth_and_removal),
		cmocka_unit_test(gives_memory_back),
	};
	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
