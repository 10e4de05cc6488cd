/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs of `xfer`: each does its work and prints its results; the error that it returns is printed by main(). */
#ifndef XFER_CMD_VERB_H
#define XFER_CMD_VERB_H

#include "args.h"
#include "console.h"

#include "client/client.h"
#include "config/settings.h"

struct verb_context {
	const struct args *args;
	const struct settings *settings;
	struct console *console;
	struct client_options options; /* filled by verb_client_create(), which lends it to the client */
};

/*
 * 0, or -errno with *err: its fault is the exit status, and a text that is empty was said in other words already (by
 * messages for each file, or the statistics of a ping).
 */
int verb_get(struct verb_context *context, struct error *err);
int verb_put(struct verb_context *context, struct error *err);
int verb_verify(struct verb_context *context, struct error *err);
int verb_ls(struct verb_context *context, struct error *err);
int verb_ping(struct verb_context *context, struct error *err);
int verb_digest(struct verb_context *context, struct error *err);
int verb_plugins(struct verb_context *context, struct error *err);
int verb_clean(struct verb_context *context, struct error *err);
int verb_keygen(struct verb_context *context, struct error *err);
int verb_check_plugin(struct verb_context *context, struct error *err);

/* The engine, as the command line wants it. watch is borrowed. */
int verb_client_create(struct verb_context *context, const struct client_watch *watch, struct client **out,
                       struct error *err);
/* What several failures are together: their cause when it is one and the same, else FAULT_MIXED. */
enum fault verb_fault_join(enum fault all, enum fault one);

#endif
