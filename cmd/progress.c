/* SPDX-License-Identifier: BSD-2-Clause */
/* Draws the line of progress, or writes one now and then where there is no terminal. */
#include "progress.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024,
	PART_MAX = 160,
	COLUMNS_DEFAULT = 80,
	COLUMNS_LINES = 200 /* of a plain line, that no terminal bounds */
};

#define MEASURE_EVERY (200 * CLOCK_MS)
#define RATE_SECONDS 3.0 /* after so long the old rate counts for a third */

void progress_init(struct progress *progress, FILE *stream, enum progress_style style)
{
	*progress = (struct progress){ .stream = stream, .style = style, .next_line = PROGRESS_LINES_EVERY };
}

enum progress_style progress_style_of(FILE *stream)
{
	const char *terminal = getenv("TERM");

	if (!isatty(fileno(stream)) || terminal == NULL || strcmp(terminal, "dumb") == 0)
		return PROGRESS_LINES;
	return PROGRESS_TERMINAL;
}

void progress_measure(struct progress *progress, uint64_t elapsed, uint64_t bytes)
{
	if (elapsed < progress->last_time + MEASURE_EVERY)
		return;
	double seconds = (double)(elapsed - progress->last_time) / (double)CLOCK_SECOND;
	double moved = bytes > progress->last_bytes ? (double)(bytes - progress->last_bytes) : 0.0;

	/* 1 - exp(-t) without libm: t / (1 + t) is as smooth, and never above 1. */
	double weight = progress->last_time == 0 ? 1.0 : seconds / (seconds + RATE_SECONDS);
	progress->rate += weight * (moved / seconds - progress->rate);
	if (progress->rate < 1.0)
		progress->rate = 0.0;
	progress->last_time = elapsed;
	progress->last_bytes = bytes;
}

/* "0:07", "12:30", "3:05:00", "4 days" */
static void format_left(char out[PART_MAX], const struct client_progress *now, double rate)
{
	uint64_t rest = now->bytes_total > now->bytes ? now->bytes_total - now->bytes : 0;

	if (rest > 0 && rate <= 0.0) {
		snprintf(out, PART_MAX, "-:-- left");
		return;
	}
	double left = rest > 0 ? (double)rest / rate : 0.0;
	if (left > 99.0 * 24 * 3600) {
		snprintf(out, PART_MAX, "months left");
		return;
	}
	uint64_t seconds = (uint64_t)(left + 0.5);
	uint64_t hours = seconds / 3600;
	if (hours >= 48)
		snprintf(out, PART_MAX, "%" PRIu64 " days left", hours / 24);
	else if (hours > 0)
		snprintf(out, PART_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", hours, seconds / 60 % 60,
		         seconds % 60);
	else
		snprintf(out, PART_MAX, "%" PRIu64 ":%02" PRIu64 " left", seconds / 60, seconds % 60);
}

static void format_percent(char out[PART_MAX], const struct client_progress *now)
{
	unsigned percent;

	/* A tree of empty files has no bytes to count. */
	if (now->bytes_total > 0)
		percent = (unsigned)((double)now->bytes / (double)now->bytes_total * 100.0);
	else
		percent = (unsigned)((double)now->files / (double)now->files_total * 100.0);
	/* It is 100 when all is done, and a source that grew does not make it more. */
	bool done = now->bytes >= now->bytes_total && now->files >= now->files_total;
	if (percent > 99 && !done)
		percent = 99;
	snprintf(out, PART_MAX, "%3u%%", percent > 100 ? 100 : percent);
}

/* Characters of UTF-8 text; a character counts as one column. */
static size_t columns_of(const char *text)
{
	size_t columns = 0;
	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

/* Cuts at a character, so that at most `columns` are left. */
static void cut(char *text, size_t columns)
{
	for (; *text != '\0'; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80 && columns-- == 0) {
			*text = '\0';
			return;
		}
	}
}

enum part { PART_PERCENT, PART_BYTES, PART_RATE, PART_LEFT, PART_FILES, PART_RTT, PART_STALL, PARTS };

static void format_parts(char parts[PARTS][PART_MAX], const struct client_progress *now, double rate)
{
	char number[TEXT_NUMBER_MAX], total[TEXT_NUMBER_MAX];
	bool known = now->bytes_total > 0 || now->files_total > 0;

	if (known)
		format_percent(parts[PART_PERCENT], now);
	if (now->bytes_total > 0)
		snprintf(parts[PART_BYTES], PART_MAX, "%s of %s", text_human_size(number, now->bytes),
		         text_human_size(total, now->bytes_total));
	else
		snprintf(parts[PART_BYTES], PART_MAX, "%s", text_human_size(number, now->bytes));
	snprintf(parts[PART_RATE], PART_MAX, "%s/s", text_human_size(number, (uint64_t)rate));
	if (known)
		format_left(parts[PART_LEFT], now, rate);
	if (now->files_total > 0)
		snprintf(parts[PART_FILES], PART_MAX, "%" PRIu64 "/%" PRIu64 " file%s", now->files, now->files_total,
		         now->files_total == 1 ? "" : "s");
	else
		snprintf(parts[PART_FILES], PART_MAX, "%" PRIu64 " file%s", now->files, now->files == 1 ? "" : "s");
	if (now->rtt > 0)
		snprintf(parts[PART_RTT], PART_MAX, "rtt %.2f ms", (double)now->rtt / (double)CLOCK_MS);
	if (now->loss_ppm > 0 && now->rtt > 0) {
		size_t len = strlen(parts[PART_RTT]);
		snprintf(parts[PART_RTT] + len, PART_MAX - len, ", %.1f%% lost", (double)now->loss_ppm / 1e4);
	}
	if (now->stall != NULL)
		snprintf(parts[PART_STALL], PART_MAX, "%s", now->stall);
}

char *progress_format(char *out, size_t size, size_t columns, const struct client_progress *now, double rate)
{
	/* What goes first when there is no room; a stall is what everybody wants to know, and goes last. */
	static const enum part droppable[] = { PART_RTT, PART_FILES, PART_LEFT, PART_BYTES, PART_RATE, PART_PERCENT };
	char parts[PARTS][PART_MAX] = { "" };
	size_t dropped = 0;

	format_parts(parts, now, rate);
	for (;;) {
		size_t used = 0;
		out[0] = '\0';
		for (size_t i = 0; i < PARTS; i++) {
			if (parts[i][0] != '\0' && used < size)
				used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? "  " : "",
				                         parts[i]);
		}
		if (columns_of(out) <= columns || dropped == sizeof(droppable) / sizeof(droppable[0]))
			break;
		/* Never the last part: rather a cut line than an empty one. */
		enum part next = droppable[dropped++];
		if (next != PART_PERCENT || parts[PART_STALL][0] != '\0')
			parts[next][0] = '\0';
	}
	if (out[0] == '\0')
		snprintf(out, size, "%s", parts[PART_BYTES]);
	cut(out, columns);
	return out;
}

/* Asked each time, so that a changed window needs no signal. One column stays free: some terminals wrap in the last. */
static size_t terminal_columns(FILE *stream)
{
	struct winsize window;

	if (ioctl(fileno(stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
		return window.ws_col > 1 ? window.ws_col - 1u : 1;
	return COLUMNS_DEFAULT - 1;
}

void progress_update(struct progress *progress, const struct client_progress *now)
{
	char line[LINE_MAX_BYTES];

	progress_measure(progress, now->elapsed, now->bytes);
	switch (progress->style) {
	case PROGRESS_NONE: return;
	case PROGRESS_LINES:
		if (now->elapsed < progress->next_line)
			return;
		progress->next_line = now->elapsed + PROGRESS_LINES_EVERY;
		progress_format(line, sizeof(line), COLUMNS_LINES, now, progress->rate);
		fprintf(progress->stream, "%s\n", line + strspn(line, " "));
		break;
	case PROGRESS_TERMINAL:
		progress_format(line, sizeof(line), terminal_columns(progress->stream), now, progress->rate);
		fprintf(progress->stream, "\r%s\033[K", line);
		progress->shown = true;
		break;
	}
	fflush(progress->stream);
}

void progress_hide(struct progress *progress)
{
	if (!progress->shown)
		return;
	fputs("\r\033[K", progress->stream);
	fflush(progress->stream);
	progress->shown = false;
}
