/* SPDX-License-Identifier: BSD-2-Clause */
/* base/log: one whole line per event, in both forms. Written into a pipe and read back. */
#include "unit.h"

#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	int read_fd;
	int write_fd;
	struct log *log;
	char text[PIPE_BUF * 2]; /* what read_back() found */
};

static int set_up(void **state, enum log_format format)
{
	struct fixture *fix = calloc(1, sizeof(*fix));
	int fds[2];
	if (fix == NULL || pipe(fds) < 0)
		return -1;
	fix->read_fd = fds[0];
	fix->write_fd = fds[1];
	fcntl(fix->read_fd, F_SETFL, O_NONBLOCK);
	*state = fix;
	return log_create(&fix->log, "prog", fix->write_fd, LOG_LEVEL_INFO, format);
}

static int set_up_text(void **state)
{
	return set_up(state, LOG_FORMAT_TEXT);
}

static int set_up_json(void **state)
{
	return set_up(state, LOG_FORMAT_JSON);
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;
	log_destroy(fix->log);
	close(fix->read_fd);
	close(fix->write_fd);
	free(fix);
	return 0;
}

static const char *read_back(struct fixture *fix)
{
	ssize_t len = read(fix->read_fd, fix->text, sizeof(fix->text) - 1);
	fix->text[len < 0 ? 0 : len] = '\0';
	return fix->text;
}

/* What follows the time of a text line: "prog[PID] ..." without the PID. */
static const char *after_pid(struct fixture *fix)
{
	const char *text = read_back(fix);
	const char *mark = strstr(text, "Z prog[");
	assert_non_null(mark);
	assert_int_equal(mark - text, strlen("2026-01-01T00:00:00.000"));
	assert_int_equal(atol(mark + strlen("Z prog[")), getpid());
	return strchr(mark, ']') + 1;
}

static void says(void **state)
{
	struct fixture *fix = *state;
	log_say(fix->log, LOG_LEVEL_INFO, "hello %d", 7);
	assert_string_equal(after_pid(fix), " info: hello 7\n");
	log_say(fix->log, LOG_LEVEL_ERROR, "bad");
	assert_string_equal(after_pid(fix), " error: bad\n");
}

static void leaves_out_what_nobody_wants(void **state)
{
	struct fixture *fix = *state;
	assert_true(log_wants(fix->log, LOG_LEVEL_INFO));
	assert_false(log_wants(fix->log, LOG_LEVEL_DEBUG));
	log_say(fix->log, LOG_LEVEL_DEBUG, "hidden");
	assert_string_equal(read_back(fix), "");

	assert_false(log_wants(NULL, LOG_LEVEL_ERROR));
	log_say(NULL, LOG_LEVEL_ERROR, "nowhere");
	log_event(NULL, LOG_LEVEL_ERROR, "nowhere", NULL, 0);
	log_destroy(NULL);
}

static const struct log_field FIELDS[] = {
	{ .key = "file", .text = "plain.txt" },   { .key = "name", .text = "with space" },
	{ .key = "odd", .text = "a\"b\nc" },      { .key = "empty", .text = "" },
	{ .key = "bytes", .number = UINT64_MAX },
};

static void writes_fields_as_text(void **state)
{
	struct fixture *fix = *state;
	log_event(fix->log, LOG_LEVEL_WARN, "got\nit", FIELDS, COUNT(FIELDS));
	assert_string_equal(after_pid(fix), " warn: got\\x0ait file=plain.txt name=\"with space\" odd=\"a\\\"b\\x0ac\" "
	                                    "empty=\"\" bytes=18446744073709551615\n");
}

static void writes_fields_as_json(void **state)
{
	struct fixture *fix = *state;
	log_event(fix->log, LOG_LEVEL_WARN, "got\nit", FIELDS, COUNT(FIELDS));
	const char *text = read_back(fix);
	assert_int_equal(strncmp(text, "{\"time\":\"20", 11), 0);
	const char *rest = strstr(text, ",\"message\":");
	assert_non_null(rest);
	assert_string_equal(rest, ",\"message\":\"got\\\\x0ait\",\"file\":\"plain.txt\",\"name\":\"with space\","
	                          "\"odd\":\"a\\\"b\\\\x0ac\",\"empty\":\"\",\"bytes\":18446744073709551615}\n");
	assert_contains(text, "\"level\":\"warn\",\"program\":\"prog\",\"pid\":");
}

static void cuts_between_fields(void **state)
{
	struct fixture *fix = *state;
	char big[1000];
	memset(big, '"', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	struct log_field fields[8];
	for (size_t i = 0; i < COUNT(fields); i++)
		fields[i] = (struct log_field){ .key = "big", .text = big };
	log_event(fix->log, LOG_LEVEL_INFO, "much", fields, COUNT(fields));
	const char *text = read_back(fix);
	assert_true(strlen(text) <= PIPE_BUF);
	/* The last value that is there is whole, and the object is closed. */
	assert_non_null(strstr(text, "\\\"\",\"cut\":true}\n"));
}

static void cuts_a_long_message(void **state)
{
	struct fixture *fix = *state;
	char big[3 * PIPE_BUF];
	memset(big, '"', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_say(fix->log, LOG_LEVEL_INFO, "%s", big);
	const char *text = read_back(fix);
	assert_true(strlen(text) <= PIPE_BUF);
	assert_non_null(strstr(text, "\\\"...\"}\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says, set_up_text, tear_down),
		cmocka_unit_test_setup_teardown(leaves_out_what_nobody_wants, set_up_text, tear_down),
		cmocka_unit_test_setup_teardown(writes_fields_as_text, set_up_text, tear_down),
		cmocka_unit_test_setup_teardown(writes_fields_as_json, set_up_json, tear_down),
		cmocka_unit_test_setup_teardown(cuts_between_fields, set_up_json, tear_down),
		cmocka_unit_test_setup_teardown(cuts_a_long_message, set_up_json, tear_down),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
