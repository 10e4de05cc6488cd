/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of a sink: its listing, and its last steps, one order each: sync, rename to the final name, sync the folder. */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path beneath the destination's root of something called `name` in the tree. */
char *sink_local_path(const struct sink *sink, const char *name)
{
	const char *base = sink->staged ? sink->partial : sink->name;
	char *path;

	if (asprintf(&path, "%s%s%s", base, base[0] != '\0' && name[0] != '\0' ? "/" : "", name) < 0)
		return NULL;
	return path;
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
	if (entry->kind == ENTRY_DIR) {
		sink->count.failed++;
		sink_report(sink, FAULT_LOCAL, "%s: its path is longer than %d bytes", path, MESSAGE_PATH_MAX);
		return;
	}
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
		sink->staged = !sink->params.name_exists && !sink_verifying(sink);
		sink->sweeps = sink->staged && (sink->params.flags & (SINK_FLAG_RESUME | SINK_FLAG_LEAVE));
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

/* What is in a directory of which no path can be written is passed over with it. */
static bool passed_over(struct sink *sink, const struct entry *entry)
{
	if (sink->beyond == 0)
		return false;
	if (entry->kind == ENTRY_DIR)
		sink->beyond++;
	else if (entry->kind == ENTRY_UP)
		sink->beyond--;
	return true;
}

static int dir_take(struct sink *sink, const struct entry *entry, struct error *err)
{
	int r = sink_dir_add(sink, entry, err);

	if (r != -ENAMETOOLONG)
		return r;
	entry_report(sink, entry);
	return 0;
}

static int entry_take(struct sink *sink, const struct entry *entry, struct error *err)
{
	if (passed_over(sink, entry))
		return 0;
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
	if (entry->kind == ENTRY_FILE && sink_dir_note(sink->at, entry->name, entry->name_len) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a name");
	switch (entry->kind) {
	case ENTRY_DIR: return dir_take(sink, entry, err);
	case ENTRY_UP: return sink_dir_up(sink, entry, err);
	case ENTRY_SYMLINK: return sink_link_add(sink, entry, err);
	case ENTRY_FILE: return sink_file_add(sink, sink->at, entry, err);
	case ENTRY_SPECIAL:
	case ENTRY_UNREADABLE: entry_report(sink, entry); return 0;
	}
	return error_set(err, -EPROTO, FAULT_PEER, "an entry of unknown kind %d", (int)entry->kind);
}

/* FNV-1a, 64 bits */
static uint64_t hash_on(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void sink_list_again(struct sink *sink, struct sink_lane *lane)
{
	sink_list_drop(sink);
	sink->lister = lane;
	sink->list_sent = false;
	sink->list_over = false;
	sink->list_received = 0;
	sink->list_skip = sink->list_taken;
	sink->list_rehash = 0;
}

/* What was taken before has to come in the same way: a listing of another state of the source is no continuation. */
static int list_skip(struct sink *sink, const uint8_t *run, size_t len, size_t *at, struct error *err)
{
	struct entry entry;
	size_t from = *at;

	while (*at < len && sink->list_skip > 0) {
		int r = message_entry_read(run, len, at, &entry, err);
		size_t size = *at - from;

		if (r < 0)
			return r;
		sink->list_rehash = hash_on(sink->list_rehash, run + from, size);
		sink->list_differs = size > sink->list_skip ||
		                     (size == sink->list_skip && sink->list_rehash != sink->list_hash);
		if (sink->list_differs)
			return error_set(err, -ESTALE, FAULT_PEER, "the source has changed while it was listed");
		sink->list_skip -= size;
		from = *at;
	}
	return 0;
}

int sink_list_close(struct sink *sink, struct error *err)
{
	/* Only what is known to be all of it is a listing that is over: a sink that waits for nothing is done. */
	if (!sink->begun)
		return error_set(err, -EPROTO, FAULT_PEER, "the listing ended before its first entry");
	if (sink->at != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the listing ended within a directory");
	sink->listing = false;
	return 0;
}

void sink_list_drop(struct sink *sink)
{
	buf_free(&sink->backlog);
	sink->backlog_at = 0;
}

/* From *at on, up to where there is room for no more. An error is the session's, or with FAULT_LOCAL ours. */
static int run_take(struct sink *sink, const uint8_t *run, size_t len, size_t *at, struct error *err)
{
	struct entry entry;
	int r = 0;

	while (r == 0 && *at < len && !sink->aborted && sink->texts < TEXTS_MAX) {
		size_t from = *at;

		r = message_entry_read(run, len, at, &entry, err);
		if (r == 0)
			r = entry_take(sink, &entry, err);
		if (r == 0 && sink_spreads(sink)) {
			sink->list_taken += *at - from;
			sink->list_hash = hash_on(sink->list_hash, run + from, *at - from);
		}
	}
	return r;
}

/* What did not fit waits as it came. */
static int run_keep(struct sink *sink, const uint8_t *run, size_t len, struct error *err)
{
	if (len == 0 || sink->aborted || buf_append(&sink->backlog, run, len) == 0)
		return 0;
	return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a listing");
}

/* Gives up; but the session goes on. */
static void list_fail(struct sink *sink, const struct error *cause)
{
	sink_report(sink, cause->fault, "%s", cause->text);
	sink->count.failed++;
	sink_cancel(sink);
}

void sink_list_go_on(struct sink *sink)
{
	struct error cause = { 0 };
	int r;

	if (sink->backlog.len == 0 || sink->aborted)
		return;
	r = run_take(sink, sink->backlog.data, sink->backlog.len, &sink->backlog_at, &cause);
	if (r == 0 && sink->backlog_at < sink->backlog.len)
		return;
	sink_list_drop(sink);
	if (r == 0 && sink->list_over && !sink->aborted)
		r = sink_list_close(sink, &cause);
	/* Too late to end the session over it: nobody waits for what it says. */
	if (r < 0)
		list_fail(sink, &cause);
}

int sink_entries(struct sink_lane *lane, const uint8_t *run, size_t len, struct error *err)
{
	struct sink *sink = lane->sink;
	struct error cause = { 0 };
	size_t at = 0;
	int r = 0;

	if (!sink->listing || sink->list_over || lane != sink->lister)
		return 0; /* of a listing that is over */
	sink->list_received += len;
	sink->moved += len;
	if (sink->list_received > sink->list_granted)
		return error_set(err, -EPROTO, FAULT_PEER, "more entries than there was credit for");
	if (sink->aborted)
		return 0;
	if (sink->list_skip > 0 && list_skip(sink, run, len, &at, &cause) < 0) {
		if (err != NULL)
			*err = cause;
		return cause.code;
	}
	if (sink->backlog.len == 0)
		r = run_take(sink, run, len, &at, &cause);
	if (r == 0)
		r = run_keep(sink, run + at, len - at, &cause);
	if (r < 0 && cause.fault == FAULT_LOCAL) {
		list_fail(sink, &cause);
		return 0;
	}
	if (r < 0 && err != NULL)
		*err = cause;
	return r;
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

bool sink_tree_next(struct sink *sink, struct sink_order *order)
{
	bool some;

	if (sink->dir_busy)
		return false;
	if (sink->aborted)
		sink_dirs_forget(sink);
	/* Files refer to their directories, so these go last. */
	if (sink->aborted && sink->out == 0 && sink->live == sink->dir_count)
		sink_dirs_drop(sink);
	some = sink_dirs_take(sink, order);
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

void sink_tree_done(struct sink *sink, struct sink_order *order)
{
	sink->dir_busy = false;
	for (size_t i = 0; i < order->count; i++) {
		struct sink_dir_piece *piece = &order->dirs[i];

		if (piece->op == SINK_DIR_SYNC || piece->op == SINK_DIR_RENAME || piece->op == SINK_DIR_REMOVE)
			step_done(sink, piece);
		else
			sink_dir_done(sink, piece);
		nameset_free(&piece->names);
		free(piece->owned_path);
		free(piece->owned_target);
	}
}
