/* SPDX-License-Identifier: BSD-2-Clause */
/* The default values of an options table. */
#include "registry/defaults.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int defaults_parse(const struct xfer_option *option, union xfer_value *value)
{
	const char *text = option->default_text;
	switch (option->type) {
	case XFER_OPTION_BOOL: return text_parse_bool(text, &value->boolean);
	case XFER_OPTION_INT: return text_parse_int(text, &value->integer);
	case XFER_OPTION_SIZE: return text_parse_size(text, &value->number);
	case XFER_OPTION_DURATION: return text_parse_duration(text, &value->number);
	case XFER_OPTION_STRING: value->text = text; return 0;
	}
	return -EINVAL;
}

static int defaults_range(const struct xfer_option *option, const union xfer_value *value)
{
	bool bound = option->min != 0 || option->max != 0;
	switch (option->type) {
	case XFER_OPTION_INT:
		return bound && (value->integer < option->min || value->integer > option->max) ? -ERANGE : 0;
	case XFER_OPTION_SIZE:
	case XFER_OPTION_DURATION:
		return bound && (value->number < (uint64_t)option->min || value->number > (uint64_t)option->max)
		               ? -ERANGE
		               : 0;
	case XFER_OPTION_STRING: return option->max > 0 && strlen(value->text) > (uint64_t)option->max ? -ERANGE : 0;
	default: return 0;
	}
}

int defaults_value(const struct xfer_option *option, union xfer_value *out, struct error *err)
{
	union xfer_value value = { 0 };
	int rc = defaults_parse(option, &value);
	if (rc == -EINVAL)
		return error_set(err, rc, FAULT_USAGE, "its default '%s' is no value of its type",
		                 option->default_text);
	if (rc == 0)
		rc = defaults_range(option, &value);
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "its default '%s' is out of its range", option->default_text);
	*out = value;
	return 0;
}
