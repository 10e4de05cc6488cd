/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP that takes out of pipes what it likes, for tests: now and then nothing, mostly less than it is offered, and after
 * XFER_TEST_PIPED bytes in this process it says that it cannot do it at all.
 */
#include "../../plugins/transport-tcp/options.h"
#include "../../plugins/transport-tcp/tcp.h"

#include <errno.h>
#include <stdlib.h>

static ssize_t fickle_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	/* A plug-in has no such variables; this one is alone in its process. */
	static uint64_t calls, taken;
	const char *most = getenv("XFER_TEST_PIPED");
	uint64_t left = most != NULL ? strtoull(most, NULL, 10) : UINT64_MAX;
	size_t take;
	ssize_t sent;

	if (taken >= left)
		return -EOPNOTSUPP;
	calls++;
	take = 1 + (size_t)(calls * 7919 * 4099) % len;
	if (take > left - taken)
		take = (size_t)(left - taken);
	sent = tcp_sendpipe(conn, fd, take, flags);
	taken += sent > 0 ? (uint64_t)sent : 0;
	return sent;
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
		.summary = "TCP that takes little out of pipes, and then nothing, for tests",
		.capabilities = XFER_CAP_INET,
		.options = tcp_options,
		.option_count = TCP_OPTIONS,
		.create = tcp_create,
		.destroy = tcp_destroy,
	};

	ops = tcp_ops;
	ops.sendpipe = fickle_sendpipe;
	plugin.transport = &ops;
	return &plugin;
}
