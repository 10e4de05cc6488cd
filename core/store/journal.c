/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal's file: opened, locked, appended to, removed. */
#include "store/beneath.h"
#include "store/journal_state.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TRIES = 16,                 /* against those who remove what we are about to open */
	SUITE_EVERY = 32 * 1024,    /* bytes of records between two SUITE */
	PEEK_BYTES = 3 * 32 * 1024, /* at the end, that hold one unless they are damaged */
	OPEN_FLAGS = O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
};

/* ---- the file ---- */

/*
 * Locks of the open file (fcntl(2)) also hold between two openings in one process, and can be asked for without being
 * taken: who lists journals does not get into the way of a transfer that begins.
 */
static int lock_call(int fd, int command, struct flock *lock)
{
	int result;
	*lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	do
		result = fcntl(fd, command, lock);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

/* 0: ours from now on; -EBUSY; -ESTALE: the name means another file by now, or none. */
static int lock_file(struct store_root *root, const char *path, int fd)
{
	struct stat here, there;
	struct flock lock;
	int code = lock_call(fd, F_OFD_SETLK, &lock);
	if (code == -EAGAIN || code == -EACCES)
		return -EBUSY;
	/* Else: a file system without locks. Two runs of one command would write the same bytes into one file. */
	if (fstat(fd, &here) < 0)
		return -errno;
	code = store_stat(root, path, &there);
	if (code == 0 && (here.st_dev != there.st_dev || here.st_ino != there.st_ino))
		code = -ESTALE;
	return code == -ENOENT ? -ESTALE : code;
}

/* Opens what is there: -ENOENT; -EINVAL for what is no plain file. */
static int open_there(struct store_root *root, const char *path, int flags, int *fd, struct stat *st)
{
	int opened;
	int code = store_open(root, path, flags | OPEN_FLAGS, 0, &opened);
	if (code == -ELOOP || code == -EISDIR || code == -ENXIO || code == -ENODEV)
		return -EINVAL;
	if (code < 0)
		return code;
	if (fstat(opened, st) < 0)
		code = -errno;
	else if (!S_ISREG(st->st_mode) || st->st_nlink > 1) /* another name would be another's file */
		code = -EINVAL;
	if (code < 0)
		close(opened);
	else
		*fd = opened;
	return code;
}

static int open_locked(struct store_root *root, const char *path, int *fd, struct stat *st)
{
	int code = -ESTALE;
	for (int tries = 0; code == -ESTALE && tries < TRIES; tries++) {
		int opened;
		code = open_there(root, path, O_RDWR, &opened, st);
		if (code < 0)
			return code;
		code = lock_file(root, path, opened);
		if (code < 0)
			close(opened);
		else
			*fd = opened;
	}
	return code == -ESTALE ? -EBUSY : code;
}

/* The folder of the path, if it comes and goes with its journals; else an empty text. */
static char *own_folder(char out[STORE_PATH_MAX + 1], const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	memcpy(out, path, len);
	out[len] = '\0';
	slash = strrchr(out, '/');
	if (strcmp(slash ? slash + 1 : out, JOURNAL_FOLDER) != 0)
		out[0] = '\0';
	return out;
}

static int make_locked(struct store_root *root, const char *path, int *fd)
{
	char folder[STORE_PATH_MAX + 1];
	int code = -ESTALE;
	own_folder(folder, path);
	for (int tries = 0; code == -ESTALE && tries < TRIES; tries++) {
		int made;
		code = store_open(root, path, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600, &made);
		if (code == -ENOENT && *folder) {
			code = store_make_dir(root, folder);
			if (code == 0)
				code = -ESTALE;
			continue;
		}
		if (code < 0)
			break;
		code = lock_file(root, path, made);
		if (code < 0)
			close(made);
		else
			*fd = made;
	}
	return code == -EEXIST || code == -ESTALE ? -EBUSY : code;
}

static int remove_file(struct store_root *root, const char *path)
{
	char folder[STORE_PATH_MAX + 1];
	struct spot spot;
	int code = spot_find(&spot, NULL, root, path);
	if (code == 0) {
		code = unlinkat(spot.dir, spot.name, 0) < 0 ? -errno : 0;
		spot_again(&spot, code);
	}
	if (*own_folder(folder, path) && spot_find(&spot, NULL, root, folder) == 0) {
		(void)unlinkat(spot.dir, spot.name, AT_REMOVEDIR); /* others have theirs in it */
		spot_again(&spot, 0);
	}
	return code == -ENOENT ? 0 : code;
}

/* ---- open and close ---- */

static int journal_new(struct journal **out, struct store_root *root, const char *path, const char *source,
                       const char *partial)
{
	int code = *path ? store_path_check(path, strlen(path), NULL) : -EINVAL;
	if (code == 0)
		code = store_path_check(partial, strlen(partial), NULL);
	struct journal *journal = code == 0 ? calloc(1, sizeof(*journal)) : NULL;
	if (!journal)
		return code < 0 ? code : -ENOMEM;
	pthread_mutex_init(&journal->flushing, NULL);
	pthread_mutex_init(&journal->lock, NULL);
	journal->root = store_root_ref(root);
	journal->path = strdup(path);
	journal->source = strdup(source);
	journal->partial = strdup(partial);
	journal->fd = -1;
	journal->past.fd = -1;
	if (!journal->path || !journal->source || !journal->partial) {
		journal_close(journal);
		return -ENOMEM;
	}
	*out = journal;
	return 0;
}

static int journal_begin(struct journal *journal, bool *resumed)
{
	struct stat st;
	int code = open_locked(journal->root, journal->path, &journal->fd, &st);
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
	                   ? journal_new(&journal, root, path, head->source, head->partial)
	                   : -EINVAL;
	if (code == 0) {
		memcpy(journal->id, head->id, sizeof(journal->id));
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
	free(journal);
}

int journal_remove(struct journal *journal)
{
	/* As long as the lock is held nobody takes up a journal whose name is about to go. */
	int code = journal && journal->fd >= 0 ? remove_file(journal->root, journal->path) : 0;
	journal_close(journal);
	return code;
}

/* ---- journals of others ---- */

static int last_suite(int fd, uint64_t from, struct journal_suite *out)
{
	struct scan scan;
	struct record record;
	struct journal_suite suite;
	bool found = false;
	int code = scan_open(&scan, fd, from);
	if (code < 0)
		return code;
	while ((code = scan_next(&scan, &record)) == 1) {
		if (record.type == RECORD_SUITE && record_get_suite(&record, &suite)) {
			*out = suite;
			found = true;
		}
	}
	scan_close(&scan);
	return code < 0 ? code : found ? 0 : -ENOENT;
}

int journal_peek(struct store_root *root, const char *path, struct journal_suite *out)
{
	struct stat st;
	int fd;
	int code = open_there(root, path, O_RDONLY, &fd, &st);
	if (code < 0)
		return code == -ENOMEM ? code : -ENOENT;
	uint64_t size = (uint64_t)st.st_size;
	code = last_suite(fd, size > PEEK_BYTES ? size - PEEK_BYTES : 0, out);
	if (code == -ENOENT && size > PEEK_BYTES)
		code = last_suite(fd, 0, out);
	close(fd);
	return code == -ENOMEM ? code : code < 0 ? -ENOENT : 0;
}

void journal_about_free(struct journal_about *about)
{
	free(about->source);
	free(about->partial);
	about->source = NULL;
	about->partial = NULL;
}

/* The first head of the file; none is no error. */
static int read_about(int fd, const struct stat *st, struct journal_about *out)
{
	struct scan scan;
	struct record record;
	struct record_text source, partial;
	*out = (struct journal_about){ .size = (uint64_t)st->st_size, .touched = st->st_mtim };
	int code = scan_open(&scan, fd, 0);
	if (code < 0)
		return code;
	while (!out->readable && (code = scan_next(&scan, &record)) == 1) {
		if (record.type != RECORD_HEAD || !record_get_head(&record, out->id, &source, &partial))
			continue;
		out->source = strndup(source.bytes, source.len);
		out->partial = strndup(partial.bytes, partial.len);
		out->readable = out->source && out->partial;
		if (!out->readable) {
			code = -ENOMEM;
			break;
		}
	}
	scan_close(&scan);
	if (code < 0)
		journal_about_free(out);
	return code < 0 ? code : 0;
}

int journal_about(struct store_root *root, const char *path, struct journal_about *out, bool *busy)
{
	struct flock lock;
	struct stat st;
	int fd;
	int code = open_there(root, path, O_RDONLY, &fd, &st);
	if (code < 0)
		return code;
	code = read_about(fd, &st, out);
	*busy = code == 0 && lock_call(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return code;
}

int journal_take(struct journal **out, struct store_root *root, const char *path, struct journal_about *about)
{
	struct journal *journal;
	struct stat st;
	int code = journal_new(&journal, root, path, "", "");
	if (code < 0)
		return code;
	code = open_locked(root, path, &journal->fd, &st);
	if (code == 0)
		code = read_about(journal->fd, &st, about);
	if (code < 0) {
		journal_close(journal);
		return code;
	}
	journal->mute = true;
	*out = journal;
	return 0;
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
	struct journal_head head = { .source = journal->source, .partial = journal->partial };
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
		if (journal->since_suite >= SUITE_EVERY)
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
		code = make_locked(journal->root, journal->path, &fd);
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
		char folder[STORE_PATH_MAX + 1];
		code = store_sync_parent(journal->root, journal->path);
		if (code == 0 && *own_folder(folder, journal->path))
			code = store_sync_parent(journal->root, folder);
		journal->named = code == 0;
	}
	pthread_mutex_unlock(&journal->flushing);
	return code;
}
