/* SPDX-License-Identifier: BSD-2-Clause */
/* What is there of a file already, as pipeline/probe.c and keep.c look at it. */
#include "sim-writer.h"

#include <errno.h>
#include <string.h>

/* ---- probing ---- */

static const struct sim_name *file_at(const struct sim_disk *disk, const char *path)
{
	const struct sim_name *name = path != NULL ? sim_disk_look(disk, path) : NULL;

	return name != NULL && name->kind == SIM_FILE && name->content != NULL ? name : NULL;
}

/* Complete, of the size and time that were listed. */
static bool is_that(const struct sim_name *name, uint64_t size, int64_t mtime, uint32_t mtime_ns)
{
	return name != NULL && name->whole && name->content->size == size && name->mtime == mtime &&
	       name->mtime_ns == mtime_ns;
}

static bool claims_all(const struct sim_past *past)
{
	for (uint64_t i = 0; i < past->chunks; i++) {
		if (past->claims[i] == 0)
			return false;
	}
	return true;
}

static bool claims_some(const struct sim_past *past)
{
	for (uint64_t i = 0; i < past->chunks; i++) {
		if (past->claims[i] != 0)
			return true;
	}
	return false;
}

static void claims_give(const struct sim_past *past, struct ranges *out)
{
	for (uint64_t i = 0; i < past->chunks; i++) {
		if (past->claims[i] != 0 && ranges_add(out, i, 1) < 0)
			return;
	}
}

/* What an earlier run left; false: nothing. */
static bool probe_past(const struct sim_place *place, const struct sink_file *file, const struct sim_past *past,
                       struct sink_probe *probe)
{
	const struct sim_name *partial = file_at(place->disk, file->path);
	const struct sim_name *final = file_at(place->disk, file->final);
	const struct sim_name *finished = file->final != NULL ? final : partial;
	bool same = past->size == file->size && past->mtime == file->mtime && past->mtime_ns == file->mtime_ns;
	bool whole = is_that(finished, past->size, past->mtime, past->mtime_ns) && claims_all(past);

	if (whole && (same || (final != NULL && finished == final))) {
		probe->found = same ? SINK_STANDS : SINK_OLD;
		probe->size = finished->content->size;
		return true;
	}
	if (partial == NULL || !claims_some(past))
		return false;
	probe->found = same ? SINK_CLAIMS : SINK_CHANGED;
	probe->size = partial->content->size;
	return true;
}

void sim_probe(const struct sim_place *place, unsigned flags, struct sink_probe *probe)
{
	const struct sink_file *file = probe->file;
	const struct sim_name *final = file_at(place->disk, file->final);
	const struct sim_past *past = NULL;
	bool looks = (flags & (SINK_FLAG_UPDATE | SINK_FLAG_VERIFY)) != 0;
	bool left = false;

	probe->code = sim_disk_fault(place->disk, false);
	if (probe->code < 0)
		return;
	if (place->journal != NULL && (flags & SINK_FLAG_RESUME))
		past = sim_journal_find(place->journal, file->name);
	if (past != NULL)
		left = probe_past(place, file, past, probe);
	if (!left && looks && final != NULL) {
		probe->found = SINK_OLD;
		probe->size = final->content->size;
		if ((flags & (SINK_FLAG_COMPARE | SINK_FLAG_VERIFY)) == 0 &&
		    is_that(final, file->size, file->mtime, file->mtime_ns))
			probe->found = SINK_SAME;
	}
	if (past != NULL && (probe->found == SINK_CLAIMS || probe->found == SINK_STANDS))
		probe->number = past->number;
	if (past != NULL && probe->found == SINK_CLAIMS)
		claims_give(past, &probe->claims);
	sim_say(place->disk->sim, "probe: '%s': %d", file->name, (int)probe->found);
}

/* ---- looking ---- */

/* What a chunk on disk is; 0: there is none. */
static uint64_t hash_there(const struct sim_writer *writer, const struct sim_content *there, uint64_t index)
{
	uint64_t len = there->size - index * there->chunk_size;
	uint64_t want = writer->size - index * there->chunk_size;
	uint32_t chunk = there->chunk_size;

	if (index >= there->chunks || (len < chunk ? len : chunk) != (want < chunk ? want : chunk))
		return 0;
	return sim_content_hash(there, index);
}

static bool chunk_right(const struct sim_writer *writer, const struct sink_keep *piece, uint64_t i, uint64_t hash)
{
	uint32_t size = writer->place.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];

	if (piece->digests == NULL)
		return writer->past != NULL && piece->first + i < writer->past->chunks &&
		       writer->past->claims[piece->first + i] == hash;
	sim_digest(digest, size, hash);
	return memcmp(digest, piece->digests + i * size, size) == 0;
}

static void keep_zeroes(struct sim_writer *writer, struct sink_keep *piece, const struct sim_content *there)
{
	uint64_t zero = sim_zero_hash(writer->place.chunk_size);

	for (uint64_t i = 0; i < piece->count; i++) {
		if (hash_there(writer, there, piece->first + i) != zero || writer->counted[piece->first + i] != 0)
			return;
	}
	for (uint64_t i = 0; i < piece->count; i++)
		(void)sim_writer_count(writer, piece->first + i, zero);
	piece->kept = 1;
}

void sim_keep(struct sim_writer *writer, struct sink_keep *piece)
{
	struct sim_disk *disk = writer->place.disk;
	bool partial = writer->reuse == SINK_REUSE_PARTIAL;
	const struct sim_name *name;

	sim_check(disk->sim, writer->reuse != SINK_REUSE_NONE && !writer->over, "%s is looked at, and there is nothing",
	          writer->path);
	sim_check(disk->sim, piece->first + piece->count <= writer->chunks, "%s: chunks to look at are none of it",
	          writer->path);
	piece->kept = 0;
	piece->code = writer->code < 0 ? writer->code : sim_disk_fault(disk, false);
	if (piece->code == 0 && partial && writer->file == NULL) {
		int r = sim_writer_resume(writer);

		if (r < 0 && r != -ENOENT)
			piece->code = r;
		if (r < 0)
			return;
	}
	name = partial ? writer->file : file_at(disk, writer->final);
	if (piece->code < 0 || name == NULL)
		return;
	if (piece->zeroes) {
		keep_zeroes(writer, piece, name->content);
		return;
	}
	for (uint64_t i = 0; i < piece->count; i++) {
		uint64_t hash = hash_there(writer, name->content, piece->first + i);

		if (hash == 0 || !chunk_right(writer, piece, i, hash) ||
		    !sim_writer_count(writer, piece->first + i, hash))
			continue;
		piece->kept |= UINT64_C(1) << i;
		if (partial && writer->chunks > 1)
			sim_writer_note(writer, piece->first + i, hash);
	}
}
