/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 in lanes against OpenSSL's: lengths, alignments, counts, and lanes that are refilled at any moment. */
#include "unit.h"

#include "lanes.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 32, MARGIN = 64, FILL = 0xa5 };

static uint64_t seed;

/* xorshift64* */
static uint64_t draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(2685821657736338717);
}

/* Each buffer has an allocation that ends where it ends, so that a sanitizer sees what is read behind it. */
struct given {
	uint8_t *room;
	struct iovec buffer;
	uint8_t out[DIGEST + 1];
};

static void given_make(struct given *given, size_t len)
{
	size_t shift = draw() % MARGIN;

	given->room = malloc(shift + len + 1);
	assert_non_null(given->room);
	uint8_t *bytes = given->room + 1 + shift; /* ends with the allocation */
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(draw() >> 56);
	given->buffer = (struct iovec){ .iov_base = len > 0 ? bytes : NULL, .iov_len = len };
	memset(given->out, FILL, sizeof(given->out));
}

static void check(struct given *given, size_t count)
{
	struct iovec *buffers = calloc(count + 1, sizeof(*buffers));
	uint8_t **outs = calloc(count + 1, sizeof(*outs));

	assert_true(buffers != NULL && outs != NULL);
	for (size_t i = 0; i < count; i++) {
		buffers[i] = given[i].buffer;
		outs[i] = given[i].out;
	}
	lanes_digest(buffers, count, outs);
	for (size_t i = 0; i < count; i++) {
		uint8_t want[DIGEST];
		assert_int_equal(EVP_Digest(given[i].buffer.iov_base, given[i].buffer.iov_len, want, NULL, EVP_sha256(),
		                            NULL),
		                 1);
		if (memcmp(want, given[i].out, DIGEST) != 0)
			fail_msg("buffer %zu of %zu, of %zu bytes", i, count, given[i].buffer.iov_len);
		assert_int_equal(given[i].out[DIGEST], FILL);
		free(given[i].room);
	}
	free(outs);
	free(buffers);
}

#define NEED_LANES()                                                                                                   \
	do {                                                                                                           \
		if (!lanes_usable()) {                                                                                 \
			puts("# skipped: this processor has no SHA instructions");                                     \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

/* Every length around a block's ends, in each lane beside others. */
static void test_lengths(void **state)
{
	(void)state;
	NEED_LANES();
	for (size_t len = 0; len <= 260; len++)
		for (size_t count = 1; count <= 5; count++) {
			struct given given[5];
			for (size_t i = 0; i < count; i++)
				given_make(&given[i], i == len % count ? len : (len * 7 + i * 61) % 300);
			check(given, count);
		}
}

static void test_random(void **state)
{
	(void)state;
	NEED_LANES();
	enum { ROUNDS = 300, MOST = 20 };
	for (int round = 0; round < ROUNDS; round++) {
		struct given given[MOST];
		size_t count = draw() % (MOST + 1);
		for (size_t i = 0; i < count; i++) {
			static const size_t bounds[] = { 1, 70, 500, 5000, 40000 };
			given_make(&given[i], draw() % bounds[draw() % COUNT(bounds)]);
		}
		check(given, count);
	}
}

/* What the pipeline offers: some full chunks, and a shorter one somewhere. */
static void test_chunks(void **state)
{
	(void)state;
	NEED_LANES();
	for (size_t count = 1; count <= 9; count++) {
		struct given given[9];
		for (size_t i = 0; i < count; i++)
			given_make(&given[i], i == count / 2 ? 77777 : 131072);
		check(given, count);
	}
}

static int setup(void **state)
{
	const char *text = getenv("TEST_SEED");

	(void)state;
	seed = text != NULL ? strtoull(text, NULL, 0) | 1 : 20261;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_chunks),
	};
	return cmocka_run_group_tests_name("sha256 lanes", tests, setup, NULL);
}
