/* SPDX-License-Identifier: BSD-2-Clause */
/* `xferd --stdio`: one session over standard input and output, for the command that a remote shell runs. */
#ifndef XFER_DAEMON_STDIO_H
#define XFER_DAEMON_STDIO_H

#include "base/error.h"
#include "config/settings.h"

/* Serves until the peer is gone. With `source->none` the caller's own files (settings_own()). */
int stdio_run(const struct settings_source *source, struct error *err);

#endif
