/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds plug-ins by kind and name in a folder or by path, and keeps each that was loaded. */
#include "registry/registry.h"
#include "registry/check.h"
#include "registry/note.h"
#include "registry/plugin.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".so"

struct registry {
	char *folder;      /* owned */
	struct log *log;   /* borrowed, may be NULL */
	struct notes *own; /* owned; NULL when there are others */
	struct notes *notes;
	struct plugin **plugins; /* owned, in the order in which they were loaded */
	size_t count;
};

int registry_create(struct registry **out, const char *folder, struct log *log, struct error *err)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	char *copy = strdup(folder);
	if (registry == NULL || copy == NULL || notes_create(&registry->own) < 0) {
		free(registry);
		free(copy);
		return error_system(err, -ENOMEM, FAULT_LOCAL, "plug-ins");
	}
	registry->folder = copy;
	registry->log = log;
	registry->notes = registry->own;
	*out = registry;
	return 0;
}

void registry_destroy(struct registry *registry)
{
	if (registry == NULL)
		return;
	/* The last one first, as they may have been made for each other. */
	while (registry->count > 0)
		plugin_close(registry->plugins[--registry->count]);
	notes_free(registry->own);
	free(registry->plugins);
	free(registry->folder);
	free(registry);
}

void registry_note(struct registry *registry, struct notes *notes)
{
	notes_free(registry->own);
	registry->own = NULL;
	registry->notes = notes;
}

static struct plugin *registry_find(const struct registry *registry, enum xfer_kind kind, const char *name)
{
	for (size_t i = 0; i < registry->count; i++) {
		struct plugin *plugin = registry->plugins[i];
		if (plugin->about.kind == kind && strcmp(plugin->about.name, name) == 0)
			return plugin;
	}
	return NULL;
}

static struct plugin *registry_find_path(const struct registry *registry, const char *path)
{
	for (size_t i = 0; i < registry->count; i++)
		if (strcmp(registry->plugins[i]->path, path) == 0)
			return registry->plugins[i];
	return NULL;
}

/* What the file has to be. */
struct registry_want {
	enum xfer_kind kind; /* 0: whatever it is */
	const char *name;    /* NULL: whatever it calls itself */
};

static int registry_fits(const struct plugin *plugin, const struct registry_want *want, struct error *err)
{
	if (want->kind != 0 && plugin->about.kind != want->kind)
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: wrong kind: it is of kind %s, wanted is %s",
		                 plugin->path, plugin_kind_name(plugin->about.kind), plugin_kind_name(want->kind));
	if (want->name != NULL && strcmp(plugin->about.name, want->name) != 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: its name '%s' does not match the file's, '%s'",
		                 plugin->path, plugin->about.name, want->name);
	return 0;
}

static int registry_keep(struct registry *registry, struct plugin *plugin, struct error *err)
{
	const struct plugin *twin = registry_find(registry, plugin->about.kind, plugin->about.name);
	if (twin != NULL)
		return error_set(err, -EEXIST, FAULT_USAGE, "%s: another %s named '%s' is loaded already, from %s",
		                 plugin->path, plugin_kind_name(plugin->about.kind), plugin->about.name, twin->path);
	struct plugin **more = realloc(registry->plugins, (registry->count + 1) * sizeof(*more));
	if (more == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", plugin->path);
	registry->plugins = more;
	registry->plugins[registry->count++] = plugin;
	return 0;
}

static int registry_load_file(struct registry *registry, const char *file, const struct registry_want *want,
                              struct plugin **out, struct error *err)
{
	char *path = realpath(file, NULL);
	if (path == NULL)
		return error_system(err, -errno, FAULT_USAGE, "%s", file);
	struct plugin *plugin = registry_find_path(registry, path);
	bool fresh = plugin == NULL;
	int rc = 0;
	if (fresh)
		rc = plugin_open(&plugin, path, registry->notes, registry->log, err);
	free(path);
	if (rc < 0)
		return rc;
	rc = registry_fits(plugin, want, err);
	if (rc == 0 && fresh)
		rc = registry_keep(registry, plugin, err);
	if (rc < 0 && fresh)
		plugin_close(plugin);
	if (rc == 0)
		*out = plugin;
	return rc;
}

int registry_load(struct registry *registry, enum xfer_kind kind, const char *name, struct plugin **out,
                  struct error *err)
{
	if (strchr(name, '/') != NULL)
		return registry_load_file(registry, name, &(struct registry_want){ kind, NULL }, out, err);
	if (!check_name(name))
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s' is no name of a plug-in, and without a '/' no path",
		                 name);

	struct plugin *known = registry_find(registry, kind, name);
	if (known != NULL) {
		*out = known;
		return 0;
	}
	char *file;
	if (asprintf(&file, "%s/%s-%s" SUFFIX, registry->folder, plugin_kind_name(kind), name) < 0)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", name);
	int rc = registry_load_file(registry, file, &(struct registry_want){ kind, name }, out, err);
	if (rc == -ENOENT)
		error_prefix(err, "the %s '%s' is not installed", plugin_kind_name(kind), name);
	free(file);
	return rc;
}

int registry_load_path(struct registry *registry, const char *path, struct plugin **out, struct error *err)
{
	return registry_load_file(registry, path, &(struct registry_want){ 0 }, out, err);
}

/* KIND-NAME.so, cut into its parts; `name` has room for the whole. */
static int registry_parse_file(const char *file, enum xfer_kind *kind, char *name)
{
	const char *dash = strchr(file, '-');
	size_t len = strlen(file) - strlen(SUFFIX);
	if (dash == NULL || dash > file + len)
		return -EINVAL;
	memcpy(name, file, (size_t)(dash - file));
	name[dash - file] = '\0';
	if (plugin_kind_parse(name, kind) < 0)
		return -EINVAL;
	size_t rest = (size_t)(file + len - dash) - 1;
	memcpy(name, dash + 1, rest);
	name[rest] = '\0';
	return check_name(name) ? 0 : -EINVAL;
}

static int registry_is_object(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return len > strlen(SUFFIX) && strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* Not alphasort(): that order depends on the locale. */
static int registry_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int registry_scan(struct registry *registry,
                  void (*seen)(void *context, const char *path, const struct plugin *plugin, const struct error *err),
                  void *context, struct error *err)
{
	struct dirent **entries;
	int count = scandir(registry->folder, &entries, registry_is_object, registry_order);
	if (count < 0)
		return error_system(err, -errno, FAULT_USAGE, "%s", registry->folder);
	int rc = 0;
	for (int i = 0; i < count; i++) {
		const char *file = entries[i]->d_name;
		char *path;
		if (rc == 0 && asprintf(&path, "%s/%s", registry->folder, file) < 0)
			rc = error_system(err, -ENOMEM, FAULT_LOCAL, "%s", registry->folder);
		if (rc == 0) {
			char name[sizeof(entries[i]->d_name)];
			struct registry_want want = { .name = name };
			struct plugin *plugin = NULL;
			struct error refusal = { 0 };
			if (registry_parse_file(file, &want.kind, name) < 0)
				error_set(&refusal, -EINVAL, FAULT_USAGE, "%s: its name is not KIND-NAME" SUFFIX, path);
			else
				(void)registry_load_file(registry, path, &want, &plugin, &refusal);
			seen(context, path, plugin, plugin != NULL ? NULL : &refusal);
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	return rc;
}
