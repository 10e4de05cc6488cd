/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reconnecting: what a verb wants is tried again when its session was lost, as retry.h decides. The user is told once
 * for each loss, and once when it goes on; of a goaway that leads to another worker at once he hears nothing.
 */
#ifndef XFER_CLIENT_RECONNECT_H
#define XFER_CLIENT_RECONNECT_H

#include "client/retry.h"
#include "engine/url.h"

struct client;

/* All but attempt() may be NULL. */
struct reconnect_job {
	/*
	 * client_try(), until all is done or the session is lost. The whole again after a loss: what is there already it
	 * finds by itself. FINAL where another attempt would do harm.
	 */
	void (*attempt)(void *context, struct ending *ending);
	/* Grows with what need not be done again. */
	uint64_t (*reached)(void *context);
	/* About ten times a second between two attempts. */
	void (*tick)(void *context);
	void *context;
};

struct reconnect {
	struct retry retry;
	const struct reconnect_job *job;  /* NULL: nothing is tried again */
	bool told;                        /* that the session is lost */
	uint64_t next;                    /* steady ns, the next attempt; 0 = under way */
	uint8_t boot_id[MESSAGE_BOOT_ID]; /* of the last session */
	bool broke;                       /* it ended without a word */
	char died[MESSAGE_DIED_MAX + 1];  /* of what its worker died, as the next one says; "" = it says nothing */
};

/* Attempts until it is done, or given up: 0 or the error to end with. The session stays open after a success. */
int reconnect_run(struct client *client, const struct url *url, const struct reconnect_job *job, struct error *err);
/* The boot id to ask about when a session is begun: of the worker whose session ended without a word; NULL = none. */
const uint8_t *reconnect_lost_one(const struct client *client);
/* The answer, before reconnect_opened(): "died of SIGSEGV in integrity-foo digest()". */
void reconnect_died(struct client *client, const char *text);
/* A session is open. False: what is asked for kills whoever serves it, and *ending says so. */
bool reconnect_opened(struct client *client, struct ending *ending);
/* How long a connection or a hello may take: `most`, and no longer than there is to try. */
uint64_t reconnect_patience(const struct client *client, uint64_t most);

enum { RECONNECT_TEXT_MAX = 80 };
/* For the line of progress: "not connected, next try in 3 s"; NULL with a session, or before the first one. */
const char *reconnect_waits(const struct client *client, char out[RECONNECT_TEXT_MAX]);

#endif
