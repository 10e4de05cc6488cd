/* SPDX-License-Identifier: BSD-2-Clause */
/* Leftovers of transfers, sorted by transfer and removed. What gathers them is in clean_look.c. */
#include "store/clean.h"

#include "store/beneath.h"
#include "store/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARED = 3600 /* seconds */ };

int clean_open(struct clean *clean, struct error *err)
{
	struct store_root *root;
	int code = store_root_open(&root, "/", err);
	if (code < 0)
		return code;
	/* Paths are resolved before; a link that comes into being afterwards is not followed. */
	root->walks = true;
	*clean = (struct clean){ .root = root };
	return 0;
}

static void item_free(struct clean_item *item)
{
	free(item->path);
	free(item->wanted);
}

static void transfer_free(struct clean_transfer *transfer)
{
	free(transfer->journal);
	free(transfer->source);
	free(transfer->target);
}

void clean_close(struct clean *clean)
{
	for (size_t i = 0; i < clean->count; i++)
		item_free(&clean->items[i]);
	for (size_t i = 0; i < clean->transfer_count; i++)
		transfer_free(&clean->transfers[i]);
	free(clean->items);
	free(clean->transfers);
	store_root_unref(clean->root);
	*clean = (struct clean){ 0 };
}

/* ---- sorting ---- */

/* By transfer, then by path; of one that was found twice, first where it was asked for itself. */
static int compare_items(const void *a, const void *b)
{
	const struct clean_item *one = a, *other = b;
	int order = strcmp(one->id, other->id);
	if (order == 0)
		order = strcmp(one->path, other->path);
	return order != 0 ? order : (one->wanted != NULL) - (other->wanted != NULL);
}

static int compare_transfers(const void *a, const void *b)
{
	const struct clean_transfer *one = a, *other = b;
	return strcmp(one->items[0].path, other->items[0].path);
}

static void drop_repeated(struct clean *clean)
{
	size_t kept = 0;
	for (size_t i = 0; i < clean->count; i++) {
		if (kept > 0 && strcmp(clean->items[kept - 1].path, clean->items[i].path) == 0)
			item_free(&clean->items[i]);
		else
			clean->items[kept++] = clean->items[i];
	}
	clean->count = kept;
}

/* Takes from the journal at `path` what it says. 0; -ENOENT: there is none. */
static int ask_journal(struct clean *clean, struct clean_transfer *transfer, const char *path)
{
	struct journal_about about;
	bool busy = false;
	int code = journal_about(clean->root, path + 1, &about, &busy);
	if (code == -ENOMEM || code == -ENOENT || code == -EINVAL)
		return code == -ENOMEM ? code : -ENOENT;
	/* One that we may not read counts as one: its lock cannot be taken, so nothing will be removed. */
	transfer->busy = transfer->busy || busy;
	if (code == 0 && transfer->changed < about.touched.tv_sec)
		transfer->changed = about.touched.tv_sec;
	if (code == 0 && !transfer->source && about.readable) {
		transfer->source = about.source;
		transfer->target = about.target;
		about.source = NULL;
		about.target = NULL;
	}
	if (code == 0)
		journal_about_free(&about);
	if (!transfer->journal)
		transfer->journal = strdup(path);
	return transfer->journal ? 0 : -ENOMEM;
}

/* The journal of what lies deep in a tree stands above it; that of a daemon in a folder of its own. */
static int ask_above(struct clean *clean, struct clean_transfer *transfer)
{
	const char *path = transfer->items[0].path;
	int code = -ENOENT;
	for (const char *slash = strrchr(path, '/'); code == -ENOENT && slash;
	     slash = memrchr(path, '/', (size_t)(slash - path))) {
		for (int daemon = 0; code == -ENOENT && daemon <= 1; daemon++) {
			char *journal;
			if (asprintf(&journal, "%.*s/%s%s.j", (int)(slash - path), path,
			             daemon ? JOURNAL_FOLDER "/" : STORE_HIDDEN, transfer->items[0].id) < 0)
				return -ENOMEM;
			code = ask_journal(clean, transfer, journal);
			free(journal);
		}
	}
	return code == -ENOENT ? 0 : code;
}

static int fill_transfer(struct clean *clean, struct clean_transfer *transfer)
{
	int code = 0;
	for (size_t i = 0; i < transfer->count; i++) {
		const struct clean_item *item = &transfer->items[i];
		transfer->size += item->size;
		if (transfer->changed < item->changed)
			transfer->changed = item->changed;
		if (item->kind == CLEAN_JOURNAL && code == 0)
			code = ask_journal(clean, transfer, item->path);
		if (code == -ENOENT)
			code = 0;
	}
	return code == 0 && !transfer->journal ? ask_above(clean, transfer) : code;
}

/* Whether it was asked for: as itself, or because it was to become what was asked for. */
static bool is_asked(const struct clean_transfer *transfer)
{
	const char *target = transfer->target ? transfer->target : "";
	const char *slash = strrchr(target, '/');
	for (size_t i = 0; i < transfer->count; i++) {
		const char *wanted = transfer->items[i].wanted;
		if (!wanted || strcmp(wanted, slash ? slash + 1 : target) == 0)
			return true;
	}
	return false;
}

int clean_sort(struct clean *clean, struct error *err)
{
	int code = 0;
	if (clean->count == 0)
		return 0;
	qsort(clean->items, clean->count, sizeof(*clean->items), compare_items);
	drop_repeated(clean);
	clean->transfers = calloc(clean->count, sizeof(*clean->transfers));
	if (!clean->transfers)
		code = -ENOMEM;
	for (size_t i = 0; code == 0 && i < clean->count;) {
		struct clean_transfer transfer = { .items = &clean->items[i] };
		for (; i < clean->count && strcmp(clean->items[i].id, transfer.items->id) == 0; i++)
			transfer.count++;
		code = fill_transfer(clean, &transfer);
		if (code == 0 && is_asked(&transfer))
			clean->transfers[clean->transfer_count++] = transfer;
		else
			transfer_free(&transfer);
	}
	if (code < 0)
		return error_set(err, code, FAULT_LOCAL, "out of memory");
	if (clean->transfer_count > 1)
		qsort(clean->transfers, clean->transfer_count, sizeof(*clean->transfers), compare_transfers);
	return 0;
}

/* ---- removing ---- */

bool clean_may(const struct clean_transfer *transfer, int64_t now, int64_t older)
{
	int64_t age = now > transfer->changed ? now - transfer->changed : 0;
	if (older < 0)
		older = transfer->journal ? 0 : SPARED;
	return !transfer->busy && age >= older;
}

/* Every journal of a transfer, locked. */
struct held {
	struct journal *journal;
	struct clean_item *item; /* NULL: it was not asked for, and stays */
};

static int hold(struct clean *clean, const char *path, struct clean_item *item, struct held *held, size_t *count)
{
	struct journal_about about;
	int code = journal_take(&held[*count].journal, clean->root, path + 1, &about);
	if (code == -ENOENT)
		return 0;
	if (code < 0)
		return code;
	journal_about_free(&about);
	held[(*count)++].item = item;
	return 0;
}

static int hold_all(struct clean *clean, struct clean_transfer *transfer, struct held *held, size_t *count)
{
	bool among = !transfer->journal;
	int code = 0;
	for (size_t i = 0; code == 0 && i < transfer->count; i++) {
		struct clean_item *item = &transfer->items[i];
		if (item->kind != CLEAN_JOURNAL)
			continue;
		among = among || strcmp(item->path, transfer->journal) == 0;
		code = hold(clean, item->path, item, held, count);
		item->code = code;
	}
	return code == 0 && !among ? hold(clean, transfer->journal, NULL, held, count) : code;
}

static void note(int *first, struct clean_item *item, int code)
{
	item->code = code;
	item->gone = code == 0;
	if (*first == 0)
		*first = code;
}

int clean_remove(struct clean *clean, struct clean_transfer *transfer)
{
	struct held *held = calloc(transfer->count + 1, sizeof(*held));
	size_t count = 0;
	int first = 0;
	if (!held)
		return -ENOMEM;
	int code = hold_all(clean, transfer, held, &count);
	if (code == -EBUSY)
		transfer->busy = true;
	for (size_t i = 0; code == 0 && i < transfer->count; i++) {
		struct clean_item *item = &transfer->items[i];
		if (item->kind != CLEAN_JOURNAL)
			note(&first, item, store_remove(clean->root, item->path + 1));
	}
	/* What could not be removed keeps its journal, which says what it is. */
	for (size_t i = 0; i < count; i++) {
		if (code == 0 && first == 0 && held[i].item)
			note(&first, held[i].item, journal_remove(held[i].journal));
		else
			journal_close(held[i].journal);
	}
	free(held);
	return code < 0 ? code : first;
}
