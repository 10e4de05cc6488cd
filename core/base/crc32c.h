/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), which guards frames: by the processor's instruction or a table. */
#ifndef XFER_BASE_CRC32C_H
#define XFER_BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 at the start): crc32c(crc32c(0, a), b) is the CRC of a and b joined. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/* The ways to make it, which crc32c() chooses from; the tests compare them. */
enum crc32c_way {
	CRC32C_TABLE, /* on any processor */
	CRC32C_WORDS, /* the instruction: long buffers in three lanes */
	CRC32C_FOLD,  /* carry-less products of 64 bytes, and the instruction for what is left: long buffers only */
	CRC32C_WAYS
};
bool crc32c_can(enum crc32c_way way); /* this processor */
/* Only where crc32c_can(). */
uint32_t crc32c_by(enum crc32c_way way, uint32_t crc, const void *bytes, size_t len);

#endif
