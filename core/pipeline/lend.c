/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lent buffers. Sizes are rounded up to classes, four per power of two, so that a returned buffer serves the next one
 * who asks although no two sessions agree on sizes, and at most a fifth is wasted (as addresses; untouched pages cost
 * nothing). What is out and what lies free together stay within the budget.
 */
#include "pipeline/lend.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	CLASS_STEPS = 4,      /* classes per power of two */
	CLASS_MIN_SHIFT = 14, /* 16 KiB, the smallest */
	CLASS_MAX_SHIFT = 26, /* 64 MiB and beyond have no class: never kept */
	CLASSES = (CLASS_MAX_SHIFT - CLASS_MIN_SHIFT) * CLASS_STEPS + 1
};

struct lender {
	size_t budget;
	size_t out;    /* bytes lent now */
	size_t spare;  /* bytes in the free lists */
	struct lent *free[CLASSES];
};

static size_t class_size(unsigned class)
{
	size_t base = (size_t)1 << (CLASS_MIN_SHIFT + class / CLASS_STEPS);

	return base + base / CLASS_STEPS * (class % CLASS_STEPS);
}

/* The smallest class that holds `size`; CLASSES when there is none. */
static unsigned class_of(size_t size)
{
	unsigned class = 0;

	if (size > class_size(0)) {
		unsigned shift = 63 - (unsigned)__builtin_clzll(size - 1); /* 1 << shift < size <= 2 << shift */

		if (shift >= CLASS_MAX_SHIFT)
			return CLASSES;
		class = (shift - CLASS_MIN_SHIFT) * CLASS_STEPS;
		while (class_size(class) < size)
			class++;
	}
	return class < CLASSES ? class : CLASSES;
}

int lend_create(struct lender **out, size_t budget)
{
	struct lender *lender = calloc(1, sizeof(*lender));

	if (lender == NULL)
		return -ENOMEM;
	lender->budget = budget;
	*out = lender;
	return 0;
}

void lend_destroy(struct lender *lender)
{
	if (lender == NULL)
		return;
	lend_trim(lender);
	free(lender);
}

static void lent_free(struct lent *lent)
{
	munmap(lent->data, lent->size);
	free(lent);
}

/* Gives free buffers back to the system, the largest first, until no more than `keep` bytes of them are left. */
static void lend_shrink(struct lender *lender, size_t keep)
{
	for (unsigned class = CLASSES; class-- > 0 && lender->spare > keep;) {
		while (lender->free[class] != NULL && lender->spare > keep) {
			struct lent *lent = lender->free[class];

			lender->free[class] = lent->next;
			lender->spare -= lent->size;
			lent_free(lent);
		}
	}
}

static struct lent *lent_map(struct lender *lender, size_t size)
{
	struct lent *lent = malloc(sizeof(*lent));

	if (lent == NULL)
		return NULL;
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED) {
		free(lent);
		return NULL;
	}
	*lent = (struct lent){ .data = data, .size = size, .lender = lender };
	return lent;
}

struct lent *lend_get(struct lender *lender, size_t size)
{
	unsigned class = class_of(size);

	if (size > SIZE_MAX - PAGE)
		return NULL;
	size = class < CLASSES ? class_size(class) : (size + PAGE - 1) / PAGE * PAGE;
	if (lender->out > 0 && (size > lender->budget || lender->out > lender->budget - size))
		return NULL;

	struct lent *lent = class < CLASSES ? lender->free[class] : NULL;
	if (lent != NULL) {
		lender->free[class] = lent->next;
		lender->spare -= size;
	} else {
		size_t taken = lender->out + size;

		lend_shrink(lender, taken < lender->budget ? lender->budget - taken : 0);
		lent = lent_map(lender, size);
		if (lent == NULL)
			return NULL;
	}
	lent->refs = 1;
	lent->next = NULL;
	lender->out += size;
	return lent;
}

struct lent *lent_ref(struct lent *lent)
{
	lent->refs++;
	return lent;
}

void lent_unref(struct lent *lent)
{
	if (lent == NULL || --lent->refs > 0)
		return;

	struct lender *lender = lent->lender;
	unsigned class = class_of(lent->size);

	lender->out -= lent->size;
	if (class >= CLASSES || lender->out + lender->spare + lent->size > lender->budget) {
		lent_free(lent);
		return;
	}
	/* The one that comes back last goes out first: it is the one still in the processor's caches. */
	lent->next = lender->free[class];
	lender->free[class] = lent;
	lender->spare += lent->size;
}

size_t lend_out(const struct lender *lender)
{
	return lender->out;
}

size_t lend_budget(const struct lender *lender)
{
	return lender->budget;
}

void lend_trim(struct lender *lender)
{
	lend_shrink(lender, 0);
}
