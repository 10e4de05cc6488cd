/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of a connection over the loopback, made by transport plug-ins, and moving bytes between them. */
#ifndef XFER_TESTS_PAIR_H
#define XFER_TESTS_PAIR_H

#include "unit.h"

#include "registry/registry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIR_FUNCTION __attribute__((unused)) static

enum { PAIR_PATIENCE = 10000 /* ms after which a test has failed */ };

/* A transport with its options as `values`, or its defaults when that is NULL (texts empty, numbers zero). */
PAIR_FUNCTION struct plugin *pair_transport(struct registry **registry, const char *name,
                                            const union xfer_value *values)
{
	const char *build = getenv("top_builddir");
	char dir[600];
	snprintf(dir, sizeof(dir), "%s/plugins/.libs", build != NULL ? build : ".");
	struct error err = { 0 };
	assert_int_equal(registry_create(registry, dir, NULL, &err), 0);
	struct plugin *plugin;
	char path[700];
	snprintf(path, sizeof(path), "%s/tests/plugins/.libs/%s", build != NULL ? build : ".", name);
	if (registry_load(*registry, XFER_KIND_TRANSPORT, strchr(name, '.') != NULL ? path : name, &plugin, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(plugin->about.capabilities & XFER_CAP_INET);
	union xfer_value defaults[32] = { { 0 } };
	assert_true(plugin->about.option_count <= COUNT(defaults));
	for (size_t i = 0; i < plugin->about.option_count; i++) {
		if (plugin->options[i].type == XFER_OPTION_STRING)
			defaults[i].text = plugin->options[i].default_text;
		if (plugin->options[i].type == XFER_OPTION_INT)
			defaults[i].integer = atoi(plugin->options[i].default_text);
	}
	if (plugin_start(plugin, values != NULL ? values : defaults, &err) < 0)
		fail_msg("%s", err.text);
	return plugin;
}

PAIR_FUNCTION socklen_t pair_address(struct sockaddr_storage *out, const char *host, unsigned port)
{
	memset(out, 0, sizeof(*out));
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return sizeof(*in);
	}
	assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	return sizeof(*in6);
}

PAIR_FUNCTION int pair_listen(struct plugin *plugin, const char *host, unsigned port, struct xfer_listener **out)
{
	struct sockaddr_storage address;
	struct xfer_listen how = {
		.struct_size = sizeof(how),
		.address = (struct sockaddr *)&address,
		.address_len = pair_address(&address, host, port),
		.authority = "",
	};
	plugin_error_clear();
	return plugin->transport.listen(plugin->instance, &how, out);
}

PAIR_FUNCTION unsigned pair_port(struct plugin *plugin, struct xfer_listener *listener)
{
	char text[128];
	assert_int_equal(plugin->transport.listener_address(listener, text, sizeof(text)), 0);
	return (unsigned)atoi(strrchr(text, ':') + 1);
}

PAIR_FUNCTION int pair_connect(struct plugin *plugin, const char *host, unsigned port, struct xfer_conn **out)
{
	struct sockaddr_storage address;
	struct xfer_connect how = {
		.struct_size = sizeof(how),
		.address = (struct sockaddr *)&address,
		.address_len = pair_address(&address, host, port),
		.authority = host,
		.host = host,
	};
	plugin_error_clear();
	return plugin->transport.connect(plugin->instance, &how, out);
}

/* Waits until the connection can go on in that direction (XFER_POLL_*). */
PAIR_FUNCTION void pair_wait(struct plugin *plugin, struct xfer_conn *conn, uint32_t events)
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	assert_int_equal(plugin->transport.poll(conn, &poll_for), 0);
	struct pollfd wait = { .fd = events == XFER_POLL_READ ? poll_for.read_fd : poll_for.write_fd,
		               .events = events == XFER_POLL_READ ? POLLIN : POLLOUT };
	assert_int_equal(poll(&wait, 1, PAIR_PATIENCE), 1);
}

PAIR_FUNCTION int pair_handshake(struct plugin *plugin, struct xfer_conn *conn)
{
	for (;;) {
		int rc = plugin->transport.handshake(conn, 0);
		if (rc != -EAGAIN)
			return rc;
		struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
		assert_int_equal(plugin->transport.poll(conn, &poll_for), 0);
		assert_int_not_equal(poll_for.events, 0);
		pair_wait(plugin, conn, poll_for.events);
	}
}

PAIR_FUNCTION struct xfer_conn *pair_accept(struct plugin *plugin, struct xfer_listener *listener)
{
	int fd;
	assert_int_equal(plugin->transport.listener_fds(listener, &fd, 1), 1);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&wait, 1, PAIR_PATIENCE), 1);
	struct xfer_conn *conn;
	assert_int_equal(plugin->transport.accept(listener, &conn, 0), 0);
	assert_int_equal(pair_handshake(plugin, conn), 0);
	return conn;
}

struct pair {
	struct plugin *client_plugin, *server_plugin;
	struct xfer_conn *client, *server;
};

PAIR_FUNCTION void pair_make(struct pair *pair, struct plugin *client, struct plugin *server, const char *host)
{
	struct xfer_listener *listener;
	pair->client_plugin = client;
	pair->server_plugin = server;
	assert_int_equal(pair_listen(server, host, 0, &listener), 0);
	assert_int_equal(pair_connect(client, host, pair_port(server, listener), &pair->client), 0);
	assert_int_equal(pair_handshake(client, pair->client), 0);
	pair->server = pair_accept(server, listener);
	server->transport.listener_close(listener);
}

PAIR_FUNCTION void pair_break(struct pair *pair)
{
	if (pair->client != NULL)
		pair->client_plugin->transport.close(pair->client);
	if (pair->server != NULL)
		pair->server_plugin->transport.close(pair->server);
}

/*
 * Sends `len` bytes from the client and receives at the server until the end of the stream, an error, silence or
 * `max` bytes. Returns what was received; *end is 0 for a proper end, -EAGAIN for silence, else the error.
 */
PAIR_FUNCTION size_t pair_move(struct pair *pair, const uint8_t *bytes, size_t len, uint8_t *got, size_t max,
                               ssize_t *end)
{
	struct plugin *client = pair->client_plugin, *server = pair->server_plugin;
	size_t sent = 0, have = 0;
	bool shut = false;
	*end = -EAGAIN;
	while (have < max) {
		if (sent < len) {
			/* In three pieces, so that vectors are cut at every place. */
			size_t left = len - sent;
			struct iovec iov[3] = {
				{ (void *)(uintptr_t)(bytes + sent), left / 3 },
				{ (void *)(uintptr_t)(bytes + sent + left / 3), left / 3 },
				{ (void *)(uintptr_t)(bytes + sent + 2 * (left / 3)), left - 2 * (left / 3) },
			};
			ssize_t took = client->transport.sendv(pair->client, iov, 3, 0);
			if (took > 0)
				sent += (size_t)took;
			else if (took != -EAGAIN)
				sent = len; /* the other side will see why */
			assert_true(sent <= len);
		}
		if (sent == len && !shut) {
			(void)client->transport.shutdown(pair->client, 0);
			shut = true;
		}
		ssize_t took = server->transport.recv(pair->server, got + have, max - have, 0);
		if (took > 0) {
			have += (size_t)took;
			continue;
		}
		if (took != -EAGAIN) {
			*end = took;
			break;
		}
		struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
		server->transport.poll(pair->server, &poll_for);
		struct pollfd wait = { .fd = poll_for.read_fd, .events = POLLIN };
		/* Silence after all was sent is what a stall looks like. */
		if (poll(&wait, 1, sent == len ? 200 : 0) == 0 && sent == len)
			break;
	}
	return have;
}

#endif
