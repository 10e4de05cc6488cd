/* SPDX-License-Identifier: BSD-2-Clause */
/* LIST and the entries that answer it. */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

enum { NANOSECONDS = 1000000000, MODE_BITS = 07777 };

int message_list_write(struct buf *out, uint32_t request, const struct message_list *list)
{
	struct pen pen = pen_begin_frame(out);

	if (memchr(list->path, '\0', list->path_len) != NULL)
		pen_fail(&pen, -EINVAL);
	pen_u16(&pen, list->flags);
	pen_u16(&pen, list->depth);
	pen_u64(&pen, list->credit);
	pen_string16(&pen, list->path, list->path_len, MESSAGE_PATH_MAX);
	return pen_end_frame(&pen, FRAME_LIST, request, FRAME_CONTROL_MAX);
}

int message_list_read(const uint8_t *body, size_t len, struct message_list *out, struct error *err)
{
	struct cursor cursor = cursor_of(body, len);
	struct message_list list;

	list.flags = cursor_u16(&cursor);
	list.depth = cursor_u16(&cursor);
	list.credit = cursor_u64(&cursor);
	list.path = cursor_string16(&cursor, &list.path_len);
	int code = cursor_finish(&cursor, "a LIST", err);
	if (code < 0)
		return code;
	if ((list.flags & ~MESSAGE_LIST_TOTALS) != 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a LIST with unknown flags 0x%04x",
		                 list.flags);
	if (list.path_len > MESSAGE_PATH_MAX || memchr(list.path, '\0', list.path_len) != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a LIST with a path that none can be");
	*out = list;
	return 0;
}

bool message_component_is_legal(const char *name, size_t len)
{
	if (len == 0 || len > MESSAGE_ENTRY_NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return memchr(name, '/', len) == NULL && memchr(name, '\0', len) == NULL;
}

/* Says what is wrong with an entry of a known kind, or NULL. */
static const char *entry_flaw(const struct entry *entry)
{
	if ((entry->flags & ~ENTRY_SPARSE) != 0 || (entry->flags != 0 && entry->kind != ENTRY_FILE))
		return "flags that it cannot have";
	if ((entry->mode & ~MODE_BITS) != 0)
		return "a mode beyond permission bits";
	if (entry->size > INT64_MAX)
		return "a size that no file has";
	if (entry->mtime_ns >= NANOSECONDS)
		return "a time of more than 999999999 ns";
	if (entry->kind == ENTRY_UP ? entry->name_len != 0 : !message_component_is_legal(entry->name, entry->name_len))
		return "a name that is no single component";
	if (entry->kind == ENTRY_SYMLINK) {
		if (entry->text_len == 0 || entry->text_len > MESSAGE_PATH_MAX ||
		    memchr(entry->text, '\0', entry->text_len) != NULL)
			return "a target that no link has";
	}
	return NULL;
}

static bool entry_has_cause(enum entry_kind kind)
{
	return kind == ENTRY_SPECIAL || kind == ENTRY_UNREADABLE;
}

int message_entry_write(struct buf *body, const struct entry *entry)
{
	struct pen pen = pen_begin(body);

	if (entry->kind < ENTRY_FILE || entry->kind > ENTRY_UNREADABLE)
		pen_fail(&pen, -EINVAL);
	else if (entry->name_len > MESSAGE_ENTRY_NAME_MAX ||
	         (entry->kind == ENTRY_SYMLINK && entry->text_len > MESSAGE_PATH_MAX))
		pen_fail(&pen, -EMSGSIZE);
	else if (entry_flaw(entry) != NULL)
		pen_fail(&pen, -EINVAL);

	pen_u8(&pen, (uint8_t)entry->kind);
	pen_u8(&pen, entry->flags);
	pen_u16(&pen, entry->mode);
	pen_u64(&pen, entry->size);
	pen_u64(&pen, (uint64_t)entry->mtime);
	pen_u32(&pen, entry->mtime_ns);
	pen_string8(&pen, entry->name, entry->name_len, MESSAGE_ENTRY_NAME_MAX);
	if (entry->kind == ENTRY_SYMLINK)
		pen_string16(&pen, entry->text, entry->text_len, MESSAGE_PATH_MAX);
	else if (entry_has_cause(entry->kind))
		pen_text16(&pen, entry->text, entry->text_len, MESSAGE_TEXT_MAX);
	return pen_end(&pen);
}

int message_entry_read(const uint8_t *run, size_t len, size_t *at, struct entry *out, struct error *err)
{
	if (*at > len)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an entry that is cut short");

	struct cursor cursor = cursor_of(run + *at, len - *at);
	uint8_t kind = cursor_u8(&cursor);
	if (!cursor.torn && (kind < ENTRY_FILE || kind > ENTRY_UNREADABLE))
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an entry of unknown kind %u", kind);

	struct entry entry = { .kind = (enum entry_kind)kind, .text = "" };
	entry.flags = cursor_u8(&cursor);
	entry.mode = cursor_u16(&cursor);
	entry.size = cursor_u64(&cursor);
	entry.mtime = (int64_t)cursor_u64(&cursor);
	entry.mtime_ns = cursor_u32(&cursor);
	entry.name = cursor_string8(&cursor, &entry.name_len);
	if (entry.kind == ENTRY_SYMLINK || entry_has_cause(entry.kind))
		entry.text = cursor_string16(&cursor, &entry.text_len);
	if (cursor.torn)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an entry that is cut short");

	const char *flaw = entry_flaw(&entry);
	if (flaw == NULL && entry_has_cause(entry.kind) && entry.text_len > MESSAGE_TEXT_MAX)
		flaw = "a text that is too long";
	if (flaw != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent an entry with %s", flaw);
	*at = len - cursor.left;
	*out = entry;
	return 0;
}
