/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of an integrity plug-in that concern memory and threads. */
#include "fence.h"
#include "integrity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OFFSETS = 64,
	BOUND_LENGTHS = 300,
	THREADS = 4,
	THREAD_ROUNDS = 300,
	THREAD_INPUTS = 16,
	THREAD_LEN = 2000, /* bytes at most */
	THREAD_MANY = 8,   /* buffers at once */
	LEAK_ROUNDS = 3000,
	LEAK_WARMUP = 300
};

static enum kit_outcome aligned_at(struct kit *kit, struct xfer_hash *hash, const uint8_t *bytes, size_t at, size_t len)
{
	uint8_t want[XFER_DIGEST_MAX], copy[2 * OFFSETS + 300], place[2 * OFFSETS + XFER_DIGEST_MAX];
	uint32_t size = kit->plugin->integrity.digest_size;
	char where[80];
	enum kit_outcome outcome = whole_digest(kit, bytes, len, want);
	if (outcome != KIT_OK)
		return outcome;
	memset(copy, OUT_FILL, sizeof(copy));
	memcpy(copy + at, bytes, len);
	memset(place, OUT_FILL, sizeof(place));
	snprintf(where, sizeof(where), "%zu bytes, %zu bytes behind a multiple of 64", len, at);
	int rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, copy + at, len, place + at, 0);
	if (rc != 0)
		return kit_returned(kit, "digest()", rc, "%s", where);
	for (size_t i = 0; i < sizeof(place); i++)
		if (i >= at && i < at + size ? place[i] != want[i - at] : place[i] != OUT_FILL)
			return kit_failed(kit, "digest() gave another digest or wrote elsewhere, %s", where);
	if (memcmp(copy + at, bytes, len) != 0)
		return kit_failed(kit, "digest() changed its input, %s", where);
	return hash_parts(kit, hash, copy + at, &len, 1, want, where);
}

enum kit_outcome check_aligned(struct kit *kit)
{
	static const size_t LENGTHS[] = { 1, 7, 64, 129, 300 };
	uint8_t bytes[300];
	struct xfer_hash *hash;
	enum kit_outcome outcome = hash_make(kit, &hash);
	kit_fill(kit, bytes, sizeof(bytes));
	for (size_t at = 0; at < OFFSETS; at++)
		for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]) && outcome == KIT_OK; i++)
			outcome = aligned_at(kit, hash, bytes, at, LENGTHS[i]);
	if (outcome != KIT_OK)
		return outcome;
	KIT_VOID(kit, integrity, hash_destroy, hash);
	return kit_ok(kit, "offsets 0 to %d of input and digest", OFFSETS - 1);
}

/* `at` is as near as can be to a page that cannot be read, on one side; `out` to one that cannot be written. */
static enum kit_outcome bounds_at(struct kit *kit, struct xfer_hash *hash, const uint8_t *at, size_t len, uint8_t *out,
                                  const char *side)
{
	uint8_t want[XFER_DIGEST_MAX];
	uint32_t size = kit->plugin->integrity.digest_size;
	char where[64];
	struct iovec buffer = { .iov_len = len };
	enum kit_outcome outcome;
	memcpy(&buffer.iov_base, &at, sizeof(at));
	snprintf(where, sizeof(where), "%zu bytes at the %s of a page", len, side);
	int rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, at, len, out, 0);
	if (rc != 0)
		return kit_returned(kit, "digest()", rc, "%s", where);
	memcpy(want, out, size);
	if ((outcome = hash_parts(kit, hash, at, &len, 1, want, where)) != KIT_OK)
		return outcome;
	if (kit->plugin->integrity.digest_many != NULL) {
		rc = KIT_CALL(kit, integrity, digest_many, kit->plugin->instance, &buffer, 1, &out, 0);
		if (rc != 0)
			return kit_returned(kit, "digest_many()", rc, "%s", where);
		if (memcmp(out, want, size) != 0)
			return kit_failed(kit, "digest_many() gave another digest than digest(), %s", where);
	}
	return KIT_OK;
}

enum kit_outcome check_bounds(struct kit *kit)
{
	struct fence input, output;
	struct xfer_hash *hash;
	uint32_t size = kit->plugin->integrity.digest_size;
	enum kit_outcome outcome = hash_make(kit, &hash);
	if (outcome != KIT_OK)
		return outcome;
	if (fence_make(&input, BOUND_LENGTHS) < 0 || fence_make(&output, XFER_DIGEST_MAX) < 0)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, input.bytes, input.size);
	fence_lock(&input, true);
	for (size_t len = 0; len <= BOUND_LENGTHS && outcome == KIT_OK; len++) {
		outcome = bounds_at(kit, hash, fence_end(&input, len), len, fence_end(&output, size), "end");
		if (outcome == KIT_OK)
			outcome = bounds_at(kit, hash, input.bytes, len, output.bytes, "start");
	}
	if (outcome == KIT_OK)
		outcome = bounds_at(kit, hash, input.bytes, input.size, output.bytes, "start and end");
	if (outcome != KIT_OK)
		return outcome;
	KIT_VOID(kit, integrity, hash_destroy, hash);
	fence_free(&input);
	fence_free(&output);
	return kit_ok(kit, "0 to %d bytes at both ends of a page that can only be read", BOUND_LENGTHS);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

struct thread_work {
	struct kit kit;
	pthread_t id;
	pthread_barrier_t *start;
	const uint8_t *bytes;                   /* shared: THREAD_INPUTS runs of THREAD_LEN, of which `lens` count */
	const size_t *lens;                     /* shared */
	const uint8_t (*want)[XFER_DIGEST_MAX]; /* shared */
	struct kit_report told;                 /* of this thread */
	uint8_t shifted[THREAD_MANY][THREAD_LEN + THREAD_MANY];
	enum kit_outcome outcome;
};

/* By the calls of the registry, which honour the thread model, as the pools do. */
static enum kit_outcome thread_round(struct kit *kit, struct thread_work *work, struct xfer_hash *hash)
{
	const struct plugin *plugin = kit->plugin;
	size_t a = (size_t)kit_below(kit, THREAD_INPUTS);
	const uint8_t *bytes = work->bytes + a * THREAD_LEN;
	struct out out, outs[THREAD_MANY];
	out_reset(&out);
	kit_enter(kit, "digest()");
	int rc = plugin_digest(plugin, bytes, work->lens[a], out.bytes);
	kit_left(kit, 0);
	if (rc != 0)
		return kit_returned(kit, "digest()", rc, "while others call, too");
	enum kit_outcome outcome = out_check(kit, &out, work->want[a], "digest()", "while others call, too");
	if (outcome != KIT_OK)
		return outcome;

	size_t cut = (size_t)kit_below(kit, work->lens[a] + 1);
	out_reset(&out);
	kit_enter(kit, "hash_update()");
	rc = plugin_hash_update(plugin, hash, bytes, cut);
	if (rc == 0)
		rc = plugin_hash_update(plugin, hash, bytes + cut, work->lens[a] - cut);
	kit_enter(kit, "hash_finish()");
	if (rc == 0)
		rc = plugin_hash_finish(plugin, hash, out.bytes);
	kit_left(kit, 0);
	if (rc != 0)
		return kit_returned(kit, "a stream", rc, "while others call, too");
	if ((outcome = out_check(kit, &out, work->want[a], "hash_finish()", "while others call, too")) != KIT_OK)
		return outcome;

	/* As many as all lanes take, each at another alignment. */
	struct iovec buffers[THREAD_MANY];
	uint8_t *places[THREAD_MANY];
	size_t inputs[THREAD_MANY];
	for (size_t i = 0; i < THREAD_MANY; i++) {
		inputs[i] = (size_t)kit_below(kit, THREAD_INPUTS);
		buffers[i].iov_base = work->shifted[i] + i;
		buffers[i].iov_len = work->lens[inputs[i]];
		memcpy(buffers[i].iov_base, work->bytes + inputs[i] * THREAD_LEN, buffers[i].iov_len);
		places[i] = outs[i].bytes;
		out_reset(&outs[i]);
	}
	kit_enter(kit, "digest_many()");
	rc = plugin_digest_many(plugin, buffers, THREAD_MANY, places);
	kit_left(kit, 0);
	if (rc != 0)
		return kit_returned(kit, "digest_many()", rc, "while others call, too");
	for (size_t i = 0; i < THREAD_MANY && outcome == KIT_OK; i++)
		outcome = out_check(kit, &outs[i], work->want[inputs[i]], "digest_many()",
		                    "at any address, while others call, too");
	return outcome;
}

static void *thread_run(void *data)
{
	struct thread_work *work = data;
	struct kit *kit = &work->kit;
	struct xfer_hash *hash = NULL;
	pthread_barrier_wait(work->start);
	for (size_t i = 0; i < THREAD_ROUNDS && work->outcome == KIT_OK; i++) {
		/* A new state now and then: making and destroying are calls, too. */
		if (i % 16 == 0) {
			kit_enter(kit, "hash_create()");
			plugin_hash_destroy(kit->plugin, hash);
			hash = NULL;
			int rc = plugin_hash_create(kit->plugin, &hash);
			kit_left(kit, 0);
			if (rc != 0) {
				work->outcome = kit_returned(kit, "hash_create()", rc, "while others call, too");
				break;
			}
		}
		work->outcome = thread_round(kit, work, hash);
	}
	plugin_hash_destroy(kit->plugin, hash);
	return NULL;
}

enum kit_outcome check_threads(struct kit *kit)
{
	static struct thread_work works[THREADS]; /* of this process alone */
	uint8_t *bytes = malloc((size_t)THREAD_INPUTS * THREAD_LEN), want[THREAD_INPUTS][XFER_DIGEST_MAX];
	size_t lens[THREAD_INPUTS];
	pthread_barrier_t start;
	if (bytes == NULL || pthread_barrier_init(&start, NULL, THREADS) != 0)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, (size_t)THREAD_INPUTS * THREAD_LEN);
	for (size_t i = 0; i < THREAD_INPUTS; i++) {
		lens[i] = (size_t)kit_below(kit, THREAD_LEN + 1);
		enum kit_outcome outcome = whole_digest(kit, bytes + i * THREAD_LEN, lens[i], want[i]);
		if (outcome != KIT_OK)
			return outcome;
	}
	for (size_t i = 0; i < THREADS; i++) {
		struct thread_work *work = &works[i];
		*work = (struct thread_work){
			.kit = *kit, .start = &start, .bytes = bytes, .lens = lens, .want = want, .outcome = KIT_OK
		};
		work->kit.inside = &kit->report->inside[1 + i];
		work->kit.report = &work->told;
		work->kit.threads = true;
		work->kit.random += i;
		if (pthread_create(&work->id, NULL, thread_run, work) != 0)
			return kit_failed(kit, "no thread for the check");
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(works[i].id, NULL);
	for (size_t i = 0; i < THREADS; i++)
		if (works[i].outcome != KIT_OK)
			return kit_failed(kit, "%s", works[i].told.seen);
	free(bytes);
	pthread_barrier_destroy(&start);
	return kit_ok(kit, "%d threads, %d rounds each, %s", THREADS, THREAD_ROUNDS,
	              kit->plugin->about.thread_model == XFER_THREADS_PARALLEL_OBJECTS ? "at the same time"
	                                                                               : "one call at a time");
}

/* ---- leaks ------------------------------------------------------------------------------------------------------ */

static enum kit_outcome leak_round(struct kit *kit, unsigned round)
{
	static const uint8_t bytes[100];
	uint8_t out[XFER_DIGEST_MAX];
	struct xfer_hash *hash;
	enum kit_outcome outcome = hash_make(kit, &hash);
	if (outcome != KIT_OK)
		return outcome;
	int rc = KIT_CALL(kit, integrity, hash_update, hash, bytes, sizeof(bytes), 0);
	if (rc == 0 && round % 2 == 0) /* the others end in the middle of their stream */
		rc = KIT_CALL(kit, integrity, hash_finish, hash, out, 0);
	KIT_VOID(kit, integrity, hash_destroy, hash);
	if (rc == 0)
		rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, bytes, sizeof(bytes), out, 0);
	return rc == 0 ? KIT_OK : kit_returned(kit, "a call", rc, "in round %u", round);
}

enum kit_outcome check_integrity_leaks(struct kit *kit)
{
	struct census before;
	char text[128];
	for (unsigned round = 0; round < LEAK_WARMUP + LEAK_ROUNDS; round++) {
		if (round == LEAK_WARMUP)
			census_take(&before);
		enum kit_outcome outcome = leak_round(kit, round);
		if (outcome != KIT_OK)
			return outcome;
	}
	if (census_growth(&before, LEAK_ROUNDS, text) != NULL)
		return kit_failed(kit, "%s of hash_create(), hash_destroy() and digest()", text);
	return kit_ok(kit, "%d states and digests", LEAK_ROUNDS);
}
