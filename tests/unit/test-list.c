/* SPDX-License-Identifier: BSD-2-Clause */
/* base/list: first in is first out, and taking out twice is harmless. */
#include "unit.h"

#include "base/list.h"

struct item {
	int number;
	struct list link;
};

static int first_number(const struct list *head)
{
	return list_entry(list_first(head), struct item, link)->number;
}

static void keeps_order(void **state)
{
	(void)state;
	struct list head;
	struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_first(&head));

	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_prepend(&head, &items[0].link);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(first_number(&head), i);
		list_remove(list_first(&head));
	}
	assert_true(list_empty(&head));
}

static void may_remove_twice(void **state)
{
	(void)state;
	struct list head;
	struct item items[2] = { { .number = 1 }, { .number = 2 } };
	list_init(&head);
	list_append(&head, &items[0].link);
	list_append(&head, &items[1].link);
	list_remove(&items[0].link);
	list_remove(&items[0].link);
	assert_int_equal(first_number(&head), 2);
	assert_ptr_equal(head.next, head.prev);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_order), cmocka_unit_test(may_remove_twice) };
	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
