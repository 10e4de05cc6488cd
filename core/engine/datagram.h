/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datagram sockets of the daemon, one for each worker, all on one port; and datagrams with both of their addresses,
 * so that an answer leaves from the address that was asked. A peer behind a firewall hears no other one.
 */
#ifndef XFER_ENGINE_DATAGRAM_H
#define XFER_ENGINE_DATAGRAM_H

#include "base/error.h"

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Where a datagram came from, and to which of our addresses. Zeroed and with `peer` set: to there, from any of ours. */
struct datagram_path {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} peer;
	socklen_t peer_len;
	sa_family_t family; /* of `local`; AF_UNSPEC: it is not known, nor needed where the socket has an address */
	union {
		struct in_pktinfo in;
		struct in6_pktinfo in6;
	} local;
};

/*
 * Opens a datagram socket on the address that a listener got ("HOST:PORT"), non-blocking, with SO_REUSEPORT; on a
 * wildcard it tells which address was asked. `listener` is a descriptor of that listener: where it takes IPv4 as well as
 * IPv6, so does this one; -1: IPv6 alone.
 */
int datagram_open(const char *address, int listener, int *fd, struct error *err);
/*
 * Chooses among sockets of one SO_REUSEPORT group by the first byte of a datagram's slot, so that a heartbeat reaches
 * the worker that has the session: called once on any of them when the group is complete (in order of worker).
 */
int datagram_steer(int fd, unsigned workers, struct error *err);

enum {
	DATAGRAM_ROOM = 520, /* bytes */
	DATAGRAM_ITEMS = 32  /* that one call moves at most */
};

struct datagram_item {
	struct datagram_path path;
	size_t len; /* more than DATAGRAM_ROOM: it was longer, and its end is lost */
	uint8_t bytes[DATAGRAM_ROOM];
};

/*
 * Never waits. How many came, at most `count`: fewer where no more are there. -EAGAIN, or the ICMP error of a datagram that
 * was sent.
 */
int datagram_receive(int fd, struct datagram_item *items, unsigned count);
/* Never waits. How many were sent; the others are lost. */
unsigned datagram_send(int fd, const struct datagram_item *items, unsigned count);

#endif
