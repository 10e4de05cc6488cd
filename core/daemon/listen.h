/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The open sockets of a daemon as bare descriptors: what the supervisor keeps, without any knowledge of networks, and
 * what travels between it and its workers as CONTROL_SOCKET messages.
 */
#ifndef XFER_DAEMON_LISTEN_H
#define XFER_DAEMON_LISTEN_H

#include "base/error.h"
#include "daemon/control.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	LISTEN_ITEMS_MAX = 64,   /* items of [daemon] listen */
	LISTEN_WORKERS_MAX = 256 /* the high byte of a slot names the worker */
};

/* One item of [daemon] listen. */
struct listen_item {
	char transport[CONTROL_NAME_MAX];  /* name of the plug-in */
	char listen[CONTROL_NAME_MAX];     /* as configured: by these two an item is recognised after a reload */
	char address[CONTROL_ADDRESS_MAX]; /* as bound */
	int fds[CONTROL_FDS_MAX];          /* the listener's, owned */
	size_t fd_count;
	/*
	 * The datagram sockets by worker, owned; -1 = not here. There may be more of them than workers: the order of
	 * the SO_REUSEPORT group is the order of creation, and stays so only while none of them is closed.
	 */
	int *datagrams;
	size_t datagram_count;
	char heartbeat[CONTROL_ADDRESS_MAX]; /* their address; "" without any */
};

struct listen_set {
	struct listen_item *items; /* owned */
	size_t count;
};

/* Closes what it owns; the struct may be used again. */
void listen_set_free(struct listen_set *set);
/* Adds an empty item and sets *out to it, which is valid until the next call. -ENOMEM, -E2BIG. */
int listen_set_add(struct listen_set *set, struct listen_item **out);
/* Takes over fd. -ENOMEM, -E2BIG. */
int listen_item_put_datagram(struct listen_item *item, size_t worker, int fd);
/*
 * The item that was configured by this text, with this transport (NULL: with any), and is not marked in `used` (count
 * flags, may be NULL); or NULL.
 */
struct listen_item *listen_set_find(const struct listen_set *set, const char *transport, const char *listen,
                                    const bool *used);

/* How many messages tell the set: all of it (MAKE), or the part of worker `index` (ADOPT). */
size_t listen_set_messages(const struct listen_set *set, enum control_role role, size_t index);
/* The message number `at`; descriptors are lent. */
void listen_set_message(const struct listen_set *set, enum control_role role, size_t index, size_t at,
                        struct control_message *message, int fds[CONTROL_FDS_MAX], size_t *count);
/* Takes a message of type SOCKET in; closes the descriptors when it fails. -EBADMSG out of order, -ENOMEM, -E2BIG. */
int listen_set_take(struct listen_set *set, const struct control_message *message, const int *fds, size_t count);

#endif
