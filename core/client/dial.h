/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dialling: from a URL to a connection that is ready. Names are resolved off the loop; every address is tried, a quarter
 * of a second apart, alternating between the families (RFC 8305), and the first that answers wins.
 */
#ifndef XFER_CLIENT_DIAL_H
#define XFER_CLIENT_DIAL_H

#include "engine/loop.h"
#include "engine/url.h"
#include "registry/registry.h"

enum { DIAL_ATTEMPTS_MAX = 16 };

struct dial;

struct dial_watch {
	/* Ready: conn is the owner's now. */
	void (*connected)(void *context, struct xfer_conn *conn);
	void (*failed)(void *context, const struct error *err);
	void *context;
};

/* url is copied where needed. Exactly one of the callbacks comes, from the loop, unless dial_cancel() came first. */
int dial_start(struct dial **out, struct loop *loop, const struct plugin *transport, const struct url *url,
               uint64_t timeout, const struct dial_watch *watch, struct error *err);
/* Ends it without a callback. It frees itself, after a callback too. */
void dial_cancel(struct dial *dial);

#endif
