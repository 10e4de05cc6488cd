/* SPDX-License-Identifier: BSD-2-Clause */
/* One record after the other, each with a check of its own. */
#include "store/record.h"

#include "base/crc32c.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_BYTES = 256 * 1024, CRC_SIZE = RECORD_EXTRA - RECORD_START, CHUNK_FIXED = 8 + 4 + 4 + 1 };

/* ---- numbers, little-endian ---- */

static uint64_t load(const uint8_t *at, size_t size)
{
	uint64_t value = 0;
	for (size_t i = size; i-- > 0;)
		value = value << 8 | at[i];
	return value;
}

static void append(struct buf *out, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out->data[out->len++] = (uint8_t)(value >> 8 * i);
}

static void append_bytes(struct buf *out, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(out->data + out->len, bytes, len);
	out->len += len;
}

/* ---- writing ---- */

/* Makes room for a whole record and writes its start; what follows cannot fail. */
static int begin(struct buf *out, enum record_type type, uint32_t number, size_t body)
{
	int code = buf_reserve(out, RECORD_EXTRA + body);
	if (code < 0)
		return code;
	append(out, type, 1);
	append(out, RECORD_MAGIC, 1);
	append(out, body, 2);
	append(out, number, 4);
	return 0;
}

static void end(struct buf *out, size_t body)
{
	size_t len = RECORD_START + body;
	append(out, crc32c(0, out->data + out->len - len, len), CRC_SIZE);
}

int record_put_head(struct buf *out, const struct journal_head *head)
{
	const char *target_text = head->target ? head->target : "";
	size_t source = strnlen(head->source, RECORD_SOURCE_MAX); /* for people: the front will do */
	size_t partial = strlen(head->partial);
	size_t target = strlen(target_text);
	size_t body = JOURNAL_ID + 2 + source + 2 + partial + 2 + target;
	if (partial > RECORD_PATH_MAX || target > RECORD_PATH_MAX)
		return -EINVAL;
	int code = begin(out, RECORD_HEAD, 0, body);
	if (code < 0)
		return code;
	append_bytes(out, head->id, JOURNAL_ID);
	append(out, source, 2);
	append_bytes(out, head->source, source);
	append(out, partial, 2);
	append_bytes(out, head->partial, partial);
	append(out, target, 2);
	append_bytes(out, target_text, target);
	end(out, body);
	return 0;
}

int record_put_suite(struct buf *out, uint32_t number, const struct journal_suite *suite)
{
	size_t name = strnlen(suite->integrity, JOURNAL_NAME_MAX);
	size_t body = 4 + 4 + 1 + name;
	int code = begin(out, RECORD_SUITE, number, body);
	if (code < 0)
		return code;
	append(out, suite->chunk_size, 4);
	append(out, suite->digest_size, 4);
	append(out, name, 1);
	append_bytes(out, suite->integrity, name);
	end(out, body);
	return 0;
}

int record_put_file(struct buf *out, uint32_t number, const struct journal_file *file)
{
	size_t path = strlen(file->path);
	size_t body = 8 + 8 + 4 + 2 + path;
	if (path > RECORD_PATH_MAX)
		return -EINVAL;
	int code = begin(out, RECORD_FILE, number, body);
	if (code < 0)
		return code;
	append(out, file->size, 8);
	append(out, (uint64_t)file->mtime, 8);
	append(out, file->mtime_ns, 4);
	append(out, path, 2);
	append_bytes(out, file->path, path);
	end(out, body);
	return 0;
}

int record_put_chunk(struct buf *out, uint32_t number, uint32_t suite, const struct journal_chunk *chunk,
                     uint32_t digest_size)
{
	size_t body = CHUNK_FIXED + digest_size;
	int code = begin(out, RECORD_CHUNK, number, body);
	if (code < 0)
		return code;
	append(out, chunk->offset, 8);
	append(out, chunk->length, 4);
	append(out, chunk->crc, 4);
	append(out, suite, 1);
	append_bytes(out, chunk->digest, digest_size);
	end(out, body);
	return 0;
}

/* ---- taking apart ---- */

/* A text of at most `max` bytes with its length in front; *at and *left go behind it. */
static bool get_text(const uint8_t **at, uint32_t *left, uint32_t max, struct record_text *out)
{
	uint32_t len = *left >= 2 ? (uint32_t)load(*at, 2) : 0;
	if (*left < 2 || len > max || len > *left - 2)
		return false;
	*out = (struct record_text){ (const char *)*at + 2, len };
	*at += 2 + len;
	*left -= 2 + len;
	return true;
}

bool record_get_head(const struct record *record, uint8_t id[JOURNAL_ID], struct record_text *source,
                     struct record_text *partial, struct record_text *target)
{
	const uint8_t *at = record->body + JOURNAL_ID;
	if (record->len < JOURNAL_ID)
		return false;
	uint32_t left = record->len - JOURNAL_ID;
	if (!get_text(&at, &left, RECORD_SOURCE_MAX, source) || !get_text(&at, &left, RECORD_PATH_MAX, partial) ||
	    !get_text(&at, &left, RECORD_PATH_MAX, target) || left > 0)
		return false;
	memcpy(id, record->body, JOURNAL_ID);
	return true;
}

bool record_get_suite(const struct record *record, struct journal_suite *out)
{
	struct journal_suite suite = { 0 };
	if (record->len < 4 + 4 + 1 || record->number >= RECORD_SUITES)
		return false;
	size_t name = record->body[8];
	suite.chunk_size = (uint32_t)load(record->body, 4);
	suite.digest_size = (uint32_t)load(record->body + 4, 4);
	if (name > JOURNAL_NAME_MAX || record->len != 4 + 4 + 1 + name)
		return false;
	for (size_t i = 0; i < name; i++) {
		char c = (char)record->body[9 + i];
		if (c <= ' ' || c > '~')
			return false;
		suite.integrity[i] = c;
	}
	if (suite.chunk_size == 0 || suite.chunk_size > JOURNAL_CHUNK_MAX || suite.digest_size > JOURNAL_DIGEST_MAX)
		return false;
	*out = suite;
	return true;
}

bool record_get_file(const struct record *record, struct journal_file *out, struct record_text *path)
{
	if (record->len < 8 + 8 + 4 + 2)
		return false;
	uint32_t left = record->len - (8 + 8 + 4 + 2);
	if (load(record->body + 20, 2) != left || left > RECORD_PATH_MAX)
		return false;
	*out = (struct journal_file){
		.size = load(record->body, 8),
		.mtime = (int64_t)load(record->body + 8, 8),
		.mtime_ns = (uint32_t)load(record->body + 16, 4),
	};
	*path = (struct record_text){ (const char *)record->body + 22, left };
	return true;
}

bool record_get_chunk(const struct record *record, struct journal_chunk *out, uint32_t *suite, uint32_t *digest_size)
{
	if (record->len < CHUNK_FIXED || record->len > CHUNK_FIXED + JOURNAL_DIGEST_MAX)
		return false;
	*out = (struct journal_chunk){
		.offset = load(record->body, 8),
		.length = (uint32_t)load(record->body + 8, 4),
		.crc = (uint32_t)load(record->body + 12, 4),
		.digest = record->body + CHUNK_FIXED,
	};
	*suite = record->body[16];
	*digest_size = record->len - CHUNK_FIXED;
	return true;
}

/* ---- reading ---- */

/* What can stand at the front of `bytes`: the length of all of it, or 0. Cheap, so that a search does not become slow. */
static size_t plausible(const uint8_t *bytes)
{
	size_t body = (size_t)load(bytes + 2, 2);
	if (bytes[1] != RECORD_MAGIC)
		return 0;
	switch (bytes[0]) {
	case RECORD_HEAD: return body <= RECORD_BODY_MAX ? RECORD_EXTRA + body : 0;
	case RECORD_SUITE: return body <= 4 + 4 + 1 + JOURNAL_NAME_MAX ? RECORD_EXTRA + body : 0;
	case RECORD_FILE: return body <= 8 + 8 + 4 + 2 + RECORD_PATH_MAX ? RECORD_EXTRA + body : 0;
	case RECORD_CHUNK: return body <= CHUNK_FIXED + JOURNAL_DIGEST_MAX ? RECORD_EXTRA + body : 0;
	default: return 0;
	}
}

/* Whether `len` bytes, as plausible() said, are a record. */
static bool check(const uint8_t *bytes, size_t len, struct record *out)
{
	if (crc32c(0, bytes, len - CRC_SIZE) != load(bytes + len - CRC_SIZE, CRC_SIZE))
		return false;
	out->type = (enum record_type)bytes[0];
	out->number = (uint32_t)load(bytes + 4, 4);
	out->body = bytes + RECORD_START;
	out->len = (uint32_t)(len - RECORD_EXTRA);
	return true;
}

int scan_open(struct scan *scan, int fd, uint64_t at)
{
	*scan = (struct scan){ .fd = fd, .at = at, .bytes = malloc(SCAN_BYTES) };
	return scan->bytes ? 0 : -ENOMEM;
}

void scan_close(struct scan *scan)
{
	free(scan->bytes);
	scan->bytes = NULL;
}

static int fill(struct scan *scan)
{
	size_t held = scan->end - scan->next;
	memmove(scan->bytes, scan->bytes + scan->next, held);
	ssize_t got = store_read(scan->fd, scan->bytes + held, SCAN_BYTES - held, scan->at + held);
	if (got < 0)
		return (int)got;
	scan->next = 0;
	scan->end = held + (size_t)got;
	scan->over = got == 0;
	return 0;
}

int scan_next(struct scan *scan, struct record *out)
{
	for (;;) {
		size_t held = scan->end - scan->next;
		if (held < RECORD_EXTRA + RECORD_BODY_MAX && !scan->over) {
			int code = fill(scan);
			if (code < 0)
				return code;
			continue;
		}
		if (held < RECORD_EXTRA)
			return 0;
		const uint8_t *bytes = scan->bytes + scan->next;
		size_t len = plausible(bytes);
		if (len > 0 && len <= held && check(bytes, len, out)) {
			out->at = scan->at;
			scan->next += len;
			scan->at += len;
			return 1;
		}
		/* The next place where a record may begin: one byte in front of a magic number. */
		const uint8_t *magic = memchr(bytes + 2, RECORD_MAGIC, held - 2);
		size_t skipped = magic ? (size_t)(magic - bytes) - 1 : held - 1;
		scan->next += skipped;
		scan->at += skipped;
	}
}

int record_read(int fd, uint64_t at, uint8_t *room, struct record *out)
{
	/* Most are chunks: enough for one of them at first. */
	size_t want = RECORD_EXTRA + CHUNK_FIXED + JOURNAL_DIGEST_MAX;
	ssize_t got = store_read(fd, room, want, at);
	if (got < 0)
		return (int)got;
	size_t len = got >= RECORD_EXTRA ? plausible(room) : 0;
	if (len > (size_t)got && (size_t)got == want) {
		got = store_read(fd, room, len, at);
		if (got < 0)
			return (int)got;
	}
	if (len == 0 || len > (size_t)got || !check(room, len, out))
		return -ENOENT;
	out->at = at;
	return 0;
}
