/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer plugins [NAME|PATH]: what is installed, where, and what can be set, all from the plug-ins' own tables. */
#include "json.h"
#include "plugin_text.h"
#include "verb.h"

#include "base/buf.h"
#include "config/options.h"
#include "registry/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct plugins_view {
	struct verb_context *context;
	const char *wanted; /* a name, or NULL for all */
	size_t shown;
	struct error refused; /* of the one that is wanted and cannot be loaded */
};

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* line: what sets it, or NULL. */
static void json_option(struct json *json, const struct xfer_option *option, const struct settings_line *line)
{
	bool secret = (option->flags & XFER_OPTION_SECRET) != 0;
	struct buf range = { 0 };

	json_open(json, NULL, '{');
	json_text(json, "name", option->name);
	json_text(json, "type", option_type_name(option->type));
	json_text(json, "default", secret ? NULL : option->default_text);
	if (plugin_range_text(option, &range)[0] != '\0')
		json_text(json, "range", plugin_range_text(option, &range));
	if (option->type != XFER_OPTION_BOOL && (option->min != 0 || option->max != 0)) {
		json_signed(json, "min", option->min);
		json_signed(json, "max", option->max);
	}
	json_text(json, "unit", option->unit);
	json_text(json, "help", option->help);
	json_bool(json, "required", (option->flags & XFER_OPTION_REQUIRED) != 0);
	json_bool(json, "secret", secret);
	if (line != NULL) {
		json_text(json, "value", secret ? NULL : line->value);
		json_text(json, "value_file", line->file);
		json_number(json, "value_line", line->line);
	}
	json_close(json, '}');
	buf_free(&range);
}

static void json_plugin(const struct plugin *plugin, const struct settings *settings)
{
	const struct xfer_plugin *about = &plugin->about;
	struct json json;
	char abi[32];

	snprintf(abi, sizeof(abi), "%" PRIu32 ".%" PRIu32, about->abi_major, about->abi_minor);
	json_begin(&json, stdout, "plugin");
	json_text(&json, "kind", plugin_kind_name(about->kind));
	json_text(&json, "name", about->name);
	json_text(&json, "version", about->version);
	json_text(&json, "summary", about->summary);
	json_name(&json, "path", plugin->path, strlen(plugin->path));
	json_text(&json, "abi", abi);
	json_text(&json, "threads", plugin_threads_name(about->thread_model));
	if (about->kind == XFER_KIND_INTEGRITY) {
		json_number(&json, "digest_size", plugin->integrity.digest_size);
		json_number(&json, "strength", plugin->integrity.strength);
	}
	if (about->kind == XFER_KIND_LIVENESS)
		json_number(&json, "datagram_size", plugin->liveness.datagram_size);
	json_open(&json, "capabilities", '[');
	for (size_t i = 0; i < PLUGIN_CAPABILITIES; i++) {
		if (plugin_capability(plugin, i) != NULL)
			json_text(&json, NULL, plugin_capability(plugin, i));
	}
	json_close(&json, ']');
	json_text(&json, "section", plugin->section);
	json_open(&json, "options", '[');
	for (size_t i = 0; i < about->option_count; i++)
		json_option(&json, &plugin->options[i], plugin_line(settings, plugin, plugin->options[i].name));
	json_close(&json, ']');
	json_end(&json);
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

/* Is it the one that is asked for: "sha256", "integrity-sha256", "integrity.sha256", "integrity-sha256.so"? */
static bool is_wanted(const struct plugins_view *view, const char *path, const struct plugin *plugin)
{
	const char *base = strrchr(path, '/');
	const char *wanted = view->wanted;

	if (wanted == NULL)
		return true;
	base = base != NULL ? base + 1 : path;
	size_t stem = strlen(base) > 3 && strcmp(base + strlen(base) - 3, ".so") == 0 ? strlen(base) - 3 : strlen(base);
	const char *dash = memchr(base, '-', stem);

	if (strcmp(wanted, base) == 0 || (strlen(wanted) == stem && strncmp(wanted, base, stem) == 0))
		return true;
	if (plugin != NULL)
		return strcmp(wanted, plugin->about.name) == 0 || strcmp(wanted, plugin->section) == 0;
	/* One that cannot be loaded is known by its file only. */
	size_t name = dash != NULL ? stem - (size_t)(dash + 1 - base) : 0;
	return dash != NULL && strlen(wanted) == name && strncmp(wanted, dash + 1, name) == 0;
}

/* The text without the file's name in front, which stands in the line above. */
static const char *cause_of(const struct error *err, const char *path)
{
	size_t len = strlen(path);
	bool named = strncmp(err->text, path, len) == 0 && strncmp(err->text + len, ": ", 2) == 0;
	return named ? err->text + len + 2 : err->text;
}

static void on_seen(void *data, const char *path, const struct plugin *plugin, const struct error *err)
{
	struct plugins_view *view = data;
	bool as_json = view->context->args->json;
	struct json json;

	if (!is_wanted(view, path, plugin))
		return;
	if (plugin != NULL && as_json) {
		json_plugin(plugin, view->context->settings);
	} else if (plugin != NULL) {
		if (view->shown > 0)
			printf("\n");
		if (view->context->args->operands[0] != NULL)
			plugin_explain(plugin, view->context->settings);
		else
			plugin_print(plugin);
	} else if (view->wanted != NULL) {
		view->refused = *err;
		return;
	} else if (as_json) {
		json_begin(&json, stdout, "plugin");
		json_name(&json, "path", path, strlen(path));
		json_text(&json, "error", err->text);
		json_end(&json);
	} else {
		printf("%scannot be loaded: ", view->shown > 0 ? "\n" : "");
		console_name(stdout, path, strlen(path));
		printf("\n  cause      %s\n", cause_of(err, path));
	}
	view->shown++;
}

/* A file by its path. Its kind stands in its name; when that is another name, each kind is tried. */
static int show_path(struct plugins_view *view, struct registry *registry, const char *path, struct error *err)
{
	const char *base = strrchr(path, '/') + 1;
	enum xfer_kind named = XFER_KIND_TRANSPORT;
	const struct plugin *loaded = NULL;
	struct plugin *plugin;
	struct error other;

	for (enum xfer_kind kind = XFER_KIND_TRANSPORT; kind <= XFER_KIND_LIVENESS; kind++) {
		const char *name = plugin_kind_name(kind);
		if (strncmp(base, name, strlen(name)) == 0 && base[strlen(name)] == '-')
			named = kind;
	}
	int code = registry_load(registry, named, path, &plugin, err);
	if (code == 0)
		loaded = plugin;
	for (enum xfer_kind kind = XFER_KIND_TRANSPORT; loaded == NULL && kind <= XFER_KIND_LIVENESS; kind++) {
		error_clear(&other);
		if (kind != named && registry_load(registry, kind, path, &plugin, &other) == 0)
			loaded = plugin;
	}
	if (loaded == NULL)
		return code;
	error_clear(err);
	on_seen(view, path, loaded, NULL);
	return 0;
}

static int show_folder(struct plugins_view *view, struct registry *registry, struct error *err)
{
	const char *folder = view->context->settings->plugin_dir;
	int code = registry_scan(registry, on_seen, view, err);

	if (code < 0)
		return code;
	if (view->shown == 0 && view->refused.code != 0) {
		if (err != NULL)
			*err = view->refused;
		return view->refused.code;
	}
	if (view->shown == 0 && view->wanted != NULL)
		return error_set(err, -ENOENT, FAULT_USAGE,
		                 "plugins: there is no plug-in '%.100s' in %.400s; `xfer plugins` lists what is there",
		                 view->wanted, folder);
	if (view->shown == 0)
		console_message(view->context->console, LOG_LEVEL_WARN, FAULT_NONE,
		                "there is no plug-in in the plug-in folder; [core] plugin-dir says where it is");
	return 0;
}

int verb_plugins(struct verb_context *context, struct error *err)
{
	const char *operand = context->args->operands[0]; /* NULL = all */
	struct plugins_view view = { .context = context };
	struct registry *registry;
	int code = registry_create(&registry, context->settings->plugin_dir, context->console->log, err);

	if (code < 0)
		return code;
	if (operand != NULL && strchr(operand, '/') != NULL) {
		code = show_path(&view, registry, operand, err);
	} else {
		view.wanted = operand;
		code = show_folder(&view, registry, err);
	}
	registry_destroy(registry);
	return code;
}
