/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A put at the daemon: the session changes its role and asks the client for what it has. One at a time; what is begun
 * when the session ends is tidied up before the session goes.
 */
#ifndef XFER_DAEMON_SERVE_PUT_H
#define XFER_DAEMON_SERVE_PUT_H

#include "daemon/serve.h"

/* A PUT came: it begins, or is refused with a DONE. */
int serve_put_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err);
/* ENTRIES, ENDS, CHUNK, HOLE. */
int serve_put_frame(struct serve *serve, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err);
/* What receives for the put under way; NULL: nothing does. */
struct receiving *serve_put_receiving(const struct serve *serve);
/* Something came or was sent. */
void serve_put_work(struct serve *serve);
void serve_put_progress(const struct serve *serve, struct xfer_progress *ours);
/* How long the client has owed us something, in ns; 0: it does not. *name: what it is blocked in, as far as it says. */
uint64_t serve_put_stalled(struct serve *serve, const char **name);
/* A put is under way: not done, or what it began is not tidied up. */
bool serve_put_busy(const struct serve *serve);
/* The session ended; err->code 0: the client closed it. serve_put_gone() is told when nothing is busy any more. */
void serve_put_end(struct serve *serve, const struct error *err);
/* Not while one is busy. */
void serve_put_free(struct serve *serve);

#endif
