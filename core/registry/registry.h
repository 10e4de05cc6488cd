/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry: finds plug-ins, loads and checks them, makes their one instance, and knows their options.
 * Main thread only, before the pools run; what it hands out is immutable afterwards.
 */
#ifndef XFER_REGISTRY_REGISTRY_H
#define XFER_REGISTRY_REGISTRY_H

#include "base/error.h"
#include "base/log.h"
#include "registry/kind.h"

#include <xfer/plugin.h>

struct notes;

/*
 * A loaded plug-in: our own full-size copies of its structs, so that what it does not know is NULL. Never unloaded. The
 * copies tell what it has; it is called through the functions here and in transport.h and liveness.h, see note.h.
 */
struct plugin {
	struct xfer_plugin about;
	struct xfer_option *options;         /* owned; about.option_count of them, our stride */
	struct xfer_transport_ops transport; /* filled for the kind it is */
	struct xfer_integrity_ops integrity;
	struct xfer_liveness_ops liveness;
	char *path;     /* owned; the file it came from */
	char *section;  /* owned; "integrity.sha256" */
	void *instance; /* NULL until plugin_start() */
	struct xfer_host host;
	struct log *log;     /* borrowed */
	void *lock;          /* for XFER_THREADS_SERIALIZE; NULL otherwise */
	struct notes *notes; /* borrowed; NULL: none are kept */
	unsigned row;        /* its own in the notes */
	unsigned lanes;      /* integrity: buffers that it takes side by side, at least 1; set by plugin_start() */
};

struct registry;

/* `folder` is [core] plugin-dir (copied). log is borrowed and may be NULL. */
int registry_create(struct registry **out, const char *folder, struct log *log, struct error *err);
void registry_destroy(struct registry *registry); /* destroys instances; the objects stay mapped */
/* Notes of calls go there (borrowed) and not to notes of the registry's own. Before the first plug-in is loaded. */
void registry_note(struct registry *registry, struct notes *notes);

/*
 * Loads KIND-NAME.so, or the file when `name` holds a '/', and checks it. A plug-in that is loaded already is returned
 * again. Every refusal is FAULT_USAGE with file and cause.
 */
int registry_load(struct registry *registry, enum xfer_kind kind, const char *name, struct plugin **out,
                  struct error *err);

/* Loads a file of whatever kind and name, as registry_load() does with a path. */
int registry_load_path(struct registry *registry, const char *path, struct plugin **out, struct error *err);

/* Loads every *.so of the folder in name order; calls `seen` with the plug-in, or with NULL and the error. */
int registry_scan(struct registry *registry,
                  void (*seen)(void *context, const char *path, const struct plugin *plugin, const struct error *err),
                  void *context, struct error *err);

/* Makes the instance. values: in the order of the options (see config/options.h); texts must outlive the plug-in. */
int plugin_start(struct plugin *plugin, const union xfer_value *values, struct error *err);

/*
 * The text that the plug-in gave to host->error() during its last call in this thread, or strerror(-code). Puts
 * "transport tcp: TEXT" into *err and returns code. The text is gone afterwards.
 */
int plugin_error(const struct plugin *plugin, int code, enum fault fault, struct error *err);
/* That text, NULL when there is none; it lives until the plug-in's next call in this thread. */
const char *plugin_error_said(const struct plugin *plugin);
/*
 * Forgets what was said in this thread: called before a callback of which the error will be shown (connect, listen,
 * handshake ...), so that the forgotten text of an earlier one does not explain it. The calls below do so themselves.
 */
void plugin_error_clear(void);

/* Calls that honour the thread model; the only way by which the rest of the core hashes. */
int plugin_digest(const struct plugin *plugin, const void *bytes, size_t len, uint8_t *out);
int plugin_digest_many(const struct plugin *plugin, const struct iovec *buffers, size_t count, uint8_t *const *outs);
int plugin_hash_create(const struct plugin *plugin, struct xfer_hash **out);
int plugin_hash_update(const struct plugin *plugin, struct xfer_hash *hash, const void *bytes, size_t len);
int plugin_hash_finish(const struct plugin *plugin, struct xfer_hash *hash, uint8_t *out);
void plugin_hash_destroy(const struct plugin *plugin, struct xfer_hash *hash);

#endif
