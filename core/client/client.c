/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's engine: one session at a time, and the verb that uses it. */
#include "client/client_state.h"

#include "engine/files.h"
#include "registry/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK (100 * CLOCK_MS)
#define CONNECT_TIMEOUT (10 * CLOCK_SECOND)

enum { CHUNK_TIME = 2 /* seconds */ };

static const int signal_numbers[2] = { SIGINT, SIGTERM };

static struct client *of_channel(struct channel *channel)
{
	return channel->owner;
}

int client_weak(const struct client *client, struct error *err)
{
	return error_set(err, -EINVAL, FAULT_USAGE,
	                 "a digest of %s does not tell what is the same: to compare files, name an integrity of "
	                 "cryptographic strength in [pipeline] integrity (or with --integrity)",
	                 client->channel.suite.integrity->about.name);
}

void client_say(struct client *client, enum log_level level, enum fault fault, const char *text)
{
	if (client->watch.message != NULL)
		client->watch.message(client->watch.context, level, fault, text);
}

/* ---- the verb's events ---- */

static void verb_ended(struct client *client, const struct ending *ending)
{
	if (client->verb != NULL && client->verb->ended != NULL)
		client->verb->ended(client->context, ending);
}

/* There is no session, and will be none. */
static void verb_without(struct client *client, const struct error *err)
{
	struct ending ending;

	ending_without(&ending, err);
	verb_ended(client, &ending);
}

/* Where the peer is: what it was seen at most is what it took longest for. */
static void peer_see(struct client *client)
{
	struct xfer_progress theirs = { .struct_size = sizeof(theirs) };

	if (!client->channel_live)
		return;
	channel_theirs(&client->channel, &theirs);
	if (theirs.stage <= XFER_STAGE_SYNC)
		client->peer_stages[theirs.stage]++;
}

static void on_tick(struct deadline *deadline)
{
	struct client *client = list_entry(deadline, struct client, tick);

	if (client->verb == NULL)
		return;
	(void)loop_deadline(client->loop, &client->tick, client->loop->now + TICK);
	peer_see(client);
	if (client->verb->tick != NULL)
		client->verb->tick(client->context);
}

void client_interrupt(struct client *client)
{
	struct ending ending;

	if (client->interrupted)
		return; /* tidying up already */
	client->interrupted = true;
	ending_stopped(&ending);
	if (client->dial != NULL) {
		dial_cancel(client->dial);
		client->dial = NULL;
	}
	verb_ended(client, &ending);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct client *client = handle->data;

	(void)number;
	loop_time(client->loop);
	client_interrupt(client);
}

static void on_loop_settled(void *context)
{
	struct client *client = context;

	links_feed(client->loop);
	if (client->verb != NULL && client->verb->work != NULL)
		client->verb->work(client->context);
}

void client_run(struct client *client, const struct client_verb *verb, void *context)
{
	client->verb = verb;
	client->context = context;
	(void)loop_deadline(client->loop, &client->tick, client->loop->now + TICK);
	if (!client->interrupted)
		loop_run(client->loop);
	(void)loop_deadline(client->loop, &client->tick, CLOCK_NEVER);
	client->verb = NULL;
	client->context = NULL;
}

void client_stop(struct client *client)
{
	loop_stop(client->loop);
}

/* ---- the channel ---- */

static void on_open(struct channel *channel)
{
	struct client *client = of_channel(channel);
	struct ending ending;

	client->channel_live = true;
	client->distance = client->loop->now - client->dialled;
	if (!reconnect_opened(client, &ending))
		verb_ended(client, &ending); /* and the session with it, when the verb lets go */
	else if (client->verb != NULL && client->verb->open != NULL)
		client->verb->open(client->context);
}

static int on_frame(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct client *client = of_channel(channel);

	if (client->verb == NULL || client->verb->frame == NULL)
		return 0;
	return client->verb->frame(client->context, header, bytes, buffer, err);
}

void client_work(struct client *client)
{
	if (client->verb != NULL && client->verb->work != NULL)
		client->verb->work(client->context);
}

void client_progress(struct client *client, const struct channel *channel, struct xfer_progress *ours)
{
	uint64_t loss;

	ours->rtt_us = (uint32_t)(channel_rtt(channel, &loss) / 1000);
	ours->loss_ppm = (uint32_t)loss;
	if (client->verb != NULL && client->verb->progress != NULL)
		client->verb->progress(client->context, ours);
}

static void on_work(struct channel *channel)
{
	client_work(of_channel(channel));
}

static void on_progress(struct channel *channel, struct xfer_progress *ours)
{
	client_progress(of_channel(channel), channel, ours);
}

static void on_warn(struct channel *channel, const char *text)
{
	client_say(of_channel(channel), LOG_LEVEL_WARN, FAULT_NONE, text);
}

static void on_died(struct channel *channel, const char *text)
{
	reconnect_died(of_channel(channel), text);
}

static void on_answer(struct channel *channel, bool in_band, uint64_t sequence, uint64_t rtt)
{
	struct client *client = of_channel(channel);

	if (client->verb != NULL && client->verb->answer != NULL)
		client->verb->answer(client->context, in_band, sequence, rtt);
}

static void on_asked(struct channel *channel, bool in_band, uint64_t sequence)
{
	struct client *client = of_channel(channel);

	if (client->verb != NULL && client->verb->asked != NULL)
		client->verb->asked(client->context, in_band, sequence);
}

static void on_ended(struct channel *channel, const struct error *err)
{
	struct client *client = of_channel(channel);
	struct ending ending;

	client->channel_live = false;
	ending_of_channel(&ending, err, channel);
	channel_close(channel);
	verb_ended(client, &ending);
}

static void on_closed(struct channel *channel)
{
	struct client *client = of_channel(channel);

	client->channel_used = false;
	if (client->verb == NULL)
		loop_stop(client->loop); /* client_disconnect() waits */
}

static const struct channel_watch channel_events = {
	.open = on_open,
	.frame = on_frame,
	.settled = on_work,
	.sent = on_work,
	.progress = on_progress,
	.warn = on_warn,
	.died = on_died,
	.answer = on_answer,
	.asked = on_asked,
	.ended = on_ended,
	.closed = on_closed,
};

struct heartbeat_port *client_port(struct client *client, struct xfer_conn *conn)
{
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	struct heartbeat_port *port;
	int family, fd;

	if (client->setup->liveness->liveness.datagram_size == 0)
		return NULL;
	if (transport_endpoint(client->transport, conn, &endpoint) < 0)
		return NULL;
	family = endpoint.remote.ss_family;
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	port = &client->ports[family == AF_INET6];
	if (port->open)
		return port;
	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	return heartbeat_port_open(port, client->loop, fd, &client->peers, NULL) == 0 ? port : NULL;
}

static void on_connected(void *context, struct xfer_conn *conn)
{
	struct client *client = context;
	struct error err = { 0 };
	int r;

	client->dial = NULL;
	client->dialled = client->loop->now;
	client->consumed = 0;
	client->granted = 0;
	r = channel_open(&client->channel, &client->base, client->transport, conn, false, client_port(client, conn), 0,
	                 client, &err);
	client->channel_used = r == 0 || r == -EINPROGRESS;
	if (r < 0)
		verb_without(client, &err);
}

static void on_dial_failed(void *context, const struct error *err)
{
	struct client *client = context;

	client->dial = NULL;
	verb_without(client, err);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

bool client_is_at(const struct client *client, const struct url *url)
{
	const struct url *at = client->url;

	return at != NULL && same_text(at->authority, url->authority) && same_text(at->transport, url->transport) &&
	       same_text(at->user, url->user);
}

static int url_keep(struct client *client, const struct url *url, struct error *err)
{
	struct url *kept = calloc(1, sizeof(*kept));

	if (kept == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	kept->transport = url->transport != NULL ? strdup(url->transport) : NULL;
	kept->user = url->user != NULL ? strdup(url->user) : NULL;
	kept->authority = strdup(url->authority);
	kept->host = url->host != NULL ? strdup(url->host) : NULL;
	kept->port = url->port;
	client->url = kept;
	return 0;
}

static void url_forget(struct client *client)
{
	if (client->url == NULL)
		return;
	url_free(client->url);
	free(client->url);
	client->url = NULL;
}

/*
 * Under a limit of the rate a chunk takes no longer than CHUNK_TIME: whoever waits for one so large that it takes minutes
 * would call it a stall.
 */
static void offer_bound(struct client *client)
{
	uint64_t most = client->options.limit_rate;

	if (most == 0 || most > FRAME_CHUNK_MAX_SIZE)
		return;
	most = most * CHUNK_TIME / FRAME_CHUNK_MIN_SIZE * FRAME_CHUNK_MIN_SIZE;
	if (most < FRAME_CHUNK_MIN_SIZE)
		most = FRAME_CHUNK_MIN_SIZE;
	if (client->base.offer.chunk_size > most)
		client->base.offer.chunk_size = (uint32_t)most;
}

int client_connect(struct client *client, const struct url *url, struct error *err)
{
	const struct dial_watch watch = { on_connected, on_dial_failed, client };
	const char *name = url->transport != NULL ? url->transport : client->options.transport;
	struct plugin *transport = client->setup->transport;
	int r;

	/* One that was sent away has no session for another job. */
	if (client->channel_live && client_is_at(client, url) && !client->channel.goaway) {
		if (client->verb->open != NULL)
			client->verb->open(client->context);
		return 0;
	}
	client_disconnect(client);
	if (name != NULL) {
		r = setup_plugin(client->setup, XFER_KIND_TRANSPORT, name, &transport, err);
		if (r < 0)
			return r;
	}
	client->transport = transport;
	if (!client_is_at(client, url)) {
		url_forget(client);
		r = url_keep(client, url, err);
		if (r < 0)
			return r;
	}
	offer_bound(client);
	client->base.lost = reconnect_lost_one(client);
	client->base.hello_timeout = reconnect_patience(client, client->settings->hello_timeout);
	return dial_start(&client->dial, client->loop, transport, url, reconnect_patience(client, CONNECT_TIMEOUT),
	                  &watch, err);
}

bool client_try(struct client *client, const struct url *url, const struct client_verb *verb, void *context,
                struct ending *ending)
{
	bool runs = !client->interrupted;
	struct error err = { 0 };

	/* The session may be there already: then it is opened, and may end, from within. */
	client->verb = verb;
	client->context = context;
	if (!runs) {
		ending_stopped(ending);
	} else if (client_connect(client, url, &err) < 0) {
		ending_without(ending, &err);
		runs = false;
	} else {
		client_run(client, verb, context);
	}
	client->verb = NULL;
	return runs;
}

void client_fail(struct client *client, const struct error *err)
{
	struct error said = *err;

	if (!client->channel_live)
		return;
	client->channel_live = false;
	channel_fail(&client->channel, ending_status(&said), &said); /* comes back as ended() */
}

void client_disconnect(struct client *client)
{
	const struct client_verb *verb = client->verb;

	client->verb = NULL; /* nothing of this is told */
	if (client->dial != NULL)
		dial_cancel(client->dial);
	client->dial = NULL;
	if (client->channel_live)
		link_finish(&client->channel.link);
	client->channel_live = false;
	if (client->channel_used)
		channel_close(&client->channel);
	while (client->channel_used)
		loop_run(client->loop); /* until on_closed() */
	streams_close(client);
	client->verb = verb;
}

/* ---- life ---- */

static int signals_open(struct client *client, struct error *err)
{
	for (int i = 0; i < 2; i++) {
		int r = uv_signal_init(&client->loop->uv, &client->signals[i]);

		if (r < 0)
			return error_system(err, r, FAULT_LOCAL, "signals cannot be watched");
		client->signals[i].data = client;
		uv_signal_start(&client->signals[i], on_signal, signal_numbers[i]);
	}
	return 0;
}

static int client_open(struct client *client, struct error *err)
{
	const struct setup_choice choice = { .integrity = client->options.integrity };
	const struct loop_settings loop = {
		.threads = client->settings->threads,
		.memory = client->settings->memory,
		.settled = on_loop_settled,
		.context = client,
	};
	int r = setup_create(&client->setup, client->settings, &choice, client->log, err);

	(void)files_raise(0);

	if (r == 0)
		r = loop_create(&client->loop, &loop, err);
	if (r == 0)
		r = channel_offer_make(&client->base.offer, client->setup, err);
	if (r == 0)
		r = signals_open(client, err);
	if (r < 0)
		return r;
	client->base.loop = client->loop;
	client->base.setup = client->setup;
	client->base.watch = &channel_events;
	client->tick.fire = on_tick;
	return 0;
}

int client_create(struct client **out, const struct settings *settings, const struct client_options *options,
                  const struct client_watch *watch, struct log *log, struct error *err)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (client == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	client->settings = settings;
	client->options = *options;
	client->watch = *watch;
	client->log = log;
	r = client_open(client, err);
	if (r < 0) {
		client_destroy(client);
		return r;
	}
	*out = client;
	return 0;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	if (client->loop != NULL) {
		client_disconnect(client);
		url_forget(client);
		for (int six = 0; six < 2; six++)
			heartbeat_port_close(&client->ports[six]);
		for (int i = 0; i < 2; i++) {
			if (client->signals[i].data != NULL)
				uv_close((uv_handle_t *)&client->signals[i], NULL);
		}
	}
	loop_destroy(client->loop);
	setup_destroy(client->setup);
	table_free(&client->peers);
	channel_offer_free(&client->base.offer);
	free(client);
}
