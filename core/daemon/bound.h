/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's sockets, bound through the items' transport plug-ins or taken up where they are open already.
 *
 * Descriptors are duplicated on the way: a listen_set owns its own, so that it can be told to the supervisor, and the
 * server's end with the server.
 */
#ifndef XFER_DAEMON_BOUND_H
#define XFER_DAEMON_BOUND_H

#include "base/error.h"
#include "daemon/listen.h"
#include "daemon/server.h"
#include "engine/setup.h"

/* What a server gets. */
struct bound {
	struct server_socket
		*sockets; /* owned array; the listeners and descriptors in it are the server's once it runs */
	size_t count;
};

/*
 * One socket for each item of the configuration. What `set` has for an item (recognised by its configured text) stays
 * in use; what is missing is made, for each of `workers` a datagram socket too. On success `set` holds the
 * result, and what is not wanted any more is closed.
 */
int bound_make(struct bound *out, struct setup *setup, struct listen_set *set, size_t index, size_t workers,
               struct error *err);
/* One socket for each item of `set`. */
int bound_adopt(struct bound *out, struct setup *setup, const struct listen_set *set, size_t index, struct error *err);
/* Loads the items' transports and has them listen at free ports of their addresses, for a moment. */
int bound_check(struct setup *setup, struct error *err);
/* Frees the array alone: after server_destroy(). */
void bound_free(struct bound *bound);

#endif
