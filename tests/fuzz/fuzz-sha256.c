/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256 of several buffers at a time: the same as OpenSSL's of each.
 * Input: how many buffers; of each where it begins in what follows, and its length (two bytes, read round and round).
 */
#include "fuzz.h"

#include "lanes.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 32, MOST = 12, ROW = 3, LONGEST = 700 };

const char fuzz_name[] = "sha256";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct iovec buffers[MOST];
	uint8_t digests[MOST][DIGEST], want[DIGEST];
	uint8_t *outs[MOST], *rooms[MOST];
	size_t count = len > 0 ? bytes[0] % (MOST + 1) : 0;

	if (!lanes_usable() || len < 1 + count * ROW)
		return 0;
	const uint8_t *text = bytes + 1 + count * ROW;
	size_t text_len = len - 1 - count * ROW;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *row = bytes + 1 + i * ROW;
		size_t take = text_len > 0 ? (size_t)(row[1] << 8 | row[2]) % LONGEST : 0;
		/* At its end, so that a sanitizer sees what is read behind it. */
		uint8_t *room = malloc(row[0] + take + 1);
		if (room == NULL)
			abort();
		for (size_t k = 0; k < take; k++)
			room[row[0] + 1 + k] = text[(row[0] + k) % text_len];
		rooms[i] = room;
		buffers[i] = (struct iovec){ .iov_base = room + row[0] + 1, .iov_len = take };
		outs[i] = digests[i];
	}
	lanes_digest(buffers, count, outs);
	for (size_t i = 0; i < count; i++) {
		if (EVP_Digest(buffers[i].iov_base, buffers[i].iov_len, want, NULL, EVP_sha256(), NULL) != 1 ||
		    memcmp(want, digests[i], DIGEST) != 0)
			abort();
		free(rooms[i]);
	}
	return 0;
}

/* 0 to 12 buffers, around the lengths where the padding needs a block more. */
int fuzz_seed(size_t i, struct buf *out)
{
	static const uint16_t lengths[MOST] = { 0, 55, 56, 63, 64, 65, 119, 120, 128, 500, 640, 1 };
	uint8_t head = (uint8_t)i;

	if (i > MOST)
		return 0;
	int code = buf_append(out, &head, 1);
	for (size_t k = 0; k < i && code == 0; k++) {
		uint8_t row[ROW] = { (uint8_t)(k * 5), (uint8_t)(lengths[k] >> 8), (uint8_t)lengths[k] };
		code = buf_append(out, row, sizeof(row));
	}
	if (code == 0)
		code = buf_append(out, "what is hashed", 14);
	return code < 0 ? code : 1;
}
