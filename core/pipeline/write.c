/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two stages of write jobs. Hash: nothing that has a wrong digest gets any further. Storage: chunks that stand one
 * behind the other in a file are written in one call.
 */
#include "base/checked.h"
#include "pipeline/batch.h"
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

#include <errno.h>

/* ---- hash ---- */

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
	return 0;
}

/* Holes are full chunks inside the file. */
static bool hole_fits(const struct write_piece *piece)
{
	uint64_t end, bytes;

	return !checked_add_u64(piece->first, piece->count, &end) &&
	       !checked_mul_u64(end, piece->file->suite->limits.chunk_size, &bytes) && bytes <= piece->file->size;
}

static void tally_piece(struct write_piece *piece)
{
	struct write_file *file = piece->file;
	int before = atomic_load(&file->code);

	if (piece->code < 0)
		return;
	if (before < 0 && piece->op != WRITE_ABANDON) {
		piece->code = before;
		return;
	}
	switch (piece->op) {
	case WRITE_CHUNK: piece->code = tally_add(file->tally, piece->chunk.index, piece->chunk.digest); break;
	case WRITE_HOLE:
		piece->code = hole_fits(piece) ? tally_add_zeroes(file->tally, piece->first, piece->count) : -ERANGE;
		break;
	case WRITE_COPY:
	case WRITE_SETTLE: piece->code = -EOPNOTSUPP; break;
	case WRITE_PUBLISH: piece->code = publish_check(piece); break;
	case WRITE_CLOSE:
	case WRITE_ABANDON: break;
	}
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

/* ---- storage ---- */

enum { RUN_MAX = 64 }; /* chunks in one write */

static uint64_t chunk_offset(const struct write_piece *piece)
{
	return piece->chunk.index * piece->file->suite->limits.chunk_size;
}

/* How many pieces from this one on can be written in one call. */
static size_t run_length(const struct write_piece *pieces, size_t count)
{
	size_t run = 1;

	while (run < count && run < RUN_MAX && pieces[run].op == WRITE_CHUNK && pieces[run].code == 0 &&
	       pieces[run].file == pieces[0].file && (pieces[run].chunk.flags & FRAME_CHUNK_SPARSE) == 0 &&
	       pieces[run].chunk.index == pieces[0].chunk.index + run)
		run++;
	return run;
}

/* Writes pieces that stand one behind the other in a file. */
static int write_run(struct write_piece *pieces, size_t count, int fd, uint64_t *bytes)
{
	struct iovec iov[RUN_MAX];

	for (size_t i = 0; i < count; i++) {
		union {
			const void *from;
			void *base; /* only read */
		} payload = { .from = pieces[i].chunk.payload };

		iov[i] = (struct iovec){ .iov_base = payload.base, .iov_len = pieces[i].chunk.length };
		*bytes += iov[i].iov_len;
	}
	return store_writev(fd, iov, (int)count, chunk_offset(&pieces[0]));
}

/* Writes as many pieces as go together, at least one, and says how many. */
static size_t write_chunks(struct write_piece *pieces, size_t count, struct store_parent *near, uint64_t *bytes)
{
	struct write_piece *first = &pieces[0];
	struct write_file *file = first->file;
	size_t run = 1;
	uint64_t written = 0;
	int fd;
	int code = write_file_open(file, near, &fd);

	if (code == 0 && (first->chunk.flags & FRAME_CHUNK_SPARSE) != 0) {
		written = first->chunk.length;
		code = store_write_sparse(fd, first->chunk.payload, first->chunk.length, chunk_offset(first));
		/* Zeroes at its end were not written: the file may end before them, so nothing was reached for sure. */
	} else if (code == 0) {
		run = run_length(pieces, count);
		code = write_run(pieces, run, fd, &written);
		if (code == 0)
			write_file_reached(file, chunk_offset(first) + written);
	}
	if (code < 0)
		code = write_file_error(file, code);
	else
		*bytes += written;
	for (size_t i = 0; i < run; i++)
		pieces[i].code = code;
	return run;
}

uint64_t write_stage_storage(struct write_job *job)
{
	struct store_parent near;
	uint64_t bytes = 0;
	size_t step;

	store_parent_init(&near);
	for (size_t i = 0; i < job->count; i += step) {
		struct write_piece *piece = &job->pieces[i];

		step = 1;
		if (piece->code < 0)
			continue;
		switch (piece->op) {
		case WRITE_CHUNK: step = write_chunks(piece, job->count - i, &near, &bytes); break;
		case WRITE_HOLE:
		case WRITE_COPY:
		case WRITE_SETTLE:
		case WRITE_CLOSE: break;
		case WRITE_PUBLISH:
			piece->code = write_file_publish(piece->file, &near, &job->job, &piece->meta);
			break;
		case WRITE_ABANDON: piece->code = write_file_abandon(piece->file, &near); break;
		}
	}
	store_parent_drop(&near);
	return bytes;
}
