/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session that joins one of another worker: what comes over it is passed on to that worker, and what that one asks for
 * goes back. Frames stay as they are and where they lie; they are for the other worker to judge.
 *
 *     client <-- session --> worker that was reached <-- session on this machine --> worker that has the put
 */
#ifndef XFER_DAEMON_RELAY_H
#define XFER_DAEMON_RELAY_H

#include "engine/channel.h"

struct relay;

struct relay_watch {
	void *context;
	/* The other worker is gone, or does not take it. */
	void (*ended)(void *context, const struct error *err);
	/* The other worker refused the JOIN, and the client was told; the owner calls relay_drop(). */
	void (*refused)(void *context);
	/* The last callback: relay_close() has come to its end. */
	void (*closed)(void *context);
};

/* session: the client's; borrowed, as long as the relay is there. -ECONNREFUSED: there is no such worker. */
int relay_open(struct relay **out, struct channel *session, uint32_t request, const struct message_join *join,
               const struct relay_watch *watch, struct error *err);
/* A frame of the client. */
int relay_frame(struct relay *relay, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                struct error *err);
/* Something came or was sent: a moment to go on. */
void relay_work(struct relay *relay);
/* The session has ended. Frees itself, after watch->closed(). */
void relay_close(struct relay *relay);
/* The same for an owner who goes on without it: watch->closed() does not come. */
void relay_drop(struct relay *relay);

#endif
