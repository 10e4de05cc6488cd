/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts, feeds and ends worker processes. */
#include "daemon/child.h"

#include "base/clock.h"
#include "base/text.h"
#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the new process, before it is the program again ----------------------------------------------------------- */

/* Dies with `supervisor`, from the first moment on. */
static void bind_life(pid_t supervisor)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Too late to be told by a signal: it is gone already. */
	if (getppid() != supervisor)
		_exit(EXIT_FAILURE);
}

static void set_signals(void)
{
	/*
	 * A terminal sends these to its whole group, and a service manager may send SIGTERM to all of us: it is for the
	 * supervisor to say what they mean. Being ignored lasts through exec.
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts both where the program looks for them, out of each other's way first. */
static int place_descriptors(int *control, int notes)
{
	int high[2] = { fcntl(*control, F_DUPFD_CLOEXEC, CONTROL_NOTES_FD + 1),
		        fcntl(notes, F_DUPFD_CLOEXEC, CONTROL_NOTES_FD + 1) };
	if (high[0] < 0 || high[1] < 0)
		return -errno;
	*control = high[0];
	return dup2(high[0], CONTROL_FD) < 0 || dup2(high[1], CONTROL_NOTES_FD) < 0 ? -errno : 0;
}

static _Noreturn void become_worker(int control, int notes, pid_t supervisor, char *const *arguments)
{
	bind_life(supervisor);
	set_signals();
	unsetenv("NOTIFY_SOCKET");
	int code = place_descriptors(&control, notes);
	if (code == 0) {
		execv("/proc/self/exe", arguments);
		code = -errno;
	}
	struct error err = { 0 };
	error_system(&err, code, FAULT_LOCAL, "cannot execute /proc/self/exe");
	control_send_error(control, &err);
	_exit(EXIT_FAILURE);
}

/* Caller frees the array; the strings are the source's, but for `worker`. */
static char **make_arguments(const struct settings_source *source, char *worker)
{
	char **arguments = calloc(5 + 2 * source->set_count, sizeof *arguments);
	if (arguments == NULL)
		return NULL;
	size_t at = 0;
	/* execv() does not write to its strings, but its type does not say so. */
	arguments[at++] = (char *)(uintptr_t) "xferd";
	arguments[at++] = worker;
	if (source->file != NULL) {
		arguments[at++] = (char *)(uintptr_t) "-c";
		arguments[at++] = (char *)(uintptr_t)source->file;
	}
	for (size_t set = 0; set < source->set_count; set++) {
		arguments[at++] = (char *)(uintptr_t) "--set";
		arguments[at++] = (char *)(uintptr_t)source->sets[set];
	}
	return arguments;
}

/* ---- the supervisor's side ------------------------------------------------------------------------------------- */

int child_spawn(struct child **out, const struct settings_source *source, const struct child_order *order,
                struct error *err)
{
	char worker[32];
	int ends[2], notes = -1;
	snprintf(worker, sizeof worker, "--" WORKER_OPTION "=%u", order->index);
	struct child *child = calloc(1, sizeof *child);
	char **arguments = make_arguments(source, worker);
	int code = child == NULL || arguments == NULL ? -ENOMEM : notes_open(&notes);
	if (code == 0)
		code = notes_map(&child->notes, notes);
	if (code == 0)
		code = control_pair(ends);
	if (code < 0)
		goto fail;
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become_worker(ends[1], notes, self, arguments);
	code = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (code < 0) {
		close(ends[0]);
		goto fail;
	}
	close(notes);
	free(arguments);
	list_init(&child->node);
	child->order = *order;
	child->state = CHILD_STARTING;
	child->pid = pid;
	child->control = ends[0];
	child->tell = 1;
	if (order->handing != NULL)
		child->tell += listen_set_messages(order->handing, order->role, order->index);
	child->started = clock_monotonic();
	child->deadline = CLOCK_NEVER;
	child_feed(child);
	*out = child;
	return 0;
fail:
	if (notes >= 0)
		close(notes);
	if (child != NULL)
		notes_free(child->notes);
	free(arguments);
	free(child);
	return error_system(err, code, FAULT_LOCAL, "cannot start worker %u", order->index);
}

bool child_hungry(const struct child *child)
{
	return child->state == CHILD_STARTING && child->control >= 0 && child->told < child->tell;
}

void child_feed(struct child *child)
{
	const struct child_order *order = &child->order;
	while (child_hungry(child)) {
		struct control_message message = { .type = CONTROL_START,
			                           .role = order->role,
			                           .workers = order->workers,
			                           .reload = order->reload,
			                           .sockets = (uint32_t)(child->tell - 1) };
		int fds[CONTROL_FDS_MAX];
		size_t count = 0;
		if (child->told > 0)
			listen_set_message(order->handing, order->role, order->index, child->told - 1, &message, fds,
			                   &count);
		int code = control_send(child->control, &message, fds, count);
		if (code == -EAGAIN)
			return;
		if (code < 0) {
			/* It is ending, or it never can be told: either way its end says what is next. */
			if (code != -EPIPE)
				error_system(&child->err, code, FAULT_LOCAL, "cannot hand the sockets to worker %u",
				             order->index);
			child_end(child);
			child->told = child->tell;
			return;
		}
		child->told++;
	}
}

void child_tell(struct child *child, enum control_type type)
{
	if (child->control >= 0)
		(void)control_tell(child->control, type);
}

void child_end(struct child *child)
{
	/* Once it is reaped its number may be that of a stranger. */
	if (!child->reaped)
		kill(child->pid, SIGKILL);
}

void child_kill(struct child *child)
{
	child_end(child);
	child->state = CHILD_KILLED;
	child->generation = NULL;
	child->deadline = CLOCK_NEVER;
}

void child_close(struct child *child)
{
	if (child->control >= 0)
		close(child->control);
	child->control = -1;
}

void child_free(struct child *child)
{
	child_close(child);
	notes_free(child->notes);
	free(child);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

/* What it was in, with a blank before it. */
static void add_notes(const struct child *child, int status, char out[CHILD_END_MAX])
{
	char where[NOTE_TEXT_MAX];
	size_t len = strlen(out);
	notes_tell(child->notes, WIFSIGNALED(status) ? WTERMSIG(status) : 0, where);
	if (where[0] != '\0')
		snprintf(out + len, CHILD_END_MAX - len, " %s", where);
}

char *child_describe(const struct child *child, int status, char out[CHILD_END_MAX])
{
	if (WIFSIGNALED(status))
		snprintf(out, CHILD_END_MAX, "killed by signal %d (%s)%s", WTERMSIG(status),
		         strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped," : "");
	else
		snprintf(out, CHILD_END_MAX, "ended with status %d", WEXITSTATUS(status));
	add_notes(child, status, out);
	return out;
}

char *child_obituary(const struct child *child, int status, char out[CHILD_END_MAX])
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (child->err.code == -ETIMEDOUT) {
		snprintf(out, CHILD_END_MAX, "%.*s", CHILD_END_MAX - 1, child->err.text);
		return out;
	}
	if (note_signal_name(signal) != NULL)
		snprintf(out, CHILD_END_MAX, "died of %s", note_signal_name(signal));
	else if (signal != 0)
		snprintf(out, CHILD_END_MAX, "died of signal %d", signal);
	else
		snprintf(out, CHILD_END_MAX, "ended with status %d", WEXITSTATUS(status));
	add_notes(child, status, out);
	return out;
}

/* Whether somebody stopped it, or looks into it with a debugger. */
static bool is_stopped(pid_t pid)
{
	char path[32], text[256];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	/* The name is in brackets and may hold any bytes. */
	const char *state = strrchr(text, ')');
	return state != NULL && (state[1] == ' ' && (state[2] == 'T' || state[2] == 't'));
}

bool child_hangs(struct child *child, uint64_t now, uint64_t limit, bool fresh)
{
	char where[NOTE_TEXT_MAX], span[TEXT_NUMBER_MAX];
	if (child->reaped || !notes_lasting(child->notes, now, limit, fresh || is_stopped(child->pid), where))
		return false;
	error_set(&child->err, -ETIMEDOUT, FAULT_LOCAL, "hung %s for more than %s (hang-after)", where,
	          text_format_duration(span, limit));
	return true;
}
