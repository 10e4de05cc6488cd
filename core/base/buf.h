/* SPDX-License-Identifier: BSD-2-Clause */
/* A growable run of bytes, for control frames and texts (payloads live in lent buffers, see pipeline/lend.h). */
#ifndef XFER_BASE_BUF_H
#define XFER_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned; NULL while nothing was written */
	size_t len;    /* bytes in use */
	size_t cap;    /* bytes allocated */
};

/* Makes room for `more` bytes after len. -ENOMEM leaves the buffer as it was. */
int buf_reserve(struct buf *buf, size_t more);
int buf_append(struct buf *buf, const void *bytes, size_t len);
int buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `len` bytes (len <= buf->len); moves the rest to the front. */
void buf_consume(struct buf *buf, size_t len);
/* Empties it but keeps the allocation. */
void buf_clear(struct buf *buf);
/* Frees what it holds; the struct itself is the caller's, and may be used again. */
void buf_free(struct buf *buf);

#endif
