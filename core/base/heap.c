/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines: a binary heap of intrusive nodes. */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAP_CAP_MIN = 16 }; /* nodes */

/* Places count from 1, so that a node's 0 can mean "not in it"; the children of `at` are 2 * at and 2 * at + 1. */
static void heap_place(struct heap *heap, size_t at, struct heap_node *node, uint64_t when)
{
	heap->places[at - 1] = (struct heap_place){ .when = when, .node = node };
	node->at = at;
}

static void heap_rise(struct heap *heap, struct heap_node *node)
{
	size_t at = node->at;
	uint64_t when = node->when;
	while (at > 1 && heap->places[at / 2 - 1].when > when) {
		heap_place(heap, at, heap->places[at / 2 - 1].node, heap->places[at / 2 - 1].when);
		at /= 2;
	}
	heap_place(heap, at, node, when);
}

static void heap_sink(struct heap *heap, struct heap_node *node)
{
	size_t at = node->at;
	uint64_t when = node->when;
	while (at * 2 <= heap->count) {
		size_t child = at * 2;
		if (child < heap->count && heap->places[child].when < heap->places[child - 1].when)
			child++;
		if (heap->places[child - 1].when >= when)
			break;
		heap_place(heap, at, heap->places[child - 1].node, heap->places[child - 1].when);
		at = child;
	}
	heap_place(heap, at, node, when);
}

static int heap_grow(struct heap *heap)
{
	size_t cap = heap->cap == 0 ? HEAP_CAP_MIN : heap->cap * 2;
	struct heap_place *places = reallocarray(heap->places, cap, sizeof(*places));
	if (places == NULL)
		return -ENOMEM;
	heap->places = places;
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
		heap_place(heap, ++heap->count, node, when);
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
	struct heap_node *last = heap->places[--heap->count].node;
	if (last != node) {
		heap_place(heap, node->at, last, last->when);
		heap_rise(heap, last);
		heap_sink(heap, last);
	}
	node->at = 0;
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : heap->places[0].node;
}

void heap_free(struct heap *heap)
{
	for (size_t i = 0; i < heap->count; i++)
		heap->places[i].node->at = 0;
	free(heap->places);
	*heap = (struct heap){ 0 };
}
