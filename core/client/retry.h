/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a lost session is tried again, and when it is given up. No I/O: what happened, the time and a random number go in,
 * a pause comes out.
 *
 * Losses without progress between them are a row. Within a row the pauses grow, each a random part of its bound (so that
 * the clients of one daemon do not come back all at once); progress ends the row.
 */
#ifndef XFER_CLIENT_RETRY_H
#define XFER_CLIENT_RETRY_H

#include "client/ending.h"

#define RETRY_TRIES_ANY UINT64_MAX

enum {
	RETRY_DEATHS = 3,   /* so often a worker may die of one request */
	RETRY_NONSENSE = 5, /* so often a row may break the protocol */
};

struct retry_limits {
	uint64_t tries; /* in a row; RETRY_TRIES_ANY = as many as there is time for */
	uint64_t span;  /* ns without a session, in a row; 0 = never try again */
	bool first;     /* the first connection as well, though nothing was ever connected nor sent away */
};

enum retry_verdict {
	RETRY_AGAIN,   /* after the pause */
	RETRY_NOT,     /* the error is what the user gets */
	RETRY_OVER,    /* the limits are reached */
	RETRY_HOPELESS /* it would go on like this */
};

struct retry {
	struct retry_limits limits;
	bool had;       /* a session was had */
	bool open;      /* there is one */
	bool over;      /* the peer was given up: the next job tries once */
	bool excused;   /* this row has had its goaway */
	bool suspect;   /* the last session broke without a word */
	uint64_t best;  /* how far it got */
	uint64_t tries; /* of this row */
	uint64_t spent; /* ns of this row without a session, before `since` */
	uint64_t since; /* steady ns: without a session from then on, when not open */
	unsigned growth;
	unsigned deaths;
	unsigned nonsense;
	unsigned boot_count; /* sessions of this row */
	uint8_t boots[RETRY_DEATHS + 1][MESSAGE_BOOT_ID];
};

void retry_start(struct retry *retry, const struct retry_limits *limits);
/* Another job with the same peer: its progress begins at 0. */
void retry_job(struct retry *retry);
/* Whether a loss would be followed by another try: there is no use in leaving a session early otherwise. */
bool retry_wanted(const struct retry *retry);
/*
 * A session is open; `died`: it says that the last one's worker is dead. RETRY_AGAIN: go on with it. RETRY_HOPELESS: each
 * of the last RETRY_DEATHS sessions ended with the death of its worker, and none got any further.
 */
enum retry_verdict retry_opened(struct retry *retry, const uint8_t boot_id[MESSAGE_BOOT_ID], bool died, uint64_t now);
/*
 * The session is lost, or another try to have one failed. reached: grows with what need not be done again. random: any
 * number. *pause (ns) is set with RETRY_AGAIN.
 */
enum retry_verdict retry_lost(struct retry *retry, enum ending_kind how, uint64_t reached, uint64_t random,
                              uint64_t now, uint64_t *pause);
uint64_t retry_random(void);
/* ns without a session in this row; what is left of the limit. */
uint64_t retry_down(const struct retry *retry, uint64_t now);
uint64_t retry_left(const struct retry *retry, uint64_t now);

#endif
