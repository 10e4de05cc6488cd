/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames taken down and made again. */
#include "pipeline/again.h"

#include "pipeline/read_file.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that are kept, and behind them payload of a file. */
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

/* The frame at `at`, which is one of our own, as a part; returns its length, 0 when it is none. */
static size_t frame_part(const struct again *again, const uint8_t *bytes, size_t len, size_t at, struct part *out)
{
	const struct frame_limits *limits = &again->suite->limits;
	struct frame_header header;
	struct frame_chunk chunk;
	size_t whole;

	if (len - at < FRAME_HEADER || frame_header_read(bytes + at, limits, &header, NULL) < 0)
		return 0;
	whole = FRAME_HEADER + header.length;
	if (whole > len - at)
		return 0;
	*out = (struct part){ .kept = (uint32_t)whole };
	if (header.type != FRAME_CHUNK)
		return whole;
	if (frame_chunk_read(bytes + at, limits, &chunk, NULL) < 0)
		return 0;
	out->file = source_find(again, chunk.request);
	out->offset = chunk.index * limits->chunk_size;
	out->kept = (uint32_t)frame_chunk_overhead(limits);
	out->payload = chunk.length;
	return out->file != NULL ? whole : 0;
}

bool again_noted(const struct again *again)
{
	return again->parts != NULL;
}

int again_note(struct again *again, const uint8_t *bytes, size_t len)
{
	size_t count = 0, kept = 0, size;
	struct part part;
	uint8_t *to;

	for (size_t at = 0; at < len; at += size) {
		size = frame_part(again, bytes, len, at, &part);
		if (size == 0)
			return -EINVAL;
		kept += part.kept;
		count++;
	}
	again->parts = malloc(count * sizeof(part) + kept);
	if (again->parts == NULL)
		return -ENOMEM;
	to = (uint8_t *)&again->parts[count];
	again->kept = to;
	again->part_count = count;
	count = 0;
	for (size_t at = 0; at < len; at += size) {
		size = frame_part(again, bytes, len, at, &part);
		memcpy(to, bytes + at, part.kept);
		to += part.kept;
		again->parts[count++] = part;
	}
	for (size_t i = 0; i < again->source_count; i++)
		read_file_rest(again->sources[i].file);
	return 0;
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
