/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory between two pages that nobody may touch: reading or writing one byte too many on either side is a SIGSEGV, in
 * the callback that does it.
 */
#ifndef XFER_CMD_CHECK_FENCE_H
#define XFER_CMD_CHECK_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence {
	uint8_t *bytes; /* owned; the first after the lower page */
	size_t size;    /* whole pages */
};

int fence_make(struct fence *fence, size_t size); /* at least `size` bytes; 0 or -errno */
void fence_free(struct fence *fence);
uint8_t *fence_end(const struct fence *fence, size_t len); /* the last `len` bytes of it */
void fence_lock(const struct fence *fence, bool locked);   /* locked: may be read, not written */

#endif
