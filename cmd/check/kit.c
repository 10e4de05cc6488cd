/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the checks: a process for each, with a deadline, and says how it ended when it did not end well. */
#include "check.h"

#include "base/clock.h"
#include "base/text.h"
#include "config/options.h"
#include "registry/note.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WHERE_MAX = NOTE_TEXT_MAX + 1 }; /* with a space in front */

static const struct kit_check load_check = {
	.name = "load",
	.expected = "the loader takes it, and create() with the configured values succeeds",
};

/* What the processes share. */
struct shared {
	struct kit_report report; /* of the check under way */
	struct kit_habits habits;
};

struct run {
	const struct kit_subject *subject;
	struct shared *shared;     /* owned, as are the notes */
	struct kit_report *report; /* in it */
	struct notes *notes;       /* of what the loader calls; of one check */
	char folder[PATH_MAX];     /* of sockets and the like */
	sigset_t mask;             /* as it was before */
	int interrupts;            /* signalfd(2) of SIGINT and SIGTERM */
	int printed;               /* memfd: standard output of the check under way */
};

/* ---- the process of a check ------------------------------------------------------------------------------------- */

static int child_load(struct kit *kit, struct notes *notes, struct error *err)
{
	const struct kit_subject *subject = kit->subject;
	struct registry *registry;
	union xfer_value *values;
	int rc = registry_create(&registry, "/", subject->log, err);
	if (rc < 0)
		return rc;
	registry_note(registry, notes);
	rc = registry_load_path(registry, subject->path, &kit->plugin, err);
	if (rc < 0)
		return rc;

	const struct xfer_plugin *about = &kit->plugin->about;
	values = calloc(about->option_count + 1, sizeof(*values));
	if (values == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "%s", subject->path);
	const char *kind = plugin_kind_name(about->kind);
	rc = options_fill(about->options, about->option_count, settings_section(subject->settings, kind, about->name),
	                  values, err);
	if (rc < 0) {
		error_prefix(err, "%s", subject->path);
		return rc;
	}
	kit->values = values;
	rc = plugin_start(kit->plugin, values, err);
	if (rc < 0)
		error_prefix(err, "%s", subject->path);
	return rc;
}

static void child_about(struct kit *kit)
{
	const struct xfer_plugin *about = &kit->plugin->about;
	if (about->kind == XFER_KIND_INTEGRITY)
		(void)kit_sample(kit, kit->plugin->instance, kit->habits->sample);
	struct kit_about *out = &kit->report->about;
	out->kind = about->kind;
	snprintf(out->name, sizeof(out->name), "%s", about->name);
	snprintf(out->version, sizeof(out->version), "%s", about->version);
}

/* What the plug-in prints is no result; no core files; nothing outlives the program. */
static void child_prepare(const struct run *run, pid_t parent)
{
	const struct rlimit no_core = { 0, 0 };
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)dup2(run->printed, STDOUT_FILENO);
	/* A sanitizer's handlers would make a plain end of a crash. */
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		(void)signal(deadly[i], SIG_DFL);
	note_catch(false);
}

/* What it noticed on the way; the first one that is to be told counts. */
static void child_habits(struct kit *kit, const struct kit_check *check, const struct process *before)
{
	struct kit_habits *habits = kit->habits;
	char text[KIT_SEEN_MAX], span[TEXT_NUMBER_MAX];
	if (habits->process[0] == '\0' && process_changed(before, text) != NULL)
		snprintf(habits->process, sizeof(habits->process), "%.300s, in \"%s\"", text, check->name);
	if (habits->waits[0] == '\0' && kit->wait.call != NULL)
		snprintf(habits->waits, sizeof(habits->waits), "%s waited, and came back after %s, in \"%s\"",
		         kit->wait.call, text_human_duration(span, kit->wait.ns), check->name);
	fflush(stdout);
}

static void child_run(const struct run *run, const struct kit_check *check)
{
	struct kit_report *report = run->report;
	struct process *process = NULL;
	struct kit kit = {
		.subject = run->subject,
		.report = report,
		.habits = &run->shared->habits,
		.folder = run->folder,
		.inside = &report->inside[0],
		.random = 1,
	};
	int rc = process_take(&process);
	if (rc == 0)
		rc = child_load(&kit, run->notes, &report->err);
	else
		error_system(&report->err, rc, FAULT_LOCAL, "no memory for a check");
	if (rc < 0)
		report->outcome = KIT_SKIPPED;
	else if (check->run == NULL)
		child_about(&kit);
	if (rc == 0)
		report->outcome = check->run == NULL ? kit_ok(&kit, "it is loaded") : check->run(&kit);
	if (rc == 0)
		child_habits(&kit, check, process);
	_exit(0);
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

/* " in recv()": the callbacks that did not come back; " outside of its callbacks". `signal` as for notes_tell(). */
static const char *whereabouts(const struct run *run, int signal, char text[WHERE_MAX])
{
	char noted[NOTE_TEXT_MAX];
	size_t used = 0;
	for (size_t i = 0; i < KIT_THREADS_MAX; i++) {
		const char *inside = atomic_load(&run->report->inside[i]);
		bool known = inside == NULL;
		for (size_t k = 0; k < i; k++)
			known = known || inside == atomic_load(&run->report->inside[k]);
		if (!known && used < WHERE_MAX)
			used += (size_t)snprintf(text + used, WHERE_MAX - used, "%s%s", used > 0 ? " or " : " in ",
			                         inside);
	}
	/* What the loader called, it has noted itself. */
	if (used == 0) {
		notes_tell(run->notes, signal, noted);
		snprintf(text, WHERE_MAX, " %s",
		         noted[0] != '\0' && strstr(noted, "outside") == NULL ? noted : "outside of its callbacks");
	}
	return text;
}

static void judge(const struct run *run, int status, bool late)
{
	struct kit_report *report = run->report;
	char where[WHERE_MAX], span[TEXT_NUMBER_MAX];
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (!late && signal == 0 && report->outcome != KIT_NONE)
		return;
	whereabouts(run, late ? 0 : signal, where);
	if (late)
		snprintf(report->seen, sizeof(report->seen), "not finished after %s: it hangs%s",
		         text_human_duration(span, run->subject->deadline), where);
	else if (signal != 0)
		snprintf(report->seen, sizeof(report->seen), "the process died of %s%s", note_signal_name(signal),
		         where);
	else
		snprintf(report->seen, sizeof(report->seen), "the process ended with status %d%s", WEXITSTATUS(status),
		         where);
	report->outcome = KIT_FAILED;
}

/* Sockets that a check left. */
static void folder_empty(const char *folder)
{
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

/* Until the process has ended, or the deadline has passed (*late). */
static int check_await(const struct run *run, int end, bool *late, struct error *err)
{
	uint64_t until = clock_monotonic() + run->subject->deadline;
	for (;;) {
		uint64_t now = clock_monotonic();
		uint64_t left = now < until ? (until - now) / CLOCK_MS + 1 : 0;
		struct pollfd wait[] = { { .fd = end, .events = POLLIN }, { .fd = run->interrupts, .events = POLLIN } };
		int ready = poll(wait, 2, left < 60000 ? (int)left : 60000);
		struct signalfd_siginfo taken; /* or it is delivered after all, when it is not blocked any more */
		if (ready > 0 && read(run->interrupts, &taken, sizeof(taken)) > 0)
			return error_set(err, -EINTR, FAULT_INTERRUPTED, "interrupted");
		if (ready > 0)
			return 0;
		*late = clock_monotonic() >= until;
		if (*late)
			return 0;
	}
}

/* What it printed, for whoever looks for its faults by printing; and a habit that it had better not have. */
static void take_printed(const struct run *run, const struct kit_check *check)
{
	struct kit_habits *habits = &run->shared->habits;
	char bytes[512], line[64];
	off_t at = 0;
	for (ssize_t got; (got = pread(run->printed, bytes, sizeof(bytes), at)) > 0; at += got) {
		const char *end = memchr(bytes, '\n', (size_t)got);
		if (at == 0 && habits->process[0] == '\0')
			snprintf(habits->process, sizeof(habits->process),
			         "it prints \"%s\" to standard output, in \"%s\"",
			         text_printable(line, sizeof(line), bytes,
			                        end != NULL ? (size_t)(end - bytes) : (size_t)got),
			         check->name);
		(void)!write(STDERR_FILENO, bytes, (size_t)got);
	}
}

/* One check in a process of its own; *report says how it went. */
static int check_spawn(struct run *run, const struct kit_check *check, struct error *err)
{
	memset(run->report, 0, sizeof(*run->report));
	notes_free(run->notes);
	run->notes = NULL;
	int notes;
	int made = notes_open(&notes);
	if (made == 0) {
		made = notes_map(&run->notes, notes);
		close(notes);
	}
	if (made < 0)
		return error_system(err, made, FAULT_LOCAL, "no memory for the notes of a check");
	run->printed = memfd_create("printed", MFD_CLOEXEC);
	if (run->printed < 0)
		return error_system(err, -errno, FAULT_LOCAL, "no memory for what a check prints");
	fflush(NULL); /* or a plug-in that calls exit() writes it again */
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		close(run->printed);
		return error_system(err, -errno, FAULT_LOCAL, "cannot start a process for a check");
	}
	if (pid == 0) {
		(void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
		child_prepare(run, self);
		child_run(run, check);
	}
	(void)setpgid(pid, pid);
	int end = pidfd_open(pid, 0);
	int rc = end < 0 ? error_system(err, -errno, FAULT_LOCAL, "cannot watch the process of a check") : 0;
	bool late = false;
	if (rc == 0)
		rc = check_await(run, end, &late, err);
	if (end >= 0)
		close(end);
	/* It has not been waited for, so the group is still its own. */
	(void)kill(-pid, SIGKILL);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	judge(run, status, late);
	take_printed(run, check);
	close(run->printed);
	folder_empty(run->folder);
	return rc;
}

static bool is_wanted(const struct kit_subject *subject, const char *name)
{
	if (subject->only == NULL || subject->only[0] == NULL)
		return true;
	for (char *const *only = subject->only; *only != NULL; only++)
		if (strcmp(*only, name) == 0)
			return true;
	return false;
}

static void count(struct kit_sums *sums, const struct kit_watch *watch, const struct kit_check *check,
                  const struct kit_report *report)
{
	char seen[KIT_SEEN_MAX];
	text_printable(seen, sizeof(seen), report->seen, strlen(report->seen));
	const struct kit_result result = {
		.name = check->name,
		.expected = check->expected,
		.seen = seen,
		.outcome = report->outcome,
	};
	sums->ok += report->outcome == KIT_OK;
	sums->failed += report->outcome == KIT_FAILED;
	sums->skipped += report->outcome == KIT_SKIPPED;
	watch->result(watch->context, &result);
}

static const struct kit_check *checks_of(enum xfer_kind kind)
{
	switch (kind) {
	case XFER_KIND_TRANSPORT: return kit_transport_checks;
	case XFER_KIND_INTEGRITY: return kit_integrity_checks;
	case XFER_KIND_LIVENESS: return kit_liveness_checks;
	}
	return NULL;
}

/* Names that no check of this kind has. */
static int only_known(const struct kit_subject *subject, const struct kit_check *const lists[], struct error *err)
{
	for (char *const *only = subject->only; only != NULL && *only != NULL; only++) {
		bool known = strcmp(*only, load_check.name) == 0;
		for (size_t i = 0; lists[i] != NULL; i++)
			for (const struct kit_check *check = lists[i]; check->name != NULL; check++)
				known = known || strcmp(*only, check->name) == 0;
		if (!known)
			return error_set(err, -EINVAL, FAULT_USAGE,
			                 "check-plugin: there is no check '%.64s' for its kind; without a name all "
			                 "are run, and named",
			                 *only);
	}
	return 0;
}

static int run_all(struct run *run, const struct kit_watch *watch, struct kit_sums *sums, struct error *err)
{
	const struct kit_subject *subject = run->subject;
	struct kit_report *report = run->report;
	int rc = check_spawn(run, &load_check, err);
	if (rc < 0)
		return rc;
	if (report->err.code < 0) {
		*err = report->err;
		return report->err.code;
	}
	/* Its kind is known once it is loaded. */
	const struct kit_check *const lists[] = { kit_option_checks, checks_of(report->about.kind), kit_habit_checks,
		                                  NULL };
	if (report->outcome == KIT_OK) {
		if ((rc = only_known(subject, lists, err)) < 0)
			return rc;
		watch->about(watch->context, &report->about);
	}
	bool loaded = report->outcome == KIT_OK;
	if (!loaded || is_wanted(subject, load_check.name))
		count(sums, watch, &load_check, report);
	for (size_t i = 0; loaded && lists[i] != NULL; i++) {
		for (const struct kit_check *check = lists[i]; check->name != NULL; check++) {
			if (!is_wanted(subject, check->name))
				continue;
			if ((rc = check_spawn(run, check, err)) < 0)
				return rc;
			/* Loaded once, and now not any more. */
			if (report->err.code < 0) {
				snprintf(report->seen, sizeof(report->seen), "%.*s", KIT_SEEN_MAX - 1,
				         report->err.text);
				report->outcome = KIT_FAILED;
			}
			count(sums, watch, check, report);
		}
	}
	return 0;
}

static int run_prepared(struct run *run, const struct kit_watch *watch, struct kit_sums *sums, struct error *err)
{
	sigset_t interrupts;
	sigemptyset(&interrupts);
	sigaddset(&interrupts, SIGINT);
	sigaddset(&interrupts, SIGTERM);
	run->interrupts = signalfd(-1, &interrupts, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->interrupts < 0)
		return error_system(err, -errno, FAULT_LOCAL, "cannot wait for signals");
	run->shared = mmap(NULL, sizeof(*run->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = -errno;
	if (run->shared == MAP_FAILED) {
		error_system(err, rc, FAULT_LOCAL, "no memory for the results");
	} else {
		run->report = &run->shared->report;
		(void)sigprocmask(SIG_BLOCK, &interrupts, &run->mask);
		rc = run_all(run, watch, sums, err);
		(void)sigprocmask(SIG_SETMASK, &run->mask, NULL);
		munmap(run->shared, sizeof(*run->shared));
	}
	close(run->interrupts);
	return rc;
}

int kit_run(const struct kit_subject *subject, const struct kit_watch *watch, struct kit_sums *sums, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	struct run run = { .subject = subject };
	snprintf(run.folder, sizeof(run.folder), "%s/xfer-check-XXXXXX", tmp != NULL && *tmp == '/' ? tmp : "/tmp");
	if (mkdtemp(run.folder) == NULL)
		return error_system(err, -errno, FAULT_LOCAL, "cannot make the folder %s", run.folder);
	int rc = run_prepared(&run, watch, sums, err);
	notes_free(run.notes);
	(void)rmdir(run.folder);
	return rc;
}
