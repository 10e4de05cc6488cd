/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/retry.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define PAUSE_FIRST (200 * CLOCK_MS)
#define PAUSE_MAX (10 * CLOCK_SECOND)
#define PAUSE_AWAY (100 * CLOCK_MS)
#define PAUSE_AWAY_MAX (1 * CLOCK_SECOND)

void retry_start(struct retry *retry, const struct retry_limits *limits)
{
	*retry = (struct retry){ .limits = *limits };
}

static void row_end(struct retry *retry)
{
	/* The session that made progress begins the next row. */
	if (retry->boot_count > 1)
		memcpy(retry->boots[0], retry->boots[retry->boot_count - 1], MESSAGE_BOOT_ID);
	retry->boot_count = retry->boot_count > 0 ? 1 : 0;
	retry->tries = 0;
	retry->spent = 0;
	retry->growth = 0;
	retry->deaths = 0;
	retry->nonsense = 0;
	retry->excused = false;
}

void retry_job(struct retry *retry)
{
	row_end(retry);
	retry->best = 0;
	retry->suspect = false;
	if (!retry->open)
		retry->since = 0;
}

bool retry_wanted(const struct retry *retry)
{
	return retry->limits.span > 0 && retry->limits.tries > 0;
}

static bool boot_known(const struct retry *retry, const uint8_t *boot_id)
{
	for (unsigned i = 0; i < retry->boot_count; i++) {
		if (memcmp(retry->boots[i], boot_id, MESSAGE_BOOT_ID) == 0)
			return true;
	}
	return false;
}

/*
 * The boot id is that of a worker. Where there are several, another one need not mean that the last one died; but one
 * that was met before in this row proves that not all of them did, and the count begins anew.
 */
enum retry_verdict retry_opened(struct retry *retry, const uint8_t boot_id[MESSAGE_BOOT_ID], bool died, uint64_t now)
{
	bool known = boot_known(retry, boot_id);

	retry->spent = retry_down(retry, now);
	retry->open = true;
	retry->had = true;
	retry->over = false;
	if (died) {
		retry->deaths++;
	} else if (known) {
		retry->deaths = 0;
		retry->boot_count = 0;
	} else if (retry->suspect) {
		retry->deaths++;
	}
	retry->suspect = false;
	if (retry->boot_count == RETRY_DEATHS + 1)
		memmove(retry->boots[0], retry->boots[1], (size_t)RETRY_DEATHS * MESSAGE_BOOT_ID);
	else
		retry->boot_count++;
	memcpy(retry->boots[retry->boot_count - 1], boot_id, MESSAGE_BOOT_ID);
	return retry->deaths >= RETRY_DEATHS ? RETRY_HOPELESS : RETRY_AGAIN;
}

uint64_t retry_down(const struct retry *retry, uint64_t now)
{
	return retry->open || retry->since == 0 ? retry->spent : retry->spent + (now - retry->since);
}

uint64_t retry_left(const struct retry *retry, uint64_t now)
{
	uint64_t down = retry_down(retry, now);

	return retry->limits.span > down ? retry->limits.span - down : 0;
}

static uint64_t bound(const struct retry *retry)
{
	return retry->growth < 6 ? PAUSE_FIRST << retry->growth : PAUSE_MAX;
}

/* Anything from 0 to `most`. */
static uint64_t jitter(uint64_t most, uint64_t random)
{
	return most == UINT64_MAX ? random : random % (most + 1);
}

uint64_t retry_random(void)
{
	uint64_t number = 0;

	/* Without one all clients come at once, which is no more than a pity. */
	(void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
	return number;
}

enum retry_verdict retry_lost(struct retry *retry, enum ending_kind how, uint64_t reached, uint64_t random,
                              uint64_t now, uint64_t *pause)
{
	bool open = retry->open;
	uint64_t left;

	if (reached > retry->best) {
		retry->best = reached;
		row_end(retry);
	}
	if (open || retry->since == 0)
		retry->since = now;
	retry->open = false;
	if (open)
		retry->suspect = how == ENDING_BROKEN;
	if (how == ENDING_FINAL || how == ENDING_STOPPED || !retry_wanted(retry) || retry->over)
		return RETRY_NOT;
	/* Who is sent away has found somebody: the next one has opened already, or nobody is there any more. */
	if (!retry->had && !retry->limits.first && how != ENDING_AWAY)
		return RETRY_NOT;
	if (how == ENDING_NONSENSE && ++retry->nonsense >= RETRY_NONSENSE)
		return RETRY_HOPELESS;
	left = retry_left(retry, now);
	if (retry->tries >= retry->limits.tries || left == 0) {
		retry->over = true;
		return RETRY_OVER;
	}
	/* A daemon that sends us away again before we got anywhere is waited for like any other. */
	if (how == ENDING_AWAY && open && !retry->excused) {
		retry->excused = true;
		*pause = jitter(PAUSE_AWAY, random);
		return RETRY_AGAIN;
	}
	retry->tries++;
	*pause = jitter(bound(retry), random);
	/* It lives and says so, and the next one is there already. */
	if (how == ENDING_AWAY && *pause > PAUSE_AWAY_MAX)
		*pause = PAUSE_AWAY_MAX;
	if (*pause > left)
		*pause = left;
	if (bound(retry) < PAUSE_MAX)
		retry->growth++;
	return RETRY_AGAIN;
}
