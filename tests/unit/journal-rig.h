/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the journal share: suites, chunks whose digest and CRC follow from their place, and what to expect. */
#ifndef XFER_TESTS_JOURNAL_RIG_H
#define XFER_TESTS_JOURNAL_RIG_H

#include "scratch.h"

#include "store/journal.h"

#define RIG_PATH STORE_HIDDEN "00112233.j"
enum { RIG_1K = 1 << 10, RIG_64K = 1 << 16, RIG_1M = 1 << 20, RIG_MTIME = -7, RIG_MTIME_NS = 123456789 };

static const struct journal_suite rig_1m MAYBE = { RIG_1M, 32, "sha256" };
static const struct journal_suite rig_64k MAYBE = { RIG_64K, 32, "sha256" };
static const struct journal_suite rig_crc MAYBE = { RIG_1M, 4, "crc32" };
static const struct journal_suite rig_none MAYBE = { RIG_1M, 0, "none" };
static const struct journal_head rig_head = { "sixteen bytes id", "xfer://host/pub/a", STORE_HIDDEN "00112233", "a" };

static MAYBE struct journal *rig_open_as(struct scratch *s, const struct journal_head *head,
                                         const struct journal_suite *suite, bool resumed)
{
	struct journal *journal = NULL;
	struct error err = { 0 };
	bool was = !resumed;
	int code = journal_open(&journal, s->root, RIG_PATH, head, suite, &was, &err);
	if (code < 0)
		fail_msg("%s", err.text);
	assert_true(was == resumed);
	return journal;
}

static MAYBE struct journal *rig_open(struct scratch *s, const struct journal_suite *suite, bool resumed)
{
	return rig_open_as(s, &rig_head, suite, resumed);
}

static MAYBE uint32_t rig_add(struct journal *journal, const char *path, uint64_t size)
{
	const struct journal_file file = { size, RIG_MTIME, RIG_MTIME_NS, path };
	uint32_t number = 0;
	assert_int_equal(journal_add_file(journal, &file, &number), 0);
	return number;
}

/* What stands for the content of a chunk; different for each. */
static MAYBE uint32_t rig_crc_of(uint32_t number, uint64_t offset)
{
	return (uint32_t)(number * 2654435761u + offset * 40503u);
}

static MAYBE void rig_digest_of(uint8_t digest[JOURNAL_DIGEST_MAX], uint32_t number, uint64_t offset)
{
	for (unsigned i = 0; i < JOURNAL_DIGEST_MAX; i++)
		digest[i] = (uint8_t)(rig_crc_of(number, offset) >> i % 4 * 8 ^ i);
}

static MAYBE void rig_chunk(struct journal *journal, const struct journal_suite *suite, uint32_t number, uint64_t size,
                            uint64_t chunk)
{
	uint8_t digest[JOURNAL_DIGEST_MAX];
	uint64_t offset = chunk * suite->chunk_size;
	struct journal_chunk one = { .offset = offset, .crc = rig_crc_of(number, offset), .digest = digest };
	one.length = size - offset < suite->chunk_size ? (uint32_t)(size - offset) : suite->chunk_size;
	rig_digest_of(digest, number, offset);
	assert_int_equal(journal_add_chunks(journal, number, &one, 1), 0);
}

/* Chunks first to end - 1. */
static MAYBE void rig_chunks(struct journal *journal, const struct journal_suite *suite, uint32_t number, uint64_t size,
                             uint64_t first, uint64_t end)
{
	for (uint64_t chunk = first; chunk < end; chunk++)
		rig_chunk(journal, suite, number, size, chunk);
}

/* Ranges as text: "0-1 4-5"; frees them. */
static MAYBE void rig_assert_ranges(struct ranges *ranges, const char *expected)
{
	char text[512] = "";
	size_t len = 0;
	for (size_t i = 0; i < ranges->count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu-%llu", i > 0 ? " " : "",
		                        (unsigned long long)ranges->all[i].first,
		                        (unsigned long long)ranges->all[i].end - 1);
	ranges_free(ranges);
	assert_string_equal(text, expected);
}

static MAYBE void rig_assert_found(struct journal *journal, const char *path, uint32_t number, const char *expected)
{
	struct journal_file file;
	struct ranges claims;
	uint32_t found;
	assert_int_equal(journal_find(journal, path, &found, &file, &claims), 0);
	assert_int_equal(found, number);
	rig_assert_ranges(&claims, expected);
}

/* One claim of our suite, as rig_chunk() made it. */
static MAYBE void rig_assert_claim(struct journal *journal, const struct journal_suite *suite, uint32_t number,
                                   uint64_t chunk, uint32_t length)
{
	struct journal_claim claim;
	uint8_t digest[JOURNAL_DIGEST_MAX];
	uint64_t offset = chunk * suite->chunk_size;
	assert_int_equal(journal_claims(journal, number, offset, length, &claim, 1), 1);
	assert_true(claim.offset == offset && claim.length == length && claim.same);
	assert_int_equal(claim.crc, rig_crc_of(number, offset));
	rig_digest_of(digest, number, offset);
	assert_memory_equal(claim.digest, digest, suite->digest_size);
}

#endif
