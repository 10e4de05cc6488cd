/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: what is understood, and what is refused in which words. */
#include "unit.h"

#include "base/clock.h"
#include "client/retry.h"
#include "cmd/args.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 32 };

/* Splits at spaces ("~" stands for an empty word) and parses. getopt() may move the pointers, not the bytes. */
static int parse(struct args *out, char *line, struct error *err)
{
	static char empty[1];
	char *argv[WORDS_MAX + 1];
	int argc = 0;
	char *rest = NULL;

	error_clear(err);
	for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = strcmp(word, "~") == 0 ? empty : word;
	}
	argv[argc] = NULL;
	return args_parse(out, argc, argv, err);
}

static void refused(const char *text, const char *words)
{
	char line[512];
	struct args args = { .verb = VERB_PING };
	struct error err;

	strcpy(line, text);
	assert_true(parse(&args, line, &err) < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_contains(err.text, words);
	assert_null(strchr(err.text, '\n'));
	assert_int_equal(args.verb, VERB_PING); /* untouched */
}

#define GOOD(name, text)                                                                                               \
	char name##_line[] = text;                                                                                     \
	struct args name;                                                                                              \
	struct error name##_err;                                                                                       \
	assert_int_equal(parse(&name, name##_line, &name##_err), 0)

static void test_get(void **state)
{
	(void)state;
	GOOD(args, "xfer get xfer://h/a xfer://h/b dest");
	assert_int_equal(args.action, ARGS_RUN);
	assert_int_equal(args.verb, VERB_GET);
	assert_int_equal(args.operand_count, 3);
	assert_string_equal(args.operands[0], "xfer://h/a");
	assert_string_equal(args.operands[2], "dest");
	assert_null(args.operands[3]);
	assert_null(args.config);
	assert_int_equal(args.set_count, 0);
	assert_int_equal(args.limit_rate, 0);
	assert_false(args.quiet || args.verbose || args.json || args.no_progress);
	args_free(&args);
	assert_null(args.operands);
}

static void test_common_everywhere(void **state)
{
	(void)state;
	GOOD(args, "xfer -c f.ini --set core.threads=2 -q get --json url --limit-rate 10M --set=a.b.c=d=e dest "
	           "--transport tls --integrity sha256,none --streams 1 --no-progress");
	assert_string_equal(args.config, "f.ini");
	assert_int_equal(args.set_count, 2);
	assert_string_equal(args.sets[0], "core.threads=2");
	assert_string_equal(args.sets[1], "a.b.c=d=e");
	assert_true(args.quiet && args.json && args.no_progress);
	assert_false(args.verbose);
	assert_int_equal(args.limit_rate, 10 << 20);
	assert_string_equal(args.transport, "tls");
	assert_string_equal(args.integrity, "sha256,none");
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[0], "url");
	assert_string_equal(args.operands[1], "dest");
	args_free(&args);
}

static void test_last_of_quiet_and_verbose(void **state)
{
	(void)state;
	GOOD(args, "xfer -q digest -v f");
	assert_true(args.verbose);
	assert_false(args.quiet);
	args_free(&args);
}

static void test_dashes(void **state)
{
	(void)state;
	GOOD(args, "xfer get -q -- url -dest");
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[1], "-dest");
	args_free(&args);
	GOOD(before, "xfer -q -- digest -- --json");
	assert_int_equal(before.verb, VERB_DIGEST);
	assert_false(before.json);
	assert_string_equal(before.operands[0], "--json");
	args_free(&before);
}

static void test_ls(void **state)
{
	(void)state;
	GOOD(args, "xfer ls -lR xfer://h/");
	assert_true(args.details && args.recursive);
	args_free(&args);
}

static void test_retries(void **state)
{
	(void)state;
	GOOD(none, "xfer get xfer://h/a dest");
	assert_true(none.retries == RETRY_TRIES_ANY);
	assert_int_equal(none.retry_for, 120 * CLOCK_SECOND);
	assert_false(none.retries_wanted);
	args_free(&none);
	GOOD(both, "xfer get xfer://h/a --retries 7 --retry-for 10m dest");
	assert_int_equal(both.retries, 7);
	assert_int_equal(both.retry_for, 600 * CLOCK_SECOND);
	assert_true(both.retries_wanted);
	args_free(&both);
	GOOD(never, "xfer ls --retry-for 0 xfer://h/a");
	assert_int_equal(never.retry_for, 0);
	assert_true(never.retries_wanted);
	args_free(&never);
	refused("xfer get --retry-for 10 a b", "time with its unit");
	refused("xfer get --retry-for 400d a b", "time with its unit");
	refused("xfer get --retries -1 a b", "0 is never");
	refused("xfer get --retries many a b", "0 is never");
	refused("xfer ping --retries 1 h", "belongs to `xfer get`");
}

static void test_ping(void **state)
{
	(void)state;
	GOOD(args, "xfer ping -c 3 -i 0.2 host");
	assert_int_equal(args.count, 3);
	assert_int_equal(args.interval, 200 * CLOCK_MS);
	assert_null(args.config);
	args_free(&args);
	/* Before the verb -c is the configuration, as everywhere. */
	GOOD(both, "xfer -c f.ini ping host -c 4 -i 50ms");
	assert_string_equal(both.config, "f.ini");
	assert_int_equal(both.count, 4);
	assert_int_equal(both.interval, 50 * CLOCK_MS);
	args_free(&both);
	GOOD(long_form, "xfer ping --config f.ini --count 5 --interval 1 host");
	assert_string_equal(long_form.config, "f.ini");
	assert_int_equal(long_form.count, 5);
	assert_int_equal(long_form.interval, CLOCK_SECOND);
	args_free(&long_form);
	GOOD(none, "xfer ping host");
	assert_int_equal(none.count, 0);
	assert_int_equal(none.interval, 0);
	args_free(&none);
}

static void test_digest(void **state)
{
	(void)state;
	GOOD(args, "xfer digest --chunk-size 64K a b");
	assert_int_equal(args.chunk_size, 65536);
	args_free(&args);
	GOOD(largest, "xfer digest --chunk-size 16M a");
	assert_int_equal(largest.chunk_size, 16 << 20);
	args_free(&largest);
}

static void test_plugins(void **state)
{
	(void)state;
	GOOD(all, "xfer plugins");
	assert_int_equal(all.operand_count, 0);
	assert_null(all.operands[0]);
	args_free(&all);
	GOOD(one, "xfer plugins sha256 --json");
	assert_string_equal(one.operands[0], "sha256");
	args_free(&one);
}

static void test_help_and_version(void **state)
{
	(void)state;
	GOOD(help, "xfer --help");
	assert_int_equal(help.action, ARGS_HELP);
	assert_int_equal(help.verb, VERB_NONE);
	GOOD(verb, "xfer get --help");
	assert_int_equal(verb.action, ARGS_HELP);
	assert_int_equal(verb.verb, VERB_GET);
	GOOD(before, "xfer --help ping");
	assert_int_equal(before.verb, VERB_PING);
	GOOD(unknown, "xfer --help nonsense");
	assert_int_equal(unknown.verb, VERB_NONE);
	GOOD(version, "xfer --version");
	assert_int_equal(version.action, ARGS_VERSION);
	GOOD(both, "xfer get --version --help");
	assert_int_equal(both.action, ARGS_HELP);
}

static void test_usage_errors(void **state)
{
	(void)state;
	refused("xfer", "xfer --help");
	refused("xfer fetch a xfer://h/b",
	        "there is no verb 'fetch'; verbs are get, put, verify, ls, ping, digest, plugins, clean");
	refused("xfer put xfer://h/b", "xfer put SRC xfer://HOST/EXPORT/PATH");
	refused("xfer put --durability some a xfer://h/b", "it is full or none");
	refused("xfer ls --durability none xfer://h/b", "belongs to `xfer get`");
	refused("xfer xfer://h/b .", "a verb comes first");
	refused("xfer get", "get: write where from");
	refused("xfer get url", "get: write where from");
	refused("xfer get ~ dest", "argument 1 is empty");
	refused("xfer ls", "ls: write what to list");
	refused("xfer ls a b", "ls: 'b' is one too many");
	refused("xfer ping a b", "'b' is one too many");
	refused("xfer digest", "digest: write which files");
	refused("xfer plugins a b", "'b' is one too many: it takes [NAME|PATH]");
}

static void test_option_errors(void **state)
{
	(void)state;
	refused("xfer --nonsense get", "there is no option --nonsense");
	refused("xfer get --nonsense a b", "get: there is no option --nonsense");
	refused("xfer get -x a b", "get: there is no option -x");
	refused("xfer get -qx a b", "there is no option -x");
	refused("xfer get -l a b", "option -l belongs to `xfer ls`");
	refused("xfer get --recursive a b", "option --recursive belongs to `xfer ls`");
	refused("xfer -i 3 ping host", "option -i belongs to `xfer ping` and stands behind it");
	refused("xfer get a b --chunk-size=4K", "belongs to `xfer digest`");
	refused("xfer get a b --set", "option --set needs a value: --set S.K=V");
	refused("xfer ping host -c", "option --count needs a value");
	refused("xfer -c", "option --config needs a value");
	refused("xfer get --json=yes a b", "option --json takes no value");
	refused("xfer get --s a b", "short for more than one");
}

static void test_value_errors(void **state)
{
	(void)state;
	refused("xfer get --streams 65 a b", "--streams 65: it takes a number from 1 to 64");
	refused("xfer get --streams 0 a b", "--streams 0: it takes a number from 1");
	refused("xfer get --streams x a b", "it takes a number from 1");
	refused("xfer get --limit-rate fast a b", "--limit-rate fast");
	refused("xfer get --set nonsense a b", "SECTION.KEY=VALUE");
	refused("xfer get --set a=b.c a b", "SECTION.KEY=VALUE");
	refused("xfer ping -c 0 h", "--count 0");
	refused("xfer ping -c -3 h", "--count -3");
	refused("xfer ping -c my.ini h", "--config");
	refused("xfer ping -i 0 h", "between 1ms and 1h");
	refused("xfer ping -i 2h h", "between 1ms and 1h");
	refused("xfer ping -i fast h", "--interval fast");
	refused("xfer ping -i 1.2.3 h", "--interval 1.2.3");
	refused("xfer ping -i . h", "--interval .");
	refused("xfer digest --chunk-size 1023 f", "from 1K to 16M");
	refused("xfer digest --chunk-size 17M f", "from 1K to 16M");
	refused("xfer digest --chunk-size 1025 f", "a multiple of 1K");
	refused("xfer digest --chunk-size x f", "from 1K to 16M");
}

static void test_keygen(void **state)
{
	(void)state;
	GOOD(none, "xfer keygen");
	assert_null(none.output);
	args_free(&none);
	GOOD(args, "xfer keygen -o file laptop");
	assert_string_equal(args.output, "file");
	assert_int_equal(args.operand_count, 1);
	args_free(&args);
	refused("xfer keygen a b", "'b' is one too many");
	refused("xfer get -o file a b", "option -o belongs to `xfer keygen`");
}

static void test_clean(void **state)
{
	(void)state;
	GOOD(args, "xfer clean a b");
	assert_false(args.remove);
	assert_int_equal(args.older, -1);
	assert_int_equal(args.operand_count, 2);
	args_free(&args);
	GOOD(all, "xfer clean --remove --older 7d .");
	assert_true(all.remove);
	assert_int_equal(all.older, 7 * 86400);
	args_free(&all);
	GOOD(any, "xfer clean --older 0 .");
	assert_int_equal(any.older, 0);
	args_free(&any);
	refused("xfer clean", "clean: write where to look");
	refused("xfer clean --older 7 .", "a time with its unit");
}

/* Each help names each of its options, and fits a terminal. */
static void test_help_text(void **state)
{
	static const char *const words[VERB_COUNT] = { "usage: xfer VERB", "URL... DEST",  "--durability HOW",
		                                       "URL PATH",         "--recursive",  "--count N",
		                                       "--chunk-size N",   "[NAME|PATH]",  "--older TIME",
		                                       "--deadline TIME",  "--output FILE" };

	(void)state;
	for (enum verb verb = VERB_NONE; verb < VERB_COUNT; verb++) {
		char *text = NULL;
		size_t len = 0;
		FILE *out = open_memstream(&text, &len);
		assert_non_null(out);
		args_help(out, verb);
		fclose(out);
		assert_contains(text, words[verb]);
		assert_contains(text, "-c, --config FILE");
		assert_contains(text, "--no-progress");
		for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
			assert_true(strcspn(at, "\n") <= 100);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_common_everywhere),
		cmocka_unit_test(test_last_of_quiet_and_verbose),
		cmocka_unit_test(test_dashes),
		cmocka_unit_test(test_ls),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_plugins),
		cmocka_unit_test(test_help_and_version),
		cmocka_unit_test(test_usage_errors),
		cmocka_unit_test(test_option_errors),
		cmocka_unit_test(test_value_errors),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_keygen),
		cmocka_unit_test(test_help_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
