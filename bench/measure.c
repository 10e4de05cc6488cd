/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a program and measures it, for bench/run.
 *
 *   measure run -o FILE [-g GROUP] [-G GROUP] [-p PID] -- COMMAND...
 *           runs COMMAND, in GROUP; writes one line to FILE: seconds, processor seconds of the command and of the
 *           daemon (its group -G, its first process -p), peak memory of both in KiB. Ends as the command does.
 *   measure join [-g GROUP] -- COMMAND...
 *           becomes COMMAND, in GROUP, that gets a SIGTERM when its parent ends
 *   measure port
 *           prints a TCP port of the loopback that is free now
 *   measure await PORT PID
 *           returns when PORT of the loopback accepts; fails when PID has ended, or after ten seconds
 *
 * A group is the folder of a control group.
 */
#include "side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	STATUS_WRONG = 125,       /* measuring failed, not the command */
	SAMPLE_NS = 25 * 1000000, /* between two looks at the memory */
	SETTLE_NS = 50 * 1000000, /* for the daemon to end what belongs to the run: a process, a line in the log */
};

struct arguments {
	const char *output;
	struct side client;
	struct side daemon;
	char **command;
};

static int complain(const char *what, int code)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(-code));
	return STATUS_WRONG;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Becomes the command. A parent that was killed leaves nothing behind. */
static int become(const struct arguments *arguments, pid_t parent, int death)
{
	prctl(PR_SET_PDEATHSIG, death);
	if (getppid() != parent)
		return STATUS_WRONG;
	execvp(arguments->command[0], arguments->command);
	return complain(arguments->command[0], -errno);
}

static int join(const struct arguments *arguments)
{
	pid_t parent = getppid();
	int code = arguments->client.group != NULL ? side_join(arguments->client.group) : 0;

	if (code < 0)
		return complain(arguments->client.group, code);
	return become(arguments, parent, SIGTERM);
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

/* The child: in its group and ready before the clock starts, and off when the parent closes `gate`. */
static void child(const struct arguments *arguments, pid_t parent, const sigset_t *mask, const int gate[2])
{
	char byte;
	int code = arguments->client.group != NULL ? side_join(arguments->client.group) : 0;

	if (code < 0)
		_exit(complain(arguments->client.group, code));
	if (write(gate[1], "", 1) != 1)
		_exit(complain("pipe", -errno));
	while (read(gate[1], &byte, 1) < 0 && errno == EINTR)
		;
	/* The shell that started us in the background had them ignored. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	_exit(become(arguments, parent, SIGKILL));
}

/* Waits for the child and looks at the memory meanwhile; ends the child's group when told to end. */
static int await_child(pid_t pid, struct arguments *arguments, const sigset_t *events, struct rusage *usage,
                       bool *stopped)
{
	static const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	int status;

	for (;;) {
		pid_t ended = wait4(pid, &status, WNOHANG, usage);
		if (ended == pid)
			return status;
		side_sample(&arguments->client);
		side_sample(&arguments->daemon);
		int event = sigtimedwait(events, NULL, &pause);
		if (event == SIGINT || event == SIGTERM || event == SIGHUP) {
			*stopped = true;
			kill(-pid, SIGTERM);
		}
	}
}

static int report(const struct arguments *arguments, double seconds, double client_cpu, double daemon_cpu)
{
	FILE *file = fopen(arguments->output, "w");

	if (file == NULL)
		return complain(arguments->output, -errno);
	fprintf(file, "%.6f %.6f %.6f %ld %ld\n", seconds, client_cpu, daemon_cpu, arguments->client.peak_kib,
	        arguments->daemon.peak_kib);
	return fclose(file) == 0 ? 0 : complain(arguments->output, -errno);
}

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static int run(struct arguments *arguments)
{
	static const struct timespec settle = { .tv_nsec = SETTLE_NS };
	double client_before = 0, client_after = 0, daemon_before = 0, daemon_after = 0;
	struct rusage usage;
	sigset_t events, mask;
	bool stopped = false;
	pid_t parent = getpid();
	int gate[2], code;
	char byte;

	sigemptyset(&events);
	sigaddset(&events, SIGCHLD);
	sigaddset(&events, SIGINT);
	sigaddset(&events, SIGTERM);
	sigaddset(&events, SIGHUP);
	signal(SIGINT, SIG_DFL); /* as above; what is ignored is never pending */
	sigprocmask(SIG_BLOCK, &events, &mask);
	sigdelset(&mask, SIGINT);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0)
		return complain("socketpair", -errno);
	pid_t pid = fork();
	if (pid < 0)
		return complain("fork", -errno);
	if (pid == 0) {
		setpgid(0, 0);
		close(gate[0]);
		child(arguments, parent, &mask, gate);
	}
	setpgid(pid, pid);
	close(gate[1]);
	bool ready = read(gate[0], &byte, 1) == 1;
	arguments->client.root = pid;
	side_forget(&arguments->daemon);
	code = side_cpu(&arguments->daemon, &daemon_before);
	if (code == 0 && arguments->client.group != NULL)
		code = side_cpu(&arguments->client, &client_before);

	double start = now();
	close(gate[0]);
	int status = await_child(pid, arguments, &events, &usage, &stopped);
	double seconds = now() - start;

	nanosleep(&settle, NULL);
	side_sample(&arguments->daemon);
	if (code == 0)
		code = side_cpu(&arguments->daemon, &daemon_after);
	if (code == 0 && arguments->client.group != NULL)
		code = side_cpu(&arguments->client, &client_after);
	if (arguments->client.group == NULL)
		client_after = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
	if (usage.ru_maxrss > arguments->client.peak_kib)
		arguments->client.peak_kib = usage.ru_maxrss; /* shorter than the pause between two looks */

	if (stopped)
		return 128 + SIGTERM;
	if (!ready)
		return STATUS_WRONG;
	if (code < 0)
		return complain("processor time", code);
	if (!WIFEXITED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	return report(arguments, seconds, client_after - client_before, daemon_after - daemon_before);
}

/* ---- port -------------------------------------------------------------------------------------------------------- */

static int port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return complain("a free port", -errno);
	printf("%u\n", ntohs(address.sin_port));
	close(fd);
	return 0;
}

/* Without waiting for the other side to say anything. */
static bool accepts(in_port_t number)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		                       .sin_port = htons(number) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	if (fd >= 0)
		close(fd);
	return connected;
}

static int await_port(const char *number, const char *pid)
{
	static const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	double until = now() + 10;

	do {
		if (accepts((in_port_t)strtoul(number, NULL, 10)))
			return 0;
		nanosleep(&pause, NULL);
	} while (now() < until && kill((pid_t)strtol(pid, NULL, 10), 0) == 0);
	return 1;
}

static int usage_error(void)
{
	fputs("usage: measure run -o FILE [-g GROUP] [-G GROUP] [-p PID] -- COMMAND...\n"
	      "       measure join [-g GROUP] -- COMMAND...\n"
	      "       measure port\n"
	      "       measure await PORT PID\n",
	      stderr);
	return STATUS_WRONG;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int option;

	if (argc < 2)
		return usage_error();
	const char *verb = argv[1];
	optind = 2;
	while ((option = getopt(argc, argv, "+o:g:G:p:")) != -1) {
		switch (option) {
		case 'o': arguments.output = optarg; break;
		case 'g': arguments.client.group = optarg; break;
		case 'G': arguments.daemon.group = optarg; break;
		case 'p': arguments.daemon.root = (pid_t)strtol(optarg, NULL, 10); break;
		default: return usage_error();
		}
	}
	arguments.command = argv + optind;
	if (strcmp(verb, "port") == 0 && optind == argc)
		return port();
	if (strcmp(verb, "await") == 0 && optind + 2 == argc)
		return await_port(argv[optind], argv[optind + 1]);
	if (strcmp(verb, "join") == 0 && optind < argc)
		return join(&arguments);
	if (strcmp(verb, "run") == 0 && optind < argc && arguments.output != NULL)
		return run(&arguments);
	return usage_error();
}
