/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-end.h"

#include "alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL (500 * CLOCK_MS)
#define DEAD_AFTER (4 * CLOCK_SECOND)
#define TICK (250 * CLOCK_MS)
#define HELLO_TIME (10 * CLOCK_SECOND)

/* ---- the end of it ---- */

static void ended(struct sim_end *end, const struct error *err)
{
	if (end->state == SIM_ENDED)
		return;
	end->state = SIM_ENDED;
	sim_never(end->sim, &end->beat);
	sim_never(end->sim, &end->tick);
	sim_say(end->sim, "%s: the session ends: %s", end->who, err->code < 0 ? err->text : "closed");
	end->watch->ended(end, err);
}

void sim_end_fail(struct sim_end *end, const struct error *err)
{
	if (end->state == SIM_ENDED)
		return;
	(void)message_notice_write(&end->control, FRAME_ERROR, STATUS_PROTOCOL, err->text);
	ended(end, err);
	sim_end_flush(end);
}

void sim_end_close(struct sim_end *end)
{
	const struct error none = { 0 };

	ended(end, &none);
	sim_end_flush(end);
}

void sim_end_kill(struct sim_end *end)
{
	end->state = SIM_ENDED;
	sim_never(end->sim, &end->beat);
	sim_never(end->sim, &end->tick);
}

void sim_end_free(struct sim_end *end)
{
	sim_end_kill(end);
	buf_free(&end->control);
	buf_free(&end->in);
}

void sim_end_finished(struct sim_end *end)
{
	const struct error none = { 0 };

	ended(end, &none);
	sim_end_flush(end);
}

void sim_end_reset(struct sim_end *end)
{
	struct error err = { 0 };

	error_set(&err, -ECONNRESET, FAULT_PEER, "the connection broke");
	ended(end, &err);
}

void sim_end_break(struct sim_end *one, struct sim_end *other)
{
	sim_stream_break(one->out);
	sim_stream_break(other->out);
}

/* Neither direction moves any more, and nobody says so. */
void sim_end_silence(struct sim_end *one, struct sim_end *other)
{
	one->out->silent = other->out->silent = true;
	one->silent_since = other->silent_since = one->sim->now;
}

/* ---- sending ---- */

struct buf *sim_end_control(struct sim_end *end)
{
	return &end->control;
}

void sim_end_batch(struct sim_end *end, uint8_t *bytes, size_t len)
{
	struct sim_batch *batch = sim_take(end->sim, sizeof(*batch));

	batch->bytes = bytes;
	batch->len = len;
	list_append(&end->batches, &batch->link);
	end->batch_count++;
	end->queued += len;
}

/* What goes next: a batch that has begun, then control frames, then the next batch. */
static const uint8_t *next_bytes(struct sim_end *end, struct sim_batch **batch, size_t *len)
{
	struct list *node = list_first(&end->batches);

	*batch = node != NULL ? list_entry(node, struct sim_batch, link) : NULL;
	if (end->control.len > end->control_sent && (*batch == NULL || (*batch)->sent == 0)) {
		*batch = NULL;
		*len = end->control.len - end->control_sent;
		return end->control.data + end->control_sent;
	}
	if (*batch == NULL)
		return NULL;
	*len = (*batch)->len - (*batch)->sent;
	return (*batch)->bytes + (*batch)->sent;
}

static void was_sent(struct sim_end *end, struct sim_batch *batch, size_t len)
{
	if (batch == NULL) {
		end->control_sent += len;
		if (end->control_sent == end->control.len) {
			end->control_sent = 0;
			buf_clear(&end->control);
		}
		return;
	}
	batch->sent += len;
	end->queued -= len;
	if (batch->sent == batch->len) {
		list_remove(&batch->link);
		end->batch_count--;
	}
}

void sim_end_flush(struct sim_end *end)
{
	struct sim_batch *batch;
	const uint8_t *bytes = NULL;
	bool sent = false;
	size_t room, len;

	while ((room = sim_stream_room(end->out)) > 0 && (bytes = next_bytes(end, &batch, &len)) != NULL) {
		if (len > room)
			len = room;
		if (sim_chance(end->sim, 20))
			len = 1 + sim_below(end->sim, len);
		sim_stream_send(end->out, bytes, len);
		was_sent(end, batch, len);
		sent = true;
	}
	/* An end that ended says its last words, then closes; what it had not begun to send is dropped. */
	if (end->state == SIM_ENDED && end->control.len == 0)
		sim_stream_finish(end->out);
	if (sent && end->state == SIM_OPEN)
		end->watch->work(end);
}

/* ---- pulse ---- */

static enum pulse_datagrams datagrams(const struct sim_end *end)
{
	switch (end->sim->plan.datagrams) {
	case SIM_NO_DATAGRAMS: break;
	case SIM_DEAF: return PULSE_UNHEARD;
	case SIM_HEARD:
		if (end->silent_since > 0 && end->sim->now - end->silent_since > 2 * INTERVAL)
			return PULSE_LATE;
		return PULSE_HEARD;
	}
	return PULSE_NO_DATAGRAMS;
}

static void ping_write(struct sim_end *end, enum frame_type type, uint64_t sequence, uint64_t sent)
{
	const struct message_ping ping = { .sequence = sequence, .sent = sent };

	(void)message_ping_write(&end->control, type, &ping);
	sim_end_flush(end);
}

static void beat(struct sim *sim, struct sim_event *event)
{
	struct sim_end *end = list_entry(event, struct sim_end, beat);
	enum pulse_datagrams heard = datagrams(end);
	struct error err = { 0 };
	unsigned todo;

	if (heard == PULSE_HEARD && end->silent_since == 0)
		pulse_heard(&end->pulse, sim->now);
	todo = pulse_check(&end->pulse, heard, sim->now);
	sim_check(sim, sim->now - end->pulse.heard <= DEAD_AFTER, "%s: the dead peer was not noticed", end->who);
	if (todo & PULSE_DEAD) {
		sim_check(sim, end->silent_since > 0, "%s: the peer is taken for dead and lives", end->who);
		error_set(&err, -ETIMEDOUT, FAULT_PEER, "the peer is dead");
		sim_end_fail(end, &err);
		return;
	}
	if (todo & PULSE_WARN) {
		sim_check(sim, !end->warned, "%s: warned twice", end->who);
		end->warned = true;
	}
	if (todo & PULSE_PING)
		ping_write(end, FRAME_PING, end->pulse.pings, sim->now);
	if (todo & PULSE_PONG)
		ping_write(end, FRAME_PONG, 0, 0);
	if (end->state == SIM_OPEN)
		sim_after(sim, &end->beat, pulse_deadline(&end->pulse, heard, sim->now) - sim->now, beat);
}

static void tick(struct sim *sim, struct sim_event *event)
{
	struct sim_end *end = list_entry(event, struct sim_end, tick);

	sim_after(sim, &end->tick, TICK, tick);
	end->watch->work(end);
}

static int ping_take(struct sim_end *end, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct message_ping ping;
	int r = message_ping_read(body, header->length, &ping, err);

	if (r == 0 && header->type == FRAME_PING) {
		pulse_asked(&end->pulse, end->sim->now);
		ping_write(end, FRAME_PONG, ping.sequence, ping.sent);
	} else if (r == 0) {
		pulse_pong(&end->pulse, ping.sent, end->sim->now);
	}
	return r;
}

/* ---- hello ---- */

static const char *const names[] = { "mix8", "mix32", "none", "mix64" };
enum { NAMES = sizeof(names) / sizeof(names[0]) };

uint32_t sim_digest_size(const char *integrity)
{
	return strncmp(integrity, "mix", 3) == 0 ? (uint32_t)strtoul(integrity + 3, NULL, 10) : 0;
}

static struct offer offer(const struct sim_end *end, const char *ours[NAMES])
{
	const struct sim_plan *plan = &end->sim->plan;

	/* The client has one preference, and the daemon takes any. */
	for (unsigned i = 0; i < NAMES; i++)
		ours[i] = names[(i + (end->client ? plan->integrity : 0)) % NAMES];
	return (struct offer){
		.integrity = ours,
		.integrity_count = NAMES,
		.liveness = "pulse",
		.chunk_size = end->client ? plan->chunk_client : plan->chunk_daemon,
	};
}

static void opened(struct sim_end *end, const struct message_welcome *welcome)
{
	memcpy(end->integrity, welcome->integrity, sizeof(end->integrity));
	end->limits.control_max = FRAME_CONTROL_MAX;
	end->limits.chunk_size = welcome->chunk_size;
	end->limits.digest_size = sim_digest_size(welcome->integrity);
	end->state = SIM_OPEN;
	pulse_start(&end->pulse,
	            &(struct pulse_params){
			    .asker = end->client,
			    .interval = INTERVAL,
			    .dead_after = DEAD_AFTER,
			    .their_dead_after = DEAD_AFTER,
		    },
	            end->sim->now);
	sim_after(end->sim, &end->beat, INTERVAL, beat);
	sim_after(end->sim, &end->tick, TICK, tick);
	sim_say(end->sim, "%s: open: %s, chunks of %u bytes", end->who, end->integrity, end->limits.chunk_size);
	end->watch->open(end);
}

static int hello_take(struct sim_end *end, const uint8_t *body, size_t len, struct error *err)
{
	const char *ours[NAMES];
	struct offer our = offer(end, ours);
	struct message_hello hello;
	struct message_welcome welcome;
	enum status status;
	int r = message_hello_read(body, len, &hello, err);

	if (r == 0)
		r = negotiate_answer(&our, &hello, &welcome, &status, err);
	if (r < 0)
		return r;
	welcome.interval_ms = INTERVAL / CLOCK_MS;
	welcome.dead_after_ms = DEAD_AFTER / CLOCK_MS;
	welcome.requests_max = end->sim->plan.requests_max;
	if (message_welcome_write(&end->control, &welcome) < 0)
		abort();
	opened(end, &welcome);
	return 0;
}

static int welcome_take(struct sim_end *end, const uint8_t *body, size_t len, struct error *err)
{
	const char *ours[NAMES];
	struct offer our = offer(end, ours);
	struct message_welcome welcome;
	int r = message_welcome_read(body, len, &welcome, err);

	if (r == 0)
		r = negotiate_accept(&our, &welcome, err);
	if (r == 0)
		opened(end, &welcome);
	return r;
}

/* ---- receiving ---- */

static int control_take(struct sim_end *end, const struct frame_header *header, const uint8_t *bytes, struct error *err)
{
	const uint8_t *body = bytes + FRAME_HEADER;
	struct message_notice notice;
	int r = frame_control_check(bytes, body, header->length, err);

	if (r < 0)
		return r;
	if (header->type == FRAME_ERROR) {
		r = message_notice_read(body, header->length, &notice, err);
		return r < 0 ? r : error_set(err, -ECONNABORTED, FAULT_PEER, "the peer gave up");
	}
	if (end->state == SIM_HELLO && header->type == FRAME_HELLO && !end->client)
		return hello_take(end, body, header->length, err);
	if (end->state == SIM_HELLO && header->type == FRAME_WELCOME && end->client)
		return welcome_take(end, body, header->length, err);
	if (end->state == SIM_HELLO)
		return error_set(err, -EPROTO, FAULT_PEER, "no hello");
	if (header->type == FRAME_PING || header->type == FRAME_PONG)
		return ping_take(end, header, body, err);
	end->sim->moved = end->sim->now;
	return end->watch->frame(end, header, bytes, err);
}

/* Handles the frame that stands at the front; 1: there is none yet. */
static int frame_take(struct sim_end *end, size_t *at, struct error *err)
{
	const uint8_t *bytes = end->in.data + *at;
	size_t left = end->in.len - *at;
	struct frame_header header;
	int r;

	if (left < FRAME_HEADER)
		return 1;
	r = frame_header_read(bytes, &end->limits, &header, err);
	if (r < 0)
		return r;
	if (left < FRAME_HEADER + (size_t)header.length)
		return 1;
	*at += FRAME_HEADER + header.length;
	if (header.type != FRAME_CHUNK)
		return control_take(end, &header, bytes, err);
	end->sim->moved = end->sim->now;
	return end->watch->frame(end, &header, bytes, err);
}

void sim_end_take(struct sim_end *end, const uint8_t *bytes, size_t len)
{
	struct error err = { 0 };
	size_t at = 0;
	int r = 0;

	if (end->state == SIM_ENDED)
		return;
	pulse_bytes(&end->pulse, end->sim->now);
	if (buf_append(&end->in, bytes, len) < 0)
		abort();
	while (r == 0 && end->state != SIM_ENDED)
		r = frame_take(end, &at, &err);
	buf_consume(&end->in, at);
	if (r < 0)
		sim_end_fail(end, &err);
	else if (end->state == SIM_OPEN)
		end->watch->work(end);
}

static void hello_late(struct sim *sim, struct sim_event *event)
{
	struct sim_end *end = list_entry(event, struct sim_end, beat);
	struct error err = { 0 };

	sim_check(sim, end->silent_since > 0, "%s: no hello in time", end->who);
	error_set(&err, -ETIMEDOUT, FAULT_CONNECT, "the peer did not say hello in time");
	sim_end_fail(end, &err);
}

void sim_end_open(struct sim_end *end, struct sim *sim, bool client, struct sim_stream *out, const char *who,
                  const struct sim_end_watch *watch)
{
	const char *ours[NAMES];
	struct message_hello hello;
	struct offer our;

	*end = (struct sim_end){ .sim = sim, .watch = watch, .who = who, .client = client, .out = out };
	end->limits.control_max = FRAME_HELLO_MAX;
	list_init(&end->batches);
	sim_after(sim, &end->beat, HELLO_TIME, hello_late);
	if (!client)
		return;
	our = offer(end, ours);
	if (negotiate_hello(&our, &hello, NULL) < 0 || message_hello_write(&end->control, &hello) < 0)
		abort();
	sim_end_flush(end);
}
