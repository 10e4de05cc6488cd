/* SPDX-License-Identifier: BSD-2-Clause */
/* The tally: whatever order digests come in, the result is that of the plain way. */
#include "pipe-rig.h"

enum { CHUNKS = 3000 };

struct bench {
	struct rig *rig;
	uint8_t digests[CHUNKS][RIG_DIGEST];
	uint8_t expected[RIG_DIGEST];
};

/* Makes digests and hashes all in one buffer. */
static void bench_begin(struct bench *bench, struct rig *rig, size_t chunks)
{
	uint8_t *all = malloc(MESSAGE_DIGEST_HEAD_MAX + chunks * RIG_DIGEST);
	assert_non_null(all);
	bench->rig = rig;
	size_t at = message_digest_head(all, "fnv", RIG_CHUNK, (uint64_t)chunks * RIG_CHUNK);
	for (size_t i = 0; i < chunks; i++, at += RIG_DIGEST) {
		rig_digest(&rig->integrity, &i, sizeof(i), bench->digests[i], 0);
		memcpy(all + at, bench->digests[i], RIG_DIGEST);
	}
	rig_digest(&rig->integrity, all, at, bench->expected, 0);
	free(all);
}

static struct tally *bench_tally(struct bench *bench, size_t chunks)
{
	struct tally *tally;
	assert_int_equal(tally_create(&tally, &bench->rig->suite, (uint64_t)chunks * RIG_CHUNK), 0);
	return tally;
}

static void bench_finish(struct bench *bench, struct tally *tally, size_t chunks)
{
	uint8_t digest[RIG_DIGEST];
	assert_int_equal(tally_next(tally), chunks);
	assert_int_equal(tally_finish(tally, chunks, digest), 0);
	assert_memory_equal(digest, bench->expected, RIG_DIGEST);
	assert_int_equal(tally_finish(tally, chunks, digest), -ENODATA);
	tally_destroy(tally);
}

/* A small generator of our own, so that a failure can be seen again. */
static uint64_t seed = 1;
static size_t pick(size_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)(seed >> 33) % below;
}

static void any_order_gives_the_same(void **state)
{
	static const size_t counts[] = { 0, 1, 2, 31, 32, 33, 64, 65, 1000, CHUNKS };
	struct bench *bench = malloc(sizeof(*bench));
	size_t order[CHUNKS];
	assert_non_null(bench);
	for (size_t c = 0; c < COUNT(counts); c++) {
		size_t count = counts[c];
		bench_begin(bench, *state, count);
		for (int round = 0; round < 5; round++) { /* 0: in order, 1: backwards, then shuffled */
			struct tally *tally = bench_tally(bench, count);
			for (size_t i = 0; i < count; i++)
				order[i] = round == 1 ? count - 1 - i : i;
			for (size_t i = count; round > 1 && i > 1; i--) {
				size_t other = pick(i), was = order[i - 1];
				order[i - 1] = order[other];
				order[other] = was;
			}
			for (size_t i = 0; i < count; i++)
				assert_int_equal(tally_add(tally, order[i], bench->digests[order[i]]), 0);
			bench_finish(bench, tally, count);
		}
	}
	free(bench);
}

static void runs_of_any_length_in_any_order(void **state)
{
	struct bench *bench = malloc(sizeof(*bench));
	size_t starts[CHUNKS + 1];
	assert_non_null(bench);
	bench_begin(bench, *state, CHUNKS);
	for (int round = 0; round < 20; round++) {
		struct tally *tally = bench_tally(bench, CHUNKS);
		size_t runs = 0, order[CHUNKS];
		for (size_t at = 0; at < CHUNKS; at += 1 + pick(round % 2 ? 5 : 200))
			starts[runs++] = at;
		starts[runs] = CHUNKS;
		for (size_t i = 0; i < runs; i++)
			order[i] = i;
		for (size_t i = runs; i > 1; i--) {
			size_t near = i > 6 ? i - 1 - pick(6) : pick(i); /* as threads do it: nearly in order */
			size_t was = order[i - 1];
			order[i - 1] = order[near];
			order[near] = was;
		}
		for (size_t i = 0; i < runs; i++) {
			size_t first = starts[order[i]], count = starts[order[i] + 1] - first;
			assert_int_equal(tally_add_run(tally, first, count, bench->digests[first], RIG_DIGEST), 0);
		}
		bench_finish(bench, tally, CHUNKS);
	}
	free(bench);
}

static void zeroes_are_chunks_of_zeroes(void **state)
{
	struct rig *rig = *state;
	enum { LEN = 100 };
	uint8_t zero[RIG_CHUNK] = { 0 }, plain[RIG_DIGEST], mixed[RIG_DIGEST], digest[RIG_DIGEST];
	struct tally *one, *other;
	rig_digest(&rig->integrity, zero, sizeof(zero), digest, 0);
	assert_int_equal(tally_create(&one, &rig->suite, LEN * RIG_CHUNK), 0);
	assert_int_equal(tally_create(&other, &rig->suite, LEN * RIG_CHUNK), 0);
	for (uint64_t i = 0; i < LEN; i++)
		assert_int_equal(tally_add(one, i, i == 50 ? mixed : digest), 0);
	/* Holes behind a chunk that comes last, one of them far ahead. */
	assert_int_equal(tally_add_zeroes(other, 51, 49), 0);
	assert_int_equal(tally_add_zeroes(other, 1, 49), 0);
	assert_int_equal(tally_add(other, 50, mixed), 0);
	assert_int_equal(tally_next(other), 0);
	assert_int_equal(tally_add_zeroes(other, 0, 1), 0);
	assert_int_equal(tally_finish(one, LEN, plain), 0);
	assert_int_equal(tally_finish(other, LEN, digest), 0);
	assert_memory_equal(plain, digest, RIG_DIGEST);
	tally_destroy(one);
	tally_destroy(other);
}

static void long_runs_of_holes_ahead_cost_little(void **state)
{
	enum { RUN = 256 * 1024, RUNS = 256 };
	struct rig *rig = *state;
	struct tally *tally;
	uint8_t digest[RIG_DIGEST] = { 0 };
	unsigned runs = 0;
	rig_suite(rig, 1024, RIG_DIGEST);
	assert_int_equal(tally_create(&tally, &rig->suite, UINT64_C(1) << 60), 0);
	assert_int_equal(tally_add_zeroes(tally, 1, RUN), 0);
	assert_int_equal(tally_add(tally, 1 + RUN, digest), 0);
	/* But one call goes over all that waits, so that is bounded. */
	while (runs < 2 * RUNS && tally_add_zeroes(tally, (uint64_t)(runs + 2) * 2 * RUN, RUN) == 0)
		runs++;
	assert_true(runs > 16 && runs < RUNS);
	assert_int_equal(tally_add_zeroes(tally, UINT64_C(1) << 49, UINT64_C(1) << 49), -ERANGE);
	assert_int_equal(tally_next(tally), 0);
	/* And room again once it is gone over. */
	assert_int_equal(tally_add(tally, 0, digest), 0);
	assert_int_equal(tally_next(tally), 2 + RUN);
	assert_int_equal(tally_add_zeroes(tally, UINT64_C(1) << 49, RUN), 0);
	tally_destroy(tally);
}

static void what_is_there_is_refused(void **state)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint8_t digest[RIG_DIGEST];
	assert_non_null(bench);
	bench_begin(bench, *state, 10);
	struct tally *tally = bench_tally(bench, 10);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(tally_add(tally, i, bench->digests[i]), 0);
	assert_int_equal(tally_add(tally, 4, bench->digests[4]), -ERANGE);
	assert_int_equal(tally_add_zeroes(tally, 4, 1), -ERANGE);
	assert_int_equal(tally_add(tally, 7, bench->digests[7]), 0);
	assert_int_equal(tally_add(tally, 8, bench->digests[8]), 0);
	assert_int_equal(tally_add(tally, 7, bench->digests[7]), -ERANGE);
	assert_int_equal(tally_add(tally, 8, bench->digests[8]), -ERANGE);
	assert_int_equal(tally_add_zeroes(tally, 7, 1), -ERANGE);
	assert_int_equal(tally_add_run(tally, UINT64_MAX, 2, digest, 0), -ERANGE);
	assert_int_equal(tally_add_zeroes(tally, 2, UINT64_MAX - 1), -ERANGE);
	assert_int_equal(tally_finish(tally, 5, digest), -ENODATA); /* something waits */
	assert_int_equal(tally_finish(tally, 10, digest), -ENODATA);
	assert_int_equal(tally_add_run(tally, 5, 2, bench->digests[5], RIG_DIGEST), 0);
	assert_int_equal(tally_finish(tally, 10, digest), -ENODATA);
	assert_int_equal(tally_add(tally, 9, bench->digests[9]), 0);
	bench_finish(bench, tally, 10);
	free(bench);
}

/* An overlap is not seen when it comes, but no digest ever comes of it. */
static void an_overlap_never_finishes(void **state)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint8_t digest[RIG_DIGEST];
	assert_non_null(bench);
	bench_begin(bench, *state, 20);
	struct tally *tally = bench_tally(bench, 20);
	assert_int_equal(tally_add_run(tally, 5, 10, bench->digests[5], RIG_DIGEST), 0);
	assert_int_equal(tally_add(tally, 17, bench->digests[17]), 0);
	assert_int_equal(tally_add(tally, 10, bench->digests[10]), 0);
	assert_int_equal(tally_add_run(tally, 0, 5, bench->digests[0], RIG_DIGEST), 0);
	assert_int_equal(tally_add_run(tally, 15, 2, bench->digests[15], RIG_DIGEST), 0);
	assert_int_equal(tally_add_run(tally, 18, 2, bench->digests[18], RIG_DIGEST), 0);
	assert_int_equal(tally_next(tally), 20);
	assert_int_equal(tally_finish(tally, 20, digest), -ENODATA);
	tally_destroy(tally);
	free(bench);
}

static void what_waits_is_bounded(void **state)
{
	struct rig *rig = *state;
	struct tally *tally;
	uint8_t digest[RIG_DIGEST] = { 0 };
	assert_int_equal(tally_create(&tally, &rig->suite, UINT64_C(1) << 40), 0);
	for (uint64_t i = 0; i < TALLY_AHEAD_MAX; i++)
		assert_int_equal(tally_add(tally, 2 + 3 * i, digest), 0); /* never one behind the other */
	assert_int_equal(tally_add(tally, 1000000, digest), -ERANGE);
	assert_int_equal(tally_add_zeroes(tally, 1000000, 5), -ERANGE);
	assert_int_equal(tally_add(tally, 0, digest), 0);
	assert_int_equal(tally_add(tally, 1, digest), 0); /* and with it number 2 */
	assert_int_equal(tally_next(tally), 3);
	assert_int_equal(tally_add(tally, 1000000, digest), 0);
	tally_destroy(tally);
}

static void without_a_digest_it_counts(void **state)
{
	struct rig *rig = *state;
	struct tally *tally;
	uint8_t digest[1] = { 42 };
	rig_suite(rig, RIG_CHUNK, 0);
	atomic_store(&rig->integrity.fail, -EIO); /* it must not be asked */
	assert_int_equal(tally_create(&tally, &rig->suite, 12 * RIG_CHUNK), 0);
	assert_int_equal(tally_add_run(tally, 8, 4, NULL, 0), 0);
	assert_int_equal(tally_add_zeroes(tally, 4, 4), 0);
	assert_int_equal(tally_finish(tally, 12, digest), -ENODATA);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(tally_add(tally, i, NULL), 0);
	assert_int_equal(tally_finish(tally, 12, digest), 0);
	assert_int_equal(digest[0], 42);
	tally_destroy(tally);
}

static void a_failing_plugin_gives_no_digest(void **state)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint8_t digest[RIG_DIGEST];
	assert_non_null(bench);
	bench_begin(bench, *state, 200);
	struct tally *tally = bench_tally(bench, 200);
	atomic_store(&bench->rig->integrity.fail, -EIO);
	assert_int_equal(tally_add_run(tally, 0, 100, bench->digests[0], RIG_DIGEST), 0);
	atomic_store(&bench->rig->integrity.fail, 0);
	assert_int_equal(tally_add_run(tally, 100, 100, bench->digests[100], RIG_DIGEST), 0);
	assert_int_equal(tally_finish(tally, 200, digest), -EIO);
	tally_destroy(tally);
	free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(any_order_gives_the_same),
		RIG_TEST(runs_of_any_length_in_any_order),
		RIG_TEST(zeroes_are_chunks_of_zeroes),
		RIG_TEST(long_runs_of_holes_ahead_cost_little),
		RIG_TEST(what_is_there_is_refused),
		RIG_TEST(an_overlap_never_finishes),
		RIG_TEST(what_waits_is_bounded),
		RIG_TEST(without_a_digest_it_counts),
		RIG_TEST(a_failing_plugin_gives_no_digest),
	};
	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
