/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: what one run of a transfer wrote is what the next one reads, and nobody else. */
#include "scratch.h"

#include "journal-rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void what_was_written_is_read(void **state)
{
	struct scratch *s = *state;
	uint32_t number, found;
	struct journal_file file;
	struct ranges claims;
	struct journal *journal = rig_open(s, &rig_1m, false);
	assert_int_equal(journal_find(journal, "a", &found, &file, &claims), -ENOENT);
	assert_int_equal(journal_claims(journal, 1, 0, RIG_1M, (struct journal_claim[1]){ 0 }, 1), -ENOENT);
	number = rig_add(journal, "a", 5 * RIG_1M + 17);
	assert_int_equal(number, 1);
	rig_chunks(journal, &rig_1m, number, 5 * RIG_1M + 17, 0, 2);
	rig_chunks(journal, &rig_1m, number, 5 * RIG_1M + 17, 4, 6);
	number = rig_add(journal, "dir/\n\xff", 0);
	assert_int_equal(number, 2);
	number = rig_add(journal, "", 10);
	rig_chunks(journal, &rig_1m, number, 10, 0, 1);
	assert_false(exists(s->fd, RIG_PATH));
	assert_int_equal(journal_flush(journal), 0);
	assert_int_equal(journal_sync(journal), 0);
	assert_true(exists(s->fd, RIG_PATH));
	journal_close(journal);

	journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_find(journal, "a", &found, &file, &claims), 0);
	assert_int_equal(found, 1);
	assert_true(file.size == 5 * RIG_1M + 17 && file.mtime == RIG_MTIME && file.mtime_ns == RIG_MTIME_NS);
	assert_null(file.path);
	rig_assert_ranges(&claims, "0-1 4-5");
	rig_assert_claim(journal, &rig_1m, 1, 1, RIG_1M);
	rig_assert_claim(journal, &rig_1m, 1, 5, 17);
	assert_int_equal(journal_claims(journal, 1, 2 * RIG_1M, RIG_1M, (struct journal_claim[1]){ 0 }, 1), -ENOENT);
	assert_int_equal(journal_find(journal, "dir/\n\xff", &found, &file, &claims), 0);
	assert_true(found == 2 && file.size == 0);
	rig_assert_ranges(&claims, "");
	assert_int_equal(journal_find(journal, "", &found, &file, &claims), 0);
	assert_true(found == 3 && file.size == 10);
	rig_assert_ranges(&claims, "0-0");
	rig_assert_claim(journal, &rig_1m, 3, 0, 10);
	assert_int_equal(journal_find(journal, "dir", &found, &file, &claims), -ENOENT);
	/* It goes on where it was. */
	rig_chunks(journal, &rig_1m, 1, 5 * RIG_1M + 17, 2, 3);
	assert_int_equal(rig_add(journal, "b", 1), 4);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", 1, "0-2 4-5");
	rig_assert_found(journal, "b", 4, "");
	assert_int_equal(journal_remove(journal), 0);
	assert_false(exists(s->fd, RIG_PATH));
	assert_int_equal(journal_remove(NULL), 0);
	journal_close(NULL);
}

/* ---- whose it is ---- */

static void another_id_begins_anew(void **state)
{
	struct scratch *s = *state;
	struct journal_head other = rig_head;
	struct journal *journal = rig_open(s, &rig_1m, false);
	rig_chunks(journal, &rig_1m, rig_add(journal, "a", RIG_1M), RIG_1M, 0, 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	other.id[15] ^= 1;
	journal = rig_open_as(s, &other, &rig_1m, false);
	assert_int_equal(journal_find(journal, "a", NULL, NULL, NULL), -ENOENT);
	assert_int_equal(rig_add(journal, "b", 1), 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, false);
	journal_close(journal);
	/* What is no journal begins anew too. */
	put_file(s->fd, RIG_PATH, "nothing that could be read as a record of a journal");
	journal = rig_open(s, &rig_1m, false);
	rig_add(journal, "a", 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", 1, "");
	journal_close(journal);
}

static void assert_no_journal(struct scratch *s, const char *path, int code)
{
	struct journal *journal = NULL;
	struct journal_suite suite;
	struct journal_about about;
	struct error err = { 0 };
	bool flag;
	assert_int_equal(journal_open(&journal, s->root, path, &rig_head, &rig_1m, &flag, &err), code);
	assert_int_equal(err.code, code);
	assert_true(err.text[0] != '\0');
	assert_null(journal);
	assert_int_equal(journal_peek(s->root, path, &suite), -ENOENT);
	assert_int_equal(journal_about(s->root, path, &about, &flag), code);
	assert_int_equal(journal_take(&journal, s->root, path, &about), code);
}

static void only_a_plain_file_is_one(void **state)
{
	struct scratch *s = *state;
	char text[256];
	put_file(s->fd, "victim", "precious");
	put_file(s->fd, "single", "precious");
	assert_int_equal(symlinkat("single", s->fd, "link"), 0);
	assert_int_equal(linkat(s->fd, "victim", s->fd, "second", 0), 0);
	assert_int_equal(mkfifoat(s->fd, "pipe", 0600), 0);
	assert_int_equal(mkdirat(s->fd, "folder", 0700), 0);
	assert_no_journal(s, "link", -EINVAL);
	assert_no_journal(s, "second", -EINVAL);
	assert_no_journal(s, "pipe", -EINVAL);
	assert_no_journal(s, "folder", -EINVAL);
	assert_no_journal(s, "", -EINVAL);
	assert_no_journal(s, "../out/j", -EINVAL);
	assert_string_equal(get_file(s->fd, "victim", text), "precious");
	assert_string_equal(get_file(s->fd, "single", text), "precious");
}

static void assert_busy(struct scratch *s)
{
	struct journal *journal = NULL;
	struct journal_about about;
	struct error err = { 0 };
	bool resumed;
	assert_int_equal(journal_open(&journal, s->root, RIG_PATH, &rig_head, &rig_1m, &resumed, &err), -EBUSY);
	assert_contains(err.text, "running already");
	assert_int_equal(journal_take(&journal, s->root, RIG_PATH, &about), -EBUSY);
}

static void one_has_it_at_a_time(void **state)
{
	struct scratch *s = *state;
	struct journal *journal = rig_open(s, &rig_1m, false);
	rig_add(journal, "a", 1);
	assert_int_equal(journal_flush(journal), 0);
	assert_busy(s); /* in this process */
	pid_t child = fork();
	if (child == 0) { /* in another, which has lost what it had of ours */
		journal_close(journal);
		assert_busy(s);
		_exit(0);
	}
	int status = 1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_busy(s);
	journal_close(journal);
	journal_close(rig_open(s, &rig_1m, true));
}

/* Both begin when there is no file: the first to write has it. */
static void two_beginners_do_not_share(void **state)
{
	struct scratch *s = *state;
	struct journal *first = rig_open(s, &rig_1m, false), *second = rig_open(s, &rig_1m, false);
	rig_add(first, "a", 1);
	rig_add(second, "b", 1);
	assert_int_equal(journal_flush(first), 0);
	assert_int_equal(journal_flush(second), -EBUSY);
	assert_int_equal(rig_add(second, "b", 1), 0); /* it says nothing any more */
	assert_int_equal(journal_flush(second), 0);
	assert_int_equal(journal_sync(second), 0);
	assert_int_equal(journal_remove(second), 0);
	assert_true(exists(s->fd, RIG_PATH));
	/* Nor does one who comes when the first has ended already. */
	assert_int_equal(unlinkat(s->fd, RIG_PATH, 0), 0);
	second = rig_open(s, &rig_1m, false);
	rig_add(second, "b", 1);
	put_file(s->fd, RIG_PATH, "");
	assert_int_equal(journal_flush(second), -EBUSY);
	journal_close(second);
	journal_close(first);
	char text[256];
	assert_string_equal(get_file(s->fd, RIG_PATH, text), "");
}

/* ---- seen from outside ---- */

static void the_last_suite_is_peeked(void **state)
{
	struct scratch *s = *state;
	struct journal_suite suite;
	assert_int_equal(journal_peek(s->root, RIG_PATH, &suite), -ENOENT);
	struct journal *journal = rig_open(s, &rig_64k, false);
	uint32_t number = rig_add(journal, "a", 3000 * (uint64_t)RIG_64K);
	rig_chunks(journal, &rig_64k, number, 3000 * (uint64_t)RIG_64K, 0, 3000);
	assert_int_equal(journal_flush(journal), 0);
	assert_int_equal(journal_peek(s->root, RIG_PATH, &suite), 0); /* of one that is in use, too */
	assert_int_equal(suite.chunk_size, RIG_64K);
	journal_close(journal);
	journal = rig_open(s, &rig_crc, true);
	rig_chunk(journal, &rig_crc, number, 3000 * (uint64_t)RIG_64K, 0);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	assert_int_equal(journal_peek(s->root, RIG_PATH, &suite), 0);
	assert_true(suite.chunk_size == RIG_1M && suite.digest_size == 4);
	assert_string_equal(suite.integrity, "crc32");
	/* The end is damaged, so far that no suite is left there. */
	struct stat st;
	assert_int_equal(fstatat(s->fd, RIG_PATH, &st, 0), 0);
	int fd = openat(s->fd, RIG_PATH, O_WRONLY | O_CLOEXEC);
	char zeroes[4096] = { 0 };
	for (off_t at = 50000; at < st.st_size; at += (off_t)sizeof(zeroes))
		assert_int_equal(pwrite(fd, zeroes, sizeof(zeroes), at), sizeof(zeroes));
	close(fd);
	assert_int_equal(journal_peek(s->root, RIG_PATH, &suite), 0);
	assert_int_equal(suite.chunk_size, RIG_64K);
	put_file(s->fd, RIG_PATH, "");
	assert_int_equal(journal_peek(s->root, RIG_PATH, &suite), -ENOENT);
}

static void a_journal_says_what_it_is_for(void **state)
{
	struct scratch *s = *state;
	struct journal_about about;
	struct journal *taken = NULL;
	bool busy = false;
	assert_int_equal(journal_about(s->root, RIG_PATH, &about, &busy), -ENOENT);
	assert_int_equal(journal_take(&taken, s->root, RIG_PATH, &about), -ENOENT);
	struct journal *journal = rig_open(s, &rig_1m, false);
	rig_add(journal, "a", 1);
	assert_int_equal(journal_flush(journal), 0);
	assert_int_equal(journal_about(s->root, RIG_PATH, &about, &busy), 0);
	assert_true(busy && about.readable);
	journal_about_free(&about);
	journal_close(journal);
	assert_int_equal(journal_about(s->root, RIG_PATH, &about, &busy), 0);
	assert_true(!busy && about.readable && about.size > 0 && about.touched.tv_sec > 0);
	assert_memory_equal(about.id, rig_head.id, JOURNAL_ID);
	assert_string_equal(about.source, rig_head.source);
	assert_string_equal(about.partial, rig_head.partial);
	assert_string_equal(about.target, rig_head.target);
	journal_about_free(&about);

	assert_int_equal(journal_take(&taken, s->root, RIG_PATH, &about), 0);
	assert_string_equal(about.partial, rig_head.partial);
	journal_about_free(&about);
	assert_busy(s);
	journal_close(taken);
	assert_true(exists(s->fd, RIG_PATH));
	assert_int_equal(journal_take(&taken, s->root, RIG_PATH, &about), 0);
	journal_about_free(&about);
	assert_int_equal(journal_remove(taken), 0);
	assert_false(exists(s->fd, RIG_PATH));
	put_file(s->fd, RIG_PATH, "what?");
	assert_int_equal(journal_about(s->root, RIG_PATH, &about, &busy), 0);
	assert_true(!about.readable && !busy && about.size == 5);
	journal_about_free(&about);
}

static void its_folder_comes_and_goes(void **state)
{
	struct scratch *s = *state;
	const char *paths[] = { JOURNAL_FOLDER "/0011.j", JOURNAL_FOLDER "/0022.j" };
	struct journal *journals[2];
	bool resumed;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(journal_open(&journals[i], s->root, paths[i], &rig_head, &rig_1m, &resumed, NULL), 0);
		rig_add(journals[i], "a", 1);
		if (i == 0)
			assert_false(exists(s->fd, JOURNAL_FOLDER));
		assert_int_equal(journal_flush(journals[i]), 0);
		assert_int_equal(journal_sync(journals[i]), 0);
		assert_true(exists(s->fd, paths[i]));
	}
	assert_int_equal(journal_remove(journals[0]), 0);
	assert_true(exists(s->fd, paths[1]));
	assert_int_equal(journal_remove(journals[1]), 0);
	assert_false(exists(s->fd, JOURNAL_FOLDER));
	/* No other folder does. */
	assert_int_equal(journal_open(&journals[0], s->root, "none/0011.j", &rig_head, &rig_1m, &resumed, NULL), 0);
	rig_add(journals[0], "a", 1);
	assert_int_equal(journal_flush(journals[0]), -ENOENT);
	journal_close(journals[0]);
	assert_int_equal(mkdirat(s->fd, "some", 0700), 0);
	assert_int_equal(journal_open(&journals[0], s->root, "some/0011.j", &rig_head, &rig_1m, &resumed, NULL), 0);
	rig_add(journals[0], "a", 1);
	assert_int_equal(journal_flush(journals[0]), 0);
	assert_int_equal(journal_remove(journals[0]), 0);
	assert_true(exists(s->fd, "some"));
}

/* ---- errors ---- */

static void a_full_disk_makes_it_mute(void **state)
{
	struct scratch *s = *state;
	const struct rlimit small = { 2000, RLIM_INFINITY };
	struct rlimit before;
	const uint64_t size = 100 * (uint64_t)RIG_1M;
	struct journal *journal = rig_open(s, &rig_1m, false);
	uint32_t number = rig_add(journal, "a", size);
	rig_chunks(journal, &rig_1m, number, size, 0, 10);
	assert_int_equal(journal_flush(journal), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rig_chunks(journal, &rig_1m, number, size, 10, 60);
	assert_int_equal(journal_flush(journal), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, handler);
	/* Told once; there is room again, but what comes now would not follow upon what came before. */
	rig_chunks(journal, &rig_1m, number, size, 60, 70);
	assert_int_equal(rig_add(journal, "b", 1), 0);
	rig_chunks(journal, &rig_1m, 0, size, 70, 80);
	assert_int_equal(journal_flush(journal), 0);
	assert_int_equal(journal_sync(journal), 0);
	struct stat st;
	assert_int_equal(fstatat(s->fd, RIG_PATH, &st, 0), 0);
	assert_int_equal(st.st_size, 2000);
	journal_close(journal);
	/* What had room is claimed, and the next run goes on behind the torn record. */
	journal = rig_open(s, &rig_1m, true);
	struct journal_file file;
	struct ranges claims;
	assert_int_equal(journal_find(journal, "a", &number, &file, &claims), 0);
	assert_int_equal(claims.count, 1);
	assert_true(claims.all[0].first == 0 && claims.all[0].end > 20 && claims.all[0].end < 40);
	ranges_free(&claims);
	rig_chunks(journal, &rig_1m, number, size, 90, 95);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_claim(journal, &rig_1m, number, 0, RIG_1M);
	rig_assert_claim(journal, &rig_1m, number, 94, RIG_1M);
	journal_close(journal);
}

static void what_has_no_room_is_refused(void **state)
{
	struct scratch *s = *state;
	char path[4097];
	struct journal_suite suite = rig_1m;
	struct journal_head head = rig_head;
	struct journal *journal = NULL;
	uint32_t number;
	bool resumed;
	memset(path, 'a', sizeof(path));
	path[4096] = '\0';
	suite.chunk_size = 0;
	assert_int_equal(journal_open(&journal, s->root, RIG_PATH, &rig_head, &suite, &resumed, NULL), -EINVAL);
	suite.chunk_size = JOURNAL_CHUNK_MAX + 1;
	assert_int_equal(journal_open(&journal, s->root, RIG_PATH, &rig_head, &suite, &resumed, NULL), -EINVAL);
	head.partial = path;
	assert_int_equal(journal_open(&journal, s->root, RIG_PATH, &head, &rig_1m, &resumed, NULL), -EINVAL);
	head.partial = rig_head.partial;
	head.source = path; /* for people: its front */
	journal = rig_open_as(s, &head, &rig_1m, false);
	const struct journal_file file = { .path = path };
	assert_int_equal(journal_add_file(journal, &file, &number), -EINVAL);
	path[4095] = '\0';
	assert_int_equal(journal_add_file(journal, &file, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, path, 1, "");
	journal_close(journal);
}

static void sixteen_suites_have_room(void **state)
{
	struct scratch *s = *state;
	struct journal_suite suite = { .digest_size = 4, .integrity = "crc32" };
	for (uint32_t i = 0; i < 18; i++) {
		suite.chunk_size = 1024 + i;
		/* The seventeenth does not fit in: it begins anew. */
		struct journal *journal = rig_open(s, &suite, i != 0 && i != 16);
		uint32_t number = i == 0 || i == 16 ? rig_add(journal, "a", 1000) : 1;
		rig_chunk(journal, &suite, number, 1000, 0);
		assert_int_equal(journal_flush(journal), 0);
		journal_close(journal);
	}
}

/* ---- threads ---- */

enum { THREADS = 4, EACH = 400 };

struct hand {
	struct journal *journal;
	uint32_t number; /* of its own file */
	int code;
};

static void *add_and_ask(void *context)
{
	struct hand *hand = context;
	uint8_t digest[JOURNAL_DIGEST_MAX];
	struct journal_claim claim;
	for (uint64_t i = 0; i < EACH && hand->code == 0; i++) {
		struct journal_chunk chunk = { i * RIG_1M, RIG_1M, rig_crc_of(hand->number, i * RIG_1M), digest };
		rig_digest_of(digest, hand->number, chunk.offset);
		hand->code = journal_add_chunks(hand->journal, hand->number, &chunk, 1);
		if (hand->code == 0 && i % 8 == 0)
			hand->code = journal_flush(hand->journal);
		if (hand->code == 0 && i % 100 == 0)
			hand->code = journal_sync(hand->journal);
		if (hand->code == 0 && journal_claims(hand->journal, 1, 0, RIG_1M, &claim, 1) != 1)
			hand->code = -EIO;
	}
	return NULL;
}

static void many_threads_use_one(void **state)
{
	struct scratch *s = *state;
	struct hand hands[THREADS];
	pthread_t threads[THREADS];
	char name[8];
	struct journal *journal = rig_open(s, &rig_1m, false);
	rig_chunk(journal, &rig_1m, rig_add(journal, "old", RIG_1M), RIG_1M, 0);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	for (unsigned i = 0; i < THREADS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		hands[i] = (struct hand){ journal, rig_add(journal, name, EACH * (uint64_t)RIG_1M), 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_ask, &hands[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(hands[i].code, 0);
	}
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	for (unsigned i = 0; i < THREADS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		rig_assert_found(journal, name, hands[i].number, "0-399");
		rig_assert_claim(journal, &rig_1m, hands[i].number, 77, RIG_1M);
	}
	journal_close(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(what_was_written_is_read),     SCRATCH_ONE(another_id_begins_anew),
		SCRATCH_BOTH(only_a_plain_file_is_one),     SCRATCH_ONE(one_has_it_at_a_time),
		SCRATCH_ONE(two_beginners_do_not_share),    SCRATCH_ONE(the_last_suite_is_peeked),
		SCRATCH_ONE(a_journal_says_what_it_is_for), SCRATCH_BOTH(its_folder_comes_and_goes),
		SCRATCH_ONE(a_full_disk_makes_it_mute),     SCRATCH_ONE(what_has_no_room_is_refused),
		SCRATCH_ONE(sixteen_suites_have_room),      SCRATCH_ONE(many_threads_use_one),
	};
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
