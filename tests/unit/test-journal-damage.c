/* SPDX-License-Identifier: BSD-2-Clause */
/* Torn, damaged and forged journals: what is lost is what was hit, and nothing is claimed that was not written. */
#include "scratch.h"

#include "journal-rig.h"

#include "base/crc32c.h"
#include "store/record.h"

/* Three files of four chunks each, the second written by a second run, the third in another cut. */
enum { FILES = 3, CHUNKS = 4, RECORDS_MAX = 64 };
static const char *const names[FILES] = { "a", "dir/b", "c" };

struct image {
	struct buf bytes;
	struct record records[RECORDS_MAX]; /* without their bodies */
	size_t count;
};

static void put_image(struct scratch *s, const void *bytes, size_t len)
{
	/* Not emptied first, nor made anew: some file systems take their time for either. */
	int fd = openat(s->fd, RIG_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

static void read_image(struct scratch *s, struct image *image)
{
	struct scan scan;
	struct stat st;
	int fd = openat(s->fd, RIG_PATH, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(buf_reserve(&image->bytes, (size_t)st.st_size), 0);
	assert_int_equal(read(fd, image->bytes.data, (size_t)st.st_size), st.st_size);
	image->bytes.len = (size_t)st.st_size;
	assert_int_equal(scan_open(&scan, fd, 0), 0);
	while (scan_next(&scan, &image->records[image->count]) == 1)
		assert_true(++image->count < RECORDS_MAX);
	scan_close(&scan);
	close(fd);
}

static const struct journal_suite *suite_of(uint32_t number)
{
	return number == 3 ? &rig_64k : &rig_1m;
}

static uint64_t size_of(uint32_t number)
{
	return (CHUNKS - 1) * (uint64_t)suite_of(number)->chunk_size + 9;
}

static void make_image(struct scratch *s, struct image *image)
{
	*image = (struct image){ 0 };
	for (uint32_t i = 1; i <= FILES; i++) {
		struct journal *journal = rig_open(s, suite_of(i), i > 1);
		uint32_t number = rig_add(journal, names[i - 1], size_of(i));
		assert_int_equal(number, i);
		rig_chunks(journal, suite_of(i), number, size_of(i), 0, CHUNKS);
		assert_int_equal(journal_flush(journal), 0);
		journal_close(journal);
	}
	read_image(s, image);
	assert_int_equal(image->count, 3 + 3 + FILES * (1 + CHUNKS));
}

/* What a journal claims of the files: bit `chunk` of the file's own cut. Each claim has to be as it was written. */
static void read_claims(struct scratch *s, bool resumed, unsigned claimed[FILES])
{
	struct journal *journal = NULL;
	for (uint32_t i = 1; i <= FILES; i++) {
		const struct journal_suite *suite = suite_of(i);
		struct journal_file file;
		if (i == 1 || suite != suite_of(i - 1)) {
			journal_close(journal);
			journal = rig_open(s, suite, resumed);
		}
		struct ranges ranges;
		uint32_t number;
		claimed[i - 1] = 0;
		int code = journal_find(journal, names[i - 1], &number, &file, &ranges);
		if (code == 0) {
			assert_true(number == i && file.size == size_of(i) && file.mtime == RIG_MTIME);
			for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
				if (!ranges_has(&ranges, chunk))
					continue;
				claimed[i - 1] |= 1u << chunk;
				rig_assert_claim(journal, suite, number, chunk,
				                 chunk == CHUNKS - 1 ? 9 : suite->chunk_size);
			}
			for (size_t k = 0; k < ranges.count; k++)
				assert_true(ranges.all[k].end <= CHUNKS);
			ranges_free(&ranges);
		} else {
			assert_int_equal(code, -ENOENT);
		}
	}
	journal_close(journal);
}

/* What is claimed when these records are missing. */
static bool expect(const struct image *image, const bool lost[RECORDS_MAX], unsigned claimed[FILES])
{
	bool heads = false, suites[RECORD_SUITES] = { false };
	bool files[FILES] = { false };
	unsigned chunk_at[FILES] = { 0 };
	memset(claimed, 0, FILES * sizeof(*claimed));
	for (size_t i = 0; i < image->count; i++) {
		const struct record *record = &image->records[i];
		uint32_t number = record->number;
		switch (record->type) {
		case RECORD_HEAD: heads |= !lost[i]; break;
		case RECORD_SUITE: suites[number] |= !lost[i]; break;
		case RECORD_FILE: files[number - 1] |= !lost[i]; break;
		case RECORD_CHUNK:
			if (!lost[i] && suites[number == 3])
				claimed[number - 1] |= 1u << chunk_at[number - 1];
			chunk_at[number - 1]++;
			break;
		}
	}
	for (unsigned i = 0; i < FILES; i++)
		if (!files[i] || !heads)
			claimed[i] = 0;
	return heads;
}

static void assert_lost(struct scratch *s, const struct image *image, const bool lost[RECORDS_MAX])
{
	unsigned expected[FILES], claimed[FILES];
	bool resumed = expect(image, lost, expected);
	read_claims(s, resumed, claimed);
	assert_memory_equal(claimed, expected, sizeof(claimed));
}

static size_t end_of(const struct image *image, size_t i)
{
	return i + 1 < image->count ? image->records[i + 1].at : image->bytes.len;
}

static void torn_at_every_byte(void **state)
{
	struct scratch *s = *state;
	struct image image;
	make_image(s, &image);
	for (size_t len = 0; len <= image.bytes.len; len++) {
		bool lost[RECORDS_MAX] = { false };
		for (size_t i = 0; i < image.count; i++)
			lost[i] = end_of(&image, i) > len;
		put_image(s, image.bytes.data, len);
		assert_lost(s, &image, lost);
	}
	buf_free(&image.bytes);
}

/* Torn at every byte, and gone on behind: nothing of the new is swallowed by the old. */
static void torn_and_continued(void **state)
{
	struct scratch *s = *state;
	struct image image;
	unsigned claimed[FILES];
	make_image(s, &image);
	for (size_t len = 0; len < image.bytes.len; len++) {
		put_image(s, image.bytes.data, len);
		struct journal *journal = rig_open(s, &rig_1m, len >= end_of(&image, 0));
		uint32_t number = rig_add(journal, "new", RIG_1M);
		rig_chunk(journal, &rig_1m, number, RIG_1M, 0);
		assert_int_equal(journal_flush(journal), 0);
		journal_close(journal);
		journal = rig_open(s, &rig_1m, true);
		rig_assert_found(journal, "new", number, "0-0");
		rig_assert_claim(journal, &rig_1m, number, 0, RIG_1M);
		journal_close(journal);
		read_claims(s, true, claimed);
	}
	buf_free(&image.bytes);
}

static void every_bit_of_every_record(void **state)
{
	struct scratch *s = *state;
	struct image image;
	make_image(s, &image);
	for (size_t i = 0; i < image.count; i++) {
		bool lost[RECORDS_MAX] = { false };
		lost[i] = true;
		for (size_t at = image.records[i].at; at < end_of(&image, i); at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				image.bytes.data[at] ^= (uint8_t)(1u << bit);
				put_image(s, image.bytes.data, image.bytes.len);
				assert_lost(s, &image, lost);
				image.bytes.data[at] ^= (uint8_t)(1u << bit);
			}
		}
	}
	buf_free(&image.bytes);
}

/* A file whose record is lost: its number is not given to another, which would have its chunks. */
static void a_lost_number_is_not_given_again(void **state)
{
	struct scratch *s = *state;
	struct image image;
	make_image(s, &image);
	for (size_t i = 0; i < image.count; i++)
		if (image.records[i].type == RECORD_FILE)
			image.bytes.data[image.records[i].at] = 0;
	put_image(s, image.bytes.data, image.bytes.len);
	struct journal *journal = rig_open(s, &rig_1m, true);
	assert_int_equal(rig_add(journal, "new", RIG_1M), FILES + 1);
	journal_close(journal);
	buf_free(&image.bytes);
}

/* A lost suite costs the chunks up to its next record. */
static void suites_are_said_again(void **state)
{
	struct scratch *s = *state;
	struct journal_file file;
	struct ranges claims;
	struct image image = { 0 };
	const uint64_t size = 2000 * (uint64_t)RIG_1M;
	struct journal *journal = rig_open(s, &rig_1m, false);
	uint32_t number = rig_add(journal, "a", size);
	rig_chunks(journal, &rig_1m, number, size, 0, 2000);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	struct stat st;
	int fd = openat(s->fd, RIG_PATH, O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(buf_reserve(&image.bytes, (size_t)st.st_size), 0);
	assert_int_equal(read(fd, image.bytes.data, (size_t)st.st_size), st.st_size);
	uint8_t *suite = memmem(image.bytes.data, (size_t)st.st_size, "sha256", 6);
	assert_non_null(suite);
	assert_int_equal(pwrite(fd, "SHA", 3, suite - image.bytes.data), 3);
	close(fd);
	journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_find(journal, "a", &number, &file, &claims), 0);
	assert_true(claims.count == 1 && claims.all[0].first > 500 && claims.all[0].first < 600);
	assert_true(claims.all[0].end == 2000);
	ranges_free(&claims);
	journal_close(journal);
	buf_free(&image.bytes);
}

/* Runs of bytes overwritten, moved out, put in twice: what is claimed was written. */
static void every_other_damage(void **state)
{
	struct scratch *s = *state;
	struct image image;
	unsigned claimed[FILES];
	uint8_t damaged[8192];
	make_image(s, &image);
	assert_true(2 * image.bytes.len < sizeof(damaged));
	for (size_t from = 0; from < image.bytes.len; from += 7) {
		for (size_t len = 1; len < 200 && from + len < image.bytes.len; len += 31) {
			size_t rest = image.bytes.len - from - len;
			memcpy(damaged, image.bytes.data, from);
			memcpy(damaged + from, image.bytes.data + from + len, rest);
			put_image(s, damaged, from + rest);
			struct journal *journal = NULL;
			bool resumed;
			assert_int_equal(journal_open(&journal, s->root, RIG_PATH, &rig_head, &rig_1m, &resumed, NULL),
			                 0);
			journal_close(journal);
			read_claims(s, resumed, claimed);
			memcpy(damaged + from, image.bytes.data + from, len);
			memcpy(damaged + from + len, image.bytes.data + from, len + rest);
			put_image(s, damaged, image.bytes.len + len);
			read_claims(s, true, claimed);
		}
	}
	buf_free(&image.bytes);
}

/* ---- forged: records that check, and lie ---- */

static void start(struct buf *out)
{
	assert_int_equal(record_put_head(out, &rig_head), 0);
	assert_int_equal(record_put_suite(out, 0, &rig_1m), 0);
}

static void put_forged(struct scratch *s, struct buf *bytes)
{
	put_image(s, bytes->data, bytes->len);
	buf_free(bytes);
}

static void forged_numbers_are_left_out(void **state)
{
	struct scratch *s = *state;
	const struct journal_file file = { 2 * RIG_1M, RIG_MTIME, RIG_MTIME_NS, "a" };
	const uint32_t numbers[] = { 0, 1000, UINT32_MAX };
	uint8_t digest[JOURNAL_DIGEST_MAX] = { 0 };
	const struct journal_chunk chunk = { .length = RIG_1M, .digest = digest };
	for (unsigned i = 0; i < COUNT(numbers); i++) {
		struct buf bytes = { 0 };
		start(&bytes);
		assert_int_equal(record_put_file(&bytes, numbers[i], &file), 0);
		assert_int_equal(record_put_chunk(&bytes, numbers[i], 0, &chunk, 32), 0);
		put_forged(s, &bytes);
		struct journal *journal = rig_open(s, &rig_1m, true);
		assert_int_equal(journal_find(journal, "a", NULL, NULL, NULL), -ENOENT);
		assert_int_equal(rig_add(journal, "b", 1), 1); /* and numbers are not used up */
		journal_close(journal);
	}
}

static void forged_chunks_are_left_out(void **state)
{
	struct scratch *s = *state;
	uint8_t digest[JOURNAL_DIGEST_MAX] = { 0 };
	const struct journal_file file = { 2 * RIG_1M + 1, RIG_MTIME, RIG_MTIME_NS, "a" };
	const struct journal_chunk chunks[] = {
		{ .offset = 1, .length = RIG_1M },                      /* not where a chunk is */
		{ .offset = RIG_1M, .length = RIG_1M + 1 },             /* longer than one */
		{ .offset = RIG_1M, .length = 0 },                      /* none */
		{ .offset = 3 * (uint64_t)RIG_1M, .length = RIG_1M },   /* behind the end */
		{ .offset = UINT64_MAX - RIG_1M + 1, .length = RIG_1M } /* up to the end of all numbers */
	};
	struct buf bytes = { 0 };
	start(&bytes);
	assert_int_equal(record_put_file(&bytes, 1, &file), 0);
	for (unsigned i = 0; i < COUNT(chunks); i++) {
		struct journal_chunk chunk = chunks[i];
		chunk.digest = digest;
		assert_int_equal(record_put_chunk(&bytes, 1, 0, &chunk, 32), 0);
	}
	const struct journal_chunk right = { .offset = 0, .length = RIG_1M, .digest = digest };
	assert_int_equal(record_put_chunk(&bytes, 1, 0, &right, 31), 0);  /* a digest of another size */
	assert_int_equal(record_put_chunk(&bytes, 1, 1, &right, 32), 0);  /* a suite that is not there */
	assert_int_equal(record_put_chunk(&bytes, 1, 99, &right, 32), 0); /* nor can be */
	put_forged(s, &bytes);
	struct journal *journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", 1, "");
	journal_close(journal);
}

/* Ranges tell what is said to be there; a single claim is only as long as it says itself. */
static void a_short_claim_covers_nothing_more(void **state)
{
	struct scratch *s = *state;
	uint8_t digest[JOURNAL_DIGEST_MAX] = { 0 };
	struct journal_claim claim;
	const struct journal_file file = { 2 * RIG_1M, RIG_MTIME, RIG_MTIME_NS, "a" };
	const struct journal_chunk chunk = { .length = 100, .digest = digest };
	struct buf bytes = { 0 };
	start(&bytes);
	assert_int_equal(record_put_file(&bytes, 1, &file), 0);
	assert_int_equal(record_put_chunk(&bytes, 1, 0, &chunk, 32), 0);
	put_forged(s, &bytes);
	struct journal *journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_claims(journal, 1, 0, RIG_1M, &claim, 1), 1); /* the first of several? */
	assert_int_equal(claim.length, 100);
	assert_int_equal(journal_claims(journal, 1, 100, RIG_1M - 100, &claim, 1), -ENOENT);
	journal_close(journal);
}

static void huge_sizes_cost_nothing(void **state)
{
	struct scratch *s = *state;
	uint8_t digest[JOURNAL_DIGEST_MAX] = { 0 };
	const struct journal_chunk chunk = { .offset = (uint64_t)INT64_MAX - (RIG_1M - 1),
		                             .length = RIG_1M,
		                             .digest = digest };
	const struct journal_file file = { UINT64_MAX, INT64_MIN, UINT32_MAX, "a" };
	struct buf bytes = { 0 };
	start(&bytes);
	assert_int_equal(record_put_file(&bytes, 1, &file), 0);
	assert_int_equal(record_put_chunk(&bytes, 1, 0, &chunk, 32), 0);
	put_forged(s, &bytes);
	struct journal *journal = rig_open(s, &rig_64k, true);
	rig_assert_found(journal, "a", 1, "140737488355312-140737488355327");
	journal_close(journal);
}

/* A record within another, as a name can be made to look: found only where the outer one is damaged. */
static void a_name_that_is_a_record_is_a_name(void **state)
{
	struct scratch *s = *state;
	const struct journal_file inner = { 1, 0, 0, "no" };
	struct buf name = { 0 }, bytes = { 0 };
	/* Numbers without NUL bytes would be needed for a real name; as bytes it will do. */
	assert_int_equal(record_put_file(&name, 1, &inner), 0);
	start(&bytes);
	size_t at = bytes.len;
	const struct journal_file outer = { 1, RIG_MTIME, RIG_MTIME_NS, "0123456789012345678901234567890123456789" };
	assert_true(name.len <= strlen(outer.path));
	assert_int_equal(record_put_file(&bytes, 1, &outer), 0);
	memcpy(bytes.data + at + RECORD_START + 22, name.data, name.len);
	/* Not checking as it stands: the inner one is found. */
	put_image(s, bytes.data, bytes.len);
	struct journal *journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "no", 1, "");
	journal_close(journal);
	/* Checking: it is part of a name. */
	size_t len = RECORD_START + 22 + strlen(outer.path);
	uint32_t crc = crc32c(0, bytes.data + at, len);
	for (unsigned i = 0; i < 4; i++)
		bytes.data[at + len + i] = (uint8_t)(crc >> 8 * i);
	put_image(s, bytes.data, bytes.len);
	journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_find(journal, "no", NULL, NULL, NULL), -ENOENT);
	journal_close(journal);
	buf_free(&name);
	buf_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_ONE(torn_at_every_byte),
		SCRATCH_ONE(torn_and_continued),
		SCRATCH_ONE(every_bit_of_every_record),
		SCRATCH_ONE(a_lost_number_is_not_given_again),
		SCRATCH_ONE(suites_are_said_again),
		SCRATCH_ONE(every_other_damage),
		SCRATCH_ONE(forged_numbers_are_left_out),
		SCRATCH_ONE(forged_chunks_are_left_out),
		SCRATCH_ONE(a_short_claim_covers_nothing_more),
		SCRATCH_ONE(huge_sizes_cost_nothing),
		SCRATCH_ONE(a_name_that_is_a_record_is_a_name),
	};
	return cmocka_run_group_tests_name("journal-damage", tests, NULL, NULL);
}
