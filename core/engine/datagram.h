/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datagram sockets of the daemon, one for each worker, all on one port; and datagrams with both of their addresses,
 * so that an answer leaves from the address that was asked. A peer behind a firewall hears no other one.
 */
#ifndef XFER_ENGINE_DATAGRAM_H
#define XFER_ENGINE_DATAGRAM_H

#include "base/error.h"

#include <netinet/in.h>
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

/* Never waits. Bytes, more than `size` when it was longer; -EAGAIN, or the ICMP error of an earlier datagram. */
ssize_t datagram_receive(int fd, void *bytes, size_t size, struct datagram_path *path);
/* Never waits. 0 or -errno: then it is lost. */
int datagram_send(int fd, const void *bytes, size_t len, const struct datagram_path *path);

#endif
