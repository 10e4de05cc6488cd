/* SPDX-License-Identifier: BSD-2-Clause */
/* What the core offers to a plug-in: log, error text, clock, random bytes. */
#include "registry/host.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { HOST_LINE_MAX = 512 }; /* bytes of a plug-in's line in the log */

/*
 * The text of the error that the call running in this thread is about to return. It belongs to a call, not to a
 * process: calls of one plug-in run in many threads at a time.
 */
static _Thread_local struct {
	const struct xfer_host *host; /* who said it; NULL: nobody did */
	char text[ERROR_TEXT_MAX];
} said;

static void host_log(const struct xfer_host *host, enum xfer_log_level level, const char *format, ...)
	XFER_PRINTF(3, 4);
static void host_error(const struct xfer_host *host, const char *format, ...) XFER_PRINTF(2, 3);

static void host_log(const struct xfer_host *host, enum xfer_log_level level, const char *format, ...)
{
	const struct plugin *plugin = host->context;
	enum log_level ours = level == XFER_LOG_ERROR  ? LOG_LEVEL_ERROR
	                      : level == XFER_LOG_WARN ? LOG_LEVEL_WARN
	                      : level == XFER_LOG_INFO ? LOG_LEVEL_INFO
	                                               : LOG_LEVEL_DEBUG;
	if (plugin->log == NULL || !log_wants(plugin->log, ours))
		return;
	char raw[HOST_LINE_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (len < 0)
		return;
	char line[HOST_LINE_MAX];
	text_printable(line, sizeof(line), raw, strlen(raw));
	log_say(plugin->log, ours, "%s %s: %s", plugin_kind_name(plugin->about.kind), plugin->about.name, line);
}

static void host_error(const struct xfer_host *host, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char raw[ERROR_TEXT_MAX]; /* the arguments may point into the text that was said before */
	int len = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (len < 0)
		return;
	text_printable(said.text, sizeof(said.text), raw, strlen(raw));
	said.host = host;
}

static uint64_t host_now(const struct xfer_host *host)
{
	(void)host;
	return clock_monotonic();
}

static int host_random(const struct xfer_host *host, void *bytes, size_t len)
{
	(void)host;
	uint8_t *at = bytes;
	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		at += got;
		len -= (size_t)got;
	}
	return 0;
}

void host_init(struct plugin *plugin)
{
	plugin->host = (struct xfer_host){
		.struct_size = sizeof(struct xfer_host),
		.context = plugin,
		.log = host_log,
		.error = host_error,
		.now = host_now,
		.random = host_random,
	};
}

void plugin_error_clear(void)
{
	said.host = NULL;
}

const char *plugin_error_said(const struct plugin *plugin)
{
	return said.host == &plugin->host ? said.text : NULL;
}

int plugin_error(const struct plugin *plugin, int code, enum fault fault, struct error *err)
{
	const char *kind = plugin_kind_name(plugin->about.kind);
	if (said.host == &plugin->host)
		error_set(err, code, fault, "%s %s: %s", kind, plugin->about.name, said.text);
	else
		error_system(err, code, fault, "%s %s", kind, plugin->about.name);
	said.host = NULL;
	return code;
}
