/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/server.h"

#include "daemon/expire.h"
#include "daemon/local.h"
#include "daemon/serve.h"
#include "engine/lending.h"
#include "engine/receiving.h"
#include "registry/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_TURN = 64, LISTENER_FDS_MAX = 8 };

#define SAY_AGAIN (10 * CLOCK_SECOND)
#define LATE_GRACE (2 * CLOCK_SECOND)
#define PATIENCE (4 * CLOCK_SECOND) /* with who sends next to nothing: what comes meanwhile is a few bytes */

struct server;

/* A listening item of this worker. */
struct server_port {
	struct server *server;
	const struct server_socket *socket;
	struct xfer_listener *listener; /* NULL once closed */
	uv_poll_t polls[LISTENER_FDS_MAX];
	int poll_count;
	int datagram_fd; /* owned until `heartbeat` has it; -1 */
	struct heartbeat_port heartbeat;
	uint16_t number;       /* of the UDP port, told to clients; 0: none */
	struct deadline pause; /* after EMFILE and the like: accept again then */
	uint64_t say_again;    /* steady ns: no line about it before */
};

struct server {
	struct serve_base base;
	const struct server_params *params;
	struct server_port *ports; /* owned; params->socket_count of them */
	struct table peers;        /* slot -> heartbeat */
	uint64_t next_slot;
	uv_poll_t control;
	struct local_listener local; /* other workers pass sessions on to it */
	struct deadline drained;     /* drain-timeout */
	struct deadline late;        /* of those who were let in just before */
	struct expire expire;        /* of the first worker */
	bool draining;
	unsigned open_handles; /* polls of ours that are not closed yet */
};

static void listener_polls(struct server_port *port, bool on);
static void listener_close(struct server_port *port);

static struct server *of_base(struct serve_base *base)
{
	return list_entry(base, struct server, base);
}

/* ---- slots ---- */

/* The worker's number in the first byte; never one that is heard now. */
static uint64_t slot_next(struct channel *channel)
{
	struct serve *serve = channel->owner;
	struct server *server = of_base(serve->base);
	uint64_t slot;

	do {
		slot = (uint64_t)(server->params->worker & 0xff) << 56 | (++server->next_slot & 0xffffffffffffff);
	} while (table_get(&server->peers, slot) != NULL);
	return slot;
}

/* ---- the end ---- */

static void maybe_stop(struct server *server)
{
	bool last = server->draining || server->params->adopted != NULL;

	if (last && server->base.session_count == 0 && server->base.channel.loop->jobs == 0)
		loop_stop(server->base.channel.loop);
}

static void on_gone(struct serve_base *base)
{
	maybe_stop(of_base(base));
}

/*
 * Idle sessions end at once, the others when what they asked for is sent, late ones a moment later; all of them when the
 * time is over.
 */
static void drain_look(struct server *server, bool all)
{
	struct list *node = server->base.sessions.next;

	while (node != &server->base.sessions) {
		struct serve *serve = list_entry(node, struct serve, link);

		node = node->next;
		if (all || (serve_idle(serve) && !serve->late && !serve->put_kept && !serve->channel.link.ended))
			serve_end(serve, STATUS_SHUTDOWN, "the daemon is shutting down");
	}
}

/* Who was let in just before has had his moment. */
static void on_late_timer(struct deadline *deadline)
{
	struct server *server = list_entry(deadline, struct server, late);

	for (struct list *node = server->base.sessions.next; node != &server->base.sessions; node = node->next) {
		struct serve *serve = list_entry(node, struct serve, link);

		if (serve->late)
			serve_goaway(serve);
		serve->late = false;
	}
	drain_look(server, false);
	maybe_stop(server);
}

static void on_drain_timer(struct deadline *deadline)
{
	struct server *server = list_entry(deadline, struct server, drained);

	drain_look(server, true);
	maybe_stop(server);
}

static void drain(struct server *server)
{
	struct loop *loop = server->base.channel.loop;

	if (server->draining)
		return;
	server->draining = true;
	expire_stop(&server->expire);
	/* The next workers have the same sockets; whoever connects to what none of them has is refused from here on. */
	for (size_t i = 0; i < server->params->socket_count; i++)
		listener_close(&server->ports[i]);
	for (struct list *node = server->base.sessions.next; node != &server->base.sessions; node = node->next) {
		struct serve *serve = list_entry(node, struct serve, link);

		serve->late = serve_new(serve);
		if (!serve->late)
			serve_goaway(serve);
	}
	/* The next worker hears the heartbeats from here on. */
	for (size_t i = 0; i < server->params->socket_count; i++)
		heartbeat_port_close(&server->ports[i].heartbeat);
	drain_look(server, false);
	(void)loop_deadline(loop, &server->late, loop->now + LATE_GRACE);
	(void)loop_deadline(loop, &server->drained, loop->now + server->params->setup->settings->drain_timeout);
	maybe_stop(server);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;

	(void)status;
	(void)events;
	loop_time(server->base.channel.loop);
	if (server->params->on_control(server->params->context))
		return;
	uv_poll_stop(&server->control);
	drain(server);
}

/* ---- accepting ---- */

static void accept_one(struct server_port *port, struct xfer_conn *conn)
{
	struct server *server = port->server;
	struct error err = { 0 };
	int r = serve_open(&server->base, port->socket->transport, conn, port->number != 0 ? &port->heartbeat : NULL,
	                   port->number, &err);

	if (r < 0 && r != -EDQUOT)
		log_say(server->params->log, LOG_LEVEL_ERROR, "a connection cannot be served: %s", err.text);
}

/* Another worker passes a session on. */
static void on_local(void *context, struct xfer_conn *conn)
{
	struct server *server = context;
	struct error err = { 0 };
	int r = serve_open(&server->base, &local_transport, conn, NULL, 0, &err);

	if (r < 0 && r != -EDQUOT)
		log_say(server->params->log, LOG_LEVEL_WARN, "a session of another worker cannot be served: %s",
		        err.text);
}

static void on_pause_over(struct deadline *deadline)
{
	listener_polls(list_entry(deadline, struct server_port, pause), true);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct server_port *port = poll->data;
	struct server *server = port->server;
	struct loop *loop = server->base.channel.loop;

	(void)status;
	(void)events;
	loop_time(loop);
	for (int i = 0; i < ACCEPT_TURN && port->listener != NULL && !server->draining; i++) {
		struct xfer_conn *conn;
		int r = transport_accept(port->socket->transport, port->listener, &conn);

		if (r == -EAGAIN)
			return;
		if (r == 0) {
			accept_one(port, conn);
		} else if (r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM) {
			/* They wait in the queue until somebody leaves; asking on would be a busy loop. */
			if (loop->now >= port->say_again)
				log_say(server->params->log, LOG_LEVEL_WARN, "no connection can be accepted: %s",
				        strerror(-r));
			port->say_again = loop->now + SAY_AGAIN;
			listener_polls(port, false);
			(void)loop_deadline(loop, &port->pause, loop->now + 100 * CLOCK_MS);
			return;
		}
	}
}

static void listener_polls(struct server_port *port, bool on)
{
	for (int i = 0; i < port->poll_count; i++) {
		if (on && !port->server->draining)
			uv_poll_start(&port->polls[i], UV_READABLE, on_connection);
		else
			uv_poll_stop(&port->polls[i]);
	}
}

static void listener_close(struct server_port *port)
{
	for (int i = 0; i < port->poll_count; i++)
		uv_close((uv_handle_t *)&port->polls[i], NULL);
	port->poll_count = 0;
	if (port->listener != NULL)
		transport_listener_close(port->socket->transport, port->listener);
	port->listener = NULL;
}

/* ---- opening ---- */

static unsigned address_port(const char *address)
{
	const char *colon = strrchr(address, ':');

	return colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

static int port_open(struct server *server, struct server_port *port, struct error *err)
{
	const struct server_socket *socket = port->socket;
	struct loop *loop = server->base.channel.loop;
	int fds[LISTENER_FDS_MAX];
	int count = transport_listener_fds(socket->transport, socket->listener, fds, LISTENER_FDS_MAX);
	int r = count < 0 ? count : 0;

	for (int i = 0; r == 0 && i < count && i < LISTENER_FDS_MAX; i++) {
		r = uv_poll_init(&loop->uv, &port->polls[i], fds[i]);
		if (r == 0) {
			port->polls[i].data = port;
			port->poll_count++;
		}
	}
	if (r < 0)
		return error_system(err, r, FAULT_LOCAL, "the listening socket %s cannot be watched", socket->address);
	if (port->datagram_fd >= 0) {
		int fd = port->datagram_fd;

		port->datagram_fd = -1;
		r = heartbeat_port_open(&port->heartbeat, loop, fd, &server->peers, err);
		if (r < 0)
			return r;
		port->number = (uint16_t)address_port(socket->heartbeat);
	}
	return 0;
}

static int exports_open(struct server *server, struct error *err)
{
	const struct settings *settings = server->params->setup->settings;
	struct serve_base *base = &server->base;

	base->exports = calloc(settings->export_count + 1, sizeof(*base->exports));
	base->names = calloc(settings->export_count + 1, sizeof(*base->names));
	if (base->exports == NULL || base->names == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for exports");
	base->export_count = settings->export_count;
	base->own = settings->own;
	for (size_t i = 0; i < settings->export_count; i++) {
		struct error cause = { 0 };
		int r;

		base->exports[i].settings = &settings->exports[i];
		r = store_root_open(&base->exports[i].root, settings->exports[i].path, &cause);
		if (r < 0 && server->params->strict) {
			if (err != NULL)
				*err = cause;
			error_prefix(err, "export %s", settings->exports[i].name);
			return r;
		}
		/* A folder that is missing now (not mounted yet) must not keep the others from being served. */
		if (r < 0)
			log_say(server->params->log, LOG_LEVEL_WARN, "export %s cannot be served: %s",
			        settings->exports[i].name, cause.text);
	}
	return 0;
}

static void on_loop_settled(void *context)
{
	struct server *server = context;

	sendings_feed(server->base.channel.loop);
	receivings_feed(server->base.channel.loop);
	links_feed(server->base.channel.loop);
	if (server->draining)
		drain_look(server, false);
	maybe_stop(server);
}

static int supervised_open(struct server *server, struct error *err)
{
	const struct server_params *params = server->params;
	struct loop *loop = server->base.channel.loop;
	int r = uv_poll_init(&loop->uv, &server->control, params->control_fd);

	if (r < 0)
		return error_system(err, r, FAULT_LOCAL, "the supervisor cannot be watched");
	server->control.data = server;
	uv_poll_start(&server->control, UV_READABLE, on_control);
	if (params->worker == 0 &&
	    expire_open(&server->expire, loop, &server->base, params->setup->settings->partial_keep) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	return 0;
}

/* What others left is theirs: nothing is looked for that has expired. */
static int adopted_open(struct server *server, struct error *err)
{
	const struct server_adopted *adopted = server->params->adopted;

	return serve_open(&server->base, adopted->transport, adopted->conn, NULL, 0, err);
}

static int server_open(struct server *server, struct error *err)
{
	const struct server_params *params = server->params;
	const struct settings *settings = params->setup->settings;
	const struct loop_settings loop = {
		.threads = settings->threads,
		.memory = settings->memory,
		/* Nobody is taken for one that stalls because he was not looked at. */
		.patience = settings->stall_after / 4 < PATIENCE ? settings->stall_after / 4 : PATIENCE,
		.settled = on_loop_settled,
		.context = server,
	};
	int r;

	limits_open(&server->base.limits, settings, params->log);
	r = loop_create(&server->base.channel.loop, &loop, err);

	if (r == 0) {
		lending_shares(server->base.channel.loop);
		r = exports_open(server, err);
	}
	if (r == 0)
		r = channel_offer_make(&server->base.channel.offer, params->setup, err);
	if (r < 0)
		return r;
	server->base.deaths = params->deaths;
	server->base.channel.known = params->known;
	server->base.channel.setup = params->setup;
	server->base.channel.watch = &serve_watch;
	server->base.channel.hello_timeout = settings->hello_timeout;
	server->base.channel.requests_max = settings->requests;
	server->base.channel.refuse = serve_refuse;
	server->base.channel.slot = slot_next;
	server->base.channel.died = serve_died;
	server->base.log = params->log;
	server->base.gone = on_gone;
	server->drained.fire = on_drain_timer;
	server->late.fire = on_late_timer;
	for (size_t i = 0; r == 0 && i < params->socket_count; i++)
		r = port_open(server, &server->ports[i], err);
	if (r < 0)
		return r;
	/* Without it a put has the sessions that come here by themselves. */
	r = local_listen(&server->local, server->base.channel.loop, server->base.channel.offer.boot_id, on_local,
	                 server);
	if (r < 0)
		log_say(params->log, LOG_LEVEL_WARN, "other workers cannot pass sessions on to this one: %s",
		        strerror(-r));
	return params->adopted != NULL ? adopted_open(server, err) : supervised_open(server, err);
}

static void port_close(struct server_port *port)
{
	listener_close(port);
	heartbeat_port_close(&port->heartbeat);
	if (port->datagram_fd >= 0)
		close(port->datagram_fd);
}

void server_destroy(struct server *server)
{
	struct loop *loop = server->base.channel.loop;

	if (server->ports == NULL) {
		free(server);
		return;
	}
	for (size_t i = 0; i < server->params->socket_count; i++)
		port_close(&server->ports[i]);
	local_close(&server->local);
	if (server->control.data != NULL)
		uv_close((uv_handle_t *)&server->control, NULL);
	loop_destroy(loop); /* runs the closing callbacks */
	expire_close(&server->expire);
	for (size_t i = 0; i < server->base.export_count; i++)
		store_root_unref(server->base.exports[i].root);
	free(server->base.exports);
	free(server->base.names);
	channel_offer_free(&server->base.channel.offer);
	table_free(&server->peers);
	limits_close(&server->base.limits);
	free(server->ports);
	free(server);
}

static int ports_create(struct server *server, struct error *err)
{
	const struct server_params *params = server->params;

	server->ports = calloc(params->socket_count + 1, sizeof(*server->ports));
	if (server->ports == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	for (size_t i = 0; i < params->socket_count; i++)
		server->ports[i] = (struct server_port){
			.server = server,
			.socket = &params->sockets[i],
			.listener = params->sockets[i].listener,
			.datagram_fd = params->sockets[i].datagram_fd,
			.pause.fire = on_pause_over,
		};
	return 0;
}

int server_create(struct server **out, const struct server_params *params, struct error *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (server == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	server->params = params;
	list_init(&server->base.sessions);
	r = ports_create(server, err);
	if (r == 0)
		r = server_open(server, err);
	if (r < 0)
		server_destroy(server);
	else
		*out = server;
	return r;
}

void server_run(struct server *server)
{
	const struct server_params *params = server->params;

	/* From here on there are peers who know us. */
	if (params->notes != NULL)
		notes_identify(params->notes, server->base.channel.offer.boot_id);
	for (size_t i = 0; i < params->socket_count; i++)
		listener_polls(&server->ports[i], true);
	loop_run(server->base.channel.loop);
}
