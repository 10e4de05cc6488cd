/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command line of `xfer` knows, as tables, and the help that is printed from them. */
#include "options.h"

const struct verb_row verb_rows[VERB_COUNT] = {
	[VERB_GET] = { "get", "URL... DEST", "fetch files and trees, every chunk verified",
	               "write where from and where to: xfer get xfer://HOST/EXPORT/PATH DEST", 2, SIZE_MAX },
	[VERB_PUT] = { "put", "SRC... URL", "send files and trees, every chunk verified",
	               "write what to send and where to: xfer put SRC xfer://HOST/EXPORT/PATH", 2, SIZE_MAX },
	[VERB_VERIFY] = { "verify", "URL PATH", "compare a copy with what is served; moves no data",
	                  "write what to compare: xfer verify xfer://HOST/EXPORT/PATH PATH", 2, 2 },
	[VERB_LS] = { "ls", "URL", "list a folder, or the exports of a daemon",
	              "write what to list: xfer ls xfer://HOST/EXPORT/PATH", 1, 1 },
	[VERB_PING] = { "ping", "HOST[:PORT]", "round trips and loss by heartbeat", "write whom to ask: xfer ping HOST",
	                1, 1 },
	[VERB_DIGEST] = { "digest", "PATH...", "the digests that a daemon would give for local files",
	                  "write which files: xfer digest PATH...", 1, SIZE_MAX },
	[VERB_PLUGINS] = { "plugins", "[NAME|PATH]", "what is installed, where, with options and defaults", NULL, 0,
	                   1 },
	[VERB_CLEAN] = { "clean", "PATH...", "list and remove what abandoned transfers left",
	                 "write where to look: xfer clean . for this folder", 1, SIZE_MAX },
	[VERB_CHECK_PLUGIN] = { "check-plugin", "PATH [CHECK]...", "whether a plug-in does what it has to",
	                        "write which file: xfer check-plugin ./KIND-NAME.so", 1, SIZE_MAX },
	[VERB_KEYGEN] = { "keygen", "[NAME]", "make a key for the transport tls", NULL, 0, 1 },
};

const struct option_row option_rows[] = {
	{ OPTION_DURABILITY, 0, "durability", "HOW", FOR(VERB_GET) | FOR(VERB_PUT),
	  "none: done is said without waiting for the disk (default: full)" },
	{ OPTION_NO_RESUME, 0, "no-resume", NULL, FOR(VERB_GET) | FOR(VERB_PUT),
	  "begin anew, and leave nothing for another run to go on with" },
	{ OPTION_UPDATE, 'u', "update", NULL, FOR(VERB_GET) | FOR(VERB_PUT),
	  "leave files of the same size and time alone, move what differs" },
	{ OPTION_CHECKSUM, 0, "checksum", NULL, FOR(VERB_GET) | FOR(VERB_PUT),
	  "with --update: not size and time, but digests tell" },
	{ OPTION_REPAIR, 0, "repair", NULL, FOR(VERB_GET), "fetch what differs into files that are there" },
	{ OPTION_LONG, 'l', "long", NULL, FOR(VERB_LS), "mode, size and time of each entry, too" },
	{ OPTION_RECURSIVE, 'R', "recursive", NULL, FOR(VERB_LS), "everything below, too" },
	{ OPTION_COUNT, 'c', "count", "N", FOR(VERB_PING), "ask N times, then end (default: until interrupted)" },
	{ OPTION_INTERVAL, 'i', "interval", "SEC", FOR(VERB_PING),
	  "time between two questions: 0.2, 200ms (default: the plug-in's)" },
	{ OPTION_CHUNK_SIZE, 0, "chunk-size", "N", FOR(VERB_DIGEST),
	  "size of a chunk, 1K to 16M (default: configured)" },
	{ OPTION_RETRIES, 0, "retries", "N", FOR(VERB_GET) | FOR(VERB_PUT) | FOR(VERB_VERIFY) | FOR(VERB_LS),
	  "reconnect at most N times in a row (default: no limit)" },
	{ OPTION_RETRY_FOR, 0, "retry-for", "TIME", FOR(VERB_GET) | FOR(VERB_PUT) | FOR(VERB_VERIFY) | FOR(VERB_LS),
	  "reconnect for so long: 30s, 10m; 0: never (default: 2m)" },
	{ OPTION_REMOVE, 0, "remove", NULL, FOR(VERB_CLEAN), "remove it, do not only list it" },
	{ OPTION_OLDER, 0, "older", "TIME", FOR(VERB_CLEAN), "only what has not changed for so long: 12h, 7d" },
	{ OPTION_LISTEN, 0, "listen", "AUTHORITY", FOR(VERB_CHECK_PLUGIN),
	  "where a transport listens (default: a free port, or a path)" },
	{ OPTION_CONNECT, 0, "connect", "AUTHORITY", FOR(VERB_CHECK_PLUGIN),
	  "where a transport connects to (default: where it listens)" },
	{ OPTION_DEADLINE, 0, "deadline", "TIME", FOR(VERB_CHECK_PLUGIN),
	  "how long a check may take before it counts as hanging (default: 60s)" },
	{ OPTION_OUTPUT, 'o', "output", "FILE", FOR(VERB_KEYGEN),
	  "the new file; -: print the line (default: NAME.key)" },

	{ OPTION_CONFIG, 'c', "config", "FILE", FOR_ALL, "read FILE, not the system's and the user's configuration" },
	{ OPTION_SET, 0, "set", "S.K=V", FOR_ALL, "set one key: --set pipeline.chunk-size=4M" },
	{ OPTION_TRANSPORT, 0, "transport", "NAME", FOR_ALL, "carry bytes by this plug-in" },
	{ OPTION_INTEGRITY, 0, "integrity", "NAME[,NAME]", FOR_ALL,
	  "verify by these plug-ins, the first that both sides have" },
	{ OPTION_STREAMS, 0, "streams", "N", FOR_ALL, "sessions for one job, 1 to 64 (default: as many as help)" },
	{ OPTION_LIMIT_RATE, 0, "limit-rate", "RATE", FOR_ALL, "at most RATE bytes a second: 500K, 10M" },
	{ OPTION_QUIET, 'q', "quiet", NULL, FOR_ALL, "nothing but errors and what was asked for" },
	{ OPTION_VERBOSE, 'v', "verbose", NULL, FOR_ALL, "a line for each file, and at the end which stage limited" },
	{ OPTION_JSON, 0, "json", NULL, FOR_ALL, "one JSON object per line on standard output" },
	{ OPTION_NO_PROGRESS, 0, "no-progress", NULL, FOR_ALL, "no progress" },
	{ OPTION_VERSION, 0, "version", NULL, FOR_ALL, "print the version and end" },
	{ OPTION_HELP, 0, "help", NULL, FOR_ALL, "print this help and end" },
};
_Static_assert(sizeof(option_rows) / sizeof(option_rows[0]) == OPTION_ROWS, "a row for each option");

const char *args_verb_name(enum verb verb)
{
	return verb > VERB_NONE && verb < VERB_COUNT ? verb_rows[verb].name : "";
}

static void help_option(FILE *out, const struct option_row *row)
{
	char left[64];
	char letter[8] = "    ";

	if (row->letter != 0)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->name, row->value != NULL ? " " : "",
	         row->value != NULL ? row->value : "");
	fprintf(out, "  %-29s %s\n", left, row->help);
}

/* Those of one verb, or with VERB_NONE those of all. */
static void help_options(FILE *out, enum verb verb)
{
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		const struct option_row *row = &option_rows[i];
		if (verb == VERB_NONE ? row->verbs == FOR_ALL : row->verbs != FOR_ALL && (row->verbs & FOR(verb)) != 0)
			help_option(out, row);
	}
}

static void help_verb(FILE *out, enum verb verb)
{
	fprintf(out, "usage: xfer %s [OPTION]... %s\n", verb_rows[verb].name, verb_rows[verb].operands);
	fprintf(out, "%s\n\n", verb_rows[verb].summary);
	help_options(out, verb);
	if (verb == VERB_PING)
		fputs("\nBehind `ping`, -c is the number of questions; a configuration file goes before it,\n"
		      "or is named by --config.\n",
		      out);
	fputs("\nOptions of all verbs:\n", out);
	help_options(out, VERB_NONE);
}

void args_help(FILE *out, enum verb verb)
{
	if (verb > VERB_NONE && verb < VERB_COUNT) {
		help_verb(out, verb);
		return;
	}
	fputs("usage: xfer VERB [OPTION]... ARGUMENT...\n"
	      "moves files between machines in verified chunks\n\n",
	      out);
	for (verb = VERB_NONE + 1; verb < VERB_COUNT; verb++) {
		char left[64];
		snprintf(left, sizeof(left), "%s %s", verb_rows[verb].name, verb_rows[verb].operands);
		fprintf(out, "  %-28s %s\n", left, verb_rows[verb].summary);
	}
	for (verb = VERB_NONE + 1; verb < VERB_COUNT; verb++) {
		bool own = false;
		for (size_t i = 0; i < OPTION_ROWS; i++)
			own = own || (option_rows[i].verbs != FOR_ALL && (option_rows[i].verbs & FOR(verb)) != 0);
		if (!own)
			continue;
		fprintf(out, "\nOptions of %s:\n", verb_rows[verb].name);
		help_options(out, verb);
	}
	fputs("\nOptions of all verbs, before or behind the verb:\n", out);
	help_options(out, VERB_NONE);
	fputs("\nURL:  xfer://[USER@]HOST[:PORT]/EXPORT/PATH, or xfer+NAME://... for the transport NAME\n"
	      "Exit: 0 done, 1 some failed, 2 usage, 3 cannot connect, 4 refused, 5 integrity,\n"
	      "      6 peer dead, 7 local file, 8 source changed, 130 interrupted\n"
	      "More: man xfer\n",
	      out);
}
