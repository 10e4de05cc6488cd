/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer clean PATH...: lists what abandoned transfers left, and removes it when it is told to. */
#include "json.h"
#include "verb.h"

#include "base/text.h"
#include "store/clean.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

struct clean_view {
	struct verb_context *context;
	int64_t now;                    /* seconds since 1970 */
	bool unreadable;                /* something could not be looked at */
	uint64_t transfers, size;       /* that could go */
	uint64_t removed, removed_size; /* that went */
	uint64_t busy, spared;          /* that stay */
};

enum outcome { LEFT, BUSY, SPARED, REMOVED, FAILED };

/* "45s", "12m", "3h", "8d": the largest unit that fits. */
static void age_text(char out[TEXT_NUMBER_MAX], int64_t seconds)
{
	if (seconds < 60)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRId64 "s", seconds);
	else if (seconds < 3600)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRId64 "m", seconds / 60);
	else if (seconds < 86400)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRId64 "h", seconds / 3600);
	else
		snprintf(out, TEXT_NUMBER_MAX, "%" PRId64 "d", seconds / 86400);
}

static const char *kind_name(enum clean_kind kind)
{
	switch (kind) {
	case CLEAN_JOURNAL: return "journal";
	case CLEAN_PARTIAL: return "partial";
	case CLEAN_FOLDER: break;
	}
	return "folder";
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static void print_json(const struct clean_transfer *transfer, const struct clean_item *item, enum outcome outcome)
{
	static const char *const states[] = { "abandoned", "in use", "spared", "removed", "failed" };
	struct json json;

	json_begin(&json, stdout, "leftover");
	json_name(&json, "path", item->path, strlen(item->path));
	json_text(&json, "kind", kind_name(item->kind));
	json_text(&json, "state", states[outcome]);
	json_text(&json, "transfer", item->id);
	json_number(&json, "size", item->size);
	if (item->kind == CLEAN_FOLDER)
		json_number(&json, "files", item->files);
	json_signed(&json, "changed", transfer->changed);
	if (transfer->source != NULL)
		json_name(&json, "source", transfer->source, strlen(transfer->source));
	if (transfer->target != NULL && transfer->target[0] != '\0')
		json_name(&json, "target", transfer->target, strlen(transfer->target));
	json_end(&json);
}

/* What a person wants to know of it, behind its name. */
static void print_story(const struct clean_transfer *transfer, const struct clean_item *item, enum outcome outcome)
{
	if (item->kind == CLEAN_FOLDER)
		printf("  %" PRIu64 " file%s", item->files, item->files == 1 ? "" : "s");
	if (item == transfer->items && transfer->target != NULL && transfer->target[0] != '\0') {
		printf("  for ");
		console_name(stdout, transfer->target, strlen(transfer->target));
	}
	if (item == transfer->items && transfer->source != NULL && transfer->source[0] != '\0') {
		printf("  from ");
		console_name(stdout, transfer->source, strlen(transfer->source));
	}
	if (outcome == BUSY)
		printf("  (in use)");
	else if (outcome == SPARED)
		printf("  (new, and without a journal: it may be in use)");
	else if (outcome == REMOVED)
		printf("  (removed)");
	printf("\n");
}

static void print_item(const struct clean_view *view, const struct clean_transfer *transfer,
                       const struct clean_item *item, enum outcome outcome)
{
	char size[TEXT_NUMBER_MAX], age[TEXT_NUMBER_MAX];

	if (view->context->args->json) {
		print_json(transfer, item, outcome);
		return;
	}
	age_text(age, view->now > transfer->changed ? view->now - transfer->changed : 0);
	printf("%10s %5s  %-7s  ", text_human_size(size, item->size), age, kind_name(item->kind));
	console_name(stdout, item->path, strlen(item->path));
	print_story(transfer, item, outcome);
}

static void print_summary(const struct clean_view *view, enum fault fault)
{
	const struct args *args = view->context->args;
	char size[TEXT_NUMBER_MAX];
	struct json json;

	if (args->json) {
		json_begin(&json, stdout, "summary");
		json_number(&json, "status", (uint64_t)fault);
		json_number(&json, "transfers", view->transfers);
		json_number(&json, "size", view->size);
		json_number(&json, "removed", view->removed);
		json_number(&json, "removed_size", view->removed_size);
		json_number(&json, "busy", view->busy);
		json_number(&json, "spared", view->spared);
		json_end(&json);
		return;
	}
	if (args->quiet)
		return;
	uint64_t count = args->remove ? view->removed : view->transfers;
	if (count == 0)
		printf("%s", args->remove ? "nothing removed" : "nothing to remove");
	else
		printf("%" PRIu64 " abandoned transfer%s, %s%s", count, count == 1 ? "" : "s",
		       text_human_size(size, args->remove ? view->removed_size : view->size),
		       args->remove ? ": removed" : "");
	if (view->busy > 0)
		printf("; %" PRIu64 " in use", view->busy);
	if (view->spared > 0)
		printf("; %" PRIu64 " spared, new", view->spared);
	printf("%s\n", count > 0 && !args->remove ? "; --remove removes what is not in use" : "");
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static void on_unreadable(void *data, const char *path, const char *text)
{
	struct clean_view *view = data;
	char shown[4 * TEXT_NUMBER_MAX + 4096], message[sizeof(shown) + 256];

	view->unreadable = true;
	snprintf(message, sizeof(message), "clean: \"%s\" cannot be read: %s",
	         text_printable(shown, sizeof(shown), path, strlen(path)), text);
	console_message(view->context->console, LOG_LEVEL_ERROR, FAULT_LOCAL, message);
}

static void tell_failure(const struct clean_view *view, const struct clean_transfer *transfer, int code)
{
	char shown[4096];
	struct error err;

	for (size_t i = 0; i < transfer->count; i++) {
		const struct clean_item *item = &transfer->items[i];
		int cause = item->code < 0 ? item->code : item->gone || item->kind == CLEAN_JOURNAL ? 0 : code;
		if (cause == 0)
			continue;
		error_system(&err, cause, FAULT_LOCAL, "clean: cannot remove \"%s\"",
		             text_printable(shown, sizeof(shown), item->path, strlen(item->path)));
		console_message(view->context->console, LOG_LEVEL_ERROR, FAULT_LOCAL, err.text);
	}
}

static enum outcome judge(struct clean_view *view, struct clean *clean, struct clean_transfer *transfer)
{
	const struct args *args = view->context->args;

	if (transfer->busy)
		return BUSY;
	if (!clean_may(transfer, view->now, args->older))
		return SPARED;
	if (!args->remove)
		return LEFT;
	int code = clean_remove(clean, transfer);
	if (code == 0)
		return REMOVED;
	if (code == -EBUSY && transfer->busy)
		return BUSY;
	tell_failure(view, transfer, code);
	return FAILED;
}

/* Those that are younger than was asked for are not worth a word. */
static bool is_listed(const struct clean_view *view, const struct clean_transfer *transfer)
{
	int64_t older = view->context->args->older;
	return older <= 0 || view->now - transfer->changed >= older;
}

static bool treat(struct clean_view *view, struct clean *clean, struct clean_transfer *transfer)
{
	enum outcome outcome;

	if (!is_listed(view, transfer))
		return true;
	outcome = judge(view, clean, transfer);
	view->busy += outcome == BUSY;
	view->spared += outcome == SPARED;
	if (outcome != BUSY && outcome != SPARED) {
		view->transfers++;
		view->size += transfer->size;
	}
	if (outcome == REMOVED) {
		view->removed++;
		view->removed_size += transfer->size;
	}
	console_ready(view->context->console);
	for (size_t i = 0; i < transfer->count; i++)
		print_item(view, transfer, &transfer->items[i],
		           outcome == FAILED && transfer->items[i].gone ? REMOVED : outcome);
	return outcome != FAILED;
}

static int look_at_all(struct clean *clean, const struct args *args, struct error *err)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < args->operand_count; i++)
		code = clean_look(clean, args->operands[i], err);
	return code == 0 ? clean_sort(clean, err) : code;
}

int verb_clean(struct verb_context *context, struct error *err)
{
	struct clean_view view = { .context = context, .now = (int64_t)time(NULL) };
	struct clean clean;
	bool whole = true;
	int code = clean_open(&clean, err);

	if (code == 0) {
		clean.unreadable = on_unreadable;
		clean.context = &view;
		code = look_at_all(&clean, context->args, err);
		for (size_t i = 0; code == 0 && i < clean.transfer_count; i++) {
			if (console_output_lost(context->console))
				break;
			whole = treat(&view, &clean, &clean.transfers[i]) && whole;
		}
		clean_close(&clean);
	}
	if (code < 0) {
		error_prefix(err, "clean");
		return code;
	}
	whole = whole && !view.unreadable;
	print_summary(&view, whole ? FAULT_NONE : FAULT_LOCAL);
	if (whole)
		return 0;
	/* The causes were told one by one. */
	error_clear(err);
	err->code = -EIO;
	err->fault = FAULT_LOCAL;
	return err->code;
}
