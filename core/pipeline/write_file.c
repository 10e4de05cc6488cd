/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind write pieces: created by the first, given its final name by the last. */
#include "pipeline/write_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int write_file_create(struct write_file **out, const struct write_place *place, const struct suite *suite,
                      uint64_t size)
{
	size_t len = strlen(place->path) + 1;
	size_t final_len = place->final != NULL ? strlen(place->final) + 1 : 0;
	struct write_file *file = calloc(1, sizeof(*file) + len + final_len);

	if (file == NULL)
		return -ENOMEM;
	int code = tally_create(&file->tally, suite, size);
	if (code == 0) {
		code = -pthread_mutex_init(&file->lock, NULL);
		if (code < 0)
			tally_destroy(file->tally);
	}
	if (code < 0) {
		free(file);
		return code;
	}
	file->path = memcpy(file + 1, place->path, len);
	if (final_len > 0)
		file->final = memcpy(file->path + len, place->final, final_len);
	file->root = store_root_ref(place->root);
	file->suite = suite;
	file->size = size;
	file->sync = place->sync;
	file->no_replace = place->no_replace;
	file->fd = -1;
	*out = file;
	return 0;
}

void write_file_destroy(struct write_file *file)
{
	if (file == NULL)
		return;
	write_file_abandon(file, NULL);
	tally_destroy(file->tally);
	store_root_unref(file->root);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

int write_file_error(struct write_file *file, int code)
{
	int none = 0;

	/* On failure `none` is what stood there: the first one. */
	return atomic_compare_exchange_strong(&file->code, &none, code) ? code : none;
}

int write_file_open(struct write_file *file, struct store_parent *near, int *fd)
{
	int code = atomic_load(&file->code);

	if (code < 0)
		return code;
	pthread_mutex_lock(&file->lock);
	if (file->fd < 0) {
		/* One that was published or abandoned is over. */
		code = file->published ? -EALREADY : store_create_via(near, file->root, file->path, &file->fd);
		if (code == 0)
			file->created = true;
	}
	*fd = file->fd;
	pthread_mutex_unlock(&file->lock);
	return code < 0 ? write_file_error(file, code) : 0;
}

void write_file_reached(struct write_file *file, uint64_t end)
{
	pthread_mutex_lock(&file->lock);
	if (end > file->reach)
		file->reach = end;
	pthread_mutex_unlock(&file->lock);
}

static int file_resize(int fd, uint64_t size)
{
	int result;

	do
		result = ftruncate(fd, (off_t)size);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* Everything that needs the descriptor; closes it. With the lock held. */
static int finish_locked(struct write_file *file, struct job *job, const struct store_meta *meta)
{
	/* Holes at the end were never written. */
	int code = file->reach == file->size ? 0 : file_resize(file->fd, file->size);

	if (code == 0)
		code = store_set_meta_fd(file->fd, meta);
	if (code == 0 && file->sync) {
		job_stage(job, XFER_STAGE_SYNC);
		code = store_sync_fd(file->fd);
	}
	/* Network file systems tell of a failed write here. */
	if (close(file->fd) < 0 && code == 0 && errno != EINTR)
		code = -errno;
	file->fd = -1;
	return code;
}

int write_file_publish(struct write_file *file, struct store_parent *near, struct job *job,
                       const struct store_meta *meta)
{
	int fd;
	int code = write_file_open(file, near, &fd);

	if (code < 0)
		return code;
	pthread_mutex_lock(&file->lock);
	code = finish_locked(file, job, meta);
	if (code == 0 && file->final != NULL)
		code = store_rename_via(near, file->root, file->path, file->final, file->no_replace);
	if (code == 0)
		file->published = true;
	pthread_mutex_unlock(&file->lock);
	if (code == 0 && file->final != NULL && file->sync)
		code = store_sync_parent(file->root, file->final);
	return code < 0 ? write_file_error(file, code) : 0;
}

int write_file_abandon(struct write_file *file, struct store_parent *near)
{
	int code = 0;

	pthread_mutex_lock(&file->lock);
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	if (file->created && !file->published)
		code = store_remove_via(near, file->root, file->path);
	if (code == 0)
		file->created = false;
	pthread_mutex_unlock(&file->lock);
	write_file_error(file, -ECANCELED);
	return code;
}
