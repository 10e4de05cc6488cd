/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of progress: what it says, how it fits, how the rate follows, and what is written where. */
#include "unit.h"

#include "base/clock.h"
#include "cmd/progress.h"

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static const struct client_progress half = {
	.files_total = 10,
	.bytes_total = 100 * MIB,
	.files = 3,
	.bytes = 50 * MIB,
	.elapsed = 5 * CLOCK_SECOND,
	.rtt = 215 * 1000,
};

static void test_whole_line(void **state)
{
	char line[256];

	(void)state;
	progress_format(line, sizeof(line), 120, &half, 10.0 * (double)MIB);
	assert_string_equal(line, " 50%  50.0 MiB of 100.0 MiB  10.0 MiB/s  0:05 left  3/10 files  rtt 0.21 ms");
}

static void test_nothing_known(void **state)
{
	struct client_progress now = { .files = 1, .bytes = 1 * MIB };
	char line[256];

	(void)state;
	progress_format(line, sizeof(line), 120, &now, (double)MIB);
	assert_string_equal(line, "1.0 MiB  1.0 MiB/s  1 file");
}

static void test_loss_and_stall(void **state)
{
	struct client_progress now = half;
	char line[256];

	(void)state;
	now.loss_ppm = 12300;
	now.stall = "peer alive, blocked in read for 12 s";
	progress_format(line, sizeof(line), 200, &now, 0.0);
	assert_contains(line, "-:-- left");
	assert_contains(line, "rtt 0.21 ms, 1.2% lost");
	assert_contains(line, "  peer alive, blocked in read for 12 s");
}

static void expect_left(uint64_t rest, double rate, const char *words)
{
	struct client_progress now = { .files_total = 1, .bytes_total = rest + 1, .bytes = 1 };
	char line[256];

	progress_format(line, sizeof(line), 120, &now, rate);
	assert_contains(line, words);
}

static void test_time_left(void **state)
{
	(void)state;
	expect_left(1000, 1000.0, "  0:01 left");
	expect_left(750 * 1000, 1000.0, "  12:30 left");
	expect_left(3661 * 1000, 1000.0, "  1:01:01 left");
	expect_left(UINT64_C(3) * 86400 * 1000, 1000.0, "  3 days left");
	expect_left(UINT64_MAX / 2, 1.0, "months left");
	expect_left(0, 0.0, "  0:00 left");
}

static void expect_percent(struct client_progress now, const char *words)
{
	char line[256];

	progress_format(line, sizeof(line), 120, &now, 1.0);
	assert_int_equal(strncmp(line, words, strlen(words)), 0);
}

static void test_percent(void **state)
{
	(void)state;
	expect_percent((struct client_progress){ .bytes_total = 1000, .bytes = 0, .files_total = 1 }, "  0%");
	/* Not a hundred before the end ... */
	expect_percent((struct client_progress){ .bytes_total = 100000, .bytes = 99999, .files_total = 1 }, " 99%");
	expect_percent((struct client_progress){ .bytes_total = 1000, .bytes = 1000, .files_total = 1 }, " 99%");
	expect_percent((struct client_progress){ .bytes_total = 1000, .bytes = 1000, .files_total = 1, .files = 1 },
	               "100%");
	/* ... and not more when the source grew. */
	expect_percent((struct client_progress){ .bytes_total = 1000, .bytes = 5000, .files_total = 1, .files = 1 },
	               "100%");
	/* Empty files count by their number. */
	expect_percent((struct client_progress){ .files_total = 4, .files = 1 }, " 25%");
}

static size_t columns_of(const char *text)
{
	size_t columns = 0;
	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

/* However narrow: it fits, it is not empty, and the percentage is what stays. */
static void test_every_width(void **state)
{
	struct client_progress stalled = half;
	char line[512];

	(void)state;
	stalled.stall = "blocked in \xc3\xa9\xc3\xa9\xc3\xa9";
	for (size_t columns = 1; columns <= 130; columns++) {
		progress_format(line, sizeof(line), columns, &half, 1e6);
		assert_true(columns_of(line) <= columns);
		assert_true(columns_of(line) > 0);
		if (columns >= 4)
			assert_int_equal(strncmp(line, " 50%", 4), 0);
		progress_format(line, sizeof(line), columns, &stalled, 1e6);
		assert_true(columns_of(line) <= columns);
		/* Not cut within a character. */
		size_t len = strlen(line);
		assert_true(len == 0 || (unsigned char)line[len - 1] != 0xc3);
	}
	progress_format(line, sizeof(line), 40, &half, 1e6);
	assert_null(strstr(line, "rtt"));
	assert_contains(line, "50.0 MiB of");
	progress_format(line, sizeof(line), 20, &stalled, 1e6);
	assert_contains(line, "blocked in");
}

static void test_small_buffer(void **state)
{
	char line[8];

	(void)state;
	progress_format(line, sizeof(line), 120, &half, 1e6);
	assert_true(strlen(line) < sizeof(line));
}

static void test_rate(void **state)
{
	struct progress progress;
	uint64_t time = 0, bytes = 0;

	(void)state;
	progress_init(&progress, stderr, PROGRESS_NONE);
	/* The first measure counts in full, and a tick that comes too soon does not. */
	progress_measure(&progress, 50 * CLOCK_MS, 1000);
	assert_true(progress.rate <= 0.0);
	progress_measure(&progress, 1 * CLOCK_SECOND, 1000);
	assert_true(progress.rate > 999.0 && progress.rate < 1001.0);

	/* A pause of a tick shakes it little, a new speed is reached within some seconds. */
	progress_measure(&progress, 1 * CLOCK_SECOND + 200 * CLOCK_MS, 1000);
	assert_true(progress.rate > 900.0);
	time = progress.last_time;
	bytes = progress.last_bytes;
	for (int i = 0; i < 100; i++) {
		time += 200 * CLOCK_MS;
		bytes += 20000;
		progress_measure(&progress, time, bytes);
	}
	assert_true(progress.rate > 95000.0 && progress.rate < 100001.0);
	for (int i = 0; i < 1000; i++) {
		time += 200 * CLOCK_MS;
		progress_measure(&progress, time, bytes);
	}
	assert_true(progress.rate <= 0.0);
	/* Bytes that are taken back (a damaged chunk) make no negative rate. */
	progress_measure(&progress, time + CLOCK_SECOND, bytes - 5000);
	assert_true(progress.rate >= 0.0);
}

static void test_plain_lines(void **state)
{
	struct progress progress;
	struct client_progress now = half;
	char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	progress_init(&progress, out, PROGRESS_LINES);
	for (now.elapsed = 0; now.elapsed <= 35 * CLOCK_SECOND; now.elapsed += 100 * CLOCK_MS)
		progress_update(&progress, &now);
	progress_hide(&progress);
	fclose(out);
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 3); /* at 10, 20 and 30 seconds */
	assert_null(strchr(text, '\r'));
	assert_null(strchr(text, '\x1b'));
	assert_int_equal(strncmp(text, "50%", 3), 0);
	free(text);
}

static void test_none(void **state)
{
	struct progress progress;
	struct client_progress now = half;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	progress_init(&progress, out, PROGRESS_NONE);
	now.elapsed = 100 * CLOCK_SECOND;
	progress_update(&progress, &now);
	progress_hide(&progress);
	fclose(out);
	assert_int_equal(len, 0);
	free(text);
}

/* Reads what was drawn until now. */
static void read_drawn(int master, char *out, size_t size)
{
	ssize_t len = read(master, out, size - 1);

	assert_true(len > 0);
	out[len] = '\0';
}

static void test_terminal(void **state)
{
	struct winsize window = { .ws_row = 24, .ws_col = 40 };
	struct progress progress;
	int master, slave;
	char drawn[1024];

	(void)state;
	if (openpty(&master, &slave, NULL, NULL, &window) != 0)
		skip();
	FILE *out = fdopen(slave, "w");
	assert_non_null(out);
	setenv("TERM", "dumb", 1);
	assert_int_equal(progress_style_of(out), PROGRESS_LINES);
	setenv("TERM", "xterm", 1);
	assert_int_equal(progress_style_of(out), PROGRESS_TERMINAL);

	progress_init(&progress, out, PROGRESS_TERMINAL);
	progress_hide(&progress); /* nothing is there: nothing is written */
	progress_update(&progress, &half);
	read_drawn(master, drawn, sizeof(drawn));
	assert_int_equal(drawn[0], '\r');
	assert_null(strchr(drawn, '\n'));
	char *clear = strstr(drawn, "\x1b[K");
	assert_non_null(clear);
	*clear = '\0';
	assert_true(columns_of(drawn + 1) < 40);

	/* A window that grew is noticed with the next drawing. */
	window.ws_col = 120;
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &window), 0);
	progress_update(&progress, &half);
	read_drawn(master, drawn, sizeof(drawn));
	assert_contains(drawn, "rtt");

	/* The last column stays free, or some terminals would wrap. */
	char whole[256];
	progress_format(whole, sizeof(whole), 200, &half, progress.rate);
	window.ws_col = (unsigned short)columns_of(whole);
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &window), 0);
	progress_update(&progress, &half);
	read_drawn(master, drawn, sizeof(drawn));
	assert_null(strstr(drawn, "rtt"));

	progress_hide(&progress);
	read_drawn(master, drawn, sizeof(drawn));
	assert_string_equal(drawn, "\r\x1b[K");
	progress_hide(&progress);
	fclose(out);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_line),     cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_loss_and_stall), cmocka_unit_test(test_time_left),
		cmocka_unit_test(test_percent),        cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_small_buffer),   cmocka_unit_test(test_rate),
		cmocka_unit_test(test_plain_lines),    cmocka_unit_test(test_none),
		cmocka_unit_test(test_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
