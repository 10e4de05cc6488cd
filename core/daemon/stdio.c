/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/stdio.h"

#include "base/log.h"
#include "daemon/server.h"
#include "engine/setup.h"
#include "registry/note.h"
#include "registry/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody who prints to standard output by mistake must not write into the stream. */
static int take(int fd, struct error *err)
{
	int taken = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int nothing = taken >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

	if (taken < 0 || nothing < 0 || dup2(nothing, fd) < 0) {
		error_system(err, -errno, FAULT_LOCAL, "standard input and output");
		if (taken >= 0)
			close(taken);
		taken = -1;
	}
	if (nothing > STDERR_FILENO)
		close(nothing);
	return taken;
}

/* inetd and systemd give one socket as several descriptors. */
static bool same_socket(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && S_ISSOCK(one.st_mode) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* inetd's standard error is the client's, too: not a line of the log may get into the stream. */
static int spare_stream(struct error *err)
{
	int rc = 0;

	if (!same_socket(STDIN_FILENO, STDERR_FILENO))
		return 0;
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, STDERR_FILENO) < 0)
		rc = error_system(err, -errno, FAULT_LOCAL, "/dev/null");
	if (nothing >= 0)
		close(nothing);
	return rc;
}

static int adopt(struct server_adopted *adopted, const struct setup *setup, struct error *err)
{
	struct xfer_adopt how = {
		.struct_size = sizeof(how), .read_fd = -1, .write_fd = -1, .server = 1, .authority = ""
	};
	struct plugin *transport = adopted->transport;
	int rc;

	if (transport->transport.adopt == NULL)
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "[daemon] stdio-transport = %s: that transport takes no open descriptors",
		                 setup->settings->stdio_transport);
	how.read_fd = take(STDIN_FILENO, err);
	if (how.read_fd >= 0)
		how.write_fd = take(STDOUT_FILENO, err);
	/* What is one socket is one descriptor to a transport. */
	if (how.write_fd >= 0 && same_socket(how.read_fd, how.write_fd)) {
		close(how.write_fd);
		how.write_fd = how.read_fd;
	}
	if (how.write_fd < 0)
		rc = err->code;
	else
		rc = transport_adopt(transport, &how, &adopted->conn);
	if (rc == 0)
		return 0;
	if (how.write_fd >= 0) {
		plugin_error(transport, rc, FAULT_USAGE, err);
		error_prefix(err, "--stdio");
	}
	if (how.write_fd >= 0 && how.write_fd != how.read_fd)
		close(how.write_fd);
	if (how.read_fd >= 0)
		close(how.read_fd);
	return rc;
}

static int serve(struct settings *settings, struct log *log, struct error *err)
{
	struct server_adopted adopted = { 0 };
	struct server *server;
	struct server_params params = { .adopted = &adopted, .control_fd = -1, .log = log };
	int rc = setup_create(&params.setup, settings, NULL, log, err);

	if (rc < 0)
		return rc;
	rc = setup_plugin(params.setup, XFER_KIND_TRANSPORT, settings->stdio_transport, &adopted.transport, err);
	if (rc == 0)
		rc = adopt(&adopted, params.setup, err);
	if (rc == 0)
		rc = server_create(&server, &params, err);
	if (rc == 0) {
		server_run(server);
		server_destroy(server);
	}
	setup_destroy(params.setup);
	return rc;
}

/* A user who copies his own files wants no log of it on his terminal. */
static int load(struct settings **out, const struct settings_source *source, struct error *err)
{
	struct settings_source quiet = *source;
	const char **sets = calloc(source->set_count + 1, sizeof(*sets));
	int rc;

	if (sets == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for the configuration");
	sets[0] = "core.log-level=warn";
	for (size_t i = 0; i < source->set_count; i++)
		sets[i + 1] = source->sets[i];
	quiet.sets = sets;
	quiet.set_count++;
	rc = settings_load(out, source->none ? &quiet : source, err);
	free(sets);
	return rc;
}

int stdio_run(const struct settings_source *source, struct error *err)
{
	struct settings *settings;
	struct log *log = NULL;
	int rc = spare_stream(err);

	if (rc == 0)
		rc = load(&settings, source, err);
	if (rc < 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	note_catch(true); /* there is no supervisor who could tell */
	if (source->none)
		rc = settings_own(settings, err);
	if (rc == 0) {
		rc = log_create(&log, "xferd", STDERR_FILENO, settings->log_level, settings->log_format);
		if (rc < 0)
			error_system(err, rc, FAULT_LOCAL, "cannot open the log");
	}
	if (rc == 0)
		rc = serve(settings, log, err);
	settings_free(settings);
	log_destroy(log);
	return rc;
}
