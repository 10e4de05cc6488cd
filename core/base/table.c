/* SPDX-License-Identifier: BSD-2-Clause */
/* A map from a number to a pointer: open addressing with linear probing. */
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

enum { TABLE_CAP_MIN = 8 }; /* slots; a power of two */

/* Where the search for a key starts. Keys are often counted up or chosen by a peer: spread them. */
static size_t table_home(const struct table *table, uint64_t key)
{
	key ^= key >> 33;
	key *= UINT64_C(0xff51afd7ed558ccd);
	key ^= key >> 33;
	key *= UINT64_C(0xc4ceb9fe1a85ec53);
	key ^= key >> 33;
	return (size_t)key & (table->cap - 1);
}

/* The slot that holds the key, or the free one where it belongs. There is always a free one. */
static struct table_slot *table_find(const struct table *table, uint64_t key)
{
	size_t at = table_home(table, key);
	while (table->slots[at].value != NULL && table->slots[at].key != key)
		at = (at + 1) & (table->cap - 1);
	return &table->slots[at];
}

static int table_resize(struct table *table, size_t cap)
{
	struct table next = { .cap = cap, .count = table->count };
	next.slots = calloc(cap, sizeof(struct table_slot));
	if (next.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < table->cap; i++)
		if (table->slots[i].value != NULL)
			*table_find(&next, table->slots[i].key) = table->slots[i];
	free(table->slots);
	*table = next;
	return 0;
}

void *table_get(const struct table *table, uint64_t key)
{
	return table->count == 0 ? NULL : table_find(table, key)->value;
}

int table_put(struct table *table, uint64_t key, void *value)
{
	if (table_get(table, key) != NULL)
		return -EEXIST;
	if ((table->count + 1) * 4 > table->cap * 3) {
		int rc = table_resize(table, table->cap == 0 ? TABLE_CAP_MIN : table->cap * 2);
		if (rc < 0)
			return rc;
	}
	*table_find(table, key) = (struct table_slot){ .key = key, .value = value };
	table->count++;
	return 0;
}

void *table_remove(struct table *table, uint64_t key)
{
	if (table->count == 0)
		return NULL;
	struct table_slot *slot = table_find(table, key);
	void *value = slot->value;
	if (value == NULL)
		return NULL;

	/* Those behind the hole that started at or before it move up, so that no search ends too early. */
	size_t mask = table->cap - 1;
	size_t hole = (size_t)(slot - table->slots);
	for (size_t at = (hole + 1) & mask; table->slots[at].value != NULL; at = (at + 1) & mask) {
		size_t home = table_home(table, table->slots[at].key);
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].value = NULL;
	table->count--;

	/* A burst's memory is given back; when that fails the old slots still serve. */
	if (table->cap > TABLE_CAP_MIN && table->count * 8 < table->cap)
		(void)table_resize(table, table->cap / 2);
	return value;
}

void *table_next(const struct table *table, size_t *at, uint64_t *key)
{
	while (*at < table->cap) {
		const struct table_slot *slot = &table->slots[(*at)++];
		if (slot->value != NULL) {
			if (key != NULL)
				*key = slot->key;
			return slot->value;
		}
	}
	return NULL;
}

void table_free(struct table *table)
{
	free(table->slots);
	*table = (struct table){ 0 };
}
