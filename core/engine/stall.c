/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/stall.h"

#include <stdio.h>

const char *stall_stage(uint32_t stage)
{
	static const char *const names[] = { "idle", "read", "hash", "send", "receive", "write", "sync" };

	return stage < sizeof(names) / sizeof(names[0]) ? names[stage] : "an unknown stage";
}

/* A stage of a pool: its age is that of a piece of work. The others are what is left when there is none. */
static bool stage_works(uint32_t stage)
{
	return stage == XFER_STAGE_READ || stage == XFER_STAGE_HASH || stage == XFER_STAGE_WRITE ||
	       stage == XFER_STAGE_SYNC;
}

static bool stage_blocked(const struct xfer_progress *progress)
{
	return stage_works(progress->stage) && progress->stage_age_ms * CLOCK_MS >= STALL_NAMED;
}

static unsigned long long seconds(uint64_t ns)
{
	return ns / CLOCK_SECOND;
}

/* When anything came from the peer, liveness too. */
static uint64_t heard(const struct channel *channel)
{
	uint64_t bytes = channel->link.received_at;

	return bytes > channel->pulse.heard ? bytes : channel->pulse.heard;
}

static void name_peer(struct stall *stall, const struct channel *channel, uint64_t now, uint64_t silent)
{
	uint64_t unheard = now - heard(channel);
	struct xfer_progress theirs = { 0 };

	channel_theirs(channel, &theirs);
	if (unheard >= STALL_NAMED && unheard >= 3 * channel->pulse.interval)
		snprintf(stall->text, sizeof(stall->text), "no sign of the peer for %llu s", seconds(unheard));
	else if (stage_blocked(&theirs))
		snprintf(stall->text, sizeof(stall->text), "peer alive, blocked in %s for %llu s",
		         stall_stage(theirs.stage), seconds(theirs.stage_age_ms * CLOCK_MS));
	else
		snprintf(stall->text, sizeof(stall->text), "peer alive%s%s, nothing has come for %llu s",
		         theirs.stage == XFER_STAGE_IDLE ? " and " : ", in ", stall_stage(theirs.stage),
		         seconds(silent));
}

void stall_begin(struct stall *stall, uint64_t now)
{
	*stall = (struct stall){ .since = now };
}

uint64_t stall_look(struct stall *stall, const struct stall_look *look, uint64_t now)
{
	uint64_t silent;

	stall->text[0] = '\0';
	if (look->moved > stall->moved || !look->waits) {
		stall->moved = look->moved > stall->moved ? look->moved : stall->moved;
		stall->since = now;
	}
	if (look->ours != NULL && stage_blocked(look->ours)) {
		snprintf(stall->text, sizeof(stall->text), "blocked in %s here for %llu s",
		         stall_stage(look->ours->stage), seconds(look->ours->stage_age_ms * CLOCK_MS));
		stall->since = now; /* the peer may have to wait for us */
		return 0;
	}
	silent = now - stall->since;
	if (silent < STALL_NAMED)
		return 0;
	name_peer(stall, look->channel, now, silent);
	return silent;
}
