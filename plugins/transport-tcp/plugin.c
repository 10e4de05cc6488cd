/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp: its options, its instance and its table of calls. */
#include "tcp.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

const struct xfer_option tcp_options[TCP_OPTIONS] = {
	TCP_OPTION_ROWS,
	[TCP_OPTION_ALLOW_PLAINTEXT] = {
		.name = "allow-plaintext",
		.type = XFER_OPTION_BOOL,
		.default_text = "no",
		.help = "plain TCP, neither encrypted nor authenticated, off the loopback",
	},
};

int tcp_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	if (params->count != TCP_OPTIONS)
		return -EINVAL;
	struct tcp *tcp = malloc(sizeof(*tcp));
	if (tcp == NULL)
		return -ENOMEM;
	const union xfer_value *values = params->values;
	*tcp = (struct tcp){
		.host = host,
		.backlog = (int)values[TCP_OPTION_BACKLOG].integer,
		.send_buffer = (int)values[TCP_OPTION_SEND_BUFFER].number,
		.receive_buffer = (int)values[TCP_OPTION_RECEIVE_BUFFER].number,
		.send_ahead = (int)values[TCP_OPTION_SEND_AHEAD].number,
		.congestion = values[TCP_OPTION_CONGESTION].text,
		.keepalive = values[TCP_OPTION_KEEPALIVE].boolean,
		.allow_plaintext = values[TCP_OPTION_ALLOW_PLAINTEXT].boolean,
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
	.sendpipe = tcp_sendpipe,
	.recvpipe = tcp_recvpipe,
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
	.capabilities = XFER_CAP_INET | XFER_CAP_LOWAT,
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = tcp_options,
	.option_count = TCP_OPTIONS,
	.create = tcp_create,
	.destroy = tcp_destroy,
	.transport = &tcp_ops,
};

XFER_REGISTER_PLUGIN(plugin)
#endif
