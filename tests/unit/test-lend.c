/* SPDX-License-Identifier: BSD-2-Clause */
/* Lent buffers: the budget, what comes back, and what is given back to the system. */
#include "unit.h"

#include "pipeline/lend.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { MIB = 1024 * 1024 };

static void the_budget_is_kept(void **state)
{
	struct lender *lender;
	struct lent *held[64];
	unsigned count = 0;
	(void)state;
	assert_int_equal(lend_create(&lender, 8 * MIB), 0);
	assert_int_equal(lend_budget(lender), 8 * MIB);
	while (count < COUNT(held) && (held[count] = lend_get(lender, MIB)) != NULL) {
		assert_true(held[count]->size >= MIB);
		assert_int_equal((uintptr_t)held[count]->data % 4096, 0);
		memset(held[count]->data, (int)count, held[count]->size);
		count++;
	}
	assert_int_equal(count, 8);
	assert_int_equal(lend_out(lender), 8 * MIB);
	assert_null(lend_get(lender, 1));
	lent_unref(held[3]);
	held[3] = lend_get(lender, MIB);
	assert_non_null(held[3]);
	assert_null(lend_get(lender, 1));
	while (count-- > 0)
		lent_unref(held[count]);
	assert_int_equal(lend_out(lender), 0);
	lend_destroy(lender);
}

static void one_that_is_larger_comes_alone(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, MIB), 0);
	struct lent *large = lend_get(lender, 17 * MIB);
	assert_non_null(large);
	assert_null(lend_get(lender, 1));
	lent_unref(large);
	struct lent *small = lend_get(lender, 1);
	assert_non_null(small);
	assert_null(lend_get(lender, 17 * MIB));
	lent_unref(small);
	struct lent *huge = lend_get(lender, 200 * MIB); /* beyond all ranks */
	assert_non_null(huge);
	huge->data[huge->size - 1] = 1;
	lent_unref(huge);
	assert_null(lend_get(lender, SIZE_MAX - 100));
	lend_destroy(lender);
}

static void a_reference_holds_it(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, MIB), 0);
	struct lent *lent = lend_get(lender, 5000);
	assert_ptr_equal(lent_ref(lent), lent);
	lent_unref(lent);
	assert_int_equal(lend_out(lender), lent->size);
	lent_unref(lent);
	assert_int_equal(lend_out(lender), 0);
	lent_unref(NULL);
	lend_destroy(lender);
}

static void what_came_back_last_goes_out_first(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, 8 * MIB), 0);
	struct lent *a = lend_get(lender, MIB - 5000), *b = lend_get(lender, MIB - 5000);
	uint8_t *data = b->data;
	lent_unref(a);
	lent_unref(b);
	struct lent *c = lend_get(lender, MIB - 9000); /* the same rank */
	assert_ptr_equal(c->data, data);
	lent_unref(c);
	lend_destroy(lender);
}

/* Bytes of the range that are mapped: asked page by page. */
static size_t mapped(uint8_t *data, size_t size)
{
	size_t count = 0;
	unsigned char core;
	for (size_t at = 0; at < size; at += 4096)
		if (mincore(data + at, 1, &core) == 0)
			count += 4096;
	return count;
}

static void trim_gives_all_back(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, 8 * MIB), 0);
	struct lent *lent = lend_get(lender, MIB);
	uint8_t *data = lent->data;
	lent_unref(lent);
	assert_int_equal(mapped(data, MIB), MIB); /* kept for the next one */
	lend_trim(lender);
	assert_int_equal(mapped(data, MIB), 0);
	lend_destroy(lender);
}

/* Free buffers of other sizes never add up to more than the budget. */
static void spares_are_in_the_budget(void **state)
{
	struct lender *lender;
	struct lent *held[8];
	uint8_t *data[8];
	(void)state;
	assert_int_equal(lend_create(&lender, 8 * MIB), 0);
	for (int i = 0; i < 8; i++) {
		held[i] = lend_get(lender, MIB);
		assert_non_null(held[i]);
		data[i] = held[i]->data;
	}
	for (int i = 0; i < 8; i++)
		lent_unref(held[i]);
	struct lent *other = lend_get(lender, 6 * MIB);
	assert_non_null(other);
	size_t left = 0;
	for (int i = 0; i < 8; i++)
		if (other->data + other->size <= data[i] || data[i] + MIB <= other->data)
			left += mapped(data[i], MIB);
	assert_true(left <= 2 * MIB);
	lent_unref(other);
	lend_destroy(lender);
}

static void shares_are_kept(void **state)
{
	struct lender *lender;
	struct lent *fresh[4], *moving[4];
	(void)state;
	assert_int_equal(lend_create(&lender, 4 * MIB), 0);
	assert_int_equal(lend_room(lender, LEND_NEW), 4 * MIB);
	lend_share(lender, LEND_NEW, 2 * MIB);
	assert_int_equal(lend_room(lender, LEND_NEW), 2 * MIB);
	fresh[0] = lend_get_for(lender, LEND_NEW, MIB);
	fresh[1] = lend_get_for(lender, LEND_NEW, MIB);
	assert_non_null(fresh[1]);
	assert_null(lend_get_for(lender, LEND_NEW, 1));
	assert_int_equal(lend_room(lender, LEND_NEW), 0);
	assert_int_equal(lend_room(lender, LEND_MOVING), 2 * MIB);
	moving[0] = lend_get(lender, MIB);
	moving[1] = lend_get(lender, MIB);
	assert_non_null(moving[1]);
	assert_null(lend_get(lender, 1));
	lent_unref(moving[0]);

	/* The room is in the other share. */
	assert_null(lend_get_for(lender, LEND_NEW, 1));
	assert_false(lend_reuse(moving[1], LEND_NEW));
	assert_true(lend_reuse(fresh[0], LEND_MOVING));
	fresh[2] = lend_get_for(lender, LEND_NEW, MIB);
	assert_non_null(fresh[2]);
	assert_null(lend_get_for(lender, LEND_NEW, 1));
	lent_unref(fresh[0]);
	lent_unref(fresh[1]);
	lent_unref(fresh[2]);
	lent_unref(moving[1]);
	assert_int_equal(lend_room(lender, LEND_NEW), 2 * MIB);

	/* One that is larger than its share comes alone. */
	fresh[0] = lend_get_for(lender, LEND_NEW, 3 * MIB);
	assert_non_null(fresh[0]);
	assert_null(lend_get_for(lender, LEND_NEW, 1));
	lent_unref(fresh[0]);
	assert_int_equal(lend_out(lender), 0);
	lend_destroy(lender);
}

/* Every size gets enough, and hardly more. */
static void ranks_fit(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, (size_t)1 << 40), 0);
	for (size_t size = 1; size < 80 * (size_t)MIB; size += size / 9 + 1) {
		struct lent *lent = lend_get(lender, size);
		assert_non_null(lent);
		assert_true(lent->size >= size);
		assert_int_equal(lent->size % 4096, 0);
		assert_true(lent->size <= 32768 || lent->size <= size + size / 8 + 4096);
		lent_unref(lent);
	}
	lend_destroy(lender);
}

/* As much of one size goes back as another size takes. */
static void sizes_take_turns(void **state)
{
	struct lender *lender;
	struct lent *held[4];
	struct lent *small[4];
	(void)state;
	assert_int_equal(lend_create(&lender, 16 * MIB), 0);
	for (unsigned i = 0; i < COUNT(held); i++)
		assert_non_null(held[i] = lend_get(lender, MIB));
	for (unsigned i = 0; i < COUNT(held); i++)
		lent_unref(held[i]);
	for (unsigned i = 0; i < COUNT(small); i++)
		assert_non_null(small[i] = lend_get(lender, MIB / 2));
	/* Two MiB, an eighth of the budget, may stay. */
	assert_int_equal(lend_spare(lender), 2 * MIB);
	for (unsigned i = 0; i < COUNT(small); i++)
		lent_unref(small[i]);
	lend_destroy(lender);
}

static void rest_gives_back(void **state)
{
	struct lender *lender;
	(void)state;
	assert_int_equal(lend_create(&lender, 16 * MIB), 0);
	assert_true(lend_rest(lender));
	lent_unref(lend_get(lender, MIB));
	assert_false(lend_rest(lender)); /* it was lent meanwhile */
	assert_int_equal(lend_spare(lender), MIB);
	assert_true(lend_rest(lender));
	assert_int_equal(lend_spare(lender), 0);
	lend_destroy(lender);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_budget_is_kept),   cmocka_unit_test(one_that_is_larger_comes_alone),
		cmocka_unit_test(a_reference_holds_it), cmocka_unit_test(what_came_back_last_goes_out_first),
		cmocka_unit_test(trim_gives_all_back),  cmocka_unit_test(spares_are_in_the_budget),
		cmocka_unit_test(shares_are_kept),      cmocka_unit_test(ranks_fit),
		cmocka_unit_test(sizes_take_turns),     cmocka_unit_test(rest_gives_back),
	};
	return cmocka_run_group_tests_name("lend", tests, NULL, NULL);
}
