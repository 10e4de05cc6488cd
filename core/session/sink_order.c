/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a sink: orders to write and publish, and what came of them. */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sink_item_add(struct sink *sink, const struct sink_piece *piece)
{
	struct sink_item *item = calloc(1, sizeof(*item));

	if (item == NULL)
		return -ENOMEM;
	item->piece = *piece;
	piece->file->writing++;
	sink->holes += piece->op == SINK_HOLE;
	list_append(&sink->items, &item->link);
	return 0;
}

/* The file digest takes chunks in order and can wait for few: around a long run of holes, one piece at a time. */
static bool must_wait(const struct sink_piece *piece)
{
	return piece->file->barrier || (piece->op == SINK_HOLE && piece->count > HOLE_LONG && piece->file->out > 0);
}

static void piece_take(struct sink_order *order, const struct sink_piece *piece)
{
	piece->file->out++;
	if (piece->op == SINK_HOLE && piece->count > HOLE_LONG)
		piece->file->barrier = true;
	order->pieces[order->count++] = *piece;
}

/* The first part of a long run of holes; the rest stays where it is. */
static void hole_cut(struct sink *sink, struct sink_order *order, struct sink_piece *piece)
{
	struct sink_piece part = *piece;

	part.count = HOLE_PIECE;
	piece->first += HOLE_PIECE;
	piece->count -= HOLE_PIECE;
	piece->file->writing++;
	sink->holes++;
	piece_take(order, &part);
}

static bool take_items(struct sink *sink, struct sink_order *order)
{
	uint64_t bytes = 0;
	struct list *node;

	while (order->count < SINK_PIECES_MAX && (node = list_first(&sink->items)) != NULL) {
		struct sink_item *item = list_entry(node, struct sink_item, link);

		if (order->count > 0 && bytes + item->piece.chunk.length > sink->params.order_payload)
			break;
		if (must_wait(&item->piece))
			break;
		if (item->piece.op == SINK_HOLE && item->piece.count > HOLE_PIECE) {
			hole_cut(sink, order, &item->piece);
			break;
		}
		bytes += item->piece.chunk.length;
		piece_take(order, &item->piece);
		list_remove(node);
		free(item);
	}
	return order->count > 0;
}

static void take_held(struct sink *sink, struct sink_order *order, struct sink_file *file)
{
	const struct sink_piece chunk = {
		.op = SINK_CHUNK, .file = file, .chunk = file->chunk, .token = file->token, .lane = file->lane
	};
	const struct sink_piece hole = { .op = SINK_HOLE, .file = file, .count = 1 };

	piece_take(order, file->token != NULL ? &chunk : &hole);
	sink->holes += file->token == NULL;
	file->held = false;
	file->token = NULL;
	file->lane = NULL;
	file->writing++;
}

static bool take_ready(struct sink *sink, struct sink_order *order)
{
	uint64_t bytes = 0;
	struct list *node;

	while (order->count + 2 <= SINK_PIECES_MAX && (node = list_first(&sink->ready)) != NULL) {
		struct sink_file *file = list_entry(node, struct sink_file, link);
		const struct sink_piece end = { .op = file->end, .file = file };

		if (order->count > 0 && file->held && bytes + file->size > sink->params.order_payload)
			break;
		sink_file_move(sink, file, sink_file_failed(file) ? SINK_FILE_CLEARING : SINK_FILE_ENDING);
		if (file->held) {
			bytes += file->size;
			take_held(sink, order, file);
		}
		piece_take(order, &end);
		file->writing++;
	}
	return order->count > 0;
}

bool sink_file_next(struct sink *sink, struct sink_order *order)
{
	order->kind = SINK_ORDER_WRITE;
	return take_items(sink, order) || take_ready(sink, order);
}

static bool disk_is_full(int code)
{
	return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -EIO || code == -ENOMEM ||
	       code == -EMFILE || code == -ENFILE;
}

static void store_failed(struct sink *sink, struct sink_file *file, int code)
{
	if (code == -EBUSY)
		sink_file_fail(sink, file, FAULT_LOCAL, "the same transfer is running already");
	else if (code == -ERANGE) /* no file system says so: see tally.h */
		sink_file_fail(sink, file, FAULT_PEER, "its chunks come too far out of order");
	else if (file->end == SINK_SETTLE)
		sink_file_fail(sink, file, FAULT_LOCAL,
		               "is what it should be, but its mode and times cannot be set: %s", strerror(-code));
	else
		sink_file_fail(sink, file, FAULT_LOCAL, "cannot be written: %s", strerror(-code));
	/* What hit one file will hit the next: stop, say it once. */
	if (code == -EBUSY || disk_is_full(code))
		sink_cancel(sink);
}

static void chunk_done(struct sink *sink, const struct sink_piece *piece)
{
	struct sink_file *file = piece->file;

	sink_lane_release(piece->lane, piece->chunk.length);
	if (piece->code == 0) {
		sink->count.chunks++;
		sink->count.bytes += piece->chunk.length;
		file->done++;
	} else if (piece->code == -EBADMSG && file->chunks > 1 && !sink_file_failed(file)) {
		(void)ranges_remove(&file->seen, piece->chunk.index);
		(void)sink_ask_again(sink, file, piece->chunk.index, 1, "came with a wrong digest");
	}
}

static void hole_done(struct sink *sink, const struct sink_piece *piece)
{
	piece->file->barrier = false;
	sink->holes--;
	if (piece->code < 0)
		return;
	sink->count.chunks += piece->count;
	sink->count.bytes += piece->count * sink->params.chunk_size;
	piece->file->done += piece->count;
}

static void copy_done(const struct sink_piece *piece)
{
	if (piece->code == 0)
		piece->file->done += piece->count;
}

/* It stands under its final name: since now, or it did before. */
static void published(struct sink *sink, struct sink_file *file)
{
	/* What an earlier run of the transfer published is its work; what stood there before is not. */
	bool same = file->end != SINK_PUBLISH && file->by_digests;
	const struct sink_event event = {
		.kind = same ? SINK_UNCHANGED : SINK_FILE_DONE,
		.path = file->name,
		.bytes = file->size,
		.digest = file->has_digest ? file->digest : NULL,
	};
	bool told = file->reuse == SINK_REUSE_STANDS && file->differs;

	if (same)
		sink->count.same += !told;
	else
		sink->count.files++;
	if (!told && sink->watch.event != NULL)
		sink->watch.event(sink->watch.context, &event);
	sink_file_free(sink, file);
}

static void cleared(struct sink *sink, const struct sink_piece *piece)
{
	bool left = piece->op == SINK_ABANDON && piece->code < 0 && sink->staged && !sink->aborted;
	char path[ERROR_TEXT_MAX / 2];

	if (left)
		sink_report(sink, FAULT_LOCAL, "%s: what there is of it cannot be removed: %s",
		            sink_file_text(sink, piece->file, path, sizeof(path)), strerror(-piece->code));
	sink_file_move(sink, piece->file, SINK_FILE_GONE);
	sink_file_bury(sink, piece->file);
	/* It stands under the name that it would have when complete: nobody may see this tree. */
	if (left)
		sink_cancel(sink);
}

/* A piece of a file is back, and nothing of the file is out any more. */
static void file_done(struct sink *sink, const struct sink_piece *piece)
{
	struct sink_file *file = piece->file;

	if (piece->op == SINK_ABANDON || piece->op == SINK_CLOSE)
		file->handle = NULL;
	if (file->state == SINK_FILE_CLEARING) {
		cleared(sink, piece);
	} else if (file->state != SINK_FILE_ENDING) {
		sink_file_settle(sink, file);
	} else if (piece->op == SINK_CLOSE) {
		published(sink, file);
	} else if (piece->code == 0) {
		file->has_digest = file->has_digest || sink->params.digest_size > 0; /* made by the order */
		published(sink, file);
	} else if (file->chunks == 1 && file->done == 0 && piece->op == SINK_PUBLISH) {
		sink_small_settle(sink, file); /* its chunk was damaged */
	} else if (piece->code == -EBADMSG) {
		sink_file_fail(sink, file, FAULT_INTEGRITY, "the file digest under %s is not the source's",
		               sink->integrity);
	} else {
		store_failed(sink, file, piece->code);
	}
}

void sink_file_done(struct sink *sink, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		struct sink_piece *piece = &order->pieces[i];
		struct sink_file *file = piece->file;

		/* The piece counts as out until it is looked at, so that a failure does not free the file under us. */
		if (piece->op == SINK_CHUNK)
			chunk_done(sink, piece);
		else if (piece->op == SINK_HOLE)
			hole_done(sink, piece);
		else if (piece->op == SINK_COPY)
			copy_done(piece);
		if (piece->op < SINK_PUBLISH && piece->code < 0 && piece->code != -EBADMSG && !sink_file_failed(file))
			store_failed(sink, file, piece->code);
		file->writing--;
		file->out--;
		if (file->writing == 0)
			file_done(sink, piece);
	}
}
