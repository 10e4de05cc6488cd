/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/channel.h"

#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { PONGS_AHEAD = 512 * 1024 /* bytes of control frames waiting to be sent */ };

static uint64_t now(const struct channel *channel)
{
	return channel->base->loop->now;
}

static struct channel *of_link(struct link *link)
{
	return link->owner;
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
		channel->link.linger = status != STATUS_DEAD; /* from the dead no end of the stream will come */
		link_finish(&channel->link);
	}
	channel_end(channel, err);
}

void channel_goaway(struct channel *channel, enum status status, const char *text)
{
	if (channel->state != CHANNEL_OPEN || channel->goaway)
		return;
	channel->goaway = true;
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

/* ---- pulse ---- */

static void ping_send(struct channel *channel, enum frame_type type, uint64_t sequence, uint64_t sent)
{
	struct xfer_progress ours = { .struct_size = sizeof(ours) };

	channel->base->watch->progress(channel, &ours);
	(void)message_ping_write(link_control(&channel->link), type,
	                         &(struct message_ping){
					 .sequence = sequence,
					 .sent = sent,
					 .received = ours.received,
					 .verified = ours.verified,
					 .durable = ours.durable,
					 .stage = ours.stage,
					 .stage_age_ms = ours.stage_age_ms,
					 .rtt_us = (uint32_t)(channel->pulse.rtt / 1000),
					 .loss_ppm = ours.loss_ppm,
				 });
	link_flush(&channel->link);
}

static void pulse_look(struct channel *channel)
{
	enum pulse_datagrams datagrams = heartbeat_state(&channel->heartbeat, now(channel));
	struct error err = { 0 };
	char age[TEXT_NUMBER_MAX];
	unsigned todo;

	if (channel->link.received_at > channel->pulse.heard)
		pulse_heard(&channel->pulse, channel->link.received_at);
	todo = pulse_check(&channel->pulse, datagrams, now(channel));
	if (todo & PULSE_DEAD) {
		error_set(&err, -ETIMEDOUT, FAULT_PEER, "%s is dead: no heartbeat, no byte and no ping for %s",
		          channel_peer(channel), text_format_duration(age, channel->pulse.dead_after));
		channel_fail(channel, STATUS_DEAD, &err);
		return;
	}
	if (todo & PULSE_WARN)
		channel->base->watch->warn(channel, "heartbeats by datagram are not answered (is UDP blocked?); "
		                                    "going on with pings in the connection");
	if (todo & PULSE_PING) {
		ping_send(channel, FRAME_PING, channel->pulse.sequence, now(channel));
		if (channel->base->watch->asked != NULL)
			channel->base->watch->asked(channel, true, channel->pulse.sequence);
	}
	if (channel->state == CHANNEL_OPEN)
		(void)loop_deadline(channel->base->loop, &channel->deadline,
		                    pulse_deadline(&channel->pulse, datagrams, now(channel)));
}

static void on_deadline(struct deadline *deadline)
{
	struct channel *channel = list_entry(deadline, struct channel, deadline);
	struct error err = { 0 };

	if (channel->state == CHANNEL_OPEN) {
		pulse_look(channel);
		return;
	}
	error_set(&err, -ETIMEDOUT, channel->server ? FAULT_PEER : FAULT_CONNECT,
	          "%s did not say hello in time (is it an xfer %s?)", channel_peer(channel),
	          channel->server ? "client" : "daemon");
	channel_fail(channel, STATUS_PROTOCOL, &err);
}

static void heartbeat_tell(struct heartbeat *heartbeat, struct xfer_progress *ours)
{
	struct channel *channel = list_entry(heartbeat, struct channel, heartbeat);

	channel->base->watch->progress(channel, ours);
}

static void heartbeat_heard(struct heartbeat *heartbeat, const struct xfer_heard *heard)
{
	struct channel *channel = list_entry(heartbeat, struct channel, heartbeat);

	pulse_heard(&channel->pulse, now(channel));
	if (heard->is_answer && channel->base->watch->answer != NULL)
		channel->base->watch->answer(channel, false, heard->sequence, heard->rtt);
}

static void heartbeat_asked(struct heartbeat *heartbeat, const struct xfer_asked *asked)
{
	struct channel *channel = list_entry(heartbeat, struct channel, heartbeat);

	if (channel->base->watch->asked != NULL)
		channel->base->watch->asked(channel, false, asked->sequence);
}

static const struct heartbeat_watch heartbeat_events = {
	.progress = heartbeat_tell,
	.heard = heartbeat_heard,
	.asked = heartbeat_asked,
};

/* The daemon's datagram address: its address in the connection, with the port that it named. */
static bool heartbeat_address(const struct channel *channel, struct sockaddr_storage *to, socklen_t *len)
{
	*to = channel->endpoint->remote;
	if (to->ss_family == AF_INET) {
		((struct sockaddr_in *)to)->sin_port = htons(channel->heartbeat_port_number);
		*len = sizeof(struct sockaddr_in);
		return true;
	}
	if (to->ss_family == AF_INET6) {
		((struct sockaddr_in6 *)to)->sin6_port = htons(channel->heartbeat_port_number);
		*len = sizeof(struct sockaddr_in6);
		return true;
	}
	return false;
}

/* Both sides: liveness begins. */
static int liveness_start(struct channel *channel, const struct message_welcome *welcome, struct error *err)
{
	struct heartbeat_start start = {
		.plugin = channel->base->setup->liveness,
		.port = channel->port,
		.watch = &heartbeat_events,
		.params = {
			.role = channel->server ? XFER_ROLE_ANSWERER : XFER_ROLE_ASKER,
			.flags = channel->base->ask_steady ? XFER_PEER_STEADY : 0,
			.slot = welcome->slot,
			.interval = welcome->interval_ms * CLOCK_MS,
		},
	};
	uint64_t interval, dead_after;
	struct sockaddr_storage to;

	start.plugin->liveness.timing(start.plugin->instance, &interval, &dead_after);
	if (channel->base->ask_interval > 0)
		start.params.interval = channel->base->ask_interval;
	start.params.dead_after = dead_after;
	memcpy(start.params.key, welcome->key, sizeof(start.params.key));
	pulse_start(&channel->pulse,
	            &(struct pulse_params){
			    .asker = !channel->server,
			    .interval = start.params.interval,
			    .dead_after = dead_after,
			    .their_dead_after = channel->server ? 0 : welcome->dead_after_ms * CLOCK_MS,
		    },
	            now(channel));
	if (welcome->heartbeat_port == 0 || channel->port == NULL || start.plugin->liveness.datagram_size == 0)
		return 0;
	if (!channel->server) {
		if (!heartbeat_address(channel, &to, &start.to_len))
			return 0;
		start.to = (const struct sockaddr *)&to;
	}
	return heartbeat_open(&channel->heartbeat, &start, err);
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
		r = liveness_start(channel, welcome, err);
	if (r < 0)
		return r;
	channel->state = CHANNEL_OPEN;
	channel->base->watch->open(channel);
	if (channel->state == CHANNEL_OPEN)
		pulse_look(channel);
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
	channel->base->setup->liveness->liveness.timing(channel->base->setup->liveness->instance, &interval,
	                                                &dead_after);
	welcome.interval_ms = (uint32_t)(interval / CLOCK_MS);
	welcome.dead_after_ms = (uint32_t)(dead_after / CLOCK_MS);
	welcome.requests_max = channel->base->requests_max;
	welcome.slot = channel->base->slot(channel);
	if (strcmp(welcome.liveness, "none") != 0 && channel->port != NULL)
		welcome.heartbeat_port = channel->heartbeat_port_number;
	if (getrandom(welcome.key, sizeof(welcome.key), 0) != (ssize_t)sizeof(welcome.key)) {
		error_set(&cause, -EIO, FAULT_LOCAL, "no random bytes for a key");
		return hello_refuse(channel, STATUS_FAILED, &cause);
	}
	memcpy(channel->boot_id, hello.boot_id, sizeof(channel->boot_id));
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
	case FRAME_CANCEL: return channel->server;
	case FRAME_ENTRIES:
	case FRAME_CHUNK:
	case FRAME_HOLE:
	case FRAME_DIGEST_RUN:
	case FRAME_ENDS: return !channel->server;
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
		heartbeat_close(&channel->heartbeat); /* from here on in-band */
		return 0;
	}
	text_printable(text, sizeof(text), notice.text, notice.text_len);
	channel->refused = true;
	channel->said = notice.status;
	return error_set(err, -ECONNABORTED, status_fault(notice.status), "%s says: %s", channel_peer(channel),
	                 text[0] != '\0' ? text : status_text(notice.status));
}

static int ping_take(struct channel *channel, enum frame_type type, const uint8_t *body, size_t len, struct error *err)
{
	struct message_ping ping;
	int r = message_ping_read(body, len, &ping, err);

	if (r < 0)
		return r;
	channel->theirs = (struct xfer_progress){
		.struct_size = sizeof(channel->theirs),
		.received = ping.received,
		.verified = ping.verified,
		.durable = ping.durable,
		.stage = ping.stage,
		.stage_age_ms = ping.stage_age_ms,
		.rtt_us = ping.rtt_us,
		.loss_ppm = ping.loss_ppm,
	};
	if (type == FRAME_PONG) {
		pulse_pong(&channel->pulse, ping.sent, now(channel));
		if (channel->base->watch->answer != NULL && ping.sent <= now(channel))
			channel->base->watch->answer(channel, true, ping.sequence, now(channel) - ping.sent);
		return 0;
	}
	/* Only the side that connected asks, so a PING at the client is nobody's question. */
	if (!channel->server)
		return error_set(err, -EPROTO, FAULT_PEER, "a ping from the daemon");
	/* One who asks and does not listen gets no more answers than fit. */
	if (link_control_queued(&channel->link) < PONGS_AHEAD)
		ping_send(channel, FRAME_PONG, ping.sequence, ping.sent);
	return 0;
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
		return ping_take(channel, header->type, body, header->length, err);
	return channel->base->watch->frame(channel, header, bytes, buffer, err);
}

static void endpoint_read(struct channel *channel)
{
	channel->endpoint->struct_size = sizeof(*channel->endpoint);
	(void)channel->link.transport->transport.endpoint(channel->link.conn, channel->endpoint);
}

static void on_ready(struct link *link)
{
	struct channel *channel = of_link(link);
	struct message_hello hello;
	struct error err = { 0 };
	int r;

	endpoint_read(channel);
	channel->state = CHANNEL_HELLO;
	if (channel->server)
		return;
	r = negotiate_hello(&channel->base->offer, &hello, &err);
	if (r == 0 && message_hello_write(link_control(link), &hello) < 0)
		r = error_set(&err, -ENOMEM, FAULT_LOCAL, "out of memory for a hello");
	if (r < 0)
		channel_end(channel, &err);
}

static void on_settled(struct link *link)
{
	struct channel *channel = of_link(link);

	if (channel->state == CHANNEL_OPEN)
		channel->base->watch->settled(channel);
	if (channel->state != CHANNEL_ENDED)
		link_flush(link);
}

static void on_sent(struct link *link)
{
	struct channel *channel = of_link(link);

	if (channel->state == CHANNEL_OPEN)
		channel->base->watch->sent(channel);
}

/* What a peer is told about an error in what it sent. */
static enum status status_of(const struct error *err)
{
	if (err->code == -EPROTO || err->code == -EBADMSG)
		return err->fault == FAULT_INTEGRITY ? STATUS_INTEGRITY : STATUS_PROTOCOL;
	return err->code == -EDQUOT ? STATUS_LIMIT : STATUS_FAILED;
}

static void on_ended(struct link *link, const struct error *err)
{
	struct channel *channel = of_link(link);
	struct error said = *err;

	if (channel->state == CHANNEL_ENDED)
		return;
	if (channel->state == CHANNEL_CONNECTING && !channel->server)
		said.fault = FAULT_CONNECT;
	else if (said.code == 0 && !channel->server)
		error_set(&said, -ECONNRESET, FAULT_PEER, "%s closed the connection", channel_peer(channel));
	else if (said.code == -EPROTO || said.code == -EBADMSG)
		error_prefix(&said, "%s breaks the protocol", channel_peer(channel));
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

	free(channel->endpoint);
	channel->endpoint = NULL;
	channel->base->watch->closed(channel);
}

static const struct link_watch link_events = {
	.ready = on_ready,
	.frame = on_frame,
	.settled = on_settled,
	.sent = on_sent,
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
		.endpoint = calloc(1, sizeof(struct xfer_endpoint)),
	};
	if (channel->endpoint == NULL) {
		transport->transport.close(conn);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a connection");
	}
	r = link_open(&channel->link, base->loop, transport, conn, &channel->rx_limits, &link_events, channel, err);
	if (r == 0)
		r = loop_deadline(base->loop, &channel->deadline, now(channel) + base->hello_timeout);
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
	return channel->endpoint != NULL && channel->endpoint->text[0] != '\0' ? channel->endpoint->text : "the peer";
}

uint64_t channel_rtt(const struct channel *channel, uint64_t *loss_ppm)
{
	struct xfer_liveness_stats stats;

	heartbeat_stats(&channel->heartbeat, &stats);
	*loss_ppm = stats.sent > 0 ? stats.lost * 1000000 / stats.sent : 0;
	if (stats.rtt_smoothed > 0)
		return stats.rtt_smoothed;
	if (channel->pulse.rtt > 0)
		return channel->pulse.rtt;
	return (uint64_t)channel->theirs.rtt_us * 1000;
}

void channel_theirs(const struct channel *channel, struct xfer_progress *theirs)
{
	heartbeat_progress(&channel->heartbeat, theirs);
	if (theirs->received == 0 && theirs->verified == 0 && theirs->stage == 0)
		*theirs = channel->theirs;
}
