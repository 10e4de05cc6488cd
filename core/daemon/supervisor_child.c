/* SPDX-License-Identifier: BSD-2-Clause */
/* The supervisor's children: started, heard, and what becomes of the others when one dies. */
#include "daemon/supervisor_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int reserve_poll(struct supervisor *supervisor, struct error *err)
{
	size_t need = supervisor->child_count + 2; /* the signals, and the child to come */
	if (need <= supervisor->poll_cap)
		return 0;
	struct pollfd *polls = realloc(supervisor->polls, 2 * need * sizeof *polls);
	if (polls == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot watch one more worker");
	supervisor->polls = polls;
	supervisor->poll_cap = 2 * need;
	return 0;
}

int supervisor_spawn(struct supervisor *supervisor, struct generation *generation, const struct child_order *wanted,
                     struct error *err)
{
	struct child_order order = *wanted;
	struct child *child;
	int code = reserve_poll(supervisor, err);
	order.workers = generation->workers;
	order.reload = supervisor->current != NULL && generation != supervisor->current;
	if (code == 0)
		code = child_spawn(&child, supervisor->source, &order, err);
	if (code < 0)
		return code;
	child->deadline = child->started + SUPERVISOR_START_TIMEOUT;
	list_append(&supervisor->children, &child->node);
	supervisor->child_count++;
	generation_put(generation, child);
	return 0;
}

static struct child *find_child(struct supervisor *supervisor, pid_t pid)
{
	for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next) {
		struct child *child = list_entry(at, struct child, node);
		if (child->pid == pid)
			return child;
	}
	return NULL;
}

void supervisor_log(struct supervisor *supervisor, enum log_level level, const char *what, const struct child *child,
                    const char *how)
{
	struct log_field fields[] = {
		{ .key = "worker", .number = child->order.index },
		{ .key = "pid", .number = (uint64_t)child->pid },
		{ .key = "cause", .text = how },
	};
	log_event(supervisor->log, level, what, fields, how == NULL ? 2 : 3);
}

/* It serves from here on. */
void supervisor_release(struct supervisor *supervisor, struct child *child, const char *how)
{
	child->state = CHILD_RUNNING;
	deaths_send(&supervisor->deaths, child->control);
	child_tell(child, CONTROL_GO);
	supervisor_log(supervisor, LOG_LEVEL_INFO, "worker ready", child, how);
}

/* Whom it served is told by the others. */
static void announce_death(struct supervisor *supervisor, const struct child *child, int status)
{
	uint8_t id[NOTE_ID];
	char text[CHILD_END_MAX];
	if (!notes_identity(child->notes, id))
		return;
	deaths_add(&supervisor->deaths, id, child_obituary(child, status, text));
	for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next) {
		const struct child *other = list_entry(at, struct child, node);
		if (other->state == CHILD_RUNNING && other->control >= 0)
			deaths_send_last(&supervisor->deaths, other->control);
	}
}

static void distrust(struct child *child)
{
	error_set(&child->err, -EBADMSG, FAULT_LOCAL, "it said something that no worker says");
	child_end(child);
	child_close(child);
}

static void take_message(struct supervisor *supervisor, struct child *child, const struct control_message *message,
                         const int *fds, size_t count)
{
	bool starting = child->state == CHILD_STARTING;
	bool making = starting && child->order.role == CONTROL_MAKE;
	if (message->type == CONTROL_SOCKET && making) {
		int code = listen_set_take(&child->generation->sockets, message, fds, count);
		if (code < 0)
			distrust(child);
		return;
	}
	for (size_t at = 0; at < count; at++)
		close(fds[at]);
	if (child->state == CHILD_KILLED)
		return;
	if (message->type == CONTROL_READY && starting && (!making || child->generation->sockets.count > 0))
		trial_ready(supervisor, child, message->name);
	else if (message->type == CONTROL_ERROR && starting)
		control_read_error(message, &child->err);
	else
		distrust(child);
}

void supervisor_hear(struct supervisor *supervisor, struct child *child)
{
	while (child->control >= 0) {
		struct control_message message;
		int fds[CONTROL_FDS_MAX];
		size_t count;
		int code = control_receive(child->control, &message, fds, &count, 0);
		if (code == -EAGAIN)
			return;
		if (code == 0) {
			take_message(supervisor, child, &message, fds, count);
			continue;
		}
		/* At its end: the process is about to be gone, and if it is not, it is of no use any more. */
		if (code != -EPIPE)
			distrust(child);
		child_end(child);
		child_close(child);
	}
}

static void child_died(struct supervisor *supervisor, struct child *child, int status)
{
	char how[CHILD_END_MAX];
	struct generation *generation = child->generation;
	bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0 && child->state == CHILD_DRAINING;
	child_describe(child, status, how);
	const char *cause = child->err.code != 0 ? child->err.text : how;
	if (!orderly && child->state != CHILD_KILLED)
		announce_death(supervisor, child, status);
	if (generation == NULL) {
		if (child->state == CHILD_DRAINING && !orderly)
			supervisor_log(supervisor, LOG_LEVEL_WARN, "worker died while it drained", child, cause);
		else if (child->state == CHILD_DRAINING)
			supervisor_log(supervisor, LOG_LEVEL_INFO, "worker ended", child, NULL);
		return;
	}
	if (generation == supervisor->current) {
		bool ready = child->state == CHILD_RUNNING;
		supervisor_log(supervisor, LOG_LEVEL_ERROR, ready ? "worker died" : "worker did not become ready",
		               child, cause);
		generation_vacate(generation, child, clock_monotonic());
		return;
	}
	struct error err = child->err;
	if (err.code == 0)
		error_set(&err, -ECHILD, FAULT_USAGE, "worker %u (process %d) died before it was ready: %s",
		          child->order.index, (int)child->pid, how);
	generation->slots[child->order.index].child = NULL;
	trial_fail(supervisor, &err);
}

void supervisor_reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;
	/* All, known or not: as the first process of a container we inherit strangers. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = find_child(supervisor, pid);
		if (child == NULL)
			continue;
		/* Its last words may still be unread. */
		child->reaped = true;
		supervisor_hear(supervisor, child);
		list_remove(&child->node);
		supervisor->child_count--;
		child_died(supervisor, child, status);
		child_free(child);
	}
}
