/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over what a plug-in says of itself: our own full-size copies, checked. */
#ifndef XFER_REGISTRY_CHECK_H
#define XFER_REGISTRY_CHECK_H

#include "registry/registry.h"

#include <stdbool.h>

enum { CHECK_NAME_MAX = 31, CHECK_OPTIONS_MAX = 256 };

/* [a-z][a-z0-9-]{0,30} */
bool check_name(const char *name);

/*
 * Copies `theirs` and what hangs on it into *plugin (about, options, the operations of its kind). Every refusal is
 * FAULT_USAGE; its text is a clause without the file's name.
 */
int check_plugin(struct plugin *plugin, const struct xfer_plugin *theirs, struct error *err);

#endif
