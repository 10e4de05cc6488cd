/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/receiving_job.h"

#include <errno.h>
#include <string.h>

/* ---- files ---- */

static int file_handle(struct receiving *receiving, struct sink_file *file)
{
	static const enum write_reuse reuses[] = {
		[SINK_REUSE_NONE] = WRITE_NEW,
		[SINK_REUSE_PARTIAL] = WRITE_RESUME,
		[SINK_REUSE_OLD] = WRITE_OLD,
		[SINK_REUSE_STANDS] = WRITE_STANDS,
	};
	const struct write_place place = {
		.root = receiving->root,
		.path = file->path,
		.final = file->final,
		.sync = receiving->sync && file->final != NULL,
		.reuse = reuses[file->reuse],
		.old = file->reuse == SINK_REUSE_OLD || file->reuse == SINK_REUSE_STANDS ? file->final : NULL,
		.journal = receiving->journal,
		.name = file->name,
		.identity = { .size = file->size, .mtime = file->mtime, .mtime_ns = file->mtime_ns },
		.number = file->number,
		.sync_window = receiving->sync ? receiving->base->setup->settings->sync_window : 0,
	};
	struct write_file *handle;
	int r;

	if (file->handle != NULL)
		return 0;
	r = write_file_create(&handle, &place, &receiving->suite, file->size);
	if (r == 0)
		file->handle = handle;
	return r;
}

static void piece_fill(struct write_piece *to, const struct sink_piece *from)
{
	struct sink_file *file = from->file;

	*to = (struct write_piece){ .file = file->handle };
	switch (from->op) {
	case SINK_CHUNK:
		to->op = WRITE_CHUNK;
		to->chunk = from->chunk;
		to->pipes = ((const struct lent *)from->token)->pipes;
		break;
	case SINK_HOLE:
	case SINK_COPY:
		to->op = from->op == SINK_HOLE ? WRITE_HOLE : WRITE_COPY;
		to->first = from->first;
		to->count = from->count;
		break;
	case SINK_PUBLISH:
	case SINK_SETTLE:
		to->op = from->op == SINK_SETTLE ? WRITE_SETTLE : WRITE_PUBLISH;
		to->size = file->size;
		to->chunks = file->chunks;
		to->meta = (struct store_meta){ .mode = file->mode, .mtime = { file->mtime, file->mtime_ns } };
		to->digest = file->has_digest ? file->digest : NULL;
		to->made = file->has_digest ? NULL : file->digest;
		break;
	case SINK_CLOSE: to->op = WRITE_CLOSE; break;
	case SINK_ABANDON: to->op = WRITE_ABANDON; break;
	}
}

static void write_begin(struct receiving *receiving, struct receiving_job *work)
{
	work->write = (struct write_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_piece *piece = &work->order.pieces[i];

		piece->code = file_handle(receiving, piece->file);
		if (piece->code < 0)
			work->write.count = 0; /* out of memory: none of it is done */
		else if (work->write.count > 0)
			piece_fill(&work->write.pieces[i], piece);
	}
	work->job.kind = JOB_WRITE;
}

/* The last piece of a file: what it was written through goes before the file itself does. */
static bool file_over(const struct sink_piece *piece)
{
	return piece->op == SINK_ABANDON || piece->op == SINK_CLOSE || (piece->op >= SINK_PUBLISH && piece->code == 0);
}

static void write_end(struct receiving_job *work)
{
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_piece *piece = &work->order.pieces[i];

		if (piece->code == 0)
			piece->code = work->write.count == 0 ? -ENOMEM : work->write.pieces[i].code;
		/* The same transfer has begun at the same moment, and was quicker. */
		if (piece->code == 0 && work->write.journal_code == -EBUSY)
			piece->code = -EBUSY;
		if (piece->op == SINK_CHUNK)
			lent_unref(piece->token);
		if (file_over(piece)) {
			write_file_destroy(piece->file->handle);
			piece->file->handle = NULL;
		}
	}
}

/* ---- directories ---- */

/* The code that decides whether a piece may be done at all. */
static const int *dir_within(const struct receiving_job *work, const struct sink_dir_piece *piece)
{
	static const int lost = -ENOTDIR;

	if (piece->lost)
		return &lost;
	return piece->within > 0 ? &work->dir.pieces[piece->within - 1].code : NULL;
}

static void dir_begin(struct receiving *receiving, struct receiving_job *work)
{
	static const enum dir_op ops[] = {
		[SINK_DIR_MAKE] = DIR_MAKE,     [SINK_DIR_META] = DIR_META,       [SINK_DIR_LINK] = DIR_SYMLINK,
		[SINK_DIR_SWEEP] = DIR_SWEEP,   [SINK_DIR_SYNC] = DIR_SYNC,       [SINK_DIR_RENAME] = DIR_RENAME,
		[SINK_DIR_REMOVE] = DIR_REMOVE, [SINK_DIR_COMPARE] = DIR_COMPARE,
	};

	work->dir = (struct dir_job){ .count = work->order.count };
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_dir_piece *piece = &work->order.dirs[i];

		work->dir.pieces[i] = (struct dir_piece){
			.op = ops[piece->op],
			.root = receiving->root,
			.path = piece->path,
			.target = piece->target,
			.names = &piece->names,
			.meta = { .mode = piece->mode, .mtime = { piece->mtime, piece->mtime_ns } },
			.journal = piece->op == SINK_DIR_MAKE ? receiving->journal : NULL,
			.no_replace = piece->op == SINK_DIR_RENAME && !receiving->replace,
			.sync = piece->sync,
			.within = dir_within(work, piece),
		};
	}
	work->job.kind = JOB_DIR;
}

static void dir_end(struct receiving_job *work)
{
	for (size_t i = 0; i < work->order.count; i++) {
		work->order.dirs[i].code = work->dir.pieces[i].code;
		work->order.dirs[i].existed = work->dir.pieces[i].existed;
	}
}

/* ---- what is there ---- */

static void probe_begin(struct receiving *receiving, struct receiving_job *work)
{
	unsigned flags = receiving->flags & SINK_FLAG_VERIFY ? PROBE_UPDATE | PROBE_COMPARE : 0;

	if (receiving->flags & SINK_FLAG_UPDATE)
		flags |= PROBE_UPDATE | (receiving->flags & SINK_FLAG_COMPARE ? PROBE_COMPARE : 0);
	work->probe = (struct probe_job){
		.count = work->order.count,
		.journal = receiving->flags & SINK_FLAG_RESUME ? receiving->journal : NULL,
	};
	for (size_t i = 0; i < work->order.count; i++) {
		const struct sink_file *file = work->order.probes[i].file;

		work->probe.pieces[i] = (struct probe_piece){
			.root = receiving->root,
			.name = file->name,
			.path = file->path,
			.final = file->final,
			.identity = { .size = file->size, .mtime = file->mtime, .mtime_ns = file->mtime_ns },
			.flags = flags,
		};
	}
	work->job.kind = JOB_PROBE;
}

static void probe_end(struct receiving_job *work)
{
	static const enum sink_found founds[] = {
		[PROBE_NOTHING] = SINK_NOTHING, [PROBE_CLAIMS] = SINK_CLAIMS, [PROBE_STANDS] = SINK_STANDS,
		[PROBE_CHANGED] = SINK_CHANGED, [PROBE_SAME] = SINK_SAME,     [PROBE_OLD] = SINK_OLD,
	};

	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_probe *to = &work->order.probes[i];
		const struct probe_piece *from = &work->probe.pieces[i];

		to->found = founds[from->found];
		to->number = from->number;
		to->size = from->size;
		to->claims = from->claims;
		to->code = from->code;
	}
}

static int keep_begin(struct receiving *receiving, struct receiving_job *work)
{
	const struct suite *suite = &receiving->suite;

	memset(&work->keep, 0, sizeof(work->keep));
	work->keep.buffer = lend_get(receiving->base->loop->lender, read_job_buffer_size(suite));
	if (work->keep.buffer == NULL)
		return -ENOBUFS;
	work->keep.count = work->order.count;
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_keep *piece = &work->order.keeps[i];

		piece->code = file_handle(receiving, piece->file);
		if (piece->code < 0)
			work->keep.count = 0;
		else if (work->keep.count > 0)
			work->keep.pieces[i] = (struct keep_piece){
				.file = piece->file->handle,
				.first = piece->first,
				.count = piece->count,
				.zeroes = piece->zeroes,
				.digests = piece->digests,
			};
	}
	work->job.kind = JOB_KEEP;
	return 0;
}

static void keep_end(struct receiving_job *work)
{
	lent_unref(work->keep.buffer);
	for (size_t i = 0; i < work->order.count; i++) {
		struct sink_keep *piece = &work->order.keeps[i];

		if (piece->code == 0)
			piece->code = work->keep.count == 0 ? -ENOMEM : work->keep.pieces[i].code;
		piece->kept = work->keep.count == 0 ? 0 : work->keep.pieces[i].kept;
	}
}

/* ---- there and back ---- */

int receiving_order_begin(struct receiving *receiving, struct receiving_job *work)
{
	switch (work->order.kind) {
	case SINK_ORDER_WRITE: write_begin(receiving, work); break;
	case SINK_ORDER_DIRS: dir_begin(receiving, work); break;
	case SINK_ORDER_PROBE: probe_begin(receiving, work); break;
	case SINK_ORDER_KEEP: return keep_begin(receiving, work);
	}
	return 0;
}

void receiving_order_end(struct receiving_job *work)
{
	switch (work->order.kind) {
	case SINK_ORDER_WRITE: write_end(work); break;
	case SINK_ORDER_DIRS: dir_end(work); break;
	case SINK_ORDER_PROBE: probe_end(work); break;
	case SINK_ORDER_KEEP: keep_end(work); break;
	}
}
