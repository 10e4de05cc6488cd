/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames taken down and made again. */
#include "pipeline/again.h"

#include "pipeline/read_file.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that are kept, of one frame or of several, and behind them payload of a file. */
struct part {
	struct read_file *file; /* NULL without payload */
	uint64_t offset;        /* in the file */
	uint32_t kept;          /* bytes */
	uint32_t payload;       /* bytes */
};

struct source {
	uint32_t request;
	struct read_file *file; /* a reference */
};

struct again {
	unsigned refs; /* the loop's */
	const struct suite *suite;
	struct part *parts;  /* owned; NULL until noted */
	const uint8_t *kept; /* behind the parts */
	size_t part_count;
	size_t source_count;
	struct source sources[];
};

struct again *again_create(const struct read_job *job)
{
	struct again *again;
	size_t count = 0;

	for (size_t i = 0; i < job->count; i++)
		count += job->pieces[i].bytes > 0;
	again = malloc(sizeof(*again) + count * sizeof(again->sources[0]));
	if (again == NULL)
		return NULL;
	*again = (struct again){ .refs = 1, .suite = job->job.suite };
	for (size_t i = 0; i < job->count; i++) {
		const struct read_piece *piece = &job->pieces[i];

		if (piece->bytes > 0)
			again->sources[again->source_count++] = (struct source){ piece->request,
				                                                 read_file_ref(piece->file) };
	}
	return again;
}

struct again *again_ref(struct again *again)
{
	again->refs++;
	return again;
}

void again_destroy(struct again *again)
{
	if (again == NULL || --again->refs > 0)
		return;
	for (size_t i = 0; i < again->source_count; i++)
		read_file_destroy(again->sources[i].file);
	free(again->parts);
	free(again);
}

static struct read_file *source_find(const struct again *again, uint32_t request)
{
	for (size_t i = 0; i < again->source_count; i++)
		if (again->sources[i].request == request)
			return again->sources[i].file;
	return NULL;
}

/* Frames that are being taken down: where the next one is, and the part that it belongs to. */
struct noting {
	const struct again *again;
	const uint8_t *bytes;
	size_t len, at;
	bool heads; /* payload is not among the bytes */
	size_t count;
	size_t kept;
	struct part part; /* the last of `count` */
};

/* The next frame, which is one of our own. A frame without payload goes along with the one behind it. */
static int noting_next(struct noting *noting)
{
	const struct frame_limits *limits = &noting->again->suite->limits;
	const uint8_t *frame = noting->bytes + noting->at;
	size_t left = noting->len - noting->at, whole;
	struct frame_header header;
	struct frame_chunk chunk = { 0 };

	if (left < FRAME_HEADER || frame_header_read(frame, limits, &header, NULL) < 0)
		return -EINVAL;
	whole = FRAME_HEADER + header.length;
	if (header.type == FRAME_CHUNK && frame_chunk_read(frame, limits, &chunk, NULL) < 0)
		return -EINVAL;
	if (noting->heads)
		whole -= chunk.length;
	if (whole > left)
		return -EINVAL;
	if (noting->count == 0 || noting->part.payload > 0) {
		noting->part = (struct part){ 0 };
		noting->count++;
	}
	if (header.type == FRAME_CHUNK) {
		noting->part.file = source_find(noting->again, chunk.request);
		noting->part.offset = chunk.index * limits->chunk_size;
		noting->part.payload = chunk.length;
		if (noting->part.file == NULL)
			return -EINVAL;
	}
	size_t kept = header.type == FRAME_CHUNK ? frame_chunk_overhead(limits) : whole;
	noting->part.kept += (uint32_t)kept;
	noting->kept += kept;
	noting->at += whole;
	return 0;
}

static int note(struct again *again, const uint8_t *bytes, size_t len, bool heads)
{
	struct noting noting = { .again = again, .bytes = bytes, .len = len, .heads = heads };
	uint8_t *to;
	int code = 0;

	while (code == 0 && noting.at < len)
		code = noting_next(&noting);
	if (code < 0)
		return code;
	again->parts = malloc(noting.count * sizeof(struct part) + noting.kept);
	if (again->parts == NULL)
		return -ENOMEM;
	to = (uint8_t *)&again->parts[noting.count];
	again->kept = to;
	again->part_count = noting.count;
	noting = (struct noting){ .again = again, .bytes = bytes, .len = len, .heads = heads };
	while (noting.at < len) {
		size_t at = noting.at, kept = noting.kept;

		(void)noting_next(&noting); /* as a moment ago */
		memcpy(to, bytes + at, noting.kept - kept);
		to += noting.kept - kept;
		again->parts[noting.count - 1] = noting.part;
	}
	return 0;
}

bool again_noted(const struct again *again)
{
	return again->parts != NULL;
}

int again_note(struct again *again, const uint8_t *bytes, size_t len)
{
	int code = note(again, bytes, len, false);

	for (size_t i = 0; code == 0 && i < again->source_count; i++)
		read_file_rest(again->sources[i].file);
	return code;
}

int again_note_heads(struct again *again, const uint8_t *bytes, size_t len)
{
	return note(again, bytes, len, true);
}

const uint8_t *again_at(const struct again *again, size_t from, size_t *len)
{
	const uint8_t *kept = again->kept;

	for (size_t i = 0; i < again->part_count; i++) {
		const struct part *part = &again->parts[i];

		if (from < part->kept) {
			*len = part->kept - from;
			return kept + from;
		}
		from -= part->kept;
		kept += part->kept;
		if (from < part->payload) {
			*len = part->payload - from;
			return NULL;
		}
		from -= part->payload;
	}
	*len = 0;
	return NULL;
}

static int payload_read(struct store_parent *near, const struct part *part, uint64_t skip, uint8_t *out, size_t len)
{
	struct read_piece piece = { .file = part->file };
	struct read_view view;
	int code = 0;

	if (!read_file_enter(part->file, near, &piece, &view))
		return piece.code < 0 ? piece.code : -ESTALE;
	ssize_t got = store_read(view.fd, out, len, part->offset + skip);
	if (got < 0)
		code = (int)got;
	else if ((size_t)got < len || !read_file_same(part->file, &piece, view.fd))
		code = -ESTALE;
	read_file_leave(part->file, true);
	return code;
}

/* Where a job is within the batch, and within its buffer. */
struct cursor {
	size_t skip; /* bytes that still come before those that are wanted */
	uint8_t *to;
	size_t left; /* bytes wanted */
};

/* How many of the next `len` bytes are wanted; *skip is how many before them are not. */
static size_t cursor_take(struct cursor *cursor, size_t len, size_t *skip)
{
	*skip = cursor->skip < len ? cursor->skip : len;
	cursor->skip -= *skip;
	len -= *skip;
	return len < cursor->left ? len : cursor->left;
}

static void cursor_move(struct cursor *cursor, size_t len)
{
	cursor->to += len;
	cursor->left -= len;
}

uint64_t again_stage_storage(struct again_job *job)
{
	const struct again *again = job->again;
	const uint8_t *kept = again->kept;
	struct cursor cursor = { .skip = job->from, .to = job->buffer->data, .left = job->len };
	struct store_parent near;
	uint64_t bytes = 0;

	store_parent_init(&near);
	job->code = 0;
	for (size_t i = 0; i < again->part_count && cursor.left > 0 && job->code == 0; i++) {
		const struct part *part = &again->parts[i];
		size_t skip;
		size_t len = cursor_take(&cursor, part->kept, &skip);

		memcpy(cursor.to, kept + skip, len);
		kept += part->kept;
		cursor_move(&cursor, len);
		len = cursor_take(&cursor, part->payload, &skip);
		if (len > 0)
			job->code = payload_read(&near, part, skip, cursor.to, len);
		cursor_move(&cursor, len);
		bytes += len;
	}
	if (job->code == 0 && cursor.left > 0)
		job->code = -EINVAL;
	store_parent_drop(&near);
	return bytes;
}
