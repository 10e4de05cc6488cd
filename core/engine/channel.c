/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/channel_state.h"

#include "base/text.h"
#include "engine/lending.h"
#include "registry/liveness.h"
#include "registry/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PONGS_AHEAD = 512 * 1024 /* bytes of control frames waiting to be sent */ };

static struct channel *of_link(struct link *link)
{
	return list_entry(link, struct channel, link);
}

/* Ten thousand sessions keep this, so no more of it than there is. */
static int remote_read(struct channel *channel)
{
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	bool secure = (channel->link.transport->about.capabilities & XFER_CAP_SECURE) != 0;
	struct channel_remote *remote;
	size_t len, identity_len;

	if (channel->remote != NULL || transport_endpoint(channel->link.transport, channel->link.conn, &endpoint) < 0)
		return 0;
	endpoint.text[sizeof(endpoint.text) - 1] = '\0';
	endpoint.identity[secure ? sizeof(endpoint.identity) - 1 : 0] = '\0'; /* a claim of others counts for nothing */
	len = strlen(endpoint.text) + 1;
	identity_len = strlen(endpoint.identity) + 1;
	remote = calloc(1, sizeof(*remote) + len + identity_len);
	if (remote == NULL)
		return -ENOMEM;
	if (endpoint.remote.ss_family == AF_INET || endpoint.remote.ss_family == AF_INET6)
		memcpy(&remote->address, &endpoint.remote, sizeof(remote->address));
	memcpy(remote->text, endpoint.text, len);
	memcpy(remote->text + len, endpoint.identity, identity_len);
	channel->remote = remote;
	return 0;
}

/* ---- the end ---- */

static void channel_end(struct channel *channel, const struct error *err)
{
	if (channel->state == CHANNEL_ENDED)
		return;
	channel->state = CHANNEL_ENDED;
	(void)loop_deadline(channel->base->loop, &channel->deadline, CLOCK_NEVER);
	/* Before the heartbeat goes: the owner may want to tell the round trip. */
	channel->base->watch->ended(channel, err);
	heartbeat_close(&channel->heartbeat);
}

void channel_fail(struct channel *channel, enum status status, const struct error *err)
{
	if (channel->state != CHANNEL_ENDED && channel->link.ready) {
		(void)message_notice_write(link_control(&channel->link), FRAME_ERROR, status, err->text);
		/* From the dead no end of the stream will come. */
		channel->link.linger = status != STATUS_DEAD || err->code != -ETIMEDOUT;
		link_finish(&channel->link);
	}
	channel_end(channel, err);
}

void channel_finish(struct channel *channel)
{
	const struct error none = { 0 };

	if (channel->state != CHANNEL_ENDED && channel->link.ready) {
		channel->link.linger = true;
		link_finish(&channel->link);
	}
	channel_end(channel, &none);
}

void channel_goaway(struct channel *channel, enum status status, const char *text)
{
	if (channel->state != CHANNEL_OPEN || channel->goaway)
		return;
	channel->goaway = true;
	channel->going_away = status;
	heartbeat_close(&channel->heartbeat); /* the port is the next worker's; from here on in-band */
	(void)message_notice_write(link_control(&channel->link), FRAME_GOAWAY, status, text);
	link_flush(&channel->link);
}

void channel_close(struct channel *channel)
{
	channel->state = CHANNEL_ENDED;
	(void)loop_deadline(channel->base->loop, &channel->deadline, CLOCK_NEVER);
	heartbeat_close(&channel->heartbeat);
	link_close(&channel->link);
}

static void on_deadline(struct deadline *deadline)
{
	struct channel *channel = list_entry(deadline, struct channel, deadline);
	struct error err = { 0 };

	if (channel->state == CHANNEL_OPEN) {
		/* Before it is judged. */
		link_look(&channel->link);
		if (channel->state == CHANNEL_OPEN)
			channel_pulse_look(channel);
		return;
	}
	(void)remote_read(channel);
	error_set(&err, -ETIMEDOUT, channel->server ? FAULT_PEER : FAULT_CONNECT,
	          "%s did not say hello in time (is it an xfer %s?)", channel_peer(channel),
	          channel->server ? "client" : "daemon");
	channel_fail(channel, STATUS_PROTOCOL, &err);
}

/* ---- hello ---- */

static int suite_settle(struct channel *channel, const struct message_welcome *welcome, struct error *err)
{
	const struct plugin *integrity = setup_integrity(channel->base->setup, welcome->integrity);

	if (integrity == NULL)
		return error_set(err, -EPROTO, FAULT_INTEGRITY, "integrity %s is not loaded", welcome->integrity);
	channel->suite = (struct suite){
		.integrity = integrity,
		.limits = {
			.control_max = FRAME_CONTROL_MAX,
			.chunk_size = welcome->chunk_size,
			.digest_size = integrity->integrity.digest_size,
		},
		.together = lending_together(channel->base->loop),
		.known = channel->base->known,
	};
	channel->rx_limits = channel->suite.limits;
	/* A daemon that gives files away takes no chunks. */
	if (channel->server)
		channel->rx_limits.chunk_size = 0;
	return 0;
}

static int channel_begin(struct channel *channel, const struct message_welcome *welcome, struct error *err)
{
	int r = suite_settle(channel, welcome, err);

	if (r == 0)
		r = channel_live_start(channel, welcome, err);
	if (r < 0)
		return r;
	memcpy(channel->key, welcome->key, sizeof(channel->key));
	channel->state = CHANNEL_OPEN;
	channel->worked_at = channel_now(channel);
	channel->base->watch->open(channel);
	if (channel->state == CHANNEL_OPEN)
		channel_pulse_look(channel);
	return 0;
}

static int hello_refuse(struct channel *channel, enum status status, const struct error *err)
{
	channel_fail(channel, status, err);
	return 0;
}

/* Daemon: the HELLO came. */
static int hello_take(struct channel *channel, const uint8_t *body, size_t len, struct error *err)
{
	struct message_hello hello;
	struct message_welcome welcome;
	struct error cause = { 0 };
	enum status status = STATUS_FAILED;
	uint64_t interval, dead_after;
	int r = message_hello_read(body, len, &hello, err);

	if (r < 0)
		return r;
	if (negotiate_answer(&channel->base->offer, &hello, &welcome, &status, &cause) < 0)
		return hello_refuse(channel, status, &cause);
	liveness_timing(channel->base->setup->liveness, &interval, &dead_after);
	welcome.interval_ms = (uint32_t)(interval / CLOCK_MS);
	welcome.dead_after_ms = (uint32_t)(dead_after / CLOCK_MS);
	welcome.requests_max = channel->base->requests_max;
	channel->requests_max = welcome.requests_max; /* in a put it holds for us */
	welcome.slot = channel->base->slot(channel);
	if (strcmp(welcome.liveness, "none") != 0 && channel->port != NULL)
		welcome.heartbeat_port = channel->heartbeat_port_number;
	if (getrandom(welcome.key, sizeof(welcome.key), 0) != (ssize_t)sizeof(welcome.key)) {
		error_set(&cause, -EIO, FAULT_LOCAL, "no random bytes for a key");
		return hello_refuse(channel, STATUS_FAILED, &cause);
	}
	memcpy(channel->boot_id, hello.boot_id, sizeof(channel->boot_id));
	if (hello.has_lost && channel->base->died != NULL &&
	    (welcome.died = channel->base->died(channel, hello.lost)) != NULL)
		welcome.died_len = strlen(welcome.died);
	r = message_welcome_write(link_control(&channel->link), &welcome);
	return r < 0 ? r : channel_begin(channel, &welcome, err);
}

/* Client: the WELCOME came. */
static int welcome_take(struct channel *channel, const uint8_t *body, size_t len, struct error *err)
{
	struct message_welcome welcome;
	int r = message_welcome_read(body, len, &welcome, err);

	if (r == 0)
		r = negotiate_accept(&channel->base->offer, &welcome, err);
	if (r < 0)
		return r;
	channel->heartbeat_port_number = welcome.heartbeat_port;
	channel->requests_max = welcome.requests_max;
	memcpy(channel->boot_id, welcome.boot_id, sizeof(channel->boot_id));
	if (welcome.died != NULL && channel->base->watch->died != NULL) {
		char died[MESSAGE_DIED_MAX + 1];

		channel->base->watch->died(channel, text_printable(died, sizeof(died), welcome.died, welcome.died_len));
	}
	return channel_begin(channel, &welcome, err);
}

/* ---- frames ---- */

/* Which frames may come to which side, once the hello is done. */
static bool frame_allowed(const struct channel *channel, enum frame_type type)
{
	switch (type) {
	case FRAME_ERROR:
	case FRAME_GOAWAY:
	case FRAME_PING:
	case FRAME_PONG: return true;
	case FRAME_LIST:
	case FRAME_READ:
	case FRAME_CREDIT:
	case FRAME_CANCEL: return channel->server || channel->put;
	case FRAME_ENTRIES:
	case FRAME_CHUNK:
	case FRAME_HOLE:
	case FRAME_DIGEST_RUN:
	case FRAME_ENDS: return !channel->server || channel->put;
	case FRAME_PUT:
	case FRAME_JOIN: return channel->server;
	case FRAME_EVENT:
	case FRAME_DONE: return !channel->server && channel->put;
	default: return false;
	}
}

static int notice_take(struct channel *channel, enum frame_type type, const uint8_t *body, size_t len,
                       struct error *err)
{
	struct message_notice notice;
	char text[ERROR_TEXT_MAX / 2];
	int r = message_notice_read(body, len, &notice, err);

	if (r < 0)
		return r;
	if (type == FRAME_GOAWAY) {
		channel->goaway = true;
		channel->going_away = notice.status;
		heartbeat_close(&channel->heartbeat); /* from here on in-band */
		return 0;
	}
	text_printable(text, sizeof(text), notice.text, notice.text_len);
	channel->refused = true;
	channel->said = notice.status;
	return error_set(err, -ECONNABORTED, status_fault(notice.status), "%s says: %s", channel_peer(channel),
	                 text[0] != '\0' ? text : status_text(notice.status));
}

static int on_frame(struct link *link, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct channel *channel = of_link(link);
	const uint8_t *body = bytes + FRAME_HEADER;
	enum frame_type hello = channel->server ? FRAME_HELLO : FRAME_WELCOME;

	if (channel->state == CHANNEL_ENDED)
		return 0;
	if (header->type == FRAME_ERROR || header->type == FRAME_GOAWAY)
		return notice_take(channel, header->type, body, header->length, err);
	if (channel->state != CHANNEL_OPEN) {
		if (header->type != hello)
			return error_set(err, -EPROTO, FAULT_PEER, "a frame of type %d before the hello",
			                 (int)header->type);
		return channel->server ? hello_take(channel, body, header->length, err)
		                       : welcome_take(channel, body, header->length, err);
	}
	if (!frame_allowed(channel, header->type))
		return error_set(err, -EPROTO, FAULT_PEER, "a frame of type %d, which this side does not take",
		                 (int)header->type);
	if (header->type == FRAME_PING || header->type == FRAME_PONG)
		return channel_ping_take(channel, header->type, body, header->length, err);
	channel->worked_at = channel_now(channel);
	return channel->base->watch->frame(channel, header, bytes, buffer, err);
}

static void on_ready(struct link *link)
{
	struct channel *channel = of_link(link);
	enum status refused = STATUS_OK;
	struct message_hello hello;
	struct error err = { 0 };
	int r = remote_read(channel);

	channel->state = CHANNEL_HELLO;
	if (r < 0) {
		error_set(&err, r, FAULT_LOCAL, "out of memory for a connection");
		channel_end(channel, &err);
		return;
	}
	if (channel->server) {
		refused = channel->base->refuse(channel, &err);
		if (refused != STATUS_OK)
			channel_fail(channel, refused, &err);
		return;
	}
	r = negotiate_hello(&channel->base->offer, &hello, &err);
	if (r == 0 && channel->base->lost != NULL) {
		hello.has_lost = true;
		memcpy(hello.lost, channel->base->lost, sizeof(hello.lost));
	}
	if (r == 0 && message_hello_write(link_control(link), &hello) < 0)
		r = error_set(&err, -ENOMEM, FAULT_LOCAL, "out of memory for a hello");
	if (r < 0)
		channel_end(channel, &err);
}

static void on_settled(struct link *link)
{
	struct channel *channel = of_link(link);

	/* Ten thousand that rest are looked at rarely, until bytes come. */
	if (channel->state == CHANNEL_OPEN && link->received_at - channel->pulse.came >= channel->pulse.dead_after)
		channel_pulse_look(channel);
	if (channel->state == CHANNEL_OPEN)
		channel->base->watch->settled(channel);
	if (channel->state != CHANNEL_ENDED)
		link_flush(link);
}

/* Its next look comes in time for what it sends. */
static void on_slow(struct link *link)
{
	struct channel *channel = of_link(link);
	struct loop *loop = channel->base->loop;
	uint64_t when = loop->now + loop->settings.patience;

	if (channel->state == CHANNEL_OPEN && channel->deadline.node.at != 0 && channel->deadline.node.when > when)
		(void)loop_deadline(loop, &channel->deadline, when);
}

static void on_sent(struct link *link)
{
	struct channel *channel = of_link(link);

	if (channel->state == CHANNEL_OPEN)
		channel->base->watch->sent(channel);
}

static void on_refill(struct link *link)
{
	struct channel *channel = of_link(link);

	/* Where it is not told, its owner looks by itself. */
	if (channel->state == CHANNEL_OPEN && channel->base->watch->refill != NULL)
		channel->base->watch->refill(channel);
}

/* What a peer is told about an error in what it sent. */
static enum status status_of(const struct error *err)
{
	if (err->code == -EPROTO || err->code == -EBADMSG || err->code == -ECONNRESET)
		return err->fault == FAULT_INTEGRITY ? STATUS_INTEGRITY : STATUS_PROTOCOL;
	return err->code == -EDQUOT ? STATUS_LIMIT : STATUS_FAILED;
}

static void on_ended(struct link *link, const struct error *err)
{
	struct channel *channel = of_link(link);
	struct error said = *err;
	/* More requests than a client holds are no refusal of ours: the daemon knows how many there may be. */
	bool beyond = err->code == -EDQUOT && err->fault == FAULT_REFUSED && !channel->server;

	if (channel->state == CHANNEL_ENDED)
		return;
	(void)remote_read(channel);
	if (channel->state == CHANNEL_CONNECTING && !channel->server)
		said.fault = said.fault == FAULT_REFUSED ? FAULT_REFUSED : FAULT_CONNECT;
	else if (said.code == 0 && !channel->server && channel->goaway)
		error_set(&said, -ECONNRESET, FAULT_PEER, "%s ended the session: %s", channel_peer(channel),
		          status_text(channel->going_away));
	else if (said.code == 0 && !channel->server)
		error_set(&said, -ECONNRESET, FAULT_PEER, "%s closed the connection", channel_peer(channel));
	else if (said.code == -EPROTO || said.code == -EBADMSG || beyond)
		error_prefix(&said, "%s breaks the protocol", channel_peer(channel));
	else if (said.code == -ECONNRESET && !link->broken)
		error_prefix(&said, "%s", channel_peer(channel));
	if (beyond)
		said.fault = FAULT_PEER;
	/* What the peer did wrong, it is told; what it told us, it knows. */
	if (err->code != 0 && !link->broken && !channel->refused && link->ready) {
		link->ended = false;
		link->linger = true;
		(void)message_notice_write(link_control(link), FRAME_ERROR, status_of(err), said.text);
		link_finish(link);
		link->ended = true;
	}
	channel_end(channel, &said);
}

static void on_closed(struct link *link)
{
	struct channel *channel = of_link(link);

	free(channel->remote);
	channel->remote = NULL;
	free(channel->theirs);
	channel->theirs = NULL;
	channel->base->watch->closed(channel);
}

static const struct link_watch link_events = {
	.ready = on_ready,
	.frame = on_frame,
	.settled = on_settled,
	.slow = on_slow,
	.sent = on_sent,
	.refill = on_refill,
	.ended = on_ended,
	.closed = on_closed,
};

int channel_open(struct channel *channel, const struct channel_base *base, const struct plugin *transport,
                 struct xfer_conn *conn, bool server, struct heartbeat_port *port, uint16_t port_number, void *owner,
                 struct error *err)
{
	int r;

	*channel = (struct channel){
		.base = base,
		.owner = owner,
		.server = server,
		.port = port,
		.heartbeat_port_number = port_number,
		.rx_limits = { .control_max = FRAME_HELLO_MAX },
		.deadline.fire = on_deadline,
	};
	r = link_open(&channel->link, base->loop, transport, conn, &channel->rx_limits, &link_events, err);
	if (r == 0 && loop_deadline(base->loop, &channel->deadline, channel_now(channel) + base->hello_timeout) < 0) {
		error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a session");
		channel_close(channel);
		r = -EINPROGRESS;
	}
	return r;
}

int channel_offer_make(struct offer *out, const struct setup *setup, struct error *err)
{
	const char **names = calloc(setup->integrity_count, sizeof(*names));

	if (names == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for an offer");
	if (getrandom(out->boot_id, sizeof(out->boot_id), 0) != (ssize_t)sizeof(out->boot_id)) {
		free(names);
		return error_set(err, -EIO, FAULT_LOCAL, "no random bytes for a boot id");
	}
	for (size_t i = 0; i < setup->integrity_count; i++)
		names[i] = setup->integrity[i]->about.name;
	out->integrity = names;
	out->integrity_count = setup->integrity_count;
	out->liveness = setup->liveness->about.name;
	out->chunk_size = setup->settings->chunk_size;
	return 0;
}

void channel_offer_free(struct offer *offer)
{
	free((void *)offer->integrity);
	offer->integrity = NULL;
}

struct buf *channel_control(struct channel *channel)
{
	return link_control(&channel->link);
}

void channel_flush(struct channel *channel)
{
	link_flush(&channel->link);
}

const char *channel_peer(const struct channel *channel)
{
	return channel->remote != NULL && channel->remote->text[0] != '\0' ? channel->remote->text : "the peer";
}

const char *channel_identity(const struct channel_remote *remote)
{
	return remote->text + strlen(remote->text) + 1;
}
