/* SPDX-License-Identifier: BSD-2-Clause */
/* The default values of an options table. */
#ifndef XFER_REGISTRY_DEFAULTS_H
#define XFER_REGISTRY_DEFAULTS_H

#include "base/error.h"

#include <xfer/plugin.h>

/*
 * Reads the default of an option that has one, checks it against the option's own range. The error's text is a clause
 * ("its default 'x' is no number") without the option's name. A text is the option's.
 */
int defaults_value(const struct xfer_option *option, union xfer_value *out, struct error *err);

#endif
