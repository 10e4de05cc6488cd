/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves a file through read jobs, over frames as a peer would see them, into write jobs. */
#ifndef XFER_TESTS_PIPE_COPY_H
#define XFER_TESTS_PIPE_COPY_H

#include "pipe-rig.h"

enum { COPY_REQUEST = 77, COPY_JOBS_MAX = 1024 };

/* What came out of a file's read jobs, read back from their frames. */
struct copy_end {
	unsigned ends;      /* ENDS items of COPY_REQUEST */
	enum status status; /* of the last */
	struct end end;     /* digest and text point into the job's buffer */
};

struct copy {
	struct rig *rig;
	struct read_file *from;
	struct read_job *jobs[COPY_JOBS_MAX]; /* in the order of submission */
	size_t count;
	uint64_t total;                 /* chunks */
	uint64_t chunks, holes, sparse; /* chunk frames, chunks in HOLE frames, chunk frames flagged sparse */
	struct copy_end end;
	struct write_job *write; /* being filled */
	struct write_file *to;
};

static MAYBE void copy_begin(struct copy *copy, struct rig *rig, const char *from, uint64_t size)
{
	uint32_t chunk_size = rig->suite.limits.chunk_size;
	*copy = (struct copy){ .rig = rig, .total = (size + chunk_size - 1) / chunk_size };
	assert_int_equal(read_file_create(&copy->from, rig->scratch->root, from, size, &rig->suite), 0);
}

/* A job of one piece; not yet submitted. */
static MAYBE struct read_job *copy_job(struct copy *copy, uint64_t first, uint64_t count, bool end)
{
	struct rig *rig = copy->rig;
	struct read_job *job = calloc(1, sizeof(*job));
	assert_non_null(job);
	assert_true(copy->count < COPY_JOBS_MAX);
	job->job.kind = JOB_READ;
	job->job.suite = &rig->suite;
	job->buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite));
	assert_non_null(job->buffer);
	job->payload_max = read_job_payload(&rig->suite);
	job->count = 1;
	job->pieces[0] = (struct read_piece){
		.file = copy->from,
		.request = COPY_REQUEST,
		.first = first,
		.count = count,
		.end = end,
	};
	copy->jobs[copy->count++] = job;
	return job;
}

static MAYBE void copy_drop(struct copy *copy)
{
	for (size_t i = 0; i < copy->count; i++) {
		lent_unref(copy->jobs[i]->buffer);
		free(copy->jobs[i]);
	}
	read_file_destroy(copy->from);
	copy->count = 0;
	copy->from = NULL;
}

static MAYBE void copy_write_flush(struct copy *copy)
{
	if (!copy->write || copy->write->count == 0)
		return;
	size_t count = copy->write->count;
	rig_run(copy->rig, &copy->write->job, JOB_WRITE);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(copy->write->pieces[i].code, 0);
	copy->write->count = 0;
}

static MAYBE struct write_piece *copy_write_piece(struct copy *copy, enum write_op op)
{
	if (!copy->write)
		copy->write = calloc(1, sizeof(*copy->write));
	assert_non_null(copy->write);
	if (copy->write->count == WRITE_PIECES_MAX)
		copy_write_flush(copy);
	struct write_piece *piece = &copy->write->pieces[copy->write->count++];
	*piece = (struct write_piece){ .file = copy->to, .op = op };
	return piece;
}

/* Reads the ENDS frame of a job, whose run must have the right digest. */
static MAYBE void copy_ends(struct copy *copy, const uint8_t *body, size_t len)
{
	uint32_t digest_size = copy->rig->suite.limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];
	size_t run, at = 0;
	assert_int_equal(message_run_read(len, digest_size, &run, NULL), 0);
	if (digest_size > 0) {
		rig_digest(&copy->rig->integrity, body, run, digest, 0);
		assert_memory_equal(digest, body + run, digest_size);
	}
	while (at < run) {
		assert_int_equal(message_end_read(body, run, &at, digest_size, &copy->end.end, NULL), 0);
		if (copy->end.end.request != COPY_REQUEST)
			continue;
		copy->end.ends++;
		copy->end.status = copy->end.end.status;
	}
}

/* Reads all frames of a job; with copy->to what they carry goes into write pieces. */
static MAYBE void copy_frames(struct copy *copy, const struct read_job *job)
{
	const struct frame_limits *limits = &copy->rig->suite.limits;
	const uint8_t *at = job->buffer->data + job->out_offset;
	const uint8_t *stop = at + job->out_len;
	while (at < stop) {
		struct frame_header header;
		assert_int_equal(frame_header_read(at, limits, &header, NULL), 0);
		assert_true(header.length + (size_t)FRAME_HEADER <= (size_t)(stop - at));
		if (header.type == FRAME_CHUNK) {
			struct frame_chunk chunk;
			assert_int_equal(frame_chunk_read(at, limits, &chunk, NULL), 0);
			copy->chunks++;
			copy->sparse += (chunk.flags & FRAME_CHUNK_SPARSE) != 0;
			if (copy->to)
				copy_write_piece(copy, WRITE_CHUNK)->chunk = chunk;
		} else {
			assert_int_equal(frame_control_check(at, at + FRAME_HEADER, header.length, NULL), 0);
		}
		if (header.type == FRAME_HOLE) {
			uint64_t first, count;
			assert_int_equal(message_hole_read(at + FRAME_HEADER, header.length, &first, &count, NULL), 0);
			copy->holes += count;
			if (copy->to) {
				struct write_piece *piece = copy_write_piece(copy, WRITE_HOLE);
				piece->first = first;
				piece->count = count;
			}
		} else if (header.type == FRAME_ENDS) {
			copy_ends(copy, at + FRAME_HEADER, header.length);
		}
		at += FRAME_HEADER + header.length;
	}
	assert_ptr_equal(at, stop);
}

/* Reads a whole file by jobs of `per_job` chunks, all of them under way at once, and then its end. */
static MAYBE void copy_read(struct copy *copy, uint64_t per_job)
{
	size_t from = copy->count;
	for (uint64_t first = 0; first < copy->total; first += per_job)
		copy_job(copy, first, per_job, false);
	for (size_t i = from; i < copy->count; i++)
		pipeline_submit(copy->rig->pipeline, &copy->jobs[i]->job);
	rig_wait(copy->rig, copy->count - from);
	struct read_job *last = copy_job(copy, copy->total, 0, true);
	last->pieces[0].chunks_before = copy->total;
	rig_run(copy->rig, &last->job, JOB_READ);
}

/* Writes what was read to `name`, by way of `partial`, and publishes it. */
static MAYBE void copy_write(struct copy *copy, const char *partial, const char *name, uint64_t size)
{
	struct write_place place = {
		.root = copy->rig->scratch->root,
		.path = partial,
		.final = name,
		.sync = true,
	};
	assert_int_equal(write_file_create(&copy->to, &place, &copy->rig->suite, size), 0);
	for (size_t i = 0; i < copy->count; i++)
		copy_frames(copy, copy->jobs[i]);
	struct write_piece *piece = copy_write_piece(copy, WRITE_PUBLISH);
	piece->size = size;
	piece->chunks = copy->total;
	piece->meta.mode = copy->end.end.mode;
	piece->meta.mtime = (struct timespec){ .tv_sec = copy->end.end.mtime, .tv_nsec = (long)copy->end.end.mtime_ns };
	piece->digest = copy->end.end.digest;
	copy_write_flush(copy);
	write_file_destroy(copy->to);
	free(copy->write);
	copy->to = NULL;
	copy->write = NULL;
}

#endif
