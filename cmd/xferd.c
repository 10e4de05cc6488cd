/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's command line; what it asks for is done by core/daemon. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "base/buf.h"
#include "config/settings.h"
#include "daemon/check.h"
#include "daemon/stdio.h"
#include "daemon/supervisor.h"
#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum command { COMMAND_SERVE, COMMAND_CHECK, COMMAND_DUMP, COMMAND_WORK, COMMAND_STDIO, COMMAND_HELP, COMMAND_VERSION };

struct arguments {
	enum command command;
	unsigned worker;   /* COMMAND_WORK: its index */
	const char *file;  /* -c; NULL = the system's */
	const char **sets; /* owned array */
	size_t set_count;
};

static const char usage[] =
	"usage: xferd [-c FILE] [--set SECTION.KEY=VALUE]... [-t | --dump-config | --stdio]\n"
	"\n"
	"  -c FILE              read this configuration instead of the system's\n"
	"  --set SECTION.KEY=VALUE\n"
	"                       on top of the configuration; may be repeated\n"
	"  -t, --check-config   load the configuration and its plug-ins, say whether they are fit, and end\n"
	"  --dump-config        print the effective configuration and end\n"
	"  --stdio              serve one client over standard input and output, as ssh runs it; without -c the\n"
	"                       user's own files, with the user's rights\n"
	"  --version, --help\n"
	"\n"
	"Serves in the foreground and logs to standard error; SIGHUP reloads, SIGTERM stops. See xferd(8).\n";

static int parse_worker(const char *text, unsigned *index)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value > 255)
		return -EINVAL;
	*index = (unsigned)value;
	return 0;
}

/* 0, or -EINVAL when it said already what is wrong. */
static int parse(int argc, char **argv, struct arguments *out)
{
	enum { OPTION_SET = 256, OPTION_DUMP, OPTION_VERSION, OPTION_HELP, OPTION_WORKER, OPTION_STDIO };
	static const struct option options[] = {
		{ "set", required_argument, NULL, OPTION_SET },
		{ "check-config", no_argument, NULL, 't' },
		{ "dump-config", no_argument, NULL, OPTION_DUMP },
		{ "stdio", no_argument, NULL, OPTION_STDIO },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, OPTION_HELP },
		{ WORKER_OPTION, required_argument, NULL, OPTION_WORKER },
		{ 0 },
	};
	int option;
	while ((option = getopt_long(argc, argv, "c:t", options, NULL)) != -1) {
		switch (option) {
		case 'c': out->file = optarg; break;
		case OPTION_SET: out->sets[out->set_count++] = optarg; break;
		case 't': out->command = COMMAND_CHECK; break;
		case OPTION_DUMP: out->command = COMMAND_DUMP; break;
		case OPTION_STDIO: out->command = COMMAND_STDIO; break;
		case OPTION_VERSION: out->command = COMMAND_VERSION; return 0;
		case OPTION_HELP: out->command = COMMAND_HELP; return 0;
		case OPTION_WORKER:
			out->command = COMMAND_WORK;
			if (parse_worker(optarg, &out->worker) == 0)
				break;
			fprintf(stderr, "xferd: --worker=%s is no worker's number\n", optarg);
			return -EINVAL;
		default: fputs("Try 'xferd --help'.\n", stderr); return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "xferd: unexpected argument '%s'\nTry 'xferd --help'.\n", argv[optind]);
	return -EINVAL;
}

static int dump(const struct settings_source *source, struct error *err)
{
	struct settings *settings;
	struct buf text = { 0 };
	int code = settings_load(&settings, source, err);
	if (code < 0)
		return code;
	code = settings_dump(settings, &text);
	if (code < 0)
		error_system(err, code, FAULT_LOCAL, "cannot print the configuration");
	else if (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		code = error_system(err, -errno, FAULT_LOCAL, "standard output");
	buf_free(&text);
	settings_free(settings);
	return code;
}

static int run(const struct arguments *arguments)
{
	struct error err = { 0 };
	char *folder = NULL;
	int code = settings_plugin_dir(&folder, &err);
	struct settings_source source = {
		.file = arguments->file,
		.none = arguments->command == COMMAND_STDIO && arguments->file == NULL,
		.required = true,
		.sets = arguments->sets,
		.set_count = arguments->set_count,
		.plugin_dir = folder,
	};
	int status = EXIT_SUCCESS;
	if (code == 0 && arguments->command == COMMAND_STDIO)
		code = stdio_run(&source, &err);
	else if (code == 0 && arguments->command == COMMAND_WORK)
		status = worker_main(arguments->worker, &source);
	else if (code == 0 && arguments->command == COMMAND_DUMP)
		code = dump(&source, &err);
	else if (code == 0 && arguments->command == COMMAND_CHECK)
		code = check_run(&source, &err);
	else if (code == 0)
		code = supervisor_run(&source, &err);
	if (code == 0 && arguments->command == COMMAND_CHECK)
		puts("configuration ok");
	free(folder);
	if (code == 0)
		return status;
	fprintf(stderr, "xferd: %s\n", err.text);
	return err.fault == FAULT_NONE ? FAULT_LOCAL : (int)err.fault;
}

/* A descriptor that we open must never be mistaken for standard error. */
static int open_standard(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .command = COMMAND_SERVE };
	if (open_standard() < 0)
		return FAULT_LOCAL;
	arguments.sets = calloc((size_t)argc, sizeof *arguments.sets);
	if (arguments.sets == NULL)
		return FAULT_LOCAL;
	int status = FAULT_USAGE;
	if (parse(argc, argv, &arguments) == 0) {
		status = EXIT_SUCCESS;
		if (arguments.command == COMMAND_HELP)
			fputs(usage, stdout);
		else if (arguments.command == COMMAND_VERSION)
			puts("xferd " PACKAGE_VERSION);
		else
			status = run(&arguments);
	}
	free(arguments.sets);
	return status;
}
