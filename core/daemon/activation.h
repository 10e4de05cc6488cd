/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets that a service manager has opened: the protocol of sd_listen_fds(3), without its library. They lie at
 * the descriptors from 3 on, LISTEN_FDS of them, and are for the process LISTEN_PID alone.
 */
#ifndef XFER_DAEMON_ACTIVATION_H
#define XFER_DAEMON_ACTIVATION_H

#include "config/settings.h"
#include "daemon/listen.h"

/*
 * Adds what was handed to this process to an empty set: the first socket is of the first item of listen, and so on.
 * Nothing happens where nothing was. Called once: the variables are gone afterwards.
 * FAULT_USAGE.
 */
int activation_take(struct listen_set *set, const struct settings *settings, struct error *err);

#endif
