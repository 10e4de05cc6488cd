/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The storage stage of write jobs: chunks that stand one behind the other in a file are written in one call; then the
 * journal is written; then what is complete is published together.
 */
#include "base/crc32c.h"
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

#include <errno.h>

enum {
	RUN_MAX = 64,      /* chunks in one write */
	ASIDE = 64 * 1024, /* bytes that are read back at a time, on the stack */
	PART = 256 * 1024  /* bytes of one write, where their CRC is made just before: both find them in the cache */
};

static uint64_t chunk_offset(const struct write_piece *piece)
{
	return piece->chunk.index * piece->file->suite->limits.chunk_size;
}

/* How many pieces from this one on can be written in one call. */
static size_t run_length(const struct write_piece *pieces, size_t count)
{
	size_t run = 1;

	if (pieces[0].pipes != NULL)
		return 1;
	while (run < count && run < RUN_MAX && pieces[run].op == WRITE_CHUNK && pieces[run].code == 0 &&
	       pieces[run].pipes == NULL && pieces[run].file == pieces[0].file &&
	       (pieces[run].chunk.flags & FRAME_CHUNK_SPARSE) == 0 &&
	       pieces[run].chunk.index == pieces[0].chunk.index + run)
		run++;
	return run;
}

/* What is to be written with one call. */
struct part {
	struct iovec iov[RUN_MAX];
	int count;
	uint64_t bytes;
	uint64_t offset; /* of the first of them */
};

static int part_write(struct part *part, int fd)
{
	int code = part->count > 0 ? store_writev(fd, part->iov, part->count, part->offset) : 0;

	part->offset += part->bytes;
	part->bytes = 0;
	part->count = 0;
	return code;
}

/* Adds a chunk to what is to be written, which is written whenever it is enough. */
static int part_add(struct part *part, struct write_piece *piece, int fd)
{
	union {
		const uint8_t *from;
		void *base; /* only read */
	} at = { .from = piece->chunk.payload };
	bool notes = write_notes(piece->file);
	uint64_t most = notes ? PART : UINT64_MAX;
	uint64_t left = piece->chunk.length;
	uint32_t crc = 0;
	int code = 0;

	while (left > 0 && code == 0) {
		uint64_t step = left < most - part->bytes ? left : most - part->bytes;

		if (notes)
			crc = crc32c(crc, at.from, step);
		part->iov[part->count++] = (struct iovec){ .iov_base = at.base, .iov_len = step };
		part->bytes += step;
		at.from += step;
		left -= step;
		if (part->bytes == most || part->count == RUN_MAX)
			code = part_write(part, fd);
	}
	piece->crc = crc;
	return code;
}

/* Writes pieces that stand one behind the other in a file. */
static int write_run(struct write_piece *pieces, size_t count, int fd, uint64_t *bytes)
{
	struct part part = { .offset = chunk_offset(&pieces[0]) };
	int code = 0;

	for (size_t i = 0; i < count && code == 0; i++) {
		code = part_add(&part, &pieces[i], fd);
		*bytes += pieces[i].chunk.length;
	}
	return code == 0 ? part_write(&part, fd) : code;
}

/* Goes on with the CRC of what was just written, and is still in the cache. */
static int crc_back(int fd, uint64_t offset, uint64_t len, uint32_t *crc)
{
	uint8_t aside[ASIDE];

	while (len > 0) {
		size_t step = len < sizeof(aside) ? (size_t)len : sizeof(aside);
		ssize_t got = store_read(fd, aside, step, offset);

		if (got < (ssize_t)step)
			return got < 0 ? (int)got : -EIO;
		*crc = crc32c(*crc, aside, step);
		offset += step;
		len -= step;
	}
	return 0;
}

/* Writes a chunk of which only the first bytes, if any, lie in memory. */
static int write_piped(struct write_piece *piece, int fd)
{
	uint64_t offset = chunk_offset(piece);
	uint64_t left = pipes_bytes(piece->pipes);
	bool notes = write_notes(piece->file);
	struct pipe_lent *at = piece->pipes;
	union {
		const uint8_t *from;
		void *base; /* only read */
	} lead = { .from = piece->chunk.payload };
	struct iovec iov = { .iov_base = lead.base, .iov_len = piece->chunk.length - left };
	uint32_t crc = notes ? crc32c(0, lead.from, iov.iov_len) : 0;
	uint64_t step = iov.iov_len;
	int code = store_writev(fd, &iov, 1, offset);

	for (offset += step; code == 0 && left > 0; offset += step, left -= step) {
		step = notes && left > PART ? PART : left;
		code = pipes_write(&at, fd, offset, step);
		if (code == 0 && notes)
			code = crc_back(fd, offset, step, &crc);
	}
	piece->crc = crc;
	return code;
}

/* Writes a chunk with holes in it. What an earlier run may have left there goes first. */
static int write_sparse(struct write_piece *piece, int fd)
{
	uint64_t offset = chunk_offset(piece);

	if (write_notes(piece->file))
		piece->crc = crc32c(0, piece->chunk.payload, piece->chunk.length);
	int code = piece->file->stale ? store_zero(fd, offset, piece->chunk.length) : 0;

	return code < 0 ? code : store_write_sparse(fd, piece->chunk.payload, piece->chunk.length, offset);
}

/* Writes as many pieces as go together, at least one, and says how many. */
static size_t write_chunks(struct write_piece *pieces, size_t count, struct store_parent *near, uint64_t *bytes)
{
	struct write_piece *first = &pieces[0];
	struct write_file *file = first->file;
	size_t run = 1;
	uint64_t written = 0, end = 0;
	int fd;
	int code = write_file_open(file, near, &fd);

	if (code == 0 && (first->chunk.flags & FRAME_CHUNK_SPARSE) != 0) {
		written = first->chunk.length;
		code = write_sparse(first, fd);
		/* Zeroes at its end were not written: the file may end before them, so nothing was reached for sure. */
	} else if (code == 0) {
		run = run_length(pieces, count);
		code = first->pipes != NULL ? write_piped(first, fd) : write_run(pieces, run, fd, &written);
		if (first->pipes != NULL)
			written = first->chunk.length;
		end = chunk_offset(first) + written;
	}
	if (code < 0) {
		code = write_file_error(file, code);
	} else {
		*bytes += written;
		write_note_chunks(file, pieces, run);
		write_file_wrote(file, written, end);
	}
	for (size_t i = 0; i < run; i++)
		pieces[i].code = code;
	return run;
}

/* Nothing to do where nothing was ever written. */
static int write_hole(const struct write_piece *piece, struct store_parent *near)
{
	struct write_file *file = piece->file;
	uint64_t chunk = file->suite->limits.chunk_size;
	int fd;

	if (file->reuse == WRITE_STANDS)
		return -EROFS;
	write_note_hole(file, piece->first, piece->count);
	if (file->reuse != WRITE_RESUME)
		return 0;
	int code = write_file_open(file, near, &fd);
	if (code == 0 && file->stale) {
		code = store_zero(fd, piece->first * chunk, piece->count * chunk);
		if (code < 0)
			code = write_file_error(file, code);
	}
	return code;
}

static int write_copy(const struct write_piece *piece, struct store_parent *near, uint64_t *bytes)
{
	struct write_file *file = piece->file;
	uint64_t chunk = file->suite->limits.chunk_size;
	uint64_t offset = piece->first * chunk;
	uint64_t len = piece->count * chunk;
	int from, fd;

	if (file->reuse != WRITE_OLD)
		return -EINVAL;
	if (piece->count == 0)
		return 0;
	if (len > file->size - offset)
		len = file->size - offset;
	int code = write_file_open(file, near, &fd);
	if (code < 0)
		return code;
	code = write_file_old(file, near, &from);
	if (code == 0)
		code = store_copy(from, fd, offset, len);
	if (code < 0)
		return write_file_error(file, code == -ENODATA ? -ESTALE : code);
	*bytes += len;
	pthread_mutex_lock(&file->lock);
	file->copied = true;
	pthread_mutex_unlock(&file->lock);
	write_note_copied(file, piece->first, piece->count);
	write_file_wrote(file, len, 0);
	return 0;
}

/* Somebody else does this transfer, and was quicker: what is there, or comes, is his. */
static void job_refuse(struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		struct write_piece *piece = &job->pieces[i];

		if (piece->code == 0 && piece->op != WRITE_CLOSE && piece->op != WRITE_ABANDON)
			piece->code = write_file_error(piece->file, -EBUSY);
	}
}

/* Files that are about to be created go into the journal before. */
static void job_begin(struct write_job *job, struct journal **journal)
{
	bool flush = false;

	for (size_t i = 0; i < job->count; i++) {
		const struct write_piece *piece = &job->pieces[i];

		if (piece->code < 0)
			continue;
		if (piece->file->journal != NULL)
			*journal = piece->file->journal;
		if (piece->op == WRITE_CHUNK || piece->op == WRITE_COPY || piece->op == WRITE_PUBLISH)
			flush = write_note_begin(piece->file) || flush;
	}
	if (flush)
		job->journal_code = journal_flush(*journal);
	if (job->journal_code == -EBUSY)
		job_refuse(job);
}

uint64_t write_stage_storage(struct write_job *job)
{
	struct journal *journal = NULL; /* that of all files: a job belongs to one transfer */
	struct store_parent near;
	uint64_t bytes = 0;
	size_t step;

	store_parent_init(&near);
	job->journal_code = 0;
	job_begin(job, &journal);
	for (size_t i = 0; i < job->count; i += step) {
		struct write_piece *piece = &job->pieces[i];

		step = 1;
		if (piece->code < 0)
			continue;
		switch (piece->op) {
		case WRITE_CHUNK: step = write_chunks(piece, job->count - i, &near, &bytes); break;
		case WRITE_HOLE: piece->code = write_hole(piece, &near); break;
		case WRITE_COPY: piece->code = write_copy(piece, &near, &bytes); break;
		case WRITE_PUBLISH: piece->code = write_ready(piece->file, &near, &piece->meta); break;
		case WRITE_SETTLE: piece->code = write_settle(piece->file, &near, &job->job, &piece->meta); break;
		case WRITE_CLOSE: write_file_close(piece->file); break;
		case WRITE_ABANDON: piece->code = write_file_abandon(piece->file, &near); break;
		}
	}
	write_publish(job, &near);
	store_parent_drop(&near);
	if (journal != NULL) {
		int code = journal_flush(journal);
		if (job->journal_code == 0)
			job->journal_code = code;
	}
	return bytes;
}

bool write_stage_due(const struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		if (write_file_due(job->pieces[i].file))
			return true;
	return false;
}

struct job *write_stage_sync(struct write_job *job)
{
	struct job *waiting = NULL;

	for (size_t i = 0; i < job->count; i++) {
		struct write_piece *piece = &job->pieces[i];
		int code = write_file_sync_due(piece->file, &job->job, &waiting);

		/* The file is lost; who wrote to it hears of it. */
		for (size_t k = 0; code < 0 && k < job->count; k++)
			if (job->pieces[k].file == piece->file && job->pieces[k].code == 0)
				job->pieces[k].code = code;
	}
	return waiting;
}
