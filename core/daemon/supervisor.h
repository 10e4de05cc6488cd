/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's first process: starts workers, replaces them, lets them drain. It reads the configuration, but loads no
 * plug-in and reads no byte of a peer, so that nothing of what can go wrong there takes the daemon down.
 */
#ifndef XFER_DAEMON_SUPERVISOR_H
#define XFER_DAEMON_SUPERVISOR_H

#include "base/error.h"
#include "config/settings.h"

/* Serves until SIGTERM or SIGINT: 0. An error when the first workers do not become ready. The caller has one thread. */
int supervisor_run(const struct settings_source *source, struct error *err);

#endif
