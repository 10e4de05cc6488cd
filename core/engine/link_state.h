/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to link.c, link_receive.c and link_send.c. */
#ifndef XFER_ENGINE_LINK_STATE_H
#define XFER_ENGINE_LINK_STATE_H

#include "engine/link.h"
#include "registry/transport.h"

enum { LINK_TURN = 4 * 1024 * 1024 /* bytes that one link may move before the others have their turn */ };

/* Waits for exactly `events` (XFER_POLL_*) from now on; or for more, or for less. */
void link_poll(struct link *link, uint32_t events);
void link_poll_add(struct link *link, uint32_t event);
void link_poll_drop(struct link *link, uint32_t event);

void link_end(struct link *link, const struct error *err);
/* The transport failed with -errno `code`. */
void link_end_system(struct link *link, int code, const char *doing);
/* Nothing can be sent any more, -errno `code`: ends when what has come is read. */
void link_mute(struct link *link, int code);

void link_out_drop(struct link *link);

/* Waits for writing too while the transport holds something that has to go out. */
void link_hold(struct link *link);

/* The descriptor can be read, or the transport may hold what was read from it. */
void link_receive(struct link *link);
/* Receives in the next turn of the loop: the transport may hold more than it has given, and its descriptor is silent. */
void link_again(struct link *link);
/* The loop goes on with loop.unread and loop.closed before it waits. */
void link_wake(struct loop *loop);
void link_rx_drop(struct link *link);
/* What is there moves to the front of another buffer, which is taken over. */
void link_rx_move(struct link *link, struct lent *fresh);

/* ---- link_pipe.c ---- */

/* The chunk whose frame has that length, all in all, is to come into pipes; of its head and of it `have` bytes are there. */
bool link_pipe_begin(struct link *link, const struct frame_header *header, size_t len, size_t have);
/* Whether the next large frame may be one for pipes, as far as is known. */
bool link_pipe_likely(const struct link *link);
/* As transport_recv(), into its pipes, `left` bytes at most; -ENOSPC: they hold no more. */
ssize_t link_pipe_receive(struct link *link, size_t left);
/* What has come of it goes into `fresh`, which is taken over, with room for all of it: 0 or -errno. */
int link_pipe_undo(struct link *link, struct lent *fresh);

#endif
