/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp: the accepting side. */
#include "tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct xfer_listener {
	const struct tcp *tcp;
	int fd; /* owned */
};

static int tcp_listener_create(const struct tcp *tcp, int fd, struct xfer_listener **out)
{
	struct xfer_listener *listener = malloc(sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	listener->tcp = tcp;
	listener->fd = fd;
	*out = listener;
	return 0;
}

static int tcp_bind(const struct tcp *tcp, int fd, const struct sockaddr *address, socklen_t len)
{
	const int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* [::] and 0.0.0.0 are two addresses, listed side by side. */
	if (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, address, len) < 0 || listen(fd, tcp->backlog) < 0)
		return -errno;
	return 0;
}

int tcp_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	const struct tcp *tcp = instance;
	int fd;
	int rc = tcp_socket_open(tcp, how->address, &fd);
	if (rc < 0)
		return rc;
	rc = tcp_plain_listen(tcp, how->address, how->address_len, how->authority);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	rc = tcp_bind(tcp, fd, how->address, how->address_len);
	if (rc < 0) {
		struct sockaddr_storage address = { 0 };
		char text[TCP_ADDRESS_MAX];
		memcpy(&address, how->address, how->address_len < sizeof(address) ? how->address_len : sizeof(address));
		tcp->host->error(tcp->host, "cannot listen on %s: %s", tcp_address_text(&address, text), strerror(-rc));
	} else {
		rc = tcp_listener_create(tcp, fd, out);
	}
	if (rc < 0)
		close(fd);
	return rc;
}

int tcp_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                       struct xfer_listener **out)
{
	const struct tcp *tcp = instance;
	if (count != 1) {
		tcp->host->error(tcp->host, "a listener has one descriptor, not %zu", count);
		return -EINVAL;
	}
	int accepting = 0;
	socklen_t len = sizeof(accepting);
	if (getsockopt(fds[0], SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) < 0 || !accepting) {
		tcp->host->error(tcp->host, "descriptor %d is no listening socket", fds[0]);
		return -EINVAL;
	}
	int rc = tcp_socket_adopt(tcp, fds[0]);
	if (rc == 0)
		rc = tcp_plain_listener(tcp, fds[0], how->authority);
	return rc < 0 ? rc : tcp_listener_create(tcp, fds[0], out);
}

int tcp_listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	if (max > 0)
		fds[0] = listener->fd;
	return 1;
}

int tcp_listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	if (getsockname(listener->fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	char whole[TCP_ADDRESS_MAX];
	size_t need = strlen(tcp_address_text(&address, whole)) + 1;
	if (need > size)
		return -ENOSPC;
	memcpy(text, whole, need);
	return 0;
}

void tcp_listener_close(struct xfer_listener *listener)
{
	close(listener->fd);
	free(listener);
}

/* Errors of one connection that broke while it waited; the next one may be fine. */
static int tcp_accept_again(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP: return 1;
	default: return 0;
	}
}

int tcp_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	(void)flags;
	int fd;
	do
		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && tcp_accept_again(errno));
	if (fd < 0)
		return -errno;
	int rc = tcp_socket_tune(listener->tcp, fd);
	if (rc == 0)
		rc = tcp_conn_create(listener->tcp, fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}
