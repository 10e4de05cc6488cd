/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of the configuration into fields and back. */
#include "config/fields.h"
#include "base/text.h"
#include "config/allow.h"
#include "config/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Each is ordered by its enum (access by its bool). */
static const char *const LEVELS[] = { "error", "warn", "info", "debug" };
static const char *const FORMATS[] = { "text", "json" };
static const char *const ACCESSES[] = { "read-only", "read-write" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { THREADS_MAX = 1024 };

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

/* The place of a word in its table. */
static int word_find(const char *const *words, size_t count, const char *text, unsigned *out, struct error *err)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], text) == 0) {
			*out = (unsigned)i;
			return 0;
		}

	struct buf known = { 0 };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buf_format(&known, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);
	error_set(err, -EINVAL, FAULT_USAGE, "it is %.*s", (int)known.len, rc == 0 ? (const char *)known.data : "");
	buf_free(&known);
	return -EINVAL;
}

int store_log_level(void *field, const union xfer_value *value, struct error *err)
{
	unsigned word;
	int rc = word_find(LEVELS, COUNT(LEVELS), value->text, &word, err);
	if (rc == 0)
		*(enum log_level *)field = (enum log_level)word;
	return rc;
}

int print_log_level(const void *field, struct buf *out)
{
	return buf_format(out, "%s", LEVELS[*(const enum log_level *)field]);
}

int store_log_format(void *field, const union xfer_value *value, struct error *err)
{
	unsigned word;
	int rc = word_find(FORMATS, COUNT(FORMATS), value->text, &word, err);
	if (rc == 0)
		*(enum log_format *)field = (enum log_format)word;
	return rc;
}

int print_log_format(const void *field, struct buf *out)
{
	return buf_format(out, "%s", FORMATS[*(const enum log_format *)field]);
}

int store_access(void *field, const union xfer_value *value, struct error *err)
{
	unsigned word;
	int rc = word_find(ACCESSES, COUNT(ACCESSES), value->text, &word, err);
	if (rc == 0)
		*(bool *)field = word == 1;
	return rc;
}

int print_access(const void *field, struct buf *out)
{
	return buf_format(out, "%s", ACCESSES[*(const bool *)field ? 1 : 0]);
}

/* ---- numbers (their range is checked by the option's row) ------------------------------------------------------------- */

int store_integer(void *field, const union xfer_value *value, struct error *err)
{
	(void)err;
	*(unsigned *)field = (unsigned)value->integer;
	return 0;
}

int print_integer(const void *field, struct buf *out)
{
	return buf_format(out, "%u", *(const unsigned *)field);
}

int store_threads(void *field, const union xfer_value *value, struct error *err)
{
	int64_t count = 0;
	if (strcmp(value->text, "auto") != 0 &&
	    (text_parse_int(value->text, &count) < 0 || count < 1 || count > THREADS_MAX))
		return error_set(err, -EINVAL, FAULT_USAGE, "it is auto or 1 to %d", THREADS_MAX);
	*(unsigned *)field = (unsigned)count;
	return 0;
}

int print_threads(const void *field, struct buf *out)
{
	unsigned count = *(const unsigned *)field;
	return count == 0 ? buf_format(out, "auto") : buf_format(out, "%u", count);
}

int store_chunk_size(void *field, const union xfer_value *value, struct error *err)
{
	if (value->number % 1024 != 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "it is a multiple of 1K");
	*(uint32_t *)field = (uint32_t)value->number;
	return 0;
}

int print_chunk_size(const void *field, struct buf *out)
{
	uint64_t number = *(const uint32_t *)field;
	return print_size(&number, out);
}

int store_number(void *field, const union xfer_value *value, struct error *err)
{
	(void)err;
	*(uint64_t *)field = value->number;
	return 0;
}

int print_size(const void *field, struct buf *out)
{
	char text[TEXT_NUMBER_MAX];
	return buf_format(out, "%s", text_format_size(text, *(const uint64_t *)field));
}

int print_duration(const void *field, struct buf *out)
{
	char text[TEXT_NUMBER_MAX];
	return buf_format(out, "%s", text_format_duration(text, *(const uint64_t *)field));
}

/* ---- texts ----------------------------------------------------------------------------------------------------------- */

static int store_text(void *field, const union xfer_value *value, struct error *err)
{
	char *copy = strdup(value->text);
	if (copy == NULL)
		return out_of_memory(err);
	free(*(char **)field);
	*(char **)field = copy;
	return 0;
}

int store_path(void *field, const union xfer_value *value, struct error *err)
{
	if (value->text[0] != '/')
		return error_set(err, -EINVAL, FAULT_USAGE, "a path from the root on ('/...') is needed");
	return store_text(field, value, err);
}

int store_digest_store(void *field, const union xfer_value *value, struct error *err)
{
	bool word = value->text[0] == '\0' || strcmp(value->text, "memory") == 0 || strcmp(value->text, "none") == 0;

	return word ? store_text(field, value, err) : store_path(field, value, err);
}

int store_allow(void *field, const union xfer_value *value, struct error *err)
{
	int rc = allow_check(value->text, err);
	return rc < 0 ? rc : store_text(field, value, err);
}

int store_allow_names(void *field, const union xfer_value *value, struct error *err)
{
	int rc = allow_check_names(value->text, err);
	return rc < 0 ? rc : store_text(field, value, err);
}

int print_text(const void *field, struct buf *out)
{
	const char *text = *(char *const *)field;
	return text == NULL ? 0 : buf_format(out, "%s", text);
}

/* ---- plug-ins by name ------------------------------------------------------------------------------------------------ */

static int check_plugin(const char *name, struct error *err)
{
	/* What holds a '/' is the path of the file. */
	if (strchr(name, '/') != NULL || name_is_plugin(name, strlen(name)))
		return 0;
	return error_set(err, -EINVAL, FAULT_USAGE,
	                 "'%s' cannot be a plug-in's name (a-z, then a-z, 0-9 and '-', at most 31)", name);
}

int store_plugin(void *field, const union xfer_value *value, struct error *err)
{
	int rc = check_plugin(value->text, err);
	return rc < 0 ? rc : store_text(field, value, err);
}

int store_integrity(void *field, const union xfer_value *value, struct error *err)
{
	struct settings *settings = field;
	struct names names = { 0 };
	int rc = names_split(&names, value->text);
	if (rc == -ENOMEM)
		return out_of_memory(err);
	if (rc == -EEXIST)
		return error_set(err, rc, FAULT_USAGE, "a name is there twice");
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "a list of names is needed, in order of preference");
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = check_plugin(names.list[i], err);
	if (rc < 0) {
		names_free(&names);
		return rc;
	}
	struct names old = { .list = settings->integrity, .count = settings->integrity_count };
	names_free(&old);
	settings->integrity = names.list;
	settings->integrity_count = names.count;
	return 0;
}

int print_integrity(const void *field, struct buf *out)
{
	const struct settings *settings = field;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < settings->integrity_count; i++)
		rc = buf_format(out, "%s%s", i == 0 ? "" : ", ", settings->integrity[i]);
	return rc;
}

/* ---- where to listen ------------------------------------------------------------------------------------------------- */

void listen_free(struct settings_listen *listen, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(listen[i].transport);
		free(listen[i].address);
	}
	free(listen);
}

/* "ADDRESS" or "NAME://ADDRESS". */
static int listen_parse(const char *item, struct settings_listen *out, struct error *err)
{
	const char *mark = strstr(item, "://");
	const char *address = mark == NULL ? item : mark + strlen("://");
	if (mark != NULL && !name_is_plugin(item, (size_t)(mark - item)))
		return error_set(err, -EINVAL, FAULT_USAGE, "'%.*s' cannot be a transport's name", (int)(mark - item),
		                 item);
	if (*address == '\0' || strpbrk(address, " \t") != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s' is neither ADDRESS:PORT nor TRANSPORT://ADDRESS",
		                 item);
	if (mark != NULL) {
		out->transport = strndup(item, (size_t)(mark - item));
		if (out->transport == NULL)
			return out_of_memory(err);
	}
	out->address = strdup(address);
	return out->address == NULL ? out_of_memory(err) : 0;
}

int store_listen(void *field, const union xfer_value *value, struct error *err)
{
	struct settings *settings = field;
	struct names items = { 0 };
	int rc = names_split(&items, value->text);
	if (rc == -ENOMEM)
		return out_of_memory(err);
	if (rc == -EEXIST)
		return error_set(err, rc, FAULT_USAGE, "an item is there twice");
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "a list of ADDRESS:PORT is needed");

	struct settings_listen *listen = calloc(items.count, sizeof(*listen));
	if (listen == NULL)
		rc = out_of_memory(err);
	for (size_t i = 0; rc == 0 && i < items.count; i++)
		rc = listen_parse(items.list[i], &listen[i], err);
	if (rc < 0) {
		if (listen != NULL)
			listen_free(listen, items.count);
	} else {
		listen_free(settings->listen, settings->listen_count);
		settings->listen = listen;
		settings->listen_count = items.count;
	}
	names_free(&items);
	return rc;
}

int print_listen(const void *field, struct buf *out)
{
	const struct settings *settings = field;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < settings->listen_count; i++) {
		const struct settings_listen *listen = &settings->listen[i];
		rc = buf_format(out, "%s%s%s%s", i == 0 ? "" : ", ", listen->transport == NULL ? "" : listen->transport,
		                listen->transport == NULL ? "" : "://", listen->address);
	}
	return rc;
}
