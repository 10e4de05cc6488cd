/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens datagram sockets, and sends and receives with both addresses. */
#include "engine/datagram.h"

#include "engine/address.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Aligned room for the control data of one datagram. */
union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

enum { RECEIVE_ROOM = 1024 * 1024 /* bytes of datagrams, with the kernel's own, that may wait for the loop */ };

/* ---- opening ---- */

static bool is_wildcard(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Those of our plug-ins take no IPv4, but those of a service manager may. */
static int takes_v6_only(int listener)
{
	int only = 1;
	socklen_t len = sizeof(only);

	if (listener < 0 || getsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) < 0)
		return 1;
	return only;
}

static int socket_set(int fd, const struct addrinfo *at, int listener)
{
	const int on = 1, only = takes_v6_only(listener), room = RECEIVE_ROOM;
	bool v6 = at->ai_family == AF_INET6;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
	/* Ten thousand clients ask twenty times in a millisecond. Who may not have more than others gets what they have. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0)
		return -errno;
	if (!is_wildcard(at->ai_addr))
		return 0;
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int socket_bind(const struct addrinfo *at, int listener)
{
	int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = socket_set(fd, at, listener);
	if (r == 0 && bind(fd, at->ai_addr, at->ai_addrlen) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int datagram_open(const char *address, int listener, int *fd, struct error *err)
{
	struct addrinfo *at;
	unsigned port;
	int r = address_resolve(address, false, &at, &port, err);

	if (r < 0)
		return r;
	r = socket_bind(at, listener);
	freeaddrinfo(at);
	if (r < 0)
		return error_system(err, r, FAULT_USAGE, "heartbeat socket on %s", address);
	*fd = r;
	return 0;
}

int datagram_steer(int fd, unsigned workers, struct error *err)
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

/* ---- moving ---- */

/* The address that was asked, as sendmsg() takes it for the answer. */
static void local_take(struct msghdr *message, struct datagram_path *path)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
			memcpy(&path->local.in, CMSG_DATA(head), sizeof(path->local.in));
			path->local.in.ipi_ifindex = 0; /* which way it goes is the routes' to say */
			path->family = AF_INET;
		} else if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO) {
			memcpy(&path->local.in6, CMSG_DATA(head), sizeof(path->local.in6));
			/* An address of a link means nothing without it. */
			if (!IN6_IS_ADDR_LINKLOCAL(&path->local.in6.ipi6_addr))
				path->local.in6.ipi6_ifindex = 0;
			path->family = AF_INET6;
		}
	}
}

int datagram_receive(int fd, struct datagram_item *items, unsigned count)
{
	union ancillary rooms[DATAGRAM_ITEMS];
	struct iovec parts[DATAGRAM_ITEMS];
	struct mmsghdr messages[DATAGRAM_ITEMS];
	int got;

	if (count > DATAGRAM_ITEMS)
		count = DATAGRAM_ITEMS;
	for (unsigned i = 0; i < count; i++) {
		parts[i] = (struct iovec){ .iov_base = items[i].bytes, .iov_len = sizeof(items[i].bytes) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &items[i].path.peer,
			.msg_namelen = sizeof(items[i].path.peer),
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
			.msg_control = rooms[i].bytes,
			.msg_controllen = sizeof(rooms[i].bytes),
		};
	}
	got = recvmmsg(fd, messages, count, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (got < 0)
		return -errno;
	for (int i = 0; i < got; i++) {
		items[i].len = messages[i].msg_len;
		items[i].path.peer_len = messages[i].msg_hdr.msg_namelen;
		items[i].path.family = AF_UNSPEC;
		local_take(&messages[i].msg_hdr, &items[i].path);
	}
	return got;
}

/* The address to answer from, where it is known. */
static void local_put(struct msghdr *message, union ancillary *room, const struct datagram_path *path)
{
	bool v6 = path->family == AF_INET6;
	size_t size = v6 ? sizeof(path->local.in6) : sizeof(path->local.in);

	if (path->family == AF_UNSPEC)
		return;
	*room = (union ancillary){ .bytes = { 0 } };
	room->head.cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	room->head.cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	room->head.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&room->head), &path->local, size);
	message->msg_control = room->bytes;
	message->msg_controllen = CMSG_SPACE(size);
}

unsigned datagram_send(int fd, const struct datagram_item *items, unsigned count)
{
	union ancillary rooms[DATAGRAM_ITEMS];
	struct iovec parts[DATAGRAM_ITEMS];
	struct mmsghdr messages[DATAGRAM_ITEMS];
	unsigned sent = 0;

	if (count > DATAGRAM_ITEMS)
		count = DATAGRAM_ITEMS;
	for (unsigned i = 0; i < count; i++) {
		/* sendmmsg() writes to neither, but its types do not say so. */
		parts[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)items[i].bytes, .iov_len = items[i].len };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = (void *)(uintptr_t)&items[i].path.peer,
			.msg_namelen = items[i].path.peer_len,
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
		local_put(&messages[i].msg_hdr, &rooms[i], &items[i].path);
	}
	/* It stops at one that cannot be sent, and says why only when that is the first. */
	for (unsigned at = 0; at < count;) {
		int n = sendmmsg(fd, messages + at, count - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (unsigned)n : 0;
		at += n > 0 ? (unsigned)n : 1;
	}
	return sent;
}
