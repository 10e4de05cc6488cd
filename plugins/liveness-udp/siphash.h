/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short messages, made for telling a stranger's datagram
 * from a friend's at the cost of a few dozen instructions.
 */
#ifndef LIVENESS_UDP_SIPHASH_H
#define LIVENESS_UDP_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t half[2]; /* host order */
};

/* `bytes` are the 16 bytes of the key as they travel. */
struct siphash_key siphash_key(const uint8_t bytes[16]);

uint64_t siphash24(const struct siphash_key *key, const void *bytes, size_t len);

#endif
