/* SPDX-License-Identifier: BSD-2-Clause */
/* What get and put print. */
#ifndef XFER_CMD_TRANSFER_H
#define XFER_CMD_TRANSFER_H

#include "verb.h"

/* What the engine tells while it works: progress, messages, files. The context is borrowed. */
void transfer_watch(struct verb_context *context, struct client_watch *out);
/* The summary; fault: what the program ends with. */
void transfer_print(struct verb_context *context, const struct client_summary *summary, enum fault fault);

#endif
