/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame: what everything on a connection is wrapped in. Drawn in xfer-protocol(7).
 *
 *   0      1      2             4                 8                 12                16
 *   +------+------+-------------+-----------------+-----------------+-----------------+
 *   | type | flags| check       | length          | request         | crc32c          |
 *   +------+------+-------------+-----------------+-----------------+-----------------+
 *   | length bytes of body ...                                                        |
 *
 * All numbers are in network order. length counts the body. The check guards the header by itself, so that a damaged
 * length is seen before anybody waits for that many bytes: it is the CRC-32C over the 10 bytes of type, flags, length
 * and request, its upper half xor its lower. The CRC-32C at the end covers the first 12 bytes of the header and, for a
 * control frame, the whole body; for a chunk frame, the chunk head:
 *
 *   0                               8                 12             12 + digest size
 *   +-------------------------------+-----------------+--------------+---------------------+
 *   | chunk index                   | payload length  | digest       | payload ...         |
 *   +-------------------------------+-----------------+--------------+---------------------+
 */
#ifndef XFER_WIRE_FRAME_H
#define XFER_WIRE_FRAME_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Frames marked (0) have request 0 in their header; all others name a request, which is never 0.
 */
enum frame_type {
	FRAME_HELLO = 1, /* (0), as are the next five */
	FRAME_WELCOME = 2,
	FRAME_ERROR = 3,
	FRAME_GOAWAY = 4,
	FRAME_PING = 5,
	FRAME_PONG = 6,
	FRAME_CREDIT = 7, /* 0 or the request of a LIST */
	FRAME_LIST = 16,
	FRAME_ENTRIES = 17,
	FRAME_READ = 18,
	FRAME_CHUNK = 19,
	FRAME_HOLE = 20,
	FRAME_ENDS = 21, /* (0): its items name the requests */
	FRAME_CANCEL = 22,
	FRAME_DIGEST_RUN = 23,
	FRAME_PUT = 32,
	FRAME_DONE = 33,
	FRAME_EVENT = 34,
	FRAME_JOIN = 35
};

/* Flags of a chunk frame. */
#define FRAME_CHUNK_SPARSE 0x01 /* the chunk has holes in it: blocks of zeroes need not be written */

enum {
	FRAME_HEADER = 16,
	FRAME_CHUNK_HEAD = 12,     /* without the digest */
	FRAME_HELLO_MAX = 4096,    /* body of the first frame of either side */
	FRAME_CONTROL_MAX = 65536, /* body of any control frame */
	FRAME_DIGEST_MAX = 64,
	FRAME_CHUNK_MIN_SIZE = 1024, /* chunk sizes */
	FRAME_CHUNK_MAX_SIZE = 16 * 1024 * 1024
};

struct frame_header {
	enum frame_type type;
	uint8_t flags;
	uint32_t length; /* of the body */
	uint32_t request;
	uint32_t crc;
};

/* Limits of one session, for the checks at the header. */
struct frame_limits {
	uint32_t control_max; /* FRAME_HELLO_MAX until the welcome, then FRAME_CONTROL_MAX */
	uint32_t chunk_size;  /* settled; 0 = no chunk frame is allowed yet */
	uint32_t digest_size; /* settled */
};

/* "READ", or "unknown". */
const char *frame_type_name(enum frame_type type);

/*
 * Reads FRAME_HEADER bytes. FAULT_PEER with -EBADMSG: the check does not fit, the header was damaged (or this is
 * another protocol); with -EPROTO: unknown type, unknown flags, a length beyond the limits, a request where none
 * belongs or none where one does.
 */
int frame_header_read(const uint8_t *bytes, const struct frame_limits *limits, struct frame_header *out,
                      struct error *err);
/*
 * What a stream is that is none of ours, judged by its first bytes, for a message: "TLS", "HTTP", "SSH". NULL: nothing
 * that we know.
 */
const char *frame_foreign(const uint8_t *bytes, size_t len);
/* Checks the CRC of a control frame: header bytes and body as received. -EBADMSG with FAULT_PEER. */
int frame_control_check(const uint8_t *header, const uint8_t *body, size_t len, struct error *err);
/* Writes the header with its CRC in front of a finished control body: `frame` points at FRAME_HEADER + len bytes. */
void frame_control_seal(uint8_t *frame, enum frame_type type, uint8_t flags, uint32_t request, size_t len);

/* A chunk frame, decoded in place. */
struct frame_chunk {
	uint32_t request;
	uint8_t flags;
	uint32_t length; /* bytes of payload, 1 to chunk size */
	uint64_t index;
	const uint8_t *digest;  /* points into the frame; digest_size bytes */
	const uint8_t *payload; /* points into the frame */
};

/* Bytes in front of the payload: FRAME_HEADER + FRAME_CHUNK_HEAD + digest_size. */
size_t frame_chunk_overhead(const struct frame_limits *limits);
/*
 * Reads and checks header and chunk head (frame_chunk_overhead() bytes at `frame`). The payload need not be there yet.
 * Errors as of frame_header_read(). An accepted index fits a file: (index + 1) * chunk size is no more than INT64_MAX.
 */
int frame_chunk_read(const uint8_t *frame, const struct frame_limits *limits, struct frame_chunk *out,
                     struct error *err);
/* Writes header and chunk head before a payload; `digest` is digest_size bytes. */
void frame_chunk_seal(uint8_t *frame, const struct frame_limits *limits, uint32_t request, uint8_t flags,
                      uint64_t index, uint32_t length, const uint8_t *digest);

#endif
