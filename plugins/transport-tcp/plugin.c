/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp: its options, its instance and its table of calls. */
#include "tcp.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* The order of the options table. */
enum {
	OPTION_BACKLOG,
	OPTION_SEND_BUFFER,
	OPTION_RECEIVE_BUFFER,
	OPTION_SEND_AHEAD,
	OPTION_CONGESTION,
	OPTION_KEEPALIVE,
	OPTION_ALLOW_PLAINTEXT,
	OPTIONS
};

enum { CONGESTION_MAX = 15 }; /* bytes; the kernel's TCP_CA_NAME_MAX without the NUL */

const struct xfer_option tcp_options[OPTIONS] = {
	[OPTION_BACKLOG] = {
		.name = "backlog",
		.type = XFER_OPTION_INT,
		.default_text = "1024",
		.min = 1,
		.max = 65535,
		.unit = "connections",
		.help = "connections that may wait to be accepted; the kernel caps it by net.core.somaxconn",
	},
	[OPTION_SEND_BUFFER] = {
		.name = "send-buffer",
		.type = XFER_OPTION_SIZE,
		.default_text = "0",
		.min = 0,
		.max = INT_MAX / 2,
		.unit = "bytes",
		.help = "SO_SNDBUF of each connection; 0 leaves it to the kernel's autotuning",
	},
	[OPTION_RECEIVE_BUFFER] = {
		.name = "receive-buffer",
		.type = XFER_OPTION_SIZE,
		.default_text = "0",
		.min = 0,
		.max = INT_MAX / 2,
		.unit = "bytes",
		.help = "SO_RCVBUF of each connection; 0 leaves it to the kernel's autotuning",
	},
	[OPTION_SEND_AHEAD] = {
		.name = "send-ahead",
		.type = XFER_OPTION_SIZE,
		.default_text = "256K",
		.min = 0,
		.max = INT_MAX / 2,
		.unit = "bytes",
		.help = "what the kernel holds of a connection before it can send it; 0: as much as fits its buffer",
	},
	[OPTION_CONGESTION] = {
		.name = "congestion",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = CONGESTION_MAX,
		.help = "congestion control by its kernel name (cubic, bbr); empty takes the system's",
	},
	[OPTION_KEEPALIVE] = {
		.name = "keepalive",
		.type = XFER_OPTION_BOOL,
		.default_text = "no",
		.help = "TCP keep-alive probes, for middleboxes that forget silent connections",
	},
	[OPTION_ALLOW_PLAINTEXT] = {
		.name = "allow-plaintext",
		.type = XFER_OPTION_BOOL,
		.default_text = "no",
		.help = "plain TCP, neither encrypted nor authenticated, off the loopback",
	},
};
const size_t tcp_option_count = OPTIONS;

int tcp_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	if (params->count != OPTIONS)
		return -EINVAL;
	struct tcp *tcp = malloc(sizeof(*tcp));
	if (tcp == NULL)
		return -ENOMEM;
	const union xfer_value *values = params->values;
	*tcp = (struct tcp){
		.host = host,
		.backlog = (int)values[OPTION_BACKLOG].integer,
		.send_buffer = (int)values[OPTION_SEND_BUFFER].number,
		.receive_buffer = (int)values[OPTION_RECEIVE_BUFFER].number,
		.send_ahead = (int)values[OPTION_SEND_AHEAD].number,
		.congestion = values[OPTION_CONGESTION].text,
		.keepalive = values[OPTION_KEEPALIVE].boolean,
		.allow_plaintext = values[OPTION_ALLOW_PLAINTEXT].boolean,
	};
	*instance = tcp;
	return 0;
}

void tcp_destroy(void *instance)
{
	free(instance);
}

const struct xfer_transport_ops tcp_ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = tcp_listen,
	.listener_adopt = tcp_listener_adopt,
	.listener_fds = tcp_listener_fds,
	.listener_address = tcp_listener_address,
	.listener_close = tcp_listener_close,
	.accept = tcp_accept,
	.connect = tcp_connect,
	.adopt = tcp_adopt,
	.handshake = tcp_handshake,
	.sendv = tcp_sendv,
	.recv = tcp_recv,
	.sendfile = tcp_sendfile,
	.poll = tcp_poll,
	.endpoint = tcp_endpoint,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
};

#ifndef TCP_WITHOUT_REGISTRATION /* a test's plug-in is built around this one */
static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = "tcp",
	.version = PLUGIN_VERSION,
	.summary = "streams over TCP, IPv4 and IPv6, neither encrypted nor authenticated",
	.capabilities = XFER_CAP_INET,
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = tcp_options,
	.option_count = OPTIONS,
	.create = tcp_create,
	.destroy = tcp_destroy,
	.transport = &tcp_ops,
};

XFER_REGISTER_PLUGIN(plugin)
#endif
