/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to this floor. A reader over bytes that came from elsewhere: what is not there reads as zero or NULL and
 * makes the cursor `torn`, so that a message is read in one go and asked about once, at its end.
 */
#ifndef XFER_WIRE_CURSOR_H
#define XFER_WIRE_CURSOR_H

#include "base/error.h"
#include "wire/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;
	size_t left; /* bytes from `at` on */
	bool torn;   /* more was asked for than there was */
};

static inline struct cursor cursor_of(const uint8_t *bytes, size_t len)
{
	return (struct cursor){ .at = bytes, .left = len };
}

/* The next `len` bytes, or NULL. */
static inline const uint8_t *cursor_bytes(struct cursor *cursor, size_t len)
{
	if (cursor->torn || len > cursor->left) {
		cursor->torn = true;
		return NULL;
	}
	const uint8_t *bytes = cursor->at;
	if (len > 0)
		cursor->at += len;
	cursor->left -= len;
	return bytes;
}

static inline uint8_t cursor_u8(struct cursor *cursor)
{
	const uint8_t *bytes = cursor_bytes(cursor, 1);
	return bytes != NULL ? bytes[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *cursor)
{
	const uint8_t *bytes = cursor_bytes(cursor, 2);
	return bytes != NULL ? load_u16(bytes) : 0;
}

static inline uint32_t cursor_u32(struct cursor *cursor)
{
	const uint8_t *bytes = cursor_bytes(cursor, 4);
	return bytes != NULL ? load_u32(bytes) : 0;
}

static inline uint64_t cursor_u64(struct cursor *cursor)
{
	const uint8_t *bytes = cursor_bytes(cursor, 8);
	return bytes != NULL ? load_u64(bytes) : 0;
}

/* Copies `len` bytes; a torn cursor leaves `out` alone. */
static inline void cursor_copy(struct cursor *cursor, void *out, size_t len)
{
	const uint8_t *bytes = cursor_bytes(cursor, len);
	if (bytes != NULL && len > 0)
		memcpy(out, bytes, len);
}

/* Strings point into the bytes read. A torn cursor gives an empty one. */
static inline const char *cursor_string(struct cursor *cursor, size_t announced, size_t *len)
{
	const uint8_t *bytes = cursor_bytes(cursor, announced);
	*len = bytes != NULL ? announced : 0;
	return bytes != NULL ? (const char *)bytes : "";
}

static inline const char *cursor_string8(struct cursor *cursor, size_t *len)
{
	return cursor_string(cursor, cursor_u8(cursor), len);
}

static inline const char *cursor_string16(struct cursor *cursor, size_t *len)
{
	return cursor_string(cursor, cursor_u16(cursor), len);
}

/* 0 when exactly everything was read; `what` names the message. */
static inline int cursor_finish(const struct cursor *cursor, const char *what, struct error *err)
{
	if (cursor->torn)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s that is cut short", what);
	if (cursor->left > 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s with %zu bytes too many", what,
		                 cursor->left);
	return 0;
}

#endif
