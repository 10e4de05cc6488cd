/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-xxh3: XXH3 with 128 bits and seed 0, by libxxhash. The digest is the library's canonical form, the same on
 * every processor. The hash is made for speed and good distribution; whoever wants two inputs with one digest finds them.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct xxh3 {
	const struct xfer_host *host;
};

struct xfer_hash {
	const struct xfer_host *host;
	XXH3_state_t *state; /* owned; aligned as the library wants it */
};

/* One for each way that the library takes by length: 0, to 16, to 128, to 240 and longer bytes. */
#define FOX "The quick brown fox jumps over the lazy dog. "
static const char FOXES[] = FOX FOX FOX FOX FOX FOX;
static const uint8_t ZEROES[1024];
static const uint8_t DIGEST_EMPTY[] = {
	0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8, 0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f,
};
static const uint8_t DIGEST_A[] = {
	0xa9, 0x6f, 0xaf, 0x70, 0x5a, 0xf1, 0x68, 0x34, 0xe6, 0xc6, 0x32, 0xb6, 0x1e, 0x96, 0x4e, 0x1f,
};
static const uint8_t DIGEST_FOX[] = {
	0x64, 0xfa, 0x8d, 0xce, 0x49, 0x1c, 0x60, 0x6c, 0x4d, 0xb0, 0xb1, 0xa6, 0xe0, 0x19, 0x90, 0x57,
};
static const uint8_t DIGEST_FOX_3[] = {
	0x91, 0x22, 0xe8, 0x92, 0x46, 0x58, 0x17, 0x60, 0x2e, 0x83, 0x26, 0x67, 0x32, 0xa2, 0x67, 0x76,
};
static const uint8_t DIGEST_FOX_6[] = {
	0x8a, 0xc5, 0x32, 0xc8, 0x8a, 0x76, 0x05, 0x7d, 0x98, 0x31, 0x70, 0x61, 0x3e, 0x27, 0x8a, 0x57,
};
static const uint8_t DIGEST_ZEROES[] = {
	0x07, 0x17, 0x19, 0x1e, 0x67, 0x68, 0x83, 0x13, 0xde, 0x5f, 0x15, 0xab, 0x6d, 0xaf, 0x79, 0x41,
};

static const struct xfer_known_answer KNOWN[] = {
	{ .input = NULL, .input_len = 0, .digest = DIGEST_EMPTY },
	{ .input = "a", .input_len = 1, .digest = DIGEST_A },
	{ .input = FOX, .input_len = sizeof(FOX) - 1, .digest = DIGEST_FOX },
	{ .input = FOXES, .input_len = 3 * (sizeof(FOX) - 1), .digest = DIGEST_FOX_3 },
	{ .input = FOXES, .input_len = sizeof(FOXES) - 1, .digest = DIGEST_FOX_6 },
	{ .input = ZEROES, .input_len = sizeof(ZEROES), .digest = DIGEST_ZEROES },
};

static void xxh3_write(XXH128_hash_t hash, uint8_t *out)
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(out, canonical.digest, sizeof(canonical.digest));
}

static int xxh3_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)params;
	struct xxh3 *self = malloc(sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->host = host;
	*instance = self;
	return 0;
}

static void xxh3_destroy(void *instance)
{
	free(instance);
}

static int xxh3_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	(void)instance;
	(void)flags;
	xxh3_write(XXH3_128bits(bytes, len), out);
	return 0;
}

static int xxh3_hash_create(void *instance, struct xfer_hash **out)
{
	const struct xxh3 *self = instance;
	struct xfer_hash *hash = malloc(sizeof(*hash));
	XXH3_state_t *state = XXH3_createState();
	if (hash == NULL || state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
		XXH3_freeState(state);
		free(hash);
		return -ENOMEM;
	}
	hash->host = self->host;
	hash->state = state;
	*out = hash;
	return 0;
}

static int xxh3_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	if (len == 0) /* then `bytes` may be NULL, which some versions of the library take for an error */
		return 0;
	if (XXH3_128bits_update(hash->state, bytes, len) != XXH_OK) {
		hash->host->error(hash->host, "libxxhash refuses %zu bytes", len);
		return -EIO;
	}
	return 0;
}

static int xxh3_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	xxh3_write(XXH3_128bits_digest(hash->state), out);
	if (XXH3_128bits_reset(hash->state) != XXH_OK) {
		hash->host->error(hash->host, "libxxhash cannot begin anew");
		return -EIO;
	}
	return 0;
}

static void xxh3_hash_destroy(struct xfer_hash *hash)
{
	XXH3_freeState(hash->state);
	free(hash);
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = sizeof(XXH128_canonical_t),
	.strength = XFER_STRENGTH_ACCIDENTAL,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = xxh3_digest,
	.hash_create = xxh3_hash_create,
	.hash_update = xxh3_hash_update,
	.hash_finish = xxh3_hash_finish,
	.hash_destroy = xxh3_hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "xxh3",
	.version = PLUGIN_VERSION,
	.summary = "XXH3, 128 bits, by libxxhash: detects accidents, no attacker",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = xxh3_create,
	.destroy = xxh3_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
