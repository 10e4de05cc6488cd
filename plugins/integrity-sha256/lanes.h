/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256 of several independent buffers at a time, by the SHA instructions of x86.
 *
 * One SHA-256 waits for itself: each round needs the one before, and the unit could take two or three more in that
 * time. So three buffers go through it side by side, each in a lane; a lane that is through with its buffer takes the
 * next one.
 */
#ifndef SHA256_LANES_H
#define SHA256_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { LANES = 3 }; /* a fourth was slower: there are no registers left for it */

/* Whether this processor, and what this was compiled for, can. */
bool lanes_usable(void);

/* The digests, of 32 bytes each. Only where lanes_usable(). Allocates nothing, cannot fail. */
void lanes_digest(const struct iovec *buffers, size_t count, uint8_t *const *outs);

#endif
