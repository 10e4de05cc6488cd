/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/pulse.h"

enum { QUESTIONS_MIN = 3 /* before anybody is called dead */ };

#define INTERVAL_MIN (50 * CLOCK_MS) /* whatever the peer says */

void pulse_start(struct pulse *pulse, const struct pulse_params *params, uint64_t now)
{
	uint64_t patience = params->dead_after;

	*pulse = (struct pulse){
		.asker = params->asker,
		.interval = params->interval,
		.dead_after = params->dead_after,
		.heard = now,
		.started = now,
		.silent = now,
		.asked = now,
	};
	if (params->their_dead_after > 0 && params->their_dead_after < patience)
		patience = params->their_dead_after;
	if (!params->asker || params->interval <= INTERVAL_MIN || params->interval <= patience / QUESTIONS_MIN)
		return;
	pulse->rare = true;
	pulse->interval = patience / (QUESTIONS_MIN + 1);
	if (pulse->interval < INTERVAL_MIN)
		pulse->interval = INTERVAL_MIN;
}

void pulse_heard(struct pulse *pulse, uint64_t now)
{
	pulse->heard = now;
}

void pulse_bytes(struct pulse *pulse, uint64_t now)
{
	pulse->came = now;
	if (now > pulse->heard)
		pulse->heard = now;
}

void pulse_asked(struct pulse *pulse, uint64_t now)
{
	pulse->asked = now;
}

void pulse_pong(struct pulse *pulse, uint64_t sent, uint64_t now)
{
	uint64_t sample;

	pulse->ponged = true;
	if (sent > now || sent < pulse->started)
		return; /* not a time that we ever sent */
	sample = now - sent;
	/* RFC 6298: seven parts old, one part new. */
	pulse->rtt = pulse->rtt == 0 ? sample : (pulse->rtt * 7 + sample) / 8;
}

/* Silence of the datagrams for this long brings in the in-band pings. */
static uint64_t patience(const struct pulse *pulse)
{
	return 2 * pulse->interval;
}

static bool asks_in_band(const struct pulse *pulse, enum pulse_datagrams datagrams, uint64_t now)
{
	if (!pulse->asker)
		return false;
	if (pulse->rare)
		return true;
	switch (datagrams) {
	case PULSE_NO_DATAGRAMS: return true;
	case PULSE_UNHEARD: return now - pulse->started >= patience(pulse);
	case PULSE_LATE: return true;
	case PULSE_HEARD: break;
	}
	return false;
}

/* Who is not asked in-band for so long, and hears bytes, answers unasked. */
static uint64_t reticence(const struct pulse *pulse)
{
	uint64_t most = pulse->dead_after / 4;

	return patience(pulse) < most ? patience(pulse) : most;
}

static bool asked_in_vain(const struct pulse *pulse, uint64_t now)
{
	return !pulse->asker && pulse->came > pulse->asked && now - pulse->asked >= reticence(pulse);
}

unsigned pulse_check(struct pulse *pulse, enum pulse_datagrams datagrams, uint64_t now)
{
	unsigned todo = 0;

	if (now - pulse->heard >= pulse->dead_after)
		return PULSE_DEAD;
	if (asks_in_band(pulse, datagrams, now) && now - pulse->asked >= pulse->interval) {
		pulse->asked = now;
		pulse->pings++;
		todo |= PULSE_PING;
	}
	if (asked_in_vain(pulse, now)) {
		pulse->asked = now;
		todo |= PULSE_PONG;
	}
	if (datagrams == PULSE_HEARD)
		pulse->silent = 0;
	else if (pulse->silent == 0)
		pulse->silent = now;
	/* Only when the peer was heard in-band meanwhile: a dying peer is not a network without UDP. */
	if (pulse->asker && !pulse->warned && datagrams != PULSE_NO_DATAGRAMS && pulse->silent != 0 && pulse->ponged &&
	    now - pulse->silent >= pulse->dead_after) {
		pulse->warned = true;
		todo |= PULSE_WARN;
	}
	return todo;
}

uint64_t pulse_deadline(const struct pulse *pulse, enum pulse_datagrams datagrams, uint64_t now)
{
	uint64_t death = pulse->heard + pulse->dead_after;
	uint64_t ask;

	if (!pulse->asker)
		/* Where no bytes come there is nothing to say unasked; when they come again, somebody looks. */
		ask = now - pulse->came < pulse->dead_after ? now + reticence(pulse) : death;
	else if (asks_in_band(pulse, datagrams, now))
		ask = pulse->asked + pulse->interval;
	else if (datagrams == PULSE_UNHEARD)
		ask = pulse->started + patience(pulse);
	else
		ask = now + pulse->interval;
	return ask < death ? ask : death;
}
