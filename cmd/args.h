/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of `xfer`, parsed. One table of options (options.h) gives parser and help.
 */
#ifndef XFER_CMD_ARGS_H
#define XFER_CMD_ARGS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum verb {
	VERB_NONE,
	VERB_GET,
	VERB_PUT,
	VERB_VERIFY,
	VERB_LS,
	VERB_PING,
	VERB_DIGEST,
	VERB_PLUGINS,
	VERB_CLEAN,
	VERB_CHECK_PLUGIN,
	VERB_KEYGEN,
	VERB_COUNT
};

enum args_action { ARGS_RUN, ARGS_HELP, ARGS_VERSION };

struct args {
	enum args_action action;
	enum verb verb;  /* VERB_NONE: only with ARGS_HELP and ARGS_VERSION */
	char **operands; /* owned array, ended by NULL; the texts are argv's */
	size_t operand_count;
	/* Options of all verbs. The texts are argv's. */
	const char *config; /* -c; NULL = the system's and the user's */
	const char **sets;  /* owned array of "section.key=value" */
	size_t set_count;
	const char *transport; /* NULL = configured */
	const char *integrity; /* NAME[,NAME]; NULL = configured */
	uint64_t limit_rate;   /* bytes a second; 0 = none */
	unsigned streams;      /* sessions for one job; 0 = not said */
	bool quiet;
	bool verbose;
	bool json;
	bool no_progress;
	/* get, put */
	bool no_sync; /* --durability none */
	bool no_resume;
	bool update;
	bool checksum; /* --repair is both */
	/* ls */
	bool details;
	bool recursive;
	/* ping */
	uint64_t count;    /* 0 = until interrupted */
	uint64_t interval; /* ns; 0 = the liveness plug-in's */
	/* get, ls */
	uint64_t retries;    /* RETRY_TRIES_ANY = as often as there is time */
	uint64_t retry_for;  /* ns; 0 = never */
	bool retries_wanted; /* one of both was given: the first connection counts, too */
	/* clean */
	bool remove;
	int64_t older; /* seconds; negative = not given */
	/* check-plugin */
	const char *listen;  /* NULL = made up */
	const char *connect; /* NULL = where it listens */
	uint64_t deadline;   /* ns */
	/* keygen */
	const char *output; /* NULL = NAME.key; "-" = standard output */
	/* digest */
	uint32_t chunk_size; /* bytes; 0 = configured */
};

/* Every mistake is FAULT_USAGE. getopt(3) may change the order of argv. Not thread-safe, as getopt is not. */
int args_parse(struct args *out, int argc, char **argv, struct error *err);
void args_free(struct args *args);

const char *args_verb_name(enum verb verb);
/* The help of one verb, or with VERB_NONE that of the program. */
void args_help(FILE *out, enum verb verb);

#endif
