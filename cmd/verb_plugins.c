/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer plugins [NAME|PATH]: what is installed, where, and what can be set, all from the plug-ins' own tables. */
#include "json.h"
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

static const char *threads_name(enum xfer_thread_model model)
{
	switch (model) {
	case XFER_THREADS_SERIALIZE: return "serialize";
	case XFER_THREADS_PARALLEL_OBJECTS: return "parallel-objects";
	}
	return "unknown";
}

/* The range of an option as the INI file would write it; "" when there is none, or no memory to say it. */
static const char *range_text(const struct xfer_option *option, struct buf *out)
{
	buf_clear(out);
	if (option_range(option, out) < 0 || buf_append(out, "", 1) < 0)
		return "";
	return (const char *)out->data;
}

static const struct {
	enum xfer_kind kind;
	uint64_t bit;
	const char *name;
} capabilities[] = {
	{ XFER_KIND_TRANSPORT, XFER_CAP_INET, "inet" },
	{ XFER_KIND_TRANSPORT, XFER_CAP_SECURE, "secure" },
};
enum { CAPABILITIES = sizeof(capabilities) / sizeof(capabilities[0]) };

static bool has_capability(const struct plugin *plugin, size_t i)
{
	return plugin->about.kind == capabilities[i].kind && (plugin->about.capabilities & capabilities[i].bit) != 0;
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

static void print_text(const char *text)
{
	console_name(stdout, text, strlen(text));
}

static void print_option(const struct xfer_option *option)
{
	bool secret = (option->flags & XFER_OPTION_SECRET) != 0;
	struct buf range = { 0 };

	printf("    ");
	print_text(option->name);
	printf(" =");
	if (option->default_text != NULL && option->default_text[0] != '\0' && !secret) {
		printf(" ");
		print_text(option->default_text);
	}
	printf("\n        %s", option_type_name(option->type));
	/* The range names the unit, and a size or a duration is written with its own. */
	if (range_text(option, &range)[0] != '\0') {
		printf(", %s", range_text(option, &range));
	} else if (option->unit != NULL && (option->type == XFER_OPTION_INT || option->type == XFER_OPTION_STRING)) {
		printf(", in ");
		print_text(option->unit);
	}
	printf("%s%s", (option->flags & XFER_OPTION_REQUIRED) != 0 ? ", has to be set" : "", secret ? ", secret" : "");
	if (option->help != NULL) {
		printf(": ");
		print_text(option->help);
	}
	printf("\n");
	buf_free(&range);
}

static void print_integrity(const struct xfer_integrity_ops *ops)
{
	printf("  digest     %" PRIu32 " byte%s, ", ops->digest_size, ops->digest_size == 1 ? "" : "s");
	if (ops->strength == XFER_STRENGTH_NONE)
		printf("detects nothing\n");
	else if (ops->strength < XFER_STRENGTH_CRYPTOGRAPHIC)
		printf("detects accidents, no attacker\n");
	else
		printf("%" PRIu32 " bits against collisions\n", ops->strength);
}

static void print_plugin(const struct plugin *plugin)
{
	const struct xfer_plugin *about = &plugin->about;
	bool any = false;

	printf("%s %s", plugin_kind_name(about->kind), about->name);
	if (about->version != NULL) {
		printf(" ");
		print_text(about->version);
	}
	if (about->summary != NULL) {
		printf(": ");
		print_text(about->summary);
	}
	printf("\n  file       ");
	print_text(plugin->path);
	printf("\n  ABI        %" PRIu32 ".%" PRIu32 ", threads %s", about->abi_major, about->abi_minor,
	       threads_name(about->thread_model));
	for (size_t i = 0; i < CAPABILITIES; i++) {
		if (has_capability(plugin, i)) {
			printf("%s%s", any ? ", " : ", can ", capabilities[i].name);
			any = true;
		}
	}
	printf("\n");
	if (about->kind == XFER_KIND_INTEGRITY)
		print_integrity(&plugin->integrity);
	if (about->kind == XFER_KIND_LIVENESS && plugin->liveness.datagram_size == 0)
		printf("  datagrams  none: asks in-band\n");
	else if (about->kind == XFER_KIND_LIVENESS)
		printf("  datagrams  of %" PRIu32 " bytes\n", plugin->liveness.datagram_size);
	if (about->option_count > 0)
		printf("  options    [%s]\n", plugin->section);
	for (size_t i = 0; i < about->option_count; i++)
		print_option(&plugin->options[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void json_option(struct json *json, const struct xfer_option *option)
{
	bool secret = (option->flags & XFER_OPTION_SECRET) != 0;
	struct buf range = { 0 };

	json_open(json, NULL, '{');
	json_text(json, "name", option->name);
	json_text(json, "type", option_type_name(option->type));
	json_text(json, "default", secret ? NULL : option->default_text);
	if (range_text(option, &range)[0] != '\0')
		json_text(json, "range", range_text(option, &range));
	if (option->type != XFER_OPTION_BOOL && (option->min != 0 || option->max != 0)) {
		json_signed(json, "min", option->min);
		json_signed(json, "max", option->max);
	}
	json_text(json, "unit", option->unit);
	json_text(json, "help", option->help);
	json_bool(json, "required", (option->flags & XFER_OPTION_REQUIRED) != 0);
	json_bool(json, "secret", secret);
	json_close(json, '}');
	buf_free(&range);
}

static void json_plugin(const struct plugin *plugin)
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
	json_text(&json, "threads", threads_name(about->thread_model));
	if (about->kind == XFER_KIND_INTEGRITY) {
		json_number(&json, "digest_size", plugin->integrity.digest_size);
		json_number(&json, "strength", plugin->integrity.strength);
	}
	if (about->kind == XFER_KIND_LIVENESS)
		json_number(&json, "datagram_size", plugin->liveness.datagram_size);
	json_open(&json, "capabilities", '[');
	for (size_t i = 0; i < CAPABILITIES; i++) {
		if (has_capability(plugin, i))
			json_text(&json, NULL, capabilities[i].name);
	}
	json_close(&json, ']');
	json_text(&json, "section", plugin->section);
	json_open(&json, "options", '[');
	for (size_t i = 0; i < about->option_count; i++)
		json_option(&json, &plugin->options[i]);
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

static void on_seen(void *data, const char *path, const struct plugin *plugin, const struct error *err)
{
	struct plugins_view *view = data;
	bool as_json = view->context->args->json;
	struct json json;

	if (!is_wanted(view, path, plugin))
		return;
	if (plugin != NULL && as_json) {
		json_plugin(plugin);
	} else if (plugin != NULL) {
		if (view->shown > 0)
			printf("\n");
		print_plugin(plugin);
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
		print_text(path);
		printf("\n  cause      %s\n", err->text);
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
