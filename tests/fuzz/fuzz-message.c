/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies of control frames: what is accepted can be written, and says the same when it is read again.
 * Input: type of the frame, digest size, body.
 */
#include "fuzz.h"

#include "wire-frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "message";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf first = { 0 }, second = { 0 };
	struct error err = { 0 };
	bool skipped = false;

	if (len < 2 || len - 2 > FRAME_CONTROL_MAX)
		return 0;
	enum frame_type type = (enum frame_type)bytes[0];
	uint32_t digest_size = bytes[1] % (FRAME_DIGEST_MAX + 1);

	int code = wire_recode(type, 1, bytes + 2, len - 2, digest_size, &first, &skipped, &err);
	if (code == 0 && !skipped) {
		const uint8_t *body = first.data + FRAME_HEADER;
		size_t body_len = first.len - FRAME_HEADER;
		if (body_len > FRAME_CONTROL_MAX || frame_control_check(first.data, body, body_len, NULL) != 0)
			abort();
		if (wire_recode(type, 1, body, body_len, digest_size, &second, NULL, NULL) != 0)
			abort();
		if (second.len != first.len || memcmp(second.data, first.data, first.len) != 0)
			abort();
	} else if (code != 0 && (code != -EPROTO || err.fault != FAULT_PEER || err.text[0] == '\0')) {
		abort(); /* refused without a word, or accepted and then not to be written */
	}
	buf_free(&second);
	buf_free(&first);
	return 0;
}

int fuzz_seed(size_t i, struct buf *out)
{
	const uint8_t room[2] = { 0 };

	if (i >= wire_example_count)
		return 0;
	int code = wire_examples[i].write(out);
	if (code == 0)
		code = buf_append(out, room, sizeof(room));
	if (code < 0)
		return code;
	/* In place of the header stand the two bytes that choose. */
	buf_consume(out, FRAME_HEADER - 2);
	out->len -= sizeof(room);
	out->data[0] = (uint8_t)wire_examples[i].type;
	out->data[1] = WIRE_DIGEST_SIZE;
	return 1;
}
