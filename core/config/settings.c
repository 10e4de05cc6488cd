/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: files and --set, one on top of the other, into struct settings. */
#include "config/settings.h"
#include "config/ini.h"
#include "config/keys.h"
#include "config/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEMORY_CHUNKS_MIN = 4 }; /* chunks that `memory` holds at least: fewer stop the pipeline between two stages */

/* What is known only while reading. */
struct loader {
	struct settings *settings; /* what is being filled */
	char **places; /* "FILE:LINE" where each export was first named; owned; settings->export_count of them */
};

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
}

/* Replaces an owned text by a copy. */
static int text_replace(char **text, const char *with, struct error *err)
{
	char *copy = strdup(with);
	if (copy == NULL)
		return out_of_memory(err);
	free(*text);
	*text = copy;
	return 0;
}

/* ---- sections -------------------------------------------------------------------------------------------------------- */

const struct settings_export *settings_export(const struct settings *settings, const char *name, size_t len)
{
	for (size_t i = 0; i < settings->export_count; i++) {
		const char *own = settings->exports[i].name;
		if (strlen(own) == len && memcmp(own, name, len) == 0)
			return &settings->exports[i];
	}
	return NULL;
}

const struct settings_section *settings_section(const struct settings *settings, const char *kind, const char *name)
{
	for (size_t i = 0; i < settings->section_count; i++)
		if (strcmp(settings->sections[i].kind, kind) == 0 && strcmp(settings->sections[i].name, name) == 0)
			return &settings->sections[i];
	return NULL;
}

/* An export's name is the first part of a URL's path. */
static int export_check_name(const char *name, struct error *err)
{
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s' cannot be the name of an export", name);
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return error_set(err, -EINVAL, FAULT_USAGE, "the name of an export holds no blanks");
	return 0;
}

/* Sets what is not set yet: `section` is of the table. */
static int keys_set_defaults(const char *section, void *target, struct error *err)
{
	size_t count;
	const struct key *keys = keys_table(&count);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (strcmp(keys[i].section, section) == 0 && keys[i].option.default_text != NULL)
			rc = key_set(&keys[i], target, keys[i].option.default_text, err);
	if (rc < 0)
		error_prefix(err, "built-in default of [%s]", section);
	return rc;
}

/* "FILE:LINE", or "--set"; the caller frees. */
static int place_make(char **out, const struct ini_line *line, struct error *err)
{
	char *place;
	int len = line->line == 0 ? asprintf(&place, "%s", line->file)
	                          : asprintf(&place, "%s:%u", line->file, line->line);
	if (len < 0)
		return out_of_memory(err);
	*out = place;
	return 0;
}

static int export_add(struct loader *loader, const struct ini_line *line, const char *name,
                      struct settings_export **out, struct error *err)
{
	struct settings *settings = loader->settings;
	size_t count = settings->export_count;
	int rc = export_check_name(name, err);
	if (rc < 0)
		return rc;

	struct settings_export *exports = reallocarray(settings->exports, count + 1, sizeof(*exports));
	if (exports == NULL)
		return out_of_memory(err);
	settings->exports = exports;
	char **places = reallocarray(loader->places, count + 1, sizeof(*places));
	if (places == NULL)
		return out_of_memory(err);
	loader->places = places;

	char *place;
	rc = place_make(&place, line, err);
	if (rc < 0)
		return rc;
	exports[count] = (struct settings_export){ .name = strdup(name) };
	rc = exports[count].name == NULL ? out_of_memory(err) : keys_set_defaults("export", &exports[count], err);
	if (rc < 0) {
		free(exports[count].name);
		free(place);
		return rc;
	}
	places[count] = place;
	settings->export_count++;
	*out = &exports[count];
	return 0;
}

static int section_add(struct settings *settings, const char *kind, const char *name, struct settings_section **out,
                       struct error *err)
{
	if (!name_is_plugin(name, strlen(name)))
		return error_set(err, -EINVAL, FAULT_USAGE, "[%s.%s] is no plug-in's section: '%s' cannot be its name",
		                 kind, name, name);
	size_t count = settings->section_count;
	struct settings_section *sections = reallocarray(settings->sections, count + 1, sizeof(*sections));
	if (sections == NULL)
		return out_of_memory(err);
	settings->sections = sections;
	sections[count] = (struct settings_section){ .kind = strdup(kind), .name = strdup(name) };
	settings->section_count++;
	*out = &sections[count];
	return sections[count].kind == NULL || sections[count].name == NULL ? out_of_memory(err) : 0;
}

static int section_set(struct settings_section *section, const struct ini_line *line, struct error *err)
{
	struct settings_line *own = NULL;
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->lines[i].key, line->key) == 0)
			own = &section->lines[i];
	if (own == NULL) {
		struct settings_line *lines = reallocarray(section->lines, section->count + 1, sizeof(*lines));
		if (lines == NULL)
			return out_of_memory(err);
		section->lines = lines;
		own = &lines[section->count++];
		*own = (struct settings_line){ 0 };
	}
	int rc = text_replace(&own->key, line->key, err);
	if (rc == 0)
		rc = text_replace(&own->value, line->value, err);
	if (rc == 0)
		rc = text_replace(&own->file, line->file, err);
	own->line = line->line;
	return rc;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------- */

static int take_core(const struct ini_line *line, const char *section, void *target, struct error *err)
{
	if (line->key == NULL)
		return 0;
	const struct key *key = key_find(section, line->key);
	if (key == NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "unknown key '%s' in [%s]", line->key, line->section);
	int rc = key_set(key, target, line->value, err);
	if (rc < 0)
		error_prefix(err, "[%s]", line->section);
	return rc;
}

/* Also keeps where listen is set: its items may turn out to be wrong long after this line was read. */
static int take_own(struct settings *settings, const struct ini_line *line, const char *section, struct error *err)
{
	int rc = take_core(line, section, settings, err);
	if (rc < 0 || line->key == NULL || strcmp(section, "daemon") != 0)
		return rc;
	if (strcmp(line->key, "sessions") == 0)
		settings->sessions_set = true;
	if (strcmp(line->key, "listen") != 0)
		return 0;
	char *place;
	rc = place_make(&place, line, err);
	if (rc < 0)
		return rc;
	free(settings->listen_place);
	settings->listen_place = place;
	return 0;
}

static int take_export(struct loader *loader, const struct ini_line *line, const char *name, struct error *err)
{
	struct settings_export *export = NULL;
	for (size_t i = 0; i < loader->settings->export_count; i++)
		if (strcmp(loader->settings->exports[i].name, name) == 0)
			export = &loader->settings->exports[i];
	if (export == NULL) {
		int rc = export_add(loader, line, name, &export, err);
		if (rc < 0)
			return rc;
	}
	return take_core(line, "export", export, err);
}

static int take_plugin(struct loader *loader, const struct ini_line *line, const char *kind, const char *name,
                       struct error *err)
{
	struct settings_section *section = NULL;
	for (size_t i = 0; i < loader->settings->section_count; i++) {
		struct settings_section *at = &loader->settings->sections[i];
		if (strcmp(at->kind, kind) == 0 && strcmp(at->name, name) == 0)
			section = at;
	}
	if (section == NULL) {
		int rc = section_add(loader->settings, kind, name, &section, err);
		if (rc < 0)
			return rc;
	}
	return line->key == NULL ? 0 : section_set(section, line, err);
}

static int take_line(void *context, const struct ini_line *line, struct error *err)
{
	static const char *const OWN[] = { "core", "pipeline", "daemon" };
	static const char *const KINDS[] = { "transport", "integrity", "liveness" };
	struct loader *loader = context;

	for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++)
		if (strcmp(line->section, OWN[i]) == 0)
			return take_own(loader->settings, line, OWN[i], err);
	const char *dot = strchr(line->section, '.');
	if (dot != NULL) {
		size_t len = (size_t)(dot - line->section);
		if (len == strlen("export") && strncmp(line->section, "export", len) == 0)
			return take_export(loader, line, dot + 1, err);
		for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
			if (strlen(KINDS[i]) == len && strncmp(line->section, KINDS[i], len) == 0)
				return take_plugin(loader, line, KINDS[i], dot + 1, err);
	}
	return error_set(err, -EINVAL, FAULT_USAGE, "unknown section [%s]", line->section);
}

/* "section.key=value"; the name of a section may hold dots, a key does not. */
static int take_set(struct loader *loader, const char *set, struct error *err)
{
	const char *equals = strchr(set, '=');
	const char *dot = equals == NULL ? NULL : memrchr(set, '.', (size_t)(equals - set));
	if (dot == NULL || dot == set || dot + 1 == equals)
		return error_set(err, -EINVAL, FAULT_USAGE, "--set %s: SECTION.KEY=VALUE is needed", set);
	if (strpbrk(equals, "\r\n") != NULL || strstr(equals, " ;") != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "--set %s: a value holds neither a line's end nor ' ;'",
		                 set);

	char *section = strndup(set, (size_t)(dot - set));
	char *key = strndup(dot + 1, (size_t)(equals - dot) - 1);
	struct ini_line line = { .file = "--set", .section = section, .key = key, .value = equals + 1 };
	int rc = section == NULL || key == NULL ? out_of_memory(err) : take_line(loader, &line, err);
	if (rc < 0)
		error_prefix(err, "--set %.*s", (int)(equals - set), set);
	free(section);
	free(key);
	return rc;
}

/* ---- files ----------------------------------------------------------------------------------------------------------- */

/* *found is not touched when the file is not there. */
static int read_optional(struct loader *loader, const char *path, bool *found, struct error *err)
{
	if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	*found = true;
	return ini_read(path, take_line, loader, err);
}

/* The user's own file; *out stays NULL where no home is known. Caller frees. */
static int user_file(char **out)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int len = 0;
	if (config != NULL && config[0] == '/')
		len = asprintf(out, "%s/xfer/xfer.ini", config);
	else if (home != NULL && home[0] == '/')
		len = asprintf(out, "%s/.config/xfer/xfer.ini", home);
	return len < 0 ? -ENOMEM : 0;
}

static int read_files(struct loader *loader, const struct settings_source *source, struct error *err)
{
	if (source->none)
		return 0;
	if (source->file != NULL)
		return ini_read(source->file, take_line, loader, err);

	bool found = false;
	int rc = read_optional(loader, XFER_CONFIG_FILE, &found, err);
	if (rc == 0 && source->user) {
		char *path = NULL;
		if (user_file(&path) < 0)
			return out_of_memory(err);
		if (path != NULL)
			rc = read_optional(loader, path, &found, err);
		free(path);
	}
	if (rc == 0 && source->required && !found)
		return error_set(err, -ENOENT, FAULT_USAGE,
		                 "there is no configuration: write %s (see xfer.ini(5)) or name another with -c FILE",
		                 XFER_CONFIG_FILE);
	return rc;
}

/* What no line alone can be blamed for. */
static int check_whole(const struct loader *loader, struct error *err)
{
	const struct settings *settings = loader->settings;
	for (size_t i = 0; i < settings->export_count; i++)
		if (settings->exports[i].path == NULL)
			return error_set(err, -EINVAL, FAULT_USAGE, "%s: [export.%s] has no path", loader->places[i],
			                 settings->exports[i].name);
	if (settings->memory / MEMORY_CHUNKS_MIN < settings->chunk_size)
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "[pipeline]: memory holds fewer than %d chunks: raise memory or lower chunk-size",
		                 MEMORY_CHUNKS_MIN);
	return 0;
}

static int load(struct loader *loader, const struct settings_source *source, struct error *err)
{
	static const char *const OWN[] = { "core", "pipeline", "daemon" };
	struct settings *settings = loader->settings;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(OWN) / sizeof(OWN[0]); i++)
		rc = keys_set_defaults(OWN[i], settings, err);
	if (rc == 0 && source->plugin_dir != NULL)
		rc = text_replace(&settings->plugin_dir, source->plugin_dir, err);
	else if (rc == 0)
		rc = settings_plugin_dir(&settings->plugin_dir, err);
	if (rc == 0)
		rc = read_files(loader, source, err);
	for (size_t i = 0; rc == 0 && i < source->set_count; i++)
		rc = take_set(loader, source->sets[i], err);
	return rc == 0 ? check_whole(loader, err) : rc;
}

int settings_load(struct settings **out, const struct settings_source *source, struct error *err)
{
	struct loader loader = { .settings = calloc(1, sizeof(struct settings)) };
	if (loader.settings == NULL)
		return out_of_memory(err);
	int rc = load(&loader, source, err);
	for (size_t i = 0; i < loader.settings->export_count; i++)
		free(loader.places[i]);
	free(loader.places);
	if (rc < 0)
		settings_free(loader.settings);
	else
		*out = loader.settings;
	return rc;
}

static void section_free(struct settings_section *section)
{
	for (size_t i = 0; i < section->count; i++) {
		free(section->lines[i].key);
		free(section->lines[i].value);
		free(section->lines[i].file);
	}
	free(section->lines);
	free(section->kind);
	free(section->name);
}

void settings_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < settings->export_count; i++) {
		free(settings->exports[i].name);
		free(settings->exports[i].path);
		free(settings->exports[i].allow_from);
		free(settings->exports[i].allow);
	}
	for (size_t i = 0; i < settings->section_count; i++)
		section_free(&settings->sections[i]);
	struct names integrity = { .list = settings->integrity, .count = settings->integrity_count };
	names_free(&integrity);
	listen_free(settings->listen, settings->listen_count);
	free(settings->listen_place);
	free(settings->stdio_transport);
	free(settings->exports);
	free(settings->sections);
	free(settings->plugin_dir);
	free(settings->digest_store);
	free(settings->transport);
	free(settings->liveness);
	free(settings);
}

int settings_plugin_dir(char **out, struct error *err)
{
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[len < 0 ? 0 : len] = '\0';

	/* libtool keeps a program that it wraps one folder lower. */
	char *slash = strrchr(exe, '/');
	if (slash != NULL)
		*slash = '\0';
	if (slash != NULL && slash - exe > 6 && strcmp(slash - 6, "/.libs") == 0)
		slash[-6] = '\0';

	char *status = NULL;
	char *folder = NULL;
	if (asprintf(&status, "%s/config.status", exe) < 0)
		return out_of_memory(err);
	if (asprintf(&folder, "%s/plugins/.libs", exe) < 0) {
		free(status);
		return out_of_memory(err);
	}
	bool in_build_tree = slash != NULL && access(status, F_OK) == 0 && access(folder, F_OK) == 0;
	free(status);
	if (!in_build_tree) {
		free(folder);
		folder = strdup(XFER_PLUGIN_DIR);
		if (folder == NULL)
			return out_of_memory(err);
	}
	*out = folder;
	return 0;
}
