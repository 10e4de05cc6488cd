/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-writer.h"

#include <errno.h>
#include <string.h>

static const char *text_take(struct sim *sim, const char *text)
{
	size_t len = text != NULL ? strlen(text) + 1 : 0;

	return text != NULL ? memcpy(sim_take_raw(sim, len), text, len) : NULL;
}

struct sim_writer *sim_writer_make(const struct sim_place *place, const struct sink_file *file)
{
	struct sim *sim = place->disk->sim;
	struct sim_writer *writer = sim_take(sim, sizeof(*writer));

	list_init(&writer->link);
	writer->place = *place;
	writer->reuse = file->reuse;
	writer->path = text_take(sim, file->path);
	writer->final = text_take(sim, file->final);
	writer->name = text_take(sim, file->name);
	writer->size = file->size;
	writer->mtime = file->mtime;
	writer->mtime_ns = file->mtime_ns;
	writer->chunks = file->size / place->chunk_size + (file->size % place->chunk_size != 0);
	writer->counted = sim_take(sim, writer->chunks * sizeof(*writer->counted));
	if (file->number != 0 && place->journal != NULL)
		writer->past = sim_journal_number(place->journal, file->number);
	return writer;
}

static int keep_error(struct sim_writer *writer, int code)
{
	if (code < 0 && writer->code == 0)
		writer->code = code;
	return code < 0 ? writer->code : 0;
}

bool sim_writer_count(struct sim_writer *writer, uint64_t index, uint64_t hash)
{
	if (writer->counted[index] != 0)
		return false;
	writer->counted[index] = hash;
	writer->count++;
	return true;
}

void sim_writer_note(struct sim_writer *writer, uint64_t index, uint64_t hash)
{
	struct sim_journal *journal = writer->place.journal;

	if (journal == NULL || writer->reuse == SINK_REUSE_STANDS)
		return;
	if (writer->past == NULL || writer->past->chunks != writer->chunks)
		writer->past = sim_journal_file(journal, writer->name, writer->size, writer->mtime, writer->mtime_ns,
		                                writer->chunks);
	writer->past->claims[index] = hash;
}

int sim_writer_resume(struct sim_writer *writer)
{
	struct sim_name *found = sim_disk_look(writer->place.disk, writer->path);

	if (found == NULL || found->kind != SIM_FILE || found->content == NULL)
		return -ENOENT;
	if (found->content->chunk_size != writer->place.chunk_size)
		return -ENOENT;
	if (found->lock != NULL && found->lock != writer)
		return -EBUSY;
	found->lock = writer;
	sim_content_resize(writer->place.disk->sim, found->content, writer->size);
	writer->file = found;
	return 0;
}

/* Creates it on the disk where it was not yet. */
static int open_file(struct sim_writer *writer)
{
	struct sim_disk *disk = writer->place.disk;
	struct sim_name *left;
	int r = writer->code;

	if (r < 0 || writer->file != NULL)
		return r;
	sim_check(disk->sim, writer->reuse != SINK_REUSE_STANDS, "%s is written to, and was only to be looked at",
	          writer->path);
	if (writer->reuse == SINK_REUSE_PARTIAL) {
		r = sim_writer_resume(writer);
		if (r != -ENOENT)
			return keep_error(writer, r == 0 ? sim_disk_fault(disk, false) : r);
		r = 0;
	}
	left = sim_disk_look(disk, writer->path);
	if (left != NULL && left->lock != NULL)
		return keep_error(writer, -EBUSY);
	if (left != NULL && left->kind == SIM_FILE) /* of an earlier run, and of no use */
		r = sim_disk_remove(disk, writer->path);
	if (r == 0)
		r = sim_disk_create(disk, writer->path, &writer->file);
	if (r < 0)
		return keep_error(writer, r);
	writer->file->content = sim_content_make(disk->sim, writer->size, writer->place.chunk_size);
	writer->file->lock = writer;
	writer->made = true;
	/* A lone name is noted before it is there, so that it is found again. */
	if (writer->final != NULL && writer->past == NULL && writer->place.journal != NULL)
		writer->past = sim_journal_file(writer->place.journal, writer->name, writer->size, writer->mtime,
		                                writer->mtime_ns, writer->chunks);
	return 0;
}

static void put(struct sim_writer *writer, uint64_t index, uint64_t hash)
{
	writer->file->content->hashes[index] = hash;
	writer->file->whole = false;
}

/* A source that tells of a chunk in two ways gets an error; any other is told of each chunk once. */
static int count_once(struct sim_writer *writer, uint64_t index, uint64_t hash)
{
	const struct sim *sim = writer->place.disk->sim;

	if (sim_writer_count(writer, index, hash))
		return 0;
	sim_check(sim, sim->odds[STRIKE_LIE].hits + sim->odds[STRIKE_STRAY].hits > 0, "%s: chunk %llu is written twice",
	          writer->path, (unsigned long long)index);
	return -ERANGE;
}

static int write_chunk(struct sim_writer *writer, const struct frame_chunk *chunk)
{
	struct sim *sim = writer->place.disk->sim;
	uint64_t hash = sim_hash(chunk->payload, chunk->length);
	uint64_t left = writer->size - chunk->index * writer->place.chunk_size;
	uint8_t digest[FRAME_DIGEST_MAX];
	int r;

	sim_check(sim,
	          chunk->index < writer->chunks &&
	                  chunk->length == (left < writer->place.chunk_size ? left : writer->place.chunk_size),
	          "%s: chunk %llu of %u bytes is none of it", writer->path, (unsigned long long)chunk->index,
	          chunk->length);
	sim_digest(digest, writer->place.digest_size, hash);
	if (memcmp(digest, chunk->digest, writer->place.digest_size) != 0)
		return -EBADMSG;
	if (writer->code < 0)
		return writer->code;
	r = count_once(writer, chunk->index, hash);
	if (r == 0)
		r = open_file(writer);
	if (r == 0)
		r = keep_error(writer, sim_disk_fault(writer->place.disk, true));
	if (r < 0)
		return r;
	put(writer, chunk->index, hash);
	if (writer->chunks > 1)
		sim_writer_note(writer, chunk->index, hash);
	return 0;
}

static int write_holes(struct sim_writer *writer, uint64_t first, uint64_t count)
{
	uint64_t zero = sim_zero_hash(writer->place.chunk_size);
	int r = open_file(writer);

	for (uint64_t i = first; r == 0 && i < first + count; i++) {
		sim_check(writer->place.disk->sim, i < writer->chunks, "%s: the hole %llu is none of it", writer->path,
		          (unsigned long long)i);
		r = count_once(writer, i, zero);
		if (r == 0)
			put(writer, i, zero);
	}
	return r;
}

/* Of the file that stands there; it counted when it was looked at. */
static int copy_chunks(struct sim_writer *writer, uint64_t first, uint64_t count)
{
	struct sim *sim = writer->place.disk->sim;
	struct sim_name *old = sim_disk_look(writer->place.disk, writer->final);
	int r = open_file(writer);

	if (r == 0)
		r = keep_error(writer, sim_disk_fault(writer->place.disk, true));
	if (r == 0 && (old == NULL || old->content == NULL))
		r = keep_error(writer, -ESTALE);
	for (uint64_t i = first; r == 0 && i < first + count; i++) {
		sim_check(sim, i < writer->chunks && writer->counted[i] != 0 && i < old->content->chunks,
		          "%s: chunk %llu is copied, and was never kept", writer->path, (unsigned long long)i);
		put(writer, i, old->content->hashes[i] == SIM_UNKNOWN ? writer->counted[i] : old->content->hashes[i]);
		if (writer->chunks > 1)
			sim_writer_note(writer, i, writer->counted[i]);
	}
	return r;
}

static uint64_t counted_hash(void *context, uint64_t index)
{
	const struct sim_writer *writer = context;

	return writer->counted[index];
}

/* 0: all chunks count, and their digest is the source's, where it gave one. */
static int digest_check(struct sim_writer *writer, struct sink_file *file)
{
	uint8_t digest[FRAME_DIGEST_MAX];

	if (writer->count != writer->chunks)
		return -ENODATA;
	sim_digest(digest, writer->place.digest_size,
	           sim_file_hash(writer->size, writer->chunks, counted_hash, writer));
	if (file->has_digest && memcmp(digest, file->digest, writer->place.digest_size) != 0)
		return -EBADMSG;
	memcpy(file->digest, digest, writer->place.digest_size);
	return 0;
}

/* What is about to get its name is the file as it was at some time, all of it. */
static void check_whole(struct sim_writer *writer)
{
	struct sim_node *node = writer->place.node;
	struct sim *sim = writer->place.disk->sim;
	bool whole = node == NULL;

	sim_check(sim, writer->count == writer->chunks, "%s is published with %llu of %llu chunks", writer->path,
	          (unsigned long long)writer->count, (unsigned long long)writer->chunks);
	for (struct sim_version *v = node != NULL ? node->now : NULL; v != NULL && !whole; v = v->older)
		whole = sim_content_is(sim, writer->file->content, v);
	/* Without digests damage cannot be seen; and a source that lies of a size may be believed. */
	sim_check(sim,
	          whole || sim->odds[STRIKE_LIE].hits > 0 || (writer->place.digest_size == 0 && sim_struck(sim) > 0),
	          "%s is published and is no copy", writer->path);
}

static int publish(struct sim_writer *writer, struct sink_file *file, bool sync)
{
	int r = writer->code == 0 ? digest_check(writer, file) : writer->code;

	if (r == -ENODATA || r == -EBADMSG)
		return r;
	if (r == 0)
		r = open_file(writer);
	if (r == 0)
		r = sim_disk_fault(writer->place.disk, false); /* metadata, sync, close */
	if (r < 0)
		return keep_error(writer, r);
	check_whole(writer);
	writer->file->mode = file->mode;
	writer->file->mtime = file->mtime;
	writer->file->mtime_ns = file->mtime_ns;
	writer->file->whole = true;
	writer->file->lock = NULL;
	if (writer->final != NULL)
		r = sim_disk_rename(writer->place.disk, writer->path, writer->final, false);
	if (r == 0)
		writer->published = true;
	if (r == 0 && writer->final != NULL && sync)
		r = sim_disk_fault(writer->place.disk, false);
	if (r == 0 && writer->chunks == 1)
		sim_writer_note(writer, 0, writer->counted[0]);
	return keep_error(writer, r);
}

/* What stands there stays, all of it was kept. */
static int settle(struct sim_writer *writer, struct sink_file *file)
{
	struct sim_name *old = sim_disk_look(writer->place.disk, writer->final);
	int r = writer->code == 0 ? digest_check(writer, file) : writer->code;

	if (r == 0)
		r = sim_disk_fault(writer->place.disk, false);
	if (r < 0)
		return keep_error(writer, r);
	sim_check(writer->place.disk->sim, old != NULL && writer->file == NULL, "%s is settled, and is not there",
	          writer->path);
	writer->published = true;
	old->mode = file->mode;
	old->mtime = file->mtime;
	old->mtime_ns = file->mtime_ns;
	/* What an earlier run began beside it is of no use. */
	if (writer->place.journal != NULL)
		(void)sim_disk_remove(writer->place.disk, writer->path);
	return 0;
}

static int abandon(struct sim_writer *writer)
{
	int r = 0;

	if (!writer->published && (writer->made || (writer->reuse == SINK_REUSE_PARTIAL && writer->code != -EBUSY)))
		r = sim_disk_remove(writer->place.disk, writer->path);
	if (r == 0)
		writer->file = NULL;
	keep_error(writer, -ECANCELED);
	return r;
}

void sim_writer_piece(struct sim_writer *writer, struct sink_piece *piece, bool sync)
{
	sim_check(writer->place.disk->sim, !writer->over && (!writer->published || piece->op == SINK_ABANDON),
	          "%s: another piece behind the last", writer->path);
	switch (piece->op) {
	case SINK_CHUNK: piece->code = write_chunk(writer, &piece->chunk); break;
	case SINK_HOLE: piece->code = write_holes(writer, piece->first, piece->count); break;
	case SINK_COPY: piece->code = copy_chunks(writer, piece->first, piece->count); break;
	case SINK_PUBLISH: piece->code = publish(writer, piece->file, sync); break;
	case SINK_SETTLE: piece->code = settle(writer, piece->file); break;
	case SINK_CLOSE: piece->code = 0; break;
	case SINK_ABANDON: piece->code = abandon(writer); break;
	}
}

void sim_writer_free(struct sim_writer *writer)
{
	if (writer->file != NULL && writer->file->lock == writer)
		writer->file->lock = NULL;
	writer->over = true;
	list_remove(&writer->link);
}

void sim_dir_piece(struct sim_disk *disk, struct sink_dir_piece *piece)
{
	struct sim_name *made;

	switch (piece->op) {
	case SINK_DIR_MAKE:
		piece->existed = sim_disk_look(disk, piece->path) != NULL;
		piece->code = sim_disk_dir(disk, piece->path);
		break;
	case SINK_DIR_SWEEP:
		nameset_sort(&piece->names);
		piece->code = sim_disk_sweep(disk, piece->path, &piece->names);
		break;
	case SINK_DIR_META:
		piece->code = sim_disk_meta(disk, piece->path, piece->mode, piece->mtime, piece->mtime_ns);
		break;
	case SINK_DIR_LINK:
		piece->code = sim_disk_link(disk, piece->path, text_take(disk->sim, piece->target), &made);
		if (piece->code == 0) {
			made->mode = piece->mode;
			made->mtime = piece->mtime;
			made->mtime_ns = piece->mtime_ns;
		}
		break;
	case SINK_DIR_COMPARE:
		made = sim_disk_look(disk, piece->path);
		piece->code = made == NULL                               ? -ENOENT
		              : made->kind != SIM_LINK                   ? -EINVAL
		              : strcmp(made->target, piece->target) != 0 ? -ESTALE
		                                                         : 0;
		break;
	case SINK_DIR_SYNC: piece->code = sim_disk_fault(disk, true); break;
	case SINK_DIR_RENAME: piece->code = sim_disk_rename(disk, piece->path, piece->target, true); break;
	case SINK_DIR_REMOVE: piece->code = sim_disk_remove(disk, piece->path); break;
	}
}
