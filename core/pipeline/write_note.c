/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a file goes into the journal. The journal is a hint: what cannot be noted is fetched once more, if it ever comes
 * to that, so no error of noting is told; those of writing the journal are (write_job.journal_code).
 */
#include "base/crc32c.h"
#include "pipeline/write_file.h"

#include <stdlib.h>
#include <string.h>

/* The file's number, given when it is first asked for. With the lock held. */
static bool number_locked(struct write_file *file)
{
	return file->number != 0 || journal_add_file(file->journal, &file->identity, &file->number) == 0;
}

bool write_note_begin(struct write_file *file)
{
	bool noted = false;

	if (file->journal == NULL || file->final == NULL || file->reuse == WRITE_STANDS)
		return false;
	pthread_mutex_lock(&file->lock);
	if (!file->over && file->number == 0)
		noted = number_locked(file);
	pthread_mutex_unlock(&file->lock);
	return noted;
}

static void note(struct write_file *file, const struct journal_chunk *chunks, size_t count)
{
	pthread_mutex_lock(&file->lock);
	bool known = number_locked(file);
	uint32_t number = file->number;
	pthread_mutex_unlock(&file->lock);
	if (known)
		(void)journal_add_chunks(file->journal, number, chunks, count);
}

static struct journal_chunk chunk_of(const struct write_file *file, uint64_t index, uint32_t crc, const uint8_t *digest)
{
	return (struct journal_chunk){
		.offset = index * file->suite->limits.chunk_size,
		.length = write_file_chunk_len(file, index),
		.crc = crc,
		.digest = digest,
	};
}

static void note_only(struct write_file *file, uint32_t crc, const uint8_t *digest)
{
	pthread_mutex_lock(&file->lock);
	file->only_known = true;
	file->only_crc = crc;
	if (file->suite->limits.digest_size > 0)
		memcpy(file->only_digest, digest, file->suite->limits.digest_size);
	pthread_mutex_unlock(&file->lock);
}

void write_note_chunks(struct write_file *file, const struct write_piece *pieces, size_t count)
{
	enum { TOGETHER = 64 };
	struct journal_chunk chunks[TOGETHER];
	size_t filled = 0;

	if (file->journal == NULL)
		return;
	if (write_file_chunks(file) == 1) {
		note_only(file, pieces[0].crc, pieces[0].chunk.digest);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		chunks[filled++] = chunk_of(file, pieces[i].chunk.index, pieces[i].crc, pieces[i].chunk.digest);
		if (filled == TOGETHER || i + 1 == count) {
			note(file, chunks, filled);
			filled = 0;
		}
	}
}

static size_t kept_size(const struct write_file *file)
{
	return sizeof(uint32_t) + file->suite->limits.digest_size;
}

static void remember(struct write_file *file, uint64_t index, uint32_t crc, const uint8_t *digest)
{
	uint64_t chunks = write_file_chunks(file);

	if (index >= WRITE_KEPT_MAX)
		return;
	pthread_mutex_lock(&file->lock);
	if (file->kept == NULL)
		file->kept = calloc(chunks < WRITE_KEPT_MAX ? chunks : WRITE_KEPT_MAX, kept_size(file));
	if (file->kept != NULL) {
		uint8_t *at = file->kept + index * kept_size(file);

		memcpy(at, &crc, sizeof(crc));
		if (file->suite->limits.digest_size > 0)
			memcpy(at + sizeof(crc), digest, file->suite->limits.digest_size);
	}
	pthread_mutex_unlock(&file->lock);
}

void write_note_kept(struct write_file *file, uint64_t index, uint32_t crc, const uint8_t *digest)
{
	struct journal_chunk chunk = chunk_of(file, index, crc, digest);

	if (file->journal == NULL || file->reuse == WRITE_STANDS)
		return;
	if (write_file_chunks(file) == 1)
		note_only(file, crc, digest);
	else if (file->old != NULL)
		remember(file, index, crc, digest);
	else
		note(file, &chunk, 1);
}

void write_note_copied(struct write_file *file, uint64_t first, uint64_t count)
{
	if (file->journal == NULL || write_file_chunks(file) == 1)
		return;
	pthread_mutex_lock(&file->lock);
	const uint8_t *kept = file->kept; /* stays there, and of these chunks nobody writes to it any more */
	pthread_mutex_unlock(&file->lock);
	for (uint64_t i = first; kept != NULL && i < first + count && i < WRITE_KEPT_MAX; i++) {
		const uint8_t *at = kept + i * kept_size(file);
		uint32_t crc;

		memcpy(&crc, at, sizeof(crc));
		struct journal_chunk chunk = chunk_of(file, i, crc, at + sizeof(crc));
		note(file, &chunk, 1);
	}
}

/*
 * Holes are not noted while the file grows: the source tells of them for next to nothing, and to look whether they are
 * there takes longer. Under its final name a file counts only when all of it is claimed.
 */
void write_note_hole(struct write_file *file, uint64_t first, uint64_t count)
{
	if (file->journal == NULL || file->final == NULL)
		return;
	pthread_mutex_lock(&file->lock);
	file->hole_count = count > UINT64_MAX - file->hole_count ? UINT64_MAX : file->hole_count + count;
	if (file->hole_count <= WRITE_HOLES_MAX)
		(void)ranges_add(&file->holes, first, count);
	pthread_mutex_unlock(&file->lock);
}

static uint32_t zeroes_crc(uint32_t len)
{
	static const uint8_t zeroes[4096];
	uint32_t crc = 0;

	for (uint32_t step; len > 0; len -= step) {
		step = len < sizeof(zeroes) ? len : sizeof(zeroes);
		crc = crc32c(crc, zeroes, step);
	}
	return crc;
}

static void note_holes(struct write_file *file)
{
	uint8_t digest[FRAME_DIGEST_MAX];

	if (file->holes.count == 0 || file->hole_count > WRITE_HOLES_MAX || tally_zero_digest(file->tally, digest) < 0)
		return;
	uint32_t crc = zeroes_crc(file->suite->limits.chunk_size);
	for (size_t i = 0; i < file->holes.count; i++)
		for (uint64_t index = file->holes.all[i].first; index < file->holes.all[i].end; index++) {
			struct journal_chunk chunk = chunk_of(file, index, crc, digest);

			note(file, &chunk, 1);
		}
}

void write_note_published(struct write_file *file)
{
	if (file->journal == NULL)
		return;
	note_holes(file);
	if (write_file_chunks(file) > 1)
		return;
	pthread_mutex_lock(&file->lock);
	bool known = number_locked(file);
	pthread_mutex_unlock(&file->lock);
	if (!known || !file->only_known)
		return;
	struct journal_chunk chunk = chunk_of(file, 0, file->only_crc, file->only_digest);
	(void)journal_add_chunks(file->journal, file->number, &chunk, 1);
}
