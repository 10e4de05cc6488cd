/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of owned texts, as "a, b, c" in the configuration, or as gathered while reading it. */
#ifndef XFER_CONFIG_NAMES_H
#define XFER_CONFIG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
	char **list; /* owned, as are the texts */
	size_t count;
};

/* Adds a copy. -EEXIST when it is there already, -ENOMEM. */
int names_add(struct names *names, const char *name);
/* Adds the items of "a, b, c", blanks trimmed. -EINVAL for an empty item or none, -EEXIST for one that is there twice. */
int names_split(struct names *names, const char *text);
void names_free(struct names *names);

/* What a plug-in may be called: [a-z][a-z0-9-]{0,30}. */
bool name_is_plugin(const char *name, size_t len);

#endif
