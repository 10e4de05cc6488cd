/* SPDX-License-Identifier: BSD-2-Clause */
/* A text as the typed value of an option: the core's own keys, a plug-in's keys and their defaults are all read here. */
#ifndef XFER_BASE_OPTION_H
#define XFER_BASE_OPTION_H

#include <xfer/plugin.h>

/* -EINVAL: no value of its type; -ERANGE: out of the option's range. A STRING's value.text is `text` itself, borrowed. */
int option_read(const struct xfer_option *option, const char *text, union xfer_value *out);

#endif
