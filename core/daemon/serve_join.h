/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions that take part in the puts of another session of the same client, at the daemon: JOIN. Each is a lane of the
 * other one's sink.
 */
#ifndef XFER_DAEMON_SERVE_JOIN_H
#define XFER_DAEMON_SERVE_JOIN_H

#include "daemon/serve.h"
#include "engine/receiving.h"

/* ---- of the session that has joined ---- */

/* A JOIN came. */
int serve_join_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err);
/* ENTRIES, ENDS, CHUNK, HOLE, DIGEST_RUN. */
int serve_join_frame(struct serve *serve, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                     struct error *err);
/* Something came or was sent. */
void serve_join_work(struct serve *serve);
/* The other one has a put under way. */
bool serve_join_works(const struct serve *serve);
/* The session ended. */
void serve_join_end(struct serve *serve);
/* What came over it is still looked at. */
bool serve_join_busy(const struct serve *serve);
/* The lane is not in use any more. */
void serve_join_gone(struct receiving_lane *lane);
void serve_join_free(struct serve *serve);

/* ---- of the session that others have joined ---- */

/* A put begins: they take part in it. */
void serve_joins_begin(struct serve *serve);
/* It ends: what their credit has come to. */
void serve_joins_count(struct serve *serve);
/* Bytes of frames that are half received. */
uint64_t serve_joins_half(const struct serve *serve);

#endif
