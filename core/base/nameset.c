/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/nameset.h"

#include <errno.h>
#include <stdlib.h>

enum { NAMES_CAP_MIN = 16 };

/* FNV-1a, 64 bits. */
static uint64_t name_hash(const char *name, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return hash;
}

int nameset_add(struct nameset *names, const char *name, size_t len)
{
	if (names->count == names->cap) {
		size_t cap = names->cap > 0 ? 2 * names->cap : NAMES_CAP_MIN;
		uint64_t *hashes = reallocarray(names->hashes, cap, sizeof(*hashes));

		if (hashes == NULL)
			return -ENOMEM;
		names->hashes = hashes;
		names->cap = cap;
	}
	names->hashes[names->count++] = name_hash(name, len);
	return 0;
}

static int hash_compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

void nameset_sort(struct nameset *names)
{
	if (names->count > 1)
		qsort(names->hashes, names->count, sizeof(*names->hashes), hash_compare);
}

bool nameset_have(const struct nameset *names, const char *name, size_t len)
{
	uint64_t hash = name_hash(name, len);

	return names->count > 0 &&
	       bsearch(&hash, names->hashes, names->count, sizeof(*names->hashes), hash_compare) != NULL;
}

void nameset_free(struct nameset *names)
{
	free(names->hashes);
	*names = (struct nameset){ 0 };
}
