/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests that are next in line are collected in a small buffer behind the head; only when it is full a running hash is
 * made and fed, so that the many small files of a tree are one call of the plug-in each. Digests that came too early
 * wait as runs in a table keyed by their first index, which makes any order of arrival cost the same.
 */
#include "pipeline/tally.h"

#include "base/checked.h"
#include "base/table.h"
#include "wire/message.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	PENDING_DIGESTS = 32, /* room in the buffer */
	RUN_CAP_MIN = 4,
	ZERO_PIECE = 16384, /* bytes hashed at a time for the digest of zeroes */
	ZEROES_EACH = 1024  /* chunks of zeroes that count as one digest more: it takes time to go over them */
};

/* Consecutive chunks that wait for an earlier one. */
struct run {
	uint64_t first;
	uint64_t count;
	uint64_t cap;      /* digests that there is room for; 0: all are chunks of zeroes */
	uint8_t digests[]; /* count of them */
};

struct tally {
	pthread_mutex_t lock;
	const struct suite *suite;
	uint64_t next;          /* first index that is missing */
	struct table ahead;     /* struct run by its first index */
	uint64_t waiting;       /* digests in `ahead`, and what zeroes there count as */
	struct run *last;       /* the run that was added to last, or NULL: the next one often belongs behind it */
	struct xfer_hash *hash; /* NULL until the buffer was full once */
	bool zero_known;
	bool finished;
	int code; /* a call of the plug-in failed: the digest cannot be had any more */
	uint8_t zero[FRAME_DIGEST_MAX];
	size_t pending_len;
	size_t pending_cap;
	uint8_t pending[]; /* the head, then digests; emptied into the hash */
};

int tally_create(struct tally **out, const struct suite *suite, uint64_t file_size)
{
	size_t cap = MESSAGE_DIGEST_HEAD_MAX + (size_t)PENDING_DIGESTS * suite->limits.digest_size;
	struct tally *tally = malloc(sizeof(*tally) + cap);

	if (tally == NULL)
		return -ENOMEM;
	memset(tally, 0, sizeof(*tally));
	int code = -pthread_mutex_init(&tally->lock, NULL);
	if (code < 0) {
		free(tally);
		return code;
	}
	tally->suite = suite;
	tally->pending_cap = cap;
	if (suite->limits.digest_size > 0)
		tally->pending_len = message_digest_head(tally->pending, suite->integrity->about.name,
		                                         suite->limits.chunk_size, file_size);
	*out = tally;
	return 0;
}

void tally_destroy(struct tally *tally)
{
	struct run *run;
	size_t at = 0;

	if (tally == NULL)
		return;
	while ((run = table_next(&tally->ahead, &at, NULL)) != NULL)
		free(run);
	table_free(&tally->ahead);
	if (tally->hash != NULL)
		plugin_hash_destroy(tally->suite->integrity, tally->hash);
	pthread_mutex_destroy(&tally->lock);
	free(tally);
}

static void tally_flush(struct tally *tally)
{
	const struct plugin *integrity = tally->suite->integrity;

	if (tally->code == 0 && tally->hash == NULL)
		tally->code = plugin_hash_create(integrity, &tally->hash);
	if (tally->code == 0)
		tally->code = plugin_hash_update(integrity, tally->hash, tally->pending, tally->pending_len);
	tally->pending_len = 0;
}

/* Takes `count` digests that are next in line. */
static void tally_feed(struct tally *tally, uint64_t count, const uint8_t *digests, size_t stride)
{
	size_t size = tally->suite->limits.digest_size;

	tally->next += count;
	if (size == 0)
		return;
	for (; count > 0; count--, digests += stride) {
		if (size > tally->pending_cap - tally->pending_len)
			tally_flush(tally);
		memcpy(tally->pending + tally->pending_len, digests, size);
		tally->pending_len += size;
	}
}

/* What a run of zeroes counts as. */
static uint64_t zeroes_weight(uint64_t count)
{
	return 1 + count / ZEROES_EACH;
}

/* Takes the runs that became next in line. */
static void tally_advance(struct tally *tally)
{
	struct run *run;

	while ((run = table_remove(&tally->ahead, tally->next)) != NULL) {
		bool zeroes = run->cap == 0;

		tally->waiting -= zeroes ? zeroes_weight(run->count) : run->count;
		tally_feed(tally, run->count, zeroes ? tally->zero : run->digests,
		           zeroes ? 0 : tally->suite->limits.digest_size);
		if (tally->last == run)
			tally->last = NULL;
		free(run);
	}
}

static void run_fill(struct tally *tally, struct run *run, uint64_t count, const uint8_t *digests, size_t stride)
{
	size_t size = tally->suite->limits.digest_size;

	if (size > 0)
		for (uint64_t i = 0; i < count; i++)
			memcpy(run->digests + (run->count + i) * size, digests + i * stride, size);
	run->count += count;
	tally->waiting += count;
	tally->last = run;
}

/* Keeps digests that came too early. */
static int tally_wait(struct tally *tally, uint64_t first, uint64_t count, const uint8_t *digests, size_t stride)
{
	struct run *last = tally->last;

	if (count > TALLY_AHEAD_MAX - tally->waiting)
		return -ERANGE;
	if (last != NULL && first >= last->first && first - last->first < last->count)
		return -ERANGE;
	if (table_get(&tally->ahead, first) != NULL)
		return -ERANGE;
	if (last != NULL && first - last->first == last->count && count <= last->cap - last->count) {
		run_fill(tally, last, count, digests, stride);
		return 0;
	}

	/* One that goes on where the last one ended will probably be followed by more: let room grow with the run. */
	uint64_t cap = RUN_CAP_MIN;
	if (last != NULL && last->cap > 0 && first - last->first == last->count)
		cap = 2 * last->cap;
	if (cap > TALLY_AHEAD_MAX / 16)
		cap = TALLY_AHEAD_MAX / 16;
	if (cap < count)
		cap = count;
	struct run *run = malloc(sizeof(*run) + (size_t)cap * tally->suite->limits.digest_size);
	if (run == NULL)
		return -ENOMEM;
	*run = (struct run){ .first = first, .cap = cap };
	int code = table_put(&tally->ahead, first, run);
	if (code < 0) {
		free(run);
		return code;
	}
	run_fill(tally, run, count, digests, stride);
	return 0;
}

int tally_add_run(struct tally *tally, uint64_t first, uint64_t count, const uint8_t *digests, size_t stride)
{
	uint64_t end;
	int code = 0;

	if (count == 0)
		return 0;
	if (checked_add_u64(first, count, &end))
		return -ERANGE;
	pthread_mutex_lock(&tally->lock);
	if (tally->finished || first < tally->next) {
		code = -ERANGE;
	} else if (first > tally->next) {
		code = tally_wait(tally, first, count, digests, stride);
	} else {
		tally_feed(tally, count, digests, stride);
		tally_advance(tally);
	}
	pthread_mutex_unlock(&tally->lock);
	return code;
}

int tally_add(struct tally *tally, uint64_t index, const uint8_t *digest)
{
	return tally_add_run(tally, index, 1, digest, 0);
}

/* The digest of a full chunk of zeroes, without having one. */
static int tally_zero(struct tally *tally)
{
	static const uint8_t zeroes[ZERO_PIECE];
	const struct plugin *integrity = tally->suite->integrity;
	struct xfer_hash *hash;

	if (tally->zero_known || tally->suite->limits.digest_size == 0)
		return 0;
	int code = plugin_hash_create(integrity, &hash);
	if (code < 0)
		return code;
	for (size_t left = tally->suite->limits.chunk_size; left > 0 && code == 0;) {
		size_t len = left < sizeof(zeroes) ? left : sizeof(zeroes);

		code = plugin_hash_update(integrity, hash, zeroes, len);
		left -= len;
	}
	if (code == 0)
		code = plugin_hash_finish(integrity, hash, tally->zero);
	plugin_hash_destroy(integrity, hash);
	tally->zero_known = code == 0;
	return code;
}

static int zeroes_wait(struct tally *tally, uint64_t first, uint64_t count)
{
	uint64_t weight = zeroes_weight(count);
	if (weight > TALLY_AHEAD_MAX - tally->waiting || table_get(&tally->ahead, first) != NULL)
		return -ERANGE;
	struct run *run = malloc(sizeof(*run));
	if (run == NULL)
		return -ENOMEM;
	*run = (struct run){ .first = first, .count = count };
	int code = table_put(&tally->ahead, first, run);
	if (code < 0)
		free(run);
	else
		tally->waiting += weight;
	return code;
}

int tally_add_zeroes(struct tally *tally, uint64_t first, uint64_t count)
{
	uint64_t end;

	if (count == 0)
		return 0;
	if (checked_add_u64(first, count, &end))
		return -ERANGE;
	pthread_mutex_lock(&tally->lock);
	int code = tally->finished || first < tally->next ? -ERANGE : tally_zero(tally);
	if (code == 0 && first > tally->next) {
		code = zeroes_wait(tally, first, count);
	} else if (code == 0) {
		tally_feed(tally, count, tally->zero, 0);
		tally_advance(tally);
	}
	pthread_mutex_unlock(&tally->lock);
	return code;
}

int tally_zero_digest(struct tally *tally, uint8_t *digest)
{
	pthread_mutex_lock(&tally->lock);
	int code = tally_zero(tally);
	if (code == 0)
		memcpy(digest, tally->zero, tally->suite->limits.digest_size);
	pthread_mutex_unlock(&tally->lock);
	return code;
}

uint64_t tally_next(struct tally *tally)
{
	pthread_mutex_lock(&tally->lock);
	uint64_t next = tally->next;
	pthread_mutex_unlock(&tally->lock);
	return next;
}

static int tally_digest(struct tally *tally, uint8_t *digest)
{
	const struct plugin *integrity = tally->suite->integrity;

	if (tally->code < 0 || tally->suite->limits.digest_size == 0)
		return tally->code;
	if (tally->hash == NULL)
		return plugin_digest(integrity, tally->pending, tally->pending_len, digest);
	tally_flush(tally);
	return tally->code < 0 ? tally->code : plugin_hash_finish(integrity, tally->hash, digest);
}

int tally_finish(struct tally *tally, uint64_t chunks, uint8_t *digest)
{
	pthread_mutex_lock(&tally->lock);
	int code = -ENODATA;
	if (tally->next == chunks && tally->ahead.count == 0 && !tally->finished) {
		code = tally_digest(tally, digest);
		tally->finished = true;
	}
	pthread_mutex_unlock(&tally->lock);
	return code;
}
