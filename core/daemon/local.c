/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/local.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, ACCEPT_TURN = 16, BUFFER = 1024 * 1024 /* bytes that the kernel may hold in one direction */ };

#define PAUSE (100 * CLOCK_MS)

struct xfer_conn {
	int fd;
};

/* ---- a transport ---- */

static int on_handshake(struct xfer_conn *conn, uint32_t flags)
{
	(void)conn;
	(void)flags;
	return 0;
}

static ssize_t on_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
	ssize_t n = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)flags;
	return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
}

static ssize_t on_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	ssize_t n = recv(conn->fd, bytes, len, MSG_DONTWAIT);

	(void)flags;
	return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
}

static int on_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	out->read_fd = out->write_fd = conn->fd;
	out->events = 0;
	return 0;
}

static int on_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	(void)conn;
	out->remote.ss_family = out->local.ss_family = AF_UNSPEC;
	snprintf(out->text, sizeof(out->text), "local");
	out->identity[0] = '\0';
	return 0;
}

static int on_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	(void)flags;
	return shutdown(conn->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void on_close(struct xfer_conn *conn)
{
	close(conn->fd);
	free(conn);
}

const struct plugin local_transport = {
	.about = { .kind = XFER_KIND_TRANSPORT, .name = "local", .capabilities = XFER_CAP_SECURE },
	.transport = {
		.handshake = on_handshake,
		.sendv = on_sendv,
		.recv = on_recv,
		.poll = on_poll,
		.endpoint = on_endpoint,
		.shutdown = on_shutdown,
		.close = on_close,
	},
};

/* ---- who is where ---- */

static socklen_t address_of(struct sockaddr_un *out, const uint8_t boot_id[MESSAGE_BOOT_ID])
{
	char name[2 * MESSAGE_BOOT_ID + 1];
	int len;

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	text_hex(name, boot_id, MESSAGE_BOOT_ID);
	len = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "xferd/%s", name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/* Made by a process of ours: another user's could pretend to be a worker, or to come from one. */
static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

static int conn_make(int fd, struct xfer_conn **out)
{
	bool ours = is_ours(fd);
	struct xfer_conn *conn = ours ? malloc(sizeof(*conn)) : NULL;
	int size = BUFFER;

	if (conn == NULL) {
		close(fd);
		return ours ? -ENOMEM : -EACCES;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	conn->fd = fd;
	*out = conn;
	return 0;
}

int local_connect(const uint8_t boot_id[MESSAGE_BOOT_ID], struct xfer_conn **out)
{
	struct sockaddr_un address;
	socklen_t len = address_of(&address, boot_id);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* At once, or never: -EAGAIN says that too many wait there. */
	if (connect(fd, (struct sockaddr *)&address, len) < 0) {
		int code = -errno;

		close(fd);
		return code;
	}
	return conn_make(fd, out);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct local_listener *listener = poll->data;

	(void)status;
	(void)events;
	loop_time(listener->loop);
	for (int i = 0; i < ACCEPT_TURN; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct xfer_conn *conn;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			/* They wait until somebody leaves; asking on would be a busy loop. */
			uv_poll_stop(poll);
			(void)loop_deadline(listener->loop, &listener->pause, listener->loop->now + PAUSE);
		}
		if (fd < 0)
			return;
		if (conn_make(fd, &conn) == 0)
			listener->accepted(listener->context, conn);
	}
}

static void on_pause_over(struct deadline *deadline)
{
	struct local_listener *listener = list_entry(deadline, struct local_listener, pause);

	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

int local_listen(struct local_listener *listener, struct loop *loop, const uint8_t boot_id[MESSAGE_BOOT_ID],
                 void (*accepted)(void *context, struct xfer_conn *conn), void *context)
{
	struct sockaddr_un address;
	socklen_t len = address_of(&address, boot_id);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;

	*listener = (struct local_listener){
		.fd = -1, .loop = loop, .pause.fire = on_pause_over, .accepted = accepted, .context = context
	};
	if (r == 0)
		r = uv_poll_init(&loop->uv, &listener->poll, fd);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	listener->fd = fd;
	listener->poll.data = listener;
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	return 0;
}

void local_close(struct local_listener *listener)
{
	if (listener->poll.data == NULL || listener->fd < 0)
		return;
	(void)loop_deadline(listener->loop, &listener->pause, CLOCK_NEVER);
	uv_close((uv_handle_t *)&listener->poll, NULL);
	close(listener->fd);
	listener->fd = -1;
}
