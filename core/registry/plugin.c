/* SPDX-License-Identifier: BSD-2-Clause */
/* One plug-in: from a file to a checked struct plugin, and its instance. */
#include "registry/plugin.h"
#include "base/option.h"
#include "registry/check.h"
#include "registry/host.h"
#include "registry/known_answer.h"
#include "registry/note.h"
#include "registry/object.h"
#include "registry/trust.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PLUGIN_MAJORS = 32, /* majors looked for in order to say which one it is */
	LANES_MAX = 16      /* side by side: more than any plug-in is offered */
};

/* Why an object without our symbol is none of ours. */
static int plugin_no_symbol(void *object, const char *path, struct error *err)
{
	for (unsigned major = 0; major < PLUGIN_MAJORS; major++) {
		char symbol[32];
		snprintf(symbol, sizeof(symbol), "xfer_plugin_v%u", major);
		if (dlsym(object, symbol) != NULL)
			return error_set(err, -ENOEXEC, FAULT_USAGE,
			                 "%s: it is made for ABI %u (it exports %s), this program has ABI %u.%u", path,
			                 major, symbol, XFER_ABI_MAJOR, XFER_ABI_MINOR);
	}
	return error_set(err, -ENOEXEC, FAULT_USAGE, "%s: it is no plug-in: it does not export %s", path,
	                 XFER_PLUGIN_SYMBOL);
}

/* Maps the file for good: what a plug-in registered somewhere (a thread's exit handler) may still be called. */
static int plugin_map(const struct plugin *plugin, const char *path, const struct xfer_plugin **theirs,
                      struct error *err)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_DLOPEN);
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	note_leave(slot);
	if (object == NULL)
		return error_set(err, -ENOEXEC, FAULT_USAGE, "%s: cannot be loaded: %s", path, dlerror());
	void *symbol = dlsym(object, XFER_PLUGIN_SYMBOL);
	if (symbol == NULL)
		return plugin_no_symbol(object, path, err);
	const struct xfer_plugin *(*entry)(void);
	memcpy(&entry, &symbol, sizeof(entry));
	slot = note_enter(plugin->notes, plugin->row, NOTE_ENTRY);
	*theirs = entry();
	note_leave(slot);
	if (*theirs == NULL)
		return error_set(err, -ENOEXEC, FAULT_USAGE, "%s: %s() returned NULL", path, XFER_PLUGIN_SYMBOL);
	return 0;
}

static int plugin_lock_create(struct plugin *plugin)
{
	if (plugin->about.thread_model != XFER_THREADS_SERIALIZE)
		return 0;
	pthread_mutex_t *lock = malloc(sizeof(*lock));
	if (lock == NULL)
		return -ENOMEM;
	int rc = -pthread_mutex_init(lock, NULL);
	if (rc < 0)
		free(lock);
	else
		plugin->lock = lock;
	return rc;
}

/* *out is an instance: a plug-in that says so without giving one has made a mistake. */
static int plugin_create(const struct plugin *plugin, const union xfer_value *values, void **out, struct error *err)
{
	struct xfer_params params = {
		.struct_size = sizeof(params),
		.count = plugin->about.option_count,
		.values = values,
	};
	void *instance = NULL;
	plugin_error_clear();
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_CREATE);
	int rc = plugin->about.create(&plugin->host, &params, &instance);
	note_leave(slot);
	if (rc != 0)
		return plugin_error(plugin, rc < 0 ? rc : -EPROTO, FAULT_USAGE, err);
	if (instance == NULL)
		return error_set(err, -EPROTO, FAULT_USAGE, "%s: create() gave no instance", plugin->section);
	*out = instance;
	return 0;
}

static void plugin_destroy(const struct plugin *plugin, void *instance)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_DESTROY);
	plugin->about.destroy(instance);
	note_leave(slot);
}

/* Known answers at load: with the defaults, unless an option has none. Then they wait for plugin_start(). */
static int plugin_prove(struct plugin *plugin, struct error *err)
{
	size_t count = plugin->about.option_count;
	if (plugin->about.kind != XFER_KIND_INTEGRITY)
		return 0;
	union xfer_value *values = calloc(count + 1, sizeof(*values));
	if (values == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", plugin->section);
	int rc = 0;
	bool whole = true;
	for (size_t i = 0; i < count; i++) {
		const struct xfer_option *option = &plugin->options[i];
		/* Its default was read once already, when the table was checked. */
		if (option->default_text == NULL || option_read(option, option->default_text, &values[i]) < 0)
			whole = false;
	}
	void *instance = NULL;
	if (whole)
		rc = plugin_create(plugin, values, &instance, err);
	if (instance != NULL) {
		rc = known_answer_check(plugin, instance, err);
		plugin_destroy(plugin, instance);
	}
	if (rc < 0)
		error_prefix(err, "%s", plugin->path);
	free(values);
	return rc;
}

int plugin_open(struct plugin **out, const char *path, struct notes *notes, struct log *log, struct error *err)
{
	int rc = trust_file(path, err);
	if (rc == 0)
		rc = object_check(path, err);
	if (rc < 0)
		return rc;
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	if (plugin == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", path);
	plugin->log = log;
	plugin->notes = notes;
	/* It has no name yet. */
	const char *file = strrchr(path, '/');
	plugin->row = notes_add(notes, file != NULL ? file + 1 : path);
	host_init(plugin);

	const struct xfer_plugin *theirs;
	if ((rc = plugin_map(plugin, path, &theirs, err)) < 0)
		goto out;
	if ((rc = check_plugin(plugin, theirs, err)) < 0) {
		error_prefix(err, "%s", path);
		goto out;
	}
	plugin->path = strdup(path);
	if (plugin->path == NULL ||
	    asprintf(&plugin->section, "%s.%s", plugin_kind_name(plugin->about.kind), plugin->about.name) < 0) {
		plugin->section = NULL; /* asprintf() leaves it undefined */
		rc = error_system(err, -ENOMEM, FAULT_LOCAL, "%s", path);
		goto out;
	}
	char name[NOTE_NAME_MAX];
	snprintf(name, sizeof(name), "%s-%s", plugin_kind_name(plugin->about.kind), plugin->about.name);
	notes_rename(notes, plugin->row, name);
	if ((rc = plugin_lock_create(plugin)) < 0) {
		error_system(err, rc, FAULT_LOCAL, "%s", path);
		goto out;
	}
	rc = plugin_prove(plugin, err);
out:
	if (rc == -ENOENT) { /* the plug-in's own; callers take ours for "not installed" */
		rc = -ENXIO;
		if (err != NULL)
			err->code = rc;
	}
	if (rc < 0)
		plugin_close(plugin);
	else
		*out = plugin;
	return rc;
}

void plugin_close(struct plugin *plugin)
{
	if (plugin == NULL)
		return;
	if (plugin->instance != NULL)
		plugin_destroy(plugin, plugin->instance);
	if (plugin->lock != NULL)
		pthread_mutex_destroy(plugin->lock);
	free(plugin->lock);
	free(plugin->options);
	free(plugin->section);
	free(plugin->path);
	free(plugin);
}

/* Buffers that an integrity takes side by side. */
static unsigned plugin_lanes(const struct plugin *plugin, void *instance)
{
	if (plugin->about.kind != XFER_KIND_INTEGRITY || plugin->integrity.lanes == NULL)
		return 1;
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LANES);
	uint32_t lanes = plugin->integrity.lanes(instance);
	note_leave(slot);
	return lanes < 1 ? 1 : lanes > LANES_MAX ? LANES_MAX : lanes;
}

int plugin_start(struct plugin *plugin, const union xfer_value *values, struct error *err)
{
	if (plugin->instance != NULL)
		return error_set(err, -EALREADY, FAULT_USAGE, "%s: started already", plugin->section);
	void *instance;
	int rc = plugin_create(plugin, values, &instance, err);
	if (rc < 0)
		return rc;
	/* Once more with the configured values: they may choose another implementation. */
	if (plugin->about.kind == XFER_KIND_INTEGRITY && (rc = known_answer_check(plugin, instance, err)) < 0) {
		error_prefix(err, "%s", plugin->path);
		plugin_destroy(plugin, instance);
		return rc;
	}
	plugin->lanes = plugin_lanes(plugin, instance);
	plugin->instance = instance;
	return 0;
}
