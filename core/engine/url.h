/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer://[user@]host[:port]/export/path, decoded. xfer+NAME:// picks the transport NAME. */
#ifndef XFER_ENGINE_URL_H
#define XFER_ENGINE_URL_H

#include "base/error.h"

#include <stdbool.h>

enum { URL_PORT_DEFAULT = 15010 };

struct url {
	char *transport; /* owned; NULL = the configured one */
	char *user;      /* owned; NULL = none */
	char *authority; /* owned; host and port as they stand in the URL, without user */
	char *host;      /* owned; without brackets */
	unsigned port;
	char *path; /* owned; "export/dir/file", decoded, no leading or trailing '/'; "" lists the exports */
	bool slash; /* it ended with '/' */
};

bool url_is(const char *text);                                       /* begins with xfer:// or xfer+NAME:// */
int url_parse(struct url *out, const char *text, struct error *err); /* FAULT_USAGE */
/* "HOST", "HOST:PORT", "[::1]:PORT" as `xfer ping` takes them; a whole URL is fine too. */
int url_parse_host(struct url *out, const char *text, struct error *err);
void url_free(struct url *url);

#endif
