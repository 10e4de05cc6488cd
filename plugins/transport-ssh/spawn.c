/* SPDX-License-Identifier: BSD-2-Clause */
/* Running ssh(1), and what its end means. */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ARGUMENTS_MAX = 64,
	END_MS = 200, /* ssh ends right behind its output */
};

extern char **environ;

struct command {
	char *arguments[ARGUMENTS_MAX + 12];
	size_t count;
	char *words;  /* owned: the option `arguments`, cut up */
	char port[8]; /* of the authority; "" */
	char host[HOST_MAX];
};

/* "host", "host:22", "[::1]:22": ssh takes the host without brackets and the port by itself. */
static int authority_split(const struct ssh_transport *self, const struct xfer_connect *how, struct command *command)
{
	const char *colon = strrchr(how->authority, ':');
	const char *bracket = strrchr(how->authority, ']');

	if (colon != NULL && (bracket == NULL || colon > bracket)) {
		if (strlen(colon + 1) >= sizeof(command->port))
			return -EINVAL;
		strcpy(command->port, colon + 1);
	}
	/* What begins with a dash would be an option of ssh. */
	if (how->host[0] == '\0' || how->host[0] == '-' || strlen(how->host) >= sizeof(command->host)) {
		self->host->error(self->host, "'%s' is no host for ssh", how->host);
		return -EINVAL;
	}
	strcpy(command->host, how->host);
	return 0;
}

static void add(struct command *command, const char *argument)
{
	command->arguments[command->count++] = (char *)(uintptr_t)argument;
}

static int command_make(const struct ssh_transport *self, const struct xfer_connect *how, struct command *command)
{
	char *rest, *word;
	int rc = authority_split(self, how, command);

	if (rc < 0)
		return rc;
	command->words = strdup(self->arguments);
	if (command->words == NULL)
		return -ENOMEM;
	add(command, self->program);
	for (word = strtok_r(command->words, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
		if (command->count == ARGUMENTS_MAX) {
			self->host->error(self->host, "arguments: more than %d", ARGUMENTS_MAX - 1);
			free(command->words);
			return -EINVAL;
		}
		add(command, word);
	}
	add(command, "-T"); /* no terminal on the other side */
	if (command->port[0] != '\0') {
		add(command, "-p");
		add(command, command->port);
	}
	if (how->user != NULL) {
		add(command, "-l");
		add(command, how->user);
	}
	add(command, "--");
	add(command, command->host);
	add(command, self->remote);
	add(command, NULL);
	return 0;
}

/* Its signals are as a program expects them: the core ignores some, and that would be inherited. */
static int run(const struct command *command, int end, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return -rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -rc;
	}
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	rc = posix_spawn_file_actions_adddup2(&actions, end, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, end, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(&attributes, &all);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(&attributes, &none);
	if (rc == 0)
		rc = posix_spawnp(pid, command->arguments[0], &actions, &attributes, command->arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

int ssh_spawn(const struct ssh_transport *self, const struct xfer_connect *how, int *fd, pid_t *pid)
{
	struct command command = { 0 };
	int ends[2];
	int rc = command_make(self, how, &command);

	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		rc = -errno;
		free(command.words);
		return rc;
	}
	/* The program's end waits, as it expects of its standard input. */
	rc = fcntl(ends[1], F_SETFL, 0) < 0 ? -errno : run(&command, ends[1], pid);
	close(ends[1]);
	free(command.words);
	if (rc < 0) {
		close(ends[0]);
		self->host->error(self->host, "cannot run %s: %s (is it installed?)", self->program, strerror(-rc));
		return rc;
	}
	*fd = ends[0];
	return 0;
}

/* From now on wait_fd is for ssh's end, or for that of our patience. Without these there is no waiting. */
static bool end_await(struct xfer_conn *conn)
{
	const struct itimerspec patience = { .it_value = { .tv_sec = 0, .tv_nsec = END_MS * 1000000L } };
	struct epoll_event readable = { .events = EPOLLIN };

	conn->end_fd = (int)syscall(SYS_pidfd_open, conn->pid, 0);
	conn->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return conn->end_fd >= 0 && conn->timer_fd >= 0 && timerfd_settime(conn->timer_fd, 0, &patience, NULL) == 0 &&
	       epoll_ctl(conn->wait_fd, EPOLL_CTL_DEL, conn->read_fd, NULL) == 0 &&
	       epoll_ctl(conn->wait_fd, EPOLL_CTL_ADD, conn->end_fd, &readable) == 0 &&
	       epoll_ctl(conn->wait_fd, EPOLL_CTL_ADD, conn->timer_fd, &readable) == 0;
}

/* *status is that of waitpid(); -EAGAIN: it runs on, and is waited for; -ETIMEDOUT: it runs on and on. */
static int reap(struct xfer_conn *conn, int *status)
{
	pid_t got = waitpid(conn->pid, status, WNOHANG);
	uint64_t expired;

	if (got != 0)
		return got == conn->pid ? 0 : -errno;
	if (conn->timer_fd < 0)
		return end_await(conn) ? -EAGAIN : -ETIMEDOUT;
	return read(conn->timer_fd, &expired, sizeof(expired)) < 0 ? -EAGAIN : -ETIMEDOUT;
}

int ssh_ended(struct xfer_conn *conn)
{
	const struct xfer_host *host = conn->self->host;
	int status;
	int rc = conn->pid > 0 ? reap(conn, &status) : -ECHILD;

	if (rc == -EAGAIN)
		return rc;
	if (rc != 0) {
		host->error(host, "%s: ssh closed the connection", conn->text);
		return -EHOSTUNREACH;
	}
	conn->pid = 0;
	if (WIFSIGNALED(status)) {
		host->error(host, "%s: ssh was ended by signal %d", conn->text, WTERMSIG(status));
		return -ECONNABORTED;
	}
	switch (WEXITSTATUS(status)) {
	case 255: host->error(host, "%s: ssh could not connect, or was not let in; it said why", conn->text); break;
	case 126:
	case 127:
		host->error(host,
		            "%s: `%s` cannot be run there: install xfer on that machine, or say where it is with "
		            "[transport.ssh] remote = /path/xferd --stdio",
		            conn->text, conn->self->remote);
		break;
	default:
		host->error(host, "%s: `%s` ended there with status %d and said why", conn->text, conn->self->remote,
		            WEXITSTATUS(status));
		break;
	}
	return -EHOSTUNREACH;
}
