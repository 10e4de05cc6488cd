/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps a daemon's open sockets, and turns them into messages and back. */
#include "daemon/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void item_free(struct listen_item *item)
{
	for (size_t at = 0; at < item->fd_count; at++)
		close(item->fds[at]);
	for (size_t at = 0; at < item->datagram_count; at++)
		if (item->datagrams[at] >= 0)
			close(item->datagrams[at]);
	free(item->datagrams);
}

void listen_set_free(struct listen_set *set)
{
	for (size_t at = 0; at < set->count; at++)
		item_free(&set->items[at]);
	free(set->items);
	*set = (struct listen_set){ 0 };
}

int listen_set_add(struct listen_set *set, struct listen_item **out)
{
	if (set->count >= LISTEN_ITEMS_MAX)
		return -E2BIG;
	struct listen_item *items = realloc(set->items, (set->count + 1) * sizeof *items);
	if (items == NULL)
		return -ENOMEM;
	set->items = items;
	items[set->count] = (struct listen_item){ 0 };
	*out = &items[set->count++];
	return 0;
}

int listen_item_put_datagram(struct listen_item *item, size_t worker, int fd)
{
	if (worker >= LISTEN_WORKERS_MAX)
		return -E2BIG;
	if (worker >= item->datagram_count) {
		int *fds = realloc(item->datagrams, (worker + 1) * sizeof *fds);
		if (fds == NULL)
			return -ENOMEM;
		for (size_t at = item->datagram_count; at <= worker; at++)
			fds[at] = -1;
		item->datagrams = fds;
		item->datagram_count = worker + 1;
	}
	if (item->datagrams[worker] >= 0)
		return -EBADMSG;
	item->datagrams[worker] = fd;
	return 0;
}

struct listen_item *listen_set_find(const struct listen_set *set, const char *transport, const char *listen,
                                    const bool *used)
{
	for (size_t at = 0; at < set->count; at++) {
		struct listen_item *item = &set->items[at];
		bool free = used == NULL || !used[at];
		if (free && strcmp(item->listen, listen) == 0 &&
		    (transport == NULL || strcmp(item->transport, transport) == 0))
			return item;
	}
	return NULL;
}

/* Whether the datagram socket number `worker` is part of what a process of this role is told. */
static bool told(const struct listen_item *item, enum control_role role, size_t index, size_t worker)
{
	return item->datagrams[worker] >= 0 && (role == CONTROL_MAKE || worker == index);
}

size_t listen_set_messages(const struct listen_set *set, enum control_role role, size_t index)
{
	if (role == CONTROL_CHECK)
		return 0;
	size_t count = set->count;
	for (size_t at = 0; at < set->count; at++)
		for (size_t worker = 0; worker < set->items[at].datagram_count; worker++)
			count += told(&set->items[at], role, index, worker) ? 1 : 0;
	return count;
}

static void write_message(const struct listen_set *set, size_t number, struct control_message *message)
{
	const struct listen_item *item = &set->items[number];
	*message = (struct control_message){ .type = CONTROL_SOCKET,
		                             .kind = CONTROL_LISTENER,
		                             .item = (uint32_t)number };
	snprintf(message->listen, sizeof message->listen, "%s", item->listen);
	snprintf(message->name, sizeof message->name, "%s", item->transport);
	snprintf(message->address, sizeof message->address, "%s", item->address);
}

void listen_set_message(const struct listen_set *set, enum control_role role, size_t index, size_t at,
                        struct control_message *message, int fds[CONTROL_FDS_MAX], size_t *count)
{
	for (size_t number = 0; number < set->count; number++) {
		const struct listen_item *item = &set->items[number];
		if (at-- == 0) {
			write_message(set, number, message);
			memcpy(fds, item->fds, item->fd_count * sizeof *fds);
			*count = item->fd_count;
			return;
		}
		for (size_t worker = 0; worker < item->datagram_count; worker++) {
			if (!told(item, role, index, worker) || at-- > 0)
				continue;
			write_message(set, number, message);
			message->kind = CONTROL_DATAGRAM;
			message->worker = (uint32_t)worker;
			snprintf(message->address, sizeof message->address, "%s", item->heartbeat);
			fds[0] = item->datagrams[worker];
			*count = 1;
			return;
		}
	}
	/* Not reached while at < listen_set_messages(). */
	*message = (struct control_message){ 0 };
	*count = 0;
}

static int take(struct listen_set *set, const struct control_message *message, const int *fds, size_t count)
{
	struct listen_item *item;
	if (message->kind == CONTROL_LISTENER) {
		if (message->item != set->count)
			return -EBADMSG;
		int code = listen_set_add(set, &item);
		if (code < 0)
			return code;
		snprintf(item->listen, sizeof item->listen, "%s", message->listen);
		snprintf(item->transport, sizeof item->transport, "%s", message->name);
		snprintf(item->address, sizeof item->address, "%s", message->address);
		memcpy(item->fds, fds, count * sizeof *fds);
		item->fd_count = count;
		return 0;
	}
	if (set->count == 0 || message->item != set->count - 1)
		return -EBADMSG;
	item = &set->items[message->item];
	int code = listen_item_put_datagram(item, message->worker, fds[0]);
	if (code == 0)
		snprintf(item->heartbeat, sizeof item->heartbeat, "%s", message->address);
	return code;
}

int listen_set_take(struct listen_set *set, const struct control_message *message, const int *fds, size_t count)
{
	int code = take(set, message, fds, count);
	for (size_t at = 0; code < 0 && at < count; at++)
		close(fds[at]);
	return code;
}
