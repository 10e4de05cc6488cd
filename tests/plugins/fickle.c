/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP that takes out of pipes, and puts into them, what it likes, for tests: now and then nothing, mostly less than it may,
 * and after XFER_TEST_PIPED bytes in this process each way it says that it cannot do it at all. XFER_TEST_PIECE: no more
 * bytes at a time go into a pipe, so that it is full of little pieces.
 */
#include "../../plugins/transport-tcp/options.h"
#include "../../plugins/transport-tcp/tcp.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t number(const char *variable)
{
	const char *text = getenv(variable);

	return text != NULL ? strtoull(text, NULL, 10) : UINT64_MAX;
}

/* What one way has done. */
struct way {
	uint64_t calls, moved;
};

/* Bytes that it moves in this call, 0: none ever again. */
static size_t fickle_len(struct way *way, size_t len)
{
	uint64_t most = number("XFER_TEST_PIPED"), left = way->moved < most ? most - way->moved : 0;
	size_t take = 1 + (size_t)(++way->calls * 7919 * 4099) % len;

	return take < left ? take : (size_t)left;
}

static ssize_t fickle_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	/* A plug-in has no such variables; this one is alone in its process. */
	static struct way way;
	size_t take = fickle_len(&way, len);
	ssize_t sent = take > 0 ? tcp_sendpipe(conn, fd, take, flags) : -EOPNOTSUPP;

	way.moved += sent > 0 ? (uint64_t)sent : 0;
	return sent;
}

static ssize_t fickle_recvpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	static struct way way;
	uint64_t piece = number("XFER_TEST_PIECE");
	size_t take = fickle_len(&way, len < piece ? len : (size_t)piece);
	ssize_t got = take > 0 ? tcp_recvpipe(conn, fd, take, flags) : -EOPNOTSUPP;

	way.moved += got > 0 ? (uint64_t)got : 0;
	return got;
}

const struct xfer_plugin *xfer_plugin_v1(void);
__attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void)
{
	static struct xfer_transport_ops ops;
	static struct xfer_plugin plugin = {
		XFER_PLUGIN_HEAD,
		.kind = XFER_KIND_TRANSPORT,
		.name = "fickle",
		.version = "1",
		.summary = "TCP that uses pipes as it likes, for tests",
		.capabilities = XFER_CAP_INET,
		.options = tcp_options,
		.option_count = TCP_OPTIONS,
		.create = tcp_create,
		.destroy = tcp_destroy,
	};

	ops = tcp_ops;
	ops.sendpipe = fickle_sendpipe;
	ops.recvpipe = fickle_recvpipe;
	plugin.transport = &ops;
	return &plugin;
}
