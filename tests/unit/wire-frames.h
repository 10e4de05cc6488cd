/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the tests and fuzz targets of core/wire: an example of each frame, and a whole body read and written anew. */
#ifndef XFER_TESTS_WIRE_FRAMES_H
#define XFER_TESTS_WIRE_FRAMES_H

#include "wire/frame.h"
#include "wire/message.h"

#include <stdbool.h>

enum { WIRE_DIGEST_SIZE = 4 }; /* of the examples */

/* Limits as in the middle of a session: 1 KiB chunks, digests of WIRE_DIGEST_SIZE. */
extern const struct frame_limits wire_limits;

struct wire_example {
	const char *name;
	enum frame_type type;
	uint32_t request;
	int (*write)(struct buf *out); /* appends the whole frame */
};
extern const struct wire_example wire_examples[];
extern const size_t wire_example_count;

/*
 * Reads the body of a control frame to its end, as a session would, and appends the frame that its content makes.
 * -EPROTO when it was refused. *skipped (may be NULL): nothing was written, for this is a HELLO of another version.
 */
int wire_recode(enum frame_type type, uint32_t request, const uint8_t *body, size_t len, uint32_t digest_size,
                struct buf *out, bool *skipped, struct error *err);

/* A seeded source of numbers (splitmix64), so that a failure can be repeated. */
uint64_t wire_random(uint64_t *state);
/* Random bytes, many of them such as stand at the edges of fields. */
void wire_random_bytes(uint64_t *state, uint8_t *out, size_t len);

#endif
