/* SPDX-License-Identifier: BSD-2-Clause */
/* The address of an item of [daemon] listen, as a transport of the Internet families takes it. */
#ifndef XFER_ENGINE_ADDRESS_H
#define XFER_ENGINE_ADDRESS_H

#include "base/error.h"

#include <netdb.h>
#include <stdbool.h>

enum { ADDRESS_HOST_MAX = 256 }; /* NUL included */

/*
 * Takes "HOST:PORT", "[V6]:PORT" or ":PORT" (host "") apart; without a port it is the default one. host is without
 * brackets. FAULT_USAGE.
 */
int address_split(const char *text, char host[ADDRESS_HOST_MAX], unsigned *port, struct error *err);
/*
 * The addresses to listen on, with the item's port, or with port 0 where `any_port` is wanted; no host means every IPv4
 * address. May ask name servers. freeaddrinfo() by the caller.
 */
int address_resolve(const char *text, bool any_port, struct addrinfo **out, unsigned *port, struct error *err);

#endif
