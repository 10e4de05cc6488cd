/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp: sockets with the configured options, and addresses as text. */
#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int tcp_socket_set(const struct tcp *tcp, int fd, int level, int option, const char *name, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) == 0)
		return 0;
	int rc = -errno;
	tcp->host->error(tcp->host, "cannot set %s to %d: %s", name, value, strerror(-rc));
	return rc;
}

/* The window scale is agreed upon when a connection begins, so buffers are set before; accepted sockets inherit them. */
static int tcp_socket_early(const struct tcp *tcp, int fd)
{
	int rc = 0;
	if (tcp->send_buffer > 0)
		rc = tcp_socket_set(tcp, fd, SOL_SOCKET, SO_SNDBUF, "send-buffer", tcp->send_buffer);
	if (rc == 0 && tcp->receive_buffer > 0)
		rc = tcp_socket_set(tcp, fd, SOL_SOCKET, SO_RCVBUF, "receive-buffer", tcp->receive_buffer);
	size_t len = strlen(tcp->congestion);
	if (rc == 0 && len > 0 && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, tcp->congestion, (socklen_t)len) < 0) {
		rc = -errno;
		tcp->host->error(tcp->host, "cannot use the congestion control '%s': %s", tcp->congestion,
		                 strerror(-rc));
	}
	return rc;
}

int tcp_socket_ahead(const struct tcp *tcp, int fd, int bytes)
{
	return tcp_socket_set(tcp, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, "send-ahead", bytes);
}

int tcp_socket_tune(const struct tcp *tcp, int fd)
{
	int rc = tcp_socket_set(tcp, fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1);
	if (rc == 0 && tcp->keepalive)
		rc = tcp_socket_set(tcp, fd, SOL_SOCKET, SO_KEEPALIVE, "keepalive", 1);
	return rc;
}

static bool tcp_is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address->ss_family != AF_INET6)
		return false;
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

/*
 * Nothing is lost between two programs of a machine, and where the system's choice sends by a timer, as bbr does, that
 * costs a tenth of the processor time of a transfer. To be said before there is a connection: one that has begun to send by
 * the timer goes on with it.
 */
static void tcp_socket_near(const struct tcp *tcp, int fd, const struct sockaddr *address, socklen_t len)
{
	static const char reno[] = "reno"; /* every kernel has it */
	struct sockaddr_storage at = { 0 };
	memcpy(&at, address, len);
	if (strlen(tcp->congestion) == 0 && tcp_is_loopback(&at))
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, sizeof(reno) - 1);
}

int tcp_socket_open(const struct tcp *tcp, const struct sockaddr *address, int *out)
{
	if (address == NULL || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) {
		tcp->host->error(tcp->host, "neither an IPv4 nor an IPv6 address");
		return -EAFNOSUPPORT;
	}
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	int rc = tcp_socket_early(tcp, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	tcp_socket_near(tcp, fd, address,
	                address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	*out = fd;
	return 0;
}

int tcp_socket_adopt(const struct tcp *tcp, int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 || protocol != IPPROTO_TCP) {
		tcp->host->error(tcp->host, "descriptor %d is no TCP socket", fd);
		return -EINVAL;
	}
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* Every address of ours, where somebody listens; the loopback, where somebody connects to it. */
static bool tcp_is_any(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ((const struct sockaddr_in *)address)->sin_addr.s_addr == htonl(INADDR_ANY);
	return address->ss_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* The first line for TLS is `line` and `target`, in a section that is named where it is not clear. */
static int tcp_plain_refuse(const struct tcp *tcp, const char *doing, const char *where, const char *line,
                            const char *target, const char *section)
{
	tcp->host->error(
		tcp->host,
		"plain TCP %s %s is refused: off the loopback it is neither encrypted nor authenticated. Three "
		"lines of xfer.ini make it TLS: '%s%s'%s, '[transport.tls]' and 'key-file = FILE', which 'xfer "
		"keygen' makes. In a network that can be trusted: 'allow-plaintext = yes' in [transport.tcp]",
		doing, where, line, target, section);
	return -EINVAL;
}

int tcp_plain_listen(const struct tcp *tcp, const struct sockaddr *address, socklen_t len, const char *authority)
{
	struct sockaddr_storage at = { 0 };
	char text[TCP_ADDRESS_MAX];
	memcpy(&at, address, len < sizeof(at) ? len : sizeof(at));
	if (tcp->allow_plaintext || tcp_is_loopback(&at))
		return 0;
	tcp_address_text(&at, text);
	return tcp_plain_refuse(tcp, "at", text, "listen = tls://", authority[0] != '\0' ? authority : text, "");
}

int tcp_plain_connect(const struct tcp *tcp, const struct sockaddr *address, socklen_t len)
{
	struct sockaddr_storage at = { 0 };
	char text[TCP_ADDRESS_MAX];
	memcpy(&at, address, len < sizeof(at) ? len : sizeof(at));
	if (tcp->allow_plaintext || tcp_is_loopback(&at) || tcp_is_any(&at))
		return 0;
	return tcp_plain_refuse(tcp, "to", tcp_address_text(&at, text), "transport = tls", "", " in [pipeline]");
}

int tcp_plain_listener(const struct tcp *tcp, int fd, const char *authority)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	return tcp_plain_listen(tcp, (const struct sockaddr *)&at, len, authority);
}

int tcp_plain_conn(const struct tcp *tcp, int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	if (getpeername(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	return tcp_plain_connect(tcp, (const struct sockaddr *)&at, len);
}

char *tcp_address_text(const struct sockaddr_storage *address, char text[TCP_ADDRESS_MAX])
{
	char host[64], port[8];
	socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if ((address->ss_family != AF_INET && address->ss_family != AF_INET6) ||
	    getnameinfo((const struct sockaddr *)address, len, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(text, TCP_ADDRESS_MAX, "?");
	else
		snprintf(text, TCP_ADDRESS_MAX, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return text;
}
