/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The integrity plug-ins through the registry: against OpenSSL, against CRCs computed bit by bit, and against XXH3
 * without vector instructions, on odd lengths, splits and alignments.
 */
#include "unit.h"

#include "registry/registry.h"

#ifdef HAVE_XXHASH
#define XXH_INLINE_ALL
#define XXH_VECTOR 0 /* XXH_SCALAR, which has no name yet */
#include <xxhash.h>
#endif

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LONGEST = 1 << 20, MARGIN = 16 };

static char folder[512];
static uint8_t *data; /* LONGEST + MARGIN bytes */

static void reference_sha256(const void *bytes, size_t len, uint8_t *out)
{
	assert_int_equal(EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL), 1);
}

static void reference_blake2b(const void *bytes, size_t len, uint8_t *out)
{
	assert_int_equal(EVP_Digest(bytes, len, out, NULL, EVP_blake2b512(), NULL), 1);
}

/* The definition, for a polynomial with its bits reflected: inverted at both ends, written in network order. */
static void reference_crc(uint32_t polynomial, const void *bytes, size_t len, uint8_t *out)
{
	uint32_t crc = UINT32_MAX;
	const uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(crc >> (24 - 8 * i));
}

/* 0x04c11db7: what zlib's crc32() is. */
static void reference_crc32(const void *bytes, size_t len, uint8_t *out)
{
	reference_crc(UINT32_C(0xedb88320), bytes, len, out);
}

#ifdef HAVE_ISAL
/* 0x1edc6f41, Castagnoli's. */
static void reference_crc32c(const void *bytes, size_t len, uint8_t *out)
{
	reference_crc(UINT32_C(0x82f63b78), bytes, len, out);
}
#endif

#ifdef HAVE_XXHASH
/* The higher half first, each with its highest byte first. */
static void reference_xxh3(const void *bytes, size_t len, uint8_t *out)
{
	XXH128_hash_t hash = XXH3_128bits(bytes, len);
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(hash.high64 >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(hash.low64 >> (56 - 8 * i));
	}
}
#endif

struct subject {
	const char *name;
	uint32_t size;
	uint32_t strength;
	void (*reference)(const void *bytes, size_t len, uint8_t *out);
};
static const struct subject SUBJECTS[] = {
	{ "sha256", 32, 128, reference_sha256 },
	{ "crc32", 4, XFER_STRENGTH_ACCIDENTAL, reference_crc32 },
	{ "blake2b", 64, 256, reference_blake2b },
#ifdef HAVE_ISAL
	{ "crc32c", 4, XFER_STRENGTH_ACCIDENTAL, reference_crc32c },
#endif
#ifdef HAVE_XXHASH
	{ "xxh3", 16, XFER_STRENGTH_ACCIDENTAL, reference_xxh3 },
#endif
};

static struct registry *registry;

/* With the defaults of its options, which are texts. */
static struct plugin *started(const char *name)
{
	struct plugin *plugin;
	struct error err = { 0 };
	union xfer_value values[4] = { 0 };
	if (registry_load(registry, XFER_KIND_INTEGRITY, name, &plugin, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(plugin->about.option_count <= COUNT(values));
	for (size_t i = 0; i < plugin->about.option_count; i++) {
		assert_int_equal(plugin->options[i].type, XFER_OPTION_STRING);
		values[i].text = plugin->options[i].default_text;
	}
	if (plugin->instance == NULL && plugin_start(plugin, values, &err) < 0)
		fail_msg("%s", err.text);
	return plugin;
}

static const size_t LENGTHS[] = { 0,   1,    2,    3,    4,    7,    8,    15,   16,    17,    31,    32,     33,  55,
	                          56,  57,   63,   64,   65,   119,  120,  127,  128,   129,   240,   241,    255, 256,
	                          257, 1000, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 1000003 };

static void test_lengths(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(SUBJECTS); s++) {
		struct plugin *plugin = started(SUBJECTS[s].name);
		assert_int_equal(plugin->integrity.digest_size, SUBJECTS[s].size);
		assert_int_equal(plugin->integrity.strength, SUBJECTS[s].strength);
		for (size_t i = 0; i < COUNT(LENGTHS); i++)
			for (size_t shift = 0; shift<MARGIN; shift += LENGTHS[i]> 5000 ? 5 : 1) {
				uint8_t want[XFER_DIGEST_MAX], got[XFER_DIGEST_MAX] = { 0 };
				SUBJECTS[s].reference(data + shift, LENGTHS[i], want);
				assert_int_equal(plugin_digest(plugin, data + shift, LENGTHS[i], got), 0);
				assert_memory_equal(got, want, SUBJECTS[s].size);
			}
		uint8_t want[XFER_DIGEST_MAX], got[XFER_DIGEST_MAX];
		SUBJECTS[s].reference(data, 0, want);
		assert_int_equal(plugin_digest(plugin, NULL, 0, got), 0);
		assert_memory_equal(got, want, SUBJECTS[s].size);
	}
}

static void test_splits(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(SUBJECTS); s++) {
		struct plugin *plugin = started(SUBJECTS[s].name);
		struct xfer_hash *hash;
		uint8_t want[XFER_DIGEST_MAX], got[XFER_DIGEST_MAX];
		assert_int_equal(plugin_hash_create(plugin, &hash), 0);
		/* Every cut of a message of a few blocks in two, an empty update among them. */
		const size_t len = 200;
		SUBJECTS[s].reference(data + 1, len, want);
		for (size_t cut = 0; cut <= len; cut++) {
			assert_int_equal(plugin_hash_update(plugin, hash, data + 1, cut), 0);
			assert_int_equal(plugin_hash_update(plugin, hash, NULL, 0), 0);
			assert_int_equal(plugin_hash_update(plugin, hash, data + 1 + cut, len - cut), 0);
			assert_int_equal(plugin_hash_finish(plugin, hash, got), 0);
			assert_memory_equal(got, want, SUBJECTS[s].size);
		}
		/* A long one in pieces of growing, odd lengths. */
		SUBJECTS[s].reference(data, LONGEST, want);
		for (size_t at = 0, step = 1; at < LONGEST; at += step, step += 37) {
			if (step > LONGEST - at)
				step = LONGEST - at;
			assert_int_equal(plugin_hash_update(plugin, hash, data + at, step), 0);
		}
		assert_int_equal(plugin_hash_finish(plugin, hash, got), 0);
		assert_memory_equal(got, want, SUBJECTS[s].size);
		/* Two states at a time; one is left in the middle. */
		struct xfer_hash *other;
		assert_int_equal(plugin_hash_create(plugin, &other), 0);
		assert_int_equal(plugin_hash_update(plugin, hash, data, 10), 0);
		assert_int_equal(plugin_hash_update(plugin, other, data + 5, 7), 0);
		assert_int_equal(plugin_hash_update(plugin, hash, data + 10, 10), 0);
		plugin_hash_destroy(plugin, other);
		SUBJECTS[s].reference(data, 20, want);
		assert_int_equal(plugin_hash_finish(plugin, hash, got), 0);
		assert_memory_equal(got, want, SUBJECTS[s].size);
		plugin_hash_destroy(plugin, hash);
		plugin_hash_destroy(plugin, NULL);
	}
}

static void check_many(const struct subject *subject, struct plugin *plugin, size_t count)
{
	struct iovec *buffers = calloc(count, sizeof(*buffers));
	uint8_t *digests = calloc(count, XFER_DIGEST_MAX);
	uint8_t **outs = calloc(count, sizeof(*outs));
	assert_true(buffers != NULL && digests != NULL && outs != NULL);
	for (size_t i = 0; i < count; i++) {
		buffers[i].iov_base = data + i % MARGIN;
		buffers[i].iov_len = LENGTHS[(i * 7) % (COUNT(LENGTHS) - 4)];
		outs[i] = digests + (count - 1 - i) * XFER_DIGEST_MAX;
	}
	assert_int_equal(plugin_digest_many(plugin, buffers, count, outs), 0);
	for (size_t i = 0; i < count; i++) {
		uint8_t want[XFER_DIGEST_MAX];
		subject->reference(buffers[i].iov_base, buffers[i].iov_len, want);
		assert_memory_equal(outs[i], want, subject->size);
	}
	free(buffers);
	free(digests);
	free(outs);
}

static void test_many(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(SUBJECTS); s++) {
		struct plugin *plugin = started(SUBJECTS[s].name);
		for (size_t count = 1; count < 40; count++)
			check_many(&SUBJECTS[s], plugin, count);
		check_many(&SUBJECTS[s], plugin, 1000);
		assert_int_equal(plugin_digest_many(plugin, NULL, 0, NULL), 0);
	}
}

/* SHA-256 without lanes, and an engine that is none. */
static void test_engine(void **state)
{
	(void)state;
	struct registry *own;
	struct plugin *plugin;
	struct error err = { 0 };
	union xfer_value value = { .text = "abacus" };
	assert_int_equal(registry_create(&own, folder, NULL, &err), 0);
	assert_int_equal(registry_load(own, XFER_KIND_INTEGRITY, "sha256", &plugin, &err), 0);
	assert_int_equal(plugin_start(plugin, &value, &err), -EINVAL);
	assert_contains(err.text, "engine = abacus: it is auto or openssl");
	value.text = "openssl";
	assert_int_equal(plugin_start(plugin, &value, &err), 0);
	for (size_t count = 1; count < 20; count++)
		check_many(&SUBJECTS[0], plugin, count);
	registry_destroy(own);
}

/* ISA-L takes an int for the length: a buffer beyond what 32 bits can say, of pages that are all the same one. */
static void test_huge(void **state)
{
	(void)state;
#ifndef HAVE_ISAL
	puts("# skipped: integrity-crc32c is not built: no ISA-L");
	skip();
#else
	struct plugin *plugin = started("crc32c");
	const size_t len = (size_t)UINT32_MAX + 1000, quarter = len / 4;
	uint8_t *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(bytes != MAP_FAILED);
	madvise(bytes, len, MADV_HUGEPAGE); /* only for less page faults */
	uint8_t want[XFER_DIGEST_MAX], got[XFER_DIGEST_MAX];
	struct xfer_hash *hash;
	assert_int_equal(plugin_hash_create(plugin, &hash), 0);
	for (size_t at = 0; at < len; at += quarter)
		assert_int_equal(plugin_hash_update(plugin, hash, bytes, at + quarter < len ? quarter : len - at), 0);
	assert_int_equal(plugin_hash_finish(plugin, hash, want), 0);
	plugin_hash_destroy(plugin, hash);
	assert_int_equal(plugin_digest(plugin, bytes, len, got), 0);
	assert_memory_equal(got, want, 4);
	munmap(bytes, len);
#endif
}

/* What is not built is named, so that nobody takes its silence for a pass. */
static void test_all_built(void **state)
{
	(void)state;
#ifndef HAVE_XXHASH
	puts("# skipped: integrity-xxh3 is not built: no libxxhash");
	skip();
#else
	assert_string_equal(SUBJECTS[COUNT(SUBJECTS) - 1].name, "xxh3");
#endif
}

static void test_none(void **state)
{
	(void)state;
	struct plugin *plugin = started("none");
	assert_int_equal(plugin->integrity.digest_size, 0);
	assert_int_equal(plugin->integrity.strength, XFER_STRENGTH_NONE);
	uint8_t out[2] = { 1, 2 };
	uint8_t *outs[2] = { out, NULL };
	struct iovec buffers[2] = { { data, 100 }, { data, 0 } };
	assert_int_equal(plugin_digest(plugin, data, 100, out), 0);
	assert_int_equal(plugin_digest(plugin, data, 100, NULL), 0);
	assert_int_equal(plugin_digest_many(plugin, buffers, 2, outs), 0);
	struct xfer_hash *hash;
	assert_int_equal(plugin_hash_create(plugin, &hash), 0);
	assert_int_equal(plugin_hash_update(plugin, hash, data, 100), 0);
	assert_int_equal(plugin_hash_finish(plugin, hash, out), 0);
	assert_int_equal(plugin_hash_finish(plugin, hash, NULL), 0);
	plugin_hash_destroy(plugin, hash);
	assert_true(out[0] == 1 && out[1] == 2);
}

enum { THREADS = 4 };

static void *thread_run(void *context)
{
	struct plugin *plugin = context;
	uint8_t got[XFER_DIGEST_MAX], first[XFER_DIGEST_MAX] = { 0 };
	for (int i = 0; i < 200; i++) {
		if (plugin_digest(plugin, data, 10000, got) != 0)
			return plugin;
		if (i == 0)
			memcpy(first, got, plugin->integrity.digest_size);
		if (memcmp(first, got, plugin->integrity.digest_size) != 0)
			return plugin;
		struct xfer_hash *hash;
		if (plugin_hash_create(plugin, &hash) != 0 || plugin_hash_update(plugin, hash, data, 10000) != 0 ||
		    plugin_hash_finish(plugin, hash, got) != 0 ||
		    memcmp(first, got, plugin->integrity.digest_size) != 0)
			return plugin;
		plugin_hash_destroy(plugin, hash);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	for (size_t s = 0; s < COUNT(SUBJECTS); s++) {
		pthread_t threads[THREADS];
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, thread_run, started(SUBJECTS[s].name)), 0);
		for (int i = 0; i < THREADS; i++) {
			void *failed;
			pthread_join(threads[i], &failed);
			assert_null(failed);
		}
	}
}

/* The liar for other tests: honest at load, then wrong as often as it was told. */
static void test_wrong(void **state)
{
	(void)state;
	const char *build = getenv("top_builddir");
	char path[600];
	snprintf(path, sizeof(path), "%s/tests/plugins/wrong/.libs/integrity-sha256.so", build != NULL ? build : ".");
	struct registry *own;
	struct plugin *plugin;
	struct error err = { 0 };
	assert_int_equal(registry_create(&own, folder, NULL, &err), 0);
	if (registry_load(own, XFER_KIND_INTEGRITY, path, &plugin, &err) < 0)
		fail_msg("%s", err.text);
	/* every, times, min-size, max-size, streams */
	union xfer_value values[5] = {
		{ .integer = 3 }, { .integer = 2 }, { .number = 100 }, { .number = 2000 }, { .boolean = 0 }
	};
	assert_int_equal(plugin->about.option_count, COUNT(values));
	assert_int_equal(plugin_start(plugin, values, &err), 0);
	unsigned wrong = 0;
	uint8_t want[32], got[32];
	for (int i = 1; i <= 12; i++) {
		reference_sha256(data, 1000, want);
		assert_int_equal(plugin_digest(plugin, data, 1000, got), 0);
		bool lie = memcmp(want, got, 32) != 0;
		assert_int_equal(lie, i == 3 || i == 6);
		wrong += lie;
		/* Out of the range of sizes: neither counted nor wrong. */
		reference_sha256(data, 99, want);
		assert_int_equal(plugin_digest(plugin, data, 99, got), 0);
		assert_memory_equal(want, got, 32);
		reference_sha256(data, 2001, want);
		assert_int_equal(plugin_digest(plugin, data, 2001, got), 0);
		assert_memory_equal(want, got, 32);
	}
	assert_int_equal(wrong, 2);
	registry_destroy(own);
}

static int setup(void **state)
{
	(void)state;
	const char *build = getenv("top_builddir");
	snprintf(folder, sizeof(folder), "%s/plugins/.libs", build != NULL ? build : ".");
	data = malloc(LONGEST + MARGIN);
	if (data == NULL || registry_create(&registry, folder, NULL, NULL) < 0)
		return -1;
	uint32_t random = 1;
	for (size_t i = 0; i < LONGEST + MARGIN; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (uint8_t)(random >> 24);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	registry_destroy(registry);
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_splits),    cmocka_unit_test(test_many),
		cmocka_unit_test(test_huge),    cmocka_unit_test(test_none),      cmocka_unit_test(test_threads),
		cmocka_unit_test(test_engine),  cmocka_unit_test(test_all_built), cmocka_unit_test(test_wrong),
	};
	return cmocka_run_group_tests_name("integrity", tests, setup, teardown);
}
