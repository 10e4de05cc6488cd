/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-aged: a plug-in as it was written when the ABI was 1.0, TCP without anything beside. Built from the header of
 * then, and, with FUTURE, from one that has more fields than any of ours.
 */
#include <xfer/plugin.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct aged {
	const struct xfer_host *host;
};

struct xfer_listener {
	int fd;
};

struct xfer_conn {
	int fd;
	int connecting;
};

/* What came to the ABI after the program was built must not seem to be there. */
#ifdef FUTURE
#define UNKNOWN(p) XFER_HAS(p, future)
#else
#define UNKNOWN(p) ((p)->struct_size < sizeof(*(p)))
#endif

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	if (UNKNOWN(host) || UNKNOWN(params)) {
		host->error(host, "the program's structs are not of the size that they say");
		return -EPROTO;
	}
	struct aged *aged = malloc(sizeof(*aged));
	if (aged == NULL)
		return -ENOMEM;
	aged->host = host;
	*instance = aged;
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

static int listener_make(int fd, struct xfer_listener **out)
{
	struct xfer_listener *listener = malloc(sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	listener->fd = fd;
	*out = listener;
	return 0;
}

static int aged_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	const int on = 1;
	(void)instance;
	if (UNKNOWN(how) || how->flags != 0)
		return -EPROTO;
	int fd = socket(how->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	                         bind(fd, how->address, how->address_len) < 0 || listen(fd, 100) < 0
	                 ? -errno
	                 : listener_make(fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}

static int listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                          struct xfer_listener **out)
{
	(void)instance;
	return UNKNOWN(how) || count != 1 ? -EINVAL : listener_make(fds[0], out);
}

static int listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	if (max > 0)
		fds[0] = listener->fd;
	return 1;
}

static int listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof(address);
	char host[INET_ADDRSTRLEN];
	if (getsockname(listener->fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
	return snprintf(text, size, "%s:%u", host, ntohs(address.sin_port)) < (int)size ? 0 : -ENOSPC;
}

static void listener_close(struct xfer_listener *listener)
{
	close(listener->fd);
	free(listener);
}

static int conn_make(int fd, int connecting, struct xfer_conn **out)
{
	struct xfer_conn *conn = malloc(sizeof(*conn));
	if (conn == NULL) {
		close(fd);
		return -ENOMEM;
	}
	conn->fd = fd;
	conn->connecting = connecting;
	*out = conn;
	return 0;
}

static int aged_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	(void)flags;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd < 0 ? -errno : conn_make(fd, 0, out);
}

static int aged_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	(void)instance;
	if (UNKNOWN(how) || how->flags != 0)
		return -EPROTO;
	int fd = socket(how->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, how->address, how->address_len) < 0 && errno != EINPROGRESS) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return conn_make(fd, 1, out);
}

static int handshake(struct xfer_conn *conn, uint32_t flags)
{
	struct pollfd wait = { .fd = conn->fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);
	(void)flags;
	if (!conn->connecting)
		return 0;
	if (poll(&wait, 1, 0) != 1)
		return -EAGAIN;
	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	conn->connecting = 0;
	return -error;
}

static ssize_t sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	(void)count;
	(void)flags;
	ssize_t sent = send(conn->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

static ssize_t aged_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	ssize_t got = recv(conn->fd, bytes, len, 0);
	return got < 0 ? -errno : got;
}

static int aged_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	if (UNKNOWN(out))
		return -EPROTO;
	out->read_fd = out->write_fd = conn->fd;
	out->events = conn->connecting ? XFER_POLL_WRITE : 0;
	return 0;
}

static int endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	socklen_t len = sizeof(out->remote);
	if (UNKNOWN(out))
		return -EPROTO;
	if (getpeername(conn->fd, (struct sockaddr *)&out->remote, &len) < 0)
		out->remote.ss_family = AF_UNSPEC;
	len = sizeof(out->local);
	if (getsockname(conn->fd, (struct sockaddr *)&out->local, &len) < 0)
		out->local.ss_family = AF_UNSPEC;
	snprintf(out->text, sizeof(out->text), "aged peer");
	return 0;
}

static int aged_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	(void)flags;
	return shutdown(conn->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void aged_close(struct xfer_conn *conn)
{
	close(conn->fd);
	free(conn);
}

#ifdef FUTURE
static void never(void)
{
	abort();
}
#define MORE .future = { ~UINT64_C(0), ~UINT64_C(0) }, .future_call = never,
#else
#define MORE
#endif

static const struct xfer_transport_ops OPS = { .struct_size = sizeof(struct xfer_transport_ops),
	                                       .listen = aged_listen,
	                                       .listener_adopt = listener_adopt,
	                                       .listener_fds = listener_fds,
	                                       .listener_address = listener_address,
	                                       .listener_close = listener_close,
	                                       .accept = aged_accept,
	                                       .connect = aged_connect,
	                                       .handshake = handshake,
	                                       .sendv = sendv,
	                                       .recv = aged_recv,
	                                       .poll = aged_poll,
	                                       .endpoint = endpoint,
	                                       .shutdown = aged_shutdown,
	                                       .close = aged_close,
	                                       MORE };

static const struct xfer_plugin PLUGIN = { XFER_PLUGIN_HEAD,
	                                   .kind = XFER_KIND_TRANSPORT,
	                                   .name = "aged",
	                                   .version = "1",
	                                   .summary = "as of ABI 1.0",
	                                   .capabilities = XFER_CAP_INET,
	                                   .create = create,
	                                   .destroy = destroy,
	                                   .transport = &OPS,
	                                   MORE };

XFER_REGISTER_PLUGIN(PLUGIN)
