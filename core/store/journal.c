/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: opened, written to, closed. */
#include "store/beneath.h"
#include "store/journal_state.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open and close ---- */

int journal_new(struct journal **out, struct store_root *root, const char *path, const struct journal_head *head)
{
	const char *target = head->target ? head->target : "";
	int code = *path ? store_path_check(path, strlen(path), NULL) : -EINVAL;
	if (code == 0)
		code = store_path_check(head->partial, strlen(head->partial), NULL);
	if (code == 0)
		code = store_path_check(target, strlen(target), NULL);
	struct journal *journal = code == 0 ? calloc(1, sizeof(*journal)) : NULL;
	if (!journal)
		return code < 0 ? code : -ENOMEM;
	pthread_mutex_init(&journal->flushing, NULL);
	pthread_mutex_init(&journal->lock, NULL);
	journal->root = store_root_ref(root);
	journal->path = strdup(path);
	journal->source = strdup(head->source);
	journal->partial = strdup(head->partial);
	journal->target = strdup(target);
	memcpy(journal->id, head->id, sizeof(journal->id));
	journal->fd = -1;
	journal->past.fd = -1;
	if (!journal->path || !journal->source || !journal->partial || !journal->target) {
		journal_close(journal);
		return -ENOMEM;
	}
	*out = journal;
	return 0;
}

static int journal_begin(struct journal *journal, bool *resumed)
{
	struct stat st;
	int code = journal_file_open(journal->root, journal->path, &journal->fd, &st);
	if (code == -ENOENT)
		return 0;
	if (code == 0)
		code = past_load(&journal->past, journal->fd, journal->root, journal->path, journal->id,
		                 &journal->suite);
	if (code < 0)
		return code;
	*resumed = code == 1;
	journal->number = journal->past.number;
	journal->named = code == 1;
	if (code == 0) {
		journal->past = (struct past){ .fd = -1 };
		journal->number = 0;
		return ftruncate(journal->fd, 0) < 0 ? -errno : 0;
	}
	return 0;
}

int journal_open(struct journal **out, struct store_root *root, const char *path, const struct journal_head *head,
                 const struct journal_suite *suite, bool *resumed, struct error *err)
{
	char shown[512];
	bool old = false;
	struct journal *journal = NULL;
	int code = suite->chunk_size > 0 && suite->chunk_size <= JOURNAL_CHUNK_MAX &&
	                           suite->digest_size <= JOURNAL_DIGEST_MAX
	                   ? journal_new(&journal, root, path, head)
	                   : -EINVAL;
	if (code == 0) {
		journal->suite = *suite;
		code = journal_begin(journal, &old);
	}
	if (code == 0) {
		*resumed = old;
		*out = journal;
		return 0;
	}
	journal_close(journal);
	text_printable(shown, sizeof(shown), path, strlen(path));
	if (code == -EBUSY)
		return error_set(err, code, FAULT_LOCAL,
		                 "the same transfer is running already: its journal \"%s\" is in use", shown);
	if (code == -EINVAL)
		return error_set(err, code, FAULT_LOCAL, "\"%s\" stands where the journal belongs, and is none", shown);
	return error_system(err, code, FAULT_LOCAL, "cannot open the journal \"%s\"", shown);
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	past_free(&journal->past);
	if (journal->fd >= 0)
		close(journal->fd);
	buf_free(&journal->pending);
	buf_free(&journal->spare);
	pthread_mutex_destroy(&journal->lock);
	pthread_mutex_destroy(&journal->flushing);
	store_root_unref(journal->root);
	free(journal->path);
	free(journal->source);
	free(journal->partial);
	free(journal->target);
	free(journal);
}

int journal_remove(struct journal *journal)
{
	/* As long as the lock is held nobody takes up a journal whose name is about to go. */
	int code = journal && journal->fd >= 0 ? journal_file_remove(journal->root, journal->path) : 0;
	journal_close(journal);
	return code;
}

bool journal_whole(struct journal *journal)
{
	pthread_mutex_lock(&journal->lock);
	bool whole = journal->fd >= 0 && !journal->mute;
	pthread_mutex_unlock(&journal->lock);
	return whole;
}

/* ---- adding: with `lock` held ---- */

static int add_suite(struct journal *journal)
{
	int code = record_put_suite(&journal->pending, journal->past.own, &journal->suite);
	if (code == 0)
		journal->since_suite = 0;
	return code;
}

static int introduce(struct journal *journal)
{
	struct journal_head head = {
		.source = journal->source,
		.partial = journal->partial,
		.target = journal->target,
	};
	if (journal->introduced)
		return 0;
	memcpy(head.id, journal->id, sizeof(head.id));
	int code = record_put_head(&journal->pending, &head);
	if (code == 0)
		code = add_suite(journal);
	journal->introduced = code == 0;
	return code;
}

int journal_add_file(struct journal *journal, const struct journal_file *file, uint32_t *number)
{
	int code = 0;
	uint32_t given = 0;
	pthread_mutex_lock(&journal->lock);
	if (!journal->mute && journal->number < UINT32_MAX) {
		code = introduce(journal);
		size_t before = journal->pending.len;
		if (code == 0)
			code = record_put_file(&journal->pending, journal->number + 1, file);
		if (code == 0) {
			given = ++journal->number;
			journal->since_suite += journal->pending.len - before;
		}
	}
	pthread_mutex_unlock(&journal->lock);
	if (code == 0)
		*number = given;
	return code;
}

int journal_add_chunks(struct journal *journal, uint32_t number, const struct journal_chunk *chunks, size_t count)
{
	int code = 0;
	pthread_mutex_lock(&journal->lock);
	bool takes = number != 0 && !journal->mute && count > 0;
	if (takes)
		code = introduce(journal);
	for (size_t i = 0; takes && code == 0 && i < count; i++) {
		if (journal->since_suite >= JOURNAL_SUITE_EVERY)
			code = add_suite(journal);
		size_t before = journal->pending.len;
		if (code == 0)
			code = record_put_chunk(&journal->pending, number, journal->past.own, &chunks[i],
			                        journal->suite.digest_size);
		journal->since_suite += journal->pending.len - before;
	}
	pthread_mutex_unlock(&journal->lock);
	return code;
}

/* ---- writing ---- */

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t got = write(fd, bytes, len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		bytes += got;
		len -= (size_t)got;
	}
	return 0;
}

/* With `flushing` held: only here fd is changed. */
static int write_out(struct journal *journal, const struct buf *records)
{
	int fd = journal->fd;
	int code = 0;
	if (fd < 0) {
		code = journal_file_make(journal->root, journal->path, &fd);
		if (code < 0)
			return code;
		pthread_mutex_lock(&journal->lock);
		journal->fd = fd;
		pthread_mutex_unlock(&journal->lock);
	}
	return write_all(fd, records->data, records->len);
}

int journal_flush(struct journal *journal)
{
	int code = 0;
	pthread_mutex_lock(&journal->flushing);
	pthread_mutex_lock(&journal->lock);
	struct buf records = journal->pending;
	if (records.len > 0) {
		journal->pending = journal->spare;
		journal->spare = (struct buf){ 0 };
	}
	pthread_mutex_unlock(&journal->lock);
	if (records.len > 0) {
		code = write_out(journal, &records);
		buf_clear(&records);
		journal->spare = records;
	}
	if (code < 0) {
		pthread_mutex_lock(&journal->lock);
		journal->mute = true;
		buf_free(&journal->pending);
		pthread_mutex_unlock(&journal->lock);
	}
	pthread_mutex_unlock(&journal->flushing);
	return code;
}

int journal_announce(struct journal *journal)
{
	pthread_mutex_lock(&journal->lock);
	int code = journal->mute ? 0 : introduce(journal);
	pthread_mutex_unlock(&journal->lock);
	return code < 0 ? code : journal_flush(journal);
}

int journal_sync(struct journal *journal)
{
	int result, code = 0;
	pthread_mutex_lock(&journal->lock);
	int fd = journal->fd;
	pthread_mutex_unlock(&journal->lock);
	if (fd < 0)
		return 0;
	do
		result = fdatasync(fd);
	while (result < 0 && errno == EINTR);
	if (result < 0)
		return -errno;
	pthread_mutex_lock(&journal->flushing);
	if (!journal->named) {
		char folder[RECORD_PATH_MAX + 1];
		code = store_sync_parent(journal->root, journal->path);
		if (code == 0 && *journal_file_folder(folder, journal->path))
			code = store_sync_parent(journal->root, folder);
		journal->named = code == 0;
	}
	pthread_mutex_unlock(&journal->flushing);
	return code;
}
