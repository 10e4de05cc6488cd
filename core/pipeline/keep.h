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
	uint64_t first, count;   /* chunks, at most 64, but for zeroes */
	bool zeroes;             /* they have to be zeroes (a hole at the source): asked of the file system, data is read */
	/*
	 * What they have to be: digest_size bytes each, or NULL for the claims of the journal (by their digest where they
	 * are of the same suite, else by their CRC-32C). The bytes lie in a buffer that the loop holds.
	 */
	const uint8_t *digests;
	/* Results. */
	uint64_t kept; /* bit i: chunk first + i is right and counts; for zeroes bit 0: all of them are */
	int code;      /* 0; else an error of the store: nothing is kept */
};
enum { KEEP_PIECES_MAX = 64, KEEP_CHUNKS_MAX = 64 };
struct keep_job {
	struct job job;
	struct lent *buffer; /* the loop's: all pieces together go into it, see keep_job_fits() */
	size_t count;
	struct keep_piece pieces[KEEP_PIECES_MAX];
};

/* Bytes of chunks that a buffer of a read job (read_job_buffer_size()) takes at least; one chunk always fits. */
size_t keep_job_payload(const struct suite *suite);

#endif
