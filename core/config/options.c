/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of the configuration as typed values. */
#include "config/options.h"
#include "base/option.h"
#include "base/text.h"
#include "config/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

struct type_words {
	const char *name;
	const char *expected; /* what a value looks like, for the error */
};

/* By enum xfer_option_type. */
static const struct type_words TYPES[] = {
	[XFER_OPTION_BOOL] = { "boolean", "yes or no" },
	[XFER_OPTION_INT] = { "integer", "a whole number" },
	[XFER_OPTION_SIZE] = { "size", "a size such as 4096, 64K, 1M or 2G" },
	[XFER_OPTION_DURATION] = { "duration", "a duration such as 500ms, 4s or 10m" },
	[XFER_OPTION_STRING] = { "string", "a text" },
};

static bool type_known(enum xfer_option_type type)
{
	return type >= XFER_OPTION_BOOL && type <= XFER_OPTION_STRING;
}

const char *option_type_name(enum xfer_option_type type)
{
	return type_known(type) ? TYPES[type].name : "unknown";
}

/* A number of the option's type, as it would be written. */
static int number_format(enum xfer_option_type type, uint64_t number, struct buf *out)
{
	char text[TEXT_NUMBER_MAX];
	if (type == XFER_OPTION_SIZE)
		return buf_format(out, "%s", text_format_size(text, number));
	if (type == XFER_OPTION_DURATION)
		return buf_format(out, "%s", text_format_duration(text, number));
	return buf_format(out, "%" PRId64, (int64_t)number);
}

int option_range(const struct xfer_option *option, struct buf *out)
{
	if (option->type == XFER_OPTION_STRING)
		return option->max > 0 ? buf_format(out, "at most %" PRId64 " bytes", option->max) : 0;
	if (option->type == XFER_OPTION_BOOL || (option->min == 0 && option->max == 0))
		return 0;

	/* INT64_MIN and INT64_MAX stand for "no bound on this side". */
	bool low = option->min != INT64_MIN;
	bool high = option->max != INT64_MAX;
	int rc = 0;
	if (low && !high)
		rc = buf_append(out, "at least ", strlen("at least "));
	if (!low && high)
		rc = buf_append(out, "at most ", strlen("at most "));
	if (rc == 0 && low)
		rc = number_format(option->type, (uint64_t)option->min, out);
	if (rc == 0 && low && high)
		rc = buf_append(out, " to ", strlen(" to "));
	if (rc == 0 && high)
		rc = number_format(option->type, (uint64_t)option->max, out);
	if (rc == 0 && (low || high) && option->type == XFER_OPTION_INT && option->unit != NULL)
		rc = buf_format(out, " %s", option->unit);
	return rc;
}

/* The text as an error may repeat it. */
static const char *shown(const struct xfer_option *option, const char *text)
{
	return option->flags & XFER_OPTION_SECRET ? "(secret)" : text;
}

static int out_of_range(const struct xfer_option *option, const char *text, struct error *err)
{
	struct buf range = { 0 };
	if (option_range(option, &range) < 0 || range.len == 0)
		error_set(err, -ERANGE, FAULT_USAGE, "%s = %s: the number is too large", option->name,
		          shown(option, text));
	else
		error_set(err, -ERANGE, FAULT_USAGE, "%s = %s: out of range, it is %.*s", option->name,
		          shown(option, text), (int)range.len, (const char *)range.data);
	buf_free(&range);
	return -ERANGE;
}

int option_parse(const struct xfer_option *option, const char *text, union xfer_value *out, struct error *err)
{
	int rc = option_read(option, text, out);
	if (rc == -ERANGE)
		return out_of_range(option, text, err);
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "%s = %s: not %s", option->name, shown(option, text),
		                 type_known(option->type) ? TYPES[option->type].expected : "of a known type");
	return 0;
}

int option_format(const struct xfer_option *option, const union xfer_value *value, struct buf *out)
{
	if (option->flags & XFER_OPTION_SECRET)
		return buf_format(out, "(secret)");
	switch (option->type) {
	case XFER_OPTION_BOOL: return buf_format(out, "%s", value->boolean ? "yes" : "no");
	case XFER_OPTION_INT: return number_format(option->type, (uint64_t)value->integer, out);
	case XFER_OPTION_SIZE:
	case XFER_OPTION_DURATION: return number_format(option->type, value->number, out);
	case XFER_OPTION_STRING: return buf_format(out, "%s", value->text == NULL ? "" : value->text);
	}
	return -EINVAL;
}

/* Where a line stands: "FILE:LINE" or "--set". */
static void prefix_place(struct error *err, const struct settings_section *section, const struct settings_line *line)
{
	error_prefix(err, "[%s.%s]", section->kind, section->name);
	if (line->line == 0)
		error_prefix(err, "%s", line->file);
	else
		error_prefix(err, "%s:%u", line->file, line->line);
}

static const struct xfer_option *options_find(const struct xfer_option *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

static const struct settings_line *line_find(const struct settings_section *section, const char *key)
{
	for (size_t i = 0; section != NULL && i < section->count; i++)
		if (strcmp(section->lines[i].key, key) == 0)
			return &section->lines[i];
	return NULL;
}

int options_fill(const struct xfer_option *options, size_t count, const struct settings_section *section,
                 union xfer_value *values, struct error *err)
{
	for (size_t i = 0; section != NULL && i < section->count; i++)
		if (options_find(options, count, section->lines[i].key) == NULL) {
			error_set(err, -EINVAL, FAULT_USAGE, "unknown key '%s'", section->lines[i].key);
			prefix_place(err, section, &section->lines[i]);
			return -EINVAL;
		}

	for (size_t i = 0; i < count; i++) {
		const struct settings_line *line = line_find(section, options[i].name);
		if (line != NULL) {
			int rc = option_parse(&options[i], line->value, &values[i], err);
			if (rc < 0) {
				prefix_place(err, section, line);
				return rc;
			}
		} else if (options[i].flags & XFER_OPTION_REQUIRED) {
			error_set(err, -EINVAL, FAULT_USAGE, "the key '%s' is required and not set", options[i].name);
			if (section != NULL)
				error_prefix(err, "[%s.%s]", section->kind, section->name);
			return -EINVAL;
		} else {
			int rc = option_parse(&options[i], options[i].default_text, &values[i], err);
			if (rc < 0) {
				error_prefix(err, "default");
				return rc;
			}
		}
	}
	return 0;
}
