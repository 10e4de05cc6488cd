/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lent buffers. Sizes are rounded up to ranks, eight per power of two, so that a returned buffer serves the next one
 * who asks although no two sessions agree on sizes, and at most a ninth is wasted (as addresses; untouched pages cost
 * nothing). What is out and what lies free together stay within the budget.
 */
#include "pipeline/lend.h"

#include "pipeline/pipes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	RANK_STEPS = 8,      /* ranks per power of two */
	RANK_MIN_SHIFT = 15, /* 32 KiB, the smallest */
	RANK_MAX_SHIFT = 26, /* 64 MiB and beyond have no rank: never kept */
	RANKS = (RANK_MAX_SHIFT - RANK_MIN_SHIFT) * RANK_STEPS + 1,
	SPARE_PART = 8 /* of the budget: so much may lie free in sizes that nobody asks for */
};

struct lender {
	size_t budget;
	size_t out;               /* bytes lent now */
	size_t spare;             /* bytes in the free lists */
	bool moved;               /* something was lent since lend_rest() looked */
	size_t used[LEND_USES];   /* of `out` */
	size_t shares[LEND_USES]; /* what `used` may come to */
	struct lent *free[RANKS];
};

static size_t rank_bytes(unsigned rank)
{
	size_t base = (size_t)1 << (RANK_MIN_SHIFT + rank / RANK_STEPS);

	return base + base / RANK_STEPS * (rank % RANK_STEPS);
}

/* The smallest rank that holds `size`; RANKS when there is none. */
static unsigned rank_of(size_t size)
{
	unsigned rank = 0;

	if (size > rank_bytes(0)) {
		unsigned shift = 63 - (unsigned)__builtin_clzll(size - 1); /* 1 << shift < size <= 2 << shift */

		if (shift >= RANK_MAX_SHIFT)
			return RANKS;
		rank = (shift - RANK_MIN_SHIFT) * RANK_STEPS;
		while (rank_bytes(rank) < size)
			rank++;
	}
	return rank < RANKS ? rank : RANKS;
}

int lend_create(struct lender **out, size_t budget)
{
	struct lender *lender = calloc(1, sizeof(*lender));

	if (lender == NULL)
		return -ENOMEM;
	lender->budget = budget;
	for (int use = 0; use < LEND_USES; use++)
		lender->shares[use] = budget;
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
	for (unsigned rank = RANKS; rank-- > 0 && lender->spare > keep;) {
		while (lender->free[rank] != NULL && lender->spare > keep) {
			struct lent *lent = lender->free[rank];

			lender->free[rank] = lent->next;
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

/* A buffer of this size fits into what may be lent. A single one always does. */
static bool fits(size_t out, size_t limit, size_t size)
{
	return out == 0 || (size <= limit && out <= limit - size);
}

/* Before more is mapped as much goes back: what was lent for one kind of transfer does not add up to what the next needs. */
static void lend_exchange(struct lender *lender, size_t size)
{
	size_t most = lender->out + size < lender->budget ? lender->budget - lender->out - size : 0;
	size_t keep = lender->spare > size ? lender->spare - size : 0;

	if (keep < lender->budget / SPARE_PART)
		keep = lender->budget / SPARE_PART;
	lend_shrink(lender, keep < most ? keep : most);
}

struct lent *lend_get(struct lender *lender, size_t size)
{
	return lend_get_for(lender, LEND_MOVING, size);
}

struct lent *lend_get_for(struct lender *lender, enum lend_use use, size_t size)
{
	unsigned rank = rank_of(size);

	if (size > SIZE_MAX - PAGE)
		return NULL;
	size = rank < RANKS ? rank_bytes(rank) : (size + PAGE - 1) / PAGE * PAGE;
	if (!fits(lender->out, lender->budget, size) || !fits(lender->used[use], lender->shares[use], size))
		return NULL;

	struct lent *lent = rank < RANKS ? lender->free[rank] : NULL;
	if (lent != NULL) {
		lender->free[rank] = lent->next;
		lender->spare -= size;
	} else {
		lend_exchange(lender, size);
		lent = lent_map(lender, size);
		if (lent == NULL)
			return NULL;
	}
	lender->moved = true;
	lent->refs = 1;
	lent->use = use;
	lent->next = NULL;
	lender->out += size;
	lender->used[use] += size;
	return lent;
}

struct lent *lent_ref(struct lent *lent)
{
	lent->refs++;
	return lent;
}

bool lend_reuse(struct lent *lent, enum lend_use use)
{
	struct lender *lender = lent->lender;

	if (lent->use != use && !fits(lender->used[use], lender->shares[use], lent->size))
		return false;
	lender->used[lent->use] -= lent->size;
	lender->used[use] += lent->size;
	lent->use = use;
	return true;
}

void lent_unref(struct lent *lent)
{
	if (lent == NULL || --lent->refs > 0)
		return;

	struct lender *lender = lent->lender;
	unsigned rank = rank_of(lent->size);

	if (lent->pipes != NULL)
		pipes_give(lent->pool, lent->pipes);
	lent->pipes = NULL;

	lender->out -= lent->size;
	lender->used[lent->use] -= lent->size;
	if (rank >= RANKS || lender->out + lender->spare + lent->size > lender->budget) {
		lent_free(lent);
		return;
	}
	/* The one that comes back last goes out first: it is the one still in the processor's caches. */
	lent->next = lender->free[rank];
	lender->free[rank] = lent;
	lender->spare += lent->size;
}

size_t lend_out(const struct lender *lender)
{
	return lender->out;
}

size_t lend_spare(const struct lender *lender)
{
	return lender->spare;
}

size_t lend_budget(const struct lender *lender)
{
	return lender->budget;
}

void lend_share(struct lender *lender, enum lend_use use, size_t bytes)
{
	lender->shares[use] = bytes;
}

size_t lend_room(const struct lender *lender, enum lend_use use)
{
	size_t all = lender->budget > lender->out ? lender->budget - lender->out : 0;
	size_t own = lender->shares[use] > lender->used[use] ? lender->shares[use] - lender->used[use] : 0;

	return all < own ? all : own;
}

void lend_trim(struct lender *lender)
{
	lend_shrink(lender, 0);
}

bool lend_rest(struct lender *lender)
{
	if (!lender->moved)
		lend_shrink(lender, 0);
	lender->moved = false;
	return lender->spare == 0;
}
