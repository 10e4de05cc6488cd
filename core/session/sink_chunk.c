/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a sink: what comes of them, whether it is all, and what is asked for again. */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t chunk_length(const struct sink *sink, const struct sink_file *file, uint64_t index)
{
	uint64_t chunk = sink->params.chunk_size;

	return (uint32_t)(index + 1 == file->chunks ? file->size - index * chunk : chunk);
}

/* Whether the chunk is one that is still wanted and may be taken now. */
static bool chunk_wanted(const struct sink *sink, const struct sink_request *request, const struct frame_chunk *chunk)
{
	const struct sink_file *file = request != NULL ? request->file : NULL;

	if (file == NULL || !sink_file_takes(file) || request->digests ||
	    !sink_request_covers(request, chunk->index, 1))
		return false;
	if (chunk->length != chunk_length(sink, file, chunk->index))
		return false;
	if (file->chunks == 1)
		return !file->held && file->writing == 0;
	return !ranges_has(&file->seen, chunk->index);
}

int sink_chunk(struct sink_lane *lane, const struct frame_chunk *chunk, void *token, struct error *err)
{
	struct sink *sink = lane->sink;
	struct sink_request *request = table_get(&lane->requests, chunk->request);
	struct sink_file *file = request != NULL ? request->file : NULL;
	const struct sink_piece piece = {
		.op = SINK_CHUNK,
		.file = file,
		.chunk = *chunk,
		.token = token,
		.lane = lane,
	};

	sink->count.received += chunk->length;
	lane->received += chunk->length;
	sink_lane_came(lane, request, chunk->length);
	/* Everything that came before this sink was consumed. */
	if (lane->received > lane->granted)
		return error_set(err, -EPROTO, FAULT_PEER, "more chunks than there was credit for");
	if (!chunk_wanted(sink, request, chunk)) {
		sink_lane_consume(lane, chunk->length);
		return 0;
	}
	if (file->chunks == 1) {
		file->held = true;
		file->chunk = *chunk;
		file->token = token;
		file->lane = lane;
		lane->pieces++;
		return 1;
	}
	if (ranges_add(&file->seen, chunk->index, 1) < 0) {
		sink_lane_consume(lane, chunk->length); /* found missing at the end */
		return 0;
	}
	lane->pieces++;
	if (sink_item_add(sink, &piece) < 0) {
		sink_lane_release(lane, chunk->length);
		sink_report(sink, FAULT_LOCAL, "out of memory for a chunk");
		sink_cancel(sink);
		return 0;
	}
	return 1;
}

/* Between two holes there is a chunk, and of chunks no more come than there is credit for. */
static uint64_t holes_max(const struct sink *sink)
{
	uint64_t window = sink->params.window_all > sink->params.window ? sink->params.window_all : sink->params.window;

	return HOLES_MORE + window / sink->params.chunk_size;
}

/* Behind one that ends where it begins, or by itself. */
static int hole_add(struct sink *sink, const struct sink_piece *piece)
{
	struct sink_item *last = sink->items.prev != &sink->items ? list_entry(sink->items.prev, struct sink_item, link)
	                                                          : NULL;

	if (last != NULL && last->piece.op == SINK_HOLE && last->piece.file == piece->file &&
	    last->piece.first + last->piece.count == piece->first) {
		last->piece.count += piece->count;
		return 0;
	}
	return sink_item_add(sink, piece);
}

int sink_hole(struct sink_lane *lane, uint32_t id, uint64_t first, uint64_t count, struct error *err)
{
	struct sink *sink = lane->sink;
	struct sink_request *request = table_get(&lane->requests, id);
	struct sink_file *file = request != NULL ? request->file : NULL;
	const struct sink_piece piece = { .op = SINK_HOLE, .file = file, .first = first, .count = count };

	if (file == NULL || !sink_file_takes(file))
		return 0;
	if (count == 0 || first > file->chunks || count > file->chunks - first ||
	    (first + count == file->chunks && file->size % sink->params.chunk_size != 0))
		return error_set(err, -EPROTO, FAULT_PEER, "a hole that is not within its file");
	if (!sink_request_covers(request, first, count))
		return 0;
	sink_lane_came(lane, request, count * (uint64_t)sink->params.chunk_size);
	if (sink_reuse_hole(sink, request, first, count))
		return 0;
	if (file->chunks == 1) {
		if (file->held || file->writing > 0)
			return 0; /* repeated */
		file->held = true;
		file->chunk = (struct frame_chunk){ 0 };
		file->token = NULL;
		return 0;
	}
	/* Holes cost no credit: this is what bounds them. */
	if (sink->holes >= holes_max(sink) || ranges_add(&file->seen, first, count) < 0)
		return 0; /* too many, repeated, or too scattered: found missing at the end */
	if (hole_add(sink, &piece) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a hole");
	return 0;
}

bool sink_ask_again(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, const char *cause)
{
	sink->count.repaired += count;
	file->repairs += count < REPAIRS_MAX ? (unsigned)count : REPAIRS_MAX + 1;
	if (file->repairs > REPAIRS_MAX) {
		sink_file_fail(sink, file, FAULT_INTEGRITY,
		               "chunk %llu of %llu %s, and %d were asked for again in vain", (unsigned long long)first,
		               (unsigned long long)file->chunks, cause, REPAIRS_MAX);
		return false;
	}
	if (sink_ask_range(sink, file, first, count, false) < 0) {
		sink_file_fail(sink, file, FAULT_LOCAL, "out of memory");
		return false;
	}
	return true;
}

/* Asks again for every chunk that has not come; false when the file failed over it. */
static bool ask_missing(struct sink *sink, struct sink_file *file)
{
	struct range gap = { 0, 0 };

	while (ranges_gap(&file->seen, gap.end, file->chunks, &gap)) {
		if (!sink_ask_again(sink, file, gap.first, gap.end - gap.first, "never came"))
			return false;
	}
	return true;
}

void sink_file_settle(struct sink *sink, struct sink_file *file)
{
	if (sink_file_failed(file)) {
		sink_file_bury(sink, file);
		return;
	}
	if (file->state != SINK_FILE_PARTS || file->requests > 0 || file->writing > 0 || sink_asks_open(sink, file))
		return;
	if (sink_reuse_advance(sink, file) || sink_reuse_settle(sink, file))
		return;
	if (file->done < file->chunks) {
		(void)ask_missing(sink, file);
		return;
	}
	file->end = SINK_PUBLISH;
	sink_file_move(sink, file, SINK_FILE_READY);
}

/* The only chunk is here, or not: with its end the file is ready, or asked for again as a whole. */
void sink_small_settle(struct sink *sink, struct sink_file *file)
{
	if (file->chunks == 0 || file->held) {
		file->end = SINK_PUBLISH;
		sink_file_move(sink, file, SINK_FILE_READY);
		return;
	}
	sink->count.repaired++;
	if (++file->repairs > RESTARTS_MAX) {
		sink_file_fail(sink, file, FAULT_INTEGRITY,
		               "chunk 0 of 1 is damaged or missing, and was asked for %d times", file->repairs);
		return;
	}
	sink_file_restart(sink, file);
}

/* Nothing of it is asked for any more: begins again with the new size. */
static void file_resized(struct sink *sink, struct sink_file *file)
{
	file->chunks = sink_file_chunks(sink, file->size);
	sink_file_restart(sink, file);
}

static bool resizes(const struct sink_file *file, const struct end *end)
{
	return end->status == STATUS_CHANGED && end->chunks == 0 && file->handle == NULL && file->seen.count == 0 &&
	       file->reuse == SINK_REUSE_NONE && !file->held && end->size != file->size &&
	       file->restarts < RESTARTS_MAX;
}

/* It grew or shrank between listing and reading: begin again, as long as nothing of it was taken. */
static void file_resize(struct sink *sink, struct sink_file *file, const struct end *end)
{
	file->restarts++;
	file->size = end->size;
	sink_file_move(sink, file, SINK_FILE_RESIZING);
	sink_asks_drop(sink, file);
	if (file->requests == 0)
		file_resized(sink, file);
}

static void end_failed(struct sink *sink, struct sink_file *file, const struct end *end)
{
	enum fault fault = status_fault(end->status);
	char text[MESSAGE_TEXT_MAX];

	if (resizes(file, end)) {
		file_resize(sink, file, end);
		return;
	}
	text_printable(text, sizeof(text), end->text, end->text_len);
	if (end->status == STATUS_NOT_FOUND) /* it was listed a moment ago */
		sink_file_fail(sink, file, FAULT_CHANGED, "%s: it vanished", status_text(STATUS_CHANGED));
	else if ((end->status == STATUS_CHANGED || end->status == STATUS_IO) && text[0] != '\0')
		sink_file_fail(sink, file, fault, "%s: %s", status_text(end->status), text);
	else
		sink_file_fail(sink, file, fault, "%s", text[0] != '\0' ? text : status_text(end->status));
}

bool sink_file_answered(struct sink *sink, struct sink_file *file)
{
	file->requests--;
	if (sink_file_failed(file)) { /* it was cancelled, or others of the file were */
		sink_file_bury(sink, file);
		return false;
	}
	if (file->state != SINK_FILE_RESIZING)
		return true;
	if (file->requests == 0) /* all parts of it say the same */
		file_resized(sink, file);
	return false;
}

static int whole_end(struct sink *sink, struct sink_file *file, const struct end *end, struct error *err)
{
	if (end->digest == NULL && sink->params.digest_size > 0)
		return error_set(err, -EPROTO, FAULT_PEER, "a file ended without its digest");
	file->mode = end->mode;
	file->mtime = end->mtime;
	file->mtime_ns = end->mtime_ns;
	file->has_digest = end->digest != NULL;
	if (file->has_digest)
		memcpy(file->digest, end->digest, sink->params.digest_size);
	if (file->chunks <= 1) {
		sink_small_settle(sink, file);
		return 0;
	}
	sink_file_move(sink, file, SINK_FILE_PARTS);
	sink_file_settle(sink, file);
	return 0;
}

static void part_end(struct sink *sink, struct sink_file *file, const struct end *end)
{
	bool written = end->mtime != file->mtime || end->mtime_ns != file->mtime_ns;

	if (written && file->state == SINK_FILE_PARTS)
		sink_file_fail(sink, file, FAULT_CHANGED, "it was written to while it was fetched");
	else
		sink_file_settle(sink, file);
}

int sink_file_end(struct sink_lane *lane, const struct end *end, struct error *err)
{
	struct sink *sink = lane->sink;
	struct sink_request *request = table_remove(&lane->requests, end->request);
	struct sink_file *file;
	bool whole;

	if (request == NULL)
		return 0;
	sink->moved++;
	if (request->returned && end->status == STATUS_CANCELLED) {
		sink_file_unask(sink, request);
		sink_request_free(lane, request);
		return 0;
	}
	file = request->file;
	whole = request->whole;
	sink_request_free(lane, request);
	if (!sink_file_answered(sink, file))
		return 0;
	if (end->status != STATUS_OK) {
		end_failed(sink, file, end);
		return 0;
	}
	if (end->size != file->size)
		return error_set(err, -EPROTO, FAULT_PEER, "a file ended with another size than it was asked for");
	if (whole)
		return whole_end(sink, file, end, err);
	part_end(sink, file, end);
	return 0;
}
