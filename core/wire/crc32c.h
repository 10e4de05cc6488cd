/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), which guards frames; with the processor's instruction where it has one. */
#ifndef XFER_WIRE_CRC32C_H
#define XFER_WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 at the start): crc32c(crc32c(0, a), b) is the CRC of a and b joined. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);

#endif
