/* SPDX-License-Identifier: BSD-2-Clause */
/* What a loaded plug-in says of itself, as text for people; verb_plugins.c has it as JSON. */
#ifndef XFER_CMD_PLUGIN_TEXT_H
#define XFER_CMD_PLUGIN_TEXT_H

#include "base/buf.h"
#include "config/settings.h"
#include "registry/registry.h"

#include <stdbool.h>
#include <stdio.h>

enum { PLUGIN_CAPABILITIES = 3 };

/* "parallel-objects" */
const char *plugin_threads_name(enum xfer_thread_model model);
/* The range of an option as the INI file would write it; "" when there is none, or no memory to say it. */
const char *plugin_range_text(const struct xfer_option *option, struct buf *out);
/* The name of capability i (below PLUGIN_CAPABILITIES) if the plug-in has it, else NULL. */
const char *plugin_capability(const struct plugin *plugin, size_t i);

/* The line of the plug-in's section that sets the key, or NULL. */
const struct settings_line *plugin_line(const struct settings *settings, const struct plugin *plugin, const char *key);

/* What it is and what can be set, as `xfer plugins` lists it; on standard output. */
void plugin_print(const struct plugin *plugin);
/* The same, and what that means: whether it is chosen, how to choose it, what is set now and where. */
void plugin_explain(const struct plugin *plugin, const struct settings *settings);

#endif
