/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's loop. One thread; poll(2) on the signals and on each worker's control socket. Children and trials have
 * files of their own.
 */
#include "daemon/supervisor.h"

#include "daemon/activation.h"
#include "daemon/notify.h"
#include "daemon/supervisor_state.h"
#include "engine/files.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* So often within hang-after. */
enum { HANG_LOOKS = 4 };
/* Who signals a process and then its group, as timeout(1) does, means it once. */
#define SAME_SIGNAL (200 * CLOCK_MS)

/* ---- signals --------------------------------------------------------------------------------------------------- */

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
		supervisor_retire(supervisor->trial);
	if (supervisor->current != NULL)
		supervisor_retire(supervisor->current);
	supervisor->trial = NULL;
	supervisor->current = NULL;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			supervisor_reap(supervisor);
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
		const struct child_order order = { .role = CONTROL_ADOPT,
			                           .index = (unsigned)due,
			                           .handing = &current->sockets };
		if (supervisor_spawn(supervisor, current, &order, &err) < 0) {
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
			supervisor_log(supervisor, LOG_LEVEL_WARN, "worker did not drain in time, killing it", child,
			               NULL);
			child_kill(child);
		} else {
			error_set(&child->err, -ETIMEDOUT, FAULT_LOCAL, "worker %u was not ready within %d seconds",
			          child->order.index, (int)(SUPERVISOR_START_TIMEOUT / CLOCK_SECOND));
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
			supervisor_hear(supervisor, child);
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
	code = trial_start(supervisor, settings, err);
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
			trial_reload(&supervisor);
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
