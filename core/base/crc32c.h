/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), which guards frames: by the processor's instruction or a table. */
#ifndef XFER_BASE_CRC32C_H
#define XFER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 at the start): crc32c(crc32c(0, a), b) is the CRC of a and b joined. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

/* The same by table, on any processor; crc32c() falls back to it, and the tests compare the two. */
uint32_t crc32c_table(uint32_t crc, const void *bytes, size_t len);

#endif
