/* SPDX-License-Identifier: BSD-2-Clause */
/* The file digest: what is hashed in front of the chunk digests, and how it is printed. */
#include "wire/bytes.h"
#include "wire/message.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

size_t message_digest_head(uint8_t *out, const char *integrity, uint32_t chunk_size, uint64_t file_size)
{
	static const char tag[] = "xfer1:file"; /* its NUL is part of it */
	size_t name_len = strnlen(integrity, MESSAGE_NAME_MAX);
	size_t len = sizeof(tag);

	memcpy(out, tag, sizeof(tag));
	memcpy(out + len, integrity, name_len);
	len += name_len;
	out[len++] = 0;
	store_u32(out + len, chunk_size);
	store_u64(out + len + 4, file_size);
	return len + 12;
}

void message_digest_text(char out[MESSAGE_DIGEST_TEXT_MAX], const char *integrity, uint32_t chunk_size,
                         const uint8_t *digest, uint32_t digest_size)
{
	char size[TEXT_NUMBER_MAX];
	char hex[2 * FRAME_DIGEST_MAX + 1];

	if (digest_size == 0 || digest_size > FRAME_DIGEST_MAX) {
		snprintf(out, MESSAGE_DIGEST_TEXT_MAX, "unverified");
		return;
	}
	snprintf(out, MESSAGE_DIGEST_TEXT_MAX, "xfer1:%.*s:%s:%s", (int)MESSAGE_NAME_MAX, integrity,
	         text_format_size(size, chunk_size), text_hex(hex, digest, digest_size));
}
