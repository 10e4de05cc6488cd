/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfer ls URL: what a folder holds. A listing is sorted as long as it is small enough to be held; a longer one is
 * printed as it comes, so that the memory does not grow with the number of files.
 */
#include "json.h"
#include "verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SORTED_ENTRIES = 10000,
	SORTED_BYTES = 8 * 1024 * 1024, /* of names and link targets */
	SIZE_WIDTH_MIN = 5,
	OUTPUT_BUFFER = 65536
};

/* An entry that is kept for sorting. */
struct listed {
	struct entry entry;
	size_t path_len;
	size_t text_at; /* in bytes[] */
	char bytes[];   /* path, and behind its NUL the entry's text */
};

struct ls_view {
	struct verb_context *context;
	struct listed **kept; /* owned array of SORTED_ENTRIES owned entries */
	size_t count;
	size_t bytes;
	bool streaming; /* too many: nothing is kept any longer */
	int size_width; /* of the column of sizes */
	uint64_t unreadable;
	struct client *client; /* owned by run() */
};

static const char *kind_name(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_FILE: return "file";
	case ENTRY_DIR: return "folder";
	case ENTRY_SYMLINK: return "link";
	case ENTRY_SPECIAL: return "special";
	case ENTRY_UNREADABLE: return "unreadable";
	case ENTRY_UP: break;
	}
	return "other";
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static void print_mode(const struct entry *entry)
{
	static const char letters[] = "rwxrwxrwx";
	char text[11];
	char kind = '?';

	switch (entry->kind) {
	case ENTRY_FILE: kind = '-'; break;
	case ENTRY_DIR: kind = 'd'; break;
	case ENTRY_SYMLINK: kind = 'l'; break;
	case ENTRY_SPECIAL: kind = 's'; break;
	case ENTRY_UNREADABLE:
	case ENTRY_UP: break;
	}
	text[0] = kind;
	for (int bit = 0; bit < 9; bit++)
		text[bit + 1] = (entry->mode >> (8 - bit) & 1) != 0 ? letters[bit] : '-';
	text[10] = '\0';
	fputs(text, stdout);
}

static void print_details(const struct ls_view *view, const struct entry *entry)
{
	time_t seconds = (time_t)entry->mtime;
	struct tm local;
	char when[64];

	if (localtime_r(&seconds, &local) == NULL || strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &local) == 0)
		snprintf(when, sizeof(when), "@%" PRId64, entry->mtime);
	print_mode(entry);
	printf(" %*" PRIu64 " %16s ", view->size_width, entry->size, when);
}

static void print_json(const char *path, size_t path_len, const struct entry *entry)
{
	struct json json;
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", entry->mode);
	json_begin(&json, stdout, "entry");
	json_name(&json, "path", path, path_len);
	json_text(&json, "kind", kind_name(entry->kind));
	json_number(&json, "size", entry->size);
	json_text(&json, "mode", mode);
	json_signed(&json, "mtime", entry->mtime);
	json_number(&json, "mtime_ns", entry->mtime_ns);
	if (entry->kind == ENTRY_FILE)
		json_bool(&json, "sparse", (entry->flags & ENTRY_SPARSE) != 0);
	if (entry->kind == ENTRY_SYMLINK)
		json_name(&json, "target", entry->text, entry->text_len);
	else if (entry->text_len > 0)
		json_name(&json, "text", entry->text, entry->text_len);
	json_end(&json);
}

static void print_entry(struct ls_view *view, const char *path, size_t path_len, const struct entry *entry)
{
	const struct args *args = view->context->args;

	if (args->json) {
		print_json(path, path_len, entry);
		return;
	}
	if (args->details)
		print_details(view, entry);
	console_name(stdout, path, path_len);
	if (args->details && entry->kind == ENTRY_SYMLINK) {
		fputs(" -> ", stdout);
		console_name(stdout, entry->text, entry->text_len);
	} else if ((args->details || entry->kind == ENTRY_UNREADABLE) && entry->text_len > 0) {
		fputs(" (", stdout);
		console_name(stdout, entry->text, entry->text_len);
		fputc(')', stdout);
	}
	fputc('\n', stdout);
}

/* ---- sorting ---------------------------------------------------------------------------------------------------- */

/* Byte order, in which what is in a folder stands right behind it: '/' comes before every other byte. */
static int compare(const void *left, const void *right)
{
	const struct listed *a = *(struct listed *const *)left, *b = *(struct listed *const *)right;
	const unsigned char *x = (const unsigned char *)a->bytes, *y = (const unsigned char *)b->bytes;

	while (*x != '\0' && *x == *y) {
		x++;
		y++;
	}
	int one = *x == '/' ? 1 : *x == '\0' ? 0 : *x + 1;
	int other = *y == '/' ? 1 : *y == '\0' ? 0 : *y + 1;
	return one - other;
}

static int decimal_width(uint64_t number)
{
	int width = 1;
	for (; number >= 10; number /= 10)
		width++;
	return width;
}

/* Prints and frees what was kept. */
static void flush(struct ls_view *view, bool sort)
{
	if (sort && view->count > 1)
		qsort(view->kept, view->count, sizeof(struct listed *), compare);
	for (size_t i = 0; i < view->count; i++) {
		int width = decimal_width(view->kept[i]->entry.size);
		if (width > view->size_width)
			view->size_width = width;
	}
	for (size_t i = 0; i < view->count; i++) {
		struct listed *listed = view->kept[i];
		listed->entry.text = listed->bytes + listed->text_at;
		print_entry(view, listed->bytes, listed->path_len, &listed->entry);
		free(listed);
	}
	view->count = 0;
	view->bytes = 0;
}

/* false: there is no room for it. */
static bool keep(struct ls_view *view, const char *path, size_t path_len, const struct entry *entry)
{
	size_t size = path_len + 1 + entry->text_len;

	if (view->count == SORTED_ENTRIES || view->bytes + size > SORTED_BYTES)
		return false;
	struct listed *listed = malloc(sizeof(*listed) + size);
	if (listed == NULL)
		return false;
	listed->entry = *entry;
	listed->entry.name = NULL;
	listed->path_len = path_len;
	listed->text_at = path_len + 1;
	memcpy(listed->bytes, path, path_len);
	listed->bytes[path_len] = '\0';
	if (entry->text_len > 0)
		memcpy(listed->bytes + listed->text_at, entry->text, entry->text_len);
	view->kept[view->count++] = listed;
	view->bytes += size;
	return true;
}

static void on_entry(void *data, const char *path, const struct entry *entry)
{
	struct ls_view *view = data;
	size_t path_len = strlen(path);

	if (entry->kind == ENTRY_UP)
		return;
	/* The thing itself: a folder is known by what is in it, anything else is the whole listing. */
	if (path_len == 0) {
		if (entry->kind == ENTRY_DIR)
			return;
		path = entry->name;
		path_len = entry->name_len;
	}
	if (entry->kind == ENTRY_UNREADABLE)
		view->unreadable++;
	if (!view->streaming && !keep(view, path, path_len, entry)) {
		flush(view, false);
		view->streaming = true;
	}
	if (view->streaming)
		print_entry(view, path, path_len, entry);
	if (console_output_lost(view->context->console))
		client_interrupt(view->client);
}

static void on_message(void *data, enum log_level level, enum fault fault, const char *text)
{
	struct ls_view *view = data;
	console_message(view->context->console, level, fault, text);
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static int run(struct ls_view *view, const struct url *url, struct error *err)
{
	struct client_watch watch = { .context = view, .message = on_message, .entry = on_entry };
	int code = verb_client_create(view->context, &watch, &view->client, err);

	if (code < 0)
		return code;
	code = client_list(view->client, url, view->context->args->recursive, err);
	client_destroy(view->client);
	view->client = NULL;
	/* What came before a failure is shown as well. */
	flush(view, true);
	if (code == 0 && view->unreadable > 0)
		code = error_set(err, -EIO, FAULT_MIXED,
		                 "ls: %" PRIu64 " of the entries could not be read on the other side",
		                 view->unreadable);
	return code;
}

int verb_ls(struct verb_context *context, struct error *err)
{
	struct ls_view view = { .context = context, .size_width = SIZE_WIDTH_MIN };
	struct url url;
	int code = url_parse(&url, context->args->operands[0], err);

	if (code < 0) {
		error_prefix(err, "ls");
		return code;
	}
	if (!isatty(STDOUT_FILENO))
		setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
	view.kept = calloc(SORTED_ENTRIES, sizeof(struct listed *));
	if (view.kept == NULL)
		code = error_set(err, -ENOMEM, FAULT_LOCAL, "ls: out of memory");
	else
		code = run(&view, &url, err);
	free(view.kept);
	url_free(&url);
	return code;
}
