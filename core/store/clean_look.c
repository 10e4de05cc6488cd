/* SPDX-License-Identifier: BSD-2-Clause */
/* Goes through trees and gathers what looks like a leftover of a transfer. */
#include "store/clean.h"

#include "store/beneath.h"
#include "store/journal.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a walk is. */
struct look {
	struct clean *clean;
	const char *wanted; /* lent; NULL, or the name that what is found has to be of */
	size_t depth;       /* in a staging folder, the item that was added last: levels that we are inside of it */
	size_t len;         /* of path */
	char path[PATH_MAX + STORE_NAME_MAX + 2]; /* of the folder that we are in; "" is the root */
};

/* ---- names ---- */

static size_t hex_digits(const char *text)
{
	return strspn(text, "0123456789abcdef");
}

/*
 *   .xfer-ID         a partial file, or a staging folder
 *   .xfer-ID.HEX     a partial file of a tree that goes into one that is there
 *   .xfer-ID.j       a journal
 *   .xfer-puts/ID.j  a journal of a daemon
 */
static bool is_ours(const char *name, bool in_puts, enum store_kind kind, struct clean_item *out)
{
	const size_t prefix = sizeof(STORE_HIDDEN) - 1;
	bool plain = kind == STORE_FILE || kind == STORE_SYMLINK;
	if (strncmp(name, STORE_HIDDEN, prefix) == 0)
		name += prefix;
	else if (!in_puts)
		return false;
	if (hex_digits(name) != CLEAN_ID)
		return false;
	memcpy(out->id, name, CLEAN_ID);
	out->id[CLEAN_ID] = '\0';
	name += CLEAN_ID;
	if (strcmp(name, ".j") == 0) {
		out->kind = CLEAN_JOURNAL;
		return kind == STORE_FILE;
	}
	out->kind = kind == STORE_DIR ? CLEAN_FOLDER : CLEAN_PARTIAL;
	if (*name == '\0')
		return !in_puts && (plain || kind == STORE_DIR);
	return !in_puts && plain && *name == '.' && hex_digits(name + 1) > 0 && name[1 + hex_digits(name + 1)] == '\0';
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* ---- one entry ---- */

static uint64_t on_disk(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512;
}

static int add_item(struct look *look, const struct store_entry *entry, const char *name, struct clean_item item)
{
	struct clean *clean = look->clean;
	if (clean->count == clean->cap) {
		size_t cap = clean->cap > 0 ? 2 * clean->cap : 16;
		struct clean_item *items = reallocarray(clean->items, cap, sizeof(*items));
		if (!items)
			return -ENOMEM;
		clean->items = items;
		clean->cap = cap;
	}
	item.size = on_disk(&entry->st);
	item.changed = entry->st.st_ctim.tv_sec;
	if (look->wanted && !(item.wanted = strdup(look->wanted)))
		return -ENOMEM;
	if (asprintf(&item.path, "%s/%s", look->path, name) < 0) {
		free(item.wanted);
		return -ENOMEM;
	}
	clean->items[clean->count++] = item;
	return 0;
}

/* What lies in a staging folder belongs to it. */
static void add_content(struct look *look, const struct store_entry *entry)
{
	struct clean_item *folder = &look->clean->items[look->clean->count - 1];
	folder->size += on_disk(&entry->st);
	folder->files += entry->kind == STORE_FILE;
	if (folder->changed < entry->st.st_ctim.tv_sec)
		folder->changed = entry->st.st_ctim.tv_sec;
}

static int look_at(struct look *look, const struct store_entry *entry, const char *name)
{
	struct clean_item item = { 0 };
	bool in_puts = strcmp(last_name(look->path), JOURNAL_FOLDER) == 0;
	bool dir = entry->kind == STORE_DIR;
	if (look->depth > 0) {
		add_content(look, entry);
		look->depth += dir;
		return 0;
	}
	if (!is_ours(name, in_puts, entry->kind, &item))
		return 0;
	look->depth = dir;
	return add_item(look, entry, name, item);
}

static void tell_unreadable(const struct look *look, const struct store_entry *entry, const char *name)
{
	char path[sizeof(look->path) + STORE_NAME_MAX + 2];
	if (!look->clean->unreadable)
		return;
	snprintf(path, sizeof(path), "%s/%s", look->path, name);
	look->clean->unreadable(look->clean->context, path, entry->text);
}

/* ---- a tree ---- */

static void enter(struct look *look, const char *name)
{
	if (*name != '\0') /* the root has none */
		look->len += (size_t)snprintf(look->path + look->len, sizeof(look->path) - look->len, "/%s", name);
}

static void leave(struct look *look)
{
	char *slash = strrchr(look->path, '/');
	if (slash)
		*slash = '\0';
	look->len = strlen(look->path);
	look->depth -= look->depth > 0;
}

static int cannot_look(const char *path, int code, struct error *err)
{
	char shown[512];
	return error_system(err, code, FAULT_LOCAL, "cannot look through \"%s\"",
	                    text_printable(shown, sizeof(shown), path, strlen(path)));
}

/* All at and below `start`, an absolute path without links. */
static int look_below(struct clean *clean, const char *start, const char *wanted, struct error *err)
{
	struct look look = { .clean = clean, .wanted = wanted };
	const char *name = last_name(start);
	struct store_walk *walk;
	struct store_entry entry;
	int code = store_walk_open(&walk, clean->root, start + 1, UINT_MAX, NULL, NULL);
	if (code < 0)
		return cannot_look(start, code, err);
	look.len = (size_t)(name - 1 - start); /* without the slash */
	memcpy(look.path, start, look.len);
	look.path[look.len] = '\0';
	while ((code = store_walk_next(walk, &entry)) == 1) {
		if (!name)
			name = entry.name;
		if (entry.kind == STORE_UNREADABLE)
			tell_unreadable(&look, &entry, name);
		else if (entry.kind == STORE_UP)
			leave(&look);
		else
			code = look_at(&look, &entry, name);
		if (code < 0)
			break;
		if (entry.kind == STORE_DIR)
			enter(&look, name);
		name = NULL;
	}
	store_walk_close(walk);
	return code < 0 ? cannot_look(start, code, err) : 0;
}

/* What stands in the folder and may be on its way to become `wanted`. */
static int look_beside(struct clean *clean, const char *folder, const char *wanted, struct error *err)
{
	struct store_walk *walk;
	struct store_entry entry;
	int code = store_walk_open(&walk, clean->root, folder + 1, 1, NULL, NULL);
	if (code < 0)
		return cannot_look(folder, code, err);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		struct clean_item item;
		char *path;
		if (!is_ours(entry.name, false, entry.kind, &item))
			continue;
		if (asprintf(&path, "%s/%s", folder[1] ? folder : "", entry.name) < 0) {
			code = -ENOMEM;
			break;
		}
		/* One that has just become what it was to be is none. */
		int below = look_below(clean, path, wanted, NULL);
		free(path);
		if (below == -ENOMEM) {
			code = below;
			break;
		}
	}
	store_walk_close(walk);
	return code < 0 ? cannot_look(folder, code, err) : 0;
}

/* ---- a place ---- */

/* Where `place` would be if it were there: its folder resolved, and the name behind it. Owned; NULL with errno. */
static char *resolve_missing(const char *place)
{
	char *path = NULL;
	size_t len = strlen(place);
	while (len > 1 && place[len - 1] == '/')
		len--;
	const char *slash = memrchr(place, '/', len);
	size_t skip = slash ? (size_t)(slash - place) + 1 : 0;
	char *above = slash ? strndup(place, skip) : strdup(".");
	char *real = above ? realpath(above, NULL) : NULL;
	if (real && asprintf(&path, "%s/%.*s", real[1] ? real : "", (int)(len - skip), place + skip) < 0)
		path = NULL;
	free(above);
	free(real);
	return path;
}

/* The folder that holds `place`, and the name in it; both are owned. The root's name is "". */
static int resolve(const char *place, char **folder, char **name, bool *there)
{
	errno = 0;
	char *real = realpath(place, NULL);
	*there = real != NULL;
	if (!real && errno == ENOENT)
		real = resolve_missing(place);
	if (!real)
		return errno > 0 ? -errno : -ENOMEM;
	char *slash = strrchr(real, '/');
	*name = strdup(slash + 1);
	if (!*name) {
		free(real);
		return -ENOMEM;
	}
	slash[slash == real] = '\0';
	*folder = real;
	return 0;
}

int clean_look(struct clean *clean, const char *place, struct error *err)
{
	char *folder = NULL, *name = NULL, *path = NULL;
	bool there;
	int code = resolve(place, &folder, &name, &there);
	if (code < 0)
		return cannot_look(place, code, err);
	if (asprintf(&path, "%s/%s", folder[1] ? folder : "", name) < 0) {
		path = NULL;
		code = cannot_look(place, -ENOMEM, err);
	}
	if (code == 0 && there)
		code = look_below(clean, path, NULL, err);
	if (code == 0 && *name)
		code = look_beside(clean, folder, name, err);
	free(path);
	free(name);
	free(folder);
	return code;
}
