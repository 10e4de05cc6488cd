/* SPDX-License-Identifier: BSD-2-Clause */
/* READ and the holes that answer it (its chunks are frames of their own, see frame.h). */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

#include "base/checked.h"

int message_read_begin(struct buf *buf, size_t *start)
{
	struct pen pen = pen_begin_frame(buf);

	pen_u16(&pen, 0); /* the count, known at the end */
	int code = pen_end(&pen);
	if (code == 0)
		*start = pen.start;
	return code;
}

int message_read_seal(struct buf *buf, size_t start, uint32_t request, uint16_t count)
{
	if (count == 0 || count > MESSAGE_READ_MAX || request == 0 || request > UINT32_MAX - (count - 1u))
		return -EINVAL;
	store_u16(buf->data + start + FRAME_HEADER, count);
	return message_body_seal(buf, start, FRAME_READ, request);
}

static bool range_is_legal(uint64_t first, uint64_t count)
{
	uint64_t end;

	if (count == 0)
		return false;
	return count == MESSAGE_ALL || !checked_add_u64(first, count, &end);
}

static bool path_is_legal(const char *path, size_t len)
{
	return len > 0 && len <= MESSAGE_PATH_MAX && memchr(path, '\0', len) == NULL;
}

int message_read_item_write(struct buf *body, const struct message_read *item)
{
	struct pen pen = pen_begin(body);

	if (item->path_len > MESSAGE_PATH_MAX)
		pen_fail(&pen, -EMSGSIZE);
	else if (!path_is_legal(item->path, item->path_len) || !range_is_legal(item->first, item->count))
		pen_fail(&pen, -EINVAL);
	pen_u64(&pen, item->first);
	pen_u64(&pen, item->count);
	pen_u64(&pen, item->size);
	pen_u8(&pen, item->flags);
	pen_string16(&pen, item->path, item->path_len, MESSAGE_PATH_MAX);
	return pen_end(&pen);
}

int message_read_count(const uint8_t *body, size_t len, size_t *at, uint16_t *count, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	uint16_t number = cursor_u16(&cursor);

	if (number == 0 || number > MESSAGE_READ_MAX)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ of %u items (1 to %d)", number,
		                 (int)MESSAGE_READ_MAX);
	*at = len - cursor.left;
	*count = number;
	return 0;
}

int message_read_item(const uint8_t *body, size_t len, size_t *at, struct message_read *out, struct error *err)
{
	if (*at > len)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ that is cut short");

	struct cursor cursor = cursor_of(body + *at, len - *at);
	struct message_read item;
	item.first = cursor_u64(&cursor);
	item.count = cursor_u64(&cursor);
	item.size = cursor_u64(&cursor);
	item.flags = cursor_u8(&cursor);
	item.path = cursor_string16(&cursor, &item.path_len);
	if (cursor.torn)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ that is cut short");
	if ((item.flags & ~MESSAGE_READ_FLAGS) != 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ with unknown flags 0x%02x",
		                 item.flags);
	if (!range_is_legal(item.first, item.count))
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ of chunks that no file has");
	if (!path_is_legal(item.path, item.path_len))
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a READ with a path that none can be");
	*at = len - cursor.left;
	*out = item;
	return 0;
}

int message_hole_write(struct buf *out, uint32_t request, uint64_t first, uint64_t count)
{
	struct pen pen = pen_begin_frame(out);

	if (count == MESSAGE_ALL || !range_is_legal(first, count))
		pen_fail(&pen, -EINVAL);
	pen_u64(&pen, first);
	pen_u64(&pen, count);
	return pen_end_frame(&pen, FRAME_HOLE, request, FRAME_CONTROL_MAX);
}

int message_hole_read(const uint8_t *body, size_t len, uint64_t *first, uint64_t *count, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	uint64_t from = cursor_u64(&cursor);
	uint64_t many = cursor_u64(&cursor);
	int code = cursor_finish(&cursor, "a HOLE", err);

	if (code < 0)
		return code;
	if (many == MESSAGE_ALL || !range_is_legal(from, many))
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a HOLE of chunks that no file has");
	*first = from;
	*count = many;
	return 0;
}

int message_digest_run_write(struct buf *out, uint32_t request, uint32_t digest_size,
                             const struct message_digest_run *run)
{
	struct pen pen = pen_begin_frame(out);

	if (digest_size == 0 || run->count > MESSAGE_DIGEST_RUN_MAX || !range_is_legal(run->first, run->count))
		pen_fail(&pen, -EINVAL);
	pen_u64(&pen, run->first);
	pen_bytes(&pen, run->digests, run->count * digest_size);
	return pen_end_frame(&pen, FRAME_DIGEST_RUN, request, FRAME_CONTROL_MAX);
}

int message_digest_run_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_digest_run *out,
                            struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_digest_run run = { .first = cursor_u64(&cursor) };

	if (cursor.torn || digest_size == 0 || cursor.left % digest_size != 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a DIGEST_RUN that is cut short");
	run.digests = cursor.at;
	run.count = cursor.left / digest_size;
	if (run.count > MESSAGE_DIGEST_RUN_MAX || !range_is_legal(run.first, run.count))
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a DIGEST_RUN of chunks that no file has");
	*out = run;
	return 0;
}
