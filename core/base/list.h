/* SPDX-License-Identifier: BSD-2-Clause */
/* An intrusive doubly linked ring; an empty head points at itself. */
#ifndef XFER_BASE_LIST_H
#define XFER_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Puts the node at the end, so that first in is first out. */
static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
	node->next = head->next;
	node->prev = head;
	head->next->prev = node;
	head->next = node;
}

/* Takes the node out and makes it a ring of its own, so that taking it out twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The formatter takes (node) for a cast. */
/* clang-format off */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))
/* clang-format on */

static inline struct list *list_first(const struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

#endif
