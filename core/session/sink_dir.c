/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directories and links of a sink's tree.
 *
 * What is to be done with them is done in the order of the listing, one order at a time, so that a directory is there
 * before what is in it. A directory gets its mode and times when everything in it is done, since writing into it would
 * change them again.
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

/* Bytes of its path, and of that of what is to be done with it. */
static size_t dir_texts(const struct sink_dir *dir)
{
	return 2 * strlen(dir->name);
}

static size_t link_texts(const struct sink_dir_piece *piece)
{
	return strlen(piece->path) + strlen(piece->target);
}

static void dir_free(struct sink *sink, struct sink_dir *dir)
{
	list_remove(&dir->link);
	sink->dir_count--;
	sink->live--;
	nameset_free(&dir->names);
	sink->texts -= dir_texts(dir);
	free(dir);
}

/*
 * A staging folder that an earlier run began has in it what was listed then: a file that the source has removed meanwhile
 * would appear with the tree, complete or not. So of each directory that was there the names of what belongs into it are
 * kept, and when all of it is done, everything else in it goes.
 */
static int sweep_queue(struct sink *sink, struct sink_dir *dir)
{
	int r = dir_queue(sink, SINK_DIR_SWEEP, dir, sink_local_path(sink, dir->name), NULL, NULL);

	if (r == 0) {
		list_entry(sink->dir_queue.prev, struct dir_item, link)->piece.names = dir->names;
		dir->names = (struct nameset){ 0 };
	}
	return r;
}

int sink_dir_note(struct sink_dir *dir, const char *name, size_t len)
{
	return dir != NULL && dir->sweeps ? nameset_add(&dir->names, name, len) : 0;
}

/* A directory or a link was made in `dir`. */
static void sweep_note(struct sink *sink, struct sink_dir *dir, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	if (sink_dir_note(dir, name, strlen(name)) == 0)
		return;
	sink_report(sink, FAULT_LOCAL, "out of memory for a name");
	sink_cancel(sink);
}

static void sweep_needless(struct sink_dir *dir)
{
	dir->sweeps = false;
	nameset_free(&dir->names);
}

/* In a new directory nothing is old; if it is the top there is nothing old at all. */
static void sweep_look(struct sink *sink, struct sink_dir *dir, const struct sink_dir_piece *piece)
{
	if (piece->code == 0 && piece->existed)
		return;
	sweep_needless(dir);
	if (dir->parent != NULL || piece->code < 0)
		return;
	sink->sweeps = false;
	for (struct list *node = sink->dirs.next; node != &sink->dirs; node = node->next)
		sweep_needless(list_entry(node, struct sink_dir, link));
}

static void dir_finish(struct sink *sink, struct sink_dir *dir)
{
	const struct entry meta = { .mode = dir->mode, .mtime = dir->mtime, .mtime_ns = dir->mtime_ns };
	struct sink_dir *parent = dir->parent;

	if (sink_verifying(sink) || dir->failed) {
		dir_free(sink, dir);
		sink_dir_release(sink, parent);
		return;
	}
	if ((dir->sweeps && sweep_queue(sink, dir) < 0) ||
	    dir_queue(sink, SINK_DIR_META, dir, sink_local_path(sink, dir->name), NULL, &meta) < 0) {
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

/* Both the path at the source and the one here. */
static bool path_fits(const struct sink *sink, size_t len)
{
	const char *base = sink->staged ? sink->partial : sink->name;

	return strlen(sink->remote) + 1 + len <= MESSAGE_PATH_MAX && strlen(base) + 1 + len <= MESSAGE_PATH_MAX;
}

int sink_dir_add(struct sink *sink, const struct entry *entry, struct error *err)
{
	size_t parent_len = sink->at != NULL ? strlen(sink->at->name) : 0;
	size_t name_len = sink->at != NULL ? entry->name_len : 0; /* the top has the destination's name */
	struct sink_dir *dir;
	char *at;

	/* Each directory holds its path, so one that goes on and on would take more and more memory for each. */
	if (!path_fits(sink, parent_len + 1 + name_len)) {
		sink->beyond = 1;
		return -ENAMETOOLONG;
	}
	dir = calloc(1, sizeof(*dir) + parent_len + 1 + name_len + 1);
	if (dir == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a directory");
	at = dir->name;
	if (parent_len > 0) {
		memcpy(at, sink->at->name, parent_len);
		at += parent_len;
		*at++ = '/';
	}
	memcpy(at, entry->name, name_len);
	dir->made = sink_verifying(sink);
	dir->sweeps = sink->sweeps;
	if (!dir->made && dir_queue(sink, SINK_DIR_MAKE, dir, sink_local_path(sink, dir->name), NULL, entry) < 0) {
		free(dir);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a directory");
	}
	dir->parent = sink->at;
	if (sink->at != NULL)
		sink->at->pending++;
	sink->at = dir;
	list_append(&sink->dirs, &dir->link);
	sink->texts += dir_texts(dir);
	sink->dir_count++;
	sink->live++;
	return 0;
}

int sink_dir_up(struct sink *sink, const struct entry *entry, struct error *err)
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

int sink_link_add(struct sink *sink, const struct entry *entry, struct error *err)
{
	char *target, *folder, *path = NULL;

	if (sink_verifying(sink) && sink->at == NULL) { /* whoever named it looked for what it leads to */
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
	if (dir_queue(sink, sink_verifying(sink) ? SINK_DIR_COMPARE : SINK_DIR_LINK, sink->at, path, target, entry) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a symbolic link");
	sink->texts += link_texts(&list_entry(sink->dir_queue.prev, struct dir_item, link)->piece);
	if (sink->at != NULL)
		sink->at->pending++;
	sink->live++;
	return 0;
}

/* The directory without which the piece may not be done; NULL: there is none. */
static struct sink_dir *piece_within(const struct sink_dir_piece *piece)
{
	return piece->op == SINK_DIR_MAKE ? piece->dir->parent : piece->dir;
}

/* Orders follow one another: a directory that is neither made nor lost is made further up in this one. */
static void piece_take(struct sink_order *order, const struct sink_dir_piece *piece)
{
	struct sink_dir_piece *taken = &order->dirs[order->count++];
	struct sink_dir *within = piece_within(piece);

	*taken = *piece;
	if (piece->op == SINK_DIR_MAKE)
		piece->dir->making = order->count;
	if (within == NULL)
		return;
	taken->lost = within->failed;
	taken->within = within->made ? 0 : within->making;
}

bool sink_dirs_take(struct sink *sink, struct sink_order *order)
{
	struct list *node;

	while (order->count < SINK_DIR_PIECES_MAX && (node = list_first(&sink->dir_queue)) != NULL) {
		struct dir_item *item = list_entry(node, struct dir_item, link);

		list_remove(node);
		piece_take(order, &item->piece);
		free(item);
	}
	return order->count > 0;
}

void sink_dirs_forget(struct sink *sink)
{
	struct list *node;

	while ((node = list_first(&sink->dir_queue)) != NULL) {
		struct dir_item *item = list_entry(node, struct dir_item, link);

		if (item->piece.op == SINK_DIR_LINK || item->piece.op == SINK_DIR_COMPARE) {
			sink->live--;
			sink->texts -= link_texts(&item->piece);
		}
		list_remove(node);
		nameset_free(&item->piece.names);
		free(item->piece.owned_path);
		free(item->piece.owned_target);
		free(item);
	}
}

void sink_dirs_drop(struct sink *sink)
{
	struct list *node;

	sink_dirs_forget(sink);
	sink->at = NULL;
	while ((node = list_first(&sink->dirs)) != NULL)
		dir_free(sink, list_entry(node, struct sink_dir, link));
}

static bool fatal(int code)
{
	return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -EIO || code == -ENOMEM;
}

/* What a link is that is not as at the source; NULL: nobody knows. */
static const char *link_differs(int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR: return "is not there";
	case -EINVAL: return "is no symbolic link";
	case -ESTALE: return "is a symbolic link to something else";
	default: return NULL;
	}
}

static void piece_report(struct sink *sink, const struct sink_dir_piece *piece)
{
	const char *what = "cannot be made";
	/* Named as at the source, as files are: nobody knows a hidden folder by its name. */
	const char *base = sink->staged ? sink->partial : sink->name;
	const char *below = piece->path + strlen(base);
	char full[MESSAGE_PATH_MAX + 2], path[ERROR_TEXT_MAX / 2];
	int n = snprintf(full, sizeof(full), "%s%s%s", sink->remote, base[0] == '\0' && below[0] != '\0' ? "/" : "",
	                 below);

	text_printable(path, sizeof(path), full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1);
	sink->count.failed++;
	if (piece->op == SINK_DIR_META)
		what = "mode and times cannot be set";
	else if (piece->op == SINK_DIR_COMPARE)
		what = "cannot be read";
	else if (piece->op == SINK_DIR_SWEEP)
		what = "what an earlier run left in it cannot be removed";
	if (piece->op == SINK_DIR_COMPARE && link_differs(piece->code) != NULL) {
		sink->count.differ++;
		sink_report(sink, FAULT_INTEGRITY, "%s: %s", path, link_differs(piece->code));
		return;
	}
	if (piece_within(piece) != NULL && piece_within(piece)->failed)
		sink_report(sink, FAULT_LOCAL, "%s: its directory could not be made", path);
	else
		sink_report(sink, FAULT_LOCAL, "%s: %s: %s", path, what, strerror(-piece->code));
}

/* Of a directory that could not be made, which was said. */
static bool piece_moot(const struct sink_dir_piece *piece)
{
	return (piece->op == SINK_DIR_META || piece->op == SINK_DIR_SWEEP) && piece->dir->failed;
}

void sink_dir_done(struct sink *sink, struct sink_dir_piece *piece)
{
	if (piece->code < 0 && !sink->aborted && !piece_moot(piece)) {
		/* Without its top nothing of a tree can be made: one line says so. */
		bool top = piece->op == SINK_DIR_MAKE && piece->dir->parent == NULL;

		piece_report(sink, piece);
		if (top || piece->op == SINK_DIR_SWEEP || fatal(piece->code))
			sink_cancel(sink);
	}
	switch (piece->op) {
	case SINK_DIR_MAKE:
		piece->dir->made = true;
		piece->dir->failed = piece->code < 0;
		sweep_look(sink, piece->dir, piece);
		if (piece->code == 0)
			sweep_note(sink, piece->dir->parent, piece->dir->name);
		break;
	case SINK_DIR_META:
		sink->count.dirs += piece->code == 0;
		sink_dir_release(sink, piece->dir->parent);
		dir_free(sink, piece->dir);
		break;
	case SINK_DIR_LINK:
	case SINK_DIR_COMPARE:
		sink->live--;
		sink->texts -= link_texts(piece);
		sink->count.links += piece->code == 0;
		if (piece->code == 0)
			sweep_note(sink, piece->dir, piece->path);
		sink_dir_release(sink, piece->dir);
		break;
	case SINK_DIR_SWEEP:
	case SINK_DIR_SYNC:
	case SINK_DIR_RENAME:
	case SINK_DIR_REMOVE: break;
	}
}
