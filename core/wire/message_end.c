/* SPDX-License-Identifier: BSD-2-Clause */
/* The items that end requests. */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

enum { NANOSECONDS = 1000000000, MODE_BITS = 07777 };

/* Says what is wrong with an item, or NULL. */
static const char *end_flaw(const struct end *end)
{
	if (end->request == 0)
		return "no request";
	if ((end->flags & ~(END_DIGEST | END_SPARSE)) != 0)
		return "unknown flags";
	if ((end->mode & ~MODE_BITS) != 0)
		return "a mode beyond permission bits";
	if (end->size > INT64_MAX)
		return "a size that no file has";
	if (end->mtime_ns >= NANOSECONDS)
		return "a time of more than 999999999 ns";
	return NULL;
}

int message_end_write(struct buf *body, uint32_t digest_size, const struct end *end)
{
	struct pen pen = pen_begin(body);
	uint8_t flags = end->flags;

	if (digest_size == 0)
		flags &= (uint8_t)~END_DIGEST;
	if (end_flaw(end) != NULL || ((flags & END_DIGEST) != 0 && end->digest == NULL))
		pen_fail(&pen, -EINVAL);
	pen_u32(&pen, end->request);
	pen_u16(&pen, (uint16_t)end->status);
	pen_u16(&pen, end->mode);
	pen_u8(&pen, flags);
	pen_u64(&pen, end->size);
	pen_u64(&pen, end->chunks);
	pen_u64(&pen, (uint64_t)end->mtime);
	pen_u32(&pen, end->mtime_ns);
	if ((flags & END_DIGEST) != 0)
		pen_bytes(&pen, end->digest, digest_size);
	pen_text16(&pen, end->text, end->text_len, MESSAGE_TEXT_MAX);
	return pen_end(&pen);
}

int message_end_read(const uint8_t *run, size_t len, size_t *at, uint32_t digest_size, struct end *out,
                     struct error *err)
{
	if (*at > len)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an ENDS that is cut short");

	struct cursor cursor = cursor_of(run + *at, len - *at);
	struct end end = { 0 };
	end.request = cursor_u32(&cursor);
	end.status = status_from(cursor_u16(&cursor));
	end.mode = cursor_u16(&cursor);
	end.flags = cursor_u8(&cursor);
	end.size = cursor_u64(&cursor);
	end.chunks = cursor_u64(&cursor);
	end.mtime = (int64_t)cursor_u64(&cursor);
	end.mtime_ns = cursor_u32(&cursor);
	if ((end.flags & END_DIGEST) != 0)
		end.digest = cursor_bytes(&cursor, digest_size);
	end.text = cursor_string16(&cursor, &end.text_len);
	if (cursor.torn)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an ENDS that is cut short");

	const char *flaw = end_flaw(&end);
	if (flaw == NULL && (end.flags & END_DIGEST) != 0 && digest_size == 0)
		flaw = "a digest where none was settled";
	if (flaw == NULL && end.text_len > MESSAGE_TEXT_MAX)
		flaw = "a text that is too long";
	if (flaw != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an ENDS item with %s", flaw);
	*at = len - cursor.left;
	*out = end;
	return 0;
}
