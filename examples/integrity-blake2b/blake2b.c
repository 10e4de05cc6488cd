/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-example-blake2b: BLAKE2b with 64 bytes (RFC 7693) by OpenSSL, in its simplest form: an example of a plug-in
 * that is a thin layer over somebody else's library. What xfer ships as integrity-blake2b gives the same digests and is
 * faster on many small chunks.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { BLAKE2B_SIZE = 64 };

/* ---- the instance: one in the process, shared by all threads, and never changed after create() ------------------- */

struct blake2b {
	const struct xfer_host *host; /* the core's; ours to use until destroy() */
	EVP_MD *md;                   /* owned; found by its name once, which takes longer than a small digest */
};

/* The error that the running call is about to return, with a text for people. */
static int failed(const struct blake2b *blake)
{
	blake->host->error(blake->host, "OpenSSL cannot make a BLAKE2b digest");
	return -EIO;
}

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	struct blake2b *blake = malloc(sizeof(*blake));

	(void)params; /* there is no table of options, so there are no values */
	if (blake == NULL)
		return -ENOMEM;
	blake->host = host;
	blake->md = EVP_MD_fetch(NULL, "BLAKE2B-512", NULL);
	if (blake->md == NULL) {
		host->error(host, "this OpenSSL has no BLAKE2b");
		free(blake);
		return -ENOTSUP;
	}
	*instance = blake; /* an output is set on success only */
	return 0;
}

static void destroy(void *instance)
{
	struct blake2b *blake = instance;

	EVP_MD_free(blake->md);
	free(blake);
}

/* ---- digests ----------------------------------------------------------------------------------------------------- */

/* The digest of a chunk. Several threads are in here at a time, all with the same instance. */
static int digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	const struct blake2b *blake = instance;

	(void)flags;
	return EVP_Digest(bytes, len, out, NULL, blake->md, NULL) == 1 ? 0 : failed(blake);
}

/* A stream, such as the digest of a whole file. It sees one call at a time. */
struct xfer_hash {
	const struct blake2b *blake;
	EVP_MD_CTX *context; /* owned */
};

static void hash_destroy(struct xfer_hash *hash)
{
	EVP_MD_CTX_free(hash->context);
	free(hash);
}

static int hash_create(void *instance, struct xfer_hash **out)
{
	struct xfer_hash *hash = malloc(sizeof(*hash));

	if (hash == NULL)
		return -ENOMEM;
	hash->blake = instance;
	hash->context = EVP_MD_CTX_new();
	if (hash->context == NULL || EVP_DigestInit_ex2(hash->context, hash->blake->md, NULL) != 1) {
		hash_destroy(hash);
		return -ENOMEM;
	}
	*out = hash;
	return 0;
}

static int hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	return EVP_DigestUpdate(hash->context, bytes, len) == 1 ? 0 : failed(hash->blake);
}

/* Writes the digest and begins the next stream. */
static int hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	if (EVP_DigestFinal_ex(hash->context, out, NULL) != 1 || EVP_DigestInit_ex2(hash->context, NULL, NULL) != 1)
		return failed(hash->blake);
	return 0;
}

/* ---- what the core reads ----------------------------------------------------------------------------------------- */

/* RFC 7693, appendix A. Computed anew each time that the plug-in is loaded. */
static const uint8_t ABC[BLAKE2B_SIZE] = {
	0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d, 0x6a, 0x27, 0x97, 0xb6, 0x9f, 0x12, 0xf6, 0xe9,
	0x4c, 0x21, 0x2f, 0x14, 0x68, 0x5a, 0xc4, 0xb7, 0x4b, 0x12, 0xbb, 0x6f, 0xdb, 0xff, 0xa2, 0xd1,
	0x7d, 0x87, 0xc5, 0x39, 0x2a, 0xab, 0x79, 0x2d, 0xc2, 0x52, 0xd5, 0xde, 0x45, 0x33, 0xcc, 0x95,
	0x18, 0xd3, 0x8a, 0xa8, 0xdb, 0xf1, 0x92, 0x5a, 0xb9, 0x23, 0x86, 0xed, 0xd4, 0x00, 0x99, 0x23,
};
static const struct xfer_known_answer known[] = {
	{ .input = "abc", .input_len = 3, .digest = ABC },
};

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = BLAKE2B_SIZE,
	.strength = 256, /* bits against collisions: half of the digest's */
	.known_answers = known,
	.known_answer_size = sizeof(known[0]),
	.known_answer_count = sizeof(known) / sizeof(known[0]),
	.digest = digest,
	.hash_create = hash_create,
	.hash_update = hash_update,
	.hash_finish = hash_finish,
	.hash_destroy = hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "example-blake2b",
	.version = "1.0",
	.summary = "BLAKE2b by OpenSSL, the example of a plug-in",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = create,
	.destroy = destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
