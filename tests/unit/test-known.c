/* SPDX-License-Identifier: BSD-2-Clause */
/* The digest store: what is kept is found again, and nothing that was kept for another file, another time or damaged. */
#include "scratch.h"

#include "store/known.h"

#include <pthread.h>

enum { DIGEST = 32, CHUNK = 65536 };

struct box {
	struct known *known;
	char path[400];
};

static void box_open(struct box *store, struct scratch *scratch, uint64_t bytes)
{
	struct error err = { 0 };

	snprintf(store->path, sizeof(store->path), "%s/known", scratch->path);
	if (known_open(&store->known, store->path, bytes, &err) < 0)
		fail_msg("%s", err.text);
}

static struct known_key key_of(uint64_t ino, uint64_t ctime_ns)
{
	const struct store_identity identity = {
		.dev = 7,
		.ino = ino,
		.size = UINT64_C(1000) * CHUNK,
		.mtime = { 1000, 5 },
		.ctime = { 2000, (long)ctime_ns },
	};
	struct known_key key;

	assert_true(known_key_init(&key, &identity, "fnv", CHUNK, DIGEST));
	return key;
}

/* The digest of a chunk, made up. */
static void digest_of(const struct known_key *key, uint64_t index, uint8_t *out)
{
	for (unsigned i = 0; i < DIGEST; i++)
		out[i] = (uint8_t)(key->identity.ino * 31 + index * 7 + i);
}

static void note(struct box *store, const struct known_key *key, uint64_t first, uint64_t count)
{
	enum { STRIDE = DIGEST + 3 };
	uint8_t *digests = calloc(count, STRIDE);

	assert_non_null(digests);
	for (uint64_t i = 0; i < count; i++)
		digest_of(key, first + i, digests + i * STRIDE);
	known_note(store->known, key, first, count, digests, STRIDE);
	free(digests);
}

/* How many of the chunks are known; what is known is right. */
static uint64_t found(const struct box *store, const struct known_key *key, uint64_t first, uint64_t count)
{
	struct known_view view = { 0 };
	uint64_t right = 0;

	for (uint64_t i = first; i < first + count; i++) {
		uint8_t got[DIGEST], want[DIGEST];

		if (!known_look(store->known, key, &view, i, got))
			continue;
		digest_of(key, i, want);
		assert_memory_equal(got, want, DIGEST);
		right++;
	}
	return right;
}

static void kept_and_found(void **state)
{
	struct box store;
	struct known_key key = key_of(1, 0);

	box_open(&store, *state, 1 << 20);
	assert_int_equal(found(&store, &key, 0, 1000), 0);
	note(&store, &key, 0, 3);
	note(&store, &key, 120, 300);
	assert_int_equal(found(&store, &key, 0, 1000), 303);
	note(&store, &key, 3, 117);
	assert_int_equal(found(&store, &key, 0, 420), 420);
	/* Another process, or the next run. */
	known_close(store.known);
	box_open(&store, *state, 1 << 20);
	assert_int_equal(found(&store, &key, 0, 1000), 420);
	known_close(store.known);
}

/* Nothing is found under a key that differs in anything. */
static void another_key_finds_nothing(void **state)
{
	struct box store;
	const struct known_key key = key_of(1, 0);

	box_open(&store, *state, 1 << 20);
	note(&store, &key, 0, 10);
	struct known_key others[] = { key, key, key, key, key, key, key, key, key, key };
	others[0].identity.dev++;
	others[1].identity.ino++;
	others[2].identity.size++;
	others[3].identity.mtime.tv_sec++;
	others[4].identity.mtime.tv_nsec++;
	others[5].identity.ctime.tv_sec--;
	others[6].identity.ctime.tv_nsec++;
	others[7].chunk_size *= 2;
	others[8].digest_size--;
	others[9].integrity[2] = 'w';
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(found(&store, &others[i], 0, 10), 0);
	assert_int_equal(found(&store, &key, 0, 10), 10);
	known_close(store.known);
}

/* A byte anywhere in the file: what is found then is right, or nothing is found. */
static void damage_is_noticed(void **state)
{
	struct box store;
	const struct known_key key = key_of(1, 0);

	box_open(&store, *state, 64 * 1024);
	note(&store, &key, 0, 100);
	int fd = open(store.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	off_t size = lseek(fd, 0, SEEK_END);
	for (off_t at = 0; at < size; at++) {
		uint8_t byte, other;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		other = byte ^ 0x10;
		if (at < size - KNOWN_RECORD && byte == 0 && at % 64 != 0)
			continue; /* an empty record: a few bytes of it will do */
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		assert_true(found(&store, &key, 0, 100) <= 100);
		if (at >= size - KNOWN_RECORD)
			assert_int_equal(found(&store, &key, 0, 100), 0);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(found(&store, &key, 0, 100), 100);
	/* Cut, emptied, removed. */
	assert_int_equal(ftruncate(fd, size - 1), 0);
	assert_int_equal(found(&store, &key, 0, 100), 0);
	note(&store, &key, 0, 100);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(found(&store, &key, 0, 100), 0);
	assert_int_equal(unlink(store.path), 0);
	note(&store, &key, 0, 50);
	assert_int_equal(found(&store, &key, 0, 100), 50);
	close(fd);
	known_close(store.known);
}

/* Many more files than there is room for: the file stays small, and the last ones are there. */
static void it_is_bounded(void **state)
{
	struct box store;
	struct stat st;
	uint64_t last = 0;

	box_open(&store, *state, 128 * 1024);
	for (uint64_t ino = 1; ino <= 500; ino++) {
		struct known_key key = key_of(ino, 0);

		note(&store, &key, 0, 5);
		assert_int_equal(found(&store, &key, 0, 5), 5);
	}
	for (uint64_t ino = 1; ino <= 500; ino++) {
		struct known_key key = key_of(ino, 0);

		last += found(&store, &key, 0, 5) == 5;
	}
	assert_in_range(last, 20, 32);
	assert_int_equal(stat(store.path, &st), 0);
	assert_in_range(st.st_size, 1, 128 * 1024);
	assert_int_equal(st.st_mode & 07777, 0600);
	known_close(store.known);
	/* Smaller from now on. */
	box_open(&store, *state, 64 * 1024);
	assert_int_equal(stat(store.path, &st), 0);
	assert_in_range(st.st_size, 0, 64 * 1024);
	known_close(store.known);
}

/* For a while; the second digest does not make the first any younger. */
static void memory_forgets(void **state)
{
	const struct known_key key = key_of(1, 0), other = key_of(2, 0);
	struct timespec begin, now;
	struct box store;

	(void)state;
	assert_int_equal(known_memory(&store.known, 1 << 20, 1, NULL), 0);
	assert_int_equal(found(&store, &key, 0, 10), 0);
	clock_gettime(CLOCK_REALTIME, &begin);
	note(&store, &key, 0, 1);
	(void)found(&store, &key, 0, 1);
	do {
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		note(&store, &key, 1, 1);
		clock_gettime(CLOCK_REALTIME, &now);
		assert_true(now.tv_sec - begin.tv_sec < 60);
	} while (found(&store, &key, 0, 1) == 1);
	assert_true(now.tv_sec - begin.tv_sec >= 2 || now.tv_sec < begin.tv_sec);
	/* Each process has its own. */
	note(&store, &other, 0, 1);
	struct box another;
	assert_int_equal(known_memory(&another.known, 1 << 20, 1, NULL), 0);
	assert_int_equal(found(&another, &other, 0, 1), 0);
	known_close(another.known);
	known_close(store.known);
}

static void changed_lately_is_not_settled(void **state)
{
	const uint64_t second = UINT64_C(1000000000), now = 5000 * second;
	struct store_identity identity = { .mtime = { 4000, 0 }, .ctime = { 4998, 0 } };

	(void)state;
	assert_false(known_settled(&identity, now));
	assert_true(known_settled(&identity, now + 1));
	identity.mtime = (struct timespec){ 4999, 0 };
	assert_false(known_settled(&identity, now + 1));
	identity.mtime = (struct timespec){ 6000, 0 }; /* a time to come */
	assert_false(known_settled(&identity, now));
	identity.mtime = (struct timespec){ INT64_MAX, 999999999 };
	assert_false(known_settled(&identity, now));
	identity.mtime = (struct timespec){ -5, 0 };
	assert_true(known_settled(&identity, now + 1));
}

static void what_cannot_be_a_store(void **state)
{
	struct scratch *scratch = *state;
	struct known *known;
	struct known_key key;
	struct store_identity identity = { .size = UINT64_MAX };
	struct error err = { 0 };

	assert_true(known_open(&known, scratch->in, 1 << 20, &err) < 0);
	assert_contains(err.text, scratch->in);
	assert_true(known_open(&known, "/nowhere/at/all", 1 << 20, &err) < 0);
	assert_contains(err.text, "/nowhere/at/all");
	assert_false(known_key_init(&key, &identity, "fnv", 1024, 32)); /* more chunks than can be numbered */
	identity.size = 1 << 20;
	assert_false(known_key_init(&key, &identity, "fnv", 1024, 0));
	assert_false(known_key_init(&key, &identity, "a-name-that-is-longer-than-thirty-two-bytes", 1024, 32));
}

/* Threads and handles (as of other processes) beside each other: what is found is right. */
static void *thread_run(void *context)
{
	struct box *store = context;

	for (uint64_t round = 0; round < 60; round++) {
		struct known_key key = key_of(1 + round % 7, 0);

		note(store, &key, round % 50, 30);
		(void)found(store, &key, 0, 100);
	}
	return NULL;
}

static void shared_by_many(void **state)
{
	enum { THREADS = 4 };
	struct box stores[2];
	pthread_t threads[THREADS];

	box_open(&stores[0], *state, 64 * 1024);
	box_open(&stores[1], *state, 64 * 1024);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_run, &stores[i % 2]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	known_close(stores[0].known);
	known_close(stores[1].known);
	known_close(NULL);
}

#define KNOWN_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_kernel, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KNOWN_TEST(kept_and_found),         KNOWN_TEST(another_key_finds_nothing),
		KNOWN_TEST(damage_is_noticed),      KNOWN_TEST(it_is_bounded),
		KNOWN_TEST(memory_forgets),         KNOWN_TEST(changed_lately_is_not_settled),
		KNOWN_TEST(what_cannot_be_a_store), KNOWN_TEST(shared_by_many),
	};
	return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
