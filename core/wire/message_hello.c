/* SPDX-License-Identifier: BSD-2-Clause */
/* HELLO and WELCOME: what the two sides settle before anything else. */
#include "wire/cursor.h"
#include "wire/message.h"
#include "wire/pen.h"

static bool name_is_legal(const char *name, size_t len)
{
	if (len == 0 || len > MESSAGE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return true;
}

static void name_write(struct pen *pen, const char *name)
{
	size_t len = strnlen(name, MESSAGE_NAME_MAX + 1);

	if (!name_is_legal(name, len))
		pen_fail(pen, -EINVAL);
	pen_string8(pen, name, len, MESSAGE_NAME_MAX);
}

/* false: a name that no plug-in can have. A torn cursor is found out by cursor_finish(). */
static bool name_read(struct cursor *cursor, char out[MESSAGE_NAME_MAX + 1])
{
	size_t len;
	const char *name = cursor_string8(cursor, &len);

	if (cursor->torn)
		return true;
	if (!name_is_legal(name, len))
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	return true;
}

static int name_refuse(const char *what, struct error *err)
{
	return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s that names a plug-in as none can be named", what);
}

/* Looks for one option and skips the others, whose lengths have to fit all the same. NULL when it is not there. */
static const uint8_t *options_read(struct cursor *cursor, uint16_t wanted, size_t *len)
{
	const uint8_t *found = NULL;
	while (cursor->left > 0 && !cursor->torn) {
		uint16_t type = cursor_u16(cursor);
		size_t size = cursor_u16(cursor);
		const uint8_t *bytes = cursor_bytes(cursor, size);
		if (type == wanted && bytes != NULL) {
			found = bytes;
			*len = size;
		}
	}
	return found;
}

static void option_write(struct pen *pen, uint16_t type, const void *bytes, size_t len)
{
	pen_u16(pen, type);
	pen_u16(pen, (uint16_t)len);
	pen_bytes(pen, bytes, len);
}

static int option_refuse(const char *what, const char *option, size_t len, struct error *err)
{
	return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s with the option %s of %zu bytes", what, option,
	                 len);
}

static int chunk_size_check(uint32_t chunk_size, const char *what, struct error *err)
{
	if (chunk_size < FRAME_CHUNK_MIN_SIZE || chunk_size > FRAME_CHUNK_MAX_SIZE)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s with a chunk size of %u bytes (1K to 16M)",
		                 what, (unsigned)chunk_size);
	return 0;
}

int message_hello_write(struct buf *out, const struct message_hello *hello)
{
	struct pen pen = pen_begin_frame(out);

	if (hello->integrity_count == 0 || hello->integrity_count > MESSAGE_INTEGRITIES_MAX)
		pen_fail(&pen, -EINVAL);
	pen_u32(&pen, MESSAGE_MAGIC);
	pen_u16(&pen, hello->version_min);
	pen_u16(&pen, hello->version_max);
	pen_u64(&pen, hello->features);
	pen_bytes(&pen, hello->boot_id, MESSAGE_BOOT_ID);
	pen_u32(&pen, hello->chunk_size);
	pen_u8(&pen, (uint8_t)hello->integrity_count);
	for (size_t i = 0; i < hello->integrity_count && pen.code == 0; i++)
		name_write(&pen, hello->integrity[i]);
	name_write(&pen, hello->liveness);
	if (hello->has_lost)
		option_write(&pen, MESSAGE_OPTION_LOST, hello->lost, MESSAGE_BOOT_ID);
	return pen_end_frame(&pen, FRAME_HELLO, 0, FRAME_HELLO_MAX);
}

int message_hello_read(const uint8_t *body, size_t len, struct message_hello *out, struct error *err)
{
	static const char what[] = "a HELLO";
	struct cursor cursor = cursor_of(body, len);
	struct message_hello hello = { 0 };
	uint32_t magic = cursor_u32(&cursor);

	hello.version_min = cursor_u16(&cursor);
	hello.version_max = cursor_u16(&cursor);
	if (!cursor.torn && magic != MESSAGE_MAGIC)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer does not speak XFER");
	if (!cursor.torn && hello.version_min > hello.version_max)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a HELLO with versions %u to %u",
		                 hello.version_min, hello.version_max);
	/* What another version writes behind this is not ours to judge: the caller finds that none is in common. */
	if (!cursor.torn && (hello.version_min > MESSAGE_VERSION || hello.version_max < MESSAGE_VERSION)) {
		*out = hello;
		return 0;
	}

	hello.features = cursor_u64(&cursor);
	cursor_copy(&cursor, hello.boot_id, MESSAGE_BOOT_ID);
	hello.chunk_size = cursor_u32(&cursor);
	hello.integrity_count = cursor_u8(&cursor);
	if (!cursor.torn && (hello.integrity_count == 0 || hello.integrity_count > MESSAGE_INTEGRITIES_MAX))
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer sent a HELLO that offers %zu integrity plug-ins (1 to %d)",
		                 hello.integrity_count, (int)MESSAGE_INTEGRITIES_MAX);
	for (size_t i = 0; i < hello.integrity_count; i++)
		if (!name_read(&cursor, hello.integrity[i]))
			return name_refuse(what, err);
	if (!name_read(&cursor, hello.liveness))
		return name_refuse(what, err);
	size_t lost_len = 0;
	const uint8_t *lost = options_read(&cursor, MESSAGE_OPTION_LOST, &lost_len);

	int code = cursor_finish(&cursor, what, err);
	if (code == 0 && lost != NULL && lost_len != MESSAGE_BOOT_ID)
		code = option_refuse(what, "LOST", lost_len, err);
	if (code == 0 && lost != NULL) {
		memcpy(hello.lost, lost, MESSAGE_BOOT_ID);
		hello.has_lost = true;
	}
	if (code == 0)
		code = chunk_size_check(hello.chunk_size, what, err);
	if (code == 0)
		*out = hello;
	return code;
}

int message_welcome_write(struct buf *out, const struct message_welcome *welcome)
{
	struct pen pen = pen_begin_frame(out);

	pen_u32(&pen, MESSAGE_MAGIC);
	pen_u16(&pen, welcome->version);
	pen_u16(&pen, welcome->heartbeat_port);
	pen_u64(&pen, welcome->features);
	pen_bytes(&pen, welcome->boot_id, MESSAGE_BOOT_ID);
	pen_u32(&pen, welcome->chunk_size);
	pen_u64(&pen, welcome->slot);
	pen_bytes(&pen, welcome->key, MESSAGE_KEY);
	pen_u32(&pen, welcome->interval_ms);
	pen_u32(&pen, welcome->dead_after_ms);
	pen_u32(&pen, welcome->requests_max);
	name_write(&pen, welcome->integrity);
	name_write(&pen, welcome->liveness);
	if (welcome->died != NULL)
		option_write(&pen, MESSAGE_OPTION_DIED, welcome->died,
		             welcome->died_len < MESSAGE_DIED_MAX ? welcome->died_len : MESSAGE_DIED_MAX);
	return pen_end_frame(&pen, FRAME_WELCOME, 0, FRAME_HELLO_MAX);
}

int message_welcome_read(const uint8_t *body, size_t len, struct message_welcome *out, struct error *err)
{
	static const char what[] = "a WELCOME";
	struct cursor cursor = cursor_of(body, len);
	struct message_welcome welcome = { 0 };
	uint32_t magic = cursor_u32(&cursor);

	welcome.version = cursor_u16(&cursor);
	if (!cursor.torn && magic != MESSAGE_MAGIC)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer does not speak XFER");
	/* It had to choose among the versions that were offered. */
	if (!cursor.torn && welcome.version != MESSAGE_VERSION)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer answers in version %u of the protocol",
		                 welcome.version);

	welcome.heartbeat_port = cursor_u16(&cursor);
	welcome.features = cursor_u64(&cursor);
	cursor_copy(&cursor, welcome.boot_id, MESSAGE_BOOT_ID);
	welcome.chunk_size = cursor_u32(&cursor);
	welcome.slot = cursor_u64(&cursor);
	cursor_copy(&cursor, welcome.key, MESSAGE_KEY);
	welcome.interval_ms = cursor_u32(&cursor);
	welcome.dead_after_ms = cursor_u32(&cursor);
	welcome.requests_max = cursor_u32(&cursor);
	if (!name_read(&cursor, welcome.integrity) || !name_read(&cursor, welcome.liveness))
		return name_refuse(what, err);
	welcome.died = (const char *)options_read(&cursor, MESSAGE_OPTION_DIED, &welcome.died_len);

	int code = cursor_finish(&cursor, what, err);
	if (code == 0 && welcome.died != NULL && welcome.died_len > MESSAGE_DIED_MAX)
		code = option_refuse(what, "DIED", welcome.died_len, err);
	if (code == 0)
		code = chunk_size_check(welcome.chunk_size, what, err);
	if (code < 0)
		return code;
	/* An interval of nothing would have the asker do nothing but ask. */
	if (welcome.interval_ms == 0 || welcome.dead_after_ms < welcome.interval_ms)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer wants heartbeats every %u ms and death after %u ms",
		                 (unsigned)welcome.interval_ms, (unsigned)welcome.dead_after_ms);
	if (welcome.requests_max == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer allows no request at all");
	*out = welcome;
	return 0;
}
