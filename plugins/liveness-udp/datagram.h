/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heartbeat datagram, version 1: questions and answers look alike and have one size, so that no answer is larger
 * than its question. All numbers are in network order. The first eight bytes on the network are the slot, which the
 * core writes and takes off again; the plug-in makes and reads the 68 bytes behind it (offsets in bytes).
 *
 *        0        1        2        3        4        5        6        7
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *   - |                        slot (the core's)                              |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *   0 |        magic "XFHB"               |version | kind   |      stage      |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *   8 |                        sequence                                       |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  16 |                        asked at (ns)                                  |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  24 |                        received (bytes)                               |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  32 |                        verified (bytes)                               |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  40 |                        durable (bytes)                                |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  48 |          stage age (ms)           |       round trip (us)             |
 *     +--------+--------+--------+--------+--------+--------+--------+--------+
 *  56 |          loss (ppm)               |                                   |
 *     +--------+--------+--------+--------+                                   +
 *  64 |     SipHash-2-4 of all the above  |
 *     +--------+--------+--------+--------+
 *
 * version    1. Another one is dropped.
 * kind       1 question, 2 answer: who speaks, under the hash, so that a question thrown back is no answer.
 * sequence   counts the asker's questions from 1; the answer repeats it.
 * asked at   the asker's time since the session's heartbeats began; the answer repeats it. It says nothing about the
 *            machine's clock.
 * stage ... loss   the sender's progress, see struct xfer_progress. Round trip and loss are the asker's to know.
 * the hash   under the session's key, of the slot and of bytes 0 to 59 (68 bytes together); 8 bytes at offset 60.
 */
#ifndef LIVENESS_UDP_DATAGRAM_H
#define LIVENESS_UDP_DATAGRAM_H

#include "siphash.h"

#include <stdint.h>

enum { DATAGRAM_SIZE = 68 };

enum datagram_kind { DATAGRAM_QUESTION = 1, DATAGRAM_ANSWER = 2 };

/* As struct xfer_progress, without its size, in the smallest form in which a session can keep it. */
struct progress {
	uint64_t received;
	uint64_t verified;
	uint64_t durable;
	uint32_t stage_age_ms;
	uint32_t rtt_us;
	uint32_t loss_ppm;
	uint16_t stage;
};

struct datagram {
	enum datagram_kind kind;
	uint64_t sequence;
	uint64_t asked_at; /* ns */
	struct progress progress;
};

void datagram_write(uint8_t out[DATAGRAM_SIZE], const struct siphash_key *key, uint64_t slot,
                    const struct datagram *datagram);

/* 0, or -EBADMSG when the bytes are not of this session or not of the kind that is awaited. */
int datagram_read(const void *bytes, size_t len, const struct siphash_key *key, uint64_t slot, enum datagram_kind kind,
                  struct datagram *out);

#endif
