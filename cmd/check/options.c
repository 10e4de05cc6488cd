/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of every kind: its options and its instances. */
#include "check.h"

#include "base/option.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRING_MAX = 4096, INSTANCE_ROUNDS = 2000, INSTANCE_WARMUP = 200, INSTANCES = 16 };

/* As the INI file would have it. */
static const char *number_text(const struct xfer_option *option, int64_t number, char text[TEXT_NUMBER_MAX])
{
	if (option->type == XFER_OPTION_SIZE)
		return text_format_size(text, (uint64_t)number);
	if (option->type == XFER_OPTION_DURATION)
		return text_format_duration(text, (uint64_t)number);
	snprintf(text, TEXT_NUMBER_MAX, "%" PRId64, number);
	return text;
}

static bool has_range(const struct xfer_option *option)
{
	return option->type != XFER_OPTION_BOOL && option->type != XFER_OPTION_STRING &&
	       (option->min != 0 || option->max != 0);
}

/* What lies beyond a bound never gets as far as create(). */
static enum kit_outcome beyond(struct kit *kit, const struct xfer_option *option, int64_t number)
{
	char text[TEXT_NUMBER_MAX];
	union xfer_value value;
	number_text(option, number, text);
	int rc = option_read(option, text, &value);
	return rc < 0 ? KIT_OK : kit_failed(kit, "%s = %s is taken, beyond its range", option->name, text);
}

static enum kit_outcome check_ranges(struct kit *kit)
{
	const struct xfer_plugin *about = &kit->plugin->about;
	unsigned bounds = 0;
	for (size_t i = 0; i < about->option_count; i++) {
		const struct xfer_option *option = &about->options[i];
		char text[TEXT_NUMBER_MAX];
		union xfer_value value;
		enum kit_outcome outcome = KIT_OK;
		if (option->default_text != NULL && option_read(option, option->default_text, &value) < 0)
			return kit_failed(kit, "the default of %s, '%s', is none of its values", option->name,
			                  option->default_text);
		if (!has_range(option))
			continue;
		if (option->min != INT64_MIN && (option->min > 0 || option->type == XFER_OPTION_INT)) {
			if (option_read(option, number_text(option, option->min, text), &value) < 0)
				return kit_failed(kit, "%s = %s is refused, its own minimum", option->name, text);
			outcome = beyond(kit, option, option->min - 1);
			bounds++;
		}
		if (outcome == KIT_OK && option->max != INT64_MAX) {
			if (option_read(option, number_text(option, option->max, text), &value) < 0)
				return kit_failed(kit, "%s = %s is refused, its own maximum", option->name, text);
			outcome = beyond(kit, option, option->max + 1);
			bounds++;
		}
		if (outcome != KIT_OK)
			return outcome;
	}
	return kit_ok(kit, "%zu options, %u bounds", about->option_count, bounds);
}

/* ---- create() --------------------------------------------------------------------------------------------------- */

/* An instance, or a refusal that says why; the instance is destroyed again. */
static enum kit_outcome create_with(struct kit *kit, const union xfer_value *values, const struct xfer_option *option,
                                    const char *shown)
{
	struct census before, after;
	void *instance;
	census_take(&before);
	int rc = kit_create(kit, values, &instance);
	if (rc == -EPROTO && plugin_error_said(kit->plugin) == NULL)
		return kit_failed(kit, "create() gave no instance with %s = %s", option->name, shown);
	if (rc > 0)
		return kit_returned(kit, "create()", rc, "with %s = %s", option->name, shown);
	if (rc < 0)
		return rc == -ENOMEM || plugin_error_said(kit->plugin) != NULL
		               ? KIT_OK
		               : kit_returned(kit, "create()", rc, "without a text, with %s = %s", option->name, shown);
	census_take(&after);
	if (after.threads > before.threads || after.descriptors > before.descriptors)
		return kit_failed(kit, "create() started a thread or opened a descriptor with %s = %s", option->name,
		                  shown);
	KIT_VOID(kit, about, destroy, instance);
	return KIT_OK;
}

static enum kit_outcome create_string(struct kit *kit, union xfer_value *values, size_t i)
{
	const struct xfer_option *option = &kit->plugin->about.options[i];
	size_t max = option->max > 0 && option->max < STRING_MAX ? (size_t)option->max : STRING_MAX;
	char *text = malloc(max + 1);
	if (text == NULL)
		return kit_failed(kit, "no memory for the check");
	values[i].text = "";
	enum kit_outcome outcome = create_with(kit, values, option, "''");
	if (outcome == KIT_OK) {
		memset(text, 'x', max);
		text[max] = '\0';
		values[i].text = text;
		outcome = create_with(kit, values, option, "a text of its greatest length");
	}
	for (size_t at = 0; at < max; at++)
		text[at] = (char)(1 + kit_below(kit, 255));
	if (outcome == KIT_OK)
		outcome = create_with(kit, values, option, "a text of random bytes");
	free(text);
	return outcome;
}

/* The least value that the option can have, or the greatest; a text is left alone. */
static int64_t extreme_set(const struct xfer_option *option, bool greatest, union xfer_value *value)
{
	bool bound = has_range(option), integer = option->type == XFER_OPTION_INT;
	int64_t number = greatest ? INT64_MAX : integer ? INT64_MIN : 0;
	if (bound)
		number = greatest ? option->max : option->min;
	if (option->type == XFER_OPTION_BOOL)
		value->boolean = greatest;
	else if (integer)
		value->integer = number;
	else if (option->type != XFER_OPTION_STRING)
		value->number = (uint64_t)number;
	return number;
}

static enum kit_outcome create_number(struct kit *kit, union xfer_value *values, size_t i)
{
	const struct xfer_option *option = &kit->plugin->about.options[i];
	for (int greatest = 0; greatest < 2; greatest++) {
		char text[TEXT_NUMBER_MAX];
		int64_t number = extreme_set(option, greatest != 0, &values[i]);
		enum kit_outcome outcome = create_with(kit, values, option, number_text(option, number, text));
		if (outcome != KIT_OK)
			return outcome;
	}
	return KIT_OK;
}

static enum kit_outcome check_extremes(struct kit *kit)
{
	const struct xfer_plugin *about = &kit->plugin->about;
	union xfer_value *values = calloc(about->option_count + 1, sizeof(*values));
	enum kit_outcome outcome = KIT_OK;
	if (about->option_count == 0)
		return kit_skipped(kit, "it has no options");
	if (values == NULL)
		return kit_failed(kit, "no memory for the check");
	for (size_t i = 0; i < about->option_count && outcome == KIT_OK; i++) {
		memcpy(values, kit->values, about->option_count * sizeof(*values));
		switch (about->options[i].type) {
		case XFER_OPTION_BOOL:
			values[i].boolean = !values[i].boolean;
			outcome = create_with(kit, values, &about->options[i], values[i].boolean ? "yes" : "no");
			break;
		case XFER_OPTION_STRING: outcome = create_string(kit, values, i); break;
		case XFER_OPTION_INT:
		case XFER_OPTION_SIZE:
		case XFER_OPTION_DURATION: outcome = create_number(kit, values, i); break;
		}
	}
	/* And all of them at once; a text stays what it is. */
	for (int greatest = 0; greatest < 2 && outcome == KIT_OK; greatest++) {
		memcpy(values, kit->values, about->option_count * sizeof(*values));
		for (size_t i = 0; i < about->option_count; i++)
			(void)extreme_set(&about->options[i], greatest != 0, &values[i]);
		outcome = create_with(kit, values, &about->options[0],
		                      greatest != 0 ? "its greatest value, as all others"
		                                    : "its least value, as all others");
	}
	free(values);
	return outcome != KIT_OK
	               ? outcome
	               : kit_ok(kit, "%zu options at both ends, each alone and all together", about->option_count);
}

/* ---- instances -------------------------------------------------------------------------------------------------- */

static enum kit_outcome check_instances(struct kit *kit)
{
	void *instances[INSTANCES];
	struct census before, growth;
	char text[128];
	census_take(&before);
	for (unsigned round = 0; round < INSTANCE_WARMUP + INSTANCE_ROUNDS; round++) {
		void **instance = &instances[round % INSTANCES];
		if (round == INSTANCE_WARMUP)
			census_take(&growth);
		if (round >= INSTANCES)
			KIT_VOID(kit, about, destroy, *instance);
		int rc = kit_create(kit, kit->values, instance);
		if (rc != 0)
			return kit_returned(kit, "create()", rc, "for instance %u", round + 1);
		if (round < INSTANCES &&
		    (census_descriptors() > before.descriptors || census_threads() > before.threads))
			return kit_failed(kit, "create() started a thread or opened a descriptor");
	}
	if (census_growth(&growth, INSTANCE_ROUNDS, text) != NULL)
		return kit_failed(kit, "%s of create() and destroy()", text);
	return kit_ok(kit, "%d instances, %d at a time", INSTANCE_ROUNDS + INSTANCE_WARMUP, INSTANCES);
}

const struct kit_check kit_option_checks[] = {
	{ "ranges", "defaults and bounds of the options are values, what lies beyond is none", check_ranges },
	{ "extremes", "create() takes the extremes of each option, or refuses them with a text", check_extremes },
	{ "instances", "instances come and go without a leak, several at a time, without threads and descriptors",
	  check_instances },
	{ 0 },
};
