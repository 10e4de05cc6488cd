/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of the core's own sections: one table that parses, checks and prints them, and by which the tests check the
 * sample file. Sections: "core", "pipeline", "daemon" and "export" (for each [export.NAME]).
 */
#ifndef XFER_CONFIG_KEYS_H
#define XFER_CONFIG_KEYS_H

#include "config/fields.h"

struct key {
	const char *section;
	struct xfer_option option; /* no default and not REQUIRED: what is not set stays NULL */
	size_t offset;             /* of the field in struct settings, or in struct settings_export */
	field_store *store;
	field_print *print;
};

const struct key *keys_table(size_t *count);
/* NULL = the section has no such key. */
const struct key *key_find(const char *section, const char *name);

/* `target` is the struct settings or settings_export. An error says "NAME = TEXT: reason". */
int key_set(const struct key *key, void *target, const char *text, struct error *err);
int key_print(const struct key *key, const void *target, struct buf *out);

#endif
