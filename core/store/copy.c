/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranges of files: taken from another file, or made zeroes. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_PIECE = 256 * 1024 }; /* bytes moved at a time where the kernel does not copy */

static int copy_by_hand(int from, int to, uint64_t offset, uint64_t len)
{
	void *bytes = malloc(COPY_PIECE);
	int code = 0;
	if (!bytes)
		return -ENOMEM;
	while (len > 0 && code == 0) {
		size_t step = len < COPY_PIECE ? (size_t)len : COPY_PIECE;
		ssize_t got = store_read(from, bytes, step, offset);
		struct iovec iov = { .iov_base = bytes, .iov_len = step };
		if (got < 0)
			code = (int)got;
		else if ((size_t)got < step)
			code = -ENODATA;
		else
			code = store_writev(to, &iov, 1, offset);
		offset += step;
		len -= step;
	}
	free(bytes);
	return code;
}

/* What copy_file_range(2) says where it cannot, or not between these two. (EPERM: a sandbox that does not know it.) */
static bool copy_refused(int code)
{
	return code == -EXDEV || code == -EINVAL || code == -EOPNOTSUPP || code == -ENOSYS || code == -EPERM;
}

static int copy_data(int from, int to, uint64_t offset, uint64_t len)
{
	off_t in = (off_t)offset, out = (off_t)offset;
	while (len > 0) {
		ssize_t got = copy_file_range(from, &in, to, &out, len, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && !copy_refused(-errno))
			return -errno;
		if (got <= 0) /* some say 0 where they cannot */
			return copy_by_hand(from, to, (uint64_t)in, len);
		len -= (uint64_t)got;
	}
	return 0;
}

int store_copy(int from, int to, uint64_t offset, uint64_t len)
{
	struct stat st;
	uint64_t end = offset + len;
	if (end < offset || end > (uint64_t)INT64_MAX)
		return -EFBIG;
	if (fstat(from, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < end)
		return -ENODATA;
	while (offset < end) {
		bool data;
		uint64_t stop;
		int code = store_extent(from, offset, end, &data, &stop);
		if (code == 0)
			code = data ? copy_data(from, to, offset, stop - offset)
			            : store_zero(to, offset, stop - offset);
		if (code < 0)
			return code;
		offset = stop;
	}
	return 0;
}

static int zero_by_hand(int fd, uint64_t offset, uint64_t len)
{
	static const char zeroes[4096];
	union {
		const void *from;
		void *base; /* only read */
	} bytes = { .from = zeroes };
	while (len > 0) {
		struct iovec iov = { .iov_base = bytes.base, .iov_len = sizeof(zeroes) };
		if (len < iov.iov_len)
			iov.iov_len = (size_t)len;
		size_t step = iov.iov_len;
		int code = store_writev(fd, &iov, 1, offset);
		if (code < 0)
			return code;
		offset += step;
		len -= step;
	}
	return 0;
}

static int zero_data(int fd, uint64_t offset, uint64_t len)
{
	int result;
	do
		result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EPERM)
		return -errno;
	return zero_by_hand(fd, offset, len);
}

int store_zero(int fd, uint64_t offset, uint64_t len)
{
	struct stat st;
	uint64_t end = offset + len;
	if (end < offset || end > (uint64_t)INT64_MAX)
		return -EFBIG;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < end)
		end = (uint64_t)st.st_size;
	while (offset < end) {
		bool data;
		uint64_t stop;
		int code = store_extent(fd, offset, end, &data, &stop);
		if (code == 0 && data)
			code = zero_data(fd, offset, stop - offset);
		if (code < 0)
			return code;
		offset = stop;
	}
	return 0;
}
