/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user sees: results on standard output, messages and the line of progress on standard error, so placed that
 * neither is ever written into the middle of another.
 */
#ifndef XFER_CMD_CONSOLE_H
#define XFER_CMD_CONSOLE_H

#include "args.h"
#include "progress.h"

#include "base/error.h"
#include "base/log.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct console {
	bool quiet;
	bool verbose;
	bool json;
	struct progress progress;
	struct log *log;  /* owned; NULL until console_log_open() */
	int log_pipe[2];  /* owned; -1 while the log goes to standard error directly */
	bool output_lost; /* found by console_output_lost() */
};

void console_init(struct console *console, const struct args *args);
/*
 * Opens the log of engine and plug-ins. While a line of progress may stand on the terminal, the log goes through a pipe
 * and is written out between two drawings of that line.
 */
int console_log_open(struct console *console, const struct settings *settings, struct error *err);
void console_close(struct console *console);

/* Call before anything is written to standard output or error: takes the line of progress away. */
void console_ready(struct console *console);
void console_progress(struct console *console, const struct client_progress *now);
/* A warning, or what went wrong with one file; the job goes on. FAULT_NONE: nothing is lost by it. */
void console_message(struct console *console, enum log_level level, enum fault fault, const char *text);
/* What the program ends with. Without a text all was said before, and nothing is written. */
void console_error(struct console *console, const struct error *err);
/*
 * Whether standard output takes no more: its reader went, or its disk is full. A verb that does nothing but print ends
 * then; the cause is told once, by main().
 */
bool console_output_lost(struct console *console);

/* A name of any bytes, printable and never cut. */
void console_name(FILE *out, const char *bytes, size_t len);
/* What a fault is called in JSON: "connect", "refused", ... */
const char *console_fault_name(enum fault fault);

#endif
