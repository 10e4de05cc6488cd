/* SPDX-License-Identifier: BSD-2-Clause */
/* The small messages: notices, pings, credit, cancel; and what all messages share. */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

int message_body_begin(struct buf *buf, size_t *start)
{
	struct pen pen = pen_begin_frame(buf);
	int code = pen_end(&pen);

	if (code == 0)
		*start = pen.start;
	return code;
}

int message_body_seal(struct buf *buf, size_t start, enum frame_type type, uint32_t request)
{
	size_t len = buf->len - start - FRAME_HEADER;

	if (len > FRAME_CONTROL_MAX)
		return -EMSGSIZE;
	frame_control_seal(buf->data + start, type, 0, request, len);
	return 0;
}

int message_body_end(size_t len, size_t at, struct error *err)
{
	if (at == len)
		return 0;
	return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a frame with %zu bytes behind its last item",
	                 len - at);
}

int message_run_read(size_t len, uint32_t digest_size, size_t *run, struct error *err)
{
	/* A run of nothing would cost no credit, however often it came. */
	if (len <= digest_size)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a run of items without items or digest");
	*run = len - digest_size;
	return 0;
}

int message_notice_write(struct buf *out, enum frame_type type, enum status status, const char *text)
{
	struct pen pen = pen_begin_frame(out);

	if (text == NULL)
		text = "";
	pen_u16(&pen, (uint16_t)status);
	pen_text16(&pen, text, strlen(text), MESSAGE_TEXT_MAX);
	return pen_end_frame(&pen, type, 0, FRAME_CONTROL_MAX);
}

int message_notice_read(const uint8_t *body, size_t len, struct message_notice *out, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_notice notice;

	notice.status = status_from(cursor_u16(&cursor));
	notice.text = cursor_string16(&cursor, &notice.text_len);
	int code = cursor_finish(&cursor, "a notice", err);
	if (code < 0)
		return code;
	if (notice.text_len > MESSAGE_TEXT_MAX)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a notice of %zu bytes (at most %d)",
		                 notice.text_len, (int)MESSAGE_TEXT_MAX);
	*out = notice;
	return 0;
}

int message_ping_write(struct buf *out, enum frame_type type, const struct message_ping *ping)
{
	struct pen pen = pen_begin_frame(out);

	pen_u64(&pen, ping->sequence);
	pen_u64(&pen, ping->sent);
	pen_u64(&pen, ping->received);
	pen_u64(&pen, ping->verified);
	pen_u64(&pen, ping->durable);
	pen_u32(&pen, ping->stage);
	pen_u32(&pen, ping->stage_age_ms);
	pen_u32(&pen, ping->rtt_us);
	pen_u32(&pen, ping->loss_ppm);
	return pen_end_frame(&pen, type, 0, FRAME_CONTROL_MAX);
}

int message_ping_read(const uint8_t *body, size_t len, struct message_ping *out, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_ping ping;

	ping.sequence = cursor_u64(&cursor);
	ping.sent = cursor_u64(&cursor);
	ping.received = cursor_u64(&cursor);
	ping.verified = cursor_u64(&cursor);
	ping.durable = cursor_u64(&cursor);
	ping.stage = cursor_u32(&cursor);
	ping.stage_age_ms = cursor_u32(&cursor);
	ping.rtt_us = cursor_u32(&cursor);
	ping.loss_ppm = cursor_u32(&cursor);
	int code = cursor_finish(&cursor, "a ping", err);
	if (code == 0)
		*out = ping;
	return code;
}

int message_credit_write(struct buf *out, uint32_t request, uint64_t total)
{
	struct pen pen = pen_begin_frame(out);

	pen_u64(&pen, total);
	return pen_end_frame(&pen, FRAME_CREDIT, request, FRAME_CONTROL_MAX);
}

int message_credit_read(const uint8_t *body, size_t len, uint64_t *total, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	uint64_t number = cursor_u64(&cursor);
	int code = cursor_finish(&cursor, "a CREDIT", err);

	if (code == 0)
		*total = number;
	return code;
}

int message_cancel_write(struct buf *out, uint32_t request)
{
	struct pen pen = pen_begin_frame(out);

	return pen_end_frame(&pen, FRAME_CANCEL, request, 0);
}

int message_cancel_read(const uint8_t *body, size_t len, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);

	return cursor_finish(&cursor, "a CANCEL", err);
}
