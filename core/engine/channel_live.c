/* SPDX-License-Identifier: BSD-2-Clause */
/* A channel's liveness: heartbeats, in-band pings, and what both together say of the peer. */
#include "engine/channel_state.h"

#include "base/text.h"
#include "registry/liveness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PONGS_AHEAD = 512 * 1024 /* bytes of control frames waiting to be sent */ };

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

/* One who asks and does not listen gets no more answers than fit. */
static void pong_send(struct channel *channel, uint64_t sequence, uint64_t sent)
{
	if (link_control_queued(&channel->link) < PONGS_AHEAD)
		ping_send(channel, FRAME_PONG, sequence, sent);
}

void channel_pulse_look(struct channel *channel)
{
	enum pulse_datagrams datagrams = heartbeat_state(&channel->heartbeat, channel_now(channel));
	struct error err = { 0 };
	char age[TEXT_NUMBER_MAX];
	uint64_t when;
	unsigned todo;

	if (channel->link.received_at > channel->pulse.came)
		pulse_bytes(&channel->pulse, channel->link.received_at);
	/* As long as we do not listen, that nothing is heard proves nothing. */
	if (channel->link.paused)
		pulse_bytes(&channel->pulse, channel_now(channel));
	todo = pulse_check(&channel->pulse, datagrams, channel_now(channel));
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
		ping_send(channel, FRAME_PING, channel->pulse.pings, channel_now(channel));
		if (channel->base->watch->asked != NULL)
			channel->base->watch->asked(channel, true, channel->pulse.pings);
	}
	if (todo & PULSE_PONG)
		pong_send(channel, 0, 0);
	if (channel->state == CHANNEL_OPEN && channel->base->watch->look != NULL &&
	    channel->look_at <= channel_now(channel))
		channel->look_at = channel->base->watch->look(channel);
	when = pulse_deadline(&channel->pulse, datagrams, channel_now(channel));
	if (channel->base->watch->look != NULL && channel->look_at < when)
		when = channel->look_at;
	if (link_untold(&channel->link) && channel_now(channel) + channel->base->loop->settings.patience < when)
		when = channel_now(channel) + channel->base->loop->settings.patience;
	if (channel->state == CHANNEL_OPEN)
		(void)loop_deadline(channel->base->loop, &channel->deadline, when);
}

static void heartbeat_tell(struct heartbeat *heartbeat, struct xfer_progress *ours)
{
	struct channel *channel = list_entry(heartbeat, struct channel, heartbeat);

	channel->base->watch->progress(channel, ours);
}

static void heartbeat_heard(struct heartbeat *heartbeat, const struct xfer_heard *heard)
{
	struct channel *channel = list_entry(heartbeat, struct channel, heartbeat);

	pulse_heard(&channel->pulse, channel_now(channel));
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
	if (channel->remote == NULL)
		return false;
	memcpy(to, &channel->remote->address, sizeof(channel->remote->address));
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

int channel_live_start(struct channel *channel, const struct message_welcome *welcome, struct error *err)
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

	liveness_timing(start.plugin, &interval, &dead_after);
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
	            channel_now(channel));
	if (welcome->heartbeat_port == 0 || channel->port == NULL || start.plugin->liveness.datagram_size == 0)
		return 0;
	if (!channel->server) {
		if (!heartbeat_address(channel, &to, &start.to_len))
			return 0;
		start.to = (const struct sockaddr *)&to;
	}
	/*
	 * Sessions with two processes that know nothing of each other (an old worker and the one that replaces it) may have
	 * been given the same slot: the later one lives on pings in the connection.
	 */
	if (!channel->server && table_get(channel->port->peers, start.params.slot) != NULL)
		return 0;
	return heartbeat_open(&channel->heartbeat, &start, err);
}

int channel_ping_take(struct channel *channel, enum frame_type type, const uint8_t *body, size_t len, struct error *err)
{
	struct message_ping ping;
	int r = message_ping_read(body, len, &ping, err);

	if (r < 0)
		return r;
	if (channel->theirs == NULL)
		channel->theirs = malloc(sizeof(*channel->theirs));
	/* Without memory for it nothing is known of the peer but that it lives. */
	if (channel->theirs != NULL)
		*channel->theirs = (struct xfer_progress){
			.struct_size = sizeof(*channel->theirs),
			.received = ping.received,
			.verified = ping.verified,
			.durable = ping.durable,
			.stage = ping.stage,
			.stage_age_ms = ping.stage_age_ms,
			.rtt_us = ping.rtt_us,
			.loss_ppm = ping.loss_ppm,
		};
	if (type == FRAME_PONG) {
		pulse_pong(&channel->pulse, ping.sent, channel_now(channel));
		/* Sequences count from 1: 0 answers no question of ours. */
		if (channel->base->watch->answer != NULL && ping.sequence > 0 && ping.sent <= channel_now(channel))
			channel->base->watch->answer(channel, true, ping.sequence, channel_now(channel) - ping.sent);
		return 0;
	}
	/* Only the side that connected asks, so a PING at the client is nobody's question. */
	if (!channel->server)
		return error_set(err, -EPROTO, FAULT_PEER, "a ping from the daemon");
	pulse_asked(&channel->pulse, channel_now(channel));
	pong_send(channel, ping.sequence, ping.sent);
	return 0;
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
	return channel->theirs != NULL ? (uint64_t)channel->theirs->rtt_us * 1000 : 0;
}

void channel_theirs(const struct channel *channel, struct xfer_progress *theirs)
{
	heartbeat_progress(&channel->heartbeat, theirs);
	if (channel->theirs != NULL && theirs->received == 0 && theirs->verified == 0 && theirs->stage == 0)
		*theirs = *channel->theirs;
}
