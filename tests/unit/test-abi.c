/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the plug-in ABI is code and no table. Where each field lies, and each number, is compared by tests/tap/abi.t with
 * the list that was written down when the minor came out.
 */
#include "unit.h"

#include <xfer/plugin.h>

/* What stands in arrays, or is passed by value, can never grow. */
static void test_fixed(void **state)
{
	(void)state;
	assert_int_equal(sizeof(union xfer_value), 8);
	assert_int_equal(sizeof(enum xfer_kind), sizeof(int));
	assert_int_equal(sizeof(enum xfer_thread_model), sizeof(int));
	assert_int_equal(sizeof(enum xfer_verdict), sizeof(int));
	assert_int_equal(sizeof(enum xfer_log_level), sizeof(int));
}

/* Which field the other side has, by its struct_size. */
static void test_has(void **state)
{
	(void)state;
	struct xfer_host host = { .struct_size = offsetof(struct xfer_host, now) + sizeof(host.now) };
	assert_true(XFER_HAS(&host, now));
	assert_false(XFER_HAS(&host, random));
	host.struct_size -= 1;
	assert_false(XFER_HAS(&host, now));
	assert_true(XFER_HAS(&host, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_has),
	};
	return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
