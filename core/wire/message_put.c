/* SPDX-License-Identifier: BSD-2-Clause */
/* PUT and JOIN, and what the daemon says of a put: EVENT and DONE. */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

static bool path_is_legal(const char *path, size_t len)
{
	return len <= MESSAGE_PATH_MAX && memchr(path, '\0', len) == NULL;
}

/* ---- PUT ---- */

/* Says what is wrong with it, or NULL. */
static const char *put_flaw(const struct message_put *put)
{
	if ((put->flags & ~MESSAGE_PUT_FLAGS) != 0)
		return "unknown flags";
	if (put->name_len > 0 && !message_component_is_legal(put->name, put->name_len))
		return "a name that is no single component";
	if (put->path_len == 0 || !path_is_legal(put->path, put->path_len))
		return "a path that none can be";
	return NULL;
}

int message_put_write(struct buf *out, uint32_t request, const struct message_put *put)
{
	struct pen pen = pen_begin_frame(out);

	if (put->path_len > MESSAGE_PATH_MAX || put->name_len > MESSAGE_ENTRY_NAME_MAX)
		pen_fail(&pen, -EMSGSIZE);
	else if (put_flaw(put) != NULL)
		pen_fail(&pen, -EINVAL);
	pen_bytes(&pen, put->id, sizeof(put->id));
	pen_u16(&pen, put->flags);
	pen_string8(&pen, put->name, put->name_len, MESSAGE_ENTRY_NAME_MAX);
	pen_string16(&pen, put->path, put->path_len, MESSAGE_PATH_MAX);
	return pen_end_frame(&pen, FRAME_PUT, request, FRAME_CONTROL_MAX);
}

int message_put_read(const uint8_t *body, size_t len, struct message_put *out, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_put put = { 0 };

	cursor_copy(&cursor, put.id, sizeof(put.id));
	put.flags = cursor_u16(&cursor);
	put.name = cursor_string8(&cursor, &put.name_len);
	put.path = cursor_string16(&cursor, &put.path_len);
	int code = cursor_finish(&cursor, "a PUT", err);
	if (code < 0)
		return code;

	const char *flaw = put_flaw(&put);
	if (flaw != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a PUT with %s", flaw);
	*out = put;
	return 0;
}

/* ---- JOIN ---- */

int message_join_write(struct buf *out, uint32_t request, const struct message_join *join)
{
	struct pen pen = pen_begin_frame(out);

	pen_bytes(&pen, join->boot_id, sizeof(join->boot_id));
	pen_bytes(&pen, join->key, sizeof(join->key));
	return pen_end_frame(&pen, FRAME_JOIN, request, FRAME_CONTROL_MAX);
}

int message_join_read(const uint8_t *body, size_t len, struct message_join *out, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_join join = { 0 };

	cursor_copy(&cursor, join.boot_id, sizeof(join.boot_id));
	cursor_copy(&cursor, join.key, sizeof(join.key));
	int code = cursor_finish(&cursor, "a JOIN", err);
	if (code < 0)
		return code;
	*out = join;
	return 0;
}

/* ---- EVENT ---- */

static const char *event_flaw(const struct message_event *event, uint32_t digest_size)
{
	if (event->kind < EVENT_FAILED || event->kind > EVENT_FILE)
		return "an unknown kind";
	if ((event->flags & ~EVENT_DIGEST) != 0 || (event->flags != 0 && event->kind != EVENT_FILE))
		return "flags that it cannot have";
	if ((event->flags & EVENT_DIGEST) != 0 && digest_size == 0)
		return "a digest where none was settled";
	if (event->size > INT64_MAX)
		return "a size that no file has";
	if (event->kind == EVENT_FILE && !path_is_legal(event->text, event->text_len))
		return "a path that none can be";
	return NULL;
}

int message_event_write(struct buf *out, uint32_t request, uint32_t digest_size, const struct message_event *event)
{
	struct pen pen = pen_begin_frame(out);
	struct message_event said = *event;

	if (digest_size == 0)
		said.flags &= (uint8_t)~EVENT_DIGEST;
	if (event->kind == EVENT_FILE && event->text_len > MESSAGE_PATH_MAX)
		pen_fail(&pen, -EMSGSIZE);
	else if (event_flaw(&said, digest_size) != NULL || ((said.flags & EVENT_DIGEST) != 0 && said.digest == NULL))
		pen_fail(&pen, -EINVAL);
	pen_u8(&pen, (uint8_t)said.kind);
	pen_u8(&pen, said.flags);
	pen_u16(&pen, (uint16_t)said.status);
	pen_u64(&pen, said.size);
	if ((said.flags & EVENT_DIGEST) != 0)
		pen_bytes(&pen, said.digest, digest_size);
	if (said.kind == EVENT_FILE)
		pen_string16(&pen, said.text, said.text_len, MESSAGE_PATH_MAX);
	else
		pen_text16(&pen, said.text, said.text_len, MESSAGE_TEXT_MAX);
	return pen_end_frame(&pen, FRAME_EVENT, request, FRAME_CONTROL_MAX);
}

int message_event_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_event *out,
                       struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_event event = { 0 };

	event.kind = (enum event_kind)cursor_u8(&cursor);
	event.flags = cursor_u8(&cursor);
	event.status = status_from(cursor_u16(&cursor));
	event.size = cursor_u64(&cursor);
	if ((event.flags & EVENT_DIGEST) != 0)
		event.digest = cursor_bytes(&cursor, digest_size);
	event.text = cursor_string16(&cursor, &event.text_len);
	int code = cursor_finish(&cursor, "an EVENT", err);
	if (code < 0)
		return code;

	const char *flaw = event_flaw(&event, digest_size);
	if (flaw == NULL && event.kind != EVENT_FILE && event.text_len > MESSAGE_TEXT_MAX)
		flaw = "a text that is too long";
	if (flaw != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an EVENT with %s", flaw);
	*out = event;
	return 0;
}

/* ---- DONE ---- */

enum { DONE_NUMBERS = 11 };

/* The numbers in the order in which they are sent. */
static void done_numbers(struct message_done *done, uint64_t *out[DONE_NUMBERS])
{
	uint64_t *const numbers[DONE_NUMBERS] = { &done->files,    &done->folders, &done->links,    &done->skipped,
		                                  &done->failed,   &done->bytes,   &done->received, &done->chunks,
		                                  &done->repaired, &done->kept,    &done->same };

	memcpy(out, numbers, sizeof(numbers));
}

int message_done_write(struct buf *out, uint32_t request, uint32_t digest_size, const struct message_done *done)
{
	struct pen pen = pen_begin_frame(out);
	struct message_done said = *done;
	uint64_t *numbers[DONE_NUMBERS];

	if (digest_size == 0)
		said.flags &= (uint8_t)~DONE_DIGEST;
	if ((said.flags & ~MESSAGE_DONE_FLAGS) != 0 || ((said.flags & DONE_DIGEST) != 0 && said.digest == NULL))
		pen_fail(&pen, -EINVAL);
	done_numbers(&said, numbers);
	pen_u16(&pen, (uint16_t)said.status);
	pen_u8(&pen, said.flags);
	for (int i = 0; i < DONE_NUMBERS; i++)
		pen_u64(&pen, *numbers[i]);
	if ((said.flags & DONE_DIGEST) != 0)
		pen_bytes(&pen, said.digest, digest_size);
	pen_text16(&pen, said.text, said.text_len, MESSAGE_TEXT_MAX);
	return pen_end_frame(&pen, FRAME_DONE, request, FRAME_CONTROL_MAX);
}

int message_done_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_done *out,
                      struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_done done = { 0 };
	uint64_t *numbers[DONE_NUMBERS];

	done_numbers(&done, numbers);
	done.status = status_from(cursor_u16(&cursor));
	done.flags = cursor_u8(&cursor);
	for (int i = 0; i < DONE_NUMBERS; i++)
		*numbers[i] = cursor_u64(&cursor);
	if ((done.flags & DONE_DIGEST) != 0)
		done.digest = cursor_bytes(&cursor, digest_size);
	done.text = cursor_string16(&cursor, &done.text_len);
	int code = cursor_finish(&cursor, "a DONE", err);
	if (code < 0)
		return code;
	if ((done.flags & ~MESSAGE_DONE_FLAGS) != 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a DONE with unknown flags 0x%02x",
		                 done.flags);
	if ((done.flags & DONE_DIGEST) != 0 && digest_size == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a DONE with a digest where none was settled");
	if (done.text_len > MESSAGE_TEXT_MAX)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a DONE with a text that is too long");
	*out = done;
	return 0;
}
