/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the kinds of plug-ins. */
#ifndef XFER_REGISTRY_KIND_H
#define XFER_REGISTRY_KIND_H

#include <xfer/plugin.h>

const char *plugin_kind_name(enum xfer_kind kind); /* "transport", "integrity", "liveness" */
int plugin_kind_parse(const char *name, enum xfer_kind *out);

#endif
