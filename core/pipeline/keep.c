/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The storage stage of keep jobs: chunks are read, those of a piece one behind the other, and claims that have no digest
 * of this suite are tried by their CRC-32C at once.
 *
 *   | chunks of the pieces ...                        ... | digests of claims |
 *   ^ the buffer                                                              ^ its end
 */
#include "pipeline/keep.h"

#include "base/checked.h"
#include "base/crc32c.h"
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

#include <errno.h>
#include <string.h>

enum {
	CLAIMS_MAX = 8,    /* claims looked up at a time */
	ASIDE = 64 * 1024, /* bytes read at a time of what is not a chunk of the piece; on the stack */
	ZEROES_STEP = ASIDE
};

size_t keep_job_payload(const struct suite *suite)
{
	return read_job_payload(suite);
}

/* A job being filled. */
struct fill {
	struct keep_job *job;
	size_t at;      /* payload so far, bytes */
	size_t digests; /* bytes taken at the end */
	struct store_parent near;
	uint64_t bytes; /* read */
};

/* What a piece looks at. */
struct look {
	struct write_file *file;
	int fd;
	bool grows;    /* what is behind its end will be zeroes */
	uint8_t *data; /* of its first chunk, in the buffer */
	uint64_t from; /* offset of that */
	uint64_t have; /* bytes there */
};

static uint32_t chunk_len(const struct look *look, uint64_t index)
{
	return write_file_chunk_len(look->file, index);
}

/* Reads; what is behind the end of a partial file will be zeroes when it is published. Bytes, or -errno. */
static ssize_t look_read(const struct look *look, uint8_t *out, size_t len, uint64_t offset)
{
	ssize_t got = store_read(look->fd, out, len, offset);

	if (got < 0 || !look->grows)
		return got;
	memset(out + got, 0, len - (size_t)got);
	return (ssize_t)len;
}

/* Goes on with the CRC of bytes that are not in the buffer. 1: done; 0: the file ends before. */
static int crc_aside(const struct look *look, uint64_t offset, uint64_t len, uint32_t *crc)
{
	uint8_t aside[ASIDE];

	while (len > 0) {
		size_t step = len < sizeof(aside) ? (size_t)len : sizeof(aside);
		ssize_t got = look_read(look, aside, step, offset);

		if (got < 0)
			return (int)got;
		if ((size_t)got < step)
			return 0;
		*crc = crc32c(*crc, aside, step);
		offset += step;
		len -= step;
	}
	return 1;
}

/* 1: what the claim says is there; 0: it is not. */
static int claim_try(const struct look *look, const struct journal_claim *claim)
{
	uint64_t end = claim->offset + claim->length, have_end = look->from + look->have;
	uint64_t low = claim->offset > look->from ? claim->offset : look->from;
	uint64_t high = end < have_end ? end : have_end;
	uint32_t crc = 0;
	int code = 1;

	if (low >= high)
		low = high = end;
	if (claim->offset < low)
		code = crc_aside(look, claim->offset, low - claim->offset, &crc);
	if (code == 1 && low < high)
		crc = crc32c(crc, look->data + (low - look->from), (size_t)(high - low));
	if (code == 1 && high < end)
		code = crc_aside(look, high, end - high, &crc);
	return code == 1 ? crc == claim->crc : code;
}

/* As claim_try(), but many chunks in one claim read it once. */
static int claim_right(const struct look *look, const struct journal_claim *claim)
{
	struct write_file *file = look->file;

	pthread_mutex_lock(&file->lock);
	bool known = file->claim_length == claim->length && file->claim_offset == claim->offset;
	bool right = file->claim_right;
	pthread_mutex_unlock(&file->lock);
	if (known)
		return right;
	int code = claim_try(look, claim);
	if (code < 0 || claim->length <= file->suite->limits.chunk_size)
		return code;
	pthread_mutex_lock(&file->lock);
	file->claim_offset = claim->offset;
	file->claim_length = claim->length;
	file->claim_right = code == 1;
	pthread_mutex_unlock(&file->lock);
	return code;
}

/* Tries claims of other cuts, which cover the chunk together. */
static int claims_try(const struct look *look, uint64_t offset, uint32_t len)
{
	struct journal_claim claims[CLAIMS_MAX];
	uint64_t end = offset + len;

	while (offset < end) {
		int count = journal_claims(look->file->journal, look->file->past, offset, (uint32_t)(end - offset),
		                           claims, CLAIMS_MAX);

		if (count <= 0)
			return count == -ENOENT ? 0 : count;
		for (int i = 0; i < count; i++) {
			int code = claim_right(look, &claims[i]);

			if (code != 1)
				return code;
		}
		offset = claims[count - 1].offset + claims[count - 1].length;
	}
	return 1;
}

/* What the journal says of chunk `first + i`: its digest, or whether it is right. */
static int claim_look(struct keep_piece *piece, const struct look *look, uint64_t i, uint8_t *digest)
{
	uint32_t digest_size = look->file->suite->limits.digest_size;
	uint64_t offset = (piece->first + i) * look->file->suite->limits.chunk_size;
	struct journal_claim claim;
	int count = journal_claims(look->file->journal, look->file->past, offset, chunk_len(look, piece->first + i),
	                           &claim, 1);

	if (count <= 0)
		return count == -ENOENT ? 0 : count;
	if (claim.same && digest_size > 0) {
		memcpy(digest, claim.digest, digest_size);
		piece->by_digest |= UINT64_C(1) << i;
		return 0;
	}
	int code = claims_try(look, offset, chunk_len(look, piece->first + i));
	if (code == 1)
		piece->proved |= UINT64_C(1) << i;
	return code < 0 ? code : 0;
}

/* Reads the chunks of a piece, and what there is of its claims. */
static int piece_read(struct fill *fill, struct keep_piece *piece, struct look *look)
{
	uint32_t chunk_size = look->file->suite->limits.chunk_size;
	uint32_t digest_size = look->file->suite->limits.digest_size;
	uint64_t last = piece->first + piece->count - 1;
	size_t len = (size_t)(piece->count - 1) * chunk_size + chunk_len(look, last);
	size_t digests = piece->digests == NULL ? (size_t)piece->count * digest_size : 0;

	if (len > fill->job->buffer->size - fill->at ||
	    digests > fill->job->buffer->size - fill->at - len - fill->digests)
		return -ENOBUFS;
	look->data = fill->job->buffer->data + fill->at;
	look->from = piece->first * chunk_size;
	ssize_t got = look_read(look, look->data, len, look->from);
	if (got < 0)
		return (int)got;
	look->have = (uint64_t)got;
	for (uint64_t i = 0; i < piece->count; i++)
		if (i * chunk_size + chunk_len(look, piece->first + i) <= look->have)
			piece->there |= UINT64_C(1) << i;
	piece->at = fill->at;
	fill->at += len;
	fill->bytes += look->have;
	if (piece->digests != NULL) {
		piece->expect = piece->digests;
		piece->by_digest = piece->there;
		return digest_size > 0 ? 0 : -EINVAL;
	}
	if (look->file->journal == NULL || look->file->past == 0)
		return 0;
	fill->digests += digests;
	uint8_t *expect = fill->job->buffer->data + fill->job->buffer->size - fill->digests;
	piece->expect = expect;
	for (uint64_t i = 0; i < piece->count; i++)
		if (piece->there >> i & 1) {
			int code = claim_look(piece, look, i, expect + i * digest_size);

			if (code < 0)
				return code;
		}
	return 0;
}

/* 1: nothing but zeroes; 0. */
static int zeroes_try(struct fill *fill, const struct look *look, uint64_t offset, uint64_t len)
{
	static const uint8_t zeroes[ZEROES_STEP];
	uint8_t aside[ZEROES_STEP];
	uint64_t end = offset + len;
	struct stat st;

	if (fstat(look->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < end) {
		if (!look->grows)
			return 0;
		end = (uint64_t)st.st_size;
	}
	while (offset < end) {
		bool data;
		uint64_t stop;
		int code = store_extent(look->fd, offset, end, &data, &stop);

		if (code < 0)
			return code;
		while (data && offset < stop) {
			size_t step = stop - offset < sizeof(aside) ? (size_t)(stop - offset) : sizeof(aside);
			ssize_t got = store_read(look->fd, aside, step, offset);

			if (got < 0)
				return (int)got;
			if ((size_t)got < step || memcmp(aside, zeroes, step) != 0)
				return 0;
			fill->bytes += step;
			offset += step;
		}
		offset = stop;
	}
	return 1;
}

/* Chunks that lie in the file; of zeroes full ones. */
static bool piece_fits(const struct keep_piece *piece)
{
	uint64_t end, bytes;

	if (checked_add_u64(piece->first, piece->count, &end) || piece->count == 0)
		return false;
	if (!piece->zeroes)
		return piece->count <= KEEP_CHUNKS_MAX && end <= write_file_chunks(piece->file);
	return !checked_mul_u64(end, piece->file->suite->limits.chunk_size, &bytes) && bytes <= piece->file->size;
}

static int piece_look(struct fill *fill, struct keep_piece *piece)
{
	struct write_file *file = piece->file;
	struct look look = { .file = file, .grows = file->old == NULL };
	uint64_t chunk_size = file->suite->limits.chunk_size;

	if (!piece_fits(piece))
		return -ERANGE;
	int code = write_file_look(file, &fill->near, &look.fd);
	if (code == -ENOENT && look.grows)
		return 0; /* what the journal says is not there */
	if (code < 0)
		return code;
	if (piece->zeroes) {
		code = zeroes_try(fill, &look, piece->first * chunk_size, piece->count * chunk_size);
		piece->proved = code == 1;
	} else {
		code = piece_read(fill, piece, &look);
	}
	write_file_looked(file);
	return code < 0 ? code : 0;
}

static uint64_t look_stage(struct keep_job *job)
{
	struct fill fill = { .job = job };

	store_parent_init(&fill.near);
	job->journal_code = 0;
	job->noted = false;
	for (size_t i = 0; i < job->count; i++) {
		struct keep_piece *piece = &job->pieces[i];

		piece->kept = 0;
		piece->there = 0;
		piece->proved = 0;
		piece->by_digest = 0;
		piece->expect = NULL;
		piece->code = piece_look(&fill, piece);
	}
	store_parent_drop(&fill.near);
	return fill.bytes;
}

uint64_t keep_stage_storage(struct keep_job *job)
{
	if (job->job.step == 0)
		return look_stage(job);
	/* What was kept goes into the journal: all pieces are of one transfer. */
	for (size_t i = 0; i < job->count; i++)
		if (job->pieces[i].file->journal != NULL) {
			job->journal_code = journal_flush(job->pieces[i].file->journal);
			break;
		}
	return 0;
}
