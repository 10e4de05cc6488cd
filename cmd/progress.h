/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of progress of a whole job: what stands in it, how fast it changes, and how it fits the terminal. */
#ifndef XFER_CMD_PROGRESS_H
#define XFER_CMD_PROGRESS_H

#include "client/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum progress_style {
	PROGRESS_NONE,
	PROGRESS_LINES,   /* a whole line each PROGRESS_LINES_EVERY, no carriage returns: for logs and pipes */
	PROGRESS_TERMINAL /* one line that is drawn again and again */
};

#define PROGRESS_LINES_EVERY (10 * CLOCK_SECOND)

struct progress {
	FILE *stream; /* borrowed */
	enum progress_style style;
	bool shown;         /* a line stands on the terminal, the cursor behind it */
	double rate;        /* bytes a second, smoothed; 0 = not known yet */
	uint64_t last_time; /* ns since the job began, when the rate was last measured */
	uint64_t last_bytes;
	uint64_t next_line; /* ns since the job began: when PROGRESS_LINES writes again */
};

void progress_init(struct progress *progress, FILE *stream, enum progress_style style);
/* TERMINAL where the stream is a terminal that can clear a line, LINES elsewhere. */
enum progress_style progress_style_of(FILE *stream);
void progress_update(struct progress *progress, const struct client_progress *now);
/* Clears the line, so that something else can be written; the next update draws it again. */
void progress_hide(struct progress *progress);

/* The parts, for progress_update() and the tests. */

/* Follows the rate: what happened within the last seconds counts most. */
void progress_measure(struct progress *progress, uint64_t elapsed, uint64_t bytes);
/*
 * One line, at most `columns` wide (as far as one character is one column) and size - 1 bytes long: the less important
 * parts go first when it does not fit. Returns out.
 */
char *progress_format(char *out, size_t size, size_t columns, const struct client_progress *now, double rate);

#endif
