/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's loop. One thread; poll(2) on the signals and on each worker's control socket.
 *
 * A reload runs beside what serves: the new generation is on trial until each of its workers is ready. Its first
 * worker takes up the open sockets and makes what is missing; then the others get theirs. Only then the old workers
 * are told to drain and the new ones to go. Whatever fails before that ends the trial alone.
 */
#include "engine/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/activation.h"
#include "engine/child.h"
#include "engine/deaths.h"
#include "engine/files.h"
#include "engine/generation.h"
#include "engine/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that is not ready by then never will be: a name server does not answer, or a plug-in hangs. */
#define START_TIMEOUT (60 * CLOCK_SECOND)
/*
 * A draining worker ends its sessions by itself at drain-timeout, and listens to a peer that does not close for a second
 * more (link_close()); beyond that it hangs.
 */
#define DRAIN_GRACE (2 * CLOCK_SECOND)
/* So often within hang-after. */
enum { HANG_LOOKS = 4 };
/* Who signals a process and then its group, as timeout(1) does, means it once. */
#define SAME_SIGNAL (200 * CLOCK_MS)

struct supervisor {
	const struct settings_source *source; /* borrowed */
	struct log *log;                      /* owned */
	int signals;                          /* owned */
	struct list children;
	size_t child_count;
	struct listen_set handed;   /* by the service manager, until the first generation has it */
	struct generation *current; /* owned; NULL until the first one is ready */
	struct generation *trial;   /* owned; NULL when there is none */
	struct pollfd *polls;       /* owned; room for all children and the signals */
	size_t poll_cap;
	struct deaths deaths;
	uint64_t look_at;  /* ns, when to look for hung workers */
	bool reload_again; /* SIGHUP came during a trial */
	bool stopping;
	uint64_t stopped; /* when it was told to, ns */
	bool failed;      /* the first generation did not become ready: */
	struct error failure;
};

/* ---- children -------------------------------------------------------------------------------------------------- */

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

static int start_child(struct supervisor *supervisor, struct generation *generation, unsigned index,
                       enum control_role role, const struct listen_set *handing, struct error *err)
{
	struct child *child;
	int code = reserve_poll(supervisor, err);
	if (code == 0)
		code = child_spawn(&child, supervisor->source, role, index, generation->workers, handing, err);
	if (code < 0)
		return code;
	child->deadline = child->started + START_TIMEOUT;
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

static void log_child(struct supervisor *supervisor, enum log_level level, const char *what, const struct child *child,
                      const char *how)
{
	struct log_field fields[] = {
		{ .key = "worker", .number = child->index },
		{ .key = "pid", .number = (uint64_t)child->pid },
		{ .key = "cause", .text = how },
	};
	log_event(supervisor->log, level, what, fields, how == NULL ? 2 : 3);
}

/* It serves from here on. */
static void release(struct supervisor *supervisor, struct child *child, const char *how)
{
	child->state = CHILD_RUNNING;
	deaths_send(&supervisor->deaths, child->control);
	child_tell(child, CONTROL_GO);
	log_child(supervisor, LOG_LEVEL_INFO, "worker ready", child, how);
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

/* Ends a generation's part in the daemon: who runs drains, the others have nothing to finish. */
static void retire(struct generation *generation)
{
	uint64_t until = clock_monotonic() + generation->settings->drain_timeout + DRAIN_GRACE;
	for (unsigned at = 0; at < generation->workers; at++) {
		struct child *child = generation->slots[at].child;
		if (child == NULL)
			continue;
		if (child->state != CHILD_RUNNING) {
			child_kill(child);
			continue;
		}
		child->state = CHILD_DRAINING;
		child->generation = NULL;
		child->deadline = until;
		child_tell(child, CONTROL_DRAIN);
	}
	generation_free(generation);
}

/* ---- trials ---------------------------------------------------------------------------------------------------- */

static int start_trial(struct supervisor *supervisor, struct settings *settings, struct error *err)
{
	int code = generation_create(&supervisor->trial, settings, err);
	if (code < 0) {
		settings_free(settings);
		return code;
	}
	const struct listen_set *handing = supervisor->current == NULL ? &supervisor->handed
	                                                               : &supervisor->current->sockets;
	return start_child(supervisor, supervisor->trial, 0, CONTROL_MAKE, handing, err);
}

static void fail_trial(struct supervisor *supervisor, const struct error *err)
{
	if (supervisor->trial != NULL)
		retire(supervisor->trial);
	supervisor->trial = NULL;
	if (supervisor->current == NULL) {
		supervisor->failed = true;
		supervisor->failure = *err;
		return;
	}
	log_say(supervisor->log, LOG_LEVEL_ERROR, "reload failed, the daemon serves on as before: %s", err->text);
	notify_send("READY=1");
}

static void reload(struct supervisor *supervisor)
{
	struct settings *settings;
	struct error err = { 0 };
	supervisor->reload_again = false;
	log_say(supervisor->log, LOG_LEVEL_INFO, "reloading");
	notify_reloading();
	int code = settings_load(&settings, supervisor->source, &err);
	if (code == 0)
		code = start_trial(supervisor, settings, &err);
	if (code < 0)
		fail_trial(supervisor, &err);
}

/* Neither a new address nor a new transport: there is nothing to say of it. */
static bool known_item(const struct listen_set *before, const struct listen_item *item)
{
	for (size_t at = 0; before != NULL && at < before->count; at++)
		if (strcmp(before->items[at].address, item->address) == 0 &&
		    strcmp(before->items[at].transport, item->transport) == 0)
			return true;
	return false;
}

static void log_listening(struct supervisor *supervisor, const struct listen_set *before)
{
	const struct generation *current = supervisor->current;
	for (size_t at = 0; at < current->sockets.count; at++) {
		const struct listen_item *item = &current->sockets.items[at];
		if (known_item(before, item))
			continue;
		bool datagrams = item->datagram_count > 0;
		log_say(supervisor->log, LOG_LEVEL_INFO, "listening on %s (%s), heartbeat %s (%s)", item->address,
		        item->transport, datagrams ? item->heartbeat : "in-band", current->liveness);
	}
}

static void use_log(struct supervisor *supervisor, const struct settings *settings)
{
	struct log *log;
	if (log_create(&log, "xferd", STDERR_FILENO, settings->log_level, settings->log_format) < 0)
		return; /* the one that we have still writes */
	log_destroy(supervisor->log);
	supervisor->log = log;
}

/* Every worker of the trial is ready: it takes over. */
static void commit_trial(struct supervisor *supervisor)
{
	struct generation *old = supervisor->current;
	struct generation *current = supervisor->trial;
	supervisor->current = current;
	supervisor->trial = NULL;
	listen_set_free(&supervisor->handed);
	use_log(supervisor, current->settings);
	log_listening(supervisor, old == NULL ? NULL : &old->sockets);
	/* The old ones first, so that they stop reading the datagram sockets that they share with the new ones. */
	if (old != NULL)
		retire(old);
	for (unsigned at = 0; at < current->workers; at++)
		release(supervisor, current->slots[at].child, NULL);
	if (old != NULL)
		log_say(supervisor->log, LOG_LEVEL_INFO, "reloaded");
	notify_send("READY=1");
}

/* ---- what children say ----------------------------------------------------------------------------------------- */

static void child_is_ready(struct supervisor *supervisor, struct child *child, const char *liveness)
{
	struct generation *generation = child->generation;
	child->state = CHILD_READY;
	child->deadline = CLOCK_NEVER;
	if (generation == supervisor->current) {
		release(supervisor, child, "replaced one that died");
		return;
	}
	struct error err = { 0 };
	int code = 0;
	if (child->role == CONTROL_MAKE) {
		snprintf(generation->liveness, sizeof generation->liveness, "%s", liveness);
		for (unsigned at = 1; code == 0 && at < generation->workers; at++)
			code = start_child(supervisor, generation, at, CONTROL_ADOPT, &generation->sockets, &err);
	}
	if (code < 0)
		fail_trial(supervisor, &err);
	else if (generation_is(generation, CHILD_READY))
		commit_trial(supervisor);
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
	bool making = starting && child->role == CONTROL_MAKE;
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
		child_is_ready(supervisor, child, message->name);
	else if (message->type == CONTROL_ERROR && starting)
		control_read_error(message, &child->err);
	else
		distrust(child);
}

static void hear_child(struct supervisor *supervisor, struct child *child)
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

/* ---- what becomes of children ---------------------------------------------------------------------------------- */

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
			log_child(supervisor, LOG_LEVEL_WARN, "worker died while it drained", child, cause);
		else if (child->state == CHILD_DRAINING)
			log_child(supervisor, LOG_LEVEL_INFO, "worker ended", child, NULL);
		return;
	}
	if (generation == supervisor->current) {
		bool ready = child->state == CHILD_RUNNING;
		log_child(supervisor, LOG_LEVEL_ERROR, ready ? "worker died" : "worker did not become ready", child,
		          cause);
		generation_vacate(generation, child, clock_monotonic());
		return;
	}
	struct error err = child->err;
	if (err.code == 0)
		error_set(&err, -ECHILD, FAULT_USAGE, "worker %u (process %d) died before it was ready: %s",
		          child->index, (int)child->pid, how);
	generation->slots[child->index].child = NULL;
	fail_trial(supervisor, &err);
}

static void reap(struct supervisor *supervisor)
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
		hear_child(supervisor, child);
		list_remove(&child->node);
		supervisor->child_count--;
		child_died(supervisor, child, status);
		child_free(child);
	}
}

static void stop(struct supervisor *supervisor)
{
	if (supervisor->stopping && clock_monotonic() - supervisor->stopped < SAME_SIGNAL)
		return;
	if (supervisor->stopping) {
		log_say(supervisor->log, LOG_LEVEL_WARN, "told again to stop: ending at once");
		for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next)
			child_kill(list_entry(at, struct child, node));
		return;
	}
	log_say(supervisor->log, LOG_LEVEL_INFO, "stopping");
	notify_send("STOPPING=1");
	supervisor->stopping = true;
	supervisor->stopped = clock_monotonic();
	if (supervisor->trial != NULL)
		retire(supervisor->trial);
	if (supervisor->current != NULL)
		retire(supervisor->current);
	supervisor->trial = NULL;
	supervisor->current = NULL;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			reap(supervisor);
		else if (info.ssi_signo == SIGHUP)
			supervisor->reload_again = true;
		else
			stop(supervisor);
	}
}

/* Ends workers that do not come back from a plug-in. Returns when to look again. */
static uint64_t look_for_hung(struct supervisor *supervisor, uint64_t now)
{
	uint64_t limit = supervisor->current == NULL ? 0 : supervisor->current->settings->hang_after;
	if (limit == 0)
		return CLOCK_NEVER;
	if (now < supervisor->look_at)
		return supervisor->look_at;
	/* Who comes late was stopped himself, and so perhaps were they. */
	bool fresh = now - supervisor->look_at > CLOCK_SECOND;
	for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next) {
		struct child *child = list_entry(at, struct child, node);
		if ((child->state == CHILD_RUNNING || child->state == CHILD_DRAINING) && child->err.code == 0 &&
		    child_hangs(child, now, limit, fresh))
			child_end(child);
	}
	supervisor->look_at = now + limit / HANG_LOOKS;
	return supervisor->look_at;
}

/* Does what is due by the clock; returns when it wants to be called next. */
static uint64_t take_time(struct supervisor *supervisor)
{
	uint64_t now = clock_monotonic();
	int due;
	while (supervisor->current != NULL && (due = generation_due(supervisor->current, now)) >= 0) {
		struct generation *current = supervisor->current;
		struct error err = { 0 };
		if (start_child(supervisor, current, (unsigned)due, CONTROL_ADOPT, &current->sockets, &err) < 0) {
			log_say(supervisor->log, LOG_LEVEL_ERROR, "%s", err.text);
			/* At the next turn at the earliest, however small the pause. */
			generation_delay(current, (unsigned)due, now + CLOCK_MS);
		}
	}
	uint64_t next = look_for_hung(supervisor, now);
	if (supervisor->current != NULL && generation_next(supervisor->current) < next)
		next = generation_next(supervisor->current);
	for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next) {
		struct child *child = list_entry(at, struct child, node);
		if (child->deadline > now) {
			next = child->deadline < next ? child->deadline : next;
			continue;
		}
		child->deadline = CLOCK_NEVER;
		if (child->state == CHILD_DRAINING) {
			log_child(supervisor, LOG_LEVEL_WARN, "worker did not drain in time, killing it", child, NULL);
			child_kill(child);
		} else {
			error_set(&child->err, -ETIMEDOUT, FAULT_LOCAL, "worker %u was not ready within %d seconds",
			          child->index, (int)(START_TIMEOUT / CLOCK_SECOND));
			child_end(child);
		}
	}
	return next;
}

static int poll_timeout(uint64_t next)
{
	if (next == CLOCK_NEVER)
		return -1;
	uint64_t now = clock_monotonic();
	if (next <= now)
		return 0;
	uint64_t ms = (next - now + CLOCK_MS - 1) / CLOCK_MS;
	return ms > 3600000 ? 3600000 : (int)ms;
}

static void turn(struct supervisor *supervisor, uint64_t next)
{
	size_t count = 0;
	supervisor->polls[count++] = (struct pollfd){ .fd = supervisor->signals, .events = POLLIN };
	for (struct list *at = supervisor->children.next; at != &supervisor->children; at = at->next) {
		const struct child *child = list_entry(at, struct child, node);
		short events = child_hungry(child) ? POLLIN | POLLOUT : POLLIN;
		supervisor->polls[count++] = (struct pollfd){ .fd = child->control, .events = events };
	}
	if (poll(supervisor->polls, count, poll_timeout(next)) <= 0)
		return;
	/*
	 * Hearing children frees none of them, and new ones come to the end of the list, but their start may move
	 * `polls`: so each place is read before the child of that place is heard.
	 */
	size_t at = 1;
	for (struct list *node = supervisor->children.next; at < count; node = node->next, at++) {
		struct child *child = list_entry(node, struct child, node);
		short events = supervisor->polls[at].revents;
		if ((events & POLLOUT) != 0)
			child_feed(child);
		if ((events & ~POLLOUT) != 0)
			hear_child(supervisor, child);
	}
	if (supervisor->polls[0].revents != 0)
		take_signals(supervisor);
}

static bool finished(const struct supervisor *supervisor)
{
	return (supervisor->stopping || supervisor->failed) && supervisor->child_count == 0;
}

static int open_signals(int *out, struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	/* Inherited as ignored, it would reap our children for us. */
	signal(SIGCHLD, SIG_DFL);
	/* A log that nobody reads any more, or that may not grow, costs its lines only. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
		int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
		if (fd >= 0) {
			*out = fd;
			return 0;
		}
	}
	return error_system(err, -errno, FAULT_LOCAL, "cannot wait for signals");
}

static int begin(struct supervisor *supervisor, struct error *err)
{
	struct settings *settings;
	int code = open_signals(&supervisor->signals, err);
	if (code == 0)
		code = settings_load(&settings, supervisor->source, err);
	if (code < 0)
		return code;
	code = log_create(&supervisor->log, "xferd", STDERR_FILENO, settings->log_level, settings->log_format);
	if (code < 0) {
		settings_free(settings);
		return error_system(err, code, FAULT_LOCAL, "cannot open the log");
	}
	(void)files_raise(0);
	code = activation_take(&supervisor->handed, settings, err);
	if (code < 0) {
		settings_free(settings);
		return code;
	}
	code = start_trial(supervisor, settings, err);
	/* There is no child yet, so there is nothing to wait for. */
	if (code < 0) {
		generation_free(supervisor->trial);
		supervisor->trial = NULL;
	}
	return code;
}

int supervisor_run(const struct settings_source *source, struct error *err)
{
	struct supervisor supervisor = { .source = source, .signals = -1 };
	list_init(&supervisor.children);
	int code = begin(&supervisor, err);
	while (code == 0 && !finished(&supervisor)) {
		uint64_t next = take_time(&supervisor);
		turn(&supervisor, next);
		if (supervisor.reload_again && supervisor.trial == NULL && supervisor.current != NULL)
			reload(&supervisor);
	}
	if (code == 0 && supervisor.failed && !supervisor.stopping) {
		if (err != NULL)
			*err = supervisor.failure;
		code = supervisor.failure.code;
	}
	if (code == 0)
		log_say(supervisor.log, LOG_LEVEL_INFO, "stopped");
	listen_set_free(&supervisor.handed);
	free(supervisor.polls);
	if (supervisor.signals >= 0)
		close(supervisor.signals);
	log_destroy(supervisor.log);
	return code;
}
