/* SPDX-License-Identifier: BSD-2-Clause */
/* Tries a configuration in a worker process, so that a plug-in that crashes is an error like others. */
#include "daemon/check.h"

#include "daemon/child.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

/* Hears the worker to its end. */
static void hear(struct child *child, bool *ready)
{
	while (child->control >= 0) {
		struct control_message message;
		int fds[CONTROL_FDS_MAX];
		size_t count;
		struct pollfd wait = { .fd = child->control, .events = POLLIN };
		poll(&wait, 1, -1);
		int code = control_receive(child->control, &message, fds, &count, 0);
		if (code == 0 && message.type == CONTROL_READY)
			*ready = true;
		else if (code == 0 && message.type == CONTROL_ERROR)
			control_read_error(&message, &child->err);
		else if (code != -EAGAIN)
			child_close(child);
	}
}

int check_run(const struct settings_source *source, struct error *err)
{
	const struct child_order order = { .role = CONTROL_CHECK, .workers = 1 };
	struct child *child;
	bool ready = false;
	int status;
	int code = child_spawn(&child, source, &order, err);
	if (code < 0)
		return code;
	hear(child, &ready);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (child->err.code != 0) {
		code = child->err.code;
		if (err != NULL)
			*err = child->err;
	} else if (!ready || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		char how[CHILD_END_MAX];
		code = error_set(err, -ECHILD, FAULT_USAGE, "the worker that tried the configuration was %s",
		                 child_describe(child, status, how));
	}
	child_free(child);
	return code;
}
