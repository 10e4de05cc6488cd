/* SPDX-License-Identifier: BSD-2-Clause */
/* What a journal claims when the next run cuts or digests otherwise, and when the source has changed in between. */
#include "scratch.h"

#include "journal-rig.h"

enum { CLAIMS = 64 };

static void large_chunks_hold_small_ones(void **state)
{
	struct scratch *s = *state;
	const uint64_t size = 3 * RIG_1M + 100;
	struct journal_claim claims[CLAIMS];
	struct journal *journal = rig_open(s, &rig_1m, false);
	uint32_t number = rig_add(journal, "a", size);
	rig_chunk(journal, &rig_1m, number, size, 1);
	rig_chunk(journal, &rig_1m, number, size, 3);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_64k, true);
	rig_assert_found(journal, "a", number, "16-31 48-48");
	/* One claim that begins before and ends behind. */
	assert_int_equal(journal_claims(journal, number, 17 * RIG_64K, RIG_64K, claims, CLAIMS), 1);
	assert_true(claims[0].offset == RIG_1M && claims[0].length == RIG_1M && !claims[0].same);
	assert_int_equal(claims[0].crc, rig_crc_of(number, RIG_1M));
	assert_int_equal(journal_claims(journal, number, 3 * RIG_1M, 100, claims, CLAIMS), 1);
	assert_true(claims[0].offset == 3 * RIG_1M && claims[0].length == 100 && !claims[0].same);
	assert_int_equal(journal_claims(journal, number, 15 * RIG_64K, RIG_64K, claims, CLAIMS), -ENOENT);
	assert_int_equal(journal_claims(journal, number, 31 * RIG_64K, 2 * RIG_64K, claims, CLAIMS), -ENOENT);
	/* What was checked anew counts by itself from now on. */
	rig_chunk(journal, &rig_64k, number, size, 17);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_64k, true);
	rig_assert_found(journal, "a", number, "16-31 48-48");
	rig_assert_claim(journal, &rig_64k, number, 17, RIG_64K);
	assert_int_equal(journal_claims(journal, number, 18 * RIG_64K, RIG_64K, claims, CLAIMS), 1);
	assert_false(claims[0].same);
	journal_close(journal);
}

static void small_chunks_make_large_ones(void **state)
{
	struct scratch *s = *state;
	const uint64_t size = 2 * RIG_1M + RIG_64K + 5;
	struct journal_claim claims[CLAIMS];
	struct journal *journal = rig_open(s, &rig_64k, false);
	uint32_t number = rig_add(journal, "a", size);
	for (uint64_t chunk = 34; chunk-- > 0;) /* in whatever order they came */
		if (chunk != 20)
			rig_chunk(journal, &rig_64k, number, size, chunk);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", number, "0-0 2-2");
	assert_int_equal(journal_claims(journal, number, 0, RIG_1M, claims, CLAIMS), 16);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(claims[i].offset == i * RIG_64K && claims[i].length == RIG_64K && !claims[i].same);
		assert_int_equal(claims[i].crc, rig_crc_of(number, claims[i].offset));
	}
	/* With less room: a part, and the rest when asked again. */
	assert_int_equal(journal_claims(journal, number, 0, RIG_1M, claims, 11), 11);
	assert_true(claims[10].offset == 10 * RIG_64K);
	assert_int_equal(journal_claims(journal, number, 11 * RIG_64K, 5 * RIG_64K, claims, 11), 5);
	assert_int_equal(journal_claims(journal, number, RIG_1M, RIG_1M, claims, CLAIMS), -ENOENT);
	assert_int_equal(journal_claims(journal, number, 2 * RIG_1M, RIG_64K + 5, claims, CLAIMS), 2);
	assert_int_equal(claims[1].length, 5);
	/* The one that is missing comes in another cut. */
	rig_chunk(journal, &rig_1m, number, size, 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", number, "0-2");
	rig_assert_claim(journal, &rig_1m, number, 1, RIG_1M);
	journal_close(journal);
	/* And counts for the next who cuts small again. */
	journal = rig_open(s, &rig_64k, true);
	rig_assert_found(journal, "a", number, "0-33");
	rig_assert_claim(journal, &rig_64k, number, 19, RIG_64K);
	assert_int_equal(journal_claims(journal, number, 20 * RIG_64K, RIG_64K, claims, CLAIMS), 1);
	assert_true(claims[0].offset == RIG_1M && !claims[0].same);
	journal_close(journal);
}

static void another_integrity_leaves_the_crc(void **state)
{
	struct scratch *s = *state;
	const struct journal_suite *suites[] = { &rig_1m, &rig_crc, &rig_none };
	struct journal_claim claim;
	struct journal *journal = rig_open(s, suites[0], false);
	uint32_t number = rig_add(journal, "a", 9 * (uint64_t)RIG_1M);
	for (unsigned i = 0; i < COUNT(suites); i++) {
		rig_chunk(journal, suites[i], number, 9 * (uint64_t)RIG_1M, i);
		assert_int_equal(journal_flush(journal), 0);
		journal_close(journal);
		journal = rig_open(s, suites[(i + 1) % COUNT(suites)], true);
		for (unsigned k = 0; k <= i; k++) {
			assert_int_equal(journal_claims(journal, number, k * (uint64_t)RIG_1M, RIG_1M, &claim, 1), 1);
			assert_int_equal(claim.crc, rig_crc_of(number, k * (uint64_t)RIG_1M));
			assert_int_equal(claim.same, i == 2 && k == 0); /* then rig_1m's turn has come again */
		}
	}
	rig_assert_found(journal, "a", number, "0-2");
	journal_close(journal);
}

static void the_last_word_counts(void **state)
{
	struct scratch *s = *state;
	uint8_t digest[JOURNAL_DIGEST_MAX] = { 1 };
	struct journal_chunk chunk = { .length = RIG_1M, .crc = 1, .digest = digest };
	struct journal_claim claim;
	struct journal *journal = rig_open(s, &rig_1m, false);
	uint32_t number = rig_add(journal, "a", RIG_1M);
	for (; chunk.crc <= 3; chunk.crc++)
		assert_int_equal(journal_add_chunks(journal, number, &chunk, 1), 0);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", number, "0-0");
	assert_int_equal(journal_claims(journal, number, 0, RIG_1M, &claim, 1), 1);
	assert_int_equal(claim.crc, 3);
	journal_close(journal);
}

static void a_changed_file_begins_anew(void **state)
{
	struct scratch *s = *state;
	struct journal_file file = { 3 * RIG_1M, RIG_MTIME, RIG_MTIME_NS, "a" };
	struct ranges claims;
	uint32_t number;
	struct journal *journal = rig_open(s, &rig_1m, false);
	rig_chunks(journal, &rig_1m, rig_add(journal, "a", file.size), file.size, 0, 3);
	rig_chunks(journal, &rig_1m, rig_add(journal, "b", file.size), file.size, 0, 2);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	file.mtime++;
	assert_int_equal(journal_add_file(journal, &file, &number), 0);
	assert_int_equal(number, 3);
	rig_chunk(journal, &rig_1m, number, file.size, 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_find(journal, "a", &number, &file, &claims), 0);
	assert_int_equal(number, 3);
	assert_int_equal(file.mtime, RIG_MTIME + 1);
	rig_assert_ranges(&claims, "1-1");
	rig_assert_found(journal, "b", 2, "0-1");
	journal_close(journal);
}

/* ---- at random, against a map of bytes ---- */

enum { UNIT = 1024, UNITS = 200, SESSIONS = 12 };

static uint64_t next_random(uint64_t *seed)
{
	*seed += 0x9e3779b97f4a7c15u;
	uint64_t z = *seed;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 31;
}

static void assert_as_mapped(struct journal *journal, uint32_t number, uint64_t size, uint32_t chunk_size,
                             const bool *claimed)
{
	struct journal_claim claims[3];
	struct journal_file file;
	struct ranges ranges;
	uint32_t found;
	assert_int_equal(journal_find(journal, "a", &found, &file, &ranges), 0);
	assert_int_equal(found, number);
	for (uint64_t begin = 0; begin < size; begin += chunk_size) {
		uint64_t end = size - begin < chunk_size ? size : begin + chunk_size;
		bool all = true;
		for (uint64_t at = begin; at < end; at += UNIT)
			all = all && claimed[at / UNIT];
		assert_int_equal(ranges_has(&ranges, begin / chunk_size), all);
		/* Claims without a gap, each as it was written. */
		for (uint64_t at = begin; at < end;) {
			int count = journal_claims(journal, number, at, (uint32_t)(end - at), claims, COUNT(claims));
			if (!all) {
				/* With room for few, what is missing may lie further on. */
				assert_true(count == -ENOENT || count == (int)COUNT(claims));
				break;
			}
			assert_true(count > 0);
			for (int i = 0; i < count; i++) {
				assert_true(claims[i].offset <= at);
				assert_true(claims[i].offset + claims[i].length > at);
				assert_int_equal(claims[i].crc, rig_crc_of(number, claims[i].offset));
				at = claims[i].offset + claims[i].length;
			}
		}
	}
	ranges_free(&ranges);
}

static void any_cuts_join(void **state)
{
	struct scratch *s = *state;
	for (uint64_t round = 1; round <= 20; round++) {
		uint64_t seed = round;
		bool claimed[UNITS + 1] = { false };
		const uint64_t size = UNIT * (UNITS / 2 + next_random(&seed) % (UNITS / 2)) + next_random(&seed) % 2;
		uint32_t number = 0;
		for (unsigned session = 0; session < SESSIONS; session++) {
			struct journal_suite suite = { .digest_size = 16, .integrity = "some" };
			suite.chunk_size = UNIT * (1 + (uint32_t)(next_random(&seed) % 9));
			struct journal *journal = rig_open(s, &suite, session > 0);
			uint64_t chunks = (size + suite.chunk_size - 1) / suite.chunk_size;
			if (session == 0)
				number = rig_add(journal, "a", size);
			else
				assert_as_mapped(journal, number, size, suite.chunk_size, claimed);
			for (unsigned i = 0; i < 8; i++) {
				uint64_t chunk = next_random(&seed) % chunks;
				uint64_t begin = chunk * suite.chunk_size;
				rig_chunk(journal, &suite, number, size, chunk);
				for (uint64_t at = begin; at < size && at < begin + suite.chunk_size; at += UNIT)
					claimed[at / UNIT] = true;
			}
			assert_int_equal(journal_flush(journal), 0);
			journal_close(journal);
		}
		assert_int_equal(unlinkat(s->fd, RIG_PATH, 0), 0);
	}
}

/* More scattered than ranges hold: what has no room is not claimed, the rest is. */
static void scattered_claims_are_bounded(void **state)
{
	struct scratch *s = *state;
	const struct journal_suite suite = { RIG_1K, 4, "crc32" };
	const uint64_t size = 3 * (uint64_t)RANGES_MAX * RIG_1K;
	struct journal_file file;
	struct ranges claims;
	struct journal *journal = rig_open(s, &suite, false);
	uint32_t number = rig_add(journal, "a", size);
	for (uint64_t chunk = 0; chunk < 3 * (uint64_t)RANGES_MAX; chunk += 2)
		rig_chunk(journal, &suite, number, size, chunk);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &suite, true);
	assert_int_equal(journal_find(journal, "a", &number, &file, &claims), 0);
	assert_int_equal(claims.count, RANGES_MAX);
	assert_true(ranges_has(&claims, 0) && !ranges_has(&claims, 1) && ranges_has(&claims, 2));
	ranges_free(&claims);
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_ONE(large_chunks_hold_small_ones),     SCRATCH_ONE(small_chunks_make_large_ones),
		SCRATCH_ONE(another_integrity_leaves_the_crc), SCRATCH_ONE(the_last_word_counts),
		SCRATCH_ONE(a_changed_file_begins_anew),       SCRATCH_ONE(any_cuts_join),
		SCRATCH_ONE(scattered_claims_are_bounded),
	};
	return cmocka_run_group_tests_name("journal-cut", tests, NULL, NULL);
}
