/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One plug-in for each FAULT that the conformance kit has to find in a transport: a good one, whose entry point is
 * called inner_plugin() here, inside of one that is not. Behind each fault stands the check that fails.
 */
#include <xfer/plugin.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NONE 0
#define ADDRESS_CUT 1             /* listener */
#define TAKES_ANOTHER_PORT 2      /* in-use */
#define INTERRUPTED 3             /* nobody */
#define CONNECTS_TO_NOBODY 4      /* refused */
#define WAITS_FOR_NOTHING 5       /* handshake */
#define INHERITED 6               /* handshake */
#define ENDLESS_TEXT 7            /* endpoint */
#define WRONG_FAMILY 8            /* endpoint */
#define DAMAGES_BYTES 9           /* stream */
#define FEW_PIECES 10             /* pieces */
#define SWALLOWS 11               /* partial */
#define MOVES_THE_OFFSET 12       /* sendfile */
#define SHUTS_BOTH 13             /* half-close */
#define SENDS_TO_THE_CLOSED 14    /* peer-close */
#define SENDS_TO_THE_DEAD 15      /* peer-killed */
#define STRANGER_CRASHES 16       /* strangers */
#define ONLY_A_HUNDRED 17         /* many */
#define ADOPTS_INHERITED 18       /* listener-adopt */
#define CLOSES_WHAT_IT_REFUSES 19 /* listener-adopt */
#define ADOPTS_BLOCKING 20        /* adopt */
#define WRONG_WORD 21             /* no-room */
#define CONN_LEAKS 22             /* leaks */
#define DESCRIPTOR_LEAKS 23       /* leaks */
#define TAKES_TOO_MUCH 26         /* sendpipe */
#define LOSES_WHAT_WAITS 27       /* sendpipe */
#define SAYS_TOO_LITTLE 32        /* recvpipe */
#define LOSES_WHEN_FULL 33        /* recvpipe */
#define IS_NO_SOCKET 34           /* lowat */
#define HOLDS_BYTES 35            /* lowat */
#define SETS_IT_BACK 36           /* lowat */
#define DAMAGES_LATE 28           /* volume */
#define DESCRIPTOR_MOVES 29       /* volume */
#define MINUS_ONE 30              /* peer-close */
#define EMPTY_REFUSED 31          /* volume */

#define CLOSES_ITS_CHILDREN 25 /* listener-adopt */
#define NEVER_LISTENS 24       /* none: it only adopts, as it may */

const struct xfer_plugin *inner_plugin(void);

struct xfer_conn {
	struct xfer_conn *inner;
	int is_new;      /* no handshake() was made yet */
	int through;     /* it was ready */
	int spoke_first; /* it sent something before it received anything */
	size_t received;
	int moved;     /* a copy of the descriptor; 0: none */
	size_t damage; /* calls of recv() that could be damaged */
	uint8_t *kept; /* owned; for SWALLOWS: what was taken and not sent */
	size_t kept_len, kept_cap;
	int around;          /* for IS_NO_SOCKET: an epoll descriptor that has the connection's in it; 0: none */
	uint8_t ahead[8192]; /* for HOLDS_BYTES: what was received and not asked for yet */
	size_t ahead_at, ahead_len;
};

static const struct xfer_transport_ops *inner(void)
{
	return inner_plugin()->transport;
}

/* A plug-in has no such variables; an unfit one has. */
static int live;                   /* connections */
static struct xfer_conn *youngest; /* that was accepted, NULL when it is closed */
static int in_vain;                /* calls of accept() in a row, without any other one */

static int descriptor(struct xfer_conn *conn)
{
	struct xfer_poll poll = { .struct_size = sizeof(poll) };
	inner()->poll(conn->inner, &poll);
	return poll.read_fd;
}

static int wrap(int rc, struct xfer_conn *made, struct xfer_conn **out)
{
	if (rc != 0)
		return rc;
	struct xfer_conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		inner()->close(made);
		return -ENOMEM;
	}
	conn->inner = made;
	conn->is_new = 1;
	live++;
	*out = conn;
	return 0;
}

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static int listen_(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	if (FAULT == NEVER_LISTENS)
		return -EOPNOTSUPP;
	int rc = inner()->listen(instance, how, out);
	if (FAULT == TAKES_ANOTHER_PORT && rc == -EADDRINUSE) {
		struct sockaddr_in address;
		struct xfer_listen other = *how;
		memcpy(&address, how->address, sizeof(address));
		address.sin_port = 0;
		other.address = (const struct sockaddr *)&address;
		rc = inner()->listen(instance, &other, out);
	}
	return rc;
}

static int listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                          struct xfer_listener **out)
{
	int rc = inner()->listener_adopt(instance, how, fds, count, out);
	if (FAULT == ADOPTS_INHERITED && rc == 0)
		(void)fcntl(fds[0], F_SETFD, 0);
	if (FAULT == CLOSES_WHAT_IT_REFUSES && rc < 0 && count > 0)
		close(fds[0]);
	return rc;
}

static int listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	in_vain = 0;
	return inner()->listener_fds(listener, fds, max);
}

static int listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	char whole[256];
	if (FAULT != ADDRESS_CUT)
		return inner()->listener_address(listener, text, size);
	int rc = inner()->listener_address(listener, whole, sizeof(whole));
	if (rc == 0) {
		strncpy(text, whole, size - 1);
		text[size - 1] = '\0';
	}
	return rc;
}

static void listener_close(struct xfer_listener *listener)
{
	if (FAULT == CLOSES_ITS_CHILDREN && youngest != NULL)
		(void)shutdown(descriptor(youngest), SHUT_RDWR);
	inner()->listener_close(listener);
}

static int accept_(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	struct xfer_conn *made = NULL;
	if (FAULT == ONLY_A_HUNDRED && live > 200)
		return -EMFILE;
	int rc = inner()->accept(listener, &made, flags);
	if (FAULT == INTERRUPTED && rc == -EAGAIN && ++in_vain == 2)
		return -EINTR;
	if (FAULT == WRONG_WORD && rc == -EMFILE)
		return -EBADF;
	if (rc == 0)
		in_vain = 0;
	rc = wrap(rc, made, out);
	if (rc == 0)
		youngest = *out;
	if (FAULT == INHERITED && rc == 0)
		(void)fcntl(descriptor(*out), F_SETFD, 0);
	return rc;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static int connect_(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	struct xfer_conn *made = NULL;
	int rc = inner()->connect(instance, how, &made);
	return wrap(rc, made, out);
}

static int adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	struct xfer_conn *made = NULL;
	int rc = inner()->adopt(instance, how, &made);
	rc = wrap(rc, made, out);
	if (FAULT == ADOPTS_BLOCKING && rc == 0)
		(void)fcntl(how->read_fd, F_SETFD, 0);
	return rc;
}

static int handshake(struct xfer_conn *conn, uint32_t flags)
{
	in_vain = 0;
	if (FAULT == WAITS_FOR_NOTHING && conn->is_new) {
		conn->is_new = 0;
		return -EAGAIN;
	}
	int rc = inner()->handshake(conn->inner, flags);
	if (FAULT == CONNECTS_TO_NOBODY && rc == -ECONNREFUSED)
		rc = 0;
	conn->through = rc == 0;
	return rc;
}

/* SWALLOWS: as much of what was kept as goes. */
static void send_kept(struct xfer_conn *conn)
{
	size_t done = 0;
	while (done < conn->kept_len) {
		const struct iovec piece = { conn->kept + done, conn->kept_len - done };
		ssize_t took = inner()->sendv(conn->inner, &piece, 1, 0);
		if (took <= 0)
			break;
		done += (size_t)took;
	}
	if (done > 0)
		memmove(conn->kept, conn->kept + done, conn->kept_len - done);
	conn->kept_len -= done;
}

static ssize_t keep(struct xfer_conn *conn, const struct iovec *piece)
{
	if (conn->kept_len + piece->iov_len > conn->kept_cap) {
		size_t cap = 2 * (conn->kept_len + piece->iov_len);
		uint8_t *more = realloc(conn->kept, cap);
		if (more == NULL)
			return -ENOMEM;
		conn->kept = more;
		conn->kept_cap = cap;
	}
	memcpy(conn->kept + conn->kept_len, piece->iov_base, piece->iov_len);
	conn->kept_len += piece->iov_len;
	return (ssize_t)piece->iov_len;
}

/* EMPTY_REFUSED: the end of what was to be sent is held, and poll() says so, but nobody may call for it. */
static ssize_t hold(struct xfer_conn *conn, const struct iovec *iov, int count)
{
	const struct iovec *last = &iov[count - 1];
	if (count == 0)
		return -EINVAL;
	send_kept(conn);
	if (conn->kept_len > 0)
		return -EAGAIN;
	if (count > 1 || last->iov_len > 1000)
		return 0;
	return keep(conn, last);
}

static ssize_t sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	struct iovec part = { NULL, 0 };
	if (FAULT == EMPTY_REFUSED && conn->received > 5000000) {
		ssize_t held = hold(conn, iov, count);
		if (held != 0)
			return held;
		part = iov[0];
		part.iov_len -= count == 1 ? 1000 : 0;
		iov = &part;
		count = 1;
	}
	if (FAULT == FEW_PIECES && count > IOV_MAX)
		return -EMSGSIZE;
	if (FAULT == SWALLOWS)
		send_kept(conn);
	if (FAULT == SWALLOWS && count == 0)
		return conn->kept_len > 0 ? -EAGAIN : 0;
	if (FAULT == SWALLOWS && conn->kept_len > 0)
		return keep(conn, iov);
	ssize_t took = inner()->sendv(conn->inner, iov, count, flags);
	if (FAULT == SWALLOWS && took == -EAGAIN)
		return keep(conn, iov);
	/* Who is left by a peer that closes has sent something first, who is left by one that is killed has not. */
	int fault = conn->spoke_first ? SENDS_TO_THE_CLOSED : SENDS_TO_THE_DEAD;
	if (FAULT == fault && took < 0 && took != -EAGAIN)
		return -EAGAIN;
	if (took > 0 && conn->received == 0)
		conn->spoke_first = 1;
	return took;
}

/* HOLDS_BYTES: receives more than it was asked for. */
static ssize_t read_ahead(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	if (conn->ahead_at == conn->ahead_len) {
		ssize_t got = inner()->recv(conn->inner, conn->ahead, sizeof(conn->ahead), flags);
		if (got <= 0)
			return got;
		conn->ahead_at = 0;
		conn->ahead_len = (size_t)got;
	}
	if (len > conn->ahead_len - conn->ahead_at)
		len = conn->ahead_len - conn->ahead_at;
	memcpy(bytes, conn->ahead + conn->ahead_at, len);
	conn->ahead_at += len;
	return (ssize_t)len;
}

static ssize_t recv_(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	static const int least = 1;
	if (FAULT == SWALLOWS)
		send_kept(conn);
	if (FAULT == SETS_IT_BACK)
		(void)setsockopt(descriptor(conn), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
	ssize_t got = FAULT == HOLDS_BYTES ? read_ahead(conn, bytes, len, flags)
	                                   : inner()->recv(conn->inner, bytes, len, flags);
	if (FAULT == MINUS_ONE && got < 0 && got != -EAGAIN && conn->spoke_first)
		return -1;
	if (FAULT == STRANGER_CRASHES && got == 0 && conn->received == 0)
		abort();
	if (got <= 0)
		return got;
	conn->received += (size_t)got;
	/* One byte in 20 million. */
	if (FAULT == DAMAGES_LATE && conn->received > 20000000 && conn->damage++ == 0)
		*(uint8_t *)bytes ^= 1;
	/* A long stream in short reads. */
	if (FAULT == DAMAGES_BYTES && len > 700 && len < 1000 && (size_t)got == len && ++conn->damage > 100)
		*(uint8_t *)bytes ^= 1;
	return got;
}

static ssize_t sendfile_(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags)
{
	ssize_t sent = inner()->sendfile(conn->inner, fd, offset, len, flags);
	if (FAULT == MOVES_THE_OFFSET && sent > 0)
		(void)lseek(fd, (off_t)offset + sent, SEEK_SET);
	return sent;
}

static ssize_t sendpipe_(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	char byte[100];
	ssize_t sent = inner()->sendpipe(conn->inner, fd, len, flags);
	if (FAULT == TAKES_TOO_MUCH && sent > 0 && (size_t)sent == len && len > 50000)
		(void)!read(fd, byte, 1);
	if (FAULT == LOSES_WHAT_WAITS && sent == -EAGAIN)
		(void)!read(fd, byte, sizeof(byte));
	return sent;
}

static ssize_t recvpipe_(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	char byte[100];
	ssize_t got = inner()->recvpipe(conn->inner, fd, len, flags);
	if (FAULT == SAYS_TOO_LITTLE && got > 50000)
		return got - 1;
	if (FAULT == LOSES_WHEN_FULL && got == -EAGAIN)
		(void)inner()->recv(conn->inner, byte, sizeof(byte), 0);
	return got;
}

/* IS_NO_SOCKET: readable when the socket is. */
static int wrapped(struct xfer_conn *conn, int fd)
{
	struct epoll_event readable = { .events = EPOLLIN };
	if (conn->around == 0) {
		int around = epoll_create1(EPOLL_CLOEXEC);
		if (around < 0 || fcntl(around, F_SETFL, O_NONBLOCK) < 0 ||
		    epoll_ctl(around, EPOLL_CTL_ADD, fd, &readable) < 0)
			abort();
		conn->around = around;
	}
	return conn->around;
}

static int poll_(struct xfer_conn *conn, struct xfer_poll *out)
{
	in_vain = 0;
	if (FAULT == SWALLOWS)
		send_kept(conn);
	int rc = inner()->poll(conn->inner, out);
	if (FAULT == WAITS_FOR_NOTHING && !conn->through)
		out->events = 0;
	if (conn->kept_len > 0)
		out->events |= XFER_POLL_WRITE;
	if (FAULT == DESCRIPTOR_MOVES && conn->received > 10000000 && conn->moved == 0)
		conn->moved = fcntl(out->read_fd, F_DUPFD_CLOEXEC, 0);
	if (FAULT == DESCRIPTOR_MOVES && conn->moved > 0)
		out->read_fd = conn->moved;
	if (FAULT == IS_NO_SOCKET)
		out->read_fd = wrapped(conn, out->read_fd);
	return rc;
}

static int endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	int rc = inner()->endpoint(conn->inner, out);
	if (FAULT == ENDLESS_TEXT)
		memset(out->text, 'x', sizeof(out->text));
	if (FAULT == WRONG_FAMILY)
		out->local.ss_family = AF_UNIX;
	return rc;
}

static int shutdown_(struct xfer_conn *conn, uint32_t flags)
{
	if (FAULT == SWALLOWS) {
		send_kept(conn);
		if (conn->kept_len > 0)
			return -EAGAIN;
	}
	if (FAULT == SHUTS_BOTH)
		return shutdown(descriptor(conn), SHUT_RDWR) < 0 ? -errno : 0;
	return inner()->shutdown(conn->inner, flags);
}

static void close_(struct xfer_conn *conn)
{
	if (FAULT == DESCRIPTOR_LEAKS && !conn->through)
		(void)fcntl(descriptor(conn), F_DUPFD_CLOEXEC, 0);
	if (conn->moved > 0)
		close(conn->moved);
	if (conn->around > 0)
		close(conn->around);
	inner()->close(conn->inner);
	youngest = conn == youngest ? NULL : youngest;
	live--;
	free(conn->kept);
	if (FAULT != CONN_LEAKS)
		free(conn);
}

const struct xfer_plugin *xfer_plugin_v1(void);
__attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void)
{
	static struct xfer_transport_ops ops;
	static struct xfer_plugin plugin;
	plugin = *inner_plugin();
	ops = *inner();
	ops.listen = listen_;
	ops.listener_adopt = listener_adopt;
	ops.listener_fds = listener_fds;
	ops.listener_address = listener_address;
	ops.listener_close = listener_close;
	ops.accept = accept_;
	ops.connect = connect_;
	ops.adopt = adopt;
	ops.handshake = handshake;
	ops.sendv = sendv;
	ops.recv = recv_;
	ops.sendfile = sendfile_;
	ops.sendpipe = inner()->sendpipe != NULL ? sendpipe_ : NULL;
	/* What it swallows comes out again when the same end receives, and what it holds nowhere else. */
	int receives = FAULT != SWALLOWS && FAULT != HOLDS_BYTES;
	ops.recvpipe = inner()->recvpipe != NULL && receives ? recvpipe_ : NULL;
	ops.poll = poll_;
	ops.endpoint = endpoint;
	ops.shutdown = shutdown_;
	ops.close = close_;
	plugin.transport = &ops;
	return &plugin;
}
