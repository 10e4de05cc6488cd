/* SPDX-License-Identifier: BSD-2-Clause */
/* One plug-in: from a file to a checked struct plugin, and its instance. */
#ifndef XFER_REGISTRY_PLUGIN_H
#define XFER_REGISTRY_PLUGIN_H

#include "registry/registry.h"

/* `path` is absolute and without symbolic links. Every refusal names it. notes and log are borrowed. */
int plugin_open(struct plugin **out, const char *path, struct notes *notes, struct log *log, struct error *err);
/* Destroys the instance, if there is one, and frees the copies; the object stays mapped. NULL is allowed. */
void plugin_close(struct plugin *plugin);

#endif
