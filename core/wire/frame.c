/* SPDX-License-Identifier: BSD-2-Clause */
/* Frame headers and chunk heads: checked before anything in them is used. */
#include "wire/frame.h"

#include "base/crc32c.h"
#include "wire/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Places in the header. */
enum { AT_TYPE = 0, AT_FLAGS = 1, AT_CHECK = 2, AT_LENGTH = 4, AT_REQUEST = 8, AT_CRC = 12 };
/* Places in the chunk head, which follows the header. */
enum { AT_INDEX = 0, AT_PAYLOAD_LENGTH = 8 };

enum request_rule { REQUEST_NONE, REQUEST_NEEDED, REQUEST_EITHER };

/* What is known of a type; a type without a name is not known. */
static const struct frame_kind {
	const char *name;
	enum request_rule request;
	uint8_t flags; /* those that may be set */
} kinds[] = {
	[FRAME_HELLO] = { "HELLO", REQUEST_NONE, 0 },
	[FRAME_WELCOME] = { "WELCOME", REQUEST_NONE, 0 },
	[FRAME_ERROR] = { "ERROR", REQUEST_NONE, 0 },
	[FRAME_GOAWAY] = { "GOAWAY", REQUEST_NONE, 0 },
	[FRAME_PING] = { "PING", REQUEST_NONE, 0 },
	[FRAME_PONG] = { "PONG", REQUEST_NONE, 0 },
	[FRAME_CREDIT] = { "CREDIT", REQUEST_EITHER, 0 },
	[FRAME_LIST] = { "LIST", REQUEST_NEEDED, 0 },
	[FRAME_ENTRIES] = { "ENTRIES", REQUEST_NEEDED, 0 },
	[FRAME_READ] = { "READ", REQUEST_NEEDED, 0 },
	[FRAME_CHUNK] = { "CHUNK", REQUEST_NEEDED, FRAME_CHUNK_SPARSE },
	[FRAME_HOLE] = { "HOLE", REQUEST_NEEDED, 0 },
	[FRAME_ENDS] = { "ENDS", REQUEST_NONE, 0 },
	[FRAME_CANCEL] = { "CANCEL", REQUEST_NEEDED, 0 },
	[FRAME_DIGEST_RUN] = { "DIGEST_RUN", REQUEST_NEEDED, 0 },
	[FRAME_PUT] = { "PUT", REQUEST_NEEDED, 0 },
	[FRAME_DONE] = { "DONE", REQUEST_NEEDED, 0 },
	[FRAME_EVENT] = { "EVENT", REQUEST_NEEDED, 0 },
	[FRAME_JOIN] = { "JOIN", REQUEST_NEEDED, 0 },
};

static const struct frame_kind *frame_kind(unsigned type)
{
	if (type >= sizeof(kinds) / sizeof(kinds[0]) || kinds[type].name == NULL)
		return NULL;
	return &kinds[type];
}

const char *frame_type_name(enum frame_type type)
{
	const struct frame_kind *kind = frame_kind((unsigned)type);

	return kind != NULL ? kind->name : "unknown";
}

/*
 * The header's own guard. Folding the CRC keeps its strength on so few bytes: any one, two or three flipped bits of the
 * first 12 bytes are seen (the tests try them all).
 */
static uint16_t header_check(const uint8_t *header)
{
	uint32_t crc = crc32c(0, header, AT_CHECK);

	crc = crc32c(crc, header + AT_LENGTH, AT_CRC - AT_LENGTH);
	return (uint16_t)(crc >> 16 ^ crc);
}

static void header_write(uint8_t *header, enum frame_type type, uint8_t flags, uint32_t length, uint32_t request)
{
	header[AT_TYPE] = (uint8_t)type;
	header[AT_FLAGS] = flags;
	store_u32(header + AT_LENGTH, length);
	store_u32(header + AT_REQUEST, request);
	store_u16(header + AT_CHECK, header_check(header));
}

static int chunk_length_check(uint32_t length, const struct frame_limits *limits, struct error *err)
{
	if (limits->chunk_size == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a CHUNK before a chunk size was settled");

	uint64_t head = (uint64_t)FRAME_CHUNK_HEAD + limits->digest_size;
	if (length <= head || length - head > limits->chunk_size)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer sent a CHUNK of %" PRIu32 " bytes where %" PRIu64 " to %" PRIu64
		                 " are legal",
		                 length, head + 1, head + limits->chunk_size);
	return 0;
}

int frame_header_read(const uint8_t *bytes, const struct frame_limits *limits, struct frame_header *out,
                      struct error *err)
{
	if (load_u16(bytes + AT_CHECK) != header_check(bytes))
		return error_set(err, -EBADMSG, FAULT_PEER,
		                 "the peer sent a damaged frame header (or does not speak XFER)");

	const struct frame_kind *kind = frame_kind(bytes[AT_TYPE]);
	if (kind == NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent a frame of unknown type %u", bytes[AT_TYPE]);

	struct frame_header header = {
		.type = (enum frame_type)bytes[AT_TYPE],
		.flags = bytes[AT_FLAGS],
		.length = load_u32(bytes + AT_LENGTH),
		.request = load_u32(bytes + AT_REQUEST),
		.crc = load_u32(bytes + AT_CRC),
	};
	if ((header.flags & ~kind->flags) != 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s with unknown flags 0x%02x", kind->name,
		                 header.flags);
	if (kind->request == REQUEST_NONE && header.request != 0)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer sent %s with request %" PRIu32 ", where none belongs", kind->name,
		                 header.request);
	if (kind->request == REQUEST_NEEDED && header.request == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s without a request", kind->name);

	if (header.type == FRAME_CHUNK) {
		int code = chunk_length_check(header.length, limits, err);
		if (code < 0)
			return code;
	} else if (header.length > limits->control_max) {
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer sent %s of %" PRIu32 " bytes where %" PRIu32 " are the most", kind->name,
		                 header.length, limits->control_max);
	}
	*out = header;
	return 0;
}

const char *frame_foreign(const uint8_t *bytes, size_t len)
{
	/* A record of TLS that can be the first: an alert or a handshake, of version 3.x. */
	if (len >= 3 && (bytes[0] == 0x15 || bytes[0] == 0x16) && bytes[1] == 3 && bytes[2] <= 4)
		return "TLS";
	if (len >= 5 && (memcmp(bytes, "HTTP/", 5) == 0 || memcmp(bytes, "GET /", 5) == 0))
		return "HTTP";
	if (len >= 4 && memcmp(bytes, "SSH-", 4) == 0)
		return "SSH";
	return NULL;
}

static uint32_t control_crc(const uint8_t *header, const uint8_t *body, size_t len)
{
	uint32_t crc = crc32c(0, header, AT_CRC);

	return len > 0 ? crc32c(crc, body, len) : crc;
}

int frame_control_check(const uint8_t *header, const uint8_t *body, size_t len, struct error *err)
{
	if (load_u32(header + AT_CRC) != control_crc(header, body, len))
		return error_set(err, -EBADMSG, FAULT_PEER, "a %s frame of the peer arrived damaged",
		                 frame_type_name((enum frame_type)header[AT_TYPE]));
	return 0;
}

void frame_control_seal(uint8_t *frame, enum frame_type type, uint8_t flags, uint32_t request, size_t len)
{
	header_write(frame, type, flags, (uint32_t)len, request);
	store_u32(frame + AT_CRC, control_crc(frame, frame + FRAME_HEADER, len));
}

size_t frame_chunk_overhead(const struct frame_limits *limits)
{
	return (size_t)FRAME_HEADER + FRAME_CHUNK_HEAD + limits->digest_size;
}

static uint32_t chunk_crc(const uint8_t *frame, uint32_t digest_size)
{
	return control_crc(frame, frame + FRAME_HEADER, (size_t)FRAME_CHUNK_HEAD + digest_size);
}

int frame_chunk_read(const uint8_t *frame, const struct frame_limits *limits, struct frame_chunk *out,
                     struct error *err)
{
	struct frame_header header;
	int code = frame_header_read(frame, limits, &header, err);
	if (code < 0)
		return code;
	if (header.type != FRAME_CHUNK)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent %s where a CHUNK belongs",
		                 frame_type_name(header.type));
	if (header.crc != chunk_crc(frame, limits->digest_size))
		return error_set(err, -EBADMSG, FAULT_PEER, "the head of a CHUNK frame of the peer arrived damaged");

	const uint8_t *head = frame + FRAME_HEADER;
	uint64_t index = load_u64(head + AT_INDEX);
	uint32_t length = load_u32(head + AT_PAYLOAD_LENGTH);
	/* header.length was found to be larger than the head. */
	if (length != header.length - FRAME_CHUNK_HEAD - limits->digest_size)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the peer sent a CHUNK that says %" PRIu32 " bytes of payload in a body of %" PRIu32,
		                 length, header.length);
	if (index >= (uint64_t)INT64_MAX / limits->chunk_size)
		return error_set(err, -EPROTO, FAULT_PEER, "the peer sent chunk %" PRIu64 ", which is in no file",
		                 index);

	*out = (struct frame_chunk){
		.request = header.request,
		.flags = header.flags,
		.length = length,
		.index = index,
		.digest = head + FRAME_CHUNK_HEAD,
		.payload = head + FRAME_CHUNK_HEAD + limits->digest_size,
	};
	return 0;
}

void frame_chunk_seal(uint8_t *frame, const struct frame_limits *limits, uint32_t request, uint8_t flags,
                      uint64_t index, uint32_t length, const uint8_t *digest)
{
	uint8_t *head = frame + FRAME_HEADER;

	header_write(frame, FRAME_CHUNK, flags, FRAME_CHUNK_HEAD + limits->digest_size + length, request);
	store_u64(head + AT_INDEX, index);
	store_u32(head + AT_PAYLOAD_LENGTH, length);
	/* The pool may have made the digest right where it belongs. */
	if (limits->digest_size > 0 && digest != head + FRAME_CHUNK_HEAD)
		memmove(head + FRAME_CHUNK_HEAD, digest, limits->digest_size);
	store_u32(frame + AT_CRC, chunk_crc(frame, limits->digest_size));
}
