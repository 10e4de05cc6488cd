/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sources and sinks joined by a simulated network, with a simulated disk and a simulated clock (sim.h).
 *
 *   test-session-sim               some thousand seeds, in a few seconds
 *   test-session-sim SEED          this one, and what happens in it
 *   XFER_SIM_SEEDS=FIRST-LAST      these, however long it takes (make check-faults: 100,000 of them)
 */
#include "sim-run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS = 20000, SEEDS_MIN = 500, PATIENCE = 120 /* s for one seed */ };
#define TIME_MAX (3 * CLOCK_SECOND)

/* A sanitizer's; absent otherwise. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void say_seed(void)
{
	char text[160];
	uint64_t seed = sim_running();
	int n = snprintf(text, sizeof(text),
	                 "# seed %" PRIu64 " was running; again, step by step: tests/unit/test-session-sim %" PRIu64
	                 "\n",
	                 seed, seed);

	if (write(STDOUT_FILENO, text, n > 0 ? (size_t)n : 0) < 0)
		return;
}

static void on_signal(int number)
{
	say_seed();
	signal(number, SIG_DFL);
	raise(number);
}

static void catch_all(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };

	if (__sanitizer_set_death_callback != NULL) {
		__sanitizer_set_death_callback(say_seed);
		signal(SIGALRM, on_signal);
		return;
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], on_signal);
}

static void sum_print(const struct sim_sum *sum, double seconds)
{
	static const char *const names[STRIKES] = {
		"damaged", "lost",   "repeated", "stray", "lie",  "digest", "flip",  "cut",     "silence", "changed",
		"removed", "unread", "walk",     "write", "full", "cancel", "crash", "journal", "rot",     "memory",
	};

	printf("# %" PRIu64 " seeds in %.1f s: %" PRIu64 " events, %" PRIu64 " connections, %" PRIu64 " chunks\n",
	       sum->runs, seconds, sum->events, sum->connections, sum->chunks);
	printf("# %" PRIu64 " transfers: %" PRIu64 " complete, %" PRIu64 " failed; %" PRIu64 " files, %" PRIu64
	       " directories, %" PRIu64 " links; %" PRIu64 " chunks asked for again\n",
	       sum->transfers, sum->complete, sum->failed, sum->files, sum->dirs, sum->links, sum->repaired);
	printf("# seeds with trouble:");
	for (size_t i = 0; i < STRIKES; i++)
		printf(" %s %" PRIu64, names[i], sum->hits[i]);
	printf("\n");
}

static bool all_met(const struct sim_sum *sum)
{
	for (size_t i = 0; i < STRIKES; i++)
		if (sum->hits[i] == 0)
			return false;
	return true;
}

/* Runs seeds first ... last; with `hurry` only for so long, after the first few, and when every trouble was met. */
static void run(uint64_t first, uint64_t last, bool hurry, struct sim_sum *sum)
{
	uint64_t begin = clock_monotonic();

	for (uint64_t seed = first; seed <= last; seed++) {
		if (hurry && sum->runs >= SEEDS_MIN && all_met(sum) && clock_monotonic() - begin > TIME_MAX)
			break;
		alarm(PATIENCE);
		sim_run(seed, false, sum);
	}
	alarm(0);
	sum_print(sum, (double)(clock_monotonic() - begin) / 1e9);
}

static int usage(void)
{
	fprintf(stderr, "usage: test-session-sim [SEED]    (or XFER_SIM_SEEDS=FIRST-LAST)\n");
	return 2;
}

/* Where the numbers of a range stand; false when there are none. */
static bool range_read(const char *text, uint64_t *first, uint64_t *last)
{
	char *end;

	*first = *last = strtoull(text, &end, 10);
	if (*end == '-')
		*last = strtoull(end + 1, &end, 10);
	return *end == '\0' && end != text && *first > 0 && *last >= *first;
}

int main(int argc, char **argv)
{
	const char *range = getenv("XFER_SIM_SEEDS");
	struct sim_sum sum = { 0 };
	uint64_t first = 1, last = SEEDS;
	bool happened;

	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_all();
	if (argc == 2) {
		if (!range_read(argv[1], &first, &last) || first != last)
			return usage();
		sim_run(first, true, &sum);
		sim_tidy();
		printf("ok 1 - seed %" PRIu64 "\n1..1\n", first);
		return 0;
	}
	if (argc > 2 || (range != NULL && !range_read(range, &first, &last)))
		return usage();
	run(first, last, range == NULL, &sum);
	sim_tidy();
	happened = all_met(&sum);
	printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, first + sum.runs - 1);
	printf("%sok 2 - every kind of trouble was met # %s\n1..2\n", happened || sum.runs < SEEDS_MIN ? "" : "not ",
	       sum.runs < SEEDS_MIN ? "SKIP too few seeds" : "and survived");
	return happened || sum.runs < SEEDS_MIN ? 0 : 1;
}
