/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagram sockets of the daemon: one for each worker, all on one port. */
#include "engine/address.h"
#include "engine/server.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

static int socket_bind(const struct addrinfo *at)
{
	const int on = 1;
	int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		r = -errno;
	if (r == 0 && at->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		r = -errno;
	if (r == 0 && bind(fd, at->ai_addr, at->ai_addrlen) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int server_datagram_open(const char *address, int *fd, struct error *err)
{
	struct addrinfo *at;
	unsigned port;
	int r = address_resolve(address, false, &at, &port, err);

	if (r < 0)
		return r;
	r = socket_bind(at);
	freeaddrinfo(at);
	if (r < 0)
		return error_system(err, r, FAULT_USAGE, "heartbeat socket on %s", address);
	*fd = r;
	return 0;
}

int server_datagram_steer(int fd, unsigned workers, struct error *err)
{
	/* The kernel runs this on the payload: byte 0 is the worker. What it does not know goes to the first one. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, workers, 0, 1),
		BPF_STMT(BPF_LD | BPF_IMM, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		return error_system(err, -errno, FAULT_LOCAL, "heartbeats cannot be steered to %u workers", workers);
	return 0;
}
