/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a liveness plug-in that concern datagrams it must not take. */
#include "duo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RANDOM_ROUNDS = 2000, OLD_ROUNDS = 3000 };

/* Hands in what is none of this peer's, and looks that only the count of rejected ones changes. */
static enum kit_outcome refuse(struct duo *duo, bool asker, const uint8_t *bytes, size_t len, const char *what)
{
	struct xfer_peer *peer = asker ? duo->asker : duo->answerer;
	struct xfer_liveness_stats before = duo_stats(duo, peer);
	enum xfer_verdict verdict = duo_verdict(duo, peer);
	uint64_t deadline = duo_deadline(duo, peer);
	uint8_t reply[XFER_DATAGRAM_MAX];
	char name[32];
	int rc = duo_in(duo, peer, bytes, len, NULL);
	if (rc == 0)
		return kit_failed(duo->kit, "the %s takes %s", asker ? "asker" : "answerer", what);
	if (rc != -EBADMSG)
		return kit_failed(duo->kit, "datagram_in() returned %s, not -EBADMSG, for %s", kit_errno(name, rc),
		                  what);
	struct xfer_liveness_stats after = duo_stats(duo, peer);
	before.rejected++;
	if (memcmp(&before, &after, sizeof(before)) != 0)
		return kit_failed(duo->kit, "the statistics of the %s change otherwise than by one rejected, for %s",
		                  asker ? "asker" : "answerer", what);
	if (duo_verdict(duo, peer) != verdict || duo_deadline(duo, peer) != deadline)
		return kit_failed(duo->kit, "verdict or deadline of the %s change for %s", asker ? "asker" : "answerer",
		                  what);
	if (!asker && duo_out(duo, peer, reply, NULL) != 0)
		return kit_failed(duo->kit, "%s is answered", what);
	return KIT_OK;
}

/* A genuine question that the answerer has not seen, and (from a twin of the answerer) the answer to it. */
static enum kit_outcome genuine(struct duo *duo, uint8_t *question, uint8_t *answer)
{
	struct xfer_peer_params params = duo->params;
	struct xfer_peer *twin;
	params.role = XFER_ROLE_ANSWERER;
	params.flags = 0;
	params.now = duo->now;
	enum kit_outcome outcome = duo_peer(duo->kit, &params, &twin);
	if (outcome != KIT_OK)
		return outcome;
	if (!duo_ask(duo, question))
		return kit_failed(duo->kit, "no question for ten intervals");
	int rc = duo_in(duo, twin, question, duo->size, NULL);
	if (rc != 0)
		return kit_returned(duo->kit, "datagram_in()", rc, "for a question");
	if (duo_out(duo, twin, answer, NULL) <= 0)
		return kit_failed(duo->kit, "there is no answer to a question");
	KIT_VOID(duo->kit, liveness, peer_destroy, twin);
	return KIT_OK;
}

static enum kit_outcome taken(struct duo *duo, const uint8_t *question, const uint8_t *answer)
{
	uint8_t reply[XFER_DATAGRAM_MAX];
	int rc = duo_in(duo, duo->answerer, question, duo->size, NULL);
	if (rc == 0)
		rc = duo_in(duo, duo->asker, answer, duo->size, NULL);
	if (rc != 0)
		return kit_returned(duo->kit, "datagram_in()", rc, "for a genuine datagram after forged ones");
	(void)duo_out(duo, duo->answerer, reply, NULL);
	return KIT_OK;
}

static enum kit_outcome forged(struct duo *duo)
{
	uint8_t bytes[2][XFER_DATAGRAM_MAX], noise[XFER_DATAGRAM_MAX]; /* question and answer */
	char what[64];
	enum kit_outcome outcome = genuine(duo, bytes[0], bytes[1]);
	for (size_t bit = 0; bit < 8 * duo->size && outcome == KIT_OK; bit++)
		for (int i = 0; i < 2 && outcome == KIT_OK; i++) {
			bytes[i][bit / 8] ^= (uint8_t)(1u << bit % 8);
			snprintf(what, sizeof(what), "%s with bit %zu of byte %zu changed",
			         i == 0 ? "a question" : "an answer", bit % 8, bit / 8);
			outcome = refuse(duo, i == 1, bytes[i], duo->size, what);
			bytes[i][bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	for (int i = 0; i < RANDOM_ROUNDS && outcome == KIT_OK; i++) {
		kit_fill(duo->kit, noise, duo->size);
		/* Noise behind a genuine beginning too. */
		memcpy(noise, bytes[i % 2], (size_t)kit_below(duo->kit, duo->size / 2 + 1));
		outcome = refuse(duo, i % 2 == 1, noise, duo->size, "random bytes");
	}
	if (outcome == KIT_OK)
		outcome = refuse(duo, true, bytes[0], duo->size, "its own question thrown back");
	if (outcome == KIT_OK)
		outcome = refuse(duo, false, bytes[1], duo->size, "an answer, thrown back");
	return outcome == KIT_OK ? taken(duo, bytes[0], bytes[1]) : outcome;
}

enum kit_outcome check_forgery(struct kit *kit)
{
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome == KIT_OK)
		outcome = forged(duo);
	/* Once with nothing heard, once in the middle of a session. */
	for (int i = 0; i < 3 && outcome == KIT_OK; i++)
		outcome = duo_exchange(duo);
	if (outcome == KIT_OK)
		outcome = forged(duo);
	if (outcome != KIT_OK)
		return outcome;
	size_t bits = 8 * duo->size;
	duo_end(duo);
	return kit_ok(kit, "%zu changed bits each, %d runs of random bytes, both thrown back", bits, RANDOM_ROUNDS);
}

enum kit_outcome check_lengths(struct kit *kit)
{
	uint8_t bytes[2][XFER_DATAGRAM_MAX] = { { 0 } }, noise[XFER_DATAGRAM_MAX];
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome == KIT_OK)
		outcome = genuine(duo, bytes[0], bytes[1]);
	for (size_t len = 0; len <= XFER_DATAGRAM_MAX && outcome == KIT_OK; len++)
		for (int i = 0; i < 2 && outcome == KIT_OK; i++) {
			char what[64];
			snprintf(what, sizeof(what), "%s with %zu bytes instead of %zu",
			         i == 0 ? "a question" : "an answer", len, duo->size);
			if (len != duo->size)
				outcome = refuse(duo, i == 1, bytes[i], len, what);
			kit_fill(kit, noise, len);
			snprintf(what, sizeof(what), "%zu random bytes", len);
			if (outcome == KIT_OK)
				outcome = refuse(duo, i == 1, noise, len, what);
		}
	if (outcome == KIT_OK)
		outcome = taken(duo, bytes[0], bytes[1]);
	if (outcome != KIT_OK)
		return outcome;
	duo_end(duo);
	return kit_ok(kit, "0 to %d bytes, read to the last one and no further", XFER_DATAGRAM_MAX);
}

enum kit_outcome check_repetition(struct kit *kit)
{
	uint8_t question[XFER_DATAGRAM_MAX], answer[XFER_DATAGRAM_MAX];
	struct duo *duo;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	for (int i = 0; i < 20 && outcome == KIT_OK; i++) {
		outcome = genuine(duo, question, answer);
		if (outcome == KIT_OK)
			outcome = taken(duo, question, answer);
		if (outcome == KIT_OK)
			outcome = refuse(duo, false, question, duo->size, "a question that it had before");
		if (outcome == KIT_OK)
			outcome = refuse(duo, true, answer, duo->size, "an answer that it had before");
	}
	if (outcome != KIT_OK)
		return outcome;
	/* What is so old that nobody could remember it. */
	for (int i = 0; i < OLD_ROUNDS && outcome == KIT_OK; i++)
		outcome = duo_exchange(duo);
	if (outcome == KIT_OK)
		outcome = refuse(duo, false, question, duo->size, "a question that it had thousands of others ago");
	if (outcome == KIT_OK)
		outcome = refuse(duo, true, answer, duo->size, "an answer that it had thousands of others ago");
	if (outcome != KIT_OK)
		return outcome;
	/* And on the network, later and out of order. */
	duo->repeats = true;
	duo->delay = duo->interval / 50;
	duo->stepped = true;
	duo_run(duo, 50 * duo->interval);
	if (duo->taken_again > 0)
		return kit_failed(kit, "%zu datagrams were taken twice", duo->taken_again);
	duo_end(duo);
	return kit_ok(kit, "each datagram twice: at once, up to three intervals later, and after %d others",
	              OLD_ROUNDS);
}

/* Peers of one instance that share all but the key, or all but the slot. */
enum kit_outcome check_sessions(struct kit *kit)
{
	uint8_t question[XFER_DATAGRAM_MAX], answer[XFER_DATAGRAM_MAX];
	struct duo *duo;
	struct xfer_peer *mine = NULL;
	enum kit_outcome outcome = duo_begin(kit, &duo, 0);
	if (outcome == KIT_OK)
		outcome = genuine(duo, question, answer);
	for (size_t i = 0; i < 8 * (XFER_KEY_SIZE + sizeof(uint64_t)) && outcome == KIT_OK; i++) {
		struct xfer_peer_params params = duo->params;
		char what[80];
		params.role = XFER_ROLE_ANSWERER;
		params.flags = 0;
		params.now = duo->now;
		if (i < 8 * XFER_KEY_SIZE)
			params.key[i / 8] ^= (uint8_t)(1u << i % 8);
		else
			params.slot ^= UINT64_C(1) << (i - 8 * (size_t)XFER_KEY_SIZE);
		mine = duo->answerer;
		if ((outcome = duo_peer(kit, &params, &duo->answerer)) != KIT_OK)
			break;
		snprintf(what, sizeof(what), "a question of a session whose %s differs in bit %zu",
		         i < 8 * XFER_KEY_SIZE ? "key" : "slot", i % (8 * XFER_KEY_SIZE));
		outcome = refuse(duo, false, question, duo->size, what);
		KIT_VOID(kit, liveness, peer_destroy, duo->answerer);
		duo->answerer = mine;
	}
	if (outcome == KIT_OK)
		outcome = taken(duo, question, answer);
	if (outcome != KIT_OK)
		return outcome;
	duo_end(duo);
	return kit_ok(kit, "each bit of key and slot");
}
