/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over the sockets of a service manager. */
#include "daemon/activation.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACTIVATION_FD = 3 /* the first one, by the protocol */ };

/* How many there are for this process; -EINVAL when that is no number. */
static int64_t handed_count(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");
	int64_t whose, number = 0;
	if (pid == NULL || count == NULL || text_parse_int(pid, &whose) < 0 || whose != getpid())
		return 0;
	return text_parse_int(count, &number) < 0 || number < 0 ? -EINVAL : number;
}

static int take_one(struct listen_set *set, const struct settings *settings, struct error *err)
{
	const struct settings_listen *wanted = &settings->listen[set->count];
	const char *transport = wanted->transport != NULL ? wanted->transport : settings->transport;
	int fd = ACTIVATION_FD + (int)set->count;
	struct listen_item *item;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_system(err, -errno, FAULT_USAGE, "descriptor %d, which LISTEN_FDS promises", fd);
	int code = listen_set_add(set, &item);
	if (code < 0)
		return error_system(err, code, FAULT_USAGE, "cannot keep a socket that was handed over");
	item->fds[item->fd_count++] = fd;
	/* Where it is bound only its transport can tell; until then it is called what the item is. */
	int lengths[] = {
		snprintf(item->listen, sizeof item->listen, "%s", wanted->address),
		snprintf(item->address, sizeof item->address, "%.*s", CONTROL_ADDRESS_MAX - 1, wanted->address),
		snprintf(item->transport, sizeof item->transport, "%s", transport),
	};
	if (lengths[0] >= CONTROL_NAME_MAX || lengths[2] >= CONTROL_NAME_MAX)
		return error_set(err, -ENAMETOOLONG, FAULT_USAGE, "[daemon] listen: %s: longer than %d bytes",
		                 wanted->address, CONTROL_NAME_MAX - 1);
	return 0;
}

int activation_take(struct listen_set *set, const struct settings *settings, struct error *err)
{
	int64_t count = handed_count();
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (count < 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "LISTEN_FDS is no number");
	if (count > (int64_t)settings->listen_count)
		return error_set(
			err, -E2BIG, FAULT_USAGE,
			"%lld sockets were handed over (LISTEN_FDS), and [daemon] listen has %zu items: it needs "
			"one for each",
			(long long)count, settings->listen_count);
	int code = 0;
	while (code == 0 && set->count < (size_t)count)
		code = take_one(set, settings, err);
	return code;
}
