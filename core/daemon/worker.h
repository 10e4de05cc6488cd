/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker process of the daemon: started by its supervisor, becomes ready, serves until it is told to drain. */
#ifndef XFER_DAEMON_WORKER_H
#define XFER_DAEMON_WORKER_H

#include "config/settings.h"

/* The argument that makes a process a worker: --worker=INDEX. */
#define WORKER_OPTION "worker"

/*
 * The whole life of the process; returns its exit status. The supervisor is at the other end of CONTROL_FD, and gets
 * the error where one keeps the worker from becoming ready.
 */
int worker_main(unsigned index, const struct settings_source *source);

#endif
