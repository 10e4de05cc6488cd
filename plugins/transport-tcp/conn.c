/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp: a connection. */
#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
	TCP_SENDFILE_MAX = 0x7ffff000, /* bytes that sendfile(2) moves at most */
	TCP_AHEAD_FIRST = 16 * 1024,   /* what the kernel holds before it can send it, of a connection that ... */
	TCP_PROVEN = 1024 * 1024       /* ... has not sent that many bytes yet: its peer may never read */
};

/* Ten thousand of them may rest: what only a connecting one needs is on the side. */
struct xfer_conn {
	const struct tcp *tcp;
	struct sockaddr_storage *dialled; /* owned; whom we connect to, NULL once the connection is open */
	int fd;                           /* owned */
	uint32_t sent;                    /* bytes, until they are TCP_PROVEN */
};

static int tcp_ahead_first(const struct tcp *tcp)
{
	return tcp->send_ahead < TCP_AHEAD_FIRST ? tcp->send_ahead : TCP_AHEAD_FIRST;
}

/* Thousands that do not read fill no memory of the kernel's; who reads is not kept waiting. */
static void tcp_conn_sent(struct xfer_conn *conn, size_t bytes)
{
	if (conn->sent >= TCP_PROVEN || conn->tcp->send_ahead == 0)
		return;
	conn->sent += bytes < TCP_PROVEN ? (uint32_t)bytes : TCP_PROVEN;
	if (conn->sent >= TCP_PROVEN)
		(void)tcp_socket_ahead(conn->tcp, conn->fd, conn->tcp->send_ahead);
}

int tcp_conn_create(const struct tcp *tcp, int fd, struct xfer_conn **out)
{
	struct xfer_conn *conn = malloc(sizeof(*conn));
	if (conn == NULL)
		return -ENOMEM;
	conn->tcp = tcp;
	conn->dialled = NULL;
	conn->fd = fd;
	conn->sent = 0;
	/* Where the kernel cannot do it, its buffer is the bound. */
	if (tcp->send_ahead > 0)
		(void)tcp_socket_ahead(tcp, fd, tcp_ahead_first(tcp));
	*out = conn;
	return 0;
}

/* Says whom we could not reach and returns rc. */
static int tcp_conn_refused(const struct tcp *tcp, const struct sockaddr_storage *address, int rc)
{
	char text[TCP_ADDRESS_MAX];
	tcp->host->error(tcp->host, "cannot connect to %s: %s", tcp_address_text(address, text), strerror(-rc));
	return rc;
}

static int tcp_conn_dial(const struct tcp *tcp, const struct xfer_connect *how, int fd, struct xfer_conn **out)
{
	int rc = tcp_socket_tune(tcp, fd);
	if (rc < 0)
		return rc;
	struct sockaddr_storage *dialled = calloc(1, sizeof(*dialled));
	if (dialled == NULL)
		return -ENOMEM;
	if (how->address_len > sizeof(*dialled)) {
		rc = -EINVAL;
		goto out;
	}
	memcpy(dialled, how->address, how->address_len);
	/* An interrupted connect goes on by itself, as one under way does. */
	if (connect(fd, how->address, how->address_len) < 0 && errno != EINPROGRESS && errno != EINTR) {
		rc = tcp_conn_refused(tcp, dialled, -errno);
		goto out;
	}
	rc = tcp_conn_create(tcp, fd, out);
	if (rc == 0)
		(*out)->dialled = dialled;
out:
	if (rc < 0)
		free(dialled);
	return rc;
}

int tcp_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	const struct tcp *tcp = instance;
	int fd;
	int rc = tcp_socket_open(tcp, how->address, &fd);
	if (rc < 0)
		return rc;
	rc = tcp_plain_connect(tcp, how->address, how->address_len);
	if (rc == 0)
		rc = tcp_conn_dial(tcp, how, fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}

int tcp_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	const struct tcp *tcp = instance;
	if (how->read_fd != how->write_fd) {
		tcp->host->error(tcp->host, "a TCP connection is one descriptor, not two (%d and %d)", how->read_fd,
		                 how->write_fd);
		return -EINVAL;
	}
	int rc = tcp_socket_adopt(tcp, how->read_fd);
	if (rc == 0)
		rc = tcp_plain_conn(tcp, how->read_fd);
	if (rc == 0)
		rc = tcp_socket_tune(tcp, how->read_fd);
	return rc < 0 ? rc : tcp_conn_create(tcp, how->read_fd, out);
}

/*
 * A connect to a free port of our own machine can meet itself, when the kernel happens to choose that port for our
 * end: nobody listens, yet the socket is connected.
 */
static bool tcp_conn_is_mirror(const struct xfer_conn *conn)
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
	return getsockname(conn->fd, (struct sockaddr *)&local, &local_len) == 0 &&
	       getpeername(conn->fd, (struct sockaddr *)&remote, &remote_len) == 0 && local_len == remote_len &&
	       memcmp(&local, &remote, local_len) == 0;
}

int tcp_handshake(struct xfer_conn *conn, uint32_t flags)
{
	(void)flags;
	if (conn->dialled == NULL)
		return 0;
	struct pollfd wait = { .fd = conn->fd, .events = POLLOUT };
	int ready = poll(&wait, 1, 0);
	if (ready == 0 || (ready < 0 && errno == EINTR))
		return -EAGAIN;

	int error = 0;
	socklen_t len = sizeof(error);
	if (ready < 0 || getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0 && tcp_conn_is_mirror(conn))
		error = ECONNREFUSED;
	if (error != 0)
		return tcp_conn_refused(conn->tcp, conn->dialled, -error);
	free(conn->dialled);
	conn->dialled = NULL;
	return 0;
}

ssize_t tcp_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	(void)flags;
	/* sendmsg() takes the pieces as const, struct msghdr does not say so. */
	union {
		const struct iovec *in;
		struct iovec *out;
	} pieces = { .in = iov };
	struct msghdr message = { .msg_iov = pieces.out, .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX) };
	ssize_t sent;
	do
		sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	tcp_conn_sent(conn, (size_t)sent);
	return sent;
}

ssize_t tcp_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	ssize_t got;
	do
		got = recv(conn->fd, bytes, len, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t tcp_sendfile(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags)
{
	(void)flags;
	off_t at = (off_t)offset;
	ssize_t sent;
	do
		sent = sendfile(conn->fd, fd, &at, len < TCP_SENDFILE_MAX ? len : TCP_SENDFILE_MAX);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	tcp_conn_sent(conn, (size_t)sent);
	return sent;
}

ssize_t tcp_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	(void)flags;
	ssize_t sent;
	do
		sent = splice(fd, NULL, conn->fd, NULL, len, SPLICE_F_NONBLOCK);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	tcp_conn_sent(conn, (size_t)sent);
	return sent;
}

ssize_t tcp_recvpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	(void)flags;
	ssize_t got;
	do
		got = splice(conn->fd, NULL, fd, NULL, len, SPLICE_F_NONBLOCK);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return got;
}

int tcp_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	out->read_fd = conn->fd;
	out->write_fd = conn->fd;
	out->events = conn->dialled != NULL ? XFER_POLL_WRITE : 0;
	return 0;
}

int tcp_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	socklen_t len = sizeof(out->remote);
	if (conn->dialled != NULL)
		out->remote = *conn->dialled;
	else if (getpeername(conn->fd, (struct sockaddr *)&out->remote, &len) < 0)
		out->remote.ss_family = AF_UNSPEC;
	len = sizeof(out->local);
	if (getsockname(conn->fd, (struct sockaddr *)&out->local, &len) < 0)
		out->local.ss_family = AF_UNSPEC;
	_Static_assert(sizeof(out->text) >= TCP_ADDRESS_MAX, "an address fits");
	tcp_address_text(&out->remote, out->text);
	return 0;
}

int tcp_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	(void)flags;
	return shutdown(conn->fd, SHUT_WR) < 0 ? -errno : 0;
}

void tcp_close(struct xfer_conn *conn)
{
	close(conn->fd);
	free(conn->dialled);
	free(conn);
}
