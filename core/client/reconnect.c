/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/reconnect.h"

#include "base/text.h"
#include "client/client_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* However little time is left, a try that answers at once succeeds. */
#define PATIENCE_MIN (1 * CLOCK_SECOND)
/* A goaway that is followed by no longer a pause, nor has been by more of them, is nothing to talk about. */
#define QUIET_PAUSE (1 * CLOCK_SECOND)
#define QUIET_DOWN (5 * CLOCK_SECOND)

enum { SAID_MAX = ERROR_TEXT_MAX + 256 };

/* ---- what the user hears ---- */

static void say_lost(struct client *client, const struct error *err)
{
	const struct retry *retry = &client->again.retry;
	const char *host = client->url->authority;
	char span[TEXT_NUMBER_MAX], said[SAID_MAX], times[48] = "";

	if (client->again.told)
		return;
	client->again.told = true;
	text_human_duration(span, retry_left(retry, client->loop->now));
	if (retry->limits.tries != RETRY_TRIES_ANY)
		snprintf(times, sizeof(times), ", %llu times at most", (unsigned long long)retry->limits.tries);
	if (retry->had)
		snprintf(said, sizeof(said), "connection to %s lost: %s; trying again for up to %s%s", host, err->text,
		         span, times);
	else
		snprintf(said, sizeof(said), "%s; trying again for up to %s%s", err->text, span, times);
	client_say(client, LOG_LEVEL_WARN, FAULT_NONE, said);
}

/* before: there was a session before; another: and another process answers now. */
static void say_again(struct client *client, bool before, bool another)
{
	char span[TEXT_NUMBER_MAX], said[SAID_MAX];

	if (!client->again.told)
		return;
	client->again.told = false;
	snprintf(said, sizeof(said), "connected to %s%s after %s%s", client->url->authority, before ? " again" : "",
	         text_human_duration(span, retry_down(&client->again.retry, client->loop->now)),
	         another ? ", to another process of the daemon" : "");
	client_say(client, LOG_LEVEL_INFO, FAULT_NONE, said);
}

static void say_died(struct client *client)
{
	char said[SAID_MAX];

	if (client->again.died[0] == '\0')
		return;
	snprintf(said, sizeof(said), "the worker at %s that served this %s", client->url->authority,
	         client->again.died);
	client->again.died[0] = '\0';
	client_say(client, LOG_LEVEL_WARN, FAULT_NONE, said);
}

static void give_up(const struct client *client, struct error *err)
{
	const struct retry *retry = &client->again.retry;
	unsigned long long tries = retry->tries;
	char span[TEXT_NUMBER_MAX];

	text_human_duration(span, retry_down(retry, client->loop->now));
	if (retry->had)
		error_prefix(err, "connection to %s lost for %s, given up after %llu %s", client->url->authority, span,
		             tries, tries == 1 ? "try" : "tries");
	else
		error_prefix(err, "given up after %s and %llu more %s", span, tries, tries == 1 ? "try" : "tries");
	/* Who was there and is no more is a dead peer, and not one that cannot be reached. */
	if (retry->had && err->fault == FAULT_CONNECT)
		err->fault = FAULT_PEER;
}

const char *reconnect_waits(const struct client *client, char out[RECONNECT_TEXT_MAX])
{
	const struct reconnect *again = &client->again;
	uint64_t now = client->loop->now;

	if (again->job == NULL || again->retry.open || !again->told)
		return NULL;
	if (again->next > now)
		snprintf(out, RECONNECT_TEXT_MAX, "not connected, next try in %llu s",
		         (unsigned long long)((again->next - now + CLOCK_SECOND - 1) / CLOCK_SECOND));
	else
		snprintf(out, RECONNECT_TEXT_MAX, "not connected, trying");
	return out;
}

/* ---- between two sessions ---- */

struct wait {
	struct client *client;
	const struct reconnect_job *job;
	struct deadline deadline;
};

static void on_wait_over(struct deadline *deadline)
{
	client_stop(list_entry(deadline, struct wait, deadline)->client);
}

static void on_wait_tick(void *context)
{
	struct wait *wait = context;

	if (wait->job->tick != NULL)
		wait->job->tick(wait->job->context);
}

/* The user interrupted. */
static void on_wait_ended(void *context, const struct ending *ending)
{
	struct wait *wait = context;

	(void)ending;
	client_stop(wait->client);
}

static const struct client_verb wait_verb = { .tick = on_wait_tick, .ended = on_wait_ended };

/* False: *ending is another one now, and there will be no next attempt. */
static bool reconnect_wait(struct client *client, const struct reconnect_job *job, uint64_t pause,
                           struct ending *ending)
{
	struct wait wait = { .client = client, .job = job, .deadline.fire = on_wait_over };

	client->again.next = client->loop->now + pause;
	if (loop_deadline(client->loop, &wait.deadline, client->again.next) < 0) {
		ending->kind = ENDING_FINAL;
		error_set(&ending->err, -ENOMEM, FAULT_LOCAL, "out of memory");
		return false;
	}
	client_run(client, &wait_verb, &wait);
	(void)loop_deadline(client->loop, &wait.deadline, CLOCK_NEVER);
	client->again.next = 0;
	if (client->interrupted)
		ending_stopped(ending);
	return !client->interrupted;
}

/* The attempt failed: waits for the next one. False: there is none, and *ending is how all of it ends. */
static bool reconnect_lost(struct client *client, const struct reconnect_job *job, struct ending *ending)
{
	struct retry *retry = &client->again.retry;
	uint64_t reached = job->reached != NULL ? job->reached(job->context) : 0;
	uint64_t pause;

	loop_time(client->loop);
	if (retry->open)
		client->again.broke = ending->kind == ENDING_BROKEN || ending->kind == ENDING_SILENT;
	client_disconnect(client);
	switch (retry_lost(retry, ending->kind, reached, retry_random(), client->loop->now, &pause)) {
	case RETRY_AGAIN: break;
	case RETRY_NOT: return false;
	case RETRY_OVER: give_up(client, &ending->err); return false;
	case RETRY_HOPELESS: error_append(&ending->err, "; so it was again and again: given up"); return false;
	}
	if (ending->kind != ENDING_AWAY || pause > QUIET_PAUSE || retry_down(retry, client->loop->now) > QUIET_DOWN)
		say_lost(client, &ending->err);
	return reconnect_wait(client, job, pause, ending);
}

int reconnect_run(struct client *client, const struct url *url, const struct reconnect_job *job, struct error *err)
{
	struct reconnect *again = &client->again;
	struct ending ending;

	if (!client_is_at(client, url)) {
		retry_start(&again->retry, &client->options.retry);
		again->broke = false;
	}
	retry_job(&again->retry);
	again->job = job;
	again->told = false;
	do {
		ending = (struct ending){ .kind = ENDING_NONE };
		job->attempt(job->context, &ending);
	} while (ending.kind != ENDING_DONE && reconnect_lost(client, job, &ending));
	again->job = NULL;
	return ending_result(&ending, err);
}

const uint8_t *reconnect_lost_one(const struct client *client)
{
	return client->again.broke ? client->again.boot_id : NULL;
}

void reconnect_died(struct client *client, const char *text)
{
	snprintf(client->again.died, sizeof(client->again.died), "%s", text);
}

static void hopeless(const struct client *client, struct ending *ending)
{
	const char *died = client->again.died;

	ending->kind = ENDING_FINAL;
	error_set(&ending->err, -ECONNABORTED, FAULT_PEER,
	          "the worker at %s that served this died %d times in a row%s%s%s, and nothing more had come: "
	          "given up; its log says more",
	          client->url->authority, RETRY_DEATHS, *died != '\0' ? " (the last one " : "", died,
	          *died != '\0' ? ")" : "");
}

bool reconnect_opened(struct client *client, struct ending *ending)
{
	struct reconnect *again = &client->again;
	const uint8_t *boot_id = client->channel.boot_id;
	bool before = again->retry.had;
	bool another = before && memcmp(again->boot_id, boot_id, sizeof(again->boot_id)) != 0;
	enum retry_verdict verdict;

	if (again->job == NULL)
		return true;
	verdict = retry_opened(&again->retry, boot_id, again->died[0] != '\0', client->loop->now);
	memcpy(again->boot_id, boot_id, sizeof(again->boot_id));
	again->broke = false;
	if (verdict == RETRY_HOPELESS) {
		hopeless(client, ending);
		return false;
	}
	say_died(client);
	say_again(client, before, another);
	return true;
}

uint64_t reconnect_patience(const struct client *client, uint64_t most)
{
	const struct reconnect *again = &client->again;
	uint64_t left = retry_left(&again->retry, client->loop->now);

	/* Nothing has been lost yet: the first connection. */
	if (again->job == NULL || again->retry.since == 0 || again->retry.open || !retry_wanted(&again->retry))
		return most;
	if (left < PATIENCE_MIN)
		left = PATIENCE_MIN;
	return left < most ? left : most;
}
