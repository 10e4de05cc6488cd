/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sample, etc/xfer.ini: it loads, every key of the core is in it, and what is commented out is the default. (The keys
 * of plug-ins are compared with the tables of the plug-ins elsewhere.)
 */
#include "unit.h"

#include "config/keys.h"
#include "ini-file.h"

static const char *sample_path(void)
{
	static char path[4096];
	const char *build = getenv("top_builddir");
	snprintf(path, sizeof(path), "%s/etc/xfer.ini", build == NULL ? "." : build);
	return path;
}

/* Finds "key = value ; comment" or "; key = value ; comment"; true when it is commented out. */
static bool split_line(char *line, char **key, char **value)
{
	bool commented = strncmp(line, "; ", 2) == 0;
	char *start = commented ? line + 2 : line;
	size_t len = strspn(start, "abcdefghijklmnopqrstuvwxyz-");
	*key = NULL;
	if (len == 0 || strncmp(start + len, " =", 2) != 0)
		return false;
	start[len] = '\0';
	*key = start;
	*value = start + len + 2;
	(*value)[strcspn(*value, "\n")] = '\0';
	char *comment = strstr(*value, " ;");
	if (comment != NULL)
		*comment = '\0';
	while (**value == ' ')
		(*value)++;
	for (char *end = *value + strlen(*value); end > *value && end[-1] == ' ';)
		*--end = '\0';
	return commented;
}

static void loads(void **state)
{
	(void)state;
	struct settings *settings = NULL;
	struct error err = { 0 };
	struct settings_source source = { .file = sample_path(), .required = true };
	if (settings_load(&settings, &source, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(settings->export_count, 1);
	settings_free(settings);
}

static void shows_every_key_and_its_default(void **state)
{
	(void)state;
	size_t count;
	const struct key *keys = keys_table(&count);
	size_t *seen = calloc(count, sizeof(*seen));
	FILE *file = fopen(sample_path(), "r");
	assert_non_null(file);
	assert_non_null(seen);

	char line[256], section[64] = "";
	while (fgets(line, sizeof(line), file) != NULL) {
		char *key_name, *value;
		if (sscanf(line, "[%63[a-z]", section) == 1)
			continue;
		bool commented = split_line(line, &key_name, &value);
		const struct key *key = key_name == NULL ? NULL : key_find(section, key_name);
		if (key == NULL)
			continue;
		seen[key - keys]++;
		if (!commented)
			continue;
		if (key->option.default_text != NULL && strcmp(key->option.default_text, value) != 0)
			fail_msg("[%s] %s: the sample says '%s', the default is '%s'", section, key_name, value,
			         key->option.default_text);
		/* What it offers can be taken as it stands. */
		struct settings *target = calloc(1, sizeof(*target));
		struct error err = { 0 };
		assert_non_null(target);
		target->exports = calloc(1, sizeof(*target->exports));
		assert_non_null(target->exports);
		target->export_count = 1;
		void *at = strcmp(section, "export") == 0 ? (void *)target->exports : (void *)target;
		if (key_set(key, at, value, &err) < 0)
			fail_msg("%s", err.text);
		settings_free(target);
	}
	fclose(file);
	for (size_t i = 0; i < count; i++)
		if (seen[i] != 1)
			fail_msg("[%s] %s is there %zu times", keys[i].section, keys[i].option.name, seen[i]);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),
		cmocka_unit_test(shows_every_key_and_its_default),
	};
	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
