/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log.
 *
 * A line is put together on the stack and written at once, at most PIPE_BUF bytes: so long a write to a pipe is not torn
 * apart, and lines of several threads and processes never mix. What does not fit is left out and the line says so.
 */
#include "base/log.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = PIPE_BUF,
	LINE_RESERVE = 32,  /* kept for the mark of a cut line, the closing brace and the newline */
	MESSAGE_MAX = 1536, /* even with each byte escaped it leaves room for what stands around it */
	VALUE_MAX = 1024
};

struct log {
	char *ident; /* owned */
	int fd;      /* borrowed */
	enum log_level level;
	enum log_format format;
};

struct line {
	char data[LINE_MAX_BYTES];
	size_t len;
	bool full; /* something did not fit */
};

static const char *const LEVEL_NAMES[] = { "error", "warn", "info", "debug" };

int log_create(struct log **out, const char *ident, int fd, enum log_level level, enum log_format format)
{
	struct log *log = calloc(1, sizeof(*log));
	if (log == NULL)
		return -ENOMEM;
	log->ident = strdup(ident);
	if (log->ident == NULL) {
		free(log);
		return -ENOMEM;
	}
	log->fd = fd;
	log->level = level;
	log->format = format;
	*out = log;
	return 0;
}

void log_destroy(struct log *log)
{
	if (log == NULL)
		return;
	free(log->ident);
	free(log);
}

bool log_wants(const struct log *log, enum log_level level)
{
	return log != NULL && level <= log->level;
}

static void line_put(struct line *line, const char *bytes, size_t len)
{
	if (line->full || len > sizeof(line->data) - LINE_RESERVE - line->len) {
		line->full = true;
		return;
	}
	memcpy(line->data + line->len, bytes, len);
	line->len += len;
}

static void line_puts(struct line *line, const char *text)
{
	line_put(line, text, strlen(text));
}

/* `text` is printable already: a backslash begins a \xHH, which JSON wants to see escaped. */
static void line_quote(struct line *line, enum log_format format, const char *text)
{
	line_puts(line, "\"");
	for (; *text != '\0'; text++) {
		if (*text == '"' || (*text == '\\' && format == LOG_FORMAT_JSON))
			line_puts(line, "\\");
		line_put(line, text, 1);
	}
	line_puts(line, "\"");
}

/* A value is whole or not there at all, so that a cut line is still well-formed. */
static void line_value(struct line *line, enum log_format format, const struct log_field *field)
{
	char text[VALUE_MAX];
	size_t start = line->len;

	if (line->full)
		return;
	if (format == LOG_FORMAT_JSON) {
		line_puts(line, ",");
		line_quote(line, format, field->key);
		line_puts(line, ":");
	} else {
		line_puts(line, " ");
		line_puts(line, field->key);
		line_puts(line, "=");
	}
	if (field->text == NULL) {
		snprintf(text, sizeof(text), "%" PRIu64, field->number);
		line_puts(line, text);
	} else {
		text_printable(text, sizeof(text), field->text, strlen(field->text));
		if (format == LOG_FORMAT_JSON || text[0] == '\0' || strpbrk(text, " \"=") != NULL)
			line_quote(line, format, text);
		else
			line_puts(line, text);
	}
	if (line->full)
		line->len = start;
}

static void line_time(struct line *line)
{
	char text[40];
	uint64_t now = clock_real();
	time_t seconds = (time_t)(now / CLOCK_SECOND);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03uZ", (unsigned)(now % CLOCK_SECOND / CLOCK_MS));
	line_puts(line, text);
}

static void line_head(struct line *line, const struct log *log, enum log_level level, const char *message)
{
	char text[MESSAGE_MAX];
	char who[32];

	text_message(text, sizeof(text), message, strlen(message));
	/* Asked each time: a fork has a number of its own. */
	snprintf(who, sizeof(who), "%ld", (long)getpid());
	if (log->format == LOG_FORMAT_JSON) {
		line_puts(line, "{\"time\":\"");
		line_time(line);
		line_puts(line, "\",\"level\":\"");
		line_puts(line, LEVEL_NAMES[level]);
		line_puts(line, "\",\"program\":");
		line_quote(line, log->format, log->ident);
		line_puts(line, ",\"pid\":");
		line_puts(line, who);
		line_puts(line, ",\"message\":");
		line_quote(line, log->format, text);
	} else {
		line_time(line);
		line_puts(line, " ");
		line_puts(line, log->ident);
		line_puts(line, "[");
		line_puts(line, who);
		line_puts(line, "] ");
		line_puts(line, LEVEL_NAMES[level]);
		line_puts(line, ": ");
		line_puts(line, text);
	}
}

static void line_write(struct line *line, int fd)
{
	size_t done = 0;
	while (done < line->len) {
		ssize_t count = write(fd, line->data + done, line->len - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return; /* a log that cannot be written has nowhere to complain */
		done += (size_t)count;
	}
}

void log_event(struct log *log, enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	if (!log_wants(log, level))
		return;
	int saved = errno;
	struct line line;
	line.len = 0;
	line.full = false;
	line_head(&line, log, level, message);
	for (size_t i = 0; i < count; i++)
		line_value(&line, log->format, &fields[i]);

	/* LINE_RESERVE keeps room for these. */
	const char *end = "\n";
	if (log->format == LOG_FORMAT_JSON)
		end = line.full ? ",\"cut\":true}\n" : "}\n";
	else if (line.full)
		end = " ...\n";
	memcpy(line.data + line.len, end, strlen(end));
	line.len += strlen(end);
	line_write(&line, log->fd);
	errno = saved;
}

void log_say(struct log *log, enum log_level level, const char *format, ...)
{
	if (!log_wants(log, level))
		return;
	char message[MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (len < 0)
		snprintf(message, sizeof(message), "%s", format);
	else if ((size_t)len >= sizeof(message))
		memcpy(message + sizeof(message) - sizeof("..."), "...", sizeof("..."));
	log_event(log, level, message, NULL, 0);
}
