/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a sink.
 *
 *   fresh -> asked for (READ) -> chunks: checked and written -> end: all there? -> publish -> done
 *                 ^                      |                          |
 *                 +---- asked for again -+--------------------------+
 *
 * A file of one chunk waits for its end and is then checked, written and published in one order. In a larger one each
 * chunk is written as it comes; what is damaged or missing is asked for again, within REPAIRS_MAX.
 */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sink_file_chunks(const struct sink *sink, uint64_t size)
{
	uint64_t chunk = sink->params.chunk_size;

	return size / chunk + (size % chunk != 0);
}

/* The name of a file as messages show it. */
const char *sink_file_text(const struct sink *sink, const struct sink_file *file, char *out, size_t size)
{
	char full[MESSAGE_PATH_MAX + 2];
	int n = snprintf(full, sizeof(full), "%s%s%s", sink->remote, file->name[0] != '\0' ? "/" : "", file->name);

	return text_printable(out, size, full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1);
}

static void token_release(struct sink *sink, void *token)
{
	if (token != NULL && sink->watch.release != NULL)
		sink->watch.release(sink->watch.context, token);
}

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

/* ---- life and death of a file ---- */

void sink_file_free(struct sink *sink, struct sink_file *file)
{
	list_remove(&file->link);
	sink->live--;
	sink_dir_release(sink, file->dir);
	ranges_free(&file->seen);
	ranges_free(&file->claims);
	ranges_free(&file->kept);
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
static bool may_be_there(const struct sink *sink, const struct sink_file *file)
{
	return !sink->aborted && !file->swept && (sink->params.flags & (SINK_FLAG_RESUME | SINK_FLAG_LEAVE));
}

void sink_file_bury(struct sink *sink, struct sink_file *file)
{
	bool there = file->handle != NULL;

	if (file->writing > 0)
		return;
	if (!there && may_be_there(sink, file)) {
		file->reuse = SINK_REUSE_PARTIAL;
		there = true;
	}
	list_remove(&file->link);
	list_append(there ? &sink->ready : &sink->files, &file->link);
	if (!there && file->requests == 0)
		sink_file_free(sink, file);
}

void sink_file_fail(struct sink *sink, struct sink_file *file, enum fault fault, const char *format, ...)
{
	char text[ERROR_TEXT_MAX / 2], path[ERROR_TEXT_MAX / 2];
	va_list args;

	if (!file->failed) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		sink->count.failed++;
		sink_report(sink, fault, "%s: %s", sink_file_text(sink, file, path, sizeof(path)), text);
	}
	if (!file->failed) {
		file->failed = true;
		file_cancel(sink, file);
	}
	sink_file_bury(sink, file);
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

/* FNV-1a, 64 bits: the same file of a tree has the same hidden name in every run. */
static uint64_t name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash;
}

static int file_paths(struct sink *sink, struct sink_file *file)
{
	char *folder;

	if (sink->staged) {
		file->path = sink_local_path(sink, file->name);
		return file->path == NULL ? -ENOMEM : 0;
	}
	file->final = sink_local_path(sink, file->name);
	folder = file->dir != NULL ? sink_local_path(sink, file->dir->name) : NULL;
	if (file->dir == NULL)
		file->path = strdup(sink->partial);
	else if (folder != NULL && asprintf(&file->path, "%s%s%s.%016llx", folder, folder[0] != '\0' ? "/" : "",
	                                    sink->hidden, (unsigned long long)name_hash(file->name)) < 0)
		file->path = NULL;
	free(folder);
	return file->path == NULL || file->final == NULL ? -ENOMEM : 0;
}

/* Both the path at the source and the one here. */
static bool path_fits(const struct sink_file *file, const struct sink *sink)
{
	return strlen(sink->remote) + 1 + strlen(file->name) <= MESSAGE_PATH_MAX &&
	       strlen(file->path) <= MESSAGE_PATH_MAX;
}

/* Something of it may be there already. */
static bool file_unknown(const struct sink *sink)
{
	unsigned flags = sink->params.flags;

	if (flags & (SINK_FLAG_RESUME | SINK_FLAG_VERIFY))
		return true;
	return (flags & SINK_FLAG_UPDATE) && !sink->staged && sink->params.name_exists;
}

int sink_file_add(struct sink *sink, struct sink_dir *dir, const struct entry *entry, struct error *err)
{
	size_t dir_len = dir != NULL ? strlen(dir->name) : 0;
	size_t name_len = dir != NULL ? entry->name_len : 0;
	struct sink_file *file = calloc(1, sizeof(*file) + dir_len + 1 + name_len + 1);

	if (file == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a file");
	memcpy(file->name, dir != NULL ? dir->name : "", dir_len);
	if (dir_len > 0)
		file->name[dir_len++] = '/';
	memcpy(file->name + dir_len, entry->name, name_len);
	list_init(&file->link);
	file->size = entry->size;
	file->chunks = sink_file_chunks(sink, entry->size);
	file->mode = entry->mode;
	file->mtime = entry->mtime;
	file->mtime_ns = entry->mtime_ns;
	file->dir = dir;
	if (file_paths(sink, file) < 0) {
		free(file->path);
		free(file->final);
		free(file);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a file");
	}
	if (dir != NULL)
		dir->pending++;
	sink->live++;
	sink->count.listed += file->size;
	list_append(file_unknown(sink) ? &sink->unknown : &sink->fresh, &file->link);
	if (!path_fits(file, sink))
		sink_file_fail(sink, file, FAULT_LOCAL, "its path is longer than %d bytes", MESSAGE_PATH_MAX);
	return 0;
}

void sink_file_abort(struct sink *sink)
{
	struct list *const queues[] = { &sink->unknown, &sink->fresh, &sink->ready, &sink->files };
	struct list *node;

	sink_reuse_drop(sink, NULL);
	while ((node = list_first(&sink->asks)) != NULL) {
		list_remove(node);
		free(list_entry(node, struct sink_ask, link));
	}
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
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		struct list rest;

		/* Burying moves a file to another queue: walk what was there before. */
		list_init(&rest);
		while ((node = list_first(queues[i])) != NULL) {
			list_remove(node);
			list_append(&rest, node);
		}
		while ((node = list_first(&rest)) != NULL) {
			struct sink_file *file = list_entry(node, struct sink_file, link);

			list_remove(node);
			list_append(&sink->files, node);
			if (!file->failed) {
				file->failed = true;
				file->leave = sink->leave;
				file_cancel(sink, file);
			}
			sink_file_bury(sink, file);
		}
	}
}
