/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash stage of keep jobs: all digests in as few calls as possible; what is right is counted. */
#include "base/crc32c.h"
#include "pipeline/batch.h"
#include "pipeline/keep.h"
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

/* Digests on their way to be compared. */
struct check {
	struct batch batch;
	uint32_t digest_size;
	struct {
		struct keep_job *job;
		struct keep_piece *piece;
		uint64_t i;
	} of[BATCH_MAX];
	uint8_t digests[BATCH_MAX][FRAME_DIGEST_MAX];
};

static const uint8_t *chunk_bytes(const struct keep_job *job, const struct keep_piece *piece, uint64_t i)
{
	return job->buffer->data + piece->at + i * job->job.suite->limits.chunk_size;
}

/* The chunk is right: it counts, unless it was there already. */
static void chunk_right(struct keep_job *job, struct keep_piece *piece, uint64_t i, const uint8_t *digest)
{
	struct write_file *file = piece->file;
	uint64_t index = piece->first + i;

	/* One that cannot wait for those before it is asked for again, which is not worth an error. */
	if (tally_add(file->tally, index, digest) < 0)
		return;
	piece->kept |= UINT64_C(1) << i;
	/* What was claimed of a partial file is in the journal. */
	if (write_notes(file) && (piece->digests != NULL || file->old != NULL)) {
		uint32_t crc = crc32c(0, chunk_bytes(job, piece, i), write_file_chunk_len(file, index));

		write_note_kept(file, index, crc, digest);
		job->noted = true;
	}
}

static void check_run(struct check *check)
{
	size_t count = check->batch.count;
	int code = batch_run(&check->batch);

	for (size_t n = 0; n < count; n++) {
		struct keep_piece *piece = check->of[n].piece;
		uint64_t i = check->of[n].i;
		uint32_t size = check->digest_size;

		if (code < 0)
			piece->code = code;
		if (piece->code < 0)
			continue;
		if ((piece->proved >> i & 1) || stage_digest_equal(check->digests[n], piece->expect + i * size, size))
			chunk_right(check->of[n].job, piece, i, check->digests[n]);
	}
}

static void check_add(struct check *check, struct keep_job *job, struct keep_piece *piece, uint64_t i)
{
	size_t n = check->batch.count;

	check->of[n].job = job;
	check->of[n].piece = piece;
	check->of[n].i = i;
	batch_add(&check->batch, chunk_bytes(job, piece, i), write_file_chunk_len(piece->file, piece->first + i),
	          check->digests[n]);
	if (n + 1 == BATCH_MAX)
		check_run(check);
}

static void piece_check(struct check *check, struct keep_job *job, struct keep_piece *piece)
{
	if (piece->code < 0)
		return;
	if (piece->zeroes) {
		if (piece->proved && tally_add_zeroes(piece->file->tally, piece->first, piece->count) == 0) {
			piece->kept = 1;
			write_note_hole(piece->file, piece->first, piece->count);
		}
		return;
	}
	for (uint64_t i = 0; i < piece->count; i++) {
		if (((piece->proved | piece->by_digest) >> i & 1) == 0)
			continue;
		if (check->digest_size > 0)
			check_add(check, job, piece, i);
		else
			chunk_right(job, piece, i, NULL);
	}
}

uint64_t keep_job_buffers(const struct keep_job *job)
{
	uint64_t buffers = 0;

	for (size_t i = 0; i < job->count; i++)
		buffers += job->pieces[i].zeroes ? 0 : job->pieces[i].count;
	return buffers;
}

uint64_t keep_stage_hash(struct job *const *jobs, size_t count)
{
	struct check check;

	batch_init(&check.batch, jobs[0]->suite);
	check.digest_size = jobs[0]->suite->limits.digest_size;
	for (size_t i = 0; i < count; i++) {
		struct keep_job *job = (struct keep_job *)jobs[i];

		for (size_t k = 0; k < job->count; k++)
			piece_check(&check, job, &job->pieces[k]);
	}
	check_run(&check);
	/* Most have nothing new for the journal. */
	for (size_t i = 0; i < count; i++)
		if (!((struct keep_job *)jobs[i])->noted)
			jobs[i]->step++;
	return check.batch.bytes;
}
