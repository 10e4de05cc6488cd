/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker process does once its plug-ins run and its sockets are open: takes all that serving needs, which may fail,
 * then serves sessions until told to stop, which may not.
 */
#ifndef XFER_DAEMON_SERVER_H
#define XFER_DAEMON_SERVER_H

#include "base/error.h"
#include "base/log.h"
#include "daemon/deaths.h"
#include "engine/setup.h"
#include "registry/note.h"

/* One item of [daemon] listen, open. */
struct server_socket {
	struct plugin *transport;
	struct xfer_listener *listener; /* the server closes it */
	char address[128];              /* as bound */
	int datagram_fd;     /* UDP, bound to the same address and port; -1: in-band only. The server closes it. */
	char heartbeat[128]; /* its address as text; "" without one */
};

struct known; /* see store/known.h */

/* A connection that is open already: `xferd --stdio`. */
struct server_adopted {
	struct plugin *transport;
	struct xfer_conn *conn; /* the server closes it */
};

/* All borrowed until server_destroy(). */
struct server_params {
	struct setup *setup;
	/* With it there are neither sockets nor a supervisor, and the server returns when its session is over. */
	const struct server_adopted *adopted;
	struct known *known;           /* borrowed: digests of what is sent; NULL: none are kept */
	struct server_socket *sockets; /* what they refer to is the server's, in any case */
	size_t socket_count;
	bool strict;                 /* an export that cannot be opened is an error, not a line in the log */
	unsigned worker;             /* its index, 0 to workers - 1: the high byte of every slot that it gives out */
	struct notes *notes;         /* told by which id the peers know us */
	const struct deaths *deaths; /* of other workers; grows in on_control() */
	int control_fd;              /* readable or at end-of-file: the supervisor speaks, see on_control */
	/*
	 * Called in the loop when control_fd is readable: false = drain (say goaway, finish, return from server_run()).
	 * The supervisor being gone ends the process at once, inside the callback.
	 */
	bool (*on_control)(void *context);
	void *context;
	struct log *log;
};

struct server;

/* Threads, memory, exports, what is needed to watch the sockets. Nobody is let in as yet. */
int server_create(struct server **out, const struct server_params *params, struct error *err);
/* Serves until drained. */
void server_run(struct server *server);
void server_destroy(struct server *server);

#endif
