/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-sha256: SHA-256 (FIPS 180-4) by OpenSSL; several buffers at a time by lanes of our own where the processor
 * has SHA instructions.
 */
#include <xfer/plugin.h>

#include "evp.h"
#include "lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHA256_SIZE = 32 };

struct sha256 {
	struct evp evp;
	bool lanes; /* more than one buffer goes through lanes.h */
};

#define FOX "The quick brown fox jumps over the lazy dog. "
static const char TWO_BLOCKS[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
static const char THREE_BLOCKS[] = FOX FOX FOX;
static const char LONG[] = FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX FOX;
static const uint8_t DIGEST_EMPTY[] = {
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
};
static const uint8_t DIGEST_ABC[] = {
	0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
	0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};
static const uint8_t DIGEST_TWO_BLOCKS[] = {
	0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39,
	0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1,
};
static const uint8_t DIGEST_THREE_BLOCKS[] = {
	0xdc, 0x98, 0x54, 0x01, 0xa6, 0x8f, 0xaf, 0xf0, 0x30, 0x51, 0xc7, 0x8b, 0xbf, 0x32, 0xbb, 0x2f,
	0xd2, 0x7b, 0xa2, 0x16, 0xb0, 0xdb, 0xa1, 0x9b, 0x05, 0x0b, 0x93, 0x6d, 0x53, 0x4b, 0x8b, 0xa9,
};
static const uint8_t DIGEST_LONG[] = {
	0x4a, 0x08, 0xa8, 0x0d, 0x72, 0x03, 0xf9, 0xe8, 0x72, 0xe7, 0x11, 0x52, 0x87, 0x8d, 0x08, 0x3b,
	0x9c, 0xdd, 0x75, 0x17, 0x49, 0x4b, 0x86, 0x4a, 0xce, 0x6d, 0x60, 0x3c, 0x8e, 0x17, 0x4a, 0x68,
};

static const struct xfer_known_answer KNOWN[] = {
	{ .input = NULL, .input_len = 0, .digest = DIGEST_EMPTY },
	{ .input = "abc", .input_len = 3, .digest = DIGEST_ABC },
	{ .input = TWO_BLOCKS, .input_len = sizeof(TWO_BLOCKS) - 1, .digest = DIGEST_TWO_BLOCKS },
	{ .input = THREE_BLOCKS, .input_len = sizeof(THREE_BLOCKS) - 1, .digest = DIGEST_THREE_BLOCKS },
	{ .input = LONG, .input_len = sizeof(LONG) - 1, .digest = DIGEST_LONG },
};

static const struct xfer_option SHA256_OPTIONS[] = {
	{
		.name = "engine",
		.type = XFER_OPTION_STRING,
		.default_text = "auto",
		.max = 16,
		.help = "auto: several chunks at a time by the processor's SHA instructions, if it has them; openssl: never",
	},
};

static int sha256_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	const char *engine = params->values[0].text;
	bool automatic = strcmp(engine, "auto") == 0;
	if (!automatic && strcmp(engine, "openssl") != 0) {
		host->error(host, "engine = %s: it is auto or openssl", engine);
		return -EINVAL;
	}
	struct sha256 *sha = malloc(sizeof(*sha));
	if (sha == NULL)
		return -ENOMEM;
	sha->lanes = automatic && lanes_usable();
	int rc = evp_open(&sha->evp, host, "SHA256");
	if (rc < 0) {
		free(sha);
		return rc;
	}
	*instance = sha;
	return 0;
}

static void sha256_destroy(void *instance)
{
	struct sha256 *sha = instance;
	evp_close(&sha->evp);
	free(sha);
}

static int sha256_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	const struct sha256 *sha = instance;
	(void)flags;
	return evp_digest(&sha->evp, bytes, len, out);
}

/* Of one buffer OpenSSL makes as much as a lane. */
static int sha256_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                              uint32_t flags)
{
	const struct sha256 *sha = instance;
	(void)flags;
	if (!sha->lanes || count <= 1)
		return evp_digest_many(&sha->evp, buffers, count, outs);
	lanes_digest(buffers, count, outs);
	return 0;
}

static int sha256_hash_create(void *instance, struct xfer_hash **out)
{
	const struct sha256 *sha = instance;
	return evp_hash_create(&sha->evp, out);
}

static uint32_t sha256_lanes(void *instance)
{
	const struct sha256 *sha = instance;
	return sha->lanes ? LANES : 1;
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = SHA256_SIZE,
	.strength = 128,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = sha256_digest,
	.digest_many = sha256_digest_many,
	.hash_create = sha256_hash_create,
	.hash_update = evp_hash_update,
	.hash_finish = evp_hash_finish,
	.hash_destroy = evp_hash_destroy,
	.lanes = sha256_lanes,
};

#ifndef SHA256_WITHOUT_REGISTRATION /* a test's plug-in is built around this one */
static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "sha256",
	.version = PLUGIN_VERSION,
	.summary = "SHA-256 by OpenSSL: detects accidents and attackers",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = SHA256_OPTIONS,
	.option_count = sizeof(SHA256_OPTIONS) / sizeof(SHA256_OPTIONS[0]),
	.create = sha256_create,
	.destroy = sha256_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
#endif
