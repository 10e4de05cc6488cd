/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-faulty, for tests: TCP that damages the stream on purpose, at a byte that the test chooses, or wherever a mark
 * comes by that the test put into a file.
 *
 * Offsets count the bytes of one direction of one connection as its giver counts them: what the core hands to send, or
 * what arrives from the network. Each fault that happened is a line in the log.
 */
#include "../../plugins/transport-tcp/tcp.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum fault {
	FAULT_NONE,
	FAULT_FLIP,     /* a bit of the byte at the offset */
	FAULT_DROP,     /* `length` bytes vanish */
	FAULT_TRUNCATE, /* the stream ends, politely */
	FAULT_STALL,    /* whatever follows disappears, the connection stays */
	FAULT_CLOSE,    /* reset */
	FAULT_DIE,      /* the process is killed */
	FAULTS
};
static const char *const FAULT_NAMES[FAULTS] = { "none", "flip", "drop", "truncate", "stall", "close", "die" };

enum direction { SEND, RECV, DIRECTIONS };
static const char *const DIRECTION_NAMES[DIRECTIONS] = { "send", "recv" };

struct faulty {
	const struct xfer_host *host;
	void *tcp; /* owned; transport-tcp's instance */
	enum fault fault;
	enum direction direction;
	uint64_t at;
	uint64_t every; /* 0: once in a connection */
	uint64_t length;
	uint64_t piece; /* bytes per call at most, 0: no bound */
	int bit;
	int64_t times; /* 0: no bound */
	int64_t used;
	int64_t skip; /* connections still to be left alone */
	char *mark;   /* owned; what is flipped in what arrives, NULL: the bytes at offsets */
	size_t mark_len;
};

struct xfer_listener {
	struct faulty *faulty;
	void *inner; /* owned; transport-tcp's */
};

struct xfer_conn {
	struct faulty *faulty;
	void *inner;       /* owned; transport-tcp's */
	uint64_t position; /* in the direction with the fault */
	uint64_t next;     /* where the next fault is; UINT64_MAX: nowhere */
	uint64_t dropping; /* bytes that still have to vanish */
	enum fault gone;   /* FAULT_TRUNCATE, FAULT_STALL or FAULT_CLOSE once it happened */
	bool marking;      /* the mark is looked for */
	size_t marked;     /* bytes of the mark that came last */
};

enum {
	OPTION_FAULT,
	OPTION_DIRECTION,
	OPTION_AT,
	OPTION_EVERY,
	OPTION_LENGTH,
	OPTION_BIT,
	OPTION_TIMES,
	OPTION_SKIP,
	OPTION_PIECE,
	OPTION_MARK,
	OPTIONS
};

static const struct xfer_option OPTION_TABLE[OPTIONS] = {
	[OPTION_FAULT] = { .name = "fault",
	                   .type = XFER_OPTION_STRING,
	                   .default_text = "none",
	                   .help = "none, flip, drop, truncate, stall, close, die, or short: one byte per call" },
	[OPTION_DIRECTION] = { .name = "direction",
	                       .type = XFER_OPTION_STRING,
	                       .default_text = "send",
	                       .help = "send or recv, as this process sees it" },
	[OPTION_AT] = { .name = "at",
	                .type = XFER_OPTION_SIZE,
	                .default_text = "0",
	                .unit = "bytes",
	                .help = "offset in the stream" },
	[OPTION_EVERY] = { .name = "every",
	                   .type = XFER_OPTION_SIZE,
	                   .default_text = "0",
	                   .unit = "bytes",
	                   .help = "again so many bytes further; 0: once in each connection" },
	[OPTION_LENGTH] = { .name = "length",
	                    .type = XFER_OPTION_SIZE,
	                    .default_text = "1",
	                    .min = 1,
	                    .max = INT64_MAX,
	                    .unit = "bytes",
	                    .help = "how many bytes drop takes away" },
	[OPTION_BIT] = { .name = "bit",
	                 .type = XFER_OPTION_INT,
	                 .default_text = "0",
	                 .min = 0,
	                 .max = 7,
	                 .help = "which bit flip turns over" },
	[OPTION_TIMES] = { .name = "times",
	                   .type = XFER_OPTION_INT,
	                   .default_text = "0",
	                   .min = 0,
	                   .max = INT64_MAX,
	                   .help = "how often in the process; 0: no bound" },
	[OPTION_SKIP] = { .name = "skip",
	                  .type = XFER_OPTION_INT,
	                  .default_text = "0",
	                  .min = 0,
	                  .max = INT64_MAX,
	                  .unit = "connections",
	                  .help = "the first so many connections are left alone" },
	[OPTION_PIECE] = { .name = "piece",
	                   .type = XFER_OPTION_SIZE,
	                   .default_text = "0",
	                   .unit = "bytes",
	                   .help = "each call moves so many bytes at most, both ways; 0: no bound" },
	[OPTION_MARK] = { .name = "mark",
	                  .type = XFER_OPTION_STRING,
	                  .default_text = "",
	                  .help = "flip, recv: each time this text arrives, its last byte; its first is nowhere else in it" },
};

static int word_of(const char *text, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return -EINVAL;
}

/* An instance of the transport beneath, with its defaults as far as they matter on the loopback. */
static int create_tcp(const struct xfer_host *host, void **out)
{
	union xfer_value values[16] = { { 0 } };
	struct xfer_params params = { .struct_size = sizeof(params), .count = TCP_OPTIONS, .values = values };
	for (size_t i = 0; i < TCP_OPTIONS; i++)
		if (tcp_options[i].type == XFER_OPTION_STRING)
			values[i].text = "";
		else if (tcp_options[i].type == XFER_OPTION_INT)
			values[i].integer = 1024;
		else if (tcp_options[i].type == XFER_OPTION_BOOL)
			values[i].boolean = strcmp(tcp_options[i].name, "allow-plaintext") == 0;
	return tcp_create(host, &params, out);
}

static int faulty_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	const union xfer_value *values = params->values;
	const char *name = values[OPTION_FAULT].text;
	bool tiny = strcmp(name, "short") == 0;
	int fault = tiny ? FAULT_NONE : word_of(name, FAULT_NAMES, FAULTS);
	int direction = word_of(values[OPTION_DIRECTION].text, DIRECTION_NAMES, DIRECTIONS);
	if (fault < 0 || direction < 0) {
		host->error(host, "no such fault '%s' or direction '%s'", name, values[OPTION_DIRECTION].text);
		return -EINVAL;
	}
	const char *mark = values[OPTION_MARK].text;
	if (*mark != '\0' && (fault != FAULT_FLIP || direction != RECV || strchr(mark + 1, *mark) != NULL)) {
		host->error(host, "a mark wants flip and recv, and a first byte that is nowhere else in it");
		return -EINVAL;
	}
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (faulty == NULL)
		return -ENOMEM;
	faulty->mark_len = strlen(mark);
	faulty->mark = faulty->mark_len > 0 ? strdup(mark) : NULL;
	if (faulty->mark_len > 0 && faulty->mark == NULL) {
		free(faulty);
		return -ENOMEM;
	}
	faulty->host = host;
	faulty->fault = (enum fault)fault;
	faulty->direction = (enum direction)direction;
	faulty->at = values[OPTION_AT].number;
	faulty->every = values[OPTION_EVERY].number;
	faulty->length = values[OPTION_LENGTH].number;
	faulty->bit = (int)values[OPTION_BIT].integer;
	faulty->times = values[OPTION_TIMES].integer;
	faulty->skip = values[OPTION_SKIP].integer;
	faulty->piece = values[OPTION_PIECE].number;
	if (tiny && faulty->piece == 0)
		faulty->piece = 1;
	int rc = create_tcp(host, &faulty->tcp);
	if (rc == 0) {
		*instance = faulty;
		return 0;
	}
	free(faulty->mark);
	free(faulty);
	return rc;
}

static void faulty_destroy(void *instance)
{
	struct faulty *faulty = instance;
	tcp_destroy(faulty->tcp);
	free(faulty->mark);
	free(faulty);
}

/* ---- listening and connecting: as the transport beneath, wrapped ---- */

static int wrap_listener(struct faulty *faulty, void *inner, struct xfer_listener **out)
{
	struct xfer_listener *listener = malloc(sizeof(*listener));
	if (listener == NULL) {
		tcp_listener_close(inner);
		return -ENOMEM;
	}
	listener->faulty = faulty;
	listener->inner = inner;
	*out = listener;
	return 0;
}

static int wrap_conn(struct faulty *faulty, void *inner, struct xfer_conn **out)
{
	struct xfer_conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		tcp_close(inner);
		return -ENOMEM;
	}
	conn->faulty = faulty;
	conn->inner = inner;
	conn->next = faulty->fault == FAULT_NONE || faulty->skip > 0 || faulty->mark != NULL ? UINT64_MAX : faulty->at;
	conn->marking = faulty->mark != NULL && faulty->skip <= 0;
	if (faulty->skip > 0)
		faulty->skip--;
	*out = conn;
	return 0;
}

static int faulty_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	struct faulty *faulty = instance;
	struct xfer_listener *inner;
	int rc = tcp_listen(faulty->tcp, how, &inner);
	return rc < 0 ? rc : wrap_listener(faulty, inner, out);
}

static int faulty_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                                 struct xfer_listener **out)
{
	struct faulty *faulty = instance;
	struct xfer_listener *inner;
	int rc = tcp_listener_adopt(faulty->tcp, how, fds, count, &inner);
	return rc < 0 ? rc : wrap_listener(faulty, inner, out);
}

static int faulty_listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	return tcp_listener_fds(listener->inner, fds, max);
}

static int faulty_listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	return tcp_listener_address(listener->inner, text, size);
}

static void faulty_listener_close(struct xfer_listener *listener)
{
	tcp_listener_close(listener->inner);
	free(listener);
}

static int faulty_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	struct xfer_conn *inner;
	int rc = tcp_accept(listener->inner, &inner, flags);
	return rc < 0 ? rc : wrap_conn(listener->faulty, inner, out);
}

static int faulty_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	struct faulty *faulty = instance;
	struct xfer_conn *inner;
	int rc = tcp_connect(faulty->tcp, how, &inner);
	return rc < 0 ? rc : wrap_conn(faulty, inner, out);
}

static int faulty_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	struct faulty *faulty = instance;
	struct xfer_conn *inner;
	int rc = tcp_adopt(faulty->tcp, how, &inner);
	return rc < 0 ? rc : wrap_conn(faulty, inner, out);
}

static int faulty_handshake(struct xfer_conn *conn, uint32_t flags)
{
	return tcp_handshake(conn->inner, flags);
}

static int faulty_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	return tcp_poll(conn->inner, out);
}

static int faulty_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	return tcp_endpoint(conn->inner, out);
}

static int faulty_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	return conn->gone != FAULT_NONE ? 0 : tcp_shutdown(conn->inner, flags);
}

static void faulty_close(struct xfer_conn *conn)
{
	tcp_close(conn->inner);
	free(conn);
}

/* ---- the faults ---- */

/* Whether the next fault stands at this very byte; *room is how far the stream goes on without one. */
static bool fault_due(const struct xfer_conn *conn, enum direction direction, size_t *room)
{
	const struct faulty *faulty = conn->faulty;
	*room = faulty->piece > 0 ? (size_t)faulty->piece : SIZE_MAX;
	if (direction != faulty->direction || conn->next == UINT64_MAX ||
	    (faulty->times > 0 && faulty->used >= faulty->times))
		return false;
	uint64_t left = conn->next - conn->position;
	if (left < *room)
		*room = (size_t)left;
	return left == 0;
}

static void fault_note(struct faulty *faulty, uint64_t position)
{
	faulty->used++;
	faulty->host->log(faulty->host, XFER_LOG_WARN, "%s at byte %llu of %s", FAULT_NAMES[faulty->fault],
	                  (unsigned long long)position, DIRECTION_NAMES[faulty->direction]);
}

/* It happens now: notes it, and finds the place of the next one. */
static void fault_begin(struct xfer_conn *conn)
{
	struct faulty *faulty = conn->faulty;
	fault_note(faulty, conn->position);
	conn->next = faulty->every > 0 ? conn->next + faulty->every : UINT64_MAX;
	if (faulty->fault == FAULT_DIE)
		raise(SIGKILL);
	if (faulty->fault == FAULT_DROP)
		conn->dropping = faulty->length;
	if (faulty->fault >= FAULT_TRUNCATE)
		conn->gone = faulty->fault;
	if (faulty->fault == FAULT_TRUNCATE && faulty->direction == SEND)
		tcp_shutdown(conn->inner, 0);
	if (faulty->fault == FAULT_CLOSE) {
		/* The peer is told by a reset, which closing sends at the latest. */
		struct xfer_poll poll = { .struct_size = sizeof(poll) };
		struct linger linger = { .l_onoff = 1, .l_linger = 0 };
		tcp_poll(conn->inner, &poll);
		setsockopt(poll.write_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		shutdown(poll.write_fd, SHUT_RDWR);
	}
}

static void moved(struct xfer_conn *conn, enum direction direction, size_t bytes)
{
	if (direction == conn->faulty->direction)
		conn->position += bytes;
}

static size_t iov_total(const struct iovec *iov, int count)
{
	size_t total = 0;
	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

/* Sends no more than `room` bytes of the pieces. */
static ssize_t send_some(struct xfer_conn *conn, const struct iovec *iov, int count, size_t room)
{
	enum { PIECES = 64 };
	struct iovec cut[PIECES];
	int used = 0;
	for (; used < count && used < PIECES && room > 0; used++) {
		cut[used] = iov[used];
		if (cut[used].iov_len > room)
			cut[used].iov_len = room;
		room -= cut[used].iov_len;
	}
	ssize_t sent = tcp_sendv(conn->inner, cut, used, 0);
	if (sent > 0)
		moved(conn, SEND, (size_t)sent);
	return sent;
}

static ssize_t send_flipped(struct xfer_conn *conn, const struct iovec *iov, int count)
{
	int first = 0;
	while (first < count - 1 && iov[first].iov_len == 0)
		first++;
	uint8_t byte = *(const uint8_t *)iov[first].iov_base ^ (uint8_t)(1u << conn->faulty->bit);
	struct iovec one = { .iov_base = &byte, .iov_len = 1 };
	ssize_t sent = tcp_sendv(conn->inner, &one, 1, 0);
	if (sent == 1) {
		fault_begin(conn);
		moved(conn, SEND, 1);
	}
	return sent;
}

static ssize_t faulty_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	(void)flags;
	size_t total = iov_total(iov, count);
	bool ours = conn->faulty->direction == SEND;
	if (conn->gone == FAULT_CLOSE)
		return -ECONNRESET;
	if (conn->gone != FAULT_NONE && ours)
		return (ssize_t)total; /* taken, and never heard of again */

	size_t room;
	if (ours && conn->dropping == 0 && fault_due(conn, SEND, &room)) {
		if (conn->faulty->fault == FAULT_FLIP)
			return send_flipped(conn, iov, count);
		fault_begin(conn);
		if (conn->gone == FAULT_CLOSE)
			return -ECONNRESET;
		if (conn->gone != FAULT_NONE)
			return (ssize_t)total;
	}
	if (ours && conn->dropping > 0) {
		size_t lost = total < conn->dropping ? total : (size_t)conn->dropping;
		conn->dropping -= lost;
		moved(conn, SEND, lost);
		return (ssize_t)lost;
	}
	(void)fault_due(conn, SEND, &room);
	return send_some(conn, iov, count, room);
}

/* Takes what arrives away, so that the descriptor falls silent. Does not hide the end of the stream. */
static ssize_t swallow(struct xfer_conn *conn, uint64_t *left)
{
	uint8_t scratch[4096];
	ssize_t got = -EAGAIN;
	while (*left > 0) {
		got = tcp_recv(conn->inner, scratch, *left < sizeof(scratch) ? (size_t)*left : sizeof(scratch), 0);
		if (got <= 0)
			return got;
		*left -= (uint64_t)got;
		moved(conn, RECV, (size_t)got);
	}
	return got;
}

/* Flips a bit in the last byte of each mark, in bytes that just arrived; a mark may lie across several calls. */
static void flip_marked(struct xfer_conn *conn, uint8_t *bytes, size_t len)
{
	struct faulty *faulty = conn->faulty;
	const uint8_t *mark = (const uint8_t *)faulty->mark;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == mark[conn->marked])
			conn->marked++;
		else
			conn->marked = bytes[i] == mark[0];
		if (conn->marked < faulty->mark_len)
			continue;
		conn->marked = 0;
		if (faulty->times > 0 && faulty->used >= faulty->times)
			continue;
		bytes[i] ^= (uint8_t)(1u << faulty->bit);
		fault_note(faulty, conn->position + i);
	}
}

static ssize_t faulty_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	bool ours = conn->faulty->direction == RECV;
	size_t room;
	if (ours && conn->gone == FAULT_NONE && conn->dropping == 0 && fault_due(conn, RECV, &room)) {
		if (conn->faulty->fault == FAULT_FLIP) {
			ssize_t got = tcp_recv(conn->inner, bytes, 1, 0);
			if (got == 1) {
				*(uint8_t *)bytes ^= (uint8_t)(1u << conn->faulty->bit);
				fault_begin(conn);
				moved(conn, RECV, 1);
			}
			return got;
		}
		fault_begin(conn);
	}
	if (conn->gone == FAULT_CLOSE)
		return -ECONNRESET;
	if (conn->gone == FAULT_TRUNCATE && ours)
		return 0;
	if (conn->gone == FAULT_STALL && ours) {
		uint64_t all = UINT64_MAX;
		return swallow(conn, &all);
	}
	if (conn->dropping > 0) {
		ssize_t got = swallow(conn, &conn->dropping);
		if (conn->dropping > 0)
			return got;
	}
	(void)fault_due(conn, RECV, &room);
	if (room == 0) /* the next one follows at once; the caller comes back for it */
		return -EAGAIN;
	ssize_t got = tcp_recv(conn->inner, bytes, len < room ? len : room, 0);
	if (got > 0 && conn->marking)
		flip_marked(conn, bytes, (size_t)got);
	if (got > 0)
		moved(conn, RECV, (size_t)got);
	return got;
}

static const struct xfer_transport_ops ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = faulty_listen,
	.listener_adopt = faulty_listener_adopt,
	.listener_fds = faulty_listener_fds,
	.listener_address = faulty_listener_address,
	.listener_close = faulty_listener_close,
	.accept = faulty_accept,
	.connect = faulty_connect,
	.adopt = faulty_adopt,
	.handshake = faulty_handshake,
	.sendv = faulty_sendv,
	.recv = faulty_recv,
	.poll = faulty_poll,
	.endpoint = faulty_endpoint,
	.shutdown = faulty_shutdown,
	.close = faulty_close,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = "faulty",
	.version = "1",
	.summary = "TCP that damages its stream on purpose, for tests",
	.capabilities = XFER_CAP_INET,
	.options = OPTION_TABLE,
	.option_count = OPTIONS,
	.create = faulty_create,
	.destroy = faulty_destroy,
	.transport = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
