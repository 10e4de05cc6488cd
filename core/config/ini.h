/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads an INI file line by line over inih, and refuses what inih would let pass: over-long lines (it splits them),
 * names that it would cut, NUL bytes, text behind a heading, a section or a key that stands there twice.
 */
#ifndef XFER_CONFIG_INI_H
#define XFER_CONFIG_INI_H

#include "base/error.h"

/* A heading (key and value are NULL) or one key of its section. All texts are valid until the call returns. */
struct ini_line {
	const char *file;
	unsigned line; /* counted from 1 */
	const char *section;
	const char *key;
	const char *value; /* without the blanks around it and without a trailing " ; comment" */
};

/* Takes a line, or returns -errno; file and line are put in front of its error. */
typedef int ini_take(void *context, const struct ini_line *line, struct error *err);

/* The first mistake ends it. Every error is FAULT_USAGE; -ENOENT when the file is not there. */
int ini_read(const char *path, ini_take *take, void *context, struct error *err);

#endif
