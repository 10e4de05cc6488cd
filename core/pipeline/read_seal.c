/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash stage of read jobs: digests of all their chunks in as few calls as possible, then headers, then the ENDS. */
#include "pipeline/batch.h"
#include "pipeline/read_file.h"
#include "pipeline/stage.h"
#include "wire/bytes.h"

#include <errno.h>
#include <string.h>

/* Goes through the frames of a job, which stand in the order of its pieces. */
struct frames {
	struct read_job *job;
	size_t overhead;
	size_t at;
	size_t piece;  /* whose frame it is */
	uint64_t left; /* chunks of that piece that come yet */
	/* The frame found. */
	uint8_t *frame;
	bool hole;
	uint64_t first, count; /* chunks in it */
	struct read_draft draft;
};

static void frames_begin(struct frames *frames, struct read_job *job)
{
	*frames = (struct frames){
		.job = job,
		.overhead = frame_chunk_overhead(&job->job.suite->limits),
		.at = job->out_offset,
		.left = job->count > 0 ? job->pieces[0].chunks : 0,
	};
}

static bool frames_next(struct frames *frames)
{
	struct read_job *job = frames->job;

	while (frames->piece < job->count && frames->left == 0) {
		frames->piece++;
		if (frames->piece < job->count)
			frames->left = job->pieces[frames->piece].chunks;
	}
	if (frames->piece >= job->count)
		return false;

	frames->frame = job->buffer->data + frames->at;
	memcpy(&frames->draft, frames->frame, sizeof(frames->draft));
	frames->hole = frames->draft.type == FRAME_HOLE;
	if (frames->hole) {
		/* Our own frame of a moment ago: it reads back. */
		(void)message_hole_read(frames->frame + FRAME_HEADER, READ_HOLE_FRAME - FRAME_HEADER, &frames->first,
		                        &frames->count, NULL);
		frames->at += READ_HOLE_FRAME;
	} else {
		frames->first = frames->draft.index;
		frames->count = 1;
		frames->at += frames->overhead + (job->piped ? 0 : frames->draft.length);
	}
	frames->left -= frames->count;
	return true;
}

/* Digests go to where they will be sent from. */
static int jobs_digest(struct job *const *jobs, size_t count, struct batch *batch)
{
	struct frames frames;
	int code = 0;

	for (size_t i = 0; i < count && code == 0; i++) {
		frames_begin(&frames, (struct read_job *)jobs[i]);
		while (code == 0 && frames_next(&frames)) {
			if (frames.hole || frames.draft.known)
				continue;
			if (batch->count == BATCH_MAX)
				code = batch_run(batch);
			batch_add(batch, frames.frame + frames.overhead, frames.draft.length,
			          frames.frame + FRAME_HEADER + FRAME_CHUNK_HEAD);
		}
	}
	return code == 0 ? batch_run(batch) : code;
}

/* From a full chunk's frame to the next. */
static size_t frame_stride(const struct read_job *job)
{
	const struct frame_limits *limits = &job->job.suite->limits;

	return frame_chunk_overhead(limits) + (job->piped ? 0 : limits->chunk_size);
}

/* Consecutive chunks of a piece on their way into the tally. */
struct run {
	struct read_piece *piece;
	uint64_t first, count;
	const uint8_t *digests;
	size_t stride;
};

static void run_add(struct run *run)
{
	struct tally *tally;

	if (run->count == 0)
		return;
	int code = read_file_tally(run->piece->file, &tally);
	if (code == 0)
		code = tally_add_run(tally, run->first, run->count, run->digests, run->stride);
	if (code < 0)
		read_file_fail(run->piece->file, run->piece, STATUS_FAILED, code);
	run->count = 0;
}

static void hole_add(struct read_piece *piece, uint64_t first, uint64_t count)
{
	struct tally *tally;
	int code = read_file_tally(piece->file, &tally);

	if (code == 0)
		code = tally_add_zeroes(tally, first, count);
	if (code < 0)
		read_file_fail(piece->file, piece, STATUS_FAILED, code);
}

/* A DIGEST_RUN frame in the making, where the frames stood whose digests it takes: it is never longer than they. */
struct digest_run {
	const struct read_piece *piece;
	uint8_t *frame;
	uint64_t first, count;
};

enum { RUN_HEAD = FRAME_HEADER + 8 };

/* Where the next frame goes. */
static uint8_t *digest_run_end(struct digest_run *run, uint32_t digest_size)
{
	size_t len = run->count * digest_size;
	uint8_t *at = run->frame;

	if (run->count > 0) {
		/* As message_digest_run_write() does it, but the digests are there already. */
		store_u64(run->frame + FRAME_HEADER, run->first);
		frame_control_seal(run->frame, FRAME_DIGEST_RUN, 0, run->piece->request, 8 + len);
		at += RUN_HEAD + len;
	}
	run->count = 0;
	run->frame = at;
	return at;
}

/* What goes out of a job whose chunks stay here: their digests in runs, and its holes. Its frames are drafts still. */
static void job_digests(struct read_job *job)
{
	uint32_t digest_size = job->job.suite->limits.digest_size;
	struct digest_run run = { .frame = job->buffer->data + job->out_offset };
	struct frames frames;

	frames_begin(&frames, job);
	while (frames_next(&frames)) {
		const struct read_piece *piece = &job->pieces[frames.piece];

		if (run.count > 0 && (frames.hole || run.piece != piece || run.first + run.count != frames.first ||
		                      run.count == MESSAGE_DIGEST_RUN_MAX))
			run.frame = digest_run_end(&run, digest_size);
		if (frames.hole) {
			memmove(run.frame, frames.frame, READ_HOLE_FRAME);
			run.frame += READ_HOLE_FRAME;
			continue;
		}
		if (run.count == 0) {
			run.piece = piece;
			run.first = frames.first;
		}
		memmove(run.frame + RUN_HEAD + run.count * digest_size, frames.frame + FRAME_HEADER + FRAME_CHUNK_HEAD,
		        digest_size);
		run.count++;
	}
	job->out_len = (size_t)(digest_run_end(&run, digest_size) - (job->buffer->data + job->out_offset));
}

/* Digests that were made just now are known from now on: `run` of them, of chunks that follow one another. */
static void run_note(struct run *run)
{
	const struct read_file *file = run->piece != NULL ? run->piece->file : NULL;

	if (run->count > 0)
		known_note(file->suite->known, &file->key, run->first, run->count, run->digests, run->stride);
	run->count = 0;
}

static void job_note(struct read_job *job)
{
	struct run run = { .stride = frame_stride(job) };
	struct frames frames;

	frames_begin(&frames, job);
	while (frames_next(&frames)) {
		struct read_piece *piece = &job->pieces[frames.piece];
		bool made = !frames.hole && !frames.draft.known && piece->file->keeps;

		if (!made || run.piece != piece)
			run_note(&run);
		if (made && run.count++ == 0)
			run = (struct run){ piece, frames.first, 1, frames.frame + FRAME_HEADER + FRAME_CHUNK_HEAD,
				            run.stride };
	}
	run_note(&run);
}

/* Makes the drafts of a job frames, unless only digests go out, and counts their digests. */
static void job_seal(struct read_job *job)
{
	const struct frame_limits *limits = &job->job.suite->limits;
	struct run run = { .stride = frame_stride(job) };
	struct frames frames;

	frames_begin(&frames, job);
	while (frames_next(&frames)) {
		struct read_piece *piece = &job->pieces[frames.piece];
		const uint8_t *digest = frames.frame + FRAME_HEADER + FRAME_CHUNK_HEAD;
		bool whole = !piece->part && limits->digest_size > 0;

		if (!frames.hole && !job->digests)
			frame_chunk_seal(frames.frame, limits, piece->request, frames.draft.flags, frames.first,
			                 frames.draft.length, digest);
		if (run.count > 0 && (frames.hole || run.piece != piece))
			run_add(&run);
		if (!whole)
			continue;
		if (frames.hole)
			hole_add(piece, frames.first, frames.count);
		else if (run.count++ == 0)
			run = (struct run){ piece, frames.first, 1, digest, run.stride };
	}
	run_add(&run);
}

/* Appends the item that ends the piece's request; `digest` is the file's, NULL where there is none. */
static void end_put(struct buf *body, const struct suite *suite, const struct read_piece *piece, const uint8_t *digest)
{
	const struct read_file *file = piece->file;
	char text[READ_END_TEXT_MAX + 1];
	struct end end = {
		.request = piece->request,
		.status = piece->status,
		.chunks = piece->chunks_before + piece->chunks,
		.digest = digest,
		.flags = digest != NULL ? END_DIGEST : 0,
		.text = read_piece_text(piece, text, sizeof(text)),
	};

	end.text_len = strlen(end.text);
	end.size = file->believed; /* of a file that could not be opened: no new size */
	if (file->known) {
		end.mode = file->st.st_mode & 07777;
		end.size = (uint64_t)file->st.st_size;
		end.mtime = file->st.st_mtim.tv_sec;
		end.mtime_ns = (uint32_t)file->st.st_mtim.tv_nsec;
		if (file->sparse)
			end.flags |= END_SPARSE;
	}
	/* There is room for it, and nothing in it that would be refused. */
	(void)message_end_write(body, suite->limits.digest_size, &end);
}

static void piece_end(struct buf *body, const struct suite *suite, struct read_piece *piece)
{
	const uint8_t *given = NULL;
	struct tally *tally;

	if (piece->status == STATUS_OK && !piece->part && suite->limits.digest_size > 0) {
		int code = read_file_tally(piece->file, &tally);

		if (code == 0)
			code = tally_finish(tally, piece->total, piece->digest);
		if (code < 0)
			read_file_fail(piece->file, piece, STATUS_FAILED, code);
		else
			given = piece->digest;
	}
	piece->has_digest = given != NULL;
	if (piece->ended)
		end_put(body, suite, piece, given);
}

/* Puts one ENDS frame behind the others, for all requests that end in this job. */
static int job_ends(struct read_job *job)
{
	const struct suite *suite = job->job.suite;
	uint32_t digest_size = suite->limits.digest_size;
	uint8_t *frame = job->buffer->data + job->out_offset + job->out_len;
	/* A view of the room that was left for it: nothing is allocated. */
	struct buf body = {
		.data = frame + FRAME_HEADER,
		.cap = read_ends_room(suite, job->count) - FRAME_HEADER - digest_size,
	};

	for (size_t i = 0; i < job->count; i++)
		if (job->pieces[i].ended)
			piece_end(&body, suite, &job->pieces[i]);
	if (body.len == 0)
		return 0;
	if (digest_size > 0) {
		int code = plugin_digest(suite->integrity, body.data, body.len, body.data + body.len);
		if (code < 0)
			return code;
	}
	frame_control_seal(frame, FRAME_ENDS, 0, 0, body.len + digest_size);
	job->out_len += FRAME_HEADER + body.len + digest_size;
	return 0;
}

/* The integrity plug-in failed, which none does unless memory is gone. */
static void job_fail(struct read_job *job, int code)
{
	job->code = code;
	job->out_len = 0;
	for (size_t i = 0; i < job->count; i++) {
		struct read_piece *piece = &job->pieces[i];

		read_file_fail(piece->file, piece, STATUS_FAILED, code);
		piece->chunks = 0;
		piece->bytes = 0;
		piece->ended = false;
	}
}

uint64_t read_job_buffers(const struct read_job *job)
{
	uint64_t chunk_size = job->job.suite->limits.chunk_size;
	uint64_t buffers = 0;

	for (size_t i = 0; i < job->count; i++)
		buffers += (job->pieces[i].bytes - job->pieces[i].known + chunk_size - 1) / chunk_size;
	return buffers;
}

uint64_t read_stage_hash(struct job *const *jobs, size_t count)
{
	struct batch batch;
	int code = 0;

	batch_init(&batch, jobs[0]->suite);
	if (jobs[0]->suite->limits.digest_size > 0)
		code = jobs_digest(jobs, count, &batch);
	for (size_t i = 0; i < count; i++) {
		struct read_job *job = (struct read_job *)jobs[i];
		int bad = code;

		if (bad == 0) {
			if (job->job.suite->known != NULL && job->job.suite->limits.digest_size > 0)
				job_note(job);
			job_seal(job);
			if (job->digests)
				job_digests(job);
			bad = job_ends(job);
		}
		if (bad < 0)
			job_fail(job, bad);
	}
	return batch.bytes;
}
