/* SPDX-License-Identifier: BSD-2-Clause */
/* base/heap: the earliest first, whatever is moved and removed meanwhile. */
#include "unit.h"

#include "base/heap.h"

enum { NODES = 500 };

static void is_empty_at_first(void **state)
{
	(void)state;
	struct heap heap = { 0 };
	struct heap_node node = { 0 };
	assert_null(heap_first(&heap));
	heap_remove(&heap, &node);
	heap_free(&heap);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static void gives_the_earliest_first(void **state)
{
	(void)state;
	struct heap heap = { 0 };
	struct heap_node nodes[NODES] = { 0 };
	uint64_t seed = 1;

	for (size_t i = 0; i < NODES; i++)
		assert_int_equal(heap_set(&heap, &nodes[i], next_random(&seed) % 100), 0);
	/* Every third moves, every seventh goes. */
	for (size_t i = 0; i < NODES; i += 3)
		assert_int_equal(heap_set(&heap, &nodes[i], next_random(&seed) % 100), 0);
	size_t left = NODES;
	for (size_t i = 0; i < NODES; i += 7, left--)
		heap_remove(&heap, &nodes[i]);
	assert_int_equal(heap.count, left);

	uint64_t last = 0;
	for (struct heap_node *node; (node = heap_first(&heap)) != NULL; left--) {
		assert_true(node->when >= last);
		assert_int_not_equal((node - nodes) % 7, 0);
		last = node->when;
		heap_remove(&heap, node);
		assert_int_equal(node->at, 0);
	}
	assert_int_equal(left, 0);
	heap_free(&heap);
}

static void forgets_its_nodes_when_freed(void **state)
{
	(void)state;
	struct heap heap = { 0 };
	struct heap_node node = { 0 };
	assert_int_equal(heap_set(&heap, &node, 5), 0);
	assert_ptr_equal(heap_first(&heap), &node);
	heap_free(&heap);
	assert_int_equal(node.at, 0);
	assert_int_equal(heap_set(&heap, &node, 6), 0);
	assert_ptr_equal(heap_first(&heap), &node);
	heap_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_empty_at_first),
		cmocka_unit_test(gives_the_earliest_first),
		cmocka_unit_test(forgets_its_nodes_when_freed),
	};
	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
