/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses the command line of `xfer` by its tables, with getopt_long(3), and explains every mistake. */
#include "args.h"

#include "options.h"

#include "base/clock.h"
#include "base/text.h"
#include "client/client.h"
#include "client/retry.h"
#include "wire/frame.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 160 }; /* bytes of an argument in a message */

#define PING_INTERVAL_MIN (1 * CLOCK_MS)
#define PING_INTERVAL_MAX (3600 * CLOCK_SECOND)
#define RETRY_FOR_DEFAULT (120 * CLOCK_SECOND)
#define DEADLINE_DEFAULT (60 * CLOCK_SECOND)
#define RETRY_FOR_MAX (365 * 86400 * CLOCK_SECOND)

struct parse {
	struct args *args;
	enum verb verb; /* whose options are valid; VERB_NONE: before the verb */
	char who[24];   /* "get: ", or "" before the verb; in front of messages */
	char letters[2 * OPTION_ROWS + 4];
	struct option longs[OPTION_ROWS + 1];
	struct error *err;
};

static const char *shown(char out[SHOWN_MAX], const char *text)
{
	return text_printable(out, SHOWN_MAX, text, strlen(text));
}

static const struct option_row *row_of_letter(const struct parse *parse, int letter)
{
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		if (letter != 0 && option_rows[i].letter == letter && (option_rows[i].verbs & FOR(parse->verb)) != 0)
			return &option_rows[i];
	}
	return NULL;
}

static const struct option_row *row_of_id(int id)
{
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		if ((int)option_rows[i].id == id)
			return &option_rows[i];
	}
	return NULL;
}

/* What getopt_long() wants to know about the options that are valid here. */
static void parse_tables(struct parse *parse)
{
	char *letter = parse->letters;
	struct option *entry = parse->longs;

	/* '+' before the verb: stop there. ':' tells a missing value from an unknown option. */
	if (parse->verb == VERB_NONE)
		*letter++ = '+';
	*letter++ = ':';
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		const struct option_row *row = &option_rows[i];
		if ((row->verbs & FOR(parse->verb)) == 0)
			continue;
		*entry++ = (struct option){ row->name, row->value != NULL ? required_argument : no_argument, NULL,
			                    (int)row->id };
		if (row->letter != 0 && row_of_letter(parse, row->letter) == row) {
			*letter++ = row->letter;
			if (row->value != NULL)
				*letter++ = ':';
		}
	}
	*letter = '\0';
	*entry = (struct option){ 0 };
}

static int refuse(const struct parse *parse, const char *option, const char *value, const char *cause)
{
	char as_shown[SHOWN_MAX];
	return error_set(parse->err, -EINVAL, FAULT_USAGE, "%s--%s %s: %s", parse->who, option, shown(as_shown, value),
	                 cause);
}

static int take_streams(const struct parse *parse, const char *value)
{
	int64_t number;

	if (text_parse_int(value, &number) < 0 || number < 1 || number > STREAMS_MAX)
		return refuse(parse, "streams", value, "it takes a number from 1 to 64");
	parse->args->streams = (unsigned)number;
	return 0;
}

/* ping(8)'s seconds ("0.2") or a duration with its unit ("200ms"). */
static int take_interval(const struct parse *parse, const char *value)
{
	char *end;
	uint64_t ns;

	if (*value != '\0' && value[strspn(value, "0123456789.")] == '\0') {
		double seconds = strtod(value, &end);
		if (*end != '\0' || !(seconds >= 0.0 && seconds <= 1e6))
			return refuse(parse, "interval", value,
			              "it takes seconds (0.2) or a time with its unit (200ms)");
		ns = (uint64_t)(seconds * (double)CLOCK_SECOND + 0.5);
	} else if (text_parse_duration(value, &ns) < 0) {
		return refuse(parse, "interval", value, "it takes seconds (0.2) or a time with its unit (200ms)");
	}
	if (ns < PING_INTERVAL_MIN || ns > PING_INTERVAL_MAX)
		return refuse(parse, "interval", value, "it is between 1ms and 1h");
	parse->args->interval = ns;
	return 0;
}

static int take_count(const struct parse *parse, const char *value)
{
	int64_t number;

	if (text_parse_int(value, &number) < 0 || number < 1 || number > UINT32_MAX)
		return refuse(
			parse, "count", value,
			"it takes a number from 1 on; a configuration file goes before the verb, or behind --config");
	parse->args->count = (uint64_t)number;
	return 0;
}

static int take_retries(const struct parse *parse, const char *value)
{
	int64_t number;

	if (text_parse_int(value, &number) < 0 || number < 0 || number > UINT32_MAX)
		return refuse(parse, "retries", value, "it takes a number; 0 is never");
	parse->args->retries = (uint64_t)number;
	parse->args->retries_wanted = true;
	return 0;
}

static int take_retry_for(const struct parse *parse, const char *value)
{
	uint64_t ns;

	if (text_parse_duration(value, &ns) < 0 || ns > RETRY_FOR_MAX)
		return refuse(parse, "retry-for", value, "it takes a time with its unit, as in 30s or 10m; 0 is never");
	parse->args->retry_for = ns;
	parse->args->retries_wanted = true;
	return 0;
}

static int take_older(const struct parse *parse, const char *value)
{
	uint64_t ns;

	if (text_parse_duration(value, &ns) < 0)
		return refuse(parse, "older", value, "it takes a time with its unit, as in 12h or 7d");
	parse->args->older = (int64_t)(ns / CLOCK_SECOND);
	return 0;
}

static int take_deadline(const struct parse *parse, const char *value)
{
	if (text_parse_duration(value, &parse->args->deadline) < 0 || parse->args->deadline == 0)
		return refuse(parse, "deadline", value, "it takes a time with its unit, as in 30s or 5m");
	return 0;
}

static int take_set(const struct parse *parse, const char *value)
{
	struct args *args = parse->args;
	const char *dot = strchr(value, '.');
	const char *equals = strchr(value, '=');

	if (dot == NULL || equals == NULL || dot > equals || dot == value)
		return refuse(parse, "set", value, "it takes SECTION.KEY=VALUE, as in pipeline.chunk-size=4M");
	const char **sets = reallocarray(args->sets, args->set_count + 1, sizeof(*sets));
	if (sets == NULL)
		return error_set(parse->err, -ENOMEM, FAULT_LOCAL, "out of memory");
	args->sets = sets;
	sets[args->set_count++] = value;
	return 0;
}

static int take_option(const struct parse *parse, enum option_id id, const char *value)
{
	struct args *args = parse->args;
	uint64_t size;

	switch (id) {
	case OPTION_CONFIG: args->config = value; return 0;
	case OPTION_SET: return take_set(parse, value);
	case OPTION_TRANSPORT: args->transport = value; return 0;
	case OPTION_INTEGRITY: args->integrity = value; return 0;
	case OPTION_STREAMS: return take_streams(parse, value);
	case OPTION_LIMIT_RATE:
		if (text_parse_size(value, &args->limit_rate) < 0)
			return refuse(parse, "limit-rate", value, "it takes bytes a second, as in 500K or 10M");
		return 0;
	case OPTION_QUIET:
		args->quiet = true;
		args->verbose = false;
		return 0;
	case OPTION_VERBOSE:
		args->verbose = true;
		args->quiet = false;
		return 0;
	case OPTION_JSON: args->json = true; return 0;
	case OPTION_NO_PROGRESS: args->no_progress = true; return 0;
	case OPTION_DURABILITY:
		if (strcmp(value, "none") != 0 && strcmp(value, "full") != 0)
			return refuse(parse, "durability", value, "it is full or none");
		args->no_sync = strcmp(value, "none") == 0;
		return 0;
	case OPTION_LONG: args->details = true; return 0;
	case OPTION_RECURSIVE: args->recursive = true; return 0;
	case OPTION_COUNT: return take_count(parse, value);
	case OPTION_INTERVAL: return take_interval(parse, value);
	case OPTION_CHUNK_SIZE:
		if (text_parse_size(value, &size) < 0 || size < FRAME_CHUNK_MIN_SIZE || size > FRAME_CHUNK_MAX_SIZE ||
		    size % FRAME_CHUNK_MIN_SIZE != 0)
			return refuse(parse, "chunk-size", value, "it takes a size from 1K to 16M, a multiple of 1K");
		args->chunk_size = (uint32_t)size;
		return 0;
	case OPTION_NO_RESUME: args->no_resume = true; return 0;
	case OPTION_UPDATE: args->update = true; return 0;
	case OPTION_CHECKSUM: args->checksum = true; return 0;
	case OPTION_REPAIR:
		args->update = true;
		args->checksum = true;
		return 0;
	case OPTION_RETRIES: return take_retries(parse, value);
	case OPTION_RETRY_FOR: return take_retry_for(parse, value);
	case OPTION_REMOVE: args->remove = true; return 0;
	case OPTION_OLDER: return take_older(parse, value);
	case OPTION_OUTPUT: args->output = value; return 0;
	case OPTION_LISTEN: args->listen = value; return 0;
	case OPTION_CONNECT: args->connect = value; return 0;
	case OPTION_DEADLINE: return take_deadline(parse, value);
	case OPTION_HELP: args->action = ARGS_HELP; return 0;
	case OPTION_VERSION:
		if (args->action == ARGS_RUN)
			args->action = ARGS_VERSION;
		return 0;
	case OPTION_LAST: break;
	}
	return 0;
}

/* Whose option is it, when it is not one of this verb? For a hint. */
static const struct option_row *row_elsewhere(const char *name, size_t len, int letter)
{
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		if (name != NULL ? strlen(option_rows[i].name) == len && strncmp(option_rows[i].name, name, len) == 0
		                 : option_rows[i].letter == letter)
			return &option_rows[i];
	}
	return NULL;
}

/* getopt_long() says '?': an option that is unknown, abbreviated beyond recognition, or given a value it does not take. */
static int refuse_unknown(const struct parse *parse, const char *word)
{
	char as_shown[SHOWN_MAX];
	const struct option_row *row = row_of_id(optopt);
	const char *verb = parse->verb != VERB_NONE ? args_verb_name(parse->verb) : "";
	char what[SHOWN_MAX + 8];

	if (row != NULL)
		return error_set(parse->err, -EINVAL, FAULT_USAGE, "%soption --%s takes no value", parse->who,
		                 row->name);
	if (optopt != 0) {
		char letter = (char)optopt;
		snprintf(what, sizeof(what), "-%s", text_printable(as_shown, sizeof(as_shown), &letter, 1));
		row = row_elsewhere(NULL, 0, optopt);
	} else {
		snprintf(what, sizeof(what), "%s", shown(as_shown, word));
		row = strncmp(word, "--", 2) == 0 ? row_elsewhere(word + 2, strcspn(word + 2, "="), 0) : NULL;
	}
	for (enum verb other = VERB_NONE + 1; row != NULL && other < VERB_COUNT; other++) {
		if ((row->verbs & FOR(other)) != 0)
			return error_set(parse->err, -EINVAL, FAULT_USAGE,
			                 "%soption %s belongs to `xfer %s`%s; see `xfer %s%s--help`", parse->who, what,
			                 args_verb_name(other), parse->verb == VERB_NONE ? " and stands behind it" : "",
			                 verb, *verb != '\0' ? " " : "");
	}
	return error_set(parse->err, -EINVAL, FAULT_USAGE,
	                 "%sthere is no option %s (or it is short for more than one); see `xfer %s%s--help`",
	                 parse->who, what, verb, *verb != '\0' ? " " : "");
}

/* Options up to the verb (VERB_NONE) or to the end; `optind` then stands at the first operand. */
static int parse_options(struct parse *parse, int argc, char **argv)
{
	int id;

	parse_tables(parse);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	for (;;) {
		optopt = 0;
		id = getopt_long(argc, argv, parse->letters, parse->longs, NULL);
		if (id < 0)
			return 0;
		/* The word behind which getopt() stands, save in the middle of "-abc"; then optopt says the letter. */
		const char *word = argv[optind > 0 ? optind - 1 : 0];
		if (id == '?')
			return refuse_unknown(parse, word);
		const struct option_row *row = id == ':' ? NULL : id < 256 ? row_of_letter(parse, id) : row_of_id(id);
		if (id == ':')
			row = optopt < 256 ? row_of_letter(parse, optopt) : row_of_id(optopt);
		if (row == NULL)
			return refuse_unknown(parse, word);
		if (id == ':')
			return error_set(parse->err, -EINVAL, FAULT_USAGE, "%soption --%s needs a value: --%s %s",
			                 parse->who, row->name, row->name, row->value);
		int code = take_option(parse, row->id, optarg);
		if (code < 0)
			return code;
	}
}

static int parse_verb(const char *word, enum verb *out, struct error *err)
{
	char as_shown[SHOWN_MAX];
	char known[128] = "";
	size_t used = 0;

	for (enum verb verb = VERB_NONE + 1; verb < VERB_COUNT; verb++) {
		if (strcmp(word, verb_rows[verb].name) == 0) {
			*out = verb;
			return 0;
		}
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used > 0 ? ", " : "",
		                         verb_rows[verb].name);
	}
	if (strstr(word, "://") != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "'%s': a verb comes first, as in `xfer get URL DEST`; verbs are %s",
		                 shown(as_shown, word), known);
	return error_set(err, -EINVAL, FAULT_USAGE, "there is no verb '%s'; verbs are %s", shown(as_shown, word),
	                 known);
}

static int check_operands(const struct args *args, struct error *err)
{
	char as_shown[SHOWN_MAX];
	const struct verb_row *verb = &verb_rows[args->verb];

	if (args->operand_count < verb->min)
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: %s", verb->name, verb->missing);
	if (args->operand_count > verb->max)
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: '%s' is one too many: it takes %s", verb->name,
		                 shown(as_shown, args->operands[verb->max]), verb->operands);
	for (size_t i = 0; i < args->operand_count; i++) {
		if (*args->operands[i] == '\0')
			return error_set(err, -EINVAL, FAULT_USAGE, "%s: argument %zu is empty", verb->name, i + 1);
	}
	return 0;
}

static int parse_all(struct args *args, int argc, char **argv, struct error *err)
{
	struct parse parse = { .args = args, .verb = VERB_NONE, .err = err };
	int code = parse_options(&parse, argc, argv);

	if (code < 0)
		return code;
	if (optind >= argc) {
		if (args->action != ARGS_RUN)
			return 0;
		return error_set(err, -EINVAL, FAULT_USAGE, "what shall be done? See `xfer --help`");
	}
	/* An action stands even before a word that is no verb. */
	code = parse_verb(argv[optind], &args->verb, args->action == ARGS_RUN ? err : NULL);
	if (code < 0)
		return args->action == ARGS_RUN ? code : 0;

	argv += optind;
	argc -= optind;
	parse.verb = args->verb;
	snprintf(parse.who, sizeof(parse.who), "%s: ", args_verb_name(args->verb));
	code = parse_options(&parse, argc, argv);
	if (code < 0 || args->action != ARGS_RUN)
		return code;

	args->operand_count = (size_t)(argc - optind);
	args->operands = calloc(args->operand_count + 1, sizeof(*args->operands));
	if (args->operands == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	for (size_t i = 0; i < args->operand_count; i++)
		args->operands[i] = argv[optind + (int)i];
	return check_operands(args, err);
}

int args_parse(struct args *out, int argc, char **argv, struct error *err)
{
	struct args args = {
		.verb = VERB_NONE,
		.older = -1,
		.retries = RETRY_TRIES_ANY,
		.retry_for = RETRY_FOR_DEFAULT,
		.deadline = DEADLINE_DEFAULT,
	};
	int code = parse_all(&args, argc, argv, err);

	if (code < 0)
		args_free(&args);
	else
		*out = args;
	return code;
}

void args_free(struct args *args)
{
	free(args->operands);
	free(args->sets);
	*args = (struct args){ 0 };
}
