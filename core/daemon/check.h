/* SPDX-License-Identifier: BSD-2-Clause */
/* `xferd -t`: would a daemon start with this configuration? */
#ifndef XFER_DAEMON_CHECK_H
#define XFER_DAEMON_CHECK_H

#include "base/error.h"
#include "config/settings.h"

/* Reads the configuration and loads its plug-ins in a worker of its own, which binds nothing and then ends. */
int check_run(const struct settings_source *source, struct error *err);

#endif
