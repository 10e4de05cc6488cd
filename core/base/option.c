/* SPDX-License-Identifier: BSD-2-Clause */
/* A text as the typed value of an option. */
#include "base/option.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int value_read(enum xfer_option_type type, const char *text, union xfer_value *value)
{
	switch (type) {
	case XFER_OPTION_BOOL: return text_parse_bool(text, &value->boolean);
	case XFER_OPTION_INT: return text_parse_int(text, &value->integer);
	case XFER_OPTION_SIZE: return text_parse_size(text, &value->number);
	case XFER_OPTION_DURATION: return text_parse_duration(text, &value->number);
	case XFER_OPTION_STRING: value->text = text; return 0;
	}
	return -EINVAL;
}

static bool in_range(const struct xfer_option *option, const union xfer_value *value)
{
	if (option->type == XFER_OPTION_STRING)
		return option->max <= 0 || strlen(value->text) <= (uint64_t)option->max;
	if (option->type == XFER_OPTION_BOOL || (option->min == 0 && option->max == 0))
		return true;
	if (option->type == XFER_OPTION_INT)
		return value->integer >= option->min && value->integer <= option->max;
	return (option->min <= 0 || value->number >= (uint64_t)option->min) && value->number <= (uint64_t)option->max;
}

int option_read(const struct xfer_option *option, const char *text, union xfer_value *out)
{
	union xfer_value value = { .number = 0 };
	int rc = value_read(option->type, text, &value);
	if (rc < 0)
		return rc;
	if (!in_range(option, &value))
		return -ERANGE;
	*out = value;
	return 0;
}
