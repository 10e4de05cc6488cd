/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to channel.c and channel_live.c. */
#ifndef XFER_ENGINE_CHANNEL_STATE_H
#define XFER_ENGINE_CHANNEL_STATE_H

#include "engine/channel.h"

static inline uint64_t channel_now(const struct channel *channel)
{
	return channel->base->loop->now;
}

/* Both sides: liveness begins. */
int channel_live_start(struct channel *channel, const struct message_welcome *welcome, struct error *err);
/* Asks, warns, ends the dead, and sets the deadline for the next look. */
void channel_pulse_look(struct channel *channel);
/* A PING or PONG came. */
int channel_ping_take(struct channel *channel, enum frame_type type, const uint8_t *body, size_t len,
                      struct error *err);

#endif
