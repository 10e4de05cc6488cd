/* SPDX-License-Identifier: BSD-2-Clause */
/* Processor time and memory of the processes of one side. */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file of /proc or of a control group, whole, with a NUL behind it. Length or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	size_t len = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (got = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)got;
	ssize_t code = got < 0 ? -errno : (ssize_t)len;
	close(fd);
	text[len] = '\0';
	return code;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int code = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return code;
}

int side_join(const char *group)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	return write_file(path, "0");
}

/* Calls visit() for each process of the side. */
static void each_process(const struct side *side, void (*visit)(pid_t pid, void *data), void *data);

static void each_of_list(char *list, void (*visit)(pid_t pid, void *data), void *data)
{
	char *rest = NULL;

	for (char *word = strtok_r(list, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest))
		visit((pid_t)strtol(word, NULL, 10), data);
}

/* A process and its descendants; those of a thread that is not the first are not seen. */
static void each_below(pid_t pid, unsigned depth, void (*visit)(pid_t pid, void *data), void *data)
{
	char path[64], list[4096], *rest = NULL;

	visit(pid, data);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (depth == 0 || read_file(path, list, sizeof(list)) < 0)
		return;
	for (char *word = strtok_r(list, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		each_below((pid_t)strtol(word, NULL, 10), depth - 1, visit, data);
}

static void each_process(const struct side *side, void (*visit)(pid_t pid, void *data), void *data)
{
	enum { DEPTH = 8 };
	char path[PATH_MAX], list[16384];

	if (side->group != NULL) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", side->group);
		if (read_file(path, list, sizeof(list)) > 0)
			each_of_list(list, visit, data);
	} else if (side->root > 0) {
		each_below(side->root, DEPTH, visit, data);
	}
}

/* ---- processor time ---------------------------------------------------------------------------------------------- */

static int group_cpu(const char *group, double *out)
{
	static const char key[] = "usage_usec ";
	char path[PATH_MAX], text[4096];

	snprintf(path, sizeof(path), "%s/cpuacct.usage", group); /* version 1 */
	if (read_file(path, text, sizeof(text)) > 0) {
		*out = strtod(text, NULL) / 1e9;
		return 0;
	}
	snprintf(path, sizeof(path), "%s/cpu.stat", group); /* version 2 */
	ssize_t code = read_file(path, text, sizeof(text));
	if (code < 0)
		return (int)code;
	const char *usage = strstr(text, key);
	if (usage == NULL)
		return -ENOTSUP;
	*out = strtod(usage + sizeof(key) - 1, NULL) / 1e6;
	return 0;
}

/* User and system time of a process, and of its children that it waited for. */
static void add_ticks(pid_t pid, void *data)
{
	double *ticks = data;
	char path[64], text[2048];
	unsigned long user, system;
	long user_waited, system_waited;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return;
	const char *behind_name = strrchr(text, ')');
	if (behind_name != NULL && sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
	                                  &user, &system, &user_waited, &system_waited) == 4)
		*ticks += (double)user + (double)system + (double)user_waited + (double)system_waited;
}

int side_cpu(const struct side *side, double *out)
{
	double ticks = 0;

	if (side->group != NULL)
		return group_cpu(side->group, out);
	each_process(side, add_ticks, &ticks);
	*out = ticks / (double)sysconf(_SC_CLK_TCK);
	return 0;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void add_memory(pid_t pid, void *data)
{
	static const char key[] = "VmHWM:";
	long *kib = data;
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return;
	const char *value = strstr(text, key);
	if (value != NULL)
		*kib += strtol(value + sizeof(key) - 1, NULL, 10);
}

void side_sample(struct side *side)
{
	long kib = 0;

	each_process(side, add_memory, &kib);
	if (kib > side->peak_kib)
		side->peak_kib = kib;
}

static void forget_memory(pid_t pid, void *data)
{
	char path[64];

	(void)data;
	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
	write_file(path, "5"); /* a kernel that cannot: the peak is the one of all runs so far */
}

void side_forget(struct side *side)
{
	side->peak_kib = 0;
	each_process(side, forget_memory, NULL);
}
