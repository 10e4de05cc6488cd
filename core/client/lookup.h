/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks up the addresses of a host in a thread of its own. (libuv has a pool for it, and ends the process where that cannot
 * have its threads.)
 */
#ifndef XFER_CLIENT_LOOKUP_H
#define XFER_CLIENT_LOOKUP_H

#include "engine/loop.h"

#include <netdb.h>
#include <pthread.h>

struct lookup {
	uv_async_t back; /* the thread is through */
	pthread_t thread;
	bool threaded;
	struct loop *loop;
	const char *host; /* borrowed until done */
	char service[16];
	struct addrinfo *found;              /* of which the owner takes care: freeaddrinfo() */
	const char *failure;                 /* NULL, or why nothing was found; static text */
	void (*done)(struct lookup *lookup); /* in the loop; nothing of the lookup is in use any more */
};

/* Begins; done() is called once, from the loop, unless this fails. It cannot be broken off. */
int lookup_start(struct lookup *lookup, struct loop *loop, const char *host, unsigned port,
                 void (*done)(struct lookup *lookup), struct error *err);

#endif
