/* SPDX-License-Identifier: BSD-2-Clause */
/* Files written chunk by chunk from content that is made here, with a journal, as a sink would order it. */
#ifndef XFER_TESTS_PIPE_WRITE_H
#define XFER_TESTS_PIPE_WRITE_H

#include "pipe-rig.h"

enum { PUT_SECONDS = 1500000000, PUT_NS = 123456789 };

/* A transfer that goes on from run to run. */
struct put {
	struct rig *rig;
	struct journal *journal; /* NULL: none */
	bool resumed;
	struct write_job write; /* being filled */
	struct keep_job keep;
	struct probe_job probe;
	uint8_t *bytes; /* of the chunks in `write`, each a chunk and its digest */
	size_t used;
};

static MAYBE void put_journal_open(struct put *put)
{
	struct journal_suite suite = {
		.chunk_size = put->rig->suite.limits.chunk_size,
		.digest_size = put->rig->suite.limits.digest_size,
		.integrity = "fnv",
	};
	struct journal_head head = { .id = "sixteen bytes of", .source = "test", .partial = ".xfer-partial" };
	if (suite.digest_size == 0)
		strcpy(suite.integrity, "none");
	assert_int_equal(journal_open(&put->journal, put->rig->scratch->root, ".xfer-journal", &head, &suite,
	                              &put->resumed, NULL),
	                 0);
}

static MAYBE void put_begin(struct put *put, struct rig *rig, bool journal)
{
	memset(put, 0, sizeof(*put));
	put->rig = rig;
	put->bytes = malloc((size_t)WRITE_PIECES_MAX * (65536 + FRAME_DIGEST_MAX));
	put->keep.buffer = lend_get(rig->lender, 4 << 20);
	assert_non_null(put->bytes);
	assert_non_null(put->keep.buffer);
	if (journal)
		put_journal_open(put);
}

static MAYBE void put_end(struct put *put)
{
	ranges_free(&put->probe.pieces[0].claims);
	journal_close(put->journal);
	lent_unref(put->keep.buffer);
	free(put->bytes);
}

/* The next run, perhaps cut otherwise. */
static MAYBE void put_again(struct put *put, uint32_t chunk_size, uint32_t digest_size)
{
	journal_close(put->journal);
	put->journal = NULL;
	rig_suite(put->rig, chunk_size, digest_size);
	lent_unref(put->keep.buffer);
	put->keep.buffer = lend_get(put->rig->lender, read_job_buffer_size(&put->rig->suite));
	assert_non_null(put->keep.buffer);
	put_journal_open(put);
	assert_true(put->resumed);
}

static MAYBE struct write_place put_place(struct put *put, enum write_reuse reuse, uint64_t size)
{
	return (struct write_place){
		.root = put->rig->scratch->root,
		.path = ".xfer-partial",
		.final = "copy",
		.reuse = reuse,
		.old = "copy",
		.journal = put->journal,
		.name = "file",
		.identity = { .size = size, .mtime = PUT_SECONDS, .mtime_ns = PUT_NS },
	};
}

static MAYBE struct write_file *put_file_at(struct put *put, const struct write_place *place, uint64_t size)
{
	struct write_file *file;
	assert_int_equal(write_file_create(&file, place, &put->rig->suite, size), 0);
	return file;
}

static MAYBE struct write_file *put_file_open(struct put *put, enum write_reuse reuse, uint64_t size, uint32_t number)
{
	struct write_place place = put_place(put, reuse, size);
	place.number = number;
	return put_file_at(put, &place, size);
}

static MAYBE uint64_t put_chunks(struct put *put, uint64_t size)
{
	uint32_t chunk = put->rig->suite.limits.chunk_size;
	return (size + chunk - 1) / chunk;
}

static MAYBE struct write_piece *put_piece(struct put *put, struct write_file *file, enum write_op op)
{
	assert_true(put->write.count < WRITE_PIECES_MAX);
	struct write_piece *piece = &put->write.pieces[put->write.count++];
	*piece = (struct write_piece){ .file = file, .op = op };
	return piece;
}

/* Chunk `index` of a file of `size` bytes with the content of `seed`, and its digest. */
static MAYBE struct write_piece *put_chunk(struct put *put, struct write_file *file, unsigned seed, uint64_t size,
                                           uint64_t index)
{
	uint32_t chunk = put->rig->suite.limits.chunk_size;
	uint64_t from = index * chunk;
	uint32_t len = size - from < chunk ? (uint32_t)(size - from) : chunk;
	uint8_t *at = put->bytes + put->used;
	struct write_piece *piece = put_piece(put, file, WRITE_CHUNK);
	for (uint32_t i = 0; i < len; i++)
		at[i] = rig_byte(seed, from + i);
	rig_digest(&put->rig->integrity, at, len, at + len, 0);
	put->used += len + FRAME_DIGEST_MAX;
	piece->chunk = (struct frame_chunk){ .index = index, .length = len, .payload = at, .digest = at + len };
	return piece;
}

static MAYBE struct write_piece *put_last(struct put *put, struct write_file *file, enum write_op op, uint64_t size)
{
	struct write_piece *piece = put_piece(put, file, op);
	piece->size = size;
	piece->chunks = put_chunks(put, size);
	piece->meta = (struct store_meta){ .mode = 0640, .mtime = { PUT_SECONDS, PUT_NS } };
	return piece;
}

static MAYBE void put_run_any(struct put *put)
{
	rig_run(put->rig, &put->write.job, JOB_WRITE);
}

static MAYBE void put_clear(struct put *put)
{
	put->write.count = 0;
	put->used = 0;
}

/* Runs the job; all pieces have this code. */
static MAYBE void put_run(struct put *put, int code)
{
	put_run_any(put);
	for (size_t i = 0; i < put->write.count; i++)
		assert_int_equal(put->write.pieces[i].code, code);
	put_clear(put);
}

static MAYBE int put_op(struct put *put, struct write_file *file, enum write_op op, uint64_t size)
{
	put_last(put, file, op, size);
	put_run_any(put);
	int code = put->write.pieces[0].code;
	put_clear(put);
	return code;
}

/* Chunks [from, to) that did not fall victim to `leave` out of 64. */
static MAYBE void put_run_chunks(struct put *put, struct write_file *file, unsigned seed, uint64_t size, uint64_t from,
                                 uint64_t to, uint64_t leave)
{
	for (uint64_t i = from; i < to; i++)
		if ((leave >> (i % 64) & 1) == 0)
			put_chunk(put, file, seed, size, i);
	put_run(put, 0);
}

static MAYBE struct keep_piece *put_keep_piece(struct put *put, struct write_file *file, uint64_t first, uint64_t count,
                                               const uint8_t *digests)
{
	struct keep_piece *piece = &put->keep.pieces[put->keep.count++];
	*piece = (struct keep_piece){ .file = file, .first = first, .count = count, .digests = digests };
	return piece;
}

/* One keep piece alone: its mask; the code is 0. */
static MAYBE uint64_t put_keep(struct put *put, struct write_file *file, uint64_t first, uint64_t count,
                               const uint8_t *digests)
{
	put->keep.count = 0;
	struct keep_piece *piece = put_keep_piece(put, file, first, count, digests);
	rig_run(put->rig, &put->keep.job, JOB_KEEP);
	assert_int_equal(piece->code, 0);
	assert_int_equal(put->keep.journal_code, 0);
	return piece->kept;
}

static MAYBE bool put_keep_zeroes(struct put *put, struct write_file *file, uint64_t first, uint64_t count)
{
	put->keep.count = 0;
	struct keep_piece *piece = put_keep_piece(put, file, first, count, NULL);
	piece->zeroes = true;
	rig_run(put->rig, &put->keep.job, JOB_KEEP);
	assert_int_equal(piece->code, 0);
	return piece->kept == 1;
}

/* Probes the file of put_place(): *number may be NULL. */
static MAYBE struct probe_piece *put_probe(struct put *put, const struct write_place *place, unsigned flags)
{
	struct probe_piece *piece = &put->probe.pieces[0];
	ranges_free(&piece->claims);
	*piece = (struct probe_piece){
		.root = place->root,
		.name = place->name,
		.path = place->path,
		.final = place->final,
		.identity = place->identity,
		.flags = flags,
	};
	put->probe.count = 1;
	put->probe.journal = put->journal;
	rig_run(put->rig, &put->probe.job, JOB_PROBE);
	assert_int_equal(piece->code, 0);
	return piece;
}

/* The digests of a file's chunks: `out` holds chunks * RIG_DIGEST bytes. */
static MAYBE void put_digests(struct put *put, unsigned seed, uint64_t size, uint8_t *out)
{
	for (uint64_t i = 0; i < put_chunks(put, size); i++, out += RIG_DIGEST) {
		struct write_piece *piece = put_chunk(put, NULL, seed, size, i);
		memcpy(out, piece->chunk.digest, RIG_DIGEST);
		put_clear(put);
	}
}

/* `name` has the content of `seed`, mode and times of put_last(). */
static MAYBE void put_is(struct put *put, const char *name, unsigned seed, uint64_t size)
{
	struct stat st;
	rig_file(put->rig, "expected", seed, size);
	rig_same(put->rig, "expected", name);
	assert_int_equal(fstatat(put->rig->scratch->fd, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_mtim.tv_sec, PUT_SECONDS);
	assert_int_equal(st.st_mtim.tv_nsec, PUT_NS);
	assert_int_equal(unlinkat(put->rig->scratch->fd, "expected", 0), 0);
}

/* Turns over one byte. */
static MAYBE void put_damage(struct put *put, const char *name, uint64_t at)
{
	int fd = openat(put->rig->scratch->fd, name, O_RDWR | O_CLOEXEC);
	uint8_t byte;
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

/* The file that most tests write: ten chunks. */
enum { SEED = 5, TEN = 10 * RIG_CHUNK - 100, ALL = 0x3ff };

/* Writes chunks of a first run (all but those in the mask `leave`), which then ends. */
static MAYBE void put_first_run(struct put *put, uint64_t leave)
{
	struct write_file *file = put_file_open(put, WRITE_NEW, TEN, 0);
	put_run_chunks(put, file, SEED, TEN, 0, put_chunks(put, TEN), leave);
	assert_int_equal(put_op(put, file, WRITE_CLOSE, TEN), 0);
	write_file_destroy(file);
	assert_true(exists(put->rig->scratch->fd, ".xfer-partial"));
}

/* Fetches what is not in the mask, publishes, and looks at the result. */
static MAYBE void put_finish(struct put *put, struct write_file *file, uint64_t kept)
{
	uint8_t digest[RIG_DIGEST], made[RIG_DIGEST] = { 0 };
	put_run_chunks(put, file, SEED, TEN, 0, put_chunks(put, TEN), kept);
	put_last(put, file, WRITE_PUBLISH, TEN)->made = made;
	put_run(put, 0);
	write_file_destroy(file);
	put_is(put, "copy", SEED, TEN);
	assert_false(exists(put->rig->scratch->fd, ".xfer-partial"));
	if (put->rig->suite.limits.digest_size == 0)
		return;
	rig_file_digest(put->rig, "copy", TEN, digest);
	assert_memory_equal(made, digest, RIG_DIGEST);
}

#endif
