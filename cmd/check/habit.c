/* SPDX-License-Identifier: BSD-2-Clause */
/* What no callback does, whatever it is for: change what belongs to the process, print, or wait. */
#include "check.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A call that gave up the processor and came back so much later has waited, on however busy a machine. */
#define WAIT_MAX CLOCK_SECOND
#define WAIT_COUNT (10 * CLOCK_MS)

extern char **environ;

struct process {
	void (*handlers[NSIG])(int);
	sigset_t mask;
	mode_t umask;
	uint64_t environment; /* a sum of it */
	char folder[PATH_MAX];
	char locale[256];
};

/* FNV-1a */
static uint64_t environment_sum(void)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	for (char **at = environ; at != NULL && *at != NULL; at++)
		for (const char *byte = *at;; byte++) {
			sum = (sum ^ (uint8_t)*byte) * UINT64_C(0x100000001b3);
			if (*byte == '\0')
				break;
		}
	return sum;
}

static void process_fill(struct process *process)
{
	for (int signal = 1; signal < NSIG; signal++) {
		struct sigaction now = { .sa_handler = SIG_DFL };
		(void)sigaction(signal, NULL, &now); /* those of the system's own are not ours to see */
		process->handlers[signal] = now.sa_handler;
	}
	(void)pthread_sigmask(SIG_SETMASK, NULL, &process->mask);
	process->umask = umask(0);
	(void)umask(process->umask);
	process->environment = environment_sum();
	if (getcwd(process->folder, sizeof(process->folder)) == NULL)
		process->folder[0] = '\0';
	snprintf(process->locale, sizeof(process->locale), "%s", setlocale(LC_ALL, NULL));
}

int process_take(struct process **out)
{
	struct process *process = calloc(1, sizeof(*process));
	if (process == NULL)
		return -ENOMEM;
	process_fill(process);
	*out = process;
	return 0;
}

void process_free(struct process *process)
{
	free(process);
}

const char *process_changed(const struct process *before, char text[KIT_SEEN_MAX])
{
	struct process *now;
	const char *what = NULL;
	text[0] = '\0';
	if (process_take(&now) < 0)
		return NULL;
	for (int signal = 1; signal < NSIG && what == NULL; signal++) {
		if (now->handlers[signal] != before->handlers[signal])
			what = "what is done with the signal SIG";
		else if (sigismember(&now->mask, signal) != sigismember(&before->mask, signal))
			what = "the mask of signals has changed, of SIG";
		if (what != NULL)
			snprintf(text, KIT_SEEN_MAX, "%s%s%s", what,
			         sigabbrev_np(signal) != NULL ? sigabbrev_np(signal) : "RT",
			         now->handlers[signal] != before->handlers[signal] ? " has changed" : "");
	}
	if (what == NULL && now->umask != before->umask)
		what = "the umask has changed";
	else if (what == NULL && now->environment != before->environment)
		what = "the environment has changed";
	else if (what == NULL && strcmp(now->folder, before->folder) != 0)
		what = "the working directory has changed";
	else if (what == NULL && strcmp(now->locale, before->locale) != 0)
		what = "the locale has changed";
	process_free(now);
	if (what != NULL && text[0] == '\0')
		snprintf(text, KIT_SEEN_MAX, "%s", what);
	return what != NULL ? text : NULL;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

/* How often this thread gave up the processor by itself; that others wanted it does not count. */
static long waits(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

void wait_begin(struct kit *kit)
{
	if (kit->threads)
		return;
	kit->wait.began = clock_monotonic();
	/* Not before each of a million calls. */
	if (kit->wait.began - kit->wait.counted < WAIT_COUNT)
		return;
	kit->wait.counted = kit->wait.began;
	kit->wait.waits = waits();
}

void wait_end(struct kit *kit, const char *call)
{
	if (kit->threads || call == NULL)
		return;
	uint64_t took = clock_monotonic() - kit->wait.began;
	if (took < WAIT_MAX || took < kit->wait.ns || waits() == kit->wait.waits)
		return;
	kit->wait.call = call;
	kit->wait.ns = took;
}

/* ---- the verdicts ----------------------------------------------------------------------------------------------- */

static enum kit_outcome check_process(struct kit *kit)
{
	if (kit->habits->process[0] != '\0')
		return kit_failed(kit, "%s", kit->habits->process);
	return kit_ok(kit, "after each of these checks");
}

static enum kit_outcome check_waits(struct kit *kit)
{
	if (kit->habits->waits[0] != '\0')
		return kit_failed(kit, "%s", kit->habits->waits);
	return kit_ok(kit, "in each of these checks");
}

const struct kit_check kit_habit_checks[] = {
	{ "process", "signals, umask, environment, folder and locale stay, and nothing is printed", check_process },
	{ "waits", "no callback waits", check_waits },
	{ 0 },
};
