/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that remembers what it was told: a file system of two files, for a loop device.
 *
 *   blockfs IMAGE RECORD FOLDER        in the foreground, until SIGTERM or until FOLDER is unmounted
 *
 *   FOLDER/disk   the image file; each write and each sync of it goes into the record, a sync as a flush
 *   FOLDER/mark   takes lines; each becomes a mark, between what the disk was told before and after
 *
 * There is one thread, and no cache of the kernel's before it: the order in the record is the order of what happened.
 */
#define FUSE_USE_VERSION 31
#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct blockfs {
	int image;
	int record;
};

static struct blockfs *blockfs_here(void)
{
	return fuse_get_context()->private_data;
}

/* A record that misses something would prove nothing: the write fails then. */
static int record_add(enum block_kind kind, const char *bytes, size_t len, off_t offset)
{
	struct block_record record = { .kind = kind, .len = (uint32_t)len, .offset = (uint64_t)offset };
	struct iovec parts[2] = { { &record, sizeof(record) }, { (void *)(uintptr_t)bytes, len } };
	ssize_t written = writev(blockfs_here()->record, parts, 2);

	return written == (ssize_t)(sizeof(record) + len) ? 0 : -EIO;
}

static bool is_disk(const char *path)
{
	return strcmp(path, "/disk") == 0;
}

static bool is_mark(const char *path)
{
	return strcmp(path, "/mark") == 0;
}

static int blockfs_getattr(const char *path, struct stat *st, struct fuse_file_info *file)
{
	(void)file;
	if (is_disk(path)) {
		if (fstat(blockfs_here()->image, st) < 0)
			return -errno;
		st->st_mode = S_IFREG | 0600;
		return 0;
	}
	if (!is_mark(path) && strcmp(path, "/") != 0)
		return -ENOENT;
	*st = (struct stat){ .st_mode = is_mark(path) ? S_IFREG | 0600 : S_IFDIR | 0700, .st_nlink = 1 };
	return 0;
}

static int blockfs_open(const char *path, struct fuse_file_info *file)
{
	if (!is_disk(path) && !is_mark(path))
		return -ENOENT;
	file->direct_io = 1;
	return 0;
}

static int blockfs_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
	(void)size;
	(void)file;
	return is_mark(path) ? 0 : -EPERM;
}

static int blockfs_read(const char *path, char *bytes, size_t len, off_t offset, struct fuse_file_info *file)
{
	ssize_t got;

	(void)file;
	if (!is_disk(path))
		return 0;
	got = pread(blockfs_here()->image, bytes, len, offset);
	return got < 0 ? -errno : (int)got;
}

static int blockfs_write(const char *path, const char *bytes, size_t len, off_t offset, struct fuse_file_info *file)
{
	ssize_t written = (ssize_t)len;
	int code;

	(void)file;
	if (is_disk(path))
		written = pwrite(blockfs_here()->image, bytes, len, offset);
	if (written < 0)
		return -errno;
	code = record_add(is_disk(path) ? BLOCK_WRITE : BLOCK_MARK, bytes, (size_t)written, offset);
	return code < 0 ? code : (int)written;
}

static int blockfs_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
	(void)data_only;
	(void)file;
	return is_disk(path) ? record_add(BLOCK_FLUSH, NULL, 0, 0) : 0;
}

static const struct fuse_operations operations = {
	.getattr = blockfs_getattr,
	.open = blockfs_open,
	.truncate = blockfs_truncate,
	.read = blockfs_read,
	.write = blockfs_write,
	.fsync = blockfs_fsync,
};

int main(int argc, char **argv)
{
	struct blockfs blockfs;
	char foreground[] = "-f", single[] = "-s";
	char *arguments[] = { argv[0], foreground, single, argc > 3 ? argv[3] : NULL, NULL };

	if (argc != 4) {
		fprintf(stderr, "usage: blockfs IMAGE RECORD FOLDER\n");
		return 2;
	}
	blockfs.image = open(argv[1], O_RDWR | O_CLOEXEC);
	blockfs.record = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (blockfs.image < 0 || blockfs.record < 0) {
		fprintf(stderr, "blockfs: %s: %s\n", blockfs.image < 0 ? argv[1] : argv[2], strerror(errno));
		return 1;
	}
	return fuse_main(4, arguments, &operations, &blockfs);
}
