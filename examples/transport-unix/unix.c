/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-unix: Unix-domain sockets, for programs of one machine. The example of a transport.
 *
 *   [daemon] listen = unix://NAME            the socket NAME.sock in the folder of the option `directory`
 *            listen = unix:///run/my.sock    or a path
 *   xfer get xfer+unix://NAME/export/file .
 *   xfer get xfer+unix://%2Frun%2Fmy.sock/export/file .      in a URL the slashes of a path are percent-encoded
 *
 * The kernel tells each side who the other is (SO_PEERCRED): the peer's identity is "uid-" and its number. Whoever may
 * connect is said by the modes of the socket (option `mode`) and of its folder.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path), SENDFILE_MAX = 0x7ffff000 };

/* ---- the instance ------------------------------------------------------------------------------------------------ */

enum { OPTION_DIRECTORY, OPTION_MODE, OPTION_BACKLOG, OPTIONS };

static const struct xfer_option options[OPTIONS] = {
	[OPTION_DIRECTORY] = { .name = "directory",
	                       .type = XFER_OPTION_STRING,
	                       .default_text = "/run/xfer",
	                       .max = PATH_SIZE - 1,
	                       .help = "where sockets are that have a name instead of a path" },
	[OPTION_MODE] = { .name = "mode",
	                  .type = XFER_OPTION_STRING,
	                  .default_text = "0660",
	                  .max = 4,
	                  .help = "the mode of a socket, octal: who may connect" },
	[OPTION_BACKLOG] = { .name = "backlog",
	                     .type = XFER_OPTION_INT,
	                     .default_text = "1024",
	                     .min = 1,
	                     .max = 65535,
	                     .unit = "connections",
	                     .help = "that may wait to be accepted" },
};

struct unix_transport {
	const struct xfer_host *host;
	const char *directory; /* the core's; lives as long as the instance */
	mode_t mode;
	int backlog;
};

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	const char *text = params->values[OPTION_MODE].text;
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	/* What a range cannot say is checked here. The core puts section and file around the text. */
	if (*text == '\0' || *end != '\0' || mode > 0777) {
		host->error(host, "mode = %s: it is an octal number up to 0777", text);
		return -EINVAL;
	}
	if (params->values[OPTION_DIRECTORY].text[0] != '/') {
		host->error(host, "directory = %s: it is an absolute path", params->values[OPTION_DIRECTORY].text);
		return -EINVAL;
	}
	struct unix_transport *self = malloc(sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->host = host;
	self->directory = params->values[OPTION_DIRECTORY].text;
	self->mode = (mode_t)mode;
	self->backlog = (int)params->values[OPTION_BACKLOG].integer;
	*instance = self;
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* "%2Frun%2Fx" is "/run/x"; out has PATH_SIZE bytes. -EINVAL for "%" without two digits, %00 and what is too long. */
static int decode(const char *text, char *out)
{
	size_t used = 0;

	for (; *text != '\0'; text++, used++) {
		int byte = (unsigned char)*text;
		if (byte == '%') {
			int high = digit(text[1]), low = high < 0 ? -1 : digit(text[2]);
			byte = low < 0 ? 0 : high * 16 + low;
			text += 2;
		}
		if (byte == 0 || used + 1 == PATH_SIZE)
			return -EINVAL;
		out[used] = (char)byte;
	}
	out[used] = '\0';
	return 0;
}

/* A path, or a name beneath the directory, as an address. */
static int address_make(const struct unix_transport *self, const char *authority, struct sockaddr_un *out)
{
	char path[PATH_SIZE];
	int rc = decode(authority, path);
	int len = 0;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (rc == 0 && path[0] == '/')
		memcpy(out->sun_path, path, sizeof(path));
	else if (rc == 0 && path[0] != '\0' && path[0] != '.' && strchr(path, '/') == NULL)
		len = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s.sock", self->directory, path);
	else
		rc = -EINVAL;
	if (rc == 0 && len < PATH_SIZE)
		return 0;
	self->host->error(
		self->host,
		"'%s' is no address of a Unix-domain socket: it is a name in %s, or an absolute path with %%2F "
		"for each slash, and at most %d bytes long",
		authority, self->directory, PATH_SIZE - 1);
	return -EINVAL;
}

static int socket_open(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

/* ---- listening --------------------------------------------------------------------------------------------------- */

struct xfer_listener {
	const struct unix_transport *self;
	int fd; /* owned */
};

/* Both take the descriptor over on success only. */
static int listener_make(const struct unix_transport *self, int fd, struct xfer_listener **out)
{
	struct xfer_listener *listener = malloc(sizeof(*listener));

	if (listener == NULL)
		return -ENOMEM;
	listener->self = self;
	listener->fd = fd;
	*out = listener;
	return 0;
}

/* A socket's file stays behind when its owner is gone. Nobody listens there: then it is removed. */
static int stale_remove(const struct sockaddr_un *address)
{
	struct stat stat;
	int fd = socket_open();

	if (fd < 0)
		return fd;
	int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : -errno;
	close(fd);
	if (rc != -ECONNREFUSED || lstat(address->sun_path, &stat) < 0 || !S_ISSOCK(stat.st_mode))
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int bind_there(const struct unix_transport *self, int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *general = (const struct sockaddr *)address;
	int rc = bind(fd, general, sizeof(*address)) < 0 ? -errno : 0;

	if (rc == -EADDRINUSE) {
		rc = stale_remove(address);
		if (rc == 0)
			rc = bind(fd, general, sizeof(*address)) < 0 ? -errno : 0;
	}
	/* Nobody can connect before listen(), so nobody comes before the mode is right. */
	if (rc == 0 && (chmod(address->sun_path, self->mode) < 0 || listen(fd, self->backlog) < 0)) {
		rc = -errno;
		unlink(address->sun_path);
	}
	return rc;
}

static int unix_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	const struct unix_transport *self = instance;
	struct sockaddr_un address;
	int rc = address_make(self, how->authority, &address);

	if (rc < 0)
		return rc;
	int fd = socket_open();
	if (fd < 0)
		return fd;
	rc = bind_there(self, fd, &address);
	if (rc < 0)
		self->host->error(self->host, "cannot listen on %s: %s", address.sun_path, strerror(-rc));
	else
		rc = listener_make(self, fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}

/* Whoever opened it may want to wait in it, and have it inherited; we do not. */
static int descriptor_adopt(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno
	                                                                                                     : 0;
}

/* Another worker made the socket, or systemd did. */
static int listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                          struct xfer_listener **out)
{
	const struct unix_transport *self = instance;
	int accepting = 0, family = 0;
	socklen_t len = sizeof(int);

	(void)how;
	if (count != 1 || getsockopt(fds[0], SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) < 0 || !accepting ||
	    getsockopt(fds[0], SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 || family != AF_UNIX) {
		self->host->error(self->host, "that is no Unix-domain socket on which somebody listens");
		return -EINVAL;
	}
	int rc = descriptor_adopt(fds[0]);
	return rc < 0 ? rc : listener_make(self, fds[0], out);
}

static int listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	if (max > 0)
		fds[0] = listener->fd;
	return 1;
}

static int listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof(address) - 1; /* so that the path ends with a NUL, which it need not */

	if (getsockname(listener->fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	if (strlen(address.sun_path) >= size)
		return -ENOSPC;
	strcpy(text, address.sun_path);
	return 0;
}

/* The file stays: other workers may still accept on the same socket. Who listens there next removes it. */
static void listener_close(struct xfer_listener *listener)
{
	close(listener->fd);
	free(listener);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

struct xfer_conn {
	const struct unix_transport *self;
	int fd; /* owned */
};

static int conn_make(const struct unix_transport *self, int fd, struct xfer_conn **out)
{
	struct xfer_conn *conn = malloc(sizeof(*conn));

	if (conn == NULL)
		return -ENOMEM;
	conn->self = self;
	conn->fd = fd;
	*out = conn;
	return 0;
}

static int unix_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	int fd, rc;

	(void)flags;
	do
		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return -errno; /* EAGAIN, EMFILE and the like are what the core wants to hear */
	rc = conn_make(listener->self, fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}

static int unix_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	const struct unix_transport *self = instance;
	struct sockaddr_un address;
	int rc = address_make(self, how->authority, &address);

	if (rc < 0)
		return rc;
	int fd = socket_open();
	if (fd < 0)
		return fd;
	do
		rc = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	while (rc == -EINTR);
	/* A Unix-domain socket is connected at once or not at all; -EAGAIN here means that too many wait already. */
	if (rc == -EAGAIN)
		rc = -ECONNREFUSED;
	if (rc < 0)
		self->host->error(self->host, "cannot connect to %s: %s", address.sun_path, strerror(-rc));
	else
		rc = conn_make(self, fd, out);
	if (rc < 0)
		close(fd);
	return rc;
}

static int adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	const struct unix_transport *self = instance;
	int family = 0;
	socklen_t len = sizeof(family);

	if (how->read_fd != how->write_fd || getsockopt(how->read_fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 ||
	    family != AF_UNIX) {
		self->host->error(self->host, "that is no Unix-domain socket");
		return -EINVAL;
	}
	int rc = descriptor_adopt(how->read_fd);
	return rc < 0 ? rc : conn_make(self, how->read_fd, out);
}

/* Nothing is agreed upon before the first byte. */
static int handshake(struct xfer_conn *conn, uint32_t flags)
{
	(void)conn;
	(void)flags;
	return 0;
}

static ssize_t sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov,
		                  .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX) };
	ssize_t sent;

	(void)flags;
	do
		sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static ssize_t unix_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	ssize_t got;

	(void)flags;
	do
		got = recv(conn->fd, bytes, len, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t unix_sendfile(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags)
{
	off_t at = (off_t)offset;
	ssize_t sent;

	(void)flags;
	do
		sent = sendfile(conn->fd, fd, &at, len < SENDFILE_MAX ? len : SENDFILE_MAX);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return sent;
}

static int unix_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	out->read_fd = conn->fd;
	out->write_fd = conn->fd;
	out->events = 0; /* nothing beyond what the core waits for itself */
	return 0;
}

/* Who called socketpair(), connect() or listen() at the other end, says the kernel. */
static int endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	out->remote.ss_family = AF_UNSPEC; /* there is no XFER_CAP_INET */
	out->local.ss_family = AF_UNSPEC;
	if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid == (uid_t)-1) {
		snprintf(out->text, sizeof(out->text), "unix");
		return 0;
	}
	snprintf(out->text, sizeof(out->text), "unix:pid=%ld,uid=%lu", (long)peer.pid, (unsigned long)peer.uid);
	snprintf(out->identity, sizeof(out->identity), "uid-%lu", (unsigned long)peer.uid);
	return 0;
}

static int unix_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	(void)flags;
	return shutdown(conn->fd, SHUT_WR) < 0 ? -errno : 0;
}

static void unix_close(struct xfer_conn *conn)
{
	close(conn->fd);
	free(conn);
}

/* ---- what the core reads ----------------------------------------------------------------------------------------- */

static const struct xfer_transport_ops ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = unix_listen,
	.listener_adopt = listener_adopt,
	.listener_fds = listener_fds,
	.listener_address = listener_address,
	.listener_close = listener_close,
	.accept = unix_accept,
	.connect = unix_connect,
	.adopt = adopt,
	.handshake = handshake,
	.sendv = sendv,
	.recv = unix_recv,
	.sendfile = unix_sendfile,
	.poll = unix_poll,
	.endpoint = endpoint,
	.shutdown = unix_shutdown,
	.close = unix_close,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = "unix",
	.version = "1.0",
	.summary = "Unix-domain sockets, for programs of one machine",
	/* Without a cipher: the bytes never leave the kernel, and it is the kernel that says who the peer is. */
	.capabilities = XFER_CAP_SECURE,
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = options,
	.option_count = OPTIONS,
	.create = create,
	.destroy = destroy,
	.transport = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
