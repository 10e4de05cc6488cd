/* SPDX-License-Identifier: BSD-2-Clause */
/* allow-from of an export: a list of addresses and networks, "10.0.0.0/8, ::1". */
#ifndef XFER_CONFIG_ALLOW_H
#define XFER_CONFIG_ALLOW_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

/* -EINVAL (FAULT_USAGE) names the item that is neither an address nor a network. */
int allow_check(const char *text, struct error *err);
/* Whether a peer may come from there. NULL allows everybody; an address that is no INET one needs just that. */
bool allow_permits(const char *text, const struct sockaddr *from);

#endif
