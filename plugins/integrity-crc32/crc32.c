/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-crc32: the CRC-32 of zlib, gzip and Ethernet, by ISA-L, libdeflate or zlib, whichever configure found.
 * The digest is the number in network order.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>

#if defined(CRC32_WITH_ISAL)
#include <isa-l/crc.h>
#define CRC32_BY "ISA-L"
#elif defined(CRC32_WITH_LIBDEFLATE)
#include <libdeflate.h>
#define CRC32_BY "libdeflate"
#elif defined(CRC32_WITH_ZLIB)
#include <zlib.h>
#define CRC32_BY "zlib"
#else
#error "which library? CRC32_WITH_ISAL, CRC32_WITH_LIBDEFLATE or CRC32_WITH_ZLIB"
#endif

enum { CRC32_SIZE = 4 };

struct crc32 {
	const struct xfer_host *host;
};

struct xfer_hash {
	uint32_t crc;
};

#define FOX "The quick brown fox jumps over the lazy dog. "
static const char FOXES[] = FOX FOX FOX;
static const uint8_t ZEROES[32];
static const uint8_t DIGEST_EMPTY[] = { 0x00, 0x00, 0x00, 0x00 };
static const uint8_t DIGEST_DIGITS[] = { 0xcb, 0xf4, 0x39, 0x26 };
static const uint8_t DIGEST_ZEROES[] = { 0x19, 0x0a, 0x55, 0xad };
static const uint8_t DIGEST_FOXES[] = { 0x00, 0x1e, 0x00, 0x58 };

static const struct xfer_known_answer KNOWN[] = {
	{ .input = NULL, .input_len = 0, .digest = DIGEST_EMPTY },
	{ .input = "123456789", .input_len = 9, .digest = DIGEST_DIGITS },
	{ .input = ZEROES, .input_len = sizeof(ZEROES), .digest = DIGEST_ZEROES },
	{ .input = FOXES, .input_len = sizeof(FOXES) - 1, .digest = DIGEST_FOXES },
};

#if defined(CRC32_WITH_ISAL)
/*
 * ISA-L leaves the upper parts of the vector registers in use where it computes with AVX-512. SSE code of this thread then
 * runs at a fraction of its speed until somebody clears them: XXH3 at a quarter, SHA-256 at three quarters (AMD Zen 4).
 */
#if defined(__x86_64__)
__attribute__((target("avx"))) static void upper_clear(void)
{
	__builtin_ia32_vzeroupper();
}

static void upper_leave(void)
{
	if (__builtin_cpu_supports("avx"))
		upper_clear();
}
#else
static void upper_leave(void)
{
}
#endif
#endif

/* Goes on from `crc` (0 at the start). */
static uint32_t crc32_more(uint32_t crc, const void *bytes, size_t len)
{
	if (len == 0) /* zlib and libdeflate take NULL for a request of the start value */
		return crc;
#if defined(CRC32_WITH_ISAL)
	crc = crc32_gzip_refl(crc, bytes, len); /* crc32_ieee() is another CRC: not reflected */
	upper_leave();
	return crc;
#elif defined(CRC32_WITH_LIBDEFLATE)
	return libdeflate_crc32(crc, bytes, len);
#else
	return (uint32_t)crc32_z(crc, bytes, len);
#endif
}

static void crc32_write(uint32_t crc, uint8_t *out)
{
	out[0] = (uint8_t)(crc >> 24);
	out[1] = (uint8_t)(crc >> 16);
	out[2] = (uint8_t)(crc >> 8);
	out[3] = (uint8_t)crc;
}

static int crc32_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)params;
	struct crc32 *self = malloc(sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->host = host;
	*instance = self;
	return 0;
}

static void crc32_destroy(void *instance)
{
	free(instance);
}

static int crc32_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	(void)instance;
	(void)flags;
	crc32_write(crc32_more(0, bytes, len), out);
	return 0;
}

static int crc32_hash_create(void *instance, struct xfer_hash **out)
{
	(void)instance;
	struct xfer_hash *hash = malloc(sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	hash->crc = 0;
	*out = hash;
	return 0;
}

static int crc32_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	hash->crc = crc32_more(hash->crc, bytes, len);
	return 0;
}

static int crc32_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	crc32_write(hash->crc, out);
	hash->crc = 0;
	return 0;
}

static void crc32_hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = CRC32_SIZE,
	.strength = XFER_STRENGTH_ACCIDENTAL,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = crc32_digest,
	.hash_create = crc32_hash_create,
	.hash_update = crc32_hash_update,
	.hash_finish = crc32_hash_finish,
	.hash_destroy = crc32_hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "crc32",
	.version = PLUGIN_VERSION,
	.summary = "CRC-32 by " CRC32_BY ": detects accidents, no attacker",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = crc32_create,
	.destroy = crc32_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
