/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal's index: sorted however its entries came, in little memory however many they are. */
#include "scratch.h"

#include "journal-rig.h"

#include "base/clock.h"
#include "store/index.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

static int make_file(void *context, int *fd)
{
	unsigned *made = context;
	(*made)++;
	*fd = memfd_create("test-index", MFD_CLOEXEC);
	return *fd < 0 ? -errno : 0;
}

/* Entry `i` of `count` as it is to stand: each major twice, the second one with two of the same minor. */
static struct index_entry entry_at(uint64_t i)
{
	return (struct index_entry){ i / 3, i % 3 == 0 ? 0 : 7, i % 3 };
}

enum order { IN_ORDER, BACKWARDS, SCATTERED };

static uint64_t place_of(enum order order, uint64_t i, uint64_t count)
{
	switch (order) {
	case BACKWARDS: return count - 1 - i;
	case SCATTERED: return (uint64_t)((unsigned __int128)i * 1000003 % count);
	case IN_ORDER: break;
	}
	return i;
}

static void check_one(const struct index *index, uint64_t major)
{
	struct index_entry found;
	uint64_t rank;
	const struct index_entry wanted = { major, 7, 0 };
	assert_int_equal(index_rank(index, &wanted, &rank), 0);
	assert_true(rank == 3 * major + 1);
	assert_int_equal(index_last(index, major, 7, &found), 0);
	assert_true(found.major == major && found.minor == 7 && found.at == 2);
	assert_int_equal(index_last(index, major, 6, &found), -ENOENT);
	assert_int_equal(index_last(index, major, 8, &found), -ENOENT);
}

static void check_order(uint64_t count, enum order order, unsigned files)
{
	unsigned made = 0;
	struct index *index;
	struct index_cursor cursor;
	struct index_entry found;
	assert_true(count % 3 == 0);
	assert_int_equal(index_new(&index, make_file, &made), 0);
	for (uint64_t i = 0; i < count; i++) {
		const struct index_entry entry = entry_at(place_of(order, i, count));
		assert_int_equal(index_add(index, &entry), 0);
	}
	assert_int_equal(index_seal(index), 0);
	assert_int_equal(made, files);
	assert_int_equal(index_seek(&cursor, index, 0, 0), 0);
	for (uint64_t i = 0; i < count; i++) {
		const struct index_entry expected = entry_at(i);
		assert_int_equal(index_next(&cursor, &found), 1);
		if (memcmp(&found, &expected, sizeof(found)) != 0)
			fail_msg("entry %llu of %llu is not in its place", (unsigned long long)i,
			         (unsigned long long)count);
	}
	assert_int_equal(index_next(&cursor, &found), 0);
	for (uint64_t major = 0; major < count / 3; major += 1 + count / 500)
		check_one(index, major);
	if (count > 0)
		check_one(index, count / 3 - 1);
	assert_int_equal(index_last(index, count / 3, 0, &found), -ENOENT);
	assert_int_equal(index_read(index, count, &found, 1), 0);
	index_free(index);
}

static void entries_are_sorted(void **state)
{
	(void)state;
	const uint64_t counts[] = { 0, 3, 300, INDEX_RUN - INDEX_RUN % 3, INDEX_RUN + 2, 5 * INDEX_RUN + 1 };
	for (unsigned i = 0; i < COUNT(counts); i++) {
		bool file = counts[i] > INDEX_RUN;
		check_order(counts[i], IN_ORDER, file);
		check_order(counts[i], BACKWARDS, 2 * file);
		check_order(counts[i], SCATTERED, 2 * file);
	}
}

/* More runs than are merged at once. */
static void many_runs_are_merged(void **state)
{
	(void)state;
	check_order(66 * INDEX_RUN, SCATTERED, 3);
}

static int make_sealed(void *context, int *fd)
{
	unsigned *made = context;
	(*made)++;
	*fd = memfd_create("test-index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, 1000) < 0 || fcntl(*fd, F_ADD_SEALS, F_SEAL_GROW) < 0) {
		int code = -errno;
		close(*fd);
		return code;
	}
	return 0;
}

static void a_full_disk_is_told(void **state)
{
	(void)state;
	unsigned made = 0;
	struct index *index;
	int code = 0;
	assert_int_equal(index_new(&index, make_sealed, &made), 0);
	for (uint64_t i = 0; code == 0 && i <= INDEX_RUN; i++) {
		const struct index_entry entry = { i, 0, 0 };
		code = index_add(index, &entry);
	}
	assert_int_equal(code, -EPERM);
	index_free(index);
}

/* ---- through the journal ---- */

static size_t anonymous_memory(void)
{
	char line[256];
	size_t size = 0;
	FILE *file = fopen("/proc/self/status", "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %zu kB", &size) == 1)
			break;
	fclose(file);
	return size * 1024;
}

#ifndef __has_feature /* what clang has instead of gcc's macros */
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) ||               \
	__has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* As two streams write it: nearly in order. */
static void make_large(struct scratch *s, uint64_t chunks, unsigned files)
{
	const uint64_t size = chunks * (uint64_t)RIG_1M;
	char name[32];
	struct journal *journal = rig_open(s, &rig_1m, false);
	uint32_t number = rig_add(journal, "large", size);
	for (uint64_t chunk = 0; chunk < chunks; chunk++) {
		rig_chunk(journal, &rig_1m, number, size, chunk ^ 3);
		if (chunk % 4096 == 0)
			assert_int_equal(journal_flush(journal), 0);
	}
	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "dir/%u", i);
		number = rig_add(journal, name, 1000);
		rig_chunk(journal, &rig_1m, number, 1000, 0);
		if (i % 4096 == 0)
			assert_int_equal(journal_flush(journal), 0);
	}
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
}

static void large_journals_take_little_memory(void **state)
{
	struct scratch *s = *state;
	const char *wanted = getenv("XFER_TEST_JOURNAL_CHUNKS"); /* for who measures */
	const uint64_t chunks = wanted ? strtoull(wanted, NULL, 10) & ~3ull : SANITIZED ? 40000 : 200000;
	const unsigned files = SANITIZED ? 20000 : 50000;
	char name[32];
	make_large(s, chunks, files);
	size_t before = anonymous_memory();
	uint64_t start = clock_monotonic();
	struct journal *journal = rig_open(s, &rig_1m, true);
	print_message("opened in %llu ms\n", (unsigned long long)((clock_monotonic() - start) / 1000000));
	size_t after = anonymous_memory();
	if (!SANITIZED && after > before)
		assert_in_range(after - before, 0, 3 << 20);
	struct journal_file file;
	struct ranges claims;
	uint32_t number;
	assert_int_equal(journal_find(journal, "large", &number, &file, &claims), 0);
	assert_true(claims.count == 1 && claims.all[0].first == 0 && claims.all[0].end == chunks);
	ranges_free(&claims);
	for (uint64_t chunk = 0; chunk < chunks; chunk += 997)
		rig_assert_claim(journal, &rig_1m, number, chunk, RIG_1M);
	start = clock_monotonic();
	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "dir/%u", i);
		rig_assert_found(journal, name, i + 2, "0-0");
	}
	print_message("a file found in %llu ns\n", (unsigned long long)((clock_monotonic() - start) / files));
	assert_int_equal(journal_find(journal, "dir/none", &number, &file, &claims), -ENOENT);
	rig_assert_claim(journal, &rig_1m, files + 1, 0, 1000);
	journal_close(journal);
}

/* A disk with room for the journal and not for its index. */
static int open_on_full_disk(struct scratch *s)
{
	enum { CHUNKS = INDEX_RUN + 1000 };
	struct journal_suite suite = { RIG_1M, 4, "crc32" };
	const uint64_t size = CHUNKS * (uint64_t)RIG_1M;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", s->in, "tmpfs", 0, "size=800k") < 0)
		return 77;
	store_root_unref(s->root);
	assert_int_equal(store_root_open(&s->root, s->in, NULL), 0);
	struct journal *journal = rig_open(s, &suite, false);
	uint32_t number = rig_add(journal, "a", size);
	rig_chunks(journal, &suite, number, size, 0, CHUNKS);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &suite, true);
	rig_assert_found(journal, "a", number, "0-17383");
	rig_assert_claim(journal, &suite, number, 17000, RIG_1M);
	journal_close(journal);
	return 0;
}

static void a_full_disk_hides_no_claims(void **state)
{
	struct scratch *s = *state;
	pid_t child = fork();
	if (child == 0)
		_exit(open_on_full_disk(s));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("no file system can be mounted here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_sorted),
		cmocka_unit_test(many_runs_are_merged),
		cmocka_unit_test(a_full_disk_is_told),
		SCRATCH_ONE(a_full_disk_hides_no_claims),
		SCRATCH_BOTH(large_journals_take_little_memory),
	};
	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
