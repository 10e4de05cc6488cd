/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that runs out when a test wants it to, and a count of what is not freed. The program is linked with
 * $(ALLOC_WRAP), which leads every allocation of its objects (not those within the C library) to here.
 */
#ifndef XFER_TESTS_ALLOC_H
#define XFER_TESTS_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* From here on the allocations first, first + 1, ... first + count - 1 fail (1 is the next), until alloc_stop(). */
void alloc_fail(uint64_t first, uint64_t count);
/* Allocations made since alloc_fail(); *failed (may be NULL): those of them that were refused. */
uint64_t alloc_stop(uint64_t *failed);
/* In between: nothing is refused and nothing counted (what the test itself does). */
void alloc_pause(bool pause);
/* Allocations of this program that are not freed. */
long alloc_live(void);

#endif
