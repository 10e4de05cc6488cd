/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: how much TCP was given so far. */
#include "tls.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * In each of them the peer would have to acknowledge something between two calls, of some hundred nanoseconds each. A peer
 * that wants to can, for a while, and the loop serves others.
 */
enum { LOOKS = 100 };

static int acknowledged(int fd, uint64_t *out)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	if (len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return -EOPNOTSUPP;
	*out = info.tcpi_bytes_acked;
	return 0;
}

/* What the peer has, and what it does not have yet: both are of one moment only if the first was the same before. */
int tls_position(int fd, uint64_t *out)
{
	uint64_t before, after;
	int waiting, rc = acknowledged(fd, &before);

	for (unsigned i = 0; rc == 0 && i < LOOKS; i++, before = after) {
		if (ioctl(fd, SIOCOUTQ, &waiting) < 0)
			return -errno;
		rc = acknowledged(fd, &after);
		if (rc == 0 && before == after) {
			*out = after + (unsigned)waiting;
			return 0;
		}
	}
	return rc < 0 ? rc : -EAGAIN;
}
