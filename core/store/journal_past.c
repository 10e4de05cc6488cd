/* SPDX-License-Identifier: BSD-2-Clause */
/* What an earlier run of a transfer left in its journal. */
#include "store/beneath.h"
#include "store/journal_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- names ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Not for the world to see, only different from one opening to the next. */
static uint64_t hash_path(uint64_t seed, const char *path, size_t len)
{
	uint64_t hash = seed ^ len;
	while (len > 0) {
		uint64_t word = 0;
		size_t part = len < sizeof(word) ? len : sizeof(word);
		memcpy(&word, path, part);
		hash = mix(hash ^ word, seed | 1) + 0x9e3779b97f4a7c15u;
		path += part;
		len -= part;
	}
	return mix(hash, 0xd1342543de82ef95u);
}

/* ---- loading ---- */

struct place {
	struct store_root *root;
	char parent[STORE_PATH_MAX + 1]; /* of the journal */
	bool in_memory;
};

/* A file for an index: beside the journal, where there is room for what is transferred too. */
static int make_file(void *context, int *fd)
{
	struct place *place = context;
	if (!place->in_memory)
		return store_open(place->root, place->parent, O_TMPFILE | O_RDWR, 0600, fd);
	int made = memfd_create("xfer-journal", MFD_CLOEXEC);
	if (made < 0)
		return -errno;
	*fd = made;
	return 0;
}

static bool same_suite(const struct journal_suite *a, const struct journal_suite *b)
{
	return a->chunk_size == b->chunk_size && a->digest_size == b->digest_size &&
	       strcmp(a->integrity, b->integrity) == 0;
}

static void load_suite(struct past *past, const struct record *record)
{
	struct journal_suite suite;
	if (!record_get_suite(record, &suite) || past->suites[record->number].chunk_size != 0)
		return;
	past->suites[record->number] = suite;
	if (past->suite_count <= record->number)
		past->suite_count = record->number + 1;
}

static int load_file(struct past *past, const struct record *record, uint32_t *last)
{
	struct journal_file file;
	struct record_text path;
	if (!record_get_file(record, &file, &path) || record->number <= *last ||
	    record->number > record->at / RECORD_FILE_MIN + 1)
		return 0;
	*last = record->number;
	if (past->number < record->number)
		past->number = record->number;
	struct index_entry entry = { hash_path(past->seed, path.bytes, path.len), record->number, record->at };
	return index_add(past->files, &entry);
}

static int load_chunk(struct past *past, const struct record *record)
{
	struct journal_chunk chunk;
	uint32_t suite, digest_size;
	if (!record_get_chunk(record, &chunk, &suite, &digest_size) || suite >= past->suite_count ||
	    record->number == 0 || record->number > record->at / RECORD_FILE_MIN)
		return 0;
	const struct journal_suite *cut = &past->suites[suite];
	if (cut->chunk_size == 0 || cut->digest_size != digest_size || chunk.offset % cut->chunk_size != 0 ||
	    chunk.length == 0 || chunk.length > cut->chunk_size || chunk.offset > (uint64_t)INT64_MAX)
		return 0;
	if (past->number < record->number)
		past->number = record->number;
	struct index_entry entry = { (uint64_t)record->number << 8 | suite, chunk.offset / cut->chunk_size,
		                     record->at };
	return index_add(past->chunks, &entry);
}

/* As past_load(), without another try and without cleaning up. */
static int load(struct past *past, struct place *place, const uint8_t id[JOURNAL_ID])
{
	struct scan scan;
	struct record record;
	uint8_t found[JOURNAL_ID];
	struct record_text source, partial, target;
	uint32_t last = 0;
	bool ours = false;
	int code = index_new(&past->files, make_file, place);
	if (code == 0)
		code = index_new(&past->chunks, make_file, place);
	if (code == 0)
		code = scan_open(&scan, past->fd, 0);
	if (code < 0)
		return code;
	while (code >= 0 && (code = scan_next(&scan, &record)) == 1) {
		switch (record.type) {
		case RECORD_HEAD:
			if (!record_get_head(&record, found, &source, &partial, &target))
				break;
			ours = memcmp(found, id, JOURNAL_ID) == 0;
			if (!ours) {
				scan_close(&scan);
				return 0;
			}
			break;
		case RECORD_SUITE: load_suite(past, &record); break;
		case RECORD_FILE: code = load_file(past, &record, &last); break;
		case RECORD_CHUNK: code = load_chunk(past, &record); break;
		}
	}
	scan_close(&scan);
	if (code == 0)
		code = index_seal(past->files);
	if (code == 0)
		code = index_seal(past->chunks);
	return code < 0 ? code : ours;
}

/* Our suite's number among those of the file, or a free one; false: there is none. */
static bool place_suite(struct past *past, const struct journal_suite *suite)
{
	uint32_t free_one = RECORD_SUITES;
	for (uint32_t i = RECORD_SUITES; i-- > 0;) {
		if (past->suites[i].chunk_size == 0)
			free_one = i;
		else if (same_suite(&past->suites[i], suite)) {
			past->own = i;
			return true;
		}
	}
	past->own = free_one;
	return free_one < RECORD_SUITES;
}

void past_free(struct past *past)
{
	index_free(past->files);
	index_free(past->chunks);
	past->files = NULL;
	past->chunks = NULL;
}

int past_load(struct past *past, int fd, struct store_root *root, const char *path, const uint8_t id[JOURNAL_ID],
              const struct journal_suite *suite)
{
	struct place place = { .root = root };
	const char *slash = strrchr(path, '/');
	memcpy(place.parent, path, slash ? (size_t)(slash - path) : 0);
	for (;;) {
		*past = (struct past){ .fd = fd };
		if (getrandom(&past->seed, sizeof(past->seed), GRND_NONBLOCK) < 0)
			past->seed = (uint64_t)(uintptr_t)past; /* the seed is not worth waiting for */
		int code = load(past, &place, id);
		if (code == 1 && !place_suite(past, suite))
			code = 0;
		if (code == 1)
			return code;
		past_free(past);
		/* A disk that has no room for the index, or knows no files without a name. */
		if (code == 0 || code == -ENOMEM || place.in_memory)
			return code;
		place.in_memory = true;
	}
}

/* ---- finding ---- */

/* The last FILE record of that path. */
static int find_file(const struct past *past, const char *path, uint32_t *number, struct journal_file *out)
{
	size_t len = strlen(path);
	uint64_t hash = hash_path(past->seed, path, len);
	const struct index_entry beyond = { hash, UINT64_MAX, UINT64_MAX };
	uint8_t *room = NULL;
	uint64_t rank;
	int code = past->files ? index_rank(past->files, &beyond, &rank) : -ENOENT;
	while (code == 0) {
		struct index_entry entry;
		struct record record;
		struct record_text found;
		if (rank == 0)
			code = -ENOENT;
		else if ((code = index_read(past->files, --rank, &entry, 1)) >= 0)
			code = entry.major == hash ? 0 : -ENOENT;
		if (code == 0 && !room) {
			room = malloc(RECORD_EXTRA + RECORD_BODY_MAX);
			code = room ? 0 : -ENOMEM;
		}
		if (code == 0)
			code = record_read(past->fd, entry.at, room, &record);
		if (code == 0 && record.type == RECORD_FILE && record.number == entry.minor &&
		    record_get_file(&record, out, &found) && found.len == len && memcmp(found.bytes, path, len) == 0) {
			*number = record.number;
			break;
		}
	}
	free(room);
	return code;
}

/* Chunks of the size `chunk_size` that lie in [begin, end) of a file. Beyond RANGES_MAX they are left out. */
static int claim(struct ranges *claims, uint64_t begin, uint64_t end, uint64_t size, uint32_t chunk_size)
{
	uint64_t first = begin / chunk_size + (begin % chunk_size != 0);
	uint64_t last = end / chunk_size + (end == size && end % chunk_size != 0); /* the one behind */
	int code = last > first ? ranges_add(claims, first, last - first) : 0;
	return code == -E2BIG ? 0 : code;
}

/* One suite's chunks of a file, in order. */
struct lane {
	struct index_cursor cursor;
	uint64_t major;
	uint64_t begin, end; /* of the chunk at the front, bytes; begin == UINT64_MAX: no more */
	uint32_t chunk_size;
};

static int lane_step(struct lane *lane, uint64_t size)
{
	struct index_entry entry;
	int code = index_next(&lane->cursor, &entry);
	if (code < 0)
		return code;
	if (code == 0 || entry.major != lane->major || entry.minor > (size - 1) / lane->chunk_size) {
		lane->begin = UINT64_MAX;
		return 0;
	}
	lane->begin = entry.minor * lane->chunk_size;
	lane->end = size - lane->begin > lane->chunk_size ? lane->begin + lane->chunk_size : size;
	return 0;
}

static int lane_open(struct lane *lane, const struct past *past, uint32_t number, unsigned suite, uint64_t size)
{
	lane->major = (uint64_t)number << 8 | suite;
	lane->chunk_size = past->suites[suite].chunk_size;
	int code = index_seek(&lane->cursor, past->chunks, lane->major, 0);
	return code < 0 ? code : lane_step(lane, size);
}

/* Joins the lanes' chunks to runs of bytes, and makes chunks of ours from these. */
static int join_lanes(struct lane *lanes, size_t count, uint64_t size, uint32_t chunk_size, struct ranges *claims)
{
	uint64_t begin = 0, end = 0; /* of the run */
	for (;;) {
		struct lane *first = &lanes[0];
		for (size_t i = 1; i < count; i++)
			if (lanes[i].begin < first->begin)
				first = &lanes[i];
		int code = 0;
		if (first->begin > end || first->begin == UINT64_MAX) {
			code = claim(claims, begin, end, size, chunk_size);
			begin = first->begin;
			end = first->begin;
		}
		if (code < 0 || first->begin == UINT64_MAX)
			return code;
		if (end < first->end)
			end = first->end;
		code = lane_step(first, size);
		if (code < 0)
			return code;
	}
}

static int find_claims(const struct past *past, uint32_t number, uint64_t size, uint32_t chunk_size,
                       struct ranges *claims)
{
	struct lane *lanes = calloc(past->suite_count, sizeof(*lanes));
	size_t count = 0;
	int code = lanes ? 0 : -ENOMEM;
	for (unsigned i = 0; code == 0 && i < past->suite_count; i++) {
		if (past->suites[i].chunk_size == 0)
			continue;
		code = lane_open(&lanes[count], past, number, i, size);
		if (lanes[count].begin != UINT64_MAX)
			count++;
	}
	if (code == 0 && count > 0)
		code = join_lanes(lanes, count, size, chunk_size, claims);
	free(lanes);
	return code;
}

int journal_find(struct journal *journal, const char *path, uint32_t *number, struct journal_file *out,
                 struct ranges *claims)
{
	const struct past *past = &journal->past;
	struct journal_file file;
	struct ranges found = { 0 };
	uint32_t file_number = 0;
	int code = find_file(past, path, &file_number, &file);
	if (code == 0 && file.size > 0 && past->suite_count > 0)
		code = find_claims(past, file_number, file.size, journal->suite.chunk_size, &found);
	if (code < 0) {
		ranges_free(&found);
		return code;
	}
	*number = file_number;
	*out = file;
	*claims = found;
	return 0;
}

/* ---- single claims ---- */

/* The last claim of the suite's chunk that holds `offset`. */
static int claim_of(const struct past *past, uint32_t number, unsigned suite, uint64_t offset,
                    struct journal_claim *out)
{
	const struct journal_suite *cut = &past->suites[suite];
	uint8_t room[RECORD_EXTRA + RECORD_BODY_MAX];
	struct index_entry entry;
	struct record record;
	struct journal_chunk chunk;
	uint32_t of_suite, digest_size;
	if (cut->chunk_size == 0)
		return -ENOENT;
	int code = index_last(past->chunks, (uint64_t)number << 8 | suite, offset / cut->chunk_size, &entry);
	if (code == 0)
		code = record_read(past->fd, entry.at, room, &record);
	if (code < 0)
		return code;
	/* It was all right when it was read; somebody may have written into the file since. */
	if (record.type != RECORD_CHUNK || record.number != number ||
	    !record_get_chunk(&record, &chunk, &of_suite, &digest_size) || of_suite != suite ||
	    digest_size != cut->digest_size || chunk.offset != offset - offset % cut->chunk_size ||
	    offset - chunk.offset >= chunk.length)
		return -ENOENT;
	*out = (struct journal_claim){
		.offset = chunk.offset,
		.length = chunk.length,
		.crc = chunk.crc,
		.same = suite == past->own,
	};
	memcpy(out->digest, chunk.digest, digest_size);
	return 0;
}

int journal_claims(struct journal *journal, uint32_t number, uint64_t offset, uint32_t length,
                   struct journal_claim *out, size_t max)
{
	const struct past *past = &journal->past;
	uint64_t end;
	size_t count = 0;
	if (!past->chunks || max == 0 || __builtin_add_overflow(offset, length, &end))
		return -ENOENT;
	if (past->own < past->suite_count) {
		int code = claim_of(past, number, past->own, offset, out);
		if (code == 0 && out->offset == offset && out->length == length)
			return 1;
		if (code < 0 && code != -ENOENT)
			return code;
	}
	while (offset < end && count < max) {
		struct journal_claim *best = &out[count];
		uint64_t best_end = 0;
		for (unsigned i = 0; i < past->suite_count; i++) {
			struct journal_claim one;
			int code = claim_of(past, number, i, offset, &one);
			if (code < 0 && code != -ENOENT)
				return code;
			if (code == 0 && one.offset + one.length > best_end) {
				*best = one;
				best_end = one.offset + one.length;
			}
		}
		if (best_end <= offset)
			return -ENOENT;
		offset = best_end;
		count++;
	}
	return count > 0 ? (int)count : -ENOENT;
}
