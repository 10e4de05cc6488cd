/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: one line per event on a descriptor, as text or JSON. A line is one write(2), so that processes may share it. */
#ifndef XFER_BASE_LOG_H
#define XFER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* One named value of an event: `text` (quoted where needed), or when text is NULL the number. */
struct log_field {
	const char *key;
	const char *text; /* may hold any bytes; escaped when written */
	uint64_t number;
};

struct log;

/* `ident` (the program's name, copied) stands on each line. fd is borrowed. Thread-safe after creation. */
int log_create(struct log **out, const char *ident, int fd, enum log_level level, enum log_format format);
void log_destroy(struct log *log); /* NULL is allowed */
bool log_wants(const struct log *log, enum log_level level);

/* log may be NULL: nothing is written. */
void log_say(struct log *log, enum log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Text form: `message key=value key="a value"`; JSON: an object with time, level, message and the keys. */
void log_event(struct log *log, enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

#endif
