/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind read pieces: opened once, shared by the jobs that read from it, watched for changes. */
#include "pipeline/read_file.h"

#include "base/clock.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEEPS_FROM = 1024 * 1024 /* bytes of a file whose digests are kept */ };

int read_file_create(struct read_file **out, struct store_root *root, const char *path, uint64_t size,
                     const struct suite *suite)
{
	size_t len = strlen(path) + 1;
	struct read_file *file = calloc(1, sizeof(*file) + len);

	if (file == NULL)
		return -ENOMEM;
	int code = -pthread_mutex_init(&file->lock, NULL);
	if (code < 0) {
		free(file);
		return code;
	}
	file->refs = 1;
	file->path = memcpy(file + 1, path, len);
	file->root = root != NULL ? store_root_ref(root) : NULL;
	file->suite = suite;
	file->believed = size;
	file->fd = -1;
	*out = file;
	return 0;
}

struct read_file *read_file_ref(struct read_file *file)
{
	file->refs++;
	return file;
}

void read_file_destroy(struct read_file *file)
{
	if (file == NULL || --file->refs > 0)
		return;
	if (file->fd >= 0)
		close(file->fd);
	tally_destroy(file->tally);
	store_root_unref(file->root);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

/* With the lock held. */
static void fail_locked(struct read_file *file, struct read_piece *piece, enum status status, int code)
{
	piece->ended = piece->end;
	if (file->status == STATUS_OK) {
		file->status = status;
		file->code = code;
	}
	piece->status = file->status;
	piece->code = file->code;
	piece->change = file->change;
}

/* What happened to a file of `size` bytes since `before` (NULL: since it was listed). */
static const char *change_text(const struct stat *before, uint64_t size, const struct stat *now)
{
	if (now->st_nlink == 0 || (before != NULL && (now->st_dev != before->st_dev || now->st_ino != before->st_ino)))
		return "it was removed or replaced";
	if ((uint64_t)now->st_size != size)
		return (uint64_t)now->st_size < size ? "it shrank" : "it grew";
	if (before != NULL &&
	    (now->st_mtim.tv_sec != before->st_mtim.tv_sec || now->st_mtim.tv_nsec != before->st_mtim.tv_nsec))
		return "it was written to";
	return "its metadata changed";
}

/* With the lock held; `change` is what happened, as in change_text(). */
static void changed_locked(struct read_file *file, struct read_piece *piece, const char *change)
{
	if (file->status == STATUS_OK)
		file->change = change;
	fail_locked(file, piece, STATUS_CHANGED, 0);
}

void read_file_fail(struct read_file *file, struct read_piece *piece, enum status status, int code)
{
	pthread_mutex_lock(&file->lock);
	fail_locked(file, piece, status, code);
	pthread_mutex_unlock(&file->lock);
}

static uint64_t file_chunks(const struct read_file *file)
{
	uint64_t size = (uint64_t)file->st.st_size;
	uint64_t chunk = file->suite->limits.chunk_size;

	return size / chunk + (size % chunk != 0);
}

/*
 * Whether digests of its chunks are kept, and what was kept may be used. Of small files and of checksums they are made
 * sooner than they are found.
 */
static bool file_keeps(struct read_file *file)
{
	const struct suite *suite = file->suite;

	return suite->known != NULL && file->identity.size >= KEEPS_FROM &&
	       suite->integrity->integrity.strength >= XFER_STRENGTH_CRYPTOGRAPHIC &&
	       known_settled(&file->identity, clock_real()) &&
	       known_key_init(&file->key, &file->identity, suite->integrity->about.name, suite->limits.chunk_size,
	                      suite->limits.digest_size);
}

/* With the lock held and no descriptor. */
static bool open_locked(struct read_file *file, struct store_parent *near, struct read_piece *piece)
{
	struct store_identity identity;
	struct stat st;
	int fd;
	int code = store_open_file_via(near, file->root, file->path, &fd, &st);

	if (code < 0) {
		fail_locked(file, piece, stage_status(code), code);
		return false;
	}
	store_identity_from(&identity, &st);
	if (file->known && !store_identity_equal(&identity, &file->identity)) {
		close(fd);
		changed_locked(file, piece, change_text(&file->st, (uint64_t)file->st.st_size, &st));
		return false;
	}
	if (!file->known) { /* once only: others read these without the lock later */
		file->st = st;
		file->identity = identity;
		file->sparse = (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size;
		file->keeps = file_keeps(file);
		file->known = true;
	}
	if ((uint64_t)st.st_size != file->believed) {
		close(fd);
		changed_locked(file, piece, change_text(NULL, file->believed, &st));
		return false;
	}
	file->fd = fd;
	return true;
}

bool read_file_enter(struct read_file *file, struct store_parent *near, struct read_piece *piece, struct read_view *out)
{
	bool entered = false;

	pthread_mutex_lock(&file->lock);
	if (file->status != STATUS_OK)
		fail_locked(file, piece, file->status, file->code);
	else
		entered = file->fd >= 0 || open_locked(file, near, piece);
	if (file->known)
		piece->total = file_chunks(file);
	if (entered) {
		file->readers++;
		*out = (struct read_view){
			.fd = file->fd,
			.size = (uint64_t)file->st.st_size,
			.total = piece->total,
			.sparse = file->sparse,
		};
	}
	pthread_mutex_unlock(&file->lock);
	return entered;
}

void read_file_rest(struct read_file *file)
{
	int fd = -1;

	pthread_mutex_lock(&file->lock);
	if (file->readers == 0) {
		fd = file->fd;
		file->fd = -1;
	}
	pthread_mutex_unlock(&file->lock);
	if (fd >= 0)
		close(fd);
}

void read_file_leave(struct read_file *file, bool last)
{
	pthread_mutex_lock(&file->lock);
	file->readers--;
	pthread_mutex_unlock(&file->lock);
	if (last)
		read_file_rest(file);
}

bool read_file_same(struct read_file *file, struct read_piece *piece, int fd)
{
	struct store_identity now;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int code = -errno;

		read_file_fail(file, piece, stage_status(code), code);
		return false;
	}
	store_identity_from(&now, &st);
	if (store_identity_equal(&now, &file->identity))
		return true;
	pthread_mutex_lock(&file->lock);
	changed_locked(file, piece, change_text(&file->st, (uint64_t)file->st.st_size, &st));
	pthread_mutex_unlock(&file->lock);
	return false;
}

const char *read_piece_text(const struct read_piece *piece, char *out, size_t size)
{
	if (piece->status == STATUS_CHANGED && piece->code == 0)
		return piece->change != NULL ? piece->change : "";
	return stage_text(piece->code, out, size);
}

int read_file_tally(struct read_file *file, struct tally **out)
{
	int code = 0;

	pthread_mutex_lock(&file->lock);
	if (file->tally == NULL)
		code = tally_create(&file->tally, file->suite, (uint64_t)file->st.st_size);
	if (code == 0)
		*out = file->tally;
	pthread_mutex_unlock(&file->lock);
	return code;
}
