/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The storage stage of a read job. Chunks are read to where they will be sent from: one frame behind the other, each
 * with room in front of it for what the hash stage adds.
 *
 *   | room | draft | payload | HOLE | draft | payload | draft | payload ... | room for ENDS |
 *          ^ out_offset      the first payload begins at a page
 *
 * Payload that need not be hashed is not read at all: its pages go into pipes, and the drafts stand side by side.
 */
#include "pipeline/read_file.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <string.h>

enum {
	PAGE = 4096,
	/* Chunks of holes in one job: the file digest goes over each of them, and others wait for the thread. */
	HOLES_MAX = 256 * 1024,
	/*
	 * Payload of one job. Large enough that waking threads costs nothing beside it, small enough that it is still in
	 * the second-level cache when it is hashed and sent, and that one file keeps all threads busy.
	 */
	JOB_PAYLOAD = 1024 * 1024,
	LANES_PAYLOAD = 4 * 1024 * 1024, /* the most, where chunks are hashed side by side: in pairs and more */
	PIPED_CHUNK = 64 * 1024,         /* smaller chunks and pieces are read sooner than they are passed on ... */
	PIPED_PAYLOAD = 256 * 1024,      /* ... by reference, of which each page has its price */
	END_ITEM_MAX = 64 + READ_END_TEXT_MAX /* bytes of an ENDS item without a digest */
};

size_t read_job_pipes(const struct suite *suite, bool fresh, uint64_t payload)
{
	const struct frame_limits *limits = &suite->limits;

	if (limits->chunk_size < PIPED_CHUNK || limits->chunk_size % PAGE != 0 || payload < PIPED_PAYLOAD)
		return 0;
	/* Either there are no digests, or they may be known. */
	return limits->digest_size == 0 || (suite->known != NULL && !fresh) ? payload : 0;
}

size_t read_job_payload(const struct suite *suite)
{
	size_t chunk = suite->limits.chunk_size, together = chunk * suite->integrity->lanes;
	size_t most = suite->together < LANES_PAYLOAD ? suite->together : LANES_PAYLOAD;

	/* A multiple of what the plug-in takes side by side, or a chunk is left that it takes alone. */
	together = together > 0 ? (JOB_PAYLOAD + together - 1) / together * together : 0;
	if (together > chunk && together <= most)
		return together;
	return chunk > JOB_PAYLOAD ? chunk : JOB_PAYLOAD;
}

size_t read_ends_room(const struct suite *suite, size_t count)
{
	return FRAME_HEADER + count * (END_ITEM_MAX + (size_t)suite->limits.digest_size) + suite->limits.digest_size;
}

size_t read_job_buffer_size(const struct suite *suite)
{
	/* Full chunks, and in each piece a short one and a hole; holes between chunks end the job early if need be. */
	size_t frames = read_job_payload(suite) / suite->limits.chunk_size + READ_PIECES_MAX;
	size_t room = frames * frame_chunk_overhead(&suite->limits) + (size_t)READ_PIECES_MAX * READ_HOLE_FRAME;
	size_t size = PAGE + read_job_payload(suite) + room + read_ends_room(suite, READ_PIECES_MAX);

	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Where the frames of a job are being laid out. */
struct layout {
	struct read_job *job;
	uint8_t *base;
	size_t at;              /* the next frame begins here */
	size_t limit;           /* frames end here */
	uint64_t payload;       /* bytes so far, of all pieces */
	uint64_t holes;         /* chunks that may still be found to be holes, see HOLES_MAX */
	bool full;              /* a chunk did not fit: this job is done */
	bool piped;             /* payload goes into pipes */
	bool plain;             /* it was to, but cannot: once more without */
	struct pipe_lent *pipe; /* with piped: the next one to be filled */
	struct store_parent near;
	struct known_view view; /* digests of the piece's file */
};

/*
 * Puts the digest of a chunk to its place when it is known. Not for what may be asked for again because the digest was
 * wrong, nor where digests alone go out: nobody would find out that they are wrong.
 */
static bool digest_known(struct layout *layout, const struct read_piece *piece, uint64_t index, uint8_t *digest)
{
	const struct read_file *file = piece->file;

	return file->keeps && !piece->fresh && !layout->job->digests &&
	       known_look(file->suite->known, &file->key, &layout->view, index, digest);
}

/*
 * The payload of the chunk whose frame is at `frame`: bytes, or -errno. -EOPNOTSUPP: with pipes it cannot be had, or is
 * not allowed to.
 */
static ssize_t payload_take(struct layout *layout, int fd, uint8_t *frame, uint32_t len, uint64_t offset)
{
	ssize_t got;

	if (!layout->piped)
		return store_read(fd, frame + frame_chunk_overhead(&layout->job->job.suite->limits), len, offset);
	got = pipes_fill(&layout->pipe, fd, offset, len);
	return got == -ENOSPC ? -EOPNOTSUPP : got;
}

/* Reads one chunk. False: the file failed, or the layout is full, or has to be made without pipes. */
static bool read_chunk(struct layout *layout, struct read_piece *piece, const struct read_view *view, uint64_t index,
                       uint8_t flags)
{
	const struct suite *suite = layout->job->job.suite;
	size_t overhead = frame_chunk_overhead(&suite->limits);
	uint64_t offset = index * suite->limits.chunk_size;
	uint32_t len = suite->limits.chunk_size;

	if (len > view->size - offset)
		len = (uint32_t)(view->size - offset);
	uint32_t room = layout->piped ? 0 : len;
	if (len > layout->job->payload_max - layout->payload || overhead + room > layout->limit - layout->at) {
		layout->full = true;
		return false;
	}

	uint8_t *frame = layout->base + layout->at;
	bool known = digest_known(layout, piece, index, frame + FRAME_HEADER + FRAME_CHUNK_HEAD);
	bool hashed = suite->limits.digest_size > 0 && !known;
	ssize_t got = layout->piped && hashed ? -EOPNOTSUPP : payload_take(layout, view->fd, frame, len, offset);
	if (got == -EOPNOTSUPP && layout->piped) {
		layout->plain = true;
		return false;
	}
	if (got < 0) {
		read_file_fail(piece->file, piece, stage_status((int)got), (int)got);
		return false;
	}
	if (got < (ssize_t)len) {
		/* It shrank, unless it has its size again by now. */
		if (read_file_same(piece->file, piece, view->fd))
			read_file_fail(piece->file, piece, STATUS_CHANGED, 0);
		return false;
	}
	struct read_draft draft = {
		.type = FRAME_CHUNK, .flags = flags, .known = known, .length = len, .index = index
	};
	memcpy(frame, &draft, sizeof(draft));
	piece->known += known ? len : 0;
	layout->at += overhead + room;
	layout->payload += len;
	piece->chunks++;
	piece->bytes += len;
	return true;
}

static bool put_hole(struct layout *layout, struct read_piece *piece, uint64_t first, uint64_t count)
{
	if (READ_HOLE_FRAME > layout->limit - layout->at || layout->holes == 0) {
		layout->full = true;
		return false;
	}
	/* A view of the buffer: it has room, so nothing is allocated, and writing cannot fail. */
	struct buf frame = { .data = layout->base + layout->at, .cap = READ_HOLE_FRAME };
	if (message_hole_write(&frame, piece->request, first, count) < 0) {
		read_file_fail(piece->file, piece, STATUS_FAILED, -EINVAL);
		return false;
	}
	layout->at += frame.len;
	layout->holes -= count;
	piece->chunks += count;
	return true;
}

/* What is known of holes around a place of a sparse file. */
struct extent {
	uint64_t end; /* of the run; 0 = nothing known yet */
	bool data;
};

/*
 * What chunk `index` is made of: *holes = how many full chunks from there on are nothing but a hole, else *flags says
 * whether it has holes in it. -errno.
 */
static int chunk_extent(const struct read_view *view, struct extent *extent, uint64_t chunk_size, uint64_t index,
                        uint64_t *holes, uint8_t *flags)
{
	uint64_t begin = index * chunk_size;
	uint64_t end = chunk_size < view->size - begin ? begin + chunk_size : view->size;

	*holes = 0;
	*flags = 0;
	if (extent->end <= begin) {
		int code = store_extent(view->fd, begin, view->size, &extent->data, &extent->end);
		if (code < 0)
			return code;
	}
	if (!extent->data)
		*holes = (extent->end - begin) / chunk_size;
	if (*holes == 0 && (!extent->data || extent->end < end))
		*flags = FRAME_CHUNK_SPARSE;
	return 0;
}

/* Reads chunks from the piece's first up to `stop`, holes included; ends early when full or when the file failed. */
static void read_sparse(struct layout *layout, struct read_piece *piece, const struct read_view *view, uint64_t stop)
{
	uint64_t chunk_size = layout->job->job.suite->limits.chunk_size;
	struct extent extent = { 0 };

	for (uint64_t index = piece->first; index < stop && piece->status == STATUS_OK;) {
		uint64_t holes;
		uint8_t flags;
		int code = chunk_extent(view, &extent, chunk_size, index, &holes, &flags);

		if (code < 0) {
			read_file_fail(piece->file, piece, stage_status(code), code);
			return;
		}
		if (holes > stop - index)
			holes = stop - index;
		if (holes > layout->holes && layout->holes > 0)
			holes = layout->holes;
		if (holes > 0 ? !put_hole(layout, piece, index, holes) : !read_chunk(layout, piece, view, index, flags))
			return;
		index += holes > 0 ? holes : 1;
	}
}

static void piece_undo(struct layout *layout, struct read_piece *piece, size_t begin)
{
	layout->at = begin;
	layout->payload -= piece->bytes;
	piece->chunks = 0;
	piece->bytes = 0;
	piece->known = 0;
}

static void read_chunks(struct layout *layout, struct read_piece *piece, const struct read_view *view, uint64_t stop)
{
	if (view->sparse)
		read_sparse(layout, piece, view, stop);
	else
		for (uint64_t index = piece->first; index < stop; index++)
			if (!read_chunk(layout, piece, view, index, 0))
				break;
}

static void read_piece(struct layout *layout, struct read_piece *piece)
{
	struct read_file *file = piece->file;
	struct read_view view;
	size_t begin = layout->at;

	layout->view.number = 0;
	if (!read_file_enter(file, &layout->near, piece, &view))
		return;
	uint64_t stop = view.total;
	if (piece->first >= stop)
		stop = piece->first;
	else if (piece->count < stop - piece->first)
		stop = piece->first + piece->count;

	read_chunks(layout, piece, &view, stop);
	if (layout->plain) {
		/* What is in the pipes goes with them. */
		piece_undo(layout, piece, begin);
		layout->piped = false;
		layout->plain = false;
		layout->full = false;
		layout->holes = HOLES_MAX; /* there is no other piece */
		read_chunks(layout, piece, &view, stop);
	}
	/* After reading, so that whatever was read belongs to the file as it was when it was opened. */
	if (piece->status != STATUS_OK || !read_file_same(file, piece, view.fd))
		piece_undo(layout, piece, begin);
	else if (piece->end && piece->first + piece->chunks == stop)
		piece->ended = true;
	read_file_leave(file, piece->ended);
}

uint64_t read_stage_storage(struct read_job *job)
{
	const struct suite *suite = job->job.suite;
	struct layout layout = {
		.job = job,
		.base = job->buffer->data,
		.at = PAGE - frame_chunk_overhead(&suite->limits),
		.limit = job->buffer->size - read_ends_room(suite, job->count),
		.holes = HOLES_MAX,
		.piped = job->pipes != NULL && job->count == 1 && !job->digests,
		.pipe = job->pipes,
	};

	store_parent_init(&layout.near);
	job->code = 0;
	job->out_offset = layout.at;
	for (size_t i = 0; i < job->count; i++) {
		struct read_piece *piece = &job->pieces[i];

		piece->chunks = 0;
		piece->bytes = 0;
		piece->known = 0;
		piece->total = 0;
		piece->ended = false;
		piece->has_digest = false;
		piece->status = STATUS_OK;
		piece->code = 0;
		piece->change = NULL;
		if (piece->refuse != STATUS_OK)
			read_file_fail(piece->file, piece, piece->refuse, 0);
		else if (!layout.full)
			read_piece(&layout, piece);
	}
	store_parent_drop(&layout.near);
	job->out_len = layout.at - job->out_offset;
	job->piped = layout.piped && layout.payload > 0;
	return layout.payload;
}
