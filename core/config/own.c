/* SPDX-License-Identifier: BSD-2-Clause */
/* The exports of a daemon that serves one user his own files. */
#include "base/text.h"
#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct settings *settings, const char *name, const char *path)
{
	struct settings_export *export = &settings->exports[settings->export_count];

	*export = (struct settings_export){ .name = strdup(name), .path = strdup(path), .writable = true };
	settings->export_count++; /* settings_free() has it from here on */
	return export->name == NULL || export->path == NULL ? -ENOMEM : 0;
}

int settings_own(struct settings *settings, struct error *err)
{
	const char *home = getenv("HOME");
	int rc;

	settings->own = true;
	settings->exports = calloc(2, sizeof(*settings->exports));
	if (settings->exports == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for exports");
	rc = add(settings, "", "/");
	if (rc == 0 && home != NULL && home[0] == '/' && home[1] != '\0')
		rc = add(settings, "~", home);
	return rc < 0 ? error_set(err, rc, FAULT_LOCAL, "out of memory for exports") : 0;
}
