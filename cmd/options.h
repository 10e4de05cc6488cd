/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables behind the command line: verbs and options, for the parser, the help and the manual's test. */
#ifndef XFER_CMD_OPTIONS_H
#define XFER_CMD_OPTIONS_H

#include "args.h"

struct verb_row {
	const char *name;
	const char *operands;
	const char *summary;
	const char *missing; /* what to write instead when operands are missing */
	size_t min;
	size_t max;
};

#define FOR(verb) (1u << (verb))
#define FOR_ALL (~0u)

enum option_id {
	OPTION_FIRST = 256, /* above every letter */
	OPTION_CONFIG = OPTION_FIRST,
	OPTION_SET,
	OPTION_TRANSPORT,
	OPTION_INTEGRITY,
	OPTION_STREAMS,
	OPTION_LIMIT_RATE,
	OPTION_QUIET,
	OPTION_VERBOSE,
	OPTION_JSON,
	OPTION_NO_PROGRESS,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION_DURABILITY,
	OPTION_LONG,
	OPTION_RECURSIVE,
	OPTION_COUNT,
	OPTION_INTERVAL,
	OPTION_CHUNK_SIZE,
	OPTION_NO_RESUME,
	OPTION_UPDATE,
	OPTION_CHECKSUM,
	OPTION_REPAIR,
	OPTION_RETRIES,
	OPTION_RETRY_FOR,
	OPTION_REMOVE,
	OPTION_OLDER,
	OPTION_LISTEN,
	OPTION_CONNECT,
	OPTION_DEADLINE,
	OPTION_OUTPUT,
	OPTION_LAST
};

struct option_row {
	enum option_id id;
	char letter; /* 0 = none */
	const char *name;
	const char *value; /* what it takes, NULL = nothing */
	unsigned verbs;    /* FOR(verb) | ...; FOR_ALL: before the verb too */
	const char *help;
};

extern const struct verb_row verb_rows[VERB_COUNT];

/* Two rows may share a letter: the row of a verb stands first and hides the one of all. */
extern const struct option_row option_rows[];
enum { OPTION_ROWS = OPTION_LAST - OPTION_FIRST };

#endif
