/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A journal of any bytes: it opens, claims nothing that lies outside of a file, and takes what is added, so that the next
 * one finds it. Input: a byte that chooses (the suite that asks; SEALED: the CRCs are made right, so that records that
 * lie are reached), then the file.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "store/journal.h"
#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char fuzz_name[] = "journal";

static const char path[] = STORE_HIDDEN "fuzz.j";
static const struct journal_head head = { "sixteen bytes id", "xfer://host/a", STORE_HIDDEN "fuzz", "a" };
static const struct journal_suite suites[] = {
	{ 1024, 4, "crc32" }, { 4096, 32, "sha256" }, { 3000, 0, "none" }, { 1 << 20, 64, "sha512" }
};
enum { SUITES = sizeof(suites) / sizeof(suites[0]), SEALED = 0x80 };
static const char *const names[] = { "", "a", "dir/b" };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the file ---- */

static char folder[64];

static void remove_folder(void)
{
	(void)rmdir(folder);
}

/* A folder in memory, where there is one. */
static struct store_root *scratch(void)
{
	static struct store_root *root; /* the fuzzer calls one function only: there is no other place for it */
	if (root)
		return root;
	snprintf(folder, sizeof(folder), "/dev/shm/xfer-fuzz-XXXXXX");
	if (!mkdtemp(folder)) {
		snprintf(folder, sizeof(folder), "/tmp/xfer-fuzz-XXXXXX");
		must(mkdtemp(folder) != NULL);
	}
	must(store_root_open(&root, folder, NULL) == 0 && atexit(remove_folder) == 0);
	return root;
}

/* Makes the CRCs right of all records that follow upon each other from the start. */
static void seal(uint8_t *bytes, size_t len)
{
	while (len >= RECORD_EXTRA && bytes[1] == RECORD_MAGIC) {
		size_t covered = RECORD_START + (bytes[2] | (size_t)bytes[3] << 8);
		if (covered + 4 > len)
			return;
		uint32_t crc = crc32c(0, bytes, covered);
		for (unsigned i = 0; i < 4; i++)
			bytes[covered + i] = (uint8_t)(crc >> 8 * i);
		bytes += covered + 4;
		len -= covered + 4;
	}
}

static void put_file(struct store_root *root, const uint8_t *bytes, size_t len, bool sealed)
{
	uint8_t *copy = malloc(len + 1);
	int fd = -1;
	must(copy != NULL);
	must(store_open(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd) == 0);
	if (len > 0)
		memcpy(copy, bytes, len);
	if (sealed)
		seal(copy, len);
	must(write(fd, copy, len) == (ssize_t)len);
	close(fd);
	free(copy);
}

/* ---- what it says ---- */

static void check_claims(struct journal *journal, const struct journal_suite *suite, uint32_t number,
                         const struct journal_file *file, const struct ranges *claims)
{
	struct journal_claim found[4];
	for (size_t i = 0; i < claims->count; i++) {
		const struct range *range = &claims->all[i];
		must(range->first < range->end && (range->end - 1) <= (file->size - 1) / suite->chunk_size);
		uint64_t at = range->first * suite->chunk_size;
		int count = journal_claims(journal, number, at, suite->chunk_size, found, 4);
		must(count == -ENOENT || (count >= 1 && count <= 4));
		for (int k = 0; k < count; k++)
			must(found[k].offset <= at && found[k].offset + found[k].length > at &&
			     (at = found[k].offset + found[k].length) > 0);
	}
}

static void look(struct journal *journal, const struct journal_suite *suite)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct journal_file file;
		struct ranges claims;
		uint32_t number;
		int code = journal_find(journal, names[i], &number, &file, &claims);
		must(code == 0 || code == -ENOENT);
		if (code < 0)
			continue;
		must(number > 0);
		check_claims(journal, suite, number, &file, &claims);
		ranges_free(&claims);
	}
}

static struct journal *open_it(struct store_root *root, const struct journal_suite *suite, bool *resumed)
{
	struct journal *journal;
	must(journal_open(&journal, root, path, &head, suite, resumed, NULL) == 0);
	return journal;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t digest[JOURNAL_DIGEST_MAX];
	const struct journal_file file = { 5000, 1, 2, "new" };
	struct store_root *root = scratch();
	const struct journal_suite *suite = &suites[len > 0 ? bytes[0] % SUITES : 0];
	struct journal_chunk chunk = { .crc = 7, .digest = digest };
	struct journal_suite peeked;
	struct journal_about about;
	struct ranges claims;
	struct journal_file found;
	uint32_t number, again;
	bool flag;

	if (len == 0)
		return 0;
	put_file(root, bytes + 1, len - 1, bytes[0] & SEALED);
	int code = journal_peek(root, path, &peeked);
	must(code == -ENOENT || (code == 0 && peeked.chunk_size > 0 && peeked.digest_size <= JOURNAL_DIGEST_MAX));
	must(journal_about(root, path, &about, &flag) == 0 && !flag);
	journal_about_free(&about);

	struct journal *journal = open_it(root, suite, &flag);
	look(journal, suite);
	must(journal_add_file(journal, &file, &number) == 0 && number > 0);
	chunk.length = suite->chunk_size < 5000 ? suite->chunk_size : 5000;
	must(journal_add_chunks(journal, number, &chunk, 1) == 0 && journal_flush(journal) == 0);
	journal_close(journal);

	journal = open_it(root, suite, &flag);
	must(flag);
	must(journal_find(journal, "new", &again, &found, &claims) == 0 && again == number && found.size == 5000);
	must(ranges_has(&claims, 0));
	ranges_free(&claims);
	journal_remove(journal);
	return 0;
}

/* One run of a transfer in suite `at`. */
static int seed_run(struct buf *out, size_t at, uint32_t number)
{
	static const uint8_t digest[JOURNAL_DIGEST_MAX];
	const struct journal_suite *suite = &suites[at];
	const struct journal_file file = { 10000, 3, 4, names[number - 1] };
	int code = record_put_head(out, &head);
	if (code == 0)
		code = record_put_suite(out, (uint32_t)at, suite);
	if (code == 0)
		code = record_put_file(out, number, &file);
	for (uint64_t offset = 0; code == 0 && offset < file.size; offset += 2 * (uint64_t)suite->chunk_size) {
		struct journal_chunk chunk = { .offset = offset, .crc = 9, .digest = digest };
		uint64_t left = file.size - offset;
		chunk.length = left < suite->chunk_size ? (uint32_t)left : suite->chunk_size;
		code = record_put_chunk(out, number, (uint32_t)at, &chunk, suite->digest_size);
	}
	return code;
}

int fuzz_seed(size_t i, struct buf *out)
{
	const uint8_t asks = (uint8_t)(i % 3 | (i < 3 ? 0 : SEALED));
	if (i >= 6)
		return 0;
	int code = buf_append(out, &asks, 1);
	for (size_t run = 0; code == 0 && run <= i % 3; run++)
		code = seed_run(out, run, (uint32_t)run + 1);
	return code < 0 ? code : 1;
}
