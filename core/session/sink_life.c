/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a sink: what may become of them, see sink_file.h, and how they end. */
#include "session/sink_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TO(state) (1U << SINK_FILE_##state)
#define QUEUE(name) offsetof(struct sink, name)

/* What may follow, and where a file waits meanwhile. */
static const struct {
	size_t queue;
	unsigned next;
} states[] = {
	/* clang-format off */
	[SINK_FILE_UNKNOWN]  = { QUEUE(unknown), TO(PROBING) | TO(FAILED) },
	[SINK_FILE_PROBING]  = { QUEUE(files), TO(FRESH) | TO(PARTS) | TO(FAILED) },
	[SINK_FILE_FRESH]    = { QUEUE(fresh), TO(WHOLE) | TO(PARTS) | TO(FAILED) },
	[SINK_FILE_WHOLE]    = { QUEUE(files), TO(FRESH) | TO(PARTS) | TO(RESIZING) | TO(READY) | TO(FAILED) },
	[SINK_FILE_PARTS]    = { QUEUE(files), TO(FRESH) | TO(RESIZING) | TO(READY) | TO(FAILED) },
	[SINK_FILE_RESIZING] = { QUEUE(files), TO(FRESH) | TO(FAILED) },
	[SINK_FILE_READY]    = { QUEUE(ready), TO(ENDING) | TO(FAILED) },
	[SINK_FILE_ENDING]   = { QUEUE(files), TO(FRESH) | TO(FAILED) },
	[SINK_FILE_FAILED]   = { QUEUE(files), TO(DOOMED) | TO(GONE) },
	[SINK_FILE_DOOMED]   = { QUEUE(ready), TO(CLEARING) | TO(GONE) },
	[SINK_FILE_CLEARING] = { QUEUE(files), TO(GONE) },
	[SINK_FILE_GONE]     = { QUEUE(files), 0 },
	/* clang-format on */
};

static void file_queue(struct sink *sink, struct sink_file *file)
{
	list_remove(&file->link);
	list_append((struct list *)(void *)((char *)sink + states[file->state].queue), &file->link);
}

void sink_file_move(struct sink *sink, struct sink_file *file, enum sink_file_state state)
{
	assert(state == file->state || (states[file->state].next & 1U << state) != 0);
	file->state = state;
	file_queue(sink, file);
}

static void token_release(struct sink *sink, void *token)
{
	if (token != NULL && sink->watch.release != NULL)
		sink->watch.release(sink->watch.context, token);
}

void sink_file_free(struct sink *sink, struct sink_file *file)
{
	list_remove(&file->link);
	sink->live--;
	sink_dir_release(sink, file->dir);
	ranges_free(&file->seen);
	ranges_free(&file->claims);
	ranges_free(&file->kept);
	sink->texts -= sink_file_texts(file);
	free(file->path);
	free(file->final);
	free(file);
}

/* Its only chunk, which waits for the end of the file. */
void sink_held_drop(struct sink *sink, struct sink_file *file)
{
	if (!file->held)
		return;
	token_release(sink, file->token);
	sink_lane_release(file->lane, file->chunk.length);
	file->held = false;
	file->token = NULL;
	file->lane = NULL;
}

/* How many of the requests of a file were found. */
static unsigned lane_cancel(struct sink_lane *lane, const struct sink_file *file, unsigned most)
{
	const struct sink_request *request;
	unsigned count = 0;
	uint64_t id;

	for (size_t at = 0; count < most && (request = table_next(&lane->requests, &at, &id)) != NULL;) {
		if (request->file != file)
			continue;
		/* Without memory for it the request is answered in full, which costs time only. */
		(void)message_cancel_write(&lane->cancels, (uint32_t)id);
		count++;
	}
	return count;
}

/*
 * Says that nothing more of a file is wanted. Its requests stay until their ends have come, since the peer counts them
 * until then, and what comes of them must find no other file under their number.
 */
static void file_cancel(struct sink *sink, struct sink_file *file)
{
	unsigned left = file->requests;

	sink_held_drop(sink, file);
	for (struct list *node = sink->lanes.next; left > 0 && node != &sink->lanes; node = node->next)
		left -= lane_cancel(list_entry(node, struct sink_lane, link), file, left);
	sink_asks_drop(sink, file);
	sink_reuse_drop(sink, file);
}

/*
 * An earlier run may have begun it: that goes, although this run did not come so far. In a staging folder it would appear
 * under its final name with the tree.
 */
static bool may_be_there(const struct sink *sink)
{
	return !sink->aborted && (sink->params.flags & (SINK_FLAG_RESUME | SINK_FLAG_LEAVE));
}

void sink_file_bury(struct sink *sink, struct sink_file *file)
{
	bool there = file->handle != NULL;

	if (file->writing > 0)
		return;
	if (!there && file->state != SINK_FILE_GONE && may_be_there(sink)) {
		file->reuse = SINK_REUSE_PARTIAL;
		there = true;
	}
	sink_file_move(sink, file, there ? SINK_FILE_DOOMED : SINK_FILE_GONE);
	if (!there && file->requests == 0)
		sink_file_free(sink, file);
}

static void file_give_up(struct sink *sink, struct sink_file *file, enum sink_op end)
{
	sink_file_move(sink, file, SINK_FILE_FAILED);
	file->end = end;
	file_cancel(sink, file);
}

void sink_file_fail(struct sink *sink, struct sink_file *file, enum fault fault, const char *format, ...)
{
	char text[ERROR_TEXT_MAX / 2], path[ERROR_TEXT_MAX / 2];
	va_list args;

	if (!sink_file_failed(file)) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		sink->count.failed++;
		sink_report(sink, fault, "%s: %s", sink_file_text(sink, file, path, sizeof(path)), text);
		file_give_up(sink, file, SINK_ABANDON);
	}
	sink_file_bury(sink, file);
}

/* What waits for an order goes as it came. */
static void items_drop(struct sink *sink)
{
	struct list *node;

	while ((node = list_first(&sink->items)) != NULL) {
		struct sink_item *item = list_entry(node, struct sink_item, link);

		list_remove(node);
		item->piece.file->writing--;
		sink->holes -= item->piece.op == SINK_HOLE;
		if (item->piece.op == SINK_CHUNK) {
			token_release(sink, item->piece.token);
			sink_lane_release(item->piece.lane, item->piece.chunk.length);
		}
		free(item);
	}
}

/* Burying moves a file to another queue: only what was there before. */
static void queue_abort(struct sink *sink, struct list *queue)
{
	struct list rest, *node;

	list_init(&rest);
	while ((node = list_first(queue)) != NULL) {
		list_remove(node);
		list_append(&rest, node);
	}
	while ((node = list_first(&rest)) != NULL) {
		struct sink_file *file = list_entry(node, struct sink_file, link);

		file_queue(sink, file);
		if (!sink_file_failed(file))
			file_give_up(sink, file, sink->leave ? SINK_CLOSE : SINK_ABANDON);
		sink_file_bury(sink, file);
	}
}

void sink_file_abort(struct sink *sink)
{
	sink_reuse_drop(sink, NULL);
	sink_asks_drop(sink, NULL);
	items_drop(sink);
	queue_abort(sink, &sink->unknown);
	queue_abort(sink, &sink->fresh);
	queue_abort(sink, &sink->ready);
	queue_abort(sink, &sink->files);
}

void sink_file_restart(struct sink *sink, struct sink_file *file)
{
	sink_file_move(sink, file, SINK_FILE_FRESH);
	list_remove(&file->link);
	list_prepend(&sink->fresh, &file->link);
	file->by_digests = false;
	file->has_digest = false;
}

void sink_file_forget(struct sink *sink)
{
	struct sink_request *request;

	for (struct list *node = sink->lanes.next; node != &sink->lanes; node = node->next) {
		struct sink_lane *lane = list_entry(node, struct sink_lane, link);

		for (size_t at = 0; (request = table_next(&lane->requests, &at, NULL)) != NULL;) {
			request->file->requests = 0;
			sink_request_free(lane, request);
		}
		table_free(&lane->requests);
	}
	sink_file_abort(sink);
}

void sink_file_drop(struct sink *sink)
{
	struct list *const queues[] = { &sink->ready, &sink->files };
	struct list *node;

	sink_file_forget(sink);
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		while ((node = list_first(queues[i])) != NULL)
			sink_file_free(sink, list_entry(node, struct sink_file, link));
	}
}
