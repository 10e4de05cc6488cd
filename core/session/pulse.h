/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pulse of a session: whether the peer is there, judged by everything that comes from it.
 *
 * Death is silence of datagrams and of bytes and of in-band pings.  The side that connected asks: by datagrams when the
 * liveness plug-in has them and they are heard, in-band otherwise.  The other side judges by arrivals.  Times are steady
 * (base/clock.h), so that our own pause kills nobody.
 */
#ifndef XFER_SESSION_PULSE_H
#define XFER_SESSION_PULSE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* What the liveness plug-in says of its datagrams. */
enum pulse_datagrams { PULSE_NO_DATAGRAMS, PULSE_UNHEARD, PULSE_HEARD, PULSE_LATE };

/* What to do now; a set of bits. */
enum {
	PULSE_PING = 1, /* send an in-band PING */
	PULSE_WARN = 2, /* say once that datagrams are not heard and the session lives on in-band pings */
	PULSE_DEAD = 4, /* the peer is gone */
	/*
	 * Send a PONG that nobody asked for. The asker's questions wait behind what it sends: on a slow line a batch takes
	 * longer than its patience, and a sink has little else to say.
	 */
	PULSE_PONG = 8
};

struct pulse {
	uint64_t interval;   /* ns between questions in-band */
	uint64_t dead_after; /* ns of silence */
	uint64_t heard;      /* when anything came last */
	uint64_t started;
	uint64_t silent; /* since when no datagram is heard; 0 = they are heard */
	uint64_t asked;  /* when the last PING was due, or was answered; the last PONG that nobody asked for */
	uint64_t came;   /* when bytes came last, in-band */
	uint64_t rtt;    /* ns, smoothed over in-band pongs; 0 = none yet */
	uint32_t pings;  /* in-band, sent; the sequence of the last one */
	bool asker;
	bool rare; /* datagrams come too seldom to live by them */
	bool warned;
	bool ponged; /* in-band, at least once */
};

/* What is agreed; times in ns. */
struct pulse_params {
	bool asker;
	uint64_t interval;         /* between questions, in-band and by datagram */
	uint64_t dead_after;       /* of silence, for us to call the peer dead */
	uint64_t their_dead_after; /* what the peer told of itself; 0 = nothing */
};

/*
 * An asker whose interval is too long for either side's dead-after asks in-band as well, as often as it takes: who
 * asks once a minute is not dead in between.
 */
void pulse_start(struct pulse *pulse, const struct pulse_params *params, uint64_t now);
/* An accepted datagram came. */
void pulse_heard(struct pulse *pulse, uint64_t now);
/* Bytes came; `now` may lie a little back. */
void pulse_bytes(struct pulse *pulse, uint64_t now);
/* A PING came, and is being answered. */
void pulse_asked(struct pulse *pulse, uint64_t now);
/* A PONG came back; `sent` is the time that its PING carried. */
void pulse_pong(struct pulse *pulse, uint64_t sent, uint64_t now);
/* Returns PULSE_* bits. */
unsigned pulse_check(struct pulse *pulse, enum pulse_datagrams datagrams, uint64_t now);
/* When to check again at the latest; also when bytes come after dead_after without any. */
uint64_t pulse_deadline(const struct pulse *pulse, enum pulse_datagrams datagrams, uint64_t now);

#endif
