/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer ping: opens a session for its key, and tells of every question and answer of its liveness. */
#include "client/client_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 256 /* questions that may wait for an answer */ };
#define PATIENCE_MIN (1 * CLOCK_SECOND)

struct question {
	uint64_t sequence; /* the plug-in's; 0 = free */
	uint64_t number;   /* ours, from 1 */
	uint64_t asked;    /* steady ns */
};

struct ping {
	struct client *client;
	struct client_ping_sum *sum;
	uint64_t count;    /* questions to ask; 0 = until interrupted */
	uint64_t patience; /* ns until a question counts as lost */
	uint64_t open;     /* questions without an answer */
	uint64_t asked;    /* when the newest question was sent; 0 = never */
	double squares;    /* sum of rtt squared, ns^2 */
	uint64_t total;    /* sum of rtt, ns */
	uint64_t began;
	bool in_band; /* there are no datagrams */
	bool ended;
	int code;
	struct error *err;
	struct question questions[OPEN_MAX];
};

static void ping_end(struct ping *ping, int code)
{
	if (!ping->ended)
		ping->code = code;
	ping->ended = true;
	client_stop(ping->client);
}

static void ping_tell(struct ping *ping, const struct question *question, bool answered, uint64_t rtt)
{
	const struct client_watch *watch = &ping->client->watch;
	const struct client_ping told = {
		.answered = answered,
		.sequence = question->number,
		.rtt = rtt,
		.from = channel_peer(&ping->client->channel),
		.how = ping->in_band ? "in-band" : ping->client->setup->liveness->about.name,
	};

	if (watch->ping != NULL)
		watch->ping(watch->context, &told);
}

static void maybe_end(struct ping *ping)
{
	if (ping->count > 0 && ping->sum->sent >= ping->count && ping->open == 0)
		ping_end(ping, 0);
}

static void question_lost(struct ping *ping, struct question *question)
{
	ping_tell(ping, question, false, 0);
	question->sequence = 0;
	ping->open--;
}

static void on_asked(void *context, bool in_band, uint64_t sequence)
{
	struct ping *ping = context;
	struct question *question = &ping->questions[ping->sum->sent % OPEN_MAX];
	uint64_t now = ping->client->loop->now;

	/* Beside ours there may be others that keep a session alive that asks rarely. */
	if (in_band && ping->asked != 0 && now - ping->asked < ping->client->base.ask_interval)
		return;
	if (in_band != ping->in_band || (ping->count > 0 && ping->sum->sent >= ping->count))
		return;
	if (question->sequence != 0)
		question_lost(ping, question);
	ping->sum->sent++;
	*question = (struct question){ sequence, ping->sum->sent, now };
	ping->asked = now;
	ping->open++;
}

static void on_answer(void *context, bool in_band, uint64_t sequence, uint64_t rtt)
{
	struct ping *ping = context;
	struct client_ping_sum *sum = ping->sum;

	if (in_band != ping->in_band)
		return;
	for (unsigned i = 0; i < OPEN_MAX; i++) {
		struct question *question = &ping->questions[i];

		if (question->sequence != sequence)
			continue;
		sum->received++;
		ping->total += rtt;
		ping->squares += (double)rtt * (double)rtt;
		if (sum->min == 0 || rtt < sum->min)
			sum->min = rtt;
		if (rtt > sum->max)
			sum->max = rtt;
		ping_tell(ping, question, true, rtt);
		question->sequence = 0;
		ping->open--;
		break;
	}
	maybe_end(ping);
}

static void on_tick(void *context)
{
	struct ping *ping = context;

	for (unsigned i = 0; i < OPEN_MAX; i++) {
		struct question *question = &ping->questions[i];

		if (question->sequence != 0 && ping->client->loop->now - question->asked >= ping->patience)
			question_lost(ping, question);
	}
	maybe_end(ping);
}

/* The first question was sent while the heartbeat was opened: from here on it is known which kind counts. */
static void on_open(void *context)
{
	struct ping *ping = context;
	const struct channel *channel = &ping->client->channel;

	ping->began = ping->client->loop->now;
	ping->in_band = channel->heartbeat.peer == NULL;
	if (ping->in_band) {
		memset(ping->questions, 0, sizeof(ping->questions));
		ping->sum->sent = 0;
		ping->asked = 0;
		ping->open = 0;
	}
	ping->patience = 2 * channel->pulse.interval;
	if (ping->patience < PATIENCE_MIN)
		ping->patience = PATIENCE_MIN;
}

static void on_ended(void *context, const struct ending *ending)
{
	struct ping *ping = context;
	const struct channel *channel = &ping->client->channel;
	/* To the daemon a session that only pings is idle, and one day it has enough of it. */
	bool in_order = ending->kind == ENDING_STOPPED || (channel->goaway && channel->going_away == STATUS_IDLE);

	ping_end(ping, ping->ended || in_order ? 0 : ending_result(ending, ping->err));
}

static const struct client_verb ping_verb = {
	.open = on_open,
	.answer = on_answer,
	.asked = on_asked,
	.tick = on_tick,
	.ended = on_ended,
};

/* Heron's method; a library for one square root is one too many. */
static uint64_t root(double square)
{
	double guess = square > 1 ? square : 1;

	for (int i = 0; i < 128; i++)
		guess = (guess + square / guess) / 2;
	return (uint64_t)guess;
}

static void sum_finish(struct ping *ping)
{
	struct client_ping_sum *sum = ping->sum;
	double mean, variance;

	for (unsigned i = 0; i < OPEN_MAX; i++) {
		if (ping->questions[i].sequence != 0 &&
		    ping->client->loop->now - ping->questions[i].asked < ping->patience)
			sum->sent--; /* nobody had the time to answer it */
	}
	sum->elapsed = ping->client->loop->now - ping->began;
	if (sum->received == 0)
		return;
	mean = (double)ping->total / (double)sum->received;
	variance = ping->squares / (double)sum->received - mean * mean;
	sum->mean = (uint64_t)mean;
	sum->mdev = variance > 0 ? root(variance) : 0;
}

int client_ping(struct client *client, const struct url *url, uint64_t count, uint64_t interval,
                struct client_ping_sum *sum, struct error *err)
{
	struct ping *ping = calloc(1, sizeof(*ping));
	int r;

	*sum = (struct client_ping_sum){ 0 };
	if (ping == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	ping->client = client;
	ping->sum = sum;
	ping->count = count;
	ping->err = err;
	client->base.ask_interval = interval;
	client->base.ask_steady = true;
	client->verb = &ping_verb;
	client->context = ping;
	r = client_connect(client, url, err);
	if (r == 0) {
		client_run(client, &ping_verb, ping);
		sum_finish(ping);
		r = ping->code;
	}
	client->verb = NULL;
	client->base.ask_interval = 0;
	client->base.ask_steady = false;
	client_disconnect(client);
	if (r == 0 && sum->received == 0)
		r = error_set(err, -ETIMEDOUT, FAULT_MIXED, "nothing was answered");
	free(ping);
	return r;
}
