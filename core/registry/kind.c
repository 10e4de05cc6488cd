/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the kinds of plug-ins. */
#include "registry/kind.h"

#include <errno.h>
#include <string.h>

static const char *const KIND_NAMES[] = { "unknown", "transport", "integrity", "liveness" };

const char *plugin_kind_name(enum xfer_kind kind)
{
	return kind >= XFER_KIND_TRANSPORT && kind <= XFER_KIND_LIVENESS ? KIND_NAMES[kind] : KIND_NAMES[0];
}

int plugin_kind_parse(const char *name, enum xfer_kind *out)
{
	for (unsigned kind = XFER_KIND_TRANSPORT; kind <= XFER_KIND_LIVENESS; kind++)
		if (strcmp(name, KIND_NAMES[kind]) == 0) {
			*out = (enum xfer_kind)kind;
			return 0;
		}
	return -EINVAL;
}
