/* SPDX-License-Identifier: BSD-2-Clause */
/* A growable run of bytes. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_CAP_MIN = 64 }; /* bytes; what a first append allocates at least */

int buf_reserve(struct buf *buf, size_t more)
{
	if (more <= buf->cap - buf->len)
		return 0;

	size_t need;
	if (__builtin_add_overflow(buf->len, more, &need) || need > PTRDIFF_MAX)
		return -ENOMEM;

	size_t cap = buf->cap < BUF_CAP_MIN ? BUF_CAP_MIN : buf->cap;
	while (cap < need)
		cap *= 2;

	uint8_t *data = realloc(buf->data, cap);
	if (data == NULL)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len)
{
	if (len == 0)
		return 0;
	int rc = buf_reserve(buf, len);
	if (rc < 0)
		return rc;
	memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	return 0;
}

int buf_format(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return -EINVAL;

	/* One more for the NUL, which vsnprintf() writes and len does not count. */
	int rc = buf_reserve(buf, (size_t)len + 1);
	if (rc < 0)
		return rc;
	va_start(args, format);
	vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
	return 0;
}

void buf_consume(struct buf *buf, size_t len)
{
	buf->len -= len;
	if (len > 0 && buf->len > 0)
		memmove(buf->data, buf->data + len, buf->len);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}
