/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that blocks, for LD_PRELOAD: calls that reach a file beneath a folder wait at a gate.
 *
 *   XFER_TEST_FOLDER   the folder, as an absolute path without links
 *   XFER_TEST_GATES    a folder of gates: while there is a FIFO `names` in it, openat2, openat, statx, fstatat and
 *                      getdents64 wait until somebody opens it for writing; `bytes` is the gate of pread, preadv and splice.
 *                      Who waits is told before in the file `waiting` there, a line each: "TID GATE CALL PATH". Where there
 *                      is a file `after` with a number, each process may read as many bytes from the making of the FIFO on.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* The next function of that name, of the type of ours. */
#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	return found;
}

/* What stands behind a descriptor; "" for what has no path. */
static void path_of(int fd, char path[PATH_MAX])
{
	char entry[64] = "/proc/self/cwd";
	ssize_t len;

	if (fd != AT_FDCWD)
		snprintf(entry, sizeof(entry), "/proc/self/fd/%d", fd);
	len = readlink(entry, path, PATH_MAX - 1);
	path[len > 0 ? len : 0] = '\0';
}

static bool is_ours(const char *path)
{
	const char *folder = getenv("XFER_TEST_FOLDER");
	size_t len = folder != NULL ? strlen(folder) : 0;

	return len > 0 && strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static void tell(const char *gates, const char *gate, const char *call, const char *path)
{
	char name[PATH_MAX], line[PATH_MAX + 64];
	int fd, len;

	snprintf(name, sizeof(name), "%s/waiting", gates);
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	len = snprintf(line, sizeof(line), "%ld %s %s %s\n", (long)gettid(), gate, call, path);
	if (write(fd, line, (size_t)len) != len)
		abort();
	close(fd);
}

static void wait_at(const char *gate, const char *call, const char *path)
{
	const char *gates = getenv("XFER_TEST_GATES");
	int saved = errno;
	char fifo[PATH_MAX];
	int fd;

	if (gates == NULL || !is_ours(path))
		return;
	snprintf(fifo, sizeof(fifo), "%s/%s", gates, gate);
	if (access(fifo, F_OK) == 0) {
		tell(gates, gate, call, path);
		do
			fd = open(fifo, O_RDONLY | O_CLOEXEC);
		while (fd < 0 && errno == EINTR);
		if (fd >= 0)
			close(fd);
	}
	errno = saved;
}

static void wait_fd(const char *gate, const char *call, int fd)
{
	char path[PATH_MAX];

	path_of(fd, path);
	wait_at(gate, call, path);
}

/* How many bytes may be read, or 0. */
static long long may_read(const char *gates)
{
	char name[PATH_MAX], number[32] = "";
	int fd;

	snprintf(name, sizeof(name), "%s/after", gates);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, number, sizeof(number) - 1) < 0)
		abort();
	close(fd);
	return atoll(number);
}

/* Those that may be read before the gate are counted. */
static bool may_pass(size_t len)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct timespec made;
	static long long passed;
	const char *gates = getenv("XFER_TEST_GATES");
	char fifo[PATH_MAX];
	struct stat now;
	bool may = false;

	if (gates == NULL)
		return true;
	snprintf(fifo, sizeof(fifo), "%s/bytes", gates);
	pthread_mutex_lock(&lock);
	if (stat(fifo, &now) == 0) {
		if (now.st_ctim.tv_sec != made.tv_sec || now.st_ctim.tv_nsec != made.tv_nsec)
			passed = 0;
		made = now.st_ctim;
		may = passed < may_read(gates);
		if (may)
			passed += (long long)len;
	}
	pthread_mutex_unlock(&lock);
	return may;
}

static void wait_bytes(const char *call, int fd, size_t len)
{
	char path[PATH_MAX];
	int saved = errno;

	path_of(fd, path);
	if (is_ours(path) && !may_pass(len))
		wait_at("bytes", call, path);
	errno = saved;
}

static size_t sum(const struct iovec *iov, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	return len;
}

/* A path that is relative counts as what it is relative to. */
static void wait_name(const char *call, int dir, const char *name)
{
	if (name[0] == '/')
		wait_at("names", call, name);
	else
		wait_fd("names", call, dir);
}

/* ---- what is replaced ---- */

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
	wait_bytes("pread", fd, len);
	return NEXT(pread)(fd, bytes, len, offset);
}

ssize_t pread64(int fd, void *bytes, size_t len, off64_t offset)
{
	wait_bytes("pread", fd, len);
	return NEXT(pread64)(fd, bytes, len, offset);
}

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	wait_bytes("preadv", fd, sum(iov, count));
	return NEXT(preadv)(fd, iov, count, offset);
}

ssize_t preadv64(int fd, const struct iovec *iov, int count, off64_t offset)
{
	wait_bytes("preadv", fd, sum(iov, count));
	return NEXT(preadv64)(fd, iov, count, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	wait_bytes("preadv", fd, sum(iov, count));
	return NEXT(preadv2)(fd, iov, count, offset, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
	wait_bytes("preadv", fd, sum(iov, count));
	return NEXT(preadv64v2)(fd, iov, count, offset, flags);
}

ssize_t splice(int from, off64_t *at, int to, off64_t *there, size_t len, unsigned flags)
{
	wait_bytes("splice", from, len);
	return NEXT(splice)(from, at, to, there, len, flags);
}

int openat(int dir, const char *name, int flags, ...)
{
	unsigned mode = 0;
	va_list arguments;

	va_start(arguments, flags);
	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(arguments, unsigned);
	va_end(arguments);
	wait_name("openat", dir, name);
	return NEXT(openat)(dir, name, flags, mode);
}

int statx(int dir, const char *restrict name, int flags, unsigned mask, struct statx *restrict out)
{
	wait_name("statx", dir, name);
	return NEXT(statx)(dir, name, flags, mask, out);
}

int fstatat(int dir, const char *restrict name, struct stat *restrict out, int flags)
{
	wait_name("fstatat", dir, name);
	return NEXT(fstatat)(dir, name, out, flags);
}

ssize_t getdents64(int fd, void *bytes, size_t len)
{
	wait_fd("names", "getdents64", fd);
	return NEXT(getdents64)(fd, bytes, len);
}

/* openat2(2) has no function in the C library. */
long syscall(long number, ...)
{
	va_list arguments;
	long a[6];

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long); /* as the C library's own does: what was not passed is not used */
	va_end(arguments);
	if (number == SYS_openat2)
		wait_name("openat2", (int)a[0], (const char *)a[1]);
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
