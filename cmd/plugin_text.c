/* SPDX-License-Identifier: BSD-2-Clause */
/* Plug-ins described for people: in a list, and one of them explained. */
#include "plugin_text.h"

#include "config/options.h"
#include "console.h"

#include <inttypes.h>
#include <string.h>

const char *plugin_threads_name(enum xfer_thread_model model)
{
	switch (model) {
	case XFER_THREADS_SERIALIZE: return "serialize";
	case XFER_THREADS_PARALLEL_OBJECTS: return "parallel-objects";
	}
	return "unknown";
}

const char *plugin_range_text(const struct xfer_option *option, struct buf *out)
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
	const char *with, *without; /* what it means for people */
} CAPABILITIES[PLUGIN_CAPABILITIES] = {
	{ XFER_KIND_TRANSPORT, XFER_CAP_INET, "inet", "its addresses are HOST:PORT, and heartbeats go to the same port",
	  "its addresses are its own; there are no heartbeats, the connection is asked instead" },
	{ XFER_KIND_TRANSPORT, XFER_CAP_SECURE, "secure",
	  "both ends are authenticated and nobody on the way reads along",
	  "whoever is on the way can read and change what travels" },
	{ XFER_KIND_TRANSPORT, XFER_CAP_LOWAT, "lowat",
	  "who sends a byte now and then wakes nobody before it is worth it",
	  "who sends a byte now and then is looked at twenty times a second" },
};

const char *plugin_capability(const struct plugin *plugin, size_t i)
{
	bool has = plugin->about.kind == CAPABILITIES[i].kind &&
	           (plugin->about.capabilities & CAPABILITIES[i].bit) != 0;
	return has ? CAPABILITIES[i].name : NULL;
}

static void print_text(const char *text)
{
	console_name(stdout, text, strlen(text));
}

const struct settings_line *plugin_line(const struct settings *settings, const struct plugin *plugin, const char *key)
{
	const struct settings_section *section = settings_section(settings, plugin_kind_name(plugin->about.kind),
	                                                          plugin->about.name);

	for (size_t i = 0; section != NULL && i < section->count; i++)
		if (strcmp(section->lines[i].key, key) == 0)
			return &section->lines[i];
	return NULL;
}

static void print_set(const struct xfer_option *option, const struct settings_line *line)
{
	printf("        now ");
	print_text((option->flags & XFER_OPTION_SECRET) != 0 ? "(secret)" : line->value);
	printf(", by ");
	print_text(line->file);
	if (line->line > 0)
		printf(" line %u", line->line);
	printf("\n");
}

/* settings: NULL where what is set does not matter. */
static void print_option(const struct plugin *plugin, const struct xfer_option *option, const struct settings *settings)
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
	if (plugin_range_text(option, &range)[0] != '\0') {
		printf(", %s", plugin_range_text(option, &range));
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
	const struct settings_line *line = settings != NULL ? plugin_line(settings, plugin, option->name) : NULL;
	if (line != NULL)
		print_set(option, line);
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

/* What it says of itself, but its options. */
static void print_about(const struct plugin *plugin)
{
	const struct xfer_plugin *about = &plugin->about;
	uint64_t unknown = about->capabilities;
	const char *before = ", can ";

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
	printf("\n  ABI        %" PRIu32 ".%" PRIu32, about->abi_major, about->abi_minor);
	if (about->abi_minor > XFER_ABI_MINOR)
		printf(" (newer than this program's %u.%u)", XFER_ABI_MAJOR, XFER_ABI_MINOR);
	printf(", threads %s", plugin_threads_name(about->thread_model));
	for (size_t i = 0; i < PLUGIN_CAPABILITIES; i++) {
		unknown &= ~CAPABILITIES[i].bit;
		if (plugin_capability(plugin, i) == NULL)
			continue;
		printf("%s%s", before, plugin_capability(plugin, i));
		before = ", ";
	}
	if (unknown != 0)
		printf("%sothers (0x%" PRIx64 ")", before, unknown);
	printf("\n");
	if (about->kind == XFER_KIND_INTEGRITY)
		print_integrity(&plugin->integrity);
	if (about->kind == XFER_KIND_LIVENESS && plugin->liveness.datagram_size == 0)
		printf("  datagrams  none: asks in-band\n");
	else if (about->kind == XFER_KIND_LIVENESS)
		printf("  datagrams  of %" PRIu32 " bytes\n", plugin->liveness.datagram_size);
}

static void print_options(const struct plugin *plugin, const struct settings *settings)
{
	if (plugin->about.option_count > 0)
		printf("  options    [%s]\n", plugin->section);
	for (size_t i = 0; i < plugin->about.option_count; i++)
		print_option(plugin, &plugin->options[i], settings);
}

void plugin_print(const struct plugin *plugin)
{
	print_about(plugin);
	print_options(plugin, NULL);
}

/* ---- explained -------------------------------------------------------------------------------------------------- */

/* A plug-in is named, or its file is. */
static bool is_named(const struct plugin *plugin, const char *name)
{
	return strcmp(name, plugin->about.name) == 0 || strcmp(name, plugin->path) == 0;
}

static void print_chosen(const struct plugin *plugin, const struct settings *settings)
{
	const char *kind = plugin_kind_name(plugin->about.kind);
	bool chosen = false;
	size_t items = 0;

	printf("  chosen     ");
	if (plugin->about.kind == XFER_KIND_INTEGRITY) {
		for (size_t i = 0; i < settings->integrity_count && !chosen; i++) {
			chosen = is_named(plugin, settings->integrity[i]);
			if (chosen)
				printf("as number %zu of %zu in [pipeline] integrity", i + 1,
				       settings->integrity_count);
		}
	} else {
		chosen = is_named(plugin,
		                  plugin->about.kind == XFER_KIND_TRANSPORT ? settings->transport : settings->liveness);
		if (chosen)
			printf("by [pipeline] %s", kind);
	}
	for (size_t i = 0; plugin->about.kind == XFER_KIND_TRANSPORT && i < settings->listen_count; i++)
		items += settings->listen[i].transport != NULL && is_named(plugin, settings->listen[i].transport);
	if (items > 0)
		printf("%sby %zu item%s of [daemon] listen", chosen ? " and " : "", items, items == 1 ? "" : "s");
	else if (!chosen)
		printf("no");
	printf("\n  to choose  ");
	switch (plugin->about.kind) {
	case XFER_KIND_TRANSPORT:
		printf("[daemon] listen = %s://ADDRESS, and URLs xfer+%s://ADDRESS/EXPORT/PATH;\n"
		       "             or for all that name none, [pipeline] transport = %s\n",
		       plugin->about.name, plugin->about.name, plugin->about.name);
		break;
	case XFER_KIND_INTEGRITY:
		printf("[pipeline] integrity = %s on both sides; or for one command --integrity %s,\n"
		       "             where the daemon's list has it\n",
		       plugin->about.name, plugin->about.name);
		break;
	case XFER_KIND_LIVENESS: printf("[pipeline] liveness = %s on both sides\n", plugin->about.name); break;
	}
}

static void print_meaning(const struct plugin *plugin)
{
	static const char *const KINDS[] = {
		[XFER_KIND_TRANSPORT] = "a transport carries the bytes between the two sides",
		[XFER_KIND_INTEGRITY] = "an integrity makes the digest of every chunk and file",
		[XFER_KIND_LIVENESS] = "a liveness says whether the other side is alive, and how far away it is",
	};
	const struct xfer_plugin *about = &plugin->about;

	printf("  meaning    %s\n", KINDS[about->kind]);
	for (size_t i = 0; i < PLUGIN_CAPABILITIES; i++)
		if (CAPABILITIES[i].kind == about->kind)
			printf("             %s\n",
			       plugin_capability(plugin, i) != NULL ? CAPABILITIES[i].with : CAPABILITIES[i].without);
	if (about->kind != XFER_KIND_INTEGRITY)
		return;
	if (plugin->integrity.strength == XFER_STRENGTH_NONE)
		printf("             what comes damaged is taken as it is\n");
	else if (plugin->integrity.strength < XFER_STRENGTH_CRYPTOGRAPHIC)
		printf("             whoever wants to can make other data with the same digest\n");
	else
		printf("             to make two files with one digest takes about 2^%" PRIu32 " tries\n",
		       plugin->integrity.strength);
	printf("             %s\n", about->thread_model == XFER_THREADS_SERIALIZE
	                                    ? "one thread at a time computes, whatever [core] threads is"
	                                    : "as many threads as [core] threads has compute at the same time");
	if (plugin->integrity.known_answer_count > 0)
		printf("             its known answers, %zu of them, are computed anew each time before it is used\n",
		       plugin->integrity.known_answer_count);
}

void plugin_explain(const struct plugin *plugin, const struct settings *settings)
{
	print_about(plugin);
	print_meaning(plugin);
	print_chosen(plugin, settings);
	print_options(plugin, settings);
}
