/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/notify: the service manager hears it, at a path or at an abstract name, and nobody else is bothered. */
#include "unit.h"

#include "daemon/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The service manager's socket; "@" stands for the NUL of an abstract name. */
static int open_manager(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	assert_true(len < sizeof at.sun_path);
	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	else
		len++;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	assert_return_code(bind(fd, (const struct sockaddr *)&at, size), errno);
	assert_return_code(setenv("NOTIFY_SOCKET", name, 1), errno);
	return fd;
}

static void assert_heard(int fd, const char *words)
{
	char text[128] = "";
	assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
	assert_ptr_equal(strstr(text, words), text);
}

static void tells_a_path(void **state)
{
	(void)state;
	char folder[] = "/tmp/xfer-notify-XXXXXX";
	char name[64];
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/manager", folder);
	int fd = open_manager(name);
	notify_send("READY=1");
	assert_heard(fd, "READY=1");
	close(fd);
	unlink(name);
	rmdir(folder);
}

static void tells_an_abstract_name(void **state)
{
	(void)state;
	char name[64];
	snprintf(name, sizeof name, "@xfer-test-notify-%d", (int)getpid());
	int fd = open_manager(name);
	notify_reloading();
	assert_heard(fd, "RELOADING=1\nMONOTONIC_USEC=");
	close(fd);
	/* Nobody there: nothing happens. */
	notify_send("READY=1");
}

static void keeps_quiet(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	notify_send("READY=1");
	char longer[256];
	memset(longer, '/', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	notify_send("READY=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_a_path),
		cmocka_unit_test(tells_an_abstract_name),
		cmocka_unit_test(keeps_quiet),
	};
	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
