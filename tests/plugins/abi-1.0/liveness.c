/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * liveness-aged: a plug-in as it was written when the ABI was 1.0: questions and answers that carry the key itself, which
 * is nothing for a real network. Built from the header of then, and, with FUTURE, from one that has more fields than any
 * of ours.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct beat {
	uint8_t key[XFER_KEY_SIZE];
	uint64_t sequence;
	uint64_t received;
};

struct xfer_peer {
	struct xfer_peer_params params;
	struct xfer_liveness_stats stats;
	uint64_t received; /* ours, to be told */
	uint64_t theirs;
	uint64_t sequence; /* of the last question */
	uint64_t asked;    /* ns */
	uint64_t next;     /* ns */
	int reply;
};

/* What came to the ABI after the program was built must not seem to be there. */
#ifdef FUTURE
#define UNKNOWN(p) XFER_HAS(p, future)
#else
#define UNKNOWN(p) ((p)->struct_size < sizeof(*(p)))
#endif

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	if (UNKNOWN(host) || UNKNOWN(params)) {
		host->error(host, "the program's structs are not of the size that they say");
		return -EPROTO;
	}
	*instance = malloc(1);
	return *instance == NULL ? -ENOMEM : 0;
}

static void destroy(void *instance)
{
	free(instance);
}

static void timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	(void)instance;
	*interval = UINT64_C(100000000);
	*dead_after = UINT64_C(10000000000);
}

static int peer_create(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	(void)instance;
	if (UNKNOWN(params))
		return -EPROTO;
	struct xfer_peer *peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return -ENOMEM;
	/* No further than both sides know it. */
	memcpy(&peer->params, params, params->struct_size < sizeof(*params) ? params->struct_size : sizeof(*params));
	peer->next = params->role == XFER_ROLE_ASKER ? params->now : UINT64_MAX;
	*out = peer;
	return 0;
}

static void peer_destroy(struct xfer_peer *peer)
{
	free(peer);
}

static int datagram_in(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now, struct xfer_heard *out)
{
	struct beat beat;
	if (len == sizeof(beat))
		memcpy(&beat, bytes, sizeof(beat));
	if (UNKNOWN(out) || len != sizeof(beat) || memcmp(beat.key, peer->params.key, sizeof(beat.key)) != 0) {
		peer->stats.rejected++;
		return -EBADMSG;
	}
	peer->stats.received++;
	peer->stats.last_heard = now;
	peer->theirs = beat.received;
	out->sequence = beat.sequence;
	if (peer->params.role == XFER_ROLE_ASKER) {
		uint64_t rtt = beat.sequence == peer->sequence && now > peer->asked ? now - peer->asked : 1;
		peer->stats.rtt_last = peer->stats.rtt_smoothed = out->rtt = rtt;
		if (peer->stats.rtt_min == 0 || rtt < peer->stats.rtt_min)
			peer->stats.rtt_min = rtt;
		if (rtt > peer->stats.rtt_max)
			peer->stats.rtt_max = rtt;
		out->is_answer = 1;
	} else {
		peer->sequence = beat.sequence;
		peer->reply = out->reply = 1;
	}
	return 0;
}

static ssize_t datagram_out(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now, struct xfer_asked *out)
{
	struct beat beat = { .received = peer->received };
	int asks = peer->params.role == XFER_ROLE_ASKER;
	if (UNKNOWN(out) || size < sizeof(beat) || (asks ? now < peer->next : !peer->reply))
		return 0;
	if (asks) {
		peer->sequence++;
		peer->asked = now;
		peer->next = now + peer->params.interval;
	}
	peer->reply = 0;
	peer->stats.sent++;
	memcpy(beat.key, peer->params.key, sizeof(beat.key));
	beat.sequence = out->sequence = peer->sequence;
	out->is_question = asks;
	memcpy(bytes, &beat, sizeof(beat));
	return (ssize_t)sizeof(beat);
}

static enum xfer_verdict verdict(struct xfer_peer *peer, uint64_t now)
{
	if (peer->stats.last_heard == 0)
		return XFER_UNKNOWN;
	return now - peer->stats.last_heard < peer->params.dead_after ? XFER_ALIVE : XFER_DEAD;
}

static uint64_t next_deadline(struct xfer_peer *peer, uint64_t now)
{
	(void)now;
	return peer->next;
}

/* As far as the program's struct goes, which may be shorter than ours. */
static void stats(struct xfer_peer *peer, struct xfer_liveness_stats *out)
{
	size_t size = out->struct_size;
	memcpy(out, &peer->stats, size < sizeof(*out) ? size : sizeof(*out));
	out->struct_size = size;
}

static void progress_set(struct xfer_peer *peer, const struct xfer_progress *ours)
{
	if (!UNKNOWN(ours))
		peer->received = ours->received;
}

static void progress_get(struct xfer_peer *peer, struct xfer_progress *theirs)
{
	if (!UNKNOWN(theirs))
		theirs->received = peer->theirs;
}

#ifdef FUTURE
static void never(void)
{
	abort();
}
#define MORE .future = { ~UINT64_C(0), ~UINT64_C(0) }, .future_call = never,
#else
#define MORE
#endif

static const struct xfer_liveness_ops OPS = { .struct_size = sizeof(struct xfer_liveness_ops),
	                                      .datagram_size = sizeof(struct beat),
	                                      .timing = timing,
	                                      .peer_create = peer_create,
	                                      .peer_destroy = peer_destroy,
	                                      .datagram_in = datagram_in,
	                                      .datagram_out = datagram_out,
	                                      .verdict = verdict,
	                                      .next_deadline = next_deadline,
	                                      .stats = stats,
	                                      .progress_set = progress_set,
	                                      .progress_get = progress_get,
	                                      MORE };

static const struct xfer_plugin PLUGIN = { XFER_PLUGIN_HEAD,   .kind = XFER_KIND_LIVENESS, .name = "aged",
	                                   .version = "1",     .summary = "as of ABI 1.0", .create = create,
	                                   .destroy = destroy, .liveness = &OPS,           MORE };

XFER_REGISTER_PLUGIN(PLUGIN)
