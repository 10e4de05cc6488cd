/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-writer.h"

#include <errno.h>
#include <string.h>

struct sim_writer *sim_writer_make(struct sim_disk *disk, struct sim_node *node, const struct sink_file *file,
                                   uint32_t chunk_size, uint32_t digest_size)
{
	struct sim_writer *writer = sim_take(disk->sim, sizeof(*writer));
	size_t path_len = strlen(file->path) + 1;
	size_t final_len = file->final != NULL ? strlen(file->final) + 1 : 0;

	list_init(&writer->link);
	writer->disk = disk;
	writer->node = node;
	writer->digest_size = digest_size;
	writer->path = memcpy(sim_take(disk->sim, path_len), file->path, path_len);
	if (final_len > 0)
		writer->final = memcpy(sim_take(disk->sim, final_len), file->final, final_len);
	writer->content.size = file->size;
	writer->content.chunk_size = chunk_size;
	writer->content.chunks = file->size / chunk_size + (file->size % chunk_size != 0);
	return writer;
}

static int keep_error(struct sim_writer *writer, int code)
{
	if (code < 0 && writer->code == 0)
		writer->code = code;
	return code < 0 ? writer->code : 0;
}

/* Creates it on the disk where it was not yet. */
static int open_file(struct sim_writer *writer)
{
	struct sim_content *content = &writer->content;
	int r = writer->code;

	if (r == 0 && writer->name == NULL) {
		r = sim_disk_create(writer->disk, writer->path, &writer->name);
		if (r == 0)
			content->hashes = sim_take(writer->disk->sim, content->chunks * sizeof(*content->hashes));
		if (r == 0)
			writer->name->content = content;
	}
	return keep_error(writer, r);
}

static void put(struct sim_writer *writer, uint64_t index, uint64_t hash)
{
	struct sim_content *content = &writer->content;
	struct sim *sim = writer->disk->sim;

	sim_check(sim, index < content->chunks, "%s: chunk %llu is none of it", writer->path,
	          (unsigned long long)index);
	sim_check(sim, content->hashes[index] == 0, "%s: chunk %llu is written twice", writer->path,
	          (unsigned long long)index);
	content->hashes[index] = hash;
	content->done++;
}

static int write_chunk(struct sim_writer *writer, const struct frame_chunk *chunk)
{
	uint8_t digest[FRAME_DIGEST_MAX];
	uint64_t hash = sim_hash(chunk->payload, chunk->length);
	uint64_t left = writer->content.size - chunk->index * writer->content.chunk_size;
	int r;

	sim_check(writer->disk->sim,
	          chunk->index < writer->content.chunks &&
	                  chunk->length == (left < writer->content.chunk_size ? left : writer->content.chunk_size),
	          "%s: chunk %llu of %u bytes is none of it", writer->path, (unsigned long long)chunk->index,
	          chunk->length);

	sim_digest(digest, writer->digest_size, hash);
	if (memcmp(digest, chunk->digest, writer->digest_size) != 0)
		return -EBADMSG;
	if (writer->code < 0)
		return writer->code;
	r = open_file(writer);
	if (r == 0)
		r = keep_error(writer, sim_disk_fault(writer->disk, true));
	if (r == 0)
		put(writer, chunk->index, hash);
	return r;
}

static int write_holes(struct sim_writer *writer, uint64_t first, uint64_t count)
{
	int r = open_file(writer);

	for (uint64_t i = 0; r == 0 && i < count; i++)
		put(writer, first + i, sim_zero_hash(writer->content.chunk_size));
	return r;
}

static uint64_t content_hash(void *context, uint64_t index)
{
	const struct sim_content *content = context;

	return content->hashes[index];
}

bool sim_content_is(struct sim *sim, const struct sim_content *content, struct sim_version *version)
{
	if (content->size != version->size)
		return false;
	for (uint64_t i = 0; i < content->chunks; i++) {
		if (content->hashes[i] != sim_version_hash(sim, version, content->chunk_size, i))
			return false;
	}
	return true;
}

/* What is about to get its name is the file as it was at some time, all of it. */
static void check_whole(struct sim_writer *writer)
{
	struct sim *sim = writer->disk->sim;
	bool whole = writer->node == NULL;

	sim_check(sim, writer->content.done == writer->content.chunks, "%s is published with %llu of %llu chunks",
	          writer->path, (unsigned long long)writer->content.done, (unsigned long long)writer->content.chunks);
	for (struct sim_version *v = writer->node != NULL ? writer->node->now : NULL; v != NULL && !whole; v = v->older)
		whole = sim_content_is(sim, &writer->content, v);
	/* Without digests damage cannot be seen; and a source that lies of a size may be believed. */
	sim_check(sim, whole || sim->odds[STRIKE_LIE].hits > 0 || (writer->digest_size == 0 && sim_struck(sim) > 0),
	          "%s is published and is no copy", writer->path);
}

static int publish(struct sim_writer *writer, const struct sink_file *file, bool sync)
{
	struct sim_content *content = &writer->content;
	uint8_t digest[FRAME_DIGEST_MAX];
	int r = writer->code;

	if (r == 0 && content->done != content->chunks)
		return -ENODATA;
	if (r == 0 && writer->digest_size > 0 && file->has_digest) {
		sim_digest(digest, writer->digest_size,
		           sim_file_hash(content->size, content->chunks, content_hash, content));
		if (memcmp(digest, file->digest, writer->digest_size) != 0)
			return -EBADMSG;
	}
	if (r == 0)
		r = open_file(writer);
	if (r == 0)
		r = sim_disk_fault(writer->disk, false); /* metadata, sync, close */
	if (r < 0)
		return keep_error(writer, r);
	check_whole(writer);
	writer->name->mode = file->mode;
	writer->name->mtime = file->mtime;
	writer->name->mtime_ns = file->mtime_ns;
	writer->name->whole = true;
	if (writer->final != NULL)
		r = sim_disk_rename(writer->disk, writer->path, writer->final, false);
	if (r == 0)
		writer->published = true;
	if (r == 0 && writer->final != NULL && sync)
		r = sim_disk_fault(writer->disk, false);
	return keep_error(writer, r);
}

static int abandon(struct sim_writer *writer)
{
	int r = 0;

	if (writer->name != NULL && !writer->published)
		r = sim_disk_remove(writer->disk, writer->path);
	if (r == 0)
		writer->name = NULL;
	keep_error(writer, -ECANCELED);
	return r;
}

void sim_writer_piece(struct sim_writer *writer, struct sink_piece *piece, bool sync)
{
	struct sim *sim = writer->disk->sim;

	sim_check(sim, !writer->over && (!writer->published || piece->op == SINK_ABANDON),
	          "%s: another piece behind the last", writer->path);
	switch (piece->op) {
	case SINK_CHUNK: piece->code = write_chunk(writer, &piece->chunk); break;
	case SINK_HOLE: piece->code = write_holes(writer, piece->first, piece->count); break;
	case SINK_COPY:
	case SINK_CLOSE: sim_fail(sim, "%s: a piece that was not to come", writer->path);
	case SINK_PUBLISH: piece->code = publish(writer, piece->file, sync); break;
	case SINK_ABANDON: piece->code = abandon(writer); break;
	}
}

void sim_writer_free(struct sim_writer *writer)
{
	writer->over = true;
	list_remove(&writer->link);
}

void sim_dir_piece(struct sim_disk *disk, struct sink_dir_piece *piece)
{
	struct sim_name *made;
	size_t len;

	switch (piece->op) {
	case SINK_DIR_MAKE: piece->code = sim_disk_dir(disk, piece->path); break;
	case SINK_DIR_META:
		piece->code = sim_disk_meta(disk, piece->path, piece->mode, piece->mtime, piece->mtime_ns);
		break;
	case SINK_DIR_LINK:
		len = strlen(piece->target) + 1;
		piece->code = sim_disk_link(disk, piece->path, memcpy(sim_take(disk->sim, len), piece->target, len),
		                            &made);
		if (piece->code == 0) {
			made->mode = piece->mode;
			made->mtime = piece->mtime;
			made->mtime_ns = piece->mtime_ns;
		}
		break;
	case SINK_DIR_SYNC: piece->code = sim_disk_fault(disk, true); break;
	case SINK_DIR_RENAME: piece->code = sim_disk_rename(disk, piece->path, piece->target, true); break;
	case SINK_DIR_REMOVE: piece->code = sim_disk_remove(disk, piece->path); break;
	}
}
