/* SPDX-License-Identifier: BSD-2-Clause */
/* What the core offers to a plug-in: log, error text, clock, random bytes. */
#ifndef XFER_REGISTRY_HOST_H
#define XFER_REGISTRY_HOST_H

#include "registry/registry.h"

/* Fills plugin->host, which names the plug-in as its context. */
void host_init(struct plugin *plugin);

#endif
