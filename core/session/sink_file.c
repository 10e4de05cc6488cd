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

/*
 * Says that nothing more of a file is wanted. Its requests stay until their ends have come, since the peer counts them
 * until then, and what comes of them must find no other file under their number.
 */
static void file_cancel(struct sink *sink, struct sink_file *file)
{
	const struct sink_file *other;
	unsigned left = file->requests;
	uint64_t id;

	if (file->held) {
		token_release(sink, file->token);
		sink->consumed += file->chunk.length;
		file->held = false;
	}
	for (size_t at = 0; left > 0 && (other = table_next(&sink->requests, &at, &id)) != NULL;) {
		if (other != file)
			continue;
		/* Without memory for it the request is answered in full, which costs time only. */
		(void)message_cancel_write(&sink->cancels, (uint32_t)id);
		left--;
	}
	for (struct list *node = sink->asks.next; node != &sink->asks;) {
		struct sink_ask *ask = list_entry(node, struct sink_ask, link);

		node = node->next;
		if (ask->file == file) {
			list_remove(&ask->link);
			free(ask);
		}
	}
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
	struct sink_file *file;

	for (size_t at = 0; (file = table_next(&sink->requests, &at, NULL)) != NULL;)
		file->requests = 0;
	table_free(&sink->requests);
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
		if (item->piece.op == SINK_CHUNK) {
			token_release(sink, item->piece.token);
			sink->consumed += item->piece.chunk.length;
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

/* ---- asking ---- */

static uint32_t request_next(struct sink *sink, uint32_t count)
{
	/* Ids of one frame are consecutive and do not wrap; ids in use are skipped (a long job may wrap around). */
	for (uint32_t i = 0; i < count; i++) {
		if (sink->next_request > UINT32_MAX - count) {
			sink->next_request = SINK_LIST_REQUEST + 1;
			i = 0;
		}
		if (table_get(&sink->requests, (uint64_t)sink->next_request + i) != NULL) {
			sink->next_request += i + 1;
			i = UINT32_MAX;
		}
	}
	return sink->next_request;
}

int sink_ask_range(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, bool digests)
{
	struct sink_ask *ask = sink->asks.prev != &sink->asks ? list_entry(sink->asks.prev, struct sink_ask, link)
	                                                      : NULL;

	if (ask != NULL && ask->file == file && ask->digests == digests && ask->first + ask->count == first) {
		ask->count += count;
		return 0;
	}
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		return -ENOMEM;
	ask->file = file;
	ask->first = first;
	ask->count = count;
	ask->digests = digests;
	list_append(&sink->asks, &ask->link);
	return 0;
}

bool sink_asks_open(const struct sink *sink, const struct sink_file *file)
{
	for (const struct list *node = sink->asks.next; node != &sink->asks; node = node->next) {
		if (list_entry(node, struct sink_ask, link)->file == file)
			return true;
	}
	return false;
}

/* Something to ask for. */
struct asking {
	struct sink_file *file;
	struct sink_ask *ask; /* part of the file; NULL: all of it */
};

static uint8_t read_flags(const struct asking *asking)
{
	if (asking->ask == NULL)
		return 0;
	return asking->ask->digests ? MESSAGE_READ_PART | MESSAGE_READ_DIGESTS : MESSAGE_READ_PART;
}

static int request_add(struct sink *sink, struct buf *body, uint32_t id, const struct asking *asking)
{
	struct sink_file *file = asking->file;
	char path[MESSAGE_PATH_MAX + 2];
	int n = snprintf(path, sizeof(path), "%s%s%s", sink->remote, file->name[0] != '\0' ? "/" : "", file->name);
	const struct message_read item = {
		.first = asking->ask != NULL ? asking->ask->first : 0,
		.count = asking->ask != NULL ? asking->ask->count : MESSAGE_ALL,
		.size = file->size,
		.flags = read_flags(asking),
		.path = path,
		.path_len = (size_t)n,
	};
	int r = table_put(&sink->requests, id, file);

	if (r < 0)
		return r;
	r = message_read_item_write(body, &item);
	if (r < 0) {
		table_remove(&sink->requests, id);
		return r;
	}
	file->requests++;
	if (asking->ask != NULL) {
		list_remove(&asking->ask->link);
		free(asking->ask);
	} else {
		file->request = id;
		list_remove(&file->link);
		list_append(&sink->files, &file->link);
	}
	return 0;
}

/* The next thing to ask for; false when there is none. It stays where it is until it is asked for. */
static bool ask_next(struct sink *sink, struct asking *out)
{
	struct list *node = list_first(&sink->asks);

	*out = (struct asking){ 0 };
	if (node != NULL) {
		out->ask = list_entry(node, struct sink_ask, link);
		out->file = out->ask->file;
		return true;
	}
	while ((node = list_first(&sink->fresh)) != NULL) {
		struct sink_file *next = list_entry(node, struct sink_file, link);

		if (next->dir != NULL && !next->dir->made)
			return false;
		if (next->dir != NULL && next->dir->failed) {
			sink_file_fail(sink, next, FAULT_LOCAL, "its directory could not be made");
		} else {
			/* An empty one too: it may have grown, and the source counts what it gave. */
			out->file = next;
			return true;
		}
	}
	return false;
}

/* Makes a frame of `asking` and of what comes behind it, as much as goes into one. */
static int read_make(struct sink *sink, struct buf *out, struct asking *asking)
{
	uint32_t base = request_next(sink, MESSAGE_READ_MAX);
	size_t start, count = 0;
	int sealed, r = message_read_begin(out, &start);

	if (r < 0)
		return r;
	do {
		r = request_add(sink, out, base + (uint32_t)count, asking);
		count += r == 0;
	} while (r == 0 && count < MESSAGE_READ_MAX && sink->requests.count < sink->params.requests_max &&
	         out->len - start < FRAME_CONTROL_MAX - MESSAGE_PATH_MAX - MESSAGE_READ_ITEM_HEAD &&
	         ask_next(sink, asking));
	if (count == 0) {
		out->len = start;
		return r;
	}
	/* What is in the frame was asked for, whatever happened behind it. */
	sink->next_request = base + (uint32_t)count;
	sealed = message_read_seal(out, start, base, (uint16_t)count);
	return r < 0 ? r : sealed;
}

int sink_file_requests(struct sink *sink, struct buf *out)
{
	struct asking asking;
	int r = 0;

	while (r == 0 && sink->requests.count < sink->params.requests_max && ask_next(sink, &asking))
		r = read_make(sink, out, &asking);
	return r;
}
