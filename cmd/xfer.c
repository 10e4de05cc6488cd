/* SPDX-License-Identifier: BSD-2-Clause */
/* The client: reads command line and configuration, lets the verb do its work, and prints the error if there is one. */
#include "config.h"

#include "args.h"
#include "console.h"
#include "verb.h"

#include "config/settings.h"
#include "registry/note.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int (*const verbs[VERB_COUNT])(struct verb_context *context, struct error *err) = {
	[VERB_GET] = verb_get,       [VERB_PUT] = verb_put,       [VERB_LS] = verb_ls,
	[VERB_PING] = verb_ping,     [VERB_DIGEST] = verb_digest, [VERB_PLUGINS] = verb_plugins,
	[VERB_CLEAN] = verb_clean,   [VERB_VERIFY] = verb_verify, [VERB_CHECK_PLUGIN] = verb_check_plugin,
	[VERB_KEYGEN] = verb_keygen,
};

/* A socket or file of ours must not become descriptor 0, 1 or 2, or messages would be written into it. */
static void fill_standard_descriptors(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int load_settings(struct settings **out, const struct args *args, struct error *err)
{
	char *plugin_dir;
	int code = settings_plugin_dir(&plugin_dir, err);

	if (code < 0)
		return code;
	struct settings_source source = {
		.file = args->config,
		.user = true,
		.sets = args->sets,
		.set_count = args->set_count,
		.plugin_dir = plugin_dir,
	};
	code = settings_load(out, &source, err);
	free(plugin_dir);
	return code;
}

static int run(const struct args *args, struct console *console, struct error *err)
{
	struct verb_context context = { .args = args, .console = console };
	struct settings *settings;
	int code = load_settings(&settings, args, err);

	if (code < 0)
		return code;
	context.settings = settings;
	code = console_log_open(console, settings, err);
	if (code == 0)
		code = verbs[args->verb](&context, err);
	console_close(console);
	settings_free(settings);
	return code;
}

/* Nobody reads what is written to standard output. (Asked of the kernel: what write() said is long forgotten.) */
static bool reader_gone(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

/* A full disk behind standard output is an error; a reader who has seen enough is none. */
static int finish_output(const struct console *console, int code, struct error *err)
{
	bool failed = fflush(stdout) != 0;

	failed = ferror(stdout) != 0 || failed;
	/* A verb that ended because nothing more could be printed was interrupted by nobody else. */
	if (failed && code < 0 && console->output_lost && err->fault == FAULT_INTERRUPTED) {
		error_clear(err);
		code = 0;
	}
	if (code < 0 || !failed || reader_gone())
		return code;
	return error_system(err, -EIO, FAULT_LOCAL, "cannot write to standard output");
}

/* For an error in the command line itself, when the options are not known yet. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct error err;
	struct console console;
	struct args args = { .json = asks_for_json(argc, argv) };

	fill_standard_descriptors();
	/* A peer that goes is an error of that session; a reader that goes is seen when something is printed. */
	signal(SIGPIPE, SIG_IGN);
	/* A file that may not grow any more is an error of that file (EFBIG). */
	signal(SIGXFSZ, SIG_IGN);
	/* A plug-in that crashes is named before it takes us along. */
	note_catch(true);
	error_clear(&err);
	console_init(&console, &args);
	int code = args_parse(&args, argc, argv, &err);
	if (code == 0 && args.action == ARGS_HELP) {
		args_help(stdout, args.verb);
	} else if (code == 0 && args.action == ARGS_VERSION) {
		printf("xfer %s\n", PACKAGE_VERSION);
	} else if (code == 0) {
		console_init(&console, &args);
		code = run(&args, &console, &err);
	}
	code = finish_output(&console, code, &err);
	if (code < 0)
		console_error(&console, &err);
	args_free(&args);
	if (code == 0)
		return FAULT_NONE;
	return err.fault != FAULT_NONE ? (int)err.fault : (int)FAULT_MIXED;
}
