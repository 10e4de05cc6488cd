/* SPDX-License-Identifier: BSD-2-Clause */
/* A map from a number to a pointer (requests by id, sessions by slot): open addressing, grows, never shrinks below 8. */
#ifndef XFER_BASE_TABLE_H
#define XFER_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint64_t key;
	void *value; /* NULL = free */
};

struct table {
	struct table_slot *slots; /* owned; NULL while empty */
	size_t cap;               /* a power of two, or 0 */
	size_t count;
};

void *table_get(const struct table *table, uint64_t key); /* NULL = not there */
/* value is not NULL. -EEXIST when the key is there, -ENOMEM. */
int table_put(struct table *table, uint64_t key, void *value);
void *table_remove(struct table *table, uint64_t key); /* what was there, or NULL */
/* Walks all: start with *at = 0; returns NULL at the end. The table must not change meanwhile. */
void *table_next(const struct table *table, size_t *at, uint64_t *key);
void table_free(struct table *table); /* frees the slots, not the values */

#endif
