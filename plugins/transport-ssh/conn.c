/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection: one socket to ssh at the client, two pipes or a socket from sshd at the daemon. */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct xfer_conn *conn_new(const struct ssh_transport *self)
{
	struct xfer_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->self = self;
	conn->wait_fd = -1;
	conn->end_fd = -1;
	conn->timer_fd = -1;
	return conn;
}

int conn_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	const struct ssh_transport *self = instance;
	struct epoll_event readable = { .events = EPOLLIN };
	struct xfer_conn *conn = conn_new(self);
	int rc;

	if (conn == NULL)
		return -ENOMEM;
	conn->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = conn->wait_fd < 0 ? -errno : ssh_spawn(self, how, &conn->read_fd, &conn->pid);
	if (rc < 0) {
		if (conn->wait_fd >= 0)
			close(conn->wait_fd);
		free(conn);
		return rc;
	}
	if (epoll_ctl(conn->wait_fd, EPOLL_CTL_ADD, conn->read_fd, &readable) < 0) {
		rc = -errno;
		conn->write_fd = conn->read_fd;
		conn_close(conn);
		return rc;
	}
	conn->write_fd = conn->read_fd;
	snprintf(conn->text, sizeof(conn->text), "%s%s%s", how->user != NULL ? how->user : "",
	         how->user != NULL ? "@" : "", how->authority);
	*out = conn;
	return 0;
}

/* A file would never let us wait. */
static int descriptor_adopt(const struct ssh_transport *self, int fd)
{
	struct stat stat;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISFIFO(stat.st_mode) && !S_ISSOCK(stat.st_mode)) {
		self->host->error(self->host,
		                  "standard input and output are not connected to ssh: they have to be pipes or "
		                  "a socket");
		return -EINVAL;
	}
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int conn_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	const struct ssh_transport *self = instance;
	const char *from = getenv("SSH_CONNECTION"); /* "address port address port" */
	struct xfer_conn *conn;
	int rc = descriptor_adopt(self, how->read_fd);

	if (rc == 0 && how->write_fd != how->read_fd)
		rc = descriptor_adopt(self, how->write_fd);
	if (rc < 0)
		return rc;
	conn = conn_new(self);
	if (conn == NULL)
		return -ENOMEM;
	conn->read_fd = how->read_fd;
	conn->write_fd = how->write_fd;
	conn->server = how->server != 0;
	if (how->authority[0] == '\0' && from != NULL)
		snprintf(conn->text, sizeof(conn->text), "ssh-%.*s", (int)strcspn(from, " "), from);
	else
		snprintf(conn->text, sizeof(conn->text), "%s", how->authority[0] != '\0' ? how->authority : "ssh");
	*out = conn;
	return 0;
}

/* ---- the greeting ------------------------------------------------------------------------------------------------ */

static int greeting_send(struct xfer_conn *conn)
{
	while (conn->greeting < GREETING_LEN) {
		struct iovec rest = { .iov_base = (char *)(uintptr_t)GREETING + conn->greeting,
			              .iov_len = GREETING_LEN - conn->greeting };
		ssize_t sent = conn_sendv(conn, &rest, 1, 0);

		if (sent < 0)
			return (int)sent;
		conn->greeting += (size_t)sent;
	}
	return 0;
}

/* Byte by byte, since what follows the greeting is the stream's. It is short, and so is what precedes it mostly. */
static int greeting_receive(struct xfer_conn *conn)
{
	if (conn->timer_fd >= 0)
		return ssh_ended(conn);
	while (conn->greeting < GREETING_LEN) {
		char byte;
		ssize_t got = conn_recv(conn, &byte, 1, 0);

		if (got == 0 || got == -ECONNRESET)
			return ssh_ended(conn);
		if (got < 0)
			return (int)got;
		/* Its first letter is not in it again, so that a start is either this byte or none. */
		if (byte == GREETING[conn->greeting])
			conn->greeting++;
		else
			conn->greeting = byte == GREETING[0];
		if (++conn->noise > NOISE_MAX) {
			conn->self->host->error(
				conn->self->host,
				"%s: what came is not from xferd: do the start files of the shell there write "
				"to standard output?",
				conn->text);
			return -EPROTO;
		}
	}
	return 0;
}

int conn_handshake(struct xfer_conn *conn, uint32_t flags)
{
	int rc = conn->greeted ? 0 : conn->server ? greeting_send(conn) : greeting_receive(conn);

	(void)flags;
	conn->greeted = rc == 0;
	return rc;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

ssize_t conn_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	ssize_t sent;

	(void)flags;
	do
		sent = writev(conn->write_fd, iov, count < IOV_MAX ? count : IOV_MAX);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

ssize_t conn_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	ssize_t got;

	(void)flags;
	do
		got = read(conn->read_fd, bytes, len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int conn_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	out->read_fd = conn->wait_fd >= 0 ? conn->wait_fd : conn->read_fd;
	out->write_fd = conn->write_fd;
	out->events = conn->greeted ? 0 : conn->server ? XFER_POLL_WRITE : XFER_POLL_READ;
	return 0;
}

int conn_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	out->remote.ss_family = AF_UNSPEC;
	out->local.ss_family = AF_UNSPEC;
	snprintf(out->text, sizeof(out->text), "%.127s", conn->text);
	/* At the client ssh has checked the host's key. At the daemon whoever is there is the user that it runs as. */
	snprintf(out->identity, sizeof(out->identity), "%.255s", conn->server ? "" : conn->text);
	return 0;
}

/* A pipe's end is closed by putting something else into its place: its number has to stay ours. */
static int pipe_shut(int fd)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int rc = nothing < 0 || dup3(nothing, fd, O_CLOEXEC) < 0 ? -errno : 0;

	if (nothing >= 0)
		close(nothing);
	return rc;
}

int conn_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	int rc = 0;

	(void)flags;
	if (conn->shut)
		return 0;
	if (shutdown(conn->write_fd, SHUT_WR) < 0)
		rc = errno != ENOTSOCK                 ? -errno
		     : conn->write_fd != conn->read_fd ? pipe_shut(conn->write_fd)
		                                       : -ENOTSOCK;
	conn->shut = rc == 0;
	return rc;
}

void conn_close(struct xfer_conn *conn)
{
	close(conn->read_fd);
	if (conn->write_fd != conn->read_fd)
		close(conn->write_fd);
	if (conn->wait_fd >= 0)
		close(conn->wait_fd);
	if (conn->end_fd >= 0)
		close(conn->end_fd);
	if (conn->timer_fd >= 0)
		close(conn->timer_fd);
	if (conn->pid > 0) {
		/* What was taken is still on its way through ssh, unless nobody wants it any more. */
		if (!conn->shut)
			kill(conn->pid, SIGTERM);
		/* It is not waited for. Where it is not over yet it stays in the table until this process ends. */
		(void)waitpid(conn->pid, NULL, WNOHANG);
	}
	free(conn);
}
