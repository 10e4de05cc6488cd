/* SPDX-License-Identifier: BSD-2-Clause */
/* What the checks of integrity share: digests in guarded places, and comparing them. */
#ifndef XFER_CMD_CHECK_INTEGRITY_H
#define XFER_CMD_CHECK_INTEGRITY_H

#include "check.h"

enum { OUT_MARGIN = 64, OUT_FILL = 0xa5 };

/* A digest with margins that have to stay as they are. */
struct out {
	uint8_t before[OUT_MARGIN];
	uint8_t bytes[XFER_DIGEST_MAX + OUT_MARGIN];
};

void out_reset(struct out *out);
/* `where` says which call with which input it was. */
enum kit_outcome out_check(struct kit *kit, const struct out *out, const uint8_t *want, const char *call,
                           const char *where);

/* The digest of the whole in one call, by which the others are judged: `want` holds XFER_DIGEST_MAX bytes. */
enum kit_outcome whole_digest(struct kit *kit, const void *bytes, size_t len, uint8_t *want);
enum kit_outcome hash_make(struct kit *kit, struct xfer_hash **out);
/* hash_update() with each part (ended by `count`), then hash_finish(), which has to give `want`. */
enum kit_outcome hash_parts(struct kit *kit, struct xfer_hash *hash, const uint8_t *bytes, const size_t *lens,
                            size_t count, const uint8_t *want, const char *where);
/* hash_finish(), which has to give `want`. */
enum kit_outcome hash_end(struct kit *kit, struct xfer_hash *hash, const uint8_t *want, const char *where);

/* ---- integrity_agree.c ---- */
enum kit_outcome check_same(struct kit *kit);
enum kit_outcome check_chunk(struct kit *kit);
enum kit_outcome check_lanes(struct kit *kit);
/* ---- integrity_memory.c ---- */
enum kit_outcome check_aligned(struct kit *kit);
enum kit_outcome check_bounds(struct kit *kit);
enum kit_outcome check_threads(struct kit *kit);
enum kit_outcome check_integrity_leaks(struct kit *kit);

#endif
