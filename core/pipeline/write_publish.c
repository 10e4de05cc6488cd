/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last steps of files. Those of one job take them together, in an order that never lets a final name show what is not
 * yet on disk: first the content of all is synced (what can be written is on its way to the disk meanwhile), then each
 * gets its name, then each folder is synced once; only then they are done. One that fails stops no other.
 */
#include "pipeline/write_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int file_resize(int fd, uint64_t size)
{
	int result;

	do
		result = ftruncate(fd, (off_t)size);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* The final name, and the end of the lock. */
static int file_name(struct write_file *file, struct store_parent *near)
{
	int code = 0;

	if (file->final != NULL)
		code = store_rename_via(near, file->root, file->path, file->final, file->no_replace);
	if (code < 0)
		return write_file_error(file, code);
	write_file_close(file);
	return 0;
}

int write_ready(struct write_file *file, struct store_parent *near, const struct store_meta *meta)
{
	int fd, old;
	int code = write_file_open(file, near, &fd);

	if (code < 0)
		return code;
	if (file->copied)
		code = write_file_old(file, near, &old);
	/* Holes at the end were never written; what was resumed may be too long. */
	if (code == 0 && file->reach != file->size)
		code = file_resize(fd, file->size);
	if (code == 0)
		code = store_set_meta_fd(fd, meta);
	if (code == 0 && !file->sync)
		code = store_close_check_fd(fd);
	if (code < 0)
		return write_file_error(file, code);
	if (file->sync)
		return 0;
	code = file_name(file, near);
	if (code == 0)
		write_note_published(file);
	return code;
}

/* The content of one that could not be synced is no longer known: it goes, and is not tried again. */
static int file_sync(struct write_file *file, struct store_parent *near)
{
	int code = store_sync_fd(file->fd);

	if (code < 0) {
		code = write_file_error(file, code);
		(void)write_file_abandon(file, near);
	}
	return code;
}

/* It is ready, and its name waits until it is synced. */
static bool to_sync(const struct write_piece *piece)
{
	return piece->op == WRITE_PUBLISH && piece->code == 0 && piece->file->sync;
}

static void job_sync(struct write_job *job, struct store_parent *near)
{
	for (size_t i = 0; i < job->count; i++)
		if (to_sync(&job->pieces[i]))
			store_writeback_fd(job->pieces[i].file->fd);
	for (size_t i = 0; i < job->count; i++)
		if (to_sync(&job->pieces[i]))
			job->pieces[i].code = file_sync(job->pieces[i].file, near);
}

/* A folder that got names. */
struct folder {
	const struct store_root *root;
	const char *path; /* of a file in it */
	size_t len;       /* of the folder's own path */
	int code;
};

static struct folder folder_of(const struct write_file *file)
{
	const char *slash = strrchr(file->final, '/');

	return (struct folder){
		.root = file->root,
		.path = file->final,
		.len = slash != NULL ? (size_t)(slash - file->final) : 0,
	};
}

static bool folder_same(const struct folder *a, const struct folder *b)
{
	return a->root == b->root && a->len == b->len && memcmp(a->path, b->path, a->len) == 0;
}

/* Syncs the folder of each file, each once. */
static void job_sync_folders(struct write_job *job)
{
	struct folder folders[WRITE_PIECES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < job->count; i++) {
		struct write_piece *piece = &job->pieces[i];
		size_t at = 0;

		if (!to_sync(piece) || piece->file->final == NULL)
			continue;
		struct folder folder = folder_of(piece->file);
		while (at < count && !folder_same(&folders[at], &folder))
			at++;
		if (at == count) {
			folder.code = store_sync_parent(piece->file->root, piece->file->final);
			folders[count++] = folder;
		}
		piece->code = folders[at].code;
	}
}

void write_publish(struct write_job *job, struct store_parent *near)
{
	size_t count = 0;

	for (size_t i = 0; i < job->count; i++)
		count += to_sync(&job->pieces[i]);
	if (count == 0)
		return;
	job_stage(&job->job, XFER_STAGE_SYNC);
	job_sync(job, near);
	for (size_t i = 0; i < job->count; i++)
		if (to_sync(&job->pieces[i]))
			job->pieces[i].code = file_name(job->pieces[i].file, near);
	job_sync_folders(job);
	for (size_t i = 0; i < job->count; i++)
		if (to_sync(&job->pieces[i]))
			write_note_published(job->pieces[i].file);
	job_stage(&job->job, XFER_STAGE_WRITE);
}

static bool meta_same(const struct stat *st, const struct store_meta *meta)
{
	return (st->st_mode & 07777) == (meta->mode & 0777U) && st->st_mtim.tv_sec == meta->mtime.tv_sec &&
	       st->st_mtim.tv_nsec == meta->mtime.tv_nsec;
}

int write_settle(struct write_file *file, struct store_parent *near, struct job *job, const struct store_meta *meta)
{
	struct stat st;
	int fd;
	int code = write_file_old(file, near, &fd);

	if (code == 0 && file->reuse == WRITE_OLD) {
		if (fstat(fd, &st) < 0)
			code = -errno;
		else if (!meta_same(&st, meta))
			code = store_set_meta_fd(fd, meta);
		if (code == 0 && file->sync) {
			job_stage(job, XFER_STAGE_SYNC);
			code = store_sync_fd(fd);
			if (code == 0)
				code = store_sync_parent(file->root, file->old);
			job_stage(job, XFER_STAGE_WRITE);
		}
	}
	if (code < 0)
		return write_file_error(file, code);
	/* An earlier run may have begun another one beside it. */
	if (file->reuse == WRITE_OLD && file->journal != NULL)
		(void)store_partial_remove_via(near, file->root, file->path);
	write_file_close(file);
	return 0;
}
