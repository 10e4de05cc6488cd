/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A folder for one test of the store: $TMPDIR/xfer-test-XXXXXX with `in` (the root under test) and `out` (what nothing may
 * reach). The setups come in two kinds: opening by openat2(2), and by the walk for kernels without it.
 */
#ifndef XFER_TESTS_SCRATCH_H
#define XFER_TESTS_SCRATCH_H

#include "unit.h"

#include "store/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAYBE __attribute__((unused))

struct scratch {
	char path[256]; /* of the folder */
	char in[300], out[300];
	struct store_root *root; /* in */
	int fd;                  /* of in, for the test's own doing */
};

static MAYBE int scratch_open(void **state, bool walks)
{
	const char *base = getenv("TMPDIR");
	struct scratch *s = calloc(1, sizeof(*s));
	if (!s)
		return -1;
	snprintf(s->path, sizeof(s->path), "%s/xfer-test-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(s->path))
		return -1;
	snprintf(s->in, sizeof(s->in), "%s/in", s->path);
	snprintf(s->out, sizeof(s->out), "%s/out", s->path);
	if (chmod(s->path, 0755) < 0 || mkdir(s->in, 0755) < 0 || mkdir(s->out, 0755) < 0)
		return -1;
	s->fd = open(s->in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 || store_root_open(&s->root, s->in, NULL) < 0)
		return -1;
	if (walks)
		s->root->walks = true;
	*state = s;
	return 0;
}

static MAYBE int scratch_kernel(void **state)
{
	return scratch_open(state, false);
}

static MAYBE int scratch_walks(void **state)
{
	return scratch_open(state, true);
}

static MAYBE int scratch_close(void **state)
{
	struct scratch *s = *state;
	char *const argv[] = { (char[]){ "rm" }, (char[]){ "-rf" }, (char[]){ "--" }, s->path, NULL };
	store_root_unref(s->root);
	close(s->fd);
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	int status = 1;
	waitpid(child, &status, 0);
	free(s);
	return status;
}

/* Both ways of opening, as two tests. */
#define SCRATCH_BOTH(function)                                                                                         \
	{ #function, function, scratch_kernel, scratch_close, NULL },                                                  \
	{                                                                                                              \
#function "_without_openat2", function, scratch_walks, scratch_close, NULL                             \
	}
#define SCRATCH_ONE(function)                                                                                          \
	{                                                                                                              \
#function, function, scratch_kernel, scratch_close, NULL                                               \
	}

/* A file beneath `dir` with this text. */
static MAYBE void put_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

/* The text of a small file; the result is the caller's array. */
static MAYBE const char *get_file(int dir, const char *name, char out[256])
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	ssize_t len = read(fd, out, 255);
	close(fd);
	assert_true(len >= 0);
	out[len] = '\0';
	return out;
}

static MAYBE bool exists(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Descriptors that this process has open. */
static MAYBE unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Root may do everything: tests of what is denied run as somebody else. The test's own folder becomes theirs. */
enum { SOMEBODY = 65534 };
static MAYBE bool become_somebody(const struct scratch *s)
{
	if (geteuid() != 0)
		return true;
	if (chown(s->path, SOMEBODY, SOMEBODY) < 0 || chown(s->in, SOMEBODY, SOMEBODY) < 0 || seteuid(SOMEBODY) < 0)
		return false;
	prctl(PR_SET_DUMPABLE, 1); /* or /proc/self/fd would be root's */
	return true;
}

static MAYBE void become_root_again(void)
{
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

#endif
