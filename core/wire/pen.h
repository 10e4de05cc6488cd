/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to this floor. A writer to a buffer: the first failure is kept, what follows it does nothing, and the end
 * takes back all that was written, so that a message is written in one go and asked about once.
 */
#ifndef XFER_WIRE_PEN_H
#define XFER_WIRE_PEN_H

#include "base/buf.h"
#include "wire/frame.h"

#include <stddef.h>
#include <stdint.h>

struct pen {
	struct buf *buf;
	size_t start; /* length of the buffer before the first stroke */
	int code;     /* 0, or the first failure */
};

/* Begins a part of a body, or (frame) leaves room for the header in front of it. */
struct pen pen_begin(struct buf *buf);
struct pen pen_begin_frame(struct buf *buf);

/* Keeps `code` as the failure when there is none yet. */
void pen_fail(struct pen *pen, int code);

void pen_bytes(struct pen *pen, const void *bytes, size_t len);
void pen_u8(struct pen *pen, uint8_t value);
void pen_u16(struct pen *pen, uint16_t value);
void pen_u32(struct pen *pen, uint32_t value);
void pen_u64(struct pen *pen, uint64_t value);
/* Longer than `max`: -EMSGSIZE. */
void pen_string8(struct pen *pen, const char *text, size_t len, size_t max);
void pen_string16(struct pen *pen, const char *text, size_t len, size_t max);
/* A text for people: one that is too long is cut, between characters where it is UTF-8. */
void pen_text16(struct pen *pen, const char *text, size_t len, size_t max);

/* 0, or the failure: then the buffer is as it was. */
int pen_end(struct pen *pen);
/* The same, and seals the frame that pen_begin_frame() began; -EMSGSIZE when its body is longer than `max`. */
int pen_end_frame(struct pen *pen, enum frame_type type, uint32_t request, size_t max);

#endif
