/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind write and keep pieces: opened by the first that needs it, closed for good by the last. */
#include "pipeline/write_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Puts a copy of `text` at *room and moves it on. */
static char *text_put(char **room, const char *text)
{
	char *at = *room;

	if (text == NULL)
		return NULL;
	*room = stpcpy(at, text) + 1;
	return at;
}

static size_t text_size(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

int write_file_create(struct write_file **out, const struct write_place *place, const struct suite *suite,
                      uint64_t size)
{
	bool looks = place->reuse == WRITE_STANDS || place->reuse == WRITE_OLD;
	const char *old = looks ? place->old : NULL;
	const char *name = place->journal != NULL ? place->name : NULL;
	size_t texts = text_size(place->path) + text_size(place->final) + text_size(old) + text_size(name);
	struct write_file *file = calloc(1, sizeof(*file) + texts);

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
	char *room = (char *)(file + 1);
	file->path = text_put(&room, place->path);
	file->final = text_put(&room, place->final);
	file->old = text_put(&room, old);
	file->journal = name != NULL ? place->journal : NULL;
	file->identity = place->identity;
	file->identity.path = text_put(&room, name);
	file->root = store_root_ref(place->root);
	file->suite = suite;
	file->size = size;
	file->reuse = place->reuse;
	file->sync = place->sync;
	file->no_replace = place->no_replace;
	file->sync_window = place->sync_window;
	file->past = place->reuse == WRITE_NEW ? 0 : place->number;
	file->number = file->past;
	file->fd = -1;
	file->old_fd = -1;
	*out = file;
	return 0;
}

static void close_locked(struct write_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->old_fd >= 0)
		close(file->old_fd);
	file->fd = -1;
	file->old_fd = -1;
}

/* Removes what is at path, unless somebody else has taken it over; the lock on it goes last. With the lock held. */
static int remove_locked(struct write_file *file, struct store_parent *near)
{
	int code = file->fd >= 0 ? store_remove_via(near, file->root, file->path)
	                         : store_partial_remove_via(near, file->root, file->path);

	close_locked(file);
	return code == -EBUSY ? 0 : code;
}

void write_file_destroy(struct write_file *file)
{
	if (file == NULL)
		return;
	if (file->created && !file->over)
		(void)remove_locked(file, NULL);
	close_locked(file);
	ranges_free(&file->holes);
	free(file->kept);
	tally_destroy(file->tally);
	store_root_unref(file->root);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

uint64_t write_file_chunks(const struct write_file *file)
{
	uint64_t chunk = file->suite->limits.chunk_size;

	return file->size / chunk + (file->size % chunk != 0);
}

uint32_t write_file_chunk_len(const struct write_file *file, uint64_t index)
{
	uint64_t left = file->size - index * file->suite->limits.chunk_size;

	return left < file->suite->limits.chunk_size ? (uint32_t)left : file->suite->limits.chunk_size;
}

int write_file_error(struct write_file *file, int code)
{
	int none = 0;

	/* On failure `none` is what stood there: the first one. */
	return atomic_compare_exchange_strong(&file->code, &none, code) ? code : none;
}

/* ---- opening ---- */

/* What is there goes on being written to: -ENOENT. With the lock held. */
static int resume_locked(struct write_file *file, struct store_parent *near)
{
	struct stat st;
	int code = store_partial_open_via(near, file->root, file->path, &file->fd, &st);

	if (code < 0)
		return code;
	file->stale = true;
	file->reach = (uint64_t)st.st_size;
	return 0;
}

static int open_locked(struct write_file *file, struct store_parent *near)
{
	if (file->over)
		return -EALREADY;
	if (file->reuse == WRITE_STANDS)
		return -EROFS;
	if (file->fd >= 0)
		return 0;
	int code = file->reuse == WRITE_RESUME || file->created ? resume_locked(file, near) : -ENOENT;
	if (code != -ENOENT && code != -ENOTSUP)
		return code;
	code = store_partial_make_via(near, file->root, file->path, &file->fd);
	if (code < 0)
		return code;
	file->created = true;
	file->stale = false;
	file->reach = 0;
	return 0;
}

int write_file_open(struct write_file *file, struct store_parent *near, int *fd)
{
	int code = atomic_load(&file->code);

	if (code < 0)
		return code;
	pthread_mutex_lock(&file->lock);
	code = open_locked(file, near);
	*fd = file->fd;
	pthread_mutex_unlock(&file->lock);
	return code < 0 ? write_file_error(file, code) : 0;
}

/*
 * Still the content that was looked at? (The change time moves also when a name of the file comes or goes: somebody who
 * replaced it under its name did not change what we have open.)
 */
static bool old_same(const struct write_file *file, const struct stat *st)
{
	struct store_identity now;

	store_identity_from(&now, st);
	if (st->st_nlink != file->old_links)
		now.ctime = file->old_identity.ctime;
	return store_identity_equal(&now, &file->old_identity);
}

static int old_locked(struct write_file *file, struct store_parent *near)
{
	struct stat st;
	int code = 0;

	if (file->over)
		return -EALREADY;
	if (file->old == NULL)
		return -EINVAL;
	if (file->old_fd >= 0)
		return fstat(file->old_fd, &st) < 0 ? -errno : old_same(file, &st) ? 0 : -ESTALE;
	int fd;
	code = store_open_file_via(near, file->root, file->old, &fd, &st);
	if (code < 0)
		return file->old_known && code == -ENOENT ? -ESTALE : code;
	if (!file->old_known) {
		store_identity_from(&file->old_identity, &st);
		file->old_links = st.st_nlink;
		file->old_known = true;
	} else if (!old_same(file, &st)) {
		close(fd);
		return -ESTALE;
	}
	file->old_fd = fd;
	return 0;
}

int write_file_old(struct write_file *file, struct store_parent *near, int *fd)
{
	pthread_mutex_lock(&file->lock);
	int code = old_locked(file, near);
	if (code == 0)
		*fd = file->old_fd;
	pthread_mutex_unlock(&file->lock);
	return code;
}

int write_file_look(struct write_file *file, struct store_parent *near, int *fd)
{
	int code = atomic_load(&file->code);

	if (code < 0)
		return code;
	if (file->old != NULL)
		return write_file_old(file, near, fd);
	pthread_mutex_lock(&file->lock);
	if (file->over)
		code = -EALREADY;
	else if (file->fd < 0)
		code = file->reuse == WRITE_RESUME || file->created ? resume_locked(file, near) : -ENOENT;
	*fd = file->fd;
	pthread_mutex_unlock(&file->lock);
	return code == -ENOTSUP ? -ENOENT : code;
}

void write_file_looked(struct write_file *file)
{
	if (file->size > file->suite->limits.chunk_size)
		return;
	pthread_mutex_lock(&file->lock);
	close_locked(file);
	pthread_mutex_unlock(&file->lock);
}

/* ---- durability while it grows ---- */

void write_file_wrote(struct write_file *file, uint64_t bytes, uint64_t end)
{
	pthread_mutex_lock(&file->lock);
	if (end > file->reach)
		file->reach = end;
	file->dirty += bytes;
	/* At its half, so that there is something to write while the disk works. */
	if (file->sync_window > 0 && file->dirty >= file->sync_window / 2 && !file->syncing) {
		file->behind = file->dirty;
		file->dirty = 0;
		file->syncing = true;
		atomic_store(&file->due, true);
	}
	pthread_mutex_unlock(&file->lock);
}

bool write_file_due(const struct write_file *file)
{
	return atomic_load_explicit(&file->due, memory_order_relaxed);
}

bool write_file_full(const struct write_file *file)
{
	return file->syncing && file->behind + file->dirty >= file->sync_window;
}

int write_file_sync_due(struct write_file *file, struct job *job, struct job **waiting)
{
	if (!atomic_exchange(&file->due, false))
		return 0;
	pthread_mutex_lock(&file->lock);
	int fd = file->fd;
	pthread_mutex_unlock(&file->lock);
	/* Nobody closes it: what does comes when this job is back. */
	job_stage(job, XFER_STAGE_SYNC);
	int code = fd >= 0 ? store_sync_data_fd(fd) : 0;
	if (code == 0 && file->journal != NULL)
		(void)journal_sync(file->journal);
	job_stage(job, XFER_STAGE_WRITE);
	pthread_mutex_lock(&file->lock);
	file->syncing = false;
	file->behind = 0;
	struct job *waits = file->turn == NULL ? write_turn_next(file) : NULL;
	if (waits != NULL) {
		waits->next = *waiting;
		*waiting = waits;
	}
	pthread_mutex_unlock(&file->lock);
	return code < 0 ? write_file_error(file, code) : 0;
}

/* ---- ending ---- */

void write_file_close(struct write_file *file)
{
	pthread_mutex_lock(&file->lock);
	close_locked(file);
	file->over = true;
	pthread_mutex_unlock(&file->lock);
	write_file_error(file, -ECANCELED);
}

int write_file_abandon(struct write_file *file, struct store_parent *near)
{
	int code = 0;

	pthread_mutex_lock(&file->lock);
	/* What was resumed, but not by us: it is somebody else's. */
	bool ours = file->created || (file->reuse == WRITE_RESUME && atomic_load(&file->code) != -EBUSY);
	if (!file->over && ours)
		code = remove_locked(file, near);
	close_locked(file);
	if (code == 0)
		file->over = true;
	pthread_mutex_unlock(&file->lock);
	write_file_error(file, -ECANCELED);
	return code;
}
