/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-crc32c: the CRC-32C (Castagnoli) of iSCSI, SCTP and ext4, by ISA-L, which uses the processor's instructions
 * for it. The digest is the number in network order, as that of integrity-crc32 is; iSCSI sends its bytes the other way
 * round.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <isa-l/crc.h>
#include <limits.h>
#include <stdlib.h>

enum { CRC32C_SIZE = 4 };

struct crc32c {
	const struct xfer_host *host;
};

/* The register as the polynomial leaves it: all ones at the start, and what is written is its inverse. */
#define CRC32C_START UINT32_MAX

struct xfer_hash {
	uint32_t crc;
};

/* The answers to all inputs but the first and the last two are in RFC 3720, B.4. */
#define FOX "The quick brown fox jumps over the lazy dog. "
static const char FOXES[] = FOX FOX FOX;
#define TIMES_8(byte) byte, byte, byte, byte, byte, byte, byte, byte
static const uint8_t ZEROES[32];
static const uint8_t ONES[] = { TIMES_8(0xff), TIMES_8(0xff), TIMES_8(0xff), TIMES_8(0xff) };
static const uint8_t RISING[] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
};
static const uint8_t FALLING[] = {
	0x1f, 0x1e, 0x1d, 0x1c, 0x1b, 0x1a, 0x19, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x10,
	0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x00,
};
static const uint8_t SCSI_READ[] = {
	0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t DIGEST_EMPTY[] = { 0x00, 0x00, 0x00, 0x00 };
static const uint8_t DIGEST_ZEROES[] = { 0x8a, 0x91, 0x36, 0xaa };
static const uint8_t DIGEST_ONES[] = { 0x62, 0xa8, 0xab, 0x43 };
static const uint8_t DIGEST_RISING[] = { 0x46, 0xdd, 0x79, 0x4e };
static const uint8_t DIGEST_FALLING[] = { 0x11, 0x3f, 0xdb, 0x5c };
static const uint8_t DIGEST_SCSI_READ[] = { 0xd9, 0x96, 0x3a, 0x56 };
static const uint8_t DIGEST_DIGITS[] = { 0xe3, 0x06, 0x92, 0x83 };
static const uint8_t DIGEST_FOXES[] = { 0xd5, 0xc1, 0x32, 0x16 };

static const struct xfer_known_answer KNOWN[] = {
	{ .input = NULL, .input_len = 0, .digest = DIGEST_EMPTY },
	{ .input = ZEROES, .input_len = sizeof(ZEROES), .digest = DIGEST_ZEROES },
	{ .input = ONES, .input_len = sizeof(ONES), .digest = DIGEST_ONES },
	{ .input = RISING, .input_len = sizeof(RISING), .digest = DIGEST_RISING },
	{ .input = FALLING, .input_len = sizeof(FALLING), .digest = DIGEST_FALLING },
	{ .input = SCSI_READ, .input_len = sizeof(SCSI_READ), .digest = DIGEST_SCSI_READ },
	{ .input = "123456789", .input_len = 9, .digest = DIGEST_DIGITS },
	{ .input = FOXES, .input_len = sizeof(FOXES) - 1, .digest = DIGEST_FOXES },
};

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

/*
 * Goes on from the register. crc32_iscsi() inverts nothing, neither at the start nor at the end (crc32_gzip_refl() does
 * both); its length is an int, and its buffer is not const although nothing writes to it.
 */
static uint32_t crc32c_more(uint32_t crc, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	while (len > 0) {
		int piece = len < INT_MAX ? (int)len : INT_MAX;
		crc = crc32_iscsi((unsigned char *)(uintptr_t)at, piece, crc);
		at += piece;
		len -= (size_t)piece;
	}
	upper_leave();
	return crc;
}

static void crc32c_write(uint32_t crc, uint8_t *out)
{
	crc = ~crc;
	out[0] = (uint8_t)(crc >> 24);
	out[1] = (uint8_t)(crc >> 16);
	out[2] = (uint8_t)(crc >> 8);
	out[3] = (uint8_t)crc;
}

static int crc32c_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)params;
	struct crc32c *self = malloc(sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->host = host;
	*instance = self;
	return 0;
}

static void crc32c_destroy(void *instance)
{
	free(instance);
}

static int crc32c_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	(void)instance;
	(void)flags;
	crc32c_write(crc32c_more(CRC32C_START, bytes, len), out);
	return 0;
}

static int crc32c_hash_create(void *instance, struct xfer_hash **out)
{
	(void)instance;
	struct xfer_hash *hash = malloc(sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	hash->crc = CRC32C_START;
	*out = hash;
	return 0;
}

static int crc32c_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	hash->crc = crc32c_more(hash->crc, bytes, len);
	return 0;
}

static int crc32c_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	crc32c_write(hash->crc, out);
	hash->crc = CRC32C_START;
	return 0;
}

static void crc32c_hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = CRC32C_SIZE,
	.strength = XFER_STRENGTH_ACCIDENTAL,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = crc32c_digest,
	.hash_create = crc32c_hash_create,
	.hash_update = crc32c_hash_update,
	.hash_finish = crc32c_hash_finish,
	.hash_destroy = crc32c_hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "crc32c",
	.version = PLUGIN_VERSION,
	.summary = "CRC-32C by ISA-L: detects accidents, no attacker",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = crc32c_create,
	.destroy = crc32c_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
