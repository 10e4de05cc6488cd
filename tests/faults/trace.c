/* SPDX-License-Identifier: BSD-2-Clause */
/* One loop around waitpid(): each stop of each thread is looked at, and the thread sent on. */
#include "trace.h"

#if defined(__x86_64__) && defined(__linux__)

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A stop for a system call, as PTRACE_O_TRACESYSGOOD marks it. */
#define CALL_STOP (SIGTRAP | 0x80)

/* A signal handler has nothing else to tell it to. */
static volatile sig_atomic_t timed_out;

static void on_alarm(int signal)
{
	(void)signal;
	timed_out = 1;
}

/* Status 77 where nothing can be traced: the test is skipped. */
static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "syscalls: %s: %s\n", what, strerror(errno));
	exit(errno == EPERM || errno == ENOSYS ? STATUS_SKIP : EXIT_FAILURE);
}

/* ---- tasks ----------------------------------------------------------------------------------------------------- */

static pid_t process_of(pid_t tid)
{
	char path[64];
	char line[256];
	int process = tid;
	snprintf(path, sizeof path, "/proc/%d/status", tid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return tid;
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	fclose(file);
	return process;
}

/* A task that is not known yet becomes so. */
static struct task *find_task(struct tracer *tracer, pid_t tid)
{
	struct task *room = NULL;
	for (size_t at = 0; at < TASKS_MAX; at++) {
		if (tracer->tasks[at].tid == tid)
			return &tracer->tasks[at];
		if (room == NULL && tracer->tasks[at].tid == 0)
			room = &tracer->tasks[at];
	}
	if (room == NULL) {
		fprintf(stderr, "syscalls: more than %d threads\n", TASKS_MAX);
		exit(EXIT_FAILURE);
	}
	*room = (struct task){ .tid = tid, .process = process_of(tid) };
	return room;
}

static void forget_task(struct tracer *tracer, pid_t tid)
{
	for (size_t at = 0; at < TASKS_MAX; at++)
		if (tracer->tasks[at].tid == tid)
			tracer->tasks[at].tid = 0;
}

static bool is_traced(const struct tracer *tracer, pid_t tid)
{
	for (size_t at = 0; at < TASKS_MAX; at++)
		if (tracer->tasks[at].tid == tid)
			return true;
	return false;
}

/* Whoever runs is interrupted, so that its next stop is soon; whoever stands is let go when we hear of it. */
static void begin_leaving(struct tracer *tracer)
{
	tracer->leaving = true;
	for (size_t at = 0; at < TASKS_MAX; at++)
		if (tracer->tasks[at].tid != 0)
			ptrace(PTRACE_INTERRUPT, tracer->tasks[at].tid, 0, 0);
}

/* Seizes all threads of a process, those too that come into being meanwhile. */
void trace_attach(struct tracer *tracer)
{
	pid_t process = tracer->process;
	char path[64];
	bool more = true;
	snprintf(path, sizeof path, "/proc/%d/task", process);
	while (more) {
		struct dirent *entry;
		DIR *dir = opendir(path);
		if (dir == NULL)
			fail(path);
		more = false;
		while ((entry = readdir(dir)) != NULL) {
			pid_t tid = atoi(entry->d_name);
			if (tid <= 0 || is_traced(tracer, tid))
				continue;
			if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) < 0) {
				/* Another thread can be gone, or be ours already because one of ours made it. */
				if (tid == process)
					fail("cannot trace the process");
				continue;
			}
			ptrace(PTRACE_INTERRUPT, tid, 0, 0);
			find_task(tracer, tid);
			more = true;
		}
		closedir(dir);
	}
	tracer->attached = true;
	tracer->counting = true;
}

void trace_start(struct tracer *tracer, char **command)
{
	int gate[2];
	char byte = 0;
	if (pipe(gate) < 0)
		fail("pipe");
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(EXIT_FAILURE);
		close(gate[0]);
		execvp(command[0], command);
		fprintf(stderr, "syscalls: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	close(gate[0]);
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
	               PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (!tracer->attached) {
		if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0)
			fail("cannot trace a child");
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		find_task(tracer, pid);
	}
	if (write(gate[1], &byte, 1) != 1)
		fail("pipe");
	close(gate[1]);
	tracer->command = pid;
}

/* ---- calls ----------------------------------------------------------------------------------------------------- */

/* How many there were of the name, this one too. */
static unsigned long count_name(struct tracer *tracer, const char *name)
{
	size_t at = 0;
	while (at + 1 < CALL_NUMBERS && tracer->seen[at].name[0] != '\0' && strcmp(tracer->seen[at].name, name) != 0)
		at++;
	memcpy(tracer->seen[at].name, name, NAME_SIZE);
	return ++tracer->seen[at].calls;
}

static struct call *add_call(struct tracer *tracer, uint64_t number, const char *kind)
{
	if (tracer->count + 1 >= tracer->capacity) {
		tracer->capacity = tracer->capacity == 0 ? 1024 : 2 * tracer->capacity;
		tracer->calls = realloc(tracer->calls, tracer->capacity * sizeof *tracer->calls);
		if (tracer->calls == NULL)
			fail("calls");
	}
	struct call *call = &tracer->calls[++tracer->count];
	*call = (struct call){ 0 };
	if (syscall_name(number) == NULL)
		snprintf(call->name, sizeof call->name, "call-%lu", (unsigned long)number);
	else
		snprintf(call->name, sizeof call->name, "%s%s%s", syscall_name(number), *kind != '\0' ? "." : "", kind);
	call->nth = count_name(tracer, call->name);
	return call;
}

static bool is_point(const struct tracer *tracer, const struct call *call)
{
	if (tracer->deed == DEED_NONE || tracer->reached)
		return false;
	if (tracer->point_name[0] == '\0')
		return tracer->count == tracer->point_nth;
	return strcmp(call->name, tracer->point_name) == 0 && call->nth == tracer->point_nth;
}

static void strike(struct tracer *tracer, struct task *task, uint64_t number, struct user_regs_struct *regs)
{
	tracer->reached = true;
	task->struck = true;
	tracer->saved.regs = *regs;
	switch (tracer->deed) {
	case DEED_KILL:
		regs->orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, task->tid, 0, regs);
		kill(task->process, SIGKILL);
		break;
	case DEED_FAIL:
		/* Whatever close() returns, the descriptor is closed. */
		if (number == SYS_close)
			break;
		/* One that fails tells where the break is, which is what it does when it is asked for nothing. */
		if (number == SYS_brk) {
			regs->rdi = 0;
			ptrace(PTRACE_SETREGS, task->tid, 0, regs);
			break;
		}
		regs->orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, task->tid, 0, regs);
		break;
	case DEED_SHORT: shorten_begin(&tracer->saved, task->tid); break;
	default: break;
	}
}

static void on_entry(struct tracer *tracer, struct task *task)
{
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, task->tid, 0, &regs) < 0)
		return;
	uint64_t number = regs.orig_rax;
	struct call *call = add_call(tracer, number, shorten_kind(task->process, &regs));
	task->call = tracer->count;
	if (is_point(tracer, call))
		strike(tracer, task, number, &regs);
}

static void on_exit_of(struct tracer *tracer, struct task *task)
{
	struct user_regs_struct regs;
	if (task->call == 0 || ptrace(PTRACE_GETREGS, task->tid, 0, &regs) < 0)
		return;
	struct call *call = &tracer->calls[task->call];
	call->returned = true;
	call->result = (int64_t)regs.rax;
	task->call = 0;
	if (!task->struck)
		return;
	task->struck = false;
	switch (tracer->deed) {
	case DEED_KILL_AFTER: kill(task->process, SIGKILL); break;
	case DEED_FAIL:
		regs.rdi = tracer->saved.regs.rdi;
		if (tracer->saved.regs.orig_rax != SYS_brk)
			regs.rax = (unsigned long long)-(long long)tracer->error;
		ptrace(PTRACE_SETREGS, task->tid, 0, &regs);
		call->result = (int64_t)regs.rax;
		begin_leaving(tracer);
		break;
	case DEED_SHORT:
		shorten_end(&tracer->saved, task->tid, &regs);
		begin_leaving(tracer);
		break;
	default: break;
	}
}

/* ---- stops ----------------------------------------------------------------------------------------------------- */

/* Was the process executed with our word? */
static bool has_word(pid_t process, const char *word)
{
	char path[64];
	char text[4096];
	snprintf(path, sizeof path, "/proc/%d/cmdline", process);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return false;
	size_t len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[len] = '\0';
	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		if (strcmp(text + at, word) == 0)
			return true;
	return false;
}

static void on_exec(struct tracer *tracer, struct task *task)
{
	task->call = 0;
	if (tracer->counting)
		return;
	if (tracer->word != NULL ? has_word(task->process, tracer->word) : task->process == tracer->command) {
		tracer->process = task->process;
		tracer->counting = true;
	}
}

static void on_call(struct tracer *tracer, struct task *task)
{
	struct __ptrace_syscall_info info;
	if (!tracer->counting || task->process != tracer->process)
		return;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof info, &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		on_entry(tracer, task);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		on_exit_of(tracer, task);
}

static void on_stop(struct tracer *tracer, pid_t tid, int status)
{
	struct task *task = find_task(tracer, tid);
	int signal = WSTOPSIG(status);
	int event = status >> 16;
	enum __ptrace_request go_on = PTRACE_SYSCALL;
	if (signal == CALL_STOP) {
		signal = 0;
		on_call(tracer, task);
	} else if (event == PTRACE_EVENT_STOP) {
		/* Stopped as a whole: it goes on when it is told to. */
		if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
			go_on = PTRACE_LISTEN;
		signal = 0;
	} else if (event != 0) {
		signal = 0;
		if (event == PTRACE_EVENT_EXEC)
			on_exec(tracer, task);
	}
	if (tracer->leaving && !task->struck) {
		forget_task(tracer, tid);
		ptrace(PTRACE_DETACH, tid, 0, signal);
		return;
	}
	ptrace(go_on, tid, 0, signal);
}

static void let_go(struct tracer *tracer)
{
	int status;
	pid_t tid;
	if (!tracer->leaving)
		begin_leaving(tracer);
	while ((tid = waitpid(-1, &status, __WALL)) > 0)
		if (WIFSTOPPED(status))
			on_stop(tracer, tid, status);
}

int trace_follow(struct tracer *tracer, unsigned seconds)
{
	int ended = -1;
	bool killed = false;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	alarm(seconds);
	while (ended < 0) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno != EINTR)
			fail("waitpid");
		if (timed_out && !killed) {
			kill(tracer->command, SIGKILL);
			killed = true;
		}
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			on_stop(tracer, tid, status);
			continue;
		}
		forget_task(tracer, tid);
		if (tid == tracer->command)
			ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	alarm(0);
	if (tracer->attached)
		let_go(tracer);
	return killed ? -1 : ended;
}

#endif
