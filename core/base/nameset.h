/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of names that are only asked for: each takes eight bytes, a hash. Two with one hash are taken for one. */
#ifndef XFER_BASE_NAMESET_H
#define XFER_BASE_NAMESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nameset {
	uint64_t *hashes; /* owned; NULL while empty */
	size_t count;
	size_t cap;
};

int nameset_add(struct nameset *names, const char *name, size_t len); /* -ENOMEM */
/* Before the first question; nothing is added after it. */
void nameset_sort(struct nameset *names);
bool nameset_have(const struct nameset *names, const char *name, size_t len);
void nameset_free(struct nameset *names);

#endif
