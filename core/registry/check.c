/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over what a plug-in says of itself: our own full-size copies, checked. */
#include "registry/check.h"
#include "base/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Where a struct of ABI 1.0 ended: shorter ones never existed. */
#define END_OF(type, field) (offsetof(type, field) + sizeof(((type *)NULL)->field))

struct check_callback {
	const char *name;
	size_t offset;
};

#define CALLBACK(kind, field)                                                                                          \
	{                                                                                                              \
#kind "." #field, offsetof(struct xfer_##kind##_ops, field)                                            \
	}

static const struct check_callback TRANSPORT_REQUIRED[] = {
	CALLBACK(transport, listen),         CALLBACK(transport, listener_adopt),
	CALLBACK(transport, listener_fds),   CALLBACK(transport, listener_address),
	CALLBACK(transport, listener_close), CALLBACK(transport, accept),
	CALLBACK(transport, connect),        CALLBACK(transport, handshake),
	CALLBACK(transport, sendv),          CALLBACK(transport, recv),
	CALLBACK(transport, poll),           CALLBACK(transport, endpoint),
	CALLBACK(transport, shutdown),       CALLBACK(transport, close),
};

static const struct check_callback INTEGRITY_REQUIRED[] = {
	CALLBACK(integrity, digest),      CALLBACK(integrity, hash_create),  CALLBACK(integrity, hash_update),
	CALLBACK(integrity, hash_finish), CALLBACK(integrity, hash_destroy),
};

/* The first is required always, the others where there are datagrams. */
static const struct check_callback LIVENESS_REQUIRED[] = {
	CALLBACK(liveness, timing),        CALLBACK(liveness, peer_create),  CALLBACK(liveness, peer_destroy),
	CALLBACK(liveness, datagram_in),   CALLBACK(liveness, datagram_out), CALLBACK(liveness, verdict),
	CALLBACK(liveness, next_deadline), CALLBACK(liveness, stats),        CALLBACK(liveness, progress_set),
	CALLBACK(liveness, progress_get),
};

#define refuse(err, ...) error_set(err, -EINVAL, FAULT_USAGE, __VA_ARGS__)

bool check_name(const char *name)
{
	if (name[0] < 'a' || name[0] > 'z')
		return false;
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return name[len] == '\0' && len <= CHECK_NAME_MAX;
}

/* One line for people: there, and without control characters. */
static int check_line(const char *what, const char *text, struct error *err)
{
	if (text == NULL)
		return refuse(err, "%s is NULL", what);
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return refuse(err, "%s has a control character", what);
	return 0;
}

static int check_callbacks(const void *ops, const struct check_callback *required, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		void (*callback)(void);
		memcpy(&callback, (const char *)ops + required[i].offset, sizeof(callback));
		if (callback == NULL)
			return refuse(err, "the required callback %s is missing", required[i].name);
	}
	return 0;
}

/* Copies min(struct_size), which is the first field of each, into `ours`, which is zeroed. */
static int check_copy(const char *what, void *ours, size_t our_size, const void *theirs, size_t first_size,
                      struct error *err)
{
	size_t size;
	memcpy(&size, theirs, sizeof(size));
	if (size < first_size)
		return refuse(err, "%s has %zu bytes, but ABI %u.0 has %zu", what, size, XFER_ABI_MAJOR, first_size);
	if (size > our_size)
		size = our_size;
	memcpy(ours, theirs, size);
	memcpy(ours, &size, sizeof(size));
	return 0;
}

static int check_transport(struct plugin *plugin, struct error *err)
{
	int rc = check_copy("struct xfer_transport_ops", &plugin->transport, sizeof(plugin->transport),
	                    plugin->about.transport, END_OF(struct xfer_transport_ops, close), err);
	if (rc < 0)
		return rc;
	return check_callbacks(&plugin->transport, TRANSPORT_REQUIRED, COUNT(TRANSPORT_REQUIRED), err);
}

static int check_integrity(struct plugin *plugin, struct error *err)
{
	struct xfer_integrity_ops *ops = &plugin->integrity;
	int rc = check_copy("struct xfer_integrity_ops", ops, sizeof(*ops), plugin->about.integrity,
	                    END_OF(struct xfer_integrity_ops, hash_destroy), err);
	if (rc < 0)
		return rc;
	if (ops->digest_size > XFER_DIGEST_MAX)
		return refuse(err, "a digest of %u bytes is longer than %d", ops->digest_size, XFER_DIGEST_MAX);
	if ((ops->digest_size == 0) != (ops->strength == XFER_STRENGTH_NONE))
		return refuse(err, "a digest of %u bytes cannot have the strength %u", ops->digest_size, ops->strength);
	rc = check_callbacks(ops, INTEGRITY_REQUIRED, COUNT(INTEGRITY_REQUIRED), err);
	if (rc < 0 || ops->digest_size == 0)
		return rc;
	if (ops->known_answers == NULL || ops->known_answer_count == 0)
		return refuse(err, "it has no known answer");
	if (ops->known_answer_size < END_OF(struct xfer_known_answer, digest))
		return refuse(err, "known_answer_size is %zu", ops->known_answer_size);
	return 0;
}

static int check_liveness(struct plugin *plugin, struct error *err)
{
	struct xfer_liveness_ops *ops = &plugin->liveness;
	int rc = check_copy("struct xfer_liveness_ops", ops, sizeof(*ops), plugin->about.liveness,
	                    END_OF(struct xfer_liveness_ops, progress_get), err);
	if (rc < 0)
		return rc;
	if (ops->datagram_size > XFER_DATAGRAM_MAX)
		return refuse(err, "a datagram of %u bytes is longer than %d", ops->datagram_size, XFER_DATAGRAM_MAX);
	return check_callbacks(ops, LIVENESS_REQUIRED, ops->datagram_size == 0 ? 1 : COUNT(LIVENESS_REQUIRED), err);
}

static int check_option(const struct xfer_option *option, struct error *err)
{
	int rc = check_line("its help", option->help, err);
	if (rc < 0)
		return rc;
	if (option->type < XFER_OPTION_BOOL || option->type > XFER_OPTION_STRING)
		return refuse(err, "its type %u is not known here", (unsigned)option->type);
	if (option->min > option->max || (option->min < 0 && option->type != XFER_OPTION_INT))
		return refuse(err, "its range is empty");
	bool required = (option->flags & XFER_OPTION_REQUIRED) != 0;
	if (required != (option->default_text == NULL))
		return refuse(err, required ? "it is required and has a default" : "its default is NULL");
	union xfer_value value;
	rc = required ? 0 : option_read(option, option->default_text, &value);
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "its default '%s' is %s", option->default_text,
		                 rc == -ERANGE ? "out of its range" : "no value of its type");
	return 0;
}

static int check_options(struct plugin *plugin, struct error *err)
{
	struct xfer_plugin *about = &plugin->about;
	size_t count = about->option_count;
	if (count == 0) {
		about->options = NULL;
		return 0;
	}
	if (about->options == NULL || count > CHECK_OPTIONS_MAX)
		return refuse(err, "the options table is %s", about->options == NULL ? "NULL" : "too long");
	if (about->option_size < END_OF(struct xfer_option, help))
		return refuse(err, "option_size is %zu", about->option_size);
	plugin->options = calloc(count, sizeof(*plugin->options));
	if (plugin->options == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "options");

	const char *theirs = (const char *)about->options;
	size_t size = about->option_size < sizeof(struct xfer_option) ? about->option_size : sizeof(struct xfer_option);
	for (size_t i = 0; i < count; i++) {
		struct xfer_option *option = &plugin->options[i];
		memcpy(option, theirs + i * about->option_size, size);
		if (option->name == NULL || !check_name(option->name))
			return refuse(err, "the name of option %zu is %s", i + 1,
			              option->name == NULL ? "NULL" : "no name");
		for (size_t k = 0; k < i; k++)
			if (strcmp(plugin->options[k].name, option->name) == 0)
				return refuse(err, "option '%s' stands in the table twice", option->name);
		int rc = check_option(option, err);
		if (rc < 0) {
			error_prefix(err, "option '%s'", option->name);
			return rc;
		}
	}
	about->options = plugin->options;
	about->option_size = sizeof(struct xfer_option);
	return 0;
}

/* The operations of its kind, and of no other. */
static int check_kind(struct plugin *plugin, struct error *err)
{
	const struct xfer_plugin *about = &plugin->about;
	const void *ops[] = { about->transport, about->integrity, about->liveness };
	for (size_t i = 0; i < COUNT(ops); i++) {
		enum xfer_kind kind = (enum xfer_kind)(XFER_KIND_TRANSPORT + i);
		if ((ops[i] != NULL) != (kind == about->kind))
			return refuse(err, "it is of kind %s and its %s is %sNULL", plugin_kind_name(about->kind),
			              plugin_kind_name(kind), ops[i] != NULL ? "not " : "");
	}
	switch (about->kind) {
	case XFER_KIND_TRANSPORT: return check_transport(plugin, err);
	case XFER_KIND_INTEGRITY: return check_integrity(plugin, err);
	case XFER_KIND_LIVENESS: return check_liveness(plugin, err);
	}
	return 0;
}

int check_plugin(struct plugin *plugin, const struct xfer_plugin *theirs, struct error *err)
{
	struct xfer_plugin *about = &plugin->about;
	/* These fields stand where they stand in every major. */
	if (theirs->struct_size < END_OF(struct xfer_plugin, abi_minor) || theirs->abi_major != XFER_ABI_MAJOR)
		return error_set(err, -ENOEXEC, FAULT_USAGE, "it is made for ABI %u, this program has ABI %u.%u",
		                 theirs->struct_size < END_OF(struct xfer_plugin, abi_minor) ? 0 : theirs->abi_major,
		                 XFER_ABI_MAJOR, XFER_ABI_MINOR);
	int rc = check_copy("struct xfer_plugin", about, sizeof(*about), theirs, END_OF(struct xfer_plugin, liveness),
	                    err);
	if (rc < 0)
		return rc;
	if (about->kind < XFER_KIND_TRANSPORT || about->kind > XFER_KIND_LIVENESS)
		return refuse(err, "its kind %u is not known here", (unsigned)about->kind);
	if (about->name == NULL || !check_name(about->name))
		return refuse(err, "its name is %s", about->name == NULL ? "NULL" : "none: [a-z][a-z0-9-]{0,30}");
	if ((rc = check_line("its version", about->version, err)) < 0)
		return rc;
	if ((rc = check_line("its summary", about->summary, err)) < 0)
		return rc;
	if (about->create == NULL || about->destroy == NULL)
		return refuse(err, "the required callback %s is missing", about->create == NULL ? "create" : "destroy");
	/* A model that only a newer header knows: the safest fits all. */
	if (about->thread_model != XFER_THREADS_PARALLEL_OBJECTS)
		about->thread_model = XFER_THREADS_SERIALIZE;
	if ((rc = check_kind(plugin, err)) < 0)
		return rc;
	return check_options(plugin, err);
}
