/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One text of the configuration as a typed value, by a row of an options table (struct xfer_option). The core's own
 * keys and those of every plug-in are read, checked and printed here.
 */
#ifndef XFER_CONFIG_OPTIONS_H
#define XFER_CONFIG_OPTIONS_H

#include "base/buf.h"
#include "base/error.h"

#include <xfer/plugin.h>

#include <stddef.h>

struct settings_section;

/*
 * Checks type and range. A STRING's value.text is `text` itself, borrowed. The error (-EINVAL or -ERANGE, FAULT_USAGE)
 * names key, value, range and unit; who knows file and line puts them in front (error_prefix()).
 */
int option_parse(const struct xfer_option *option, const char *text, union xfer_value *out, struct error *err);
/* The value as option_parse() reads it; a SECRET's value is "(secret)". */
int option_format(const struct xfer_option *option, const union xfer_value *value, struct buf *out);
/* The range for people: "10ms to 1h", "at least 1", "at most 255 bytes"; nothing when there is none. */
int option_range(const struct xfer_option *option, struct buf *out);
const char *option_type_name(enum xfer_option_type type); /* "boolean", "integer", "size", "duration", "string" */

/*
 * Fills values[0 … count - 1] from the plug-in's section (NULL = there is none) and the defaults. An unknown key, a bad
 * value and a missing required one are errors with file and line. Texts belong to the section or to the table.
 */
int options_fill(const struct xfer_option *options, size_t count, const struct settings_section *section,
                 union xfer_value *values, struct error *err);

#endif
