/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines: a binary heap of intrusive nodes. */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAP_CAP_MIN = 16 }; /* nodes */

/* Places count from 1, so that a node's 0 can mean "not in it"; the children of `at` are 2 * at and 2 * at + 1. */
static void heap_place(struct heap *heap, size_t at, struct heap_node *node)
{
	heap->nodes[at - 1] = node;
	node->at = at;
}

static void heap_rise(struct heap *heap, struct heap_node *node)
{
	size_t at = node->at;
	while (at > 1 && heap->nodes[at / 2 - 1]->when > node->when) {
		heap_place(heap, at, heap->nodes[at / 2 - 1]);
		at /= 2;
	}
	heap_place(heap, at, node);
}

static void heap_sink(struct heap *heap, struct heap_node *node)
{
	size_t at = node->at;
	while (at * 2 <= heap->count) {
		size_t child = at * 2;
		if (child < heap->count && heap->nodes[child]->when < heap->nodes[child - 1]->when)
			child++;
		if (heap->nodes[child - 1]->when >= node->when)
			break;
		heap_place(heap, at, heap->nodes[child - 1]);
		at = child;
	}
	heap_place(heap, at, node);
}

static int heap_grow(struct heap *heap)
{
	size_t cap = heap->cap == 0 ? HEAP_CAP_MIN : heap->cap * 2;
	struct heap_node **nodes = reallocarray(heap->nodes, cap, sizeof(struct heap_node *));
	if (nodes == NULL)
		return -ENOMEM;
	heap->nodes = nodes;
	heap->cap = cap;
	return 0;
}

int heap_set(struct heap *heap, struct heap_node *node, uint64_t when)
{
	if (node->at == 0) {
		if (heap->count == heap->cap) {
			int rc = heap_grow(heap);
			if (rc < 0)
				return rc;
		}
		heap_place(heap, ++heap->count, node);
	}
	node->when = when;
	heap_rise(heap, node);
	heap_sink(heap, node);
	return 0;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	if (node->at == 0)
		return;
	struct heap_node *last = heap->nodes[--heap->count];
	if (last != node) {
		heap_place(heap, node->at, last);
		heap_rise(heap, last);
		heap_sink(heap, last);
	}
	node->at = 0;
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : heap->nodes[0];
}

void heap_free(struct heap *heap)
{
	for (size_t i = 0; i < heap->count; i++)
		heap->nodes[i]->at = 0;
	free(heap->nodes);
	*heap = (struct heap){ 0 };
}
