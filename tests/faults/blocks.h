/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What blockfs writes and replay reads: all that a disk was told, in the order in which it was. One record after the
 * other, each a head and then its bytes, in the order of bytes of this machine, which is the only one to read it.
 */
#ifndef FAULTS_BLOCKS_H
#define FAULTS_BLOCKS_H

#include <stdint.h>

enum block_kind {
	BLOCK_WRITE = 1, /* its bytes, to be at `offset` */
	BLOCK_FLUSH,     /* all that was written before is on the disk for good */
	BLOCK_MARK       /* a line of text of whoever watches: what was said to a user by now */
};

struct block_record {
	uint32_t kind;
	uint32_t len; /* of the bytes behind it */
	uint64_t offset;
};

#endif
