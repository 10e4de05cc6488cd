/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash stage of write jobs: nothing that has a wrong digest gets any further. */
#include "base/checked.h"
#include "pipeline/batch.h"
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

#include <errno.h>
#include <string.h>

/* Digests of chunks on their way to be compared. */
struct check {
	struct batch batch;
	struct write_piece *pieces[BATCH_MAX];
	uint8_t digests[BATCH_MAX][FRAME_DIGEST_MAX];
};

static void check_run(struct check *check, uint32_t digest_size)
{
	size_t count = check->batch.count;
	int code = batch_run(&check->batch);

	for (size_t i = 0; i < count; i++) {
		struct write_piece *piece = check->pieces[i];

		if (code < 0)
			piece->code = code;
		else if (!stage_digest_equal(check->digests[i], piece->chunk.digest, digest_size))
			piece->code = -EBADMSG;
	}
}

/* The chunk lies in the file, and is as long as it has to be there. */
static bool chunk_fits(const struct write_piece *piece)
{
	const struct write_file *file = piece->file;
	uint64_t chunk_size = file->suite->limits.chunk_size;
	uint64_t offset;

	if (checked_mul_u64(piece->chunk.index, chunk_size, &offset) || offset >= file->size)
		return false;
	return piece->chunk.length == (chunk_size < file->size - offset ? chunk_size : file->size - offset);
}

static void check_jobs(struct check *check, struct job *const *jobs, size_t count)
{
	uint32_t digest_size = jobs[0]->suite->limits.digest_size;

	batch_init(&check->batch, jobs[0]->suite);
	for (size_t i = 0; i < count; i++) {
		struct write_job *job = (struct write_job *)jobs[i];

		for (size_t k = 0; k < job->count; k++) {
			struct write_piece *piece = &job->pieces[k];

			piece->code = 0;
			if (piece->op != WRITE_CHUNK)
				continue;
			if (!chunk_fits(piece)) {
				piece->code = -ERANGE;
				continue;
			}
			if (digest_size == 0)
				continue;
			if (check->batch.count == BATCH_MAX)
				check_run(check, digest_size);
			check->pieces[check->batch.count] = piece;
			batch_add(&check->batch, piece->chunk.payload, piece->chunk.length,
			          check->digests[check->batch.count]);
		}
	}
	check_run(check, digest_size);
}

static int publish_check(struct write_piece *piece)
{
	struct write_file *file = piece->file;
	uint8_t digest[FRAME_DIGEST_MAX];

	if (piece->size != file->size)
		return -ERANGE;
	int code = tally_finish(file->tally, piece->chunks, digest);
	if (code < 0)
		return code;
	uint32_t digest_size = file->suite->limits.digest_size;
	if (digest_size > 0 && piece->digest != NULL && !stage_digest_equal(digest, piece->digest, digest_size))
		return -EBADMSG;
	if (digest_size > 0 && piece->made != NULL)
		memcpy(piece->made, digest, digest_size);
	return 0;
}

/* Holes are full chunks inside the file. */
static bool hole_fits(const struct write_piece *piece)
{
	uint64_t end, bytes;

	return !checked_add_u64(piece->first, piece->count, &end) &&
	       !checked_mul_u64(end, piece->file->suite->limits.chunk_size, &bytes) && bytes <= piece->file->size;
}

/* Chunks of the file, the last one included. */
static bool copy_fits(const struct write_piece *piece)
{
	uint64_t end;

	return !checked_add_u64(piece->first, piece->count, &end) && end <= write_file_chunks(piece->file);
}

static void tally_piece(struct write_piece *piece)
{
	struct write_file *file = piece->file;
	int before = atomic_load(&file->code);

	if (piece->code < 0)
		return;
	if (before < 0 && piece->op != WRITE_CLOSE && piece->op != WRITE_ABANDON) {
		piece->code = before;
		return;
	}
	switch (piece->op) {
	case WRITE_CHUNK: piece->code = tally_add(file->tally, piece->chunk.index, piece->chunk.digest); break;
	case WRITE_HOLE:
		piece->code = hole_fits(piece) ? tally_add_zeroes(file->tally, piece->first, piece->count) : -ERANGE;
		break;
	case WRITE_COPY: piece->code = copy_fits(piece) ? 0 : -ERANGE; break;
	case WRITE_PUBLISH:
	case WRITE_SETTLE: piece->code = publish_check(piece); break;
	case WRITE_CLOSE:
	case WRITE_ABANDON: break;
	}
}

uint64_t write_job_buffers(const struct write_job *job)
{
	uint64_t buffers = 0;

	for (size_t i = 0; i < job->count; i++)
		buffers += job->pieces[i].op == WRITE_CHUNK;
	return buffers;
}

uint64_t write_stage_hash(struct job *const *jobs, size_t count)
{
	struct check check;

	check_jobs(&check, jobs, count);
	for (size_t i = 0; i < count; i++) {
		struct write_job *job = (struct write_job *)jobs[i];

		for (size_t k = 0; k < job->count; k++)
			tally_piece(&job->pieces[k]);
	}
	return check.batch.bytes;
}
