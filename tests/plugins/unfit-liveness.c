/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One plug-in for each FAULT that the conformance kit has to find in a liveness: a good one, whose entry point is
 * called inner_plugin() here, inside of one that is not. Behind each fault stands the check that fails.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE 0
#define NO_INTERVAL 1      /* timing */
#define NO_ROUND_TRIP 2    /* exchange */
#define WRITES_BEYOND 3    /* size */
#define ANSWERS_ANSWERS 4  /* once */
#define SKIPS_A_QUESTION 5 /* interval */
#define HALF_HEARTED 6     /* haste */
#define NEVER_STEADY 7     /* steady */
#define BORN_ALIVE 8       /* verdicts */
#define DEADLINE_NOW 9     /* deadlines */
#define LATE_VERDICT 10    /* deadlines */
#define LOSES_NONE 11      /* loss */
#define IN_ORDER_ONLY 12   /* reordering */
#define TAKES_TWICE 13     /* repetition */
#define BIT_IGNORED 14     /* forgery */
#define TAKES_ITS_OWN 15   /* forgery */
#define TAKES_LONGER 16    /* lengths */
#define READS_BEYOND 17    /* lengths */
#define SLOT_IGNORED 18    /* sessions */
#define WRONG_MINIMUM 19   /* stats */
#define STAGE_LOST 20      /* progress */
#define PEER_LEAKS 21      /* leaks */
#define SHORT_SEQUENCE 22  /* endurance */
#define FORGETS 23         /* repetition */
#define TOLD_NOTHING 24    /* stats */

const struct xfer_plugin *inner_plugin(void);

enum { INNER_SIZE = 68 };

struct xfer_peer {
	struct xfer_peer *inner;
	int asker;
	int steady;
	uint64_t interval;
	uint64_t heard_at;
	uint64_t sequence; /* the highest heard */
	unsigned dropped;
	unsigned taken;
	uint8_t old[XFER_DATAGRAM_MAX]; /* the 20th that was accepted */
	size_t last_len;
	size_t mine_len;
	uint8_t last[XFER_DATAGRAM_MAX]; /* the last datagram that was accepted */
	uint8_t mine[XFER_DATAGRAM_MAX]; /* the last that was sent */
};

static const struct xfer_liveness_ops *inner(void)
{
	return inner_plugin()->liveness;
}

static void timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	inner()->timing(instance, interval, dead_after);
	if (FAULT == NO_INTERVAL)
		*interval = 0;
}

static int peer_create(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	struct xfer_peer_params theirs = *params;
	struct xfer_peer *peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		return -ENOMEM;
	peer->asker = params->role == XFER_ROLE_ASKER;
	peer->steady = (params->flags & XFER_PEER_STEADY) != 0;
	peer->interval = params->interval;
	peer->heard_at = params->now;
	if (FAULT == NEVER_STEADY)
		theirs.flags &= ~XFER_PEER_STEADY;
	if (FAULT == SLOT_IGNORED)
		theirs.slot = 0;
	int rc = inner()->peer_create(instance, &theirs, &peer->inner);
	if (rc < 0)
		free(peer);
	else
		*out = peer;
	return rc;
}

static void peer_destroy(struct xfer_peer *peer)
{
	inner()->peer_destroy(peer->inner);
	if (FAULT != PEER_LEAKS)
		free(peer);
}

__attribute__((no_sanitize("address", "undefined"), noinline)) static void touch(const void *bytes)
{
	(void)*((const volatile uint8_t *)bytes + INNER_SIZE - 1);
}

static int datagram_in(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now, struct xfer_heard *out)
{
	uint8_t copy[XFER_DATAGRAM_MAX];
	memcpy(copy, bytes, len);
	if (FAULT == READS_BEYOND)
		touch(bytes);
	if (FAULT == BIT_IGNORED && len == INNER_SIZE)
		copy[6] &= 0x7f; /* the highest bit of the stage */
	if (FAULT == TAKES_LONGER && len > INNER_SIZE)
		len = INNER_SIZE;
	int rc = inner()->datagram_in(peer->inner, copy, len, now, out);
	if (FAULT == TAKES_TWICE && rc < 0 && len > 0 && len == peer->last_len && memcmp(copy, peer->last, len) == 0)
		return 0;
	if (FAULT == TAKES_ITS_OWN && rc < 0 && len > 0 && len == peer->mine_len && memcmp(copy, peer->mine, len) == 0)
		return 0;
	if (FAULT == FORGETS && rc < 0 && len == INNER_SIZE && peer->taken > 3000 && memcmp(copy, peer->old, len) == 0)
		return 0;
	if (rc < 0)
		return rc;
	if (++peer->taken == 20)
		memcpy(peer->old, copy, len);
	if (FAULT == SHORT_SEQUENCE && out->sequence > 65535)
		return -EBADMSG;
	if (FAULT == IN_ORDER_ONLY && out->sequence < peer->sequence)
		return -EBADMSG;
	if (FAULT == NO_ROUND_TRIP)
		out->rtt = 0;
	if (FAULT == ANSWERS_ANSWERS)
		out->reply = 1;
	peer->heard_at = now;
	peer->sequence = out->sequence > peer->sequence ? out->sequence : peer->sequence;
	peer->last_len = len;
	memcpy(peer->last, copy, len);
	return 0;
}

static ssize_t datagram_out(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now, struct xfer_asked *out)
{
	ssize_t len = inner()->datagram_out(peer->inner, bytes, size, now, out);
	if (len <= 0)
		return len;
	peer->mine_len = (size_t)len;
	memcpy(peer->mine, bytes, (size_t)len);
	if (FAULT == WRITES_BEYOND)
		((volatile uint8_t *)bytes)[INNER_SIZE] = 0;
	if (FAULT == SKIPS_A_QUESTION && peer->asker && out->sequence == 55)
		return 0;
	if (FAULT == HALF_HEARTED && peer->asker && !peer->steady && now - peer->heard_at > 4 * peer->interval &&
	    peer->dropped++ % 2 == 0)
		return 0;
	return len;
}

static enum xfer_verdict verdict(struct xfer_peer *peer, uint64_t now)
{
	enum xfer_verdict said = inner()->verdict(peer->inner, now);
	return FAULT == BORN_ALIVE && said == XFER_UNKNOWN ? XFER_ALIVE : said;
}

static uint64_t next_deadline(struct xfer_peer *peer, uint64_t now)
{
	uint64_t deadline = inner()->next_deadline(peer->inner, now);
	if (FAULT == DEADLINE_NOW)
		return now;
	if (FAULT == LATE_VERDICT && !peer->asker && deadline != UINT64_MAX && deadline > now)
		return deadline + peer->interval / 4;
	return deadline;
}

static void stats(struct xfer_peer *peer, struct xfer_liveness_stats *out)
{
	inner()->stats(peer->inner, out);
	if (FAULT == LOSES_NONE)
		out->lost = 0;
	if (FAULT == TOLD_NOTHING && !peer->asker)
		out->rtt_smoothed = 0;
	if (FAULT == WRONG_MINIMUM)
		out->rtt_min = 0;
}

static void progress_set(struct xfer_peer *peer, const struct xfer_progress *ours)
{
	struct xfer_progress told = *ours;
	if (FAULT == STAGE_LOST)
		told.stage = 0;
	inner()->progress_set(peer->inner, &told);
}

static void progress_get(struct xfer_peer *peer, struct xfer_progress *theirs)
{
	inner()->progress_get(peer->inner, theirs);
}

const struct xfer_plugin *xfer_plugin_v1(void);
__attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void)
{
	static struct xfer_liveness_ops ops;
	static struct xfer_plugin plugin;
	plugin = *inner_plugin();
	ops = (struct xfer_liveness_ops){
		.struct_size = sizeof(ops),
		.datagram_size = inner()->datagram_size,
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
	};
	plugin.liveness = &ops;
	return &plugin;
}
