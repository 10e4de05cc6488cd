/* SPDX-License-Identifier: BSD-2-Clause */
/* base/checked: says when a sum or a product does not fit. */
#include "unit.h"

#include "base/checked.h"

static void adds(void **state)
{
	(void)state;
	uint64_t out = 7;
	assert_false(checked_add_u64(UINT64_MAX - 1, 1, &out));
	assert_true(out == UINT64_MAX);
	out = 7;
	assert_true(checked_add_u64(UINT64_MAX, 1, &out));
	assert_int_equal(out, 7);
}

static void multiplies(void **state)
{
	(void)state;
	uint64_t out = 7;
	assert_false(checked_mul_u64(UINT64_C(1) << 32, UINT32_MAX, &out));
	assert_true(out == UINT64_C(0xffffffff00000000));
	out = 7;
	assert_true(checked_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &out));
	assert_int_equal(out, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(adds), cmocka_unit_test(multiplies) };
	return cmocka_run_group_tests_name("checked", tests, NULL, NULL);
}
