/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts the system calls of one process, all its threads together, and breaks one of them: kills the process there, makes
 * the call fail, or makes it do less than it was asked to.
 *
 *   syscalls [-o REPORT] [-k POINT] [-d WHAT] [-p PID | -a WORD] [-t SECONDS] COMMAND...
 *
 * Runs COMMAND and ends with its status (128 and the signal's number, if one ended it; 124 when -t did; 77 where nothing can
 * be traced). The process is COMMAND itself; with -p another one that is there already; with -a the first one, of all that
 * COMMAND starts, that was executed with WORD as an argument.
 *
 *   -k POINT    the Kth call ("17"), or the Nth of its name ("pwrite64.file:3", "fsync:1"): a call that moves bytes has the kind
 *               of its descriptor in its name, see shorten_kind(). Without it, nothing is broken.
 *   -d WHAT     kill: SIGKILL instead of the call. kill-after: SIGKILL when it is done, before its result is seen.
 *               EIO, ENOSPC, ...: it fails and does nothing (close: it fails and has closed). short: it moves half.
 *   -t SECONDS  then COMMAND is killed
 *
 * REPORT gets a line for each call, `call 17 pwrite64.file:3 65536` (its number, its name, its result, or ? where it did not
 * return), and ends with `reached POINT of N`, or `not reached: N calls`, or `recorded N`. Once a call was made to fail,
 * nothing is traced any more, so that a leak checker, which traces too, can do its work.
 */
#include "trace.h"

#include <stdio.h>

enum {
	STATUS_USAGE = 2,
	STATUS_TIMEOUT = 124,
};

#if defined(__x86_64__) && defined(__linux__)

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what it prints -------------------------------------------------------------------------------------------- */

static bool write_report(const struct tracer *tracer)
{
	if (tracer->report == NULL)
		return true;
	FILE *file = fopen(tracer->report, "w");
	if (file == NULL) {
		perror(tracer->report);
		return false;
	}
	for (size_t at = 1; at <= tracer->count; at++) {
		const struct call *call = &tracer->calls[at];
		fprintf(file, "call %zu %s:%lu ", at, call->name, call->nth);
		if (call->returned)
			fprintf(file, "%lld", (long long)call->result);
		else
			fputc('?', file);
		fputc('\n', file);
	}
	if (tracer->deed == DEED_NONE)
		fprintf(file, "recorded %zu\n", tracer->count);
	else if (tracer->reached)
		fprintf(file, "reached %s%s%lu of %zu\n", tracer->point_name, tracer->point_name[0] == '\0' ? "" : ":",
		        tracer->point_nth, tracer->count);
	else
		fprintf(file, "not reached: %zu calls\n", tracer->count);
	if (fclose(file) != 0) {
		perror(tracer->report);
		return false;
	}
	return true;
}

static int error_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = {
		{ "EIO", EIO },       { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },         { "EINTR", EINTR },
		{ "EAGAIN", EAGAIN }, { "EMFILE", EMFILE }, { "ENOMEM", ENOMEM },         { "EACCES", EACCES },
		{ "ENOENT", ENOENT }, { "EROFS", EROFS },   { "ECONNRESET", ECONNRESET }, { "EPIPE", EPIPE },
		{ "ENOSYS", ENOSYS }, { "EINVAL", EINVAL }, { "EOPNOTSUPP", EOPNOTSUPP }, { "EXDEV", EXDEV },
	};
	for (size_t at = 0; at < sizeof errors / sizeof errors[0]; at++)
		if (strcmp(errors[at].name, name) == 0)
			return errors[at].number;
	return 0;
}

static bool read_deed(struct tracer *tracer, const char *text)
{
	tracer->error = error_number(text);
	if (tracer->error != 0)
		tracer->deed = DEED_FAIL;
	else if (strcmp(text, "kill") == 0)
		tracer->deed = DEED_KILL;
	else if (strcmp(text, "kill-after") == 0)
		tracer->deed = DEED_KILL_AFTER;
	else if (strcmp(text, "short") == 0)
		tracer->deed = DEED_SHORT;
	return tracer->deed != DEED_NONE;
}

static bool read_point(struct tracer *tracer, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);
	char *end;
	if (len >= sizeof tracer->point_name)
		return false;
	memcpy(tracer->point_name, text, len);
	tracer->point_nth = strtoul(colon == NULL ? text : colon + 1, &end, 10);
	return *end == '\0' && tracer->point_nth > 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: syscalls [-o REPORT] [-k POINT -d WHAT] [-p PID | -a WORD] [-t SECONDS] COMMAND...\n");
	return STATUS_USAGE;
}

int main(int argc, char **argv)
{
	struct tracer tracer = { 0 };
	unsigned seconds = 0;
	bool point = false;
	int option;
	while ((option = getopt(argc, argv, "+o:k:d:p:a:t:")) != -1) {
		bool good = true;
		switch (option) {
		case 'o': tracer.report = optarg; break;
		case 'k': good = point = read_point(&tracer, optarg); break;
		case 'd': good = read_deed(&tracer, optarg); break;
		case 'p': good = (tracer.process = atoi(optarg)) > 0; break;
		case 'a': tracer.word = optarg; break;
		case 't': seconds = (unsigned)atoi(optarg); break;
		default: good = false;
		}
		if (!good)
			return usage();
	}
	if (optind == argc || point != (tracer.deed != DEED_NONE))
		return usage();
	if (tracer.process != 0)
		trace_attach(&tracer);
	trace_start(&tracer, argv + optind);
	int status = trace_follow(&tracer, seconds);
	if (status < 0) {
		fprintf(stderr, "syscalls: the command did not end in %u s\n", seconds);
		status = STATUS_TIMEOUT;
	}
	bool written = write_report(&tracer);
	free(tracer.calls);
	return written ? status : EXIT_FAILURE;
}

#else

int main(void)
{
	fprintf(stderr, "syscalls: system calls are changed on x86_64 Linux only\n");
	return STATUS_SKIP;
}

#endif
