/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines: a binary heap of intrusive nodes, so that ten thousand sessions need one timer of the loop. */
#ifndef XFER_BASE_HEAP_H
#define XFER_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t when; /* ns */
	size_t at;     /* 1-based place in the heap; 0 = not in it */
};

/* Its time too, so that whoever looks for a place among ten thousand fetches no node for it. */
struct heap_place {
	uint64_t when;
	struct heap_node *node; /* borrowed */
};

struct heap {
	struct heap_place *places; /* owned */
	size_t count;
	size_t cap;
};

/* Inserts the node, or moves it when it is in already. -ENOMEM only on insertion. */
int heap_set(struct heap *heap, struct heap_node *node, uint64_t when);
void heap_remove(struct heap *heap, struct heap_node *node); /* not in: nothing happens */
struct heap_node *heap_first(const struct heap *heap);       /* the earliest, or NULL */
void heap_free(struct heap *heap);

#endif
