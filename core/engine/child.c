/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts, feeds and ends worker processes. */
#include "engine/child.h"

#include "base/clock.h"
#include "engine/worker.h"

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

static _Noreturn void become_worker(int control, pid_t supervisor, char *const *arguments)
{
	bind_life(supervisor);
	set_signals();
	unsetenv("NOTIFY_SOCKET");
	/* dup2() onto itself would leave close-on-exec as it is. */
	int code = control == CONTROL_FD ? fcntl(control, F_SETFD, 0) : dup2(control, CONTROL_FD);
	if (code >= 0)
		execv("/proc/self/exe", arguments);
	struct error err = { 0 };
	error_system(&err, -errno, FAULT_LOCAL, "cannot execute /proc/self/exe");
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

int child_spawn(struct child **out, const struct settings_source *source, enum control_role role, unsigned index,
                unsigned workers, const struct listen_set *handing, struct error *err)
{
	char worker[32];
	int ends[2];
	snprintf(worker, sizeof worker, "--" WORKER_OPTION "=%u", index);
	struct child *child = calloc(1, sizeof *child);
	char **arguments = make_arguments(source, worker);
	int code = child == NULL || arguments == NULL ? -ENOMEM : control_pair(ends);
	if (code < 0)
		goto fail;
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become_worker(ends[1], self, arguments);
	code = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (code < 0) {
		close(ends[0]);
		goto fail;
	}
	free(arguments);
	list_init(&child->node);
	child->index = index;
	child->role = role;
	child->state = CHILD_STARTING;
	child->pid = pid;
	child->control = ends[0];
	child->workers = workers;
	child->handing = handing;
	child->tell = 1 + (handing == NULL ? 0 : listen_set_messages(handing, role, index));
	child->started = clock_monotonic();
	child->deadline = CLOCK_NEVER;
	child_feed(child);
	*out = child;
	return 0;
fail:
	free(arguments);
	free(child);
	return error_system(err, code, FAULT_LOCAL, "cannot start worker %u", index);
}

bool child_hungry(const struct child *child)
{
	return child->state == CHILD_STARTING && child->control >= 0 && child->told < child->tell;
}

void child_feed(struct child *child)
{
	while (child_hungry(child)) {
		struct control_message message = { .type = CONTROL_START,
			                           .role = child->role,
			                           .workers = child->workers,
			                           .sockets = (uint32_t)(child->tell - 1) };
		int fds[CONTROL_FDS_MAX];
		size_t count = 0;
		if (child->told > 0)
			listen_set_message(child->handing, child->role, child->index, child->told - 1, &message, fds,
			                   &count);
		int code = control_send(child->control, &message, fds, count);
		if (code == -EAGAIN)
			return;
		if (code < 0) {
			/* It is ending, or it never can be told: either way its end says what is next. */
			if (code != -EPIPE)
				error_system(&child->err, code, FAULT_LOCAL, "cannot hand the sockets to worker %u",
				             child->index);
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
	free(child);
}

void child_describe(char *out, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
		         WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}
