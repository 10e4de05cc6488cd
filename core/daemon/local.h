/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections between the workers of one machine: a socket of each worker, in the abstract namespace, by the name of its
 * boot id. Only processes of the same user are taken. To a link they are a transport like any other, but built in.
 */
#ifndef XFER_DAEMON_LOCAL_H
#define XFER_DAEMON_LOCAL_H

#include "engine/loop.h"
#include "registry/registry.h"
#include "wire/message.h"

extern const struct plugin local_transport;

struct local_listener {
	uv_poll_t poll;
	int fd; /* -1: closed */
	struct loop *loop;
	struct deadline pause; /* set while there are no descriptors to accept with */
	void *context;
	/* Takes over the connection. */
	void (*accepted)(void *context, struct xfer_conn *conn);
};

int local_listen(struct local_listener *listener, struct loop *loop, const uint8_t boot_id[MESSAGE_BOOT_ID],
                 void (*accepted)(void *context, struct xfer_conn *conn), void *context);
/* Not open (zeroed, or failed): nothing happens. */
void local_close(struct local_listener *listener);
/* To the worker of that boot id. -ECONNREFUSED: it is not of this machine, or is no more. */
int local_connect(const uint8_t boot_id[MESSAGE_BOOT_ID], struct xfer_conn **out);

#endif
