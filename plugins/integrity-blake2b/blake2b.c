/* SPDX-License-Identifier: BSD-2-Clause */
/* integrity-blake2b: BLAKE2b with 64 bytes, without a key (RFC 7693), by OpenSSL. What `b2sum` prints. */
#include <xfer/plugin.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { BLAKE2B_SIZE = 64, BLAKE2B_STRENGTH = 256 };

struct blake2b {
	const struct xfer_host *host;
	EVP_MD *md; /* fetched once: the look-up by name costs more than a small chunk's digest */
};

struct xfer_hash {
	const struct blake2b *blake;
	EVP_MD_CTX *context;
};

#define FOX "The quick brown fox jumps over the lazy dog. "
static const char FOXES[] = FOX FOX FOX;
static const uint8_t ZEROES[256]; /* two blocks, filled to the end */
static const uint8_t DIGEST_EMPTY[] = {
	0x78, 0x6a, 0x02, 0xf7, 0x42, 0x01, 0x59, 0x03, 0xc6, 0xc6, 0xfd, 0x85, 0x25, 0x52, 0xd2, 0x72,
	0x91, 0x2f, 0x47, 0x40, 0xe1, 0x58, 0x47, 0x61, 0x8a, 0x86, 0xe2, 0x17, 0xf7, 0x1f, 0x54, 0x19,
	0xd2, 0x5e, 0x10, 0x31, 0xaf, 0xee, 0x58, 0x53, 0x13, 0x89, 0x64, 0x44, 0x93, 0x4e, 0xb0, 0x4b,
	0x90, 0x3a, 0x68, 0x5b, 0x14, 0x48, 0xb7, 0x55, 0xd5, 0x6f, 0x70, 0x1a, 0xfe, 0x9b, 0xe2, 0xce,
};
static const uint8_t DIGEST_ABC[] = {
	0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d, 0x6a, 0x27, 0x97, 0xb6, 0x9f, 0x12, 0xf6, 0xe9,
	0x4c, 0x21, 0x2f, 0x14, 0x68, 0x5a, 0xc4, 0xb7, 0x4b, 0x12, 0xbb, 0x6f, 0xdb, 0xff, 0xa2, 0xd1,
	0x7d, 0x87, 0xc5, 0x39, 0x2a, 0xab, 0x79, 0x2d, 0xc2, 0x52, 0xd5, 0xde, 0x45, 0x33, 0xcc, 0x95,
	0x18, 0xd3, 0x8a, 0xa8, 0xdb, 0xf1, 0x92, 0x5a, 0xb9, 0x23, 0x86, 0xed, 0xd4, 0x00, 0x99, 0x23,
};
static const uint8_t DIGEST_FOXES[] = {
	0xae, 0xce, 0x41, 0x00, 0xca, 0x27, 0x06, 0x47, 0xe4, 0xb7, 0xaf, 0xba, 0x4c, 0x1c, 0xfe, 0x9f,
	0xd5, 0x8e, 0xf9, 0xf7, 0x85, 0xa3, 0x5a, 0x55, 0x25, 0x2a, 0xfb, 0xf3, 0x2f, 0x16, 0xdd, 0x62,
	0xaf, 0xba, 0xe7, 0x01, 0xc6, 0xe2, 0x42, 0x53, 0xab, 0xe9, 0xe0, 0x2a, 0x5b, 0x2b, 0x92, 0x3c,
	0x4f, 0x91, 0xe8, 0xa9, 0xee, 0xa0, 0xa6, 0x89, 0xfe, 0x64, 0xf1, 0x72, 0x8c, 0x3e, 0xfd, 0x9a,
};
static const uint8_t DIGEST_ZEROES[] = {
	0xec, 0x9c, 0x6b, 0x30, 0x1a, 0x6c, 0x98, 0x94, 0x6d, 0x74, 0x2a, 0x74, 0x71, 0x0e, 0x65, 0x8f,
	0x02, 0x43, 0xe0, 0xe6, 0xd3, 0x52, 0x5f, 0x4a, 0xfa, 0x94, 0xdf, 0xc2, 0x39, 0x54, 0x56, 0xfa,
	0x54, 0xeb, 0xe5, 0xef, 0x0f, 0x41, 0x3b, 0x5a, 0x9a, 0xbf, 0xe6, 0x50, 0x1d, 0xab, 0xb4, 0xb9,
	0xa0, 0xfb, 0xca, 0x16, 0x4d, 0x6c, 0xd8, 0x0b, 0x1e, 0x79, 0xdb, 0xbe, 0xd8, 0xd4, 0x20, 0x2e,
};

static const struct xfer_known_answer KNOWN[] = {
	{ .input = NULL, .input_len = 0, .digest = DIGEST_EMPTY },
	{ .input = "abc", .input_len = 3, .digest = DIGEST_ABC },
	{ .input = FOXES, .input_len = sizeof(FOXES) - 1, .digest = DIGEST_FOXES },
	{ .input = ZEROES, .input_len = sizeof(ZEROES), .digest = DIGEST_ZEROES },
};

/* Hands on what the library says of its last call, which returned `ok` (1 = fine). */
static int blake2b_result(const struct blake2b *blake, int ok)
{
	if (ok == 1)
		return 0;
	char text[160];
	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	blake->host->error(blake->host, "OpenSSL: %s", text);
	return -EIO;
}

static int blake2b_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)params;
	struct blake2b *blake = malloc(sizeof(*blake));
	if (blake == NULL)
		return -ENOMEM;
	blake->host = host;
	blake->md = EVP_MD_fetch(NULL, "BLAKE2B-512", NULL);
	if (blake->md == NULL) {
		int rc = blake2b_result(blake, 0);
		free(blake);
		return rc;
	}
	*instance = blake;
	return 0;
}

static void blake2b_destroy(void *instance)
{
	struct blake2b *blake = instance;
	EVP_MD_free(blake->md);
	free(blake);
}

static int blake2b_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	const struct blake2b *blake = instance;
	(void)flags;
	return blake2b_result(blake, EVP_Digest(bytes, len, out, NULL, blake->md, NULL));
}

/* One context for all. */
static int blake2b_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                               uint32_t flags)
{
	const struct blake2b *blake = instance;
	(void)flags;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == NULL)
		return -ENOMEM;
	int ok = EVP_DigestInit_ex2(context, blake->md, NULL);
	for (size_t i = 0; i < count && ok == 1; i++) {
		if (i > 0)
			ok = EVP_DigestInit_ex2(context, NULL, NULL);
		if (ok == 1)
			ok = EVP_DigestUpdate(context, buffers[i].iov_base, buffers[i].iov_len);
		if (ok == 1)
			ok = EVP_DigestFinal_ex(context, outs[i], NULL);
	}
	EVP_MD_CTX_free(context);
	return blake2b_result(blake, ok);
}

static int blake2b_hash_create(void *instance, struct xfer_hash **out)
{
	const struct blake2b *blake = instance;
	struct xfer_hash *hash = malloc(sizeof(*hash));
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int rc = hash == NULL || context == NULL ? -ENOMEM
	                                         : blake2b_result(blake, EVP_DigestInit_ex2(context, blake->md, NULL));
	if (rc < 0) {
		EVP_MD_CTX_free(context);
		free(hash);
		return rc;
	}
	hash->blake = blake;
	hash->context = context;
	*out = hash;
	return 0;
}

static int blake2b_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	return blake2b_result(hash->blake, EVP_DigestUpdate(hash->context, bytes, len));
}

static int blake2b_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	int ok = EVP_DigestFinal_ex(hash->context, out, NULL);
	if (ok == 1)
		ok = EVP_DigestInit_ex2(hash->context, NULL, NULL);
	return blake2b_result(hash->blake, ok);
}

static void blake2b_hash_destroy(struct xfer_hash *hash)
{
	EVP_MD_CTX_free(hash->context);
	free(hash);
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = BLAKE2B_SIZE,
	.strength = BLAKE2B_STRENGTH,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = blake2b_digest,
	.digest_many = blake2b_digest_many,
	.hash_create = blake2b_hash_create,
	.hash_update = blake2b_hash_update,
	.hash_finish = blake2b_hash_finish,
	.hash_destroy = blake2b_hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "blake2b",
	.version = PLUGIN_VERSION,
	.summary = "BLAKE2b by OpenSSL: detects accidents and attackers",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = blake2b_create,
	.destroy = blake2b_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
