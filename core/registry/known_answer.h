/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether an integrity plug-in computes what it promises. */
#ifndef XFER_REGISTRY_KNOWN_ANSWER_H
#define XFER_REGISTRY_KNOWN_ANSWER_H

#include "registry/registry.h"

/*
 * Each known answer, computed by every way that there is: one-shot, streamed and many at once. The error's text
 * (FAULT_USAGE) is a clause without the file's name. Main thread, no other call is under way; `instance` is the plug-in's
 * only meanwhile.
 */
int known_answer_check(struct plugin *plugin, void *instance, struct error *err);

#endif
