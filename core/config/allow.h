/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may use an export: allow-from, a list of addresses and networks, "10.0.0.0/8, ::1"; and allow, a list of names that a
 * transport has authenticated, "backup, alice". Asked for each request, so nothing is allocated.
 */
#ifndef XFER_CONFIG_ALLOW_H
#define XFER_CONFIG_ALLOW_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { ALLOW_NAME_MAX = 255 }; /* bytes of a name; longer ones no transport tells */

/* -EINVAL (FAULT_USAGE) names the item that is neither an address nor a network. */
int allow_check(const char *text, struct error *err);
/* Whether a peer may come from there. NULL allows everybody; an address that is no INET one needs just that. */
bool allow_permits(const char *text, const struct sockaddr *from);

/* -EINVAL (FAULT_USAGE) names the item that cannot be a peer's name, or is there twice. */
int allow_check_names(const char *text, struct error *err);
/* Whether that peer may. NULL allows everybody; whoever has no name ("") needs just that. */
bool allow_names(const char *text, const char *name);

#endif
