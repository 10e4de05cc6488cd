/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file digest, made of chunk digests that come in any order: those that are next in line go into a running hash,
 * those that came too early wait. Thread-safe. With a digest_size of 0 it only counts.
 */
#ifndef XFER_PIPELINE_TALLY_H
#define XFER_PIPELINE_TALLY_H

#include "pipeline/job.h"

enum { TALLY_AHEAD_MAX = 65536 }; /* digests that may wait for an earlier one */
struct tally;

/* The head of the file digest is hashed first, so the size must be known. */
int tally_create(struct tally **out, const struct suite *suite, uint64_t file_size);
void tally_destroy(struct tally *tally); /* NULL is allowed */
/*
 * -ERANGE when too many wait, or for an index that is there already. (One that overlaps a waiting run is noticed by
 * tally_finish() only, which then fails: who must tell a repeated chunk from a new one has to know himself.)
 */
int tally_add(struct tally *tally, uint64_t index, const uint8_t *digest);
/* `count` chunks from `first`, their digests `stride` bytes apart. */
int tally_add_run(struct tally *tally, uint64_t first, uint64_t count, const uint8_t *digests, size_t stride);
/* `count` full chunks of zeroes from `first`; their digest is computed once. */
int tally_add_zeroes(struct tally *tally, uint64_t first, uint64_t count);
/* The digest of such a chunk. */
int tally_zero_digest(struct tally *tally, uint8_t *digest);
uint64_t tally_next(struct tally *tally); /* the first index that is missing */
/* -ENODATA unless exactly `chunks` were added; then more may be added, and this be called again. Succeeds once. */
int tally_finish(struct tally *tally, uint64_t chunks, uint8_t *digest);

#endif
