/* SPDX-License-Identifier: BSD-2-Clause */
/* Heartbeats of a client that is none: the questions of the plug-in `udp` for any number of sessions, by one socket. */
#ifndef XFER_TESTS_BEAT_H
#define XFER_TESTS_BEAT_H

#include <stdint.h>

/* Of one session, as its WELCOME says. */
struct beat {
	uint64_t slot;
	uint8_t key[16];
	uint64_t sequence; /* of the last question */
};

/* A socket that asks 127.0.0.1:port, or -1 and errno. */
int beat_socket(uint16_t port);
/* Sends the next question; `now` in ns. */
void beat_ask(int fd, struct beat *beat, uint64_t now);
/* How many answers had come. */
unsigned beat_hear(int fd);

#endif
