/* SPDX-License-Identifier: BSD-2-Clause */
/* The content and the metadata of a file that is open. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { SPARSE_BLOCK = 4096 }; /* bytes; what file systems allocate at least */

int store_writev(int fd, struct iovec *iov, int count, uint64_t offset)
{
	for (;;) {
		while (count > 0 && iov->iov_len == 0) {
			iov++;
			count--;
		}
		if (count <= 0)
			return 0;
		if (offset > (uint64_t)INT64_MAX)
			return -EFBIG;
		ssize_t got = pwritev(fd, iov, count < IOV_MAX ? count : IOV_MAX, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		offset += (uint64_t)got;
		for (size_t left = (size_t)got; left > 0;) {
			size_t step = left < iov->iov_len ? left : iov->iov_len;
			iov->iov_base = (char *)iov->iov_base + step;
			iov->iov_len -= step;
			left -= step;
			if (iov->iov_len == 0 && left > 0) {
				iov++;
				count--;
			}
		}
	}
}

static int write_run(int fd, const char *bytes, size_t len, uint64_t offset)
{
	union {
		const void *from;
		void *base; /* pwritev() only reads it */
	} run = { .from = bytes };
	struct iovec iov = { .iov_base = run.base, .iov_len = len };
	return len > 0 ? store_writev(fd, &iov, 1, offset) : 0;
}

int store_write_sparse(int fd, const void *bytes, size_t len, uint64_t offset)
{
	static const char zeroes[SPARSE_BLOCK];
	const char *from = bytes;
	size_t run = 0; /* where the data begins that is not yet written */
	size_t at = 0;
	while (at < len) {
		size_t block = SPARSE_BLOCK - (size_t)((offset + at) % SPARSE_BLOCK);
		if (block > len - at)
			block = len - at;
		if (memcmp(from + at, zeroes, block) == 0) {
			int code = write_run(fd, from + run, at - run, offset + run);
			if (code < 0)
				return code;
			run = at + block;
		}
		at += block;
	}
	return write_run(fd, from + run, at - run, offset + run);
}

int store_reserve(int fd, uint64_t size)
{
	if (size == 0)
		return 0;
	if (size > (uint64_t)INT64_MAX)
		return -EFBIG;
	int result;
	do
		result = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
	while (result < 0 && errno == EINTR);
	if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
		return 0;
	return -errno;
}

int store_set_meta_fd(int fd, const struct store_meta *meta)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, meta->mtime };
	if (fchmod(fd, meta->mode & 0777) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

int store_sync_fd(int fd)
{
	int result;
	do
		result = fsync(fd);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

int store_sync_data_fd(int fd)
{
	int result;
	do
		result = fdatasync(fd);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

void store_writeback_fd(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int store_close_check_fd(int fd)
{
	int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (other < 0)
		return -errno;
	return close(other) < 0 && errno != EINTR ? -errno : 0;
}
