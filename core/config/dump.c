/* SPDX-License-Identifier: BSD-2-Clause */
/* The effective configuration as an INI file: what settings_load() reads back to the same. */
#include "config/keys.h"
#include "config/settings.h"

#include <string.h>

static int dump_keys(const char *section, const void *target, struct buf *out)
{
	size_t count;
	const struct key *keys = keys_table(&count);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (strcmp(keys[i].section, section) != 0)
			continue;
		size_t start = out->len;
		rc = buf_format(out, "%s = ", keys[i].option.name);
		size_t value = out->len;
		if (rc == 0)
			rc = key_print(&keys[i], target, out);
		if (rc == 0 && out->len == value)
			out->len = start; /* not set */
		else if (rc == 0)
			rc = buf_format(out, "\n");
	}
	return rc;
}

static int dump_section(const struct settings_section *section, struct buf *out)
{
	int rc = buf_format(out, "\n[%s.%s]\n", section->kind, section->name);
	for (size_t i = 0; rc == 0 && i < section->count; i++)
		rc = buf_format(out, "%s = %s\n", section->lines[i].key, section->lines[i].value);
	return rc;
}

int settings_dump(const struct settings *settings, struct buf *out)
{
	static const char *const OWN[] = { "core", "pipeline", "daemon" };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(OWN) / sizeof(OWN[0]); i++) {
		rc = buf_format(out, "%s[%s]\n", i == 0 ? "" : "\n", OWN[i]);
		if (rc == 0)
			rc = dump_keys(OWN[i], settings, out);
	}
	for (size_t i = 0; rc == 0 && i < settings->export_count; i++) {
		rc = buf_format(out, "\n[export.%s]\n", settings->exports[i].name);
		if (rc == 0)
			rc = dump_keys("export", &settings->exports[i], out);
	}
	for (size_t i = 0; rc == 0 && i < settings->section_count; i++)
		rc = dump_section(&settings->sections[i], out);
	return rc;
}
