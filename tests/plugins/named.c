/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-named, for tests: TCP whose peers say their names first, a byte of length and then the name, and are
 * believed. Compiled once more as transport-boast, which hears the same and does not call itself secure.
 */
#include "../../plugins/transport-tcp/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef BOAST
#define NAMED "boast"
#define CAPABILITIES XFER_CAP_INET
#else
#define NAMED "named"
#define CAPABILITIES (XFER_CAP_INET | XFER_CAP_SECURE)
#endif

enum { NAME_MAX_LEN = 200 };

struct named {
	void *tcp; /* owned; transport-tcp's instance */
	const char *name;
};

struct xfer_listener {
	struct named *named;
	void *inner; /* owned; transport-tcp's */
};

struct xfer_conn {
	struct named *named;
	void *inner;                  /* owned; transport-tcp's */
	int server;                   /* 1: hears the name, 0: says it */
	size_t moved;                 /* of the name and its length */
	char name[NAME_MAX_LEN + 56]; /* its length and itself, as far as they moved; never full */
};

enum { OPTION_NAME, OPTIONS };

static const struct xfer_option OPTION_TABLE[OPTIONS] = {
	[OPTION_NAME] = { .name = "name",
	                  .type = XFER_OPTION_STRING,
	                  .default_text = "",
	                  .max = NAME_MAX_LEN,
	                  .help = "what is said to the other side" },
};

static int named_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	union xfer_value values[16];
	const struct xfer_params defaults = { .struct_size = sizeof(defaults), .count = TCP_OPTIONS, .values = values };
	struct named *named = calloc(1, sizeof(*named));
	if (named == NULL)
		return -ENOMEM;
	memset(values, 0, sizeof(values));
	for (size_t i = 0; i < TCP_OPTIONS; i++) {
		if (tcp_options[i].type == XFER_OPTION_STRING)
			values[i].text = "";
		else if (strcmp(tcp_options[i].name, "backlog") == 0)
			values[i].integer = 64;
		else if (strcmp(tcp_options[i].name, "allow-plaintext") == 0)
			values[i].boolean = 1;
	}
	named->name = params->values[OPTION_NAME].text;
	int rc = tcp_create(host, &defaults, &named->tcp);
	if (rc < 0)
		free(named);
	else
		*instance = named;
	return rc;
}

static void named_destroy(void *instance)
{
	struct named *named = instance;
	tcp_destroy(named->tcp);
	free(named);
}

static int wrap_listener(struct named *named, struct xfer_listener *inner, struct xfer_listener **out)
{
	struct xfer_listener *listener = malloc(sizeof(*listener));
	if (listener == NULL) {
		tcp_listener_close(inner);
		return -ENOMEM;
	}
	*listener = (struct xfer_listener){ .named = named, .inner = inner };
	*out = listener;
	return 0;
}

static int named_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	struct named *named = instance;
	struct xfer_listener *inner;
	int rc = tcp_listen(named->tcp, how, &inner);
	return rc < 0 ? rc : wrap_listener(named, inner, out);
}

static int named_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                                struct xfer_listener **out)
{
	struct named *named = instance;
	struct xfer_listener *inner;
	int rc = tcp_listener_adopt(named->tcp, how, fds, count, &inner);
	return rc < 0 ? rc : wrap_listener(named, inner, out);
}

static int named_listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	return tcp_listener_fds(listener->inner, fds, max);
}

static int named_listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	return tcp_listener_address(listener->inner, text, size);
}

static void named_listener_close(struct xfer_listener *listener)
{
	tcp_listener_close(listener->inner);
	free(listener);
}

static int wrap_conn(struct named *named, struct xfer_conn *inner, int server, struct xfer_conn **out)
{
	struct xfer_conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL) {
		tcp_close(inner);
		return -ENOMEM;
	}
	conn->named = named;
	conn->inner = inner;
	conn->server = server;
	if (!server) {
		conn->name[0] = (char)strlen(named->name);
		memcpy(conn->name + 1, named->name, strlen(named->name));
	}
	*out = conn;
	return 0;
}

static int named_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	struct xfer_conn *inner;
	int rc = tcp_accept(listener->inner, &inner, flags);
	return rc < 0 ? rc : wrap_conn(listener->named, inner, 1, out);
}

static int named_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	struct named *named = instance;
	struct xfer_conn *inner;
	int rc = tcp_connect(named->tcp, how, &inner);
	return rc < 0 ? rc : wrap_conn(named, inner, 0, out);
}

/* How much of the name and its length there is to move: known once the length is here. */
static size_t name_whole(const struct xfer_conn *conn)
{
	return conn->server && conn->moved == 0 ? 1 : 1 + (size_t)(unsigned char)conn->name[0];
}

static int named_handshake(struct xfer_conn *conn, uint32_t flags)
{
	int rc = tcp_handshake(conn->inner, flags);
	while (rc == 0 && conn->moved < name_whole(conn)) {
		struct iovec rest = { conn->name + conn->moved, name_whole(conn) - conn->moved };
		ssize_t n = conn->server ? tcp_recv(conn->inner, rest.iov_base, rest.iov_len, 0)
		                         : tcp_sendv(conn->inner, &rest, 1, 0);
		if (n <= 0)
			return n == 0 ? -ECONNRESET : (int)n;
		conn->moved += (size_t)n;
		if ((unsigned char)conn->name[0] > NAME_MAX_LEN)
			return -EACCES;
	}
	return rc;
}

static ssize_t named_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	return tcp_sendv(conn->inner, iov, count, flags);
}

static ssize_t named_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	return tcp_recv(conn->inner, bytes, len, flags);
}

static int named_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	int rc = tcp_poll(conn->inner, out);
	if (out->events == 0 && conn->moved < name_whole(conn))
		out->events = conn->server ? XFER_POLL_READ : XFER_POLL_WRITE;
	return rc;
}

static int named_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	int rc = tcp_endpoint(conn->inner, out);
	if (rc == 0 && conn->server && conn->moved == name_whole(conn))
		memcpy(out->identity, conn->name + 1, strlen(conn->name + 1) + 1);
	return rc;
}

static int named_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	return tcp_shutdown(conn->inner, flags);
}

static void named_close(struct xfer_conn *conn)
{
	tcp_close(conn->inner);
	free(conn);
}

static const struct xfer_transport_ops ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = named_listen,
	.listener_adopt = named_listener_adopt,
	.listener_fds = named_listener_fds,
	.listener_address = named_listener_address,
	.listener_close = named_listener_close,
	.accept = named_accept,
	.connect = named_connect,
	.handshake = named_handshake,
	.sendv = named_sendv,
	.recv = named_recv,
	.poll = named_poll,
	.endpoint = named_endpoint,
	.shutdown = named_shutdown,
	.close = named_close,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = NAMED,
	.version = "1",
	.summary = "TCP whose peers are believed their names, for tests",
	.capabilities = CAPABILITIES,
	.options = OPTION_TABLE,
	.option_count = OPTIONS,
	.create = named_create,
	.destroy = named_destroy,
	.transport = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
