/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keep job: chunks that are on disk already are read and compared with digests, the journal's or the source's. Right
 * ones count as if they had come (in the file's tally, and in the journal where it does not have them); nothing is written
 * to the file.
 */
#ifndef XFER_PIPELINE_KEEP_H
#define XFER_PIPELINE_KEEP_H

#include "pipeline/job.h"
#include "pipeline/lend.h"
#include "pipeline/write.h"

struct keep_piece {
	struct write_file *file; /* made with a `reuse`: chunks are read from what it names */
	uint64_t first, count;   /* chunks, at most KEEP_CHUNKS_MAX; any number of zeroes */
	bool zeroes;             /* all of them have to be full chunks of zeroes, whether holes or not */
	/*
	 * What they have to be: digest_size bytes each, or NULL for the claims of the journal (by their digest where they
	 * are of the same suite, else by their CRC-32C). The caller's, until the job is back.
	 */
	const uint8_t *digests;
	/* Results. */
	uint64_t kept; /* bit i: chunk first + i is right and counts; for zeroes bit 0, for all of them */
	int code;      /* 0; else an error of the store: nothing is kept */
	/* The pipeline's. */
	size_t at;             /* of the first chunk, in the buffer */
	uint64_t there;        /* bit i: it was read */
	uint64_t proved;       /* bit i: by the CRC-32C of a claim */
	const uint8_t *expect; /* digests, as above; of claims: those of `by_digest` */
	uint64_t by_digest;    /* bit i: its digest is to be compared */
};
enum { KEEP_PIECES_MAX = 64, KEEP_CHUNKS_MAX = 64 };
struct keep_job {
	struct job job;
	struct lent *buffer; /* the loop's: read_job_buffer_size() bytes, so that keep_job_payload() bytes are read */
	size_t count;
	int journal_code; /* result, as in a write_job */
	bool noted;       /* the pipeline's: something is to go into the journal */
	struct keep_piece pieces[KEEP_PIECES_MAX];
};

/* Bytes of chunks that the pieces of a job may have together (zeroes do not count): at least one chunk. */
size_t keep_job_payload(const struct suite *suite);

#endif
