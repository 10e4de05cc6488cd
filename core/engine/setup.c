/* SPDX-License-Identifier: BSD-2-Clause */
/* From settings to running plug-ins. */
#include "engine/setup.h"
#include "config/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An integrity list from the command line, cut at the commas: as in the file, blanks around a name do not count. */
struct setup_names {
	char *text;         /* owned, cut into names */
	const char **names; /* owned array, into text */
	size_t count;
};

static int setup_names_cut(struct setup_names *out, const char *list, struct error *err)
{
	size_t most = 1;
	for (const char *at = list; *at != '\0'; at++)
		most += *at == ',';
	struct setup_names cut = { .text = strdup(list), .names = calloc(most, sizeof(*cut.names)) };
	int rc = 0;
	if (cut.text == NULL || cut.names == NULL)
		rc = error_system(err, -ENOMEM, FAULT_LOCAL, "plug-ins");
	char *rest = cut.text;
	for (char *name; rc == 0 && (name = strsep(&rest, ",")) != NULL;) {
		name += strspn(name, " \t");
		size_t len = strlen(name);
		while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
			name[--len] = '\0';
		if (*name == '\0')
			rc = error_set(err, -EINVAL, FAULT_USAGE, "integrity '%s': an empty name in the list", list);
		cut.names[cut.count++] = name;
	}
	if (rc < 0) {
		free(cut.text);
		free(cut.names);
	} else {
		*out = cut;
	}
	return rc;
}

/* The plug-in's values out of its section and its defaults. The array is the caller's. */
static int setup_values(const struct settings *settings, const struct plugin *plugin, union xfer_value **out,
                        struct error *err)
{
	size_t count = plugin->about.option_count;
	union xfer_value *values = calloc(count + 1, sizeof(*values));
	if (values == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", plugin->section);
	int rc = options_fill(plugin->options, count,
	                      settings_section(settings, plugin_kind_name(plugin->about.kind), plugin->about.name),
	                      values, err);
	if (rc < 0)
		free(values);
	else
		*out = values;
	return rc;
}

int setup_plugin(struct setup *setup, enum xfer_kind kind, const char *name, struct plugin **out, struct error *err)
{
	struct plugin *plugin;
	int rc = registry_load(setup->registry, kind, name, &plugin, err);
	if (rc < 0)
		return rc;
	if (plugin->instance == NULL) {
		union xfer_value **more = realloc(setup->values, (setup->values_count + 1) * sizeof(*more));
		if (more == NULL)
			return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", plugin->section);
		setup->values = more;
		union xfer_value *values;
		rc = setup_values(setup->settings, plugin, &values, err);
		if (rc < 0)
			return rc;
		rc = plugin_start(plugin, values, err);
		if (rc < 0) {
			free(values);
			return rc;
		}
		setup->values[setup->values_count++] = values;
	}
	*out = plugin;
	return 0;
}

struct plugin *setup_integrity(const struct setup *setup, const char *name)
{
	for (size_t i = 0; i < setup->integrity_count; i++)
		if (strcmp(setup->integrity[i]->about.name, name) == 0)
			return setup->integrity[i];
	return NULL;
}

static int setup_integrities(struct setup *setup, const char *const *names, size_t count, struct error *err)
{
	setup->integrity = calloc(count + 1, sizeof(struct plugin *));
	if (setup->integrity == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "plug-ins");
	if (count == 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "no integrity is configured");
	for (size_t i = 0; i < count; i++) {
		struct plugin *plugin;
		int rc = setup_plugin(setup, XFER_KIND_INTEGRITY, names[i], &plugin, err);
		if (rc < 0)
			return rc;
		if (setup_integrity(setup, plugin->about.name) != NULL)
			return error_set(err, -EINVAL, FAULT_USAGE, "the integrity '%s' is named twice",
			                 plugin->about.name);
		setup->integrity[setup->integrity_count++] = plugin;
	}
	return 0;
}

/* What is in the sections of plug-ins that nobody chose is checked all the same; being absent is no mistake then. */
static int setup_section_check(struct setup *setup, const struct settings_section *section, struct error *err)
{
	enum xfer_kind kind;
	if (plugin_kind_parse(section->kind, &kind) < 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "[%s.%s]: unknown section", section->kind, section->name);
	struct plugin *plugin;
	int rc = registry_load(setup->registry, kind, section->name, &plugin, err);
	if (rc == -ENOENT) {
		error_clear(err);
		return 0;
	}
	if (rc < 0) {
		error_prefix(err, "[%s.%s]", section->kind, section->name);
		return rc;
	}
	if (plugin->instance != NULL)
		return 0;
	union xfer_value *values;
	rc = setup_values(setup->settings, plugin, &values, err);
	if (rc == 0)
		free(values);
	return rc;
}

static int setup_fill(struct setup *setup, const struct setup_choice *choice, struct error *err)
{
	const struct settings *settings = setup->settings;
	int rc = setup_plugin(setup, XFER_KIND_TRANSPORT,
	                      choice->transport != NULL ? choice->transport : settings->transport, &setup->transport,
	                      err);
	if (rc < 0)
		return rc;

	if (choice->integrity != NULL) {
		struct setup_names names;
		rc = setup_names_cut(&names, choice->integrity, err);
		if (rc == 0) {
			rc = setup_integrities(setup, names.names, names.count, err);
			free(names.names);
			free(names.text);
		}
	} else {
		rc = setup_integrities(setup, (const char *const *)settings->integrity, settings->integrity_count, err);
	}
	if (rc < 0)
		return rc;

	rc = setup_plugin(setup, XFER_KIND_LIVENESS, choice->liveness != NULL ? choice->liveness : settings->liveness,
	                  &setup->liveness, err);
	for (size_t i = 0; i < settings->section_count && rc == 0; i++)
		rc = setup_section_check(setup, &settings->sections[i], err);
	return rc;
}

int setup_create(struct setup **out, const struct settings *settings, const struct setup_choice *choice,
                 struct log *log, struct error *err)
{
	static const struct setup_choice as_configured;
	struct setup *setup = calloc(1, sizeof(*setup));
	if (setup == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "plug-ins");
	setup->settings = settings;
	int rc = registry_create(&setup->registry, settings->plugin_dir, log, err);
	if (rc == 0 && choice != NULL && choice->notes != NULL)
		registry_note(setup->registry, choice->notes);
	if (rc == 0)
		rc = setup_fill(setup, choice != NULL ? choice : &as_configured, err);
	if (rc < 0)
		setup_destroy(setup);
	else
		*out = setup;
	return rc;
}

void setup_destroy(struct setup *setup)
{
	if (setup == NULL)
		return;
	registry_destroy(setup->registry);
	for (size_t i = 0; i < setup->values_count; i++)
		free(setup->values[i]);
	free(setup->values);
	free(setup->integrity);
	free(setup);
}
