/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of chunk numbers as sorted ranges: what has come of a file. Small while chunks come nearly in order. */
#ifndef XFER_BASE_RANGES_H
#define XFER_BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGES_MAX = 4096 }; /* ranges in one set: bounds what a scattering source makes us hold */

struct range {
	uint64_t first;
	uint64_t end; /* behind the last */
};

struct ranges {
	struct range *all; /* owned; sorted, apart from each other */
	size_t count;
	size_t cap;
};

bool ranges_has(const struct ranges *ranges, uint64_t number);
/* -EEXIST when any of them is there already, -E2BIG beyond RANGES_MAX, -ENOMEM. count > 0, no overflow. */
int ranges_add(struct ranges *ranges, uint64_t first, uint64_t count);
/* Takes one number out; not there: nothing happens. -ENOMEM, -E2BIG (it splits a range). */
int ranges_remove(struct ranges *ranges, uint64_t number);
/* The first gap at or after `from` and below `limit`; false when there is none. */
bool ranges_gap(const struct ranges *ranges, uint64_t from, uint64_t limit, struct range *gap);
void ranges_free(struct ranges *ranges);

#endif
