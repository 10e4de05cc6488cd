/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of frames, taken apart as a receiver does it.
 * Input: a byte that chooses (SETTLED: after the welcome; SEALED: checks and CRCs are made right, so that what stands
 * behind them is reached), then the stream.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "wire/bytes.h"

#include "wire-frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "frames";

enum { SETTLED = 1, SEALED = 2 };

/* Makes the header's check fit what stands there; see the drawing in wire/frame.h. */
static void seal_header(uint8_t *header)
{
	uint32_t crc = crc32c(crc32c(0, header, 2), header + 4, 8);

	store_u16(header + 2, (uint16_t)(crc >> 16 ^ crc));
}

/* Makes the CRC fit the header and the bytes behind it that it covers. */
static void seal_frame(uint8_t *frame, size_t covered)
{
	store_u32(frame + 12, crc32c(crc32c(0, frame, 12), frame + FRAME_HEADER, covered));
}

static void refused(int code, const struct error *err)
{
	if ((code != -EPROTO && code != -EBADMSG) || err->code != code || err->fault != FAULT_PEER)
		abort();
}

/* Length of the chunk frame at the front, or 0: it is refused or not all there. */
static size_t take_chunk(uint8_t *frame, size_t left, const struct frame_limits *limits, bool sealed)
{
	size_t overhead = frame_chunk_overhead(limits);
	struct frame_chunk chunk;
	struct error err = { 0 };

	if (left < overhead)
		return 0;
	if (sealed)
		seal_frame(frame, overhead - FRAME_HEADER);
	int code = frame_chunk_read(frame, limits, &chunk, &err);
	if (code < 0) {
		refused(code, &err);
		return 0;
	}
	if (chunk.length == 0 || chunk.length > limits->chunk_size || chunk.request == 0 ||
	    chunk.payload != frame + overhead || chunk.digest + limits->digest_size != chunk.payload ||
	    chunk.index > (uint64_t)INT64_MAX / limits->chunk_size - 1)
		abort();
	return left - overhead >= chunk.length ? overhead + chunk.length : 0;
}

/* The same of a control frame. */
static size_t take_control(uint8_t *frame, size_t left, const struct frame_header *header,
                           const struct frame_limits *limits, bool sealed)
{
	const uint8_t *body = frame + FRAME_HEADER;
	struct buf again = { 0 };
	struct error err = { 0 };

	if (header->length > limits->control_max)
		abort();
	if (left - FRAME_HEADER < header->length)
		return 0;
	if (sealed)
		seal_frame(frame, header->length);
	int code = frame_control_check(frame, body, header->length, &err);
	if (code == 0)
		code = wire_recode(header->type, header->request, body, header->length, limits->digest_size, &again,
		                   NULL, &err);
	/* READ: ids that would wrap around are the receiver's to refuse; our writer does not make them. */
	if (code < 0 && !(header->type == FRAME_READ && code == -EINVAL))
		refused(code, &err);
	buf_free(&again);
	return code == 0 ? FRAME_HEADER + header->length : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct frame_limits first = { .control_max = FRAME_HELLO_MAX };

	if (len < 1)
		return 0;
	const struct frame_limits *limits = (bytes[0] & SETTLED) != 0 ? &wire_limits : &first;
	bool sealed = (bytes[0] & SEALED) != 0;
	size_t left = len - 1, taken;
	uint8_t *stream = malloc(left > 0 ? left : 1);
	if (stream == NULL)
		return 0;
	memcpy(stream, bytes + 1, left);

	for (uint8_t *at = stream; left >= FRAME_HEADER; at += taken, left -= taken) {
		struct frame_header header;
		struct error err = { 0 };
		if (sealed)
			seal_header(at);
		int code = frame_header_read(at, limits, &header, &err);
		if (code < 0) {
			refused(code, &err);
			break;
		}
		taken = header.type == FRAME_CHUNK ? take_chunk(at, left, limits, sealed)
		                                   : take_control(at, left, &header, limits, sealed);
		if (taken == 0)
			break;
	}
	free(stream);
	return 0;
}

/* All examples in a row and a chunk behind each, whole; then each alone. */
int fuzz_seed(size_t i, struct buf *out)
{
	static const uint8_t digest[WIRE_DIGEST_SIZE];
	uint8_t chunk[FRAME_HEADER + FRAME_CHUNK_HEAD + WIRE_DIGEST_SIZE + 3] = { 0 };
	uint8_t choice = i % 2 == 0 ? SETTLED : SETTLED | SEALED;

	if (i >= 2 * wire_example_count + 2)
		return 0;
	if (i == 2 * wire_example_count)
		choice = SEALED;
	frame_chunk_seal(chunk, &wire_limits, 4, 0, i, 3, digest);
	int code = buf_append(out, &choice, 1);
	for (size_t k = 0; code == 0 && k < wire_example_count; k++) {
		if (i < 2 * wire_example_count && k != i / 2)
			continue;
		code = wire_examples[k].write(out);
		if (code == 0)
			code = buf_append(out, chunk, sizeof(chunk));
	}
	return code == 0 ? 1 : code;
}
