/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An error with its text.
 *
 * A function that can fail returns 0 or -errno and fills the struct error it was given at the place where the cause is
 * known.  Callers pass it up unread; the program's main() prints it once.  `struct error *err` may be NULL: then only
 * the code is returned.
 */
#ifndef XFER_BASE_ERROR_H
#define XFER_BASE_ERROR_H

#include <stdarg.h>

/* Whose fault an error is: what the exit status tells the user. The values are the exit statuses of xfer(1). */
enum fault {
	FAULT_NONE = 0,
	FAULT_MIXED = 1,        /* some files failed for different causes, or special files were skipped */
	FAULT_USAGE = 2,        /* command line or configuration */
	FAULT_CONNECT = 3,      /* cannot connect */
	FAULT_REFUSED = 4,      /* access, authentication, no such export or path */
	FAULT_INTEGRITY = 5,    /* integrity could not be established */
	FAULT_PEER = 6,         /* peer dead, stalled, or talking nonsense */
	FAULT_LOCAL = 7,        /* local file error: disk full, permission */
	FAULT_CHANGED = 8,      /* the source changed while it was read */
	FAULT_INTERRUPTED = 130 /* SIGINT; resumable */
};

enum { ERROR_TEXT_MAX = 768 }; /* bytes, NUL included; longer text is cut with "..." */

struct error {
	int code;                  /* -errno, 0 = nothing happened */
	enum fault fault;          /* FAULT_NONE while nothing happened */
	char text[ERROR_TEXT_MAX]; /* one line, no newline, printable */
};

/* Fills *err (when not NULL) and returns `code` (negative), so that a caller can write `return error_set(...)`. */
int error_set(struct error *err, int code, enum fault fault, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int error_setv(struct error *err, int code, enum fault fault, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

/* As error_set(), with ": " and the system's text for -code behind it. */
int error_system(struct error *err, int code, enum fault fault, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts text and ": " before what *err says already; keeps code and fault. */
void error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts text behind what *err says already: a hint what to do next. */
void error_append(struct error *err, const char *hint);

void error_clear(struct error *err);

#endif
