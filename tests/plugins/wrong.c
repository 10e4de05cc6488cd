/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A liar that calls itself sha256, for tests: now and then a digest is wrong. Named like the honest one so that it is
 * agreed upon; it lies in a folder of its own and is loaded by its path.
 */
#define SHA256_WITHOUT_REGISTRATION
#include "../../plugins/integrity-sha256/sha256.c"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct wrong {
	void *sha; /* owned; the honest instance */
	uint64_t every;
	uint64_t times; /* 0: no bound */
	uint64_t min_size;
	uint64_t max_size; /* 0: no bound */
	int streams;
	_Atomic uint64_t asked;
	_Atomic uint64_t lied;
};

struct wrong_hash {
	struct wrong *wrong;
	struct xfer_hash *honest; /* owned */
	uint64_t len;
};

enum { OPTION_EVERY, OPTION_TIMES, OPTION_MIN_SIZE, OPTION_MAX_SIZE, OPTION_STREAMS, OPTIONS };

static const struct xfer_option OPTION_TABLE[OPTIONS] = {
	[OPTION_EVERY] = { .name = "every",
	                   .type = XFER_OPTION_INT,
	                   .default_text = "0",
	                   .min = 0,
	                   .max = INT64_MAX,
	                   .help = "every so-manieth digest is wrong; 0: none" },
	[OPTION_TIMES] = { .name = "times",
	                   .type = XFER_OPTION_INT,
	                   .default_text = "0",
	                   .min = 0,
	                   .max = INT64_MAX,
	                   .help = "at most so many in the process; 0: no bound" },
	[OPTION_MIN_SIZE] = { .name = "min-size",
	                      .type = XFER_OPTION_SIZE,
	                      .default_text = "0",
	                      .unit = "bytes",
	                      .help = "shorter inputs are neither counted nor lied about" },
	[OPTION_MAX_SIZE] = { .name = "max-size",
	                      .type = XFER_OPTION_SIZE,
	                      .default_text = "0",
	                      .unit = "bytes",
	                      .help = "longer inputs are neither counted nor lied about; 0: no bound" },
	[OPTION_STREAMS] = { .name = "streams",
	                     .type = XFER_OPTION_BOOL,
	                     .default_text = "no",
	                     .help = "digests of streams too: a file's is one" },
};

static int wrong_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	const union xfer_value *values = params->values;
	struct wrong *wrong = calloc(1, sizeof(*wrong));
	if (wrong == NULL)
		return -ENOMEM;
	wrong->every = (uint64_t)values[OPTION_EVERY].integer;
	wrong->times = (uint64_t)values[OPTION_TIMES].integer;
	wrong->min_size = values[OPTION_MIN_SIZE].number;
	wrong->max_size = values[OPTION_MAX_SIZE].number;
	wrong->streams = values[OPTION_STREAMS].boolean;
	const union xfer_value engine = { .text = SHA256_OPTIONS[0].default_text };
	const struct xfer_params honest = { .struct_size = sizeof(honest), .count = 1, .values = &engine };
	int rc = sha256_create(host, &honest, &wrong->sha);
	if (rc < 0)
		free(wrong);
	else
		*instance = wrong;
	return rc;
}

static void wrong_destroy(void *instance)
{
	struct wrong *wrong = instance;
	sha256_destroy(wrong->sha);
	free(wrong);
}

/* The core looks at these at load: whoever lies about them is not loaded. */
static bool is_known(const uint8_t *digest)
{
	for (size_t i = 0; i < ops.known_answer_count; i++)
		if (memcmp(digest, KNOWN[i].digest, SHA256_SIZE) == 0)
			return true;
	return false;
}

static void maybe_lie(struct wrong *wrong, uint64_t len, uint8_t *digest)
{
	if (wrong->every == 0 || len < wrong->min_size || (wrong->max_size > 0 && len > wrong->max_size) ||
	    is_known(digest))
		return;
	if ((atomic_fetch_add(&wrong->asked, 1) + 1) % wrong->every != 0)
		return;
	if (wrong->times > 0 && atomic_fetch_add(&wrong->lied, 1) >= wrong->times)
		return;
	digest[0] ^= 1;
}

static int wrong_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	struct wrong *wrong = instance;
	int rc = sha256_digest(wrong->sha, bytes, len, out, flags);
	if (rc == 0)
		maybe_lie(wrong, len, out);
	return rc;
}

static int wrong_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                             uint32_t flags)
{
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = wrong_digest(instance, buffers[i].iov_base, buffers[i].iov_len, outs[i], flags);
	return rc;
}

static int wrong_hash_create(void *instance, struct xfer_hash **out)
{
	struct wrong *wrong = instance;
	struct wrong_hash *hash = calloc(1, sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	hash->wrong = wrong;
	int rc = sha256_hash_create(wrong->sha, &hash->honest);
	if (rc < 0)
		free(hash);
	else
		*out = (struct xfer_hash *)(void *)hash;
	return rc;
}

static int wrong_hash_update(struct xfer_hash *state, const void *bytes, size_t len, uint32_t flags)
{
	struct wrong_hash *hash = (struct wrong_hash *)(void *)state;
	hash->len += len;
	return evp_hash_update(hash->honest, bytes, len, flags);
}

static int wrong_hash_finish(struct xfer_hash *state, uint8_t *out, uint32_t flags)
{
	struct wrong_hash *hash = (struct wrong_hash *)(void *)state;
	int rc = evp_hash_finish(hash->honest, out, flags);
	if (rc == 0 && hash->wrong->streams)
		maybe_lie(hash->wrong, hash->len, out);
	hash->len = 0;
	return rc;
}

static void wrong_hash_destroy(struct xfer_hash *state)
{
	struct wrong_hash *hash = (struct wrong_hash *)(void *)state;
	evp_hash_destroy(hash->honest);
	free(hash);
}

static const struct xfer_integrity_ops wrong_ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = SHA256_SIZE,
	.strength = 128,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = wrong_digest,
	.digest_many = wrong_digest_many,
	.hash_create = wrong_hash_create,
	.hash_update = wrong_hash_update,
	.hash_finish = wrong_hash_finish,
	.hash_destroy = wrong_hash_destroy,
};

static const struct xfer_plugin wrong_plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "sha256",
	.version = "0",
	.summary = "SHA-256 that lies now and then, for tests",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = OPTION_TABLE,
	.option_count = OPTIONS,
	.create = wrong_create,
	.destroy = wrong_destroy,
	.integrity = &wrong_ops,
};

XFER_REGISTER_PLUGIN(wrong_plugin)
