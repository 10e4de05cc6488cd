/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptors of connections, which a loop waits for. A handle of libuv's takes 160 bytes, and a place in its table;
 * one of ours takes 16, for they are in a set of our own (epoll), and it is the set that libuv waits for.
 *
 * There is a second set, of those who send so slowly that nobody waits for them: it wakes nobody up and is looked at
 * every POLLER_PAUSE, all of it in one go.
 */
#ifndef XFER_ENGINE_POLLER_H
#define XFER_ENGINE_POLLER_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

#define POLLER_PAUSE (50 * CLOCK_MS)

enum { POLLER_TURN = 256 /* descriptors before others than connections have their turn */ };

struct poller;

/* A descriptor that is waited for; embedded in its owner. */
struct polled {
	void (*fire)(struct polled *polled, uint32_t events); /* XFER_POLL_*; both of them after an error */
	int fd;                                               /* borrowed; -1 = none */
	uint8_t events;                                       /* XFER_POLL_*, what is waited for */
	bool slow;                                            /* in the second set */
	uint16_t least; /* bytes that have to be there before it can be read; 0 or 1: any, or an end */
};

struct poller {
	uv_poll_t poll; /* the first set */
	int fd, slow_fd;
	size_t slow_count;
	int turn_at, turn_count; /* of `turn`: what is being handled; turn_count 0 = nothing is */
	struct epoll_event turn[POLLER_TURN];
};

int poller_open(struct poller *poller, uv_loop_t *uv);
/* Nothing is in it any more. Its handle is closed when the loop has run once more. */
void poller_close(struct poller *poller);

/* Makes fd non-blocking and adds it; nothing is waited for yet. -EPERM: it is none that could be waited for. */
int polled_open(struct poller *poller, struct polled *polled, int fd, void (*fire)(struct polled *, uint32_t));
void polled_wait(struct poller *poller, struct polled *polled, uint32_t events);
/* Into the second set, or back; without memory for it everything stays as it is. */
void polled_slow(struct poller *poller, struct polled *polled, bool slow);
/*
 * It can be read when `least` bytes are there, or an end. For sockets that heed SO_RCVLOWAT. Without them, or memory,
 * everything stays as it is.
 */
void polled_least(struct polled *polled, uint16_t least);
/* Before fd is closed. fire() is not called any more. Not open: nothing happens. */
void polled_close(struct poller *poller, struct polled *polled);

/* Handles what has come to those in the second set. */
void poller_look(struct poller *poller);

#endif
