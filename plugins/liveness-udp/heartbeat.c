/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * liveness udp: heartbeats by datagrams. The asker asks at an interval; the answerer gives exactly one answer to each
 * question that it never heard before, and says nothing else. Both carry how far the sender is. What is forged,
 * altered, repeated or thrown back fails the keyed hash or the window of sequences and counts for nothing.
 *
 * Bytes and time come in, bytes and verdicts go out: there is no socket, no clock and no thread here.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>

enum { OPTION_INTERVAL, OPTION_DEAD_AFTER };

enum { QUESTIONS_MIN = 3 }; /* that were asked in vain before a peer is called dead */

#define TIME_MAX (UINT64_MAX / 16) /* ns; sums of a few of them cannot overflow */

static const struct xfer_option heartbeat_options[] = {
	[OPTION_INTERVAL] = {
		.name = "interval",
		.type = XFER_OPTION_DURATION,
		.default_text = "500ms",
		.min = INT64_C(50000000),
		.max = INT64_C(60000000000),
		.help = "time between two questions",
	},
	[OPTION_DEAD_AFTER] = {
		.name = "dead-after",
		.type = XFER_OPTION_DURATION,
		.default_text = "4s",
		.min = INT64_C(500000000),
		.max = INT64_C(600000000000),
		.help = "silence after which the peer counts as dead, at least 3 intervals",
	},
};

/* The instance. */
struct heartbeat {
	uint64_t interval;   /* ns */
	uint64_t dead_after; /* ns */
};

static int heartbeat_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	struct heartbeat *heartbeat;
	uint64_t interval = params->values[OPTION_INTERVAL].number;
	uint64_t dead_after = params->values[OPTION_DEAD_AFTER].number;

	if (dead_after < QUESTIONS_MIN * interval) {
		host->error(host, "dead-after is shorter than %d times the interval: a living peer would look dead",
		            QUESTIONS_MIN);
		return -EINVAL;
	}
	heartbeat = malloc(sizeof(*heartbeat));
	if (!heartbeat)
		return -ENOMEM;
	*heartbeat = (struct heartbeat){ .interval = interval, .dead_after = dead_after };
	*instance = heartbeat;
	return 0;
}

static void heartbeat_destroy(void *instance)
{
	free(instance);
}

static void heartbeat_timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	const struct heartbeat *heartbeat = instance;

	*interval = heartbeat->interval;
	*dead_after = heartbeat->dead_after;
}

/* NULL for an answerer. */
static struct asker *peer_asker(struct xfer_peer *peer)
{
	return peer->role == XFER_ROLE_ASKER ? (struct asker *)(void *)peer : NULL;
}

static int heartbeat_peer_create(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	int asks = params->role == XFER_ROLE_ASKER;
	struct xfer_peer *peer;

	(void)instance; /* the timing is the session's, as agreed */
	if ((!asks && params->role != XFER_ROLE_ANSWERER) || params->interval == 0 || params->interval > TIME_MAX ||
	    params->dead_after > TIME_MAX)
		return -EINVAL;
	peer = calloc(1, asks ? sizeof(struct asker) : sizeof(struct xfer_peer));
	if (!peer)
		return -ENOMEM;
	peer->key = siphash_key(params->key);
	peer->slot = params->slot;
	peer->interval = params->interval;
	/* Who asks every ten seconds must not bury its peer between two questions. */
	peer->dead_after = params->dead_after;
	if (peer->dead_after < QUESTIONS_MIN * peer->interval)
		peer->dead_after = (QUESTIONS_MIN + 1) * peer->interval;
	peer->now = params->now;
	peer->role = (uint8_t)params->role;
	peer->steady = (params->flags & XFER_PEER_STEADY) != 0;
	if (asks)
		asker_start(peer_asker(peer));
	*out = peer;
	return 0;
}

static void heartbeat_peer_destroy(struct xfer_peer *peer)
{
	free(peer->moves);
	free(peer);
}

static void peer_advance(struct xfer_peer *peer, uint64_t now)
{
	struct asker *asker = peer_asker(peer);

	if (now > peer->now)
		peer->now = now;
	if (asker)
		asker_judge(asker);
}

/* Each question counts once: the window slides with the highest sequence heard. */
static int answerer_asked(struct xfer_peer *peer, const struct datagram *question)
{
	uint64_t sequence = question->sequence;

	if (sequence > peer->sequence) {
		uint64_t ahead = sequence - peer->sequence;

		peer->window = ahead < WINDOW ? peer->window << ahead | 1 : 1;
		peer->sequence = sequence;
	} else {
		uint64_t behind = peer->sequence - sequence;

		if (sequence == 0 || behind >= WINDOW || (peer->window >> behind & 1) != 0)
			return -EBADMSG;
		peer->window |= UINT64_C(1) << behind;
	}
	peer->due = (uint8_t)(1 + peer->sequence - sequence);
	peer->due_asked_at = question->asked_at;
	return 0;
}

/* An answerer measures nothing itself; it keeps what the asker tells. */
static void answerer_told(struct xfer_peer *peer, const struct progress *progress)
{
	uint32_t rtt = progress->rtt_us;

	peer->told_loss = progress->loss_ppm;
	if (rtt == 0)
		return;
	if (peer->told_rtt_min == 0 || rtt < peer->told_rtt_min)
		peer->told_rtt_min = rtt;
	if (rtt > peer->told_rtt_max)
		peer->told_rtt_max = rtt;
	peer->told_rtt = rtt;
}

static int progress_idles(const struct progress *progress)
{
	return progress->received == 0 && progress->verified == 0 && progress->durable == 0 && progress->stage == 0 &&
	       progress->stage_age_ms == 0;
}

/* Where progress is kept; NULL: nowhere, for there is none, or no memory for it. */
static struct moves *peer_moves(struct xfer_peer *peer, const struct progress *progress)
{
	if (!peer->moves && !progress_idles(progress))
		peer->moves = calloc(1, sizeof(*peer->moves));
	return peer->moves;
}

/* In us, rounded up so that only 0 says "unknown". */
static uint32_t rtt_told(uint64_t rtt)
{
	uint64_t us = rtt / 1000 + (rtt % 1000 > 0);

	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int heartbeat_datagram_in(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now,
                                 struct xfer_heard *out)
{
	struct asker *asker = peer_asker(peer);
	struct datagram datagram;
	uint64_t rtt = 0;
	struct moves *moves;
	int rc;

	if (now > peer->now)
		peer->now = now;
	rc = datagram_read(bytes, len, &peer->key, peer->slot, asker ? DATAGRAM_ANSWER : DATAGRAM_QUESTION, &datagram);
	if (rc == 0)
		rc = asker ? asker_answered(asker, &datagram, &rtt) : answerer_asked(peer, &datagram);
	if (rc < 0) {
		peer->rejected++;
		return rc;
	}
	peer->heard = 1;
	peer->last_heard = peer->now;
	peer->received++;
	moves = peer_moves(peer, &datagram.progress);
	if (moves)
		moves->theirs = datagram.progress;
	if (asker)
		asker_judge(asker);
	else
		answerer_told(peer, &datagram.progress);
	out->sequence = datagram.sequence;
	out->rtt = rtt;
	out->is_answer = asker != NULL;
	out->reply = asker == NULL;
	return 0;
}

static ssize_t heartbeat_datagram_out(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now,
                                      struct xfer_asked *out)
{
	struct asker *asker = peer_asker(peer);
	struct datagram datagram = { .kind = DATAGRAM_ANSWER };

	if (size < DATAGRAM_SIZE)
		return -EMSGSIZE;
	peer_advance(peer, now);
	if (peer->moves)
		datagram.progress = peer->moves->ours;
	if (asker) {
		if (peer->now < asker_due(asker))
			return 0;
		datagram.kind = DATAGRAM_QUESTION;
		datagram.sequence = asker_ask(asker);
		datagram.asked_at = peer->now - asker->born;
		datagram.progress.rtt_us = rtt_told(asker->rtt_smoothed);
		datagram.progress.loss_ppm = asker_loss_ppm(asker);
	} else {
		if (!peer->due)
			return 0;
		datagram.sequence = peer->sequence + 1 - peer->due;
		peer->due = 0;
		peer->sent++;
		datagram.asked_at = peer->due_asked_at;
	}
	datagram_write(bytes, &peer->key, peer->slot, &datagram);
	out->sequence = datagram.sequence;
	out->is_question = asker != NULL;
	return DATAGRAM_SIZE;
}

static enum xfer_verdict heartbeat_verdict(struct xfer_peer *peer, uint64_t now)
{
	struct asker *asker = peer_asker(peer);
	uint64_t silence;

	peer_advance(peer, now);
	if (!peer->heard)
		return XFER_UNKNOWN;
	silence = peer->now - peer->last_heard;
	if (silence >= peer->dead_after && (!asker || peer->sequence - asker->heard_at >= QUESTIONS_MIN))
		return XFER_DEAD;
	if (silence > 2 * peer->interval || (asker && asker->misses >= 2))
		return XFER_SUSPECT;
	return XFER_ALIVE;
}

static uint64_t heartbeat_next_deadline(struct xfer_peer *peer, uint64_t now)
{
	struct asker *asker = peer_asker(peer);
	uint64_t deadline = UINT64_MAX;

	peer_advance(peer, now);
	if (peer->heard) {
		uint64_t suspect = peer->last_heard + 2 * peer->interval + 1;
		uint64_t dead = peer->last_heard + peer->dead_after;

		if (peer->now < suspect)
			deadline = suspect;
		if (peer->now < dead && dead < deadline)
			deadline = dead;
	}
	if (asker) {
		uint64_t due = asker_due(asker);
		uint64_t judged = asker_deadline(asker);

		if (due < deadline)
			deadline = due;
		if (judged < deadline)
			deadline = judged;
	} else if (peer->due) {
		deadline = peer->now;
	}
	return deadline;
}

static void heartbeat_stats(struct xfer_peer *peer, struct xfer_liveness_stats *out)
{
	const struct asker *asker = peer_asker(peer);

	out->sent = peer->sent;
	out->received = peer->received;
	/* An answerer sees the gaps in the sequence: questions that did not arrive, or not yet. */
	out->lost = asker ? asker->lost : peer->sequence - peer->received;
	out->rejected = peer->rejected;
	out->rtt_last = asker ? asker->rtt_last : peer->told_rtt * UINT64_C(1000);
	out->rtt_min = asker ? asker->rtt_min : peer->told_rtt_min * UINT64_C(1000);
	out->rtt_smoothed = asker ? asker->rtt_smoothed : out->rtt_last;
	out->rtt_max = asker ? asker->rtt_max : peer->told_rtt_max * UINT64_C(1000);
	out->last_heard = peer->heard ? peer->last_heard : 0;
}

static void heartbeat_progress_set(struct xfer_peer *peer, const struct xfer_progress *ours)
{
	const struct progress progress = {
		.received = ours->received,
		.verified = ours->verified,
		.durable = ours->durable,
		.stage_age_ms = ours->stage_age_ms,
		.rtt_us = ours->rtt_us,
		.loss_ppm = ours->loss_ppm,
		.stage = (uint16_t)ours->stage,
	};
	struct moves *moves = peer_moves(peer, &progress);

	if (moves)
		moves->ours = progress;
}

static void heartbeat_progress_get(struct xfer_peer *peer, struct xfer_progress *theirs)
{
	const struct moves *moves = peer->moves;

	if (moves) {
		theirs->received = moves->theirs.received;
		theirs->verified = moves->theirs.verified;
		theirs->durable = moves->theirs.durable;
		theirs->stage = moves->theirs.stage;
		theirs->stage_age_ms = moves->theirs.stage_age_ms;
	}
	/* Only an asker has these to tell. */
	theirs->rtt_us = peer->told_rtt;
	theirs->loss_ppm = peer->told_loss;
}

static const struct xfer_liveness_ops heartbeat_ops = {
	.struct_size = sizeof(heartbeat_ops),
	.datagram_size = DATAGRAM_SIZE,
	.timing = heartbeat_timing,
	.peer_create = heartbeat_peer_create,
	.peer_destroy = heartbeat_peer_destroy,
	.datagram_in = heartbeat_datagram_in,
	.datagram_out = heartbeat_datagram_out,
	.verdict = heartbeat_verdict,
	.next_deadline = heartbeat_next_deadline,
	.stats = heartbeat_stats,
	.progress_set = heartbeat_progress_set,
	.progress_get = heartbeat_progress_get,
};

static const struct xfer_plugin heartbeat_plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_LIVENESS,
	.name = "udp",
	.version = "0.1.0",
	.summary = "heartbeats by keyed UDP datagrams",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = heartbeat_options,
	.option_count = sizeof(heartbeat_options) / sizeof(heartbeat_options[0]),
	.create = heartbeat_create,
	.destroy = heartbeat_destroy,
	.liveness = &heartbeat_ops,
};

XFER_REGISTER_PLUGIN(heartbeat_plugin)
