/* SPDX-License-Identifier: BSD-2-Clause */
/* Standard output and error of `xfer`: messages, errors, and the log, beside a line of progress. */
#include "console.h"

#include "json.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void console_init(struct console *console, const struct args *args)
{
	enum progress_style style = args->quiet || args->no_progress ? PROGRESS_NONE : progress_style_of(stderr);

	*console = (struct console){
		.quiet = args->quiet, .verbose = args->verbose, .json = args->json, .log_pipe = { -1, -1 }
	};
	progress_init(&console->progress, stderr, style);
	/* An answer of ping or a finished file is seen when it comes, in a pipe too; `ls` sets its own. */
	setvbuf(stdout, NULL, _IOLBF, 0);
}

int console_log_open(struct console *console, const struct settings *settings, struct error *err)
{
	enum log_level level = settings->log_level;
	int fd = STDERR_FILENO;

	/* log-level is the daemon's as well: its reports of an ordinary day are not for a user who did not ask. */
	if (!console->verbose && level > LOG_LEVEL_WARN)
		level = LOG_LEVEL_WARN;
	if (console->quiet)
		level = LOG_LEVEL_ERROR;
	if (console->progress.style == PROGRESS_TERMINAL) {
		/* Not blocking: the thread that writes the log is the one that would empty the pipe. */
		if (pipe2(console->log_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
			return error_system(err, -errno, FAULT_LOCAL, "cannot make a pipe for the log");
		fd = console->log_pipe[1];
	}
	int code = log_create(&console->log, "xfer", fd, level, settings->log_format);
	if (code < 0)
		return error_system(err, code, FAULT_LOCAL, "cannot open the log");
	return 0;
}

/* Hands on what waits in the pipe; true when there was something. */
static void log_drain(struct console *console)
{
	char bytes[4096];
	ssize_t len;

	if (console->log_pipe[0] < 0)
		return;
	while ((len = read(console->log_pipe[0], bytes, sizeof(bytes))) > 0) {
		progress_hide(&console->progress);
		fwrite(bytes, 1, (size_t)len, stderr);
	}
}

void console_close(struct console *console)
{
	console_ready(console);
	log_destroy(console->log);
	for (size_t i = 0; i < 2; i++) {
		if (console->log_pipe[i] >= 0)
			close(console->log_pipe[i]);
		console->log_pipe[i] = -1;
	}
	console->log = NULL;
}

void console_ready(struct console *console)
{
	progress_hide(&console->progress);
	log_drain(console);
}

void console_progress(struct console *console, const struct client_progress *now)
{
	log_drain(console);
	progress_update(&console->progress, now);
}

void console_message(struct console *console, enum log_level level, enum fault fault, const char *text)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	struct json json;

	if (fault == FAULT_NONE &&
	    ((level >= LOG_LEVEL_DEBUG && !console->verbose) || (level >= LOG_LEVEL_WARN && console->quiet)))
		return;
	console_ready(console);
	fprintf(stderr, "xfer: %s%s\n", level == LOG_LEVEL_WARN && fault == FAULT_NONE ? "warning: " : "", text);
	if (console->json) {
		json_begin(&json, stdout, "message");
		json_text(&json, "level", level <= LOG_LEVEL_DEBUG ? levels[level] : "error");
		json_number(&json, "status", (uint64_t)fault);
		json_text(&json, "cause", console_fault_name(fault));
		json_text(&json, "text", text);
		json_end(&json);
	}
}

void console_error(struct console *console, const struct error *err)
{
	struct json json;

	if (err->text[0] == '\0')
		return;
	console_ready(console);
	/* Results that were printed before stand before the error where both go to one place. */
	fflush(stdout);
	fprintf(stderr, "xfer: %s\n", err->text);
	if (console->json) {
		json_begin(&json, stdout, "error");
		json_number(&json, "status", (uint64_t)err->fault);
		json_text(&json, "cause", console_fault_name(err->fault));
		json_text(&json, "text", err->text);
		json_end(&json);
	}
}

bool console_output_lost(struct console *console)
{
	console->output_lost = console->output_lost || ferror(stdout) != 0;
	return console->output_lost;
}

void console_name(FILE *out, const char *bytes, size_t len)
{
	size_t size = 4 * len + 4; /* each byte becomes four at most */
	char *text = malloc(size);

	fputs(text != NULL ? text_printable(text, size, bytes, len) : "(out of memory)", out);
	free(text);
}

const char *console_fault_name(enum fault fault)
{
	switch (fault) {
	case FAULT_NONE: return "none";
	case FAULT_MIXED: return "mixed";
	case FAULT_USAGE: return "usage";
	case FAULT_CONNECT: return "connect";
	case FAULT_REFUSED: return "refused";
	case FAULT_INTEGRITY: return "integrity";
	case FAULT_PEER: return "peer";
	case FAULT_LOCAL: return "local";
	case FAULT_CHANGED: return "changed";
	case FAULT_INTERRUPTED: return "interrupted";
	}
	return "other";
}
