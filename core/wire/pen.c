/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer that message bodies are made with. */
#include "wire/pen.h"

#include "wire/bytes.h"

#include <errno.h>

struct pen pen_begin(struct buf *buf)
{
	return (struct pen){ .buf = buf, .start = buf->len };
}

struct pen pen_begin_frame(struct buf *buf)
{
	static const uint8_t header[FRAME_HEADER];
	struct pen pen = pen_begin(buf);

	pen_bytes(&pen, header, sizeof(header));
	return pen;
}

void pen_fail(struct pen *pen, int code)
{
	if (pen->code == 0)
		pen->code = code;
}

void pen_bytes(struct pen *pen, const void *bytes, size_t len)
{
	if (pen->code == 0 && len > 0)
		pen->code = buf_append(pen->buf, bytes, len);
}

void pen_u8(struct pen *pen, uint8_t value)
{
	pen_bytes(pen, &value, 1);
}

void pen_u16(struct pen *pen, uint16_t value)
{
	uint8_t bytes[2];

	store_u16(bytes, value);
	pen_bytes(pen, bytes, sizeof(bytes));
}

void pen_u32(struct pen *pen, uint32_t value)
{
	uint8_t bytes[4];

	store_u32(bytes, value);
	pen_bytes(pen, bytes, sizeof(bytes));
}

void pen_u64(struct pen *pen, uint64_t value)
{
	uint8_t bytes[8];

	store_u64(bytes, value);
	pen_bytes(pen, bytes, sizeof(bytes));
}

void pen_string8(struct pen *pen, const char *text, size_t len, size_t max)
{
	if (len > max || len > UINT8_MAX) {
		pen_fail(pen, -EMSGSIZE);
		return;
	}
	pen_u8(pen, (uint8_t)len);
	pen_bytes(pen, text, len);
}

void pen_string16(struct pen *pen, const char *text, size_t len, size_t max)
{
	if (len > max || len > UINT16_MAX) {
		pen_fail(pen, -EMSGSIZE);
		return;
	}
	pen_u16(pen, (uint16_t)len);
	pen_bytes(pen, text, len);
}

void pen_text16(struct pen *pen, const char *text, size_t len, size_t max)
{
	if (len > max) {
		len = max;
		/* Not in front of a continuation byte; a run of those alone is no UTF-8 and cut where it is. */
		size_t whole = len;
		while (whole > 0 && len - whole < 4 && ((unsigned char)text[whole] & 0xc0) == 0x80)
			whole--;
		if (len - whole < 4)
			len = whole;
	}
	pen_string16(pen, text, len, max);
}

int pen_end(struct pen *pen)
{
	if (pen->code < 0)
		pen->buf->len = pen->start;
	return pen->code;
}

int pen_end_frame(struct pen *pen, enum frame_type type, uint32_t request, size_t max)
{
	if (pen->code == 0 && pen->buf->len - pen->start - FRAME_HEADER > max)
		pen_fail(pen, -EMSGSIZE);

	int code = pen_end(pen);
	if (code == 0)
		frame_control_seal(pen->buf->data + pen->start, type, 0, request,
		                   pen->buf->len - pen->start - FRAME_HEADER);
	return code;
}
