/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of a sink: directories, links, staging.
 *
 * Operations on directories are done in the order of the listing, one order at a time, so that a directory is there
 * before what is in it. A directory gets its mode and times when everything in it is done, since writing into it would
 * change them again. The tree's last steps, one order each: sync, rename to the final name, sync the folder.
 */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dir_item {
	struct list link;
	struct sink_dir_piece piece;
};

/* The path beneath the destination's root of something called `name` in the tree. */
char *sink_local_path(const struct sink *sink, const char *name)
{
	const char *base = sink->staged ? sink->partial : sink->name;
	char *path;

	if (asprintf(&path, "%s%s%s", base, base[0] != '\0' && name[0] != '\0' ? "/" : "", name) < 0)
		return NULL;
	return path;
}

static int dir_queue(struct sink *sink, enum sink_dir_op op, struct sink_dir *dir, char *path, char *target,
                     const struct entry *meta)
{
	struct dir_item *item = path != NULL ? calloc(1, sizeof(*item)) : NULL;

	if (item == NULL) {
		free(path);
		free(target);
		return -ENOMEM;
	}
	item->piece = (struct sink_dir_piece){
		.op = op,
		.dir = dir,
		.path = path,
		.target = target,
		/* A staged tree is synced as a whole. */
		.sync = op == SINK_DIR_META && sink->params.sync && !sink->staged,
		.owned_path = path,
		.owned_target = target,
	};
	if (meta != NULL) {
		item->piece.mode = meta->mode;
		item->piece.mtime = meta->mtime;
		item->piece.mtime_ns = meta->mtime_ns;
	}
	list_append(&sink->dir_queue, &item->link);
	return 0;
}

static void dir_free(struct sink *sink, struct sink_dir *dir)
{
	list_remove(&dir->link);
	sink->dir_count--;
	sink->live--;
	free(dir);
}

static bool verifying(const struct sink *sink)
{
	return (sink->params.flags & SINK_FLAG_VERIFY) != 0;
}

static void dir_finish(struct sink *sink, struct sink_dir *dir)
{
	const struct entry meta = { .mode = dir->mode, .mtime = dir->mtime, .mtime_ns = dir->mtime_ns };
	struct sink_dir *parent = dir->parent;
	char *path;

	if (verifying(sink)) {
		dir_free(sink, dir);
		sink_dir_release(sink, parent);
		return;
	}
	path = sink_local_path(sink, dir->name);

	if (dir_queue(sink, SINK_DIR_META, dir, path, NULL, &meta) < 0) {
		sink_report(sink, FAULT_LOCAL, "out of memory for directory %s", dir->name);
		sink_cancel(sink);
	}
}

void sink_dir_release(struct sink *sink, struct sink_dir *dir)
{
	if (dir == NULL)
		return;
	dir->pending--;
	if (dir->pending == 0 && dir->listed && !sink->aborted)
		dir_finish(sink, dir);
}

static int dir_add(struct sink *sink, const struct entry *entry, struct error *err)
{
	size_t parent_len = sink->at != NULL ? strlen(sink->at->name) : 0;
	size_t name_len = sink->at != NULL ? entry->name_len : 0; /* the top has the destination's name */
	struct sink_dir *dir = calloc(1, sizeof(*dir) + parent_len + 1 + name_len + 1);
	char *at;

	if (dir == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a directory");
	at = dir->name;
	if (parent_len > 0) {
		memcpy(at, sink->at->name, parent_len);
		at += parent_len;
		*at++ = '/';
	}
	memcpy(at, entry->name, name_len);
	dir->made = verifying(sink);
	if (!dir->made && dir_queue(sink, SINK_DIR_MAKE, dir, sink_local_path(sink, dir->name), NULL, entry) < 0) {
		free(dir);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a directory");
	}
	dir->parent = sink->at;
	if (sink->at != NULL)
		sink->at->pending++;
	sink->at = dir;
	list_append(&sink->dirs, &dir->link);
	sink->dir_count++;
	sink->live++;
	return 0;
}

static int dir_up(struct sink *sink, const struct entry *entry, struct error *err)
{
	struct sink_dir *dir = sink->at;

	if (dir == NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the listing leaves a directory that it never entered");
	dir->mode = entry->mode;
	dir->mtime = entry->mtime;
	dir->mtime_ns = entry->mtime_ns;
	dir->listed = true;
	sink->at = dir->parent;
	if (dir->pending == 0)
		dir_finish(sink, dir);
	return 0;
}

static int link_add(struct sink *sink, const struct entry *entry, struct error *err)
{
	char *target, *folder, *path = NULL;

	if (verifying(sink)) { /* what a link leads to has no digest */
		sink->count.links++;
		return 0;
	}
	target = strndup(entry->text, entry->text_len);
	folder = sink->at != NULL ? sink_local_path(sink, sink->at->name) : NULL;
	if (sink->at == NULL)
		path = strdup(sink->name);
	else if (folder != NULL && asprintf(&path, "%s%s%.*s", folder, folder[0] != '\0' ? "/" : "",
	                                    (int)entry->name_len, entry->name) < 0)
		path = NULL;
	free(folder);
	if (target == NULL) {
		free(path);
		path = NULL;
	}
	if (dir_queue(sink, SINK_DIR_LINK, sink->at, path, target, entry) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a symbolic link");
	if (sink->at != NULL)
		sink->at->pending++;
	sink->live++;
	return 0;
}

/* The entry's path at the source, as messages show it: the first entry is what was asked for. */
static const char *entry_text(const struct sink *sink, const struct entry *entry, char *out, size_t size)
{
	const char *where = sink->at != NULL ? sink->at->name : "";
	char full[MESSAGE_PATH_MAX + 2];
	int n = snprintf(full, sizeof(full), "%s", sink->remote);

	if (sink->at != NULL)
		n = snprintf(full, sizeof(full), "%s%s%s/%.*s", sink->remote, where[0] != '\0' ? "/" : "", where,
		             (int)entry->name_len, entry->name);
	return text_printable(out, size, full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1);
}

static void entry_report(struct sink *sink, const struct entry *entry)
{
	char path[ERROR_TEXT_MAX / 2], text[ERROR_TEXT_MAX / 2 - 64];

	entry_text(sink, entry, path, sizeof(path));
	text_printable(text, sizeof(text), entry->text, entry->text_len);
	if (entry->kind == ENTRY_SPECIAL) {
		char said[ERROR_TEXT_MAX];
		const struct sink_event event = { .kind = SINK_SKIPPED, .fault = FAULT_MIXED, .text = said };

		snprintf(said, sizeof(said), "%s: skipped: %s", path, text);
		sink->count.skipped++;
		if (sink->watch.event != NULL)
			sink->watch.event(sink->watch.context, &event);
		return;
	}
	sink->count.failed++;
	sink_report(sink, FAULT_REFUSED, "%s: the source cannot be read: %s", path, text);
}

/* The first entry says what is fetched; what is there already says where it goes. */
static int begin(struct sink *sink, const struct entry *entry, struct error *err)
{
	sink->begun = true;
	switch (entry->kind) {
	case ENTRY_DIR:
		if (sink->params.name_exists && !sink->params.name_is_dir)
			return error_set(err, -ENOTDIR, FAULT_LOCAL,
			                 "%s is a directory at the source, but a file is there at the destination",
			                 sink->name);
		sink->staged = !sink->params.name_exists && !verifying(sink);
		break;
	case ENTRY_FILE:
	case ENTRY_SYMLINK:
		if (sink->params.name_is_dir)
			return error_set(err, -EISDIR, FAULT_LOCAL,
			                 "%s is no directory at the source, but one is there at the destination",
			                 sink->name);
		break;
	default: break;
	}
	return 0;
}

/* A name of ours, or of another transfer's: what is written under it would be taken for theirs. */
static bool is_reserved(const struct sink *sink, const struct entry *entry)
{
	size_t len = sink->reserved != NULL ? strlen(sink->reserved) : 0;

	return len > 0 && entry->name_len >= len && memcmp(entry->name, sink->reserved, len) == 0;
}

static int entry_take(struct sink *sink, const struct entry *entry, struct error *err)
{
	if (sink->begun && sink->at == NULL && entry->kind != ENTRY_UP)
		return error_set(err, -EPROTO, FAULT_PEER, "the listing goes on behind its end");
	if (!sink->begun) {
		int r = begin(sink, entry, err);
		if (r < 0)
			return r;
	}
	if (sink->at != NULL && is_reserved(sink, entry))
		return error_set(err, -EPROTO, FAULT_PEER, "an entry with a name of those that are never listed: %s...",
		                 sink->reserved);
	switch (entry->kind) {
	case ENTRY_DIR: return dir_add(sink, entry, err);
	case ENTRY_UP: return dir_up(sink, entry, err);
	case ENTRY_SYMLINK: return link_add(sink, entry, err);
	case ENTRY_FILE: return sink_file_add(sink, sink->at, entry, err);
	case ENTRY_SPECIAL:
	case ENTRY_UNREADABLE: entry_report(sink, entry); return 0;
	}
	return error_set(err, -EPROTO, FAULT_PEER, "an entry of unknown kind %d", (int)entry->kind);
}

int sink_entries(struct sink *sink, const uint8_t *run, size_t len, struct error *err)
{
	struct error cause = { 0 };
	struct entry entry;
	size_t at = 0;

	if (!sink->listing)
		return 0; /* of a listing that is over */
	sink->list_received += len;
	if (sink->list_received > sink->list_granted)
		return error_set(err, -EPROTO, FAULT_PEER, "more entries than there was credit for");
	if (sink->aborted)
		return 0;
	while (at < len && !sink->aborted) {
		int r = message_entry_read(run, len, &at, &entry, &cause);

		if (r == 0)
			r = entry_take(sink, &entry, &cause);
		if (r < 0 && cause.fault == FAULT_LOCAL) { /* ours, not the session's */
			sink_report(sink, FAULT_LOCAL, "%s", cause.text);
			sink->count.failed++;
			sink_cancel(sink);
			return 0;
		}
		if (r < 0) {
			if (err != NULL)
				*err = cause;
			return r;
		}
	}
	return 0;
}

static bool take_queue(struct sink *sink, struct sink_order *order)
{
	struct list *node;

	while (order->count < SINK_DIR_PIECES_MAX && (node = list_first(&sink->dir_queue)) != NULL) {
		struct dir_item *item = list_entry(node, struct dir_item, link);

		list_remove(node);
		order->dirs[order->count++] = item->piece;
		free(item);
	}
	return order->count > 0;
}

/* Of a tree that is aborted before it has its name. */
static enum sink_step step_aborted(const struct sink *sink)
{
	return sink->leave ? STEP_OVER : STEP_REMOVE;
}

/* What is left to do when all entries are done. */
static enum sink_step step_first(const struct sink *sink)
{
	if (!sink->staged)
		return STEP_OVER;
	if (sink->aborted)
		return step_aborted(sink);
	return sink->params.sync ? STEP_SYNC : STEP_RENAME;
}

static bool take_step(struct sink *sink, struct sink_order *order)
{
	struct sink_dir_piece *piece = &order->dirs[0];

	*piece = (struct sink_dir_piece){ .path = sink->partial };
	switch (sink->step) {
	case STEP_SYNC: piece->op = SINK_DIR_SYNC; break;
	case STEP_RENAME:
		piece->op = SINK_DIR_RENAME;
		piece->target = sink->name;
		break;
	case STEP_SYNC_RENAME:
		piece->op = SINK_DIR_SYNC;
		piece->path = sink->name;
		break;
	case STEP_REMOVE: piece->op = SINK_DIR_REMOVE; break;
	case STEP_WORK:
	case STEP_OVER: return false;
	}
	order->count = 1;
	return true;
}

static void queue_drop(struct sink *sink)
{
	struct list *node;

	while ((node = list_first(&sink->dir_queue)) != NULL) {
		struct dir_item *item = list_entry(node, struct dir_item, link);

		sink->live -= item->piece.op == SINK_DIR_LINK;
		list_remove(node);
		free(item->piece.owned_path);
		free(item->piece.owned_target);
		free(item);
	}
}

void sink_tree_drop(struct sink *sink)
{
	struct list *node;

	queue_drop(sink);
	sink->at = NULL;
	while ((node = list_first(&sink->dirs)) != NULL)
		dir_free(sink, list_entry(node, struct sink_dir, link));
}

bool sink_tree_next(struct sink *sink, struct sink_order *order)
{
	bool some;

	if (sink->dir_busy)
		return false;
	if (sink->aborted)
		queue_drop(sink);
	/* Files refer to their directories, so these go last. */
	if (sink->aborted && sink->out == 0 && sink->live == sink->dir_count)
		sink_tree_drop(sink);
	some = take_queue(sink, order);
	if (!some && sink->out == 0 && sink->live == 0 && !sink->listing) {
		if (sink->step == STEP_WORK)
			sink->step = step_first(sink);
		some = take_step(sink, order);
	}
	order->kind = SINK_ORDER_DIRS;
	sink->dir_busy = some;
	return some;
}

static void step_done(struct sink *sink, const struct sink_dir_piece *piece)
{
	if (piece->code < 0 && sink->step != STEP_REMOVE) {
		sink_report(sink, FAULT_LOCAL, "%s: cannot be %s: %s", sink->name,
		            sink->step == STEP_SYNC || sink->step == STEP_SYNC_RENAME ? "synced"
		                                                                      : "renamed from staging",
		            piece->code == -EEXIST ? "it was made meanwhile" : strerror(-piece->code));
		sink->count.failed++;
		sink->step = STEP_REMOVE;
		return;
	}
	switch (sink->step) {
	case STEP_SYNC: sink->step = sink->aborted ? step_aborted(sink) : STEP_RENAME; break;
	case STEP_RENAME: sink->step = sink->params.sync ? STEP_SYNC_RENAME : STEP_OVER; break;
	case STEP_SYNC_RENAME:
	case STEP_REMOVE:
	case STEP_WORK:
	case STEP_OVER: sink->step = STEP_OVER; break;
	}
}

static bool fatal(int code)
{
	return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -EIO || code == -ENOMEM;
}

static void piece_report(struct sink *sink, const struct sink_dir_piece *piece)
{
	/* Named as at the source, as files are: nobody knows a hidden folder by its name. */
	const char *base = sink->staged ? sink->partial : sink->name;
	const char *below = piece->path + strlen(base);
	char full[MESSAGE_PATH_MAX + 2], path[ERROR_TEXT_MAX / 2];
	int n = snprintf(full, sizeof(full), "%s%s%s", sink->remote, base[0] == '\0' && below[0] != '\0' ? "/" : "",
	                 below);

	text_printable(path, sizeof(path), full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1);
	sink->count.failed++;
	sink_report(sink, FAULT_LOCAL, "%s: %s: %s", path,
	            piece->op == SINK_DIR_META ? "mode and times cannot be set" : "cannot be made",
	            strerror(-piece->code));
}

static void piece_done(struct sink *sink, struct sink_dir_piece *piece)
{
	if (piece->code < 0 && !sink->aborted) {
		/* Without its top nothing of a tree can be made: one line says so. */
		bool top = piece->op == SINK_DIR_MAKE && piece->dir->parent == NULL;

		piece_report(sink, piece);
		if (top || fatal(piece->code))
			sink_cancel(sink);
	}
	switch (piece->op) {
	case SINK_DIR_MAKE:
		piece->dir->made = true;
		piece->dir->failed = piece->code < 0;
		break;
	case SINK_DIR_META:
		sink->count.dirs += piece->code == 0;
		sink_dir_release(sink, piece->dir->parent);
		dir_free(sink, piece->dir);
		break;
	case SINK_DIR_LINK:
		sink->live--;
		sink->count.links += piece->code == 0;
		sink_dir_release(sink, piece->dir);
		break;
	case SINK_DIR_SYNC:
	case SINK_DIR_RENAME:
	case SINK_DIR_REMOVE: break;
	}
}

void sink_tree_done(struct sink *sink, struct sink_order *order)
{
	sink->dir_busy = false;
	for (size_t i = 0; i < order->count; i++) {
		struct sink_dir_piece *piece = &order->dirs[i];

		if (piece->op == SINK_DIR_SYNC || piece->op == SINK_DIR_RENAME || piece->op == SINK_DIR_REMOVE)
			step_done(sink, piece);
		else
			piece_done(sink, piece);
		free(piece->owned_path);
		free(piece->owned_target);
	}
}
