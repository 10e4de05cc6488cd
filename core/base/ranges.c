/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first range that ends behind `number`; count when there is none. */
static size_t find(const struct ranges *ranges, uint64_t number)
{
	size_t low = 0, high = ranges->count;

	/* Chunks come nearly in order: look at the end first. */
	if (high > 0 && ranges->all[high - 1].end <= number)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->all[middle].end <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ranges_has(const struct ranges *ranges, uint64_t number)
{
	size_t at = find(ranges, number);

	return at < ranges->count && ranges->all[at].first <= number;
}

static int insert(struct ranges *ranges, size_t at, struct range range)
{
	if (ranges->count >= RANGES_MAX)
		return -E2BIG;
	if (ranges->count == ranges->cap) {
		size_t cap = ranges->cap > 0 ? 2 * ranges->cap : 4;
		struct range *all = reallocarray(ranges->all, cap, sizeof(*all));

		if (all == NULL)
			return -ENOMEM;
		ranges->all = all;
		ranges->cap = cap;
	}
	memmove(&ranges->all[at + 1], &ranges->all[at], (ranges->count - at) * sizeof(*ranges->all));
	ranges->all[at] = range;
	ranges->count++;
	return 0;
}

static void erase(struct ranges *ranges, size_t at)
{
	ranges->count--;
	memmove(&ranges->all[at], &ranges->all[at + 1], (ranges->count - at) * sizeof(*ranges->all));
}

int ranges_add(struct ranges *ranges, uint64_t first, uint64_t count)
{
	size_t at = find(ranges, first);
	uint64_t end = first + count;
	bool joins_left = at > 0 && ranges->all[at - 1].end == first;
	bool joins_right = at < ranges->count && ranges->all[at].first == end;

	if (at < ranges->count && ranges->all[at].first < end)
		return -EEXIST;
	if (joins_left && joins_right) {
		ranges->all[at - 1].end = ranges->all[at].end;
		erase(ranges, at);
	} else if (joins_left) {
		ranges->all[at - 1].end = end;
	} else if (joins_right) {
		ranges->all[at].first = first;
	} else {
		return insert(ranges, at, (struct range){ first, end });
	}
	return 0;
}

int ranges_remove(struct ranges *ranges, uint64_t number)
{
	size_t at = find(ranges, number);
	struct range *range;

	if (!ranges_has(ranges, number))
		return 0;
	range = &ranges->all[at];
	if (range->first == number && range->end == number + 1) {
		erase(ranges, at);
	} else if (range->first == number) {
		range->first++;
	} else if (range->end == number + 1) {
		range->end--;
	} else {
		uint64_t end = range->end;
		int r = insert(ranges, at + 1, (struct range){ number + 1, end });

		if (r < 0)
			return r;
		ranges->all[at].end = number;
	}
	return 0;
}

bool ranges_gap(const struct ranges *ranges, uint64_t from, uint64_t limit, struct range *gap)
{
	size_t at = find(ranges, from);

	if (at < ranges->count && ranges->all[at].first <= from) {
		from = ranges->all[at].end;
		at++;
	}
	if (from >= limit)
		return false;
	gap->first = from;
	gap->end = at < ranges->count && ranges->all[at].first < limit ? ranges->all[at].first : limit;
	return true;
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->all);
	*ranges = (struct ranges){ 0 };
}
