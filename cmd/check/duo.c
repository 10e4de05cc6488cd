/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ends of a session in simulated time, and the network between them. */
#include "duo.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { SLOT = 0x5eed, DEAD_INTERVALS = 8, STEPS = 100 /* of an interval */, TURN_MAX = 4 /* datagrams at one time */ };

enum kit_outcome duo_peer(struct kit *kit, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	struct xfer_peer *peer = NULL;
	int rc = KIT_CALL(kit, liveness, peer_create, kit->plugin->instance, params, &peer);
	if (rc != 0)
		return kit_returned(kit, "peer_create()", rc, "%s", "");
	if (peer == NULL)
		return kit_failed(kit, "peer_create() returned 0 and gave no peer");
	*out = peer;
	return KIT_OK;
}

static enum kit_outcome make_both(struct duo *duo, uint32_t flags)
{
	duo->params.now = duo->now;
	duo->params.role = XFER_ROLE_ANSWERER;
	duo->params.flags = 0;
	enum kit_outcome outcome = duo_peer(duo->kit, &duo->params, &duo->answerer);
	duo->params.role = XFER_ROLE_ASKER;
	duo->params.flags = flags;
	return outcome == KIT_OK ? duo_peer(duo->kit, &duo->params, &duo->asker) : outcome;
}

enum kit_outcome duo_renew(struct duo *duo)
{
	KIT_VOID(duo->kit, liveness, peer_destroy, duo->asker);
	KIT_VOID(duo->kit, liveness, peer_destroy, duo->answerer);
	return make_both(duo, duo->params.flags);
}

enum kit_outcome duo_begin(struct kit *kit, struct duo **out, uint32_t flags)
{
	uint64_t interval = 0, dead_after = 0;
	if (kit->plugin->liveness.datagram_size == 0)
		return kit_skipped(kit, "it sends no datagrams");
	struct duo *duo = calloc(1, sizeof(*duo));
	if (duo == NULL || fence_make(&duo->in, XFER_DATAGRAM_MAX) < 0)
		return kit_failed(kit, "no memory for the check");
	KIT_VOID(kit, liveness, timing, kit->plugin->instance, &interval, &dead_after);
	/* Whatever was agreed has to do, should timing() be wrong. */
	duo->interval = interval > 0 && interval < 3600 * CLOCK_SECOND ? interval : CLOCK_SECOND / 2;
	duo->dead_after = DEAD_INTERVALS * duo->interval;
	if (dead_after > duo->dead_after && dead_after < 100 * duo->interval)
		duo->dead_after = dead_after;
	duo->kit = kit;
	duo->size = kit->plugin->liveness.datagram_size;
	duo->now = 1000 * CLOCK_SECOND;
	duo->params = (struct xfer_peer_params){
		.struct_size = sizeof(duo->params),
		.slot = SLOT,
		.interval = duo->interval,
		.dead_after = duo->dead_after,
	};
	kit_fill(kit, duo->params.key, sizeof(duo->params.key));
	*out = duo;
	return make_both(duo, flags);
}

void duo_end(struct duo *duo)
{
	KIT_VOID(duo->kit, liveness, peer_destroy, duo->asker);
	KIT_VOID(duo->kit, liveness, peer_destroy, duo->answerer);
	fence_free(&duo->in);
	free(duo);
}

ssize_t duo_out(struct duo *duo, struct xfer_peer *peer, uint8_t *bytes, struct xfer_asked *asked)
{
	struct xfer_asked unwanted;
	if (asked == NULL)
		asked = &unwanted;
	*asked = (struct xfer_asked){ .struct_size = sizeof(*asked) };
	return (ssize_t)KIT_SIZE(duo->kit, liveness, datagram_out, peer, bytes, XFER_DATAGRAM_MAX, duo->now, asked);
}

int duo_in(struct duo *duo, struct xfer_peer *peer, const uint8_t *bytes, size_t len, struct xfer_heard *heard)
{
	struct xfer_heard unwanted;
	uint8_t *at = fence_end(&duo->in, len);
	if (heard == NULL)
		heard = &unwanted;
	*heard = (struct xfer_heard){ .struct_size = sizeof(*heard) };
	memcpy(at, bytes, len);
	return KIT_CALL(duo->kit, liveness, datagram_in, peer, at, len, duo->now, heard);
}

enum xfer_verdict duo_verdict(struct duo *duo, struct xfer_peer *peer)
{
	return (enum xfer_verdict)KIT_CALL(duo->kit, liveness, verdict, peer, duo->now);
}

uint64_t duo_deadline(struct duo *duo, struct xfer_peer *peer)
{
	return (uint64_t)kit_left(duo->kit, (kit_enter(duo->kit, "next_deadline()"),
	                                     (int64_t)duo->kit->plugin->liveness.next_deadline(peer, duo->now)));
}

struct xfer_liveness_stats duo_stats(struct duo *duo, struct xfer_peer *peer)
{
	struct xfer_liveness_stats stats = { .struct_size = sizeof(stats) };
	KIT_VOID(duo->kit, liveness, stats, peer, &stats);
	return stats;
}

const char *duo_verdict_name(enum xfer_verdict verdict)
{
	switch (verdict) {
	case XFER_UNKNOWN: return "unknown";
	case XFER_ALIVE: return "alive";
	case XFER_SUSPECT: return "suspect";
	case XFER_DEAD: return "dead";
	}
	return "none that there is";
}

bool duo_ask(struct duo *duo, uint8_t *question)
{
	for (uint64_t until = duo->now + 10 * duo->interval; duo->now < until;) {
		if (duo_out(duo, duo->asker, question, NULL) > 0)
			return true;
		uint64_t next = duo_deadline(duo, duo->asker), step = duo->now + duo->interval / STEPS;
		duo->now = next > duo->now && next < step ? next : step;
	}
	return false;
}

enum kit_outcome duo_exchange(struct duo *duo)
{
	uint8_t bytes[XFER_DATAGRAM_MAX];
	if (!duo_ask(duo, bytes))
		return kit_failed(duo->kit, "no question for ten intervals");
	duo->now += duo->delay;
	int rc = duo_in(duo, duo->answerer, bytes, duo->size, NULL);
	if (rc != 0)
		return kit_returned(duo->kit, "datagram_in()", rc, "for a question");
	if (duo_out(duo, duo->answerer, bytes, NULL) <= 0)
		return kit_failed(duo->kit, "there is no answer to a question");
	duo->now += duo->delay;
	rc = duo_in(duo, duo->asker, bytes, duo->size, NULL);
	return rc == 0 ? KIT_OK : kit_returned(duo->kit, "datagram_in()", rc, "for an answer");
}

/* ---- the network ------------------------------------------------------------------------------------------------ */

static void launch(struct duo *duo, const uint8_t *bytes, bool to_asker, uint64_t at, bool again)
{
	struct duo_flight *flight = &duo->flights[duo->flight_count];
	if (duo->flight_count == DUO_FLIGHTS)
		return;
	duo->flight_count++;
	flight->at = at;
	flight->to_asker = to_asker;
	flight->again = again;
	memcpy(flight->bytes, bytes, duo->size);
}

static void send_all(struct duo *duo, struct xfer_peer *peer)
{
	uint8_t bytes[XFER_DATAGRAM_MAX];
	for (int i = 0; i < TURN_MAX && duo_out(duo, peer, bytes, NULL) > 0; i++) {
		if (peer == duo->asker && duo->question_count < DUO_TIMES)
			duo->questions[duo->question_count++] = duo->now;
		if (kit_below(duo->kit, 100) < duo->loss)
			continue;
		uint64_t at = duo->now + duo->delay + (duo->jitter > 0 ? kit_below(duo->kit, duo->jitter) : 0);
		launch(duo, bytes, peer == duo->answerer, at, false);
		if (duo->repeats)
			launch(duo, bytes, peer == duo->answerer, at + kit_below(duo->kit, 3 * duo->interval), true);
	}
}

/* Delivers what is due. */
static void deliver(struct duo *duo)
{
	for (size_t i = 0; i < duo->flight_count;) {
		struct duo_flight flight = duo->flights[i];
		struct xfer_heard heard;
		if (flight.at > duo->now) {
			i++;
			continue;
		}
		duo->flights[i] = duo->flights[--duo->flight_count];
		struct xfer_peer *peer = flight.to_asker ? duo->asker : duo->answerer;
		int rc = duo_in(duo, peer, flight.bytes, duo->size, &heard);
		duo->refused += rc != 0 && !flight.again;
		duo->taken_again += rc == 0 && flight.again;
		if (rc == 0)
			send_all(duo, peer);
		i = 0; /* what was sent may be due at once */
	}
}

void duo_run(struct duo *duo, uint64_t span)
{
	uint64_t until = duo->now + span;
	while (duo->now < until) {
		deliver(duo);
		send_all(duo, duo->asker);
		send_all(duo, duo->answerer);
		duo->died = duo->died || duo_verdict(duo, duo->asker) == XFER_DEAD;
		uint64_t next = until, asker = duo_deadline(duo, duo->asker),
			 answerer = duo_deadline(duo, duo->answerer);
		for (size_t i = 0; i < duo->flight_count; i++)
			next = duo->flights[i].at < next ? duo->flights[i].at : next;
		duo->wakes += asker < next || answerer < next;
		next = asker < next ? asker : next;
		next = answerer < next ? answerer : next;
		/* The checks of time look at the questions, one of its own looks at the deadlines. */
		uint64_t step = duo->now + duo->interval / STEPS;
		if (duo->stepped)
			next = next < step ? next : step;
		duo->now = next > duo->now ? next : step;
	}
	deliver(duo);
}
