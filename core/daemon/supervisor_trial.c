/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trials: a new generation beside the one that serves, until each of its workers is ready. Its first worker takes up the
 * open sockets and makes what is missing; then the others get theirs. Only then the old workers are told to drain and the
 * new ones to go. Whatever fails before that ends the trial alone.
 */
#include "daemon/supervisor_state.h"

#include "daemon/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * A draining worker ends its sessions by itself at drain-timeout, and listens to a peer that does not close for a second
 * more (link_close()); beyond that it hangs.
 */
#define DRAIN_GRACE (2 * CLOCK_SECOND)

/* Ends a generation's part in the daemon: who runs drains, the others have nothing to finish. */
void supervisor_retire(struct generation *generation)
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

int trial_start(struct supervisor *supervisor, struct settings *settings, struct error *err)
{
	int code = generation_create(&supervisor->trial, settings, err);
	if (code < 0) {
		settings_free(settings);
		return code;
	}
	const struct child_order order = {
		.role = CONTROL_MAKE,
		.handing = supervisor->current == NULL ? &supervisor->handed : &supervisor->current->sockets,
	};
	return supervisor_spawn(supervisor, supervisor->trial, &order, err);
}

void trial_fail(struct supervisor *supervisor, const struct error *err)
{
	if (supervisor->trial != NULL)
		supervisor_retire(supervisor->trial);
	supervisor->trial = NULL;
	if (supervisor->current == NULL) {
		supervisor->failed = true;
		supervisor->failure = *err;
		return;
	}
	log_say(supervisor->log, LOG_LEVEL_ERROR, "reload failed, the daemon serves on as before: %s", err->text);
	notify_send("READY=1");
}

void trial_reload(struct supervisor *supervisor)
{
	struct settings *settings;
	struct error err = { 0 };
	supervisor->reload_again = false;
	log_say(supervisor->log, LOG_LEVEL_INFO, "reloading");
	notify_reloading();
	int code = settings_load(&settings, supervisor->source, &err);
	if (code == 0)
		code = trial_start(supervisor, settings, &err);
	if (code < 0)
		trial_fail(supervisor, &err);
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
static void trial_commit(struct supervisor *supervisor)
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
		supervisor_retire(old);
	for (unsigned at = 0; at < current->workers; at++)
		supervisor_release(supervisor, current->slots[at].child, NULL);
	if (old != NULL)
		log_say(supervisor->log, LOG_LEVEL_INFO, "reloaded");
	notify_send("READY=1");
}

void trial_ready(struct supervisor *supervisor, struct child *child, const char *liveness)
{
	struct generation *generation = child->generation;
	child->state = CHILD_READY;
	child->deadline = CLOCK_NEVER;
	if (generation == supervisor->current) {
		supervisor_release(supervisor, child, "replaced one that died");
		return;
	}
	struct error err = { 0 };
	int code = 0;
	if (child->order.role == CONTROL_MAKE) {
		snprintf(generation->liveness, sizeof generation->liveness, "%s", liveness);
		for (unsigned at = 1; code == 0 && at < generation->workers; at++) {
			const struct child_order order = { .role = CONTROL_ADOPT,
				                           .index = at,
				                           .handing = &generation->sockets };
			code = supervisor_spawn(supervisor, generation, &order, &err);
		}
	}
	if (code < 0)
		trial_fail(supervisor, &err);
	else if (generation_is(generation, CHILD_READY))
		trial_commit(supervisor);
}
