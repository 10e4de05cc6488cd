/* SPDX-License-Identifier: BSD-2-Clause */
/* Examples of every frame, and the way of a body through reader and writer. */
#include "wire-frames.h"

#include <errno.h>
#include <string.h>

const struct frame_limits wire_limits = {
	.control_max = FRAME_CONTROL_MAX,
	.chunk_size = FRAME_CHUNK_MIN_SIZE,
	.digest_size = WIRE_DIGEST_SIZE,
};

static const uint8_t digest[WIRE_DIGEST_SIZE] = { 0xd1, 0xd2, 0xd3, 0xd4 };

/* ---- examples ---- */

static int hello(struct buf *out)
{
	struct message_hello hello = {
		.version_min = 1,
		.version_max = 2,
		.features = UINT64_C(0x0102030405060708),
		.chunk_size = 1 << 20,
		.integrity_count = 2,
		.integrity = { "sha256", "crc32" },
		.liveness = "udp",
	};
	memset(hello.boot_id, 0xb0, sizeof(hello.boot_id));
	return message_hello_write(out, &hello);
}

static int welcome(struct buf *out)
{
	struct message_welcome welcome = {
		.version = 1,
		.heartbeat_port = 15010,
		.features = 0,
		.chunk_size = 1024,
		.slot = UINT64_C(0x1122334455667788),
		.interval_ms = 500,
		.dead_after_ms = 4000,
		.requests_max = 64,
		.integrity = "sha256",
		.liveness = "udp",
	};
	memset(welcome.boot_id, 0xb1, sizeof(welcome.boot_id));
	memset(welcome.key, 0x5e, sizeof(welcome.key));
	return message_welcome_write(out, &welcome);
}

static int error(struct buf *out)
{
	return message_notice_write(out, FRAME_ERROR, STATUS_PROTOCOL, "no such frame");
}

static int goaway(struct buf *out)
{
	return message_notice_write(out, FRAME_GOAWAY, STATUS_SHUTDOWN, NULL);
}

static const struct message_ping progress = {
	.sequence = 7,
	.sent = UINT64_C(123456789012),
	.received = 1,
	.verified = 2,
	.durable = 3,
	.stage = 4,
	.stage_age_ms = 5,
	.rtt_us = 250,
	.loss_ppm = 1000000,
};

static int ping(struct buf *out)
{
	return message_ping_write(out, FRAME_PING, &progress);
}

static int pong(struct buf *out)
{
	return message_ping_write(out, FRAME_PONG, &progress);
}

static int credit(struct buf *out)
{
	return message_credit_write(out, 0, UINT64_C(0x0000000100000000));
}

static int list_credit(struct buf *out)
{
	return message_credit_write(out, 3, 65536);
}

static int list(struct buf *out)
{
	struct message_list list = {
		.flags = MESSAGE_LIST_TOTALS,
		.depth = MESSAGE_DEPTH_ALL,
		.credit = 262144,
		.path = "pub/src",
		.path_len = 7,
	};
	return message_list_write(out, 3, &list);
}

static int entries_of(struct buf *out, const struct entry *entries, size_t count)
{
	size_t start = 0;
	int code = message_body_begin(out, &start);

	for (size_t i = 0; code == 0 && i < count; i++)
		code = message_entry_write(out, &entries[i]);
	if (code == 0)
		code = buf_append(out, digest, sizeof(digest));
	return code == 0 ? message_body_seal(out, start, FRAME_ENTRIES, 3) : code;
}

static const struct entry tree[] = {
	{ .kind = ENTRY_DIR, .mode = 0755, .mtime = -1, .mtime_ns = 999999999, .name = "src", .name_len = 3 },
	{ .kind = ENTRY_FILE,
	  .flags = ENTRY_SPARSE,
	  .mode = 04755,
	  .size = INT64_MAX,
	  .mtime = 1700000000,
	  .mtime_ns = 1,
	  .name = "\xff\n ",
	  .name_len = 3 },
	{ .kind = ENTRY_SYMLINK, .mode = 0777, .name = "...", .name_len = 3, .text = "../x", .text_len = 4 },
	{ .kind = ENTRY_SPECIAL, .name = "s", .name_len = 1, .text = "socket", .text_len = 6 },
	{ .kind = ENTRY_UNREADABLE, .name = "u", .name_len = 1, .text = "", .text_len = 0 },
	{ .kind = ENTRY_UP, .mode = 0755, .mtime = INT64_MIN, .name = "" },
};

static int entries(struct buf *out)
{
	return entries_of(out, tree, sizeof(tree) / sizeof(tree[0]));
}

static int one_entry(struct buf *out)
{
	return entries_of(out, &tree[2], 1);
}

static int reads(struct buf *out)
{
	static const struct message_read items[] = {
		{ .first = 0, .count = MESSAGE_ALL, .size = 5, .path = "pub/a", .path_len = 5 },
		{ .first = 9,
		  .count = 1,
		  .size = UINT64_C(1) << 40,
		  .flags = MESSAGE_READ_PART,
		  .path = "pub/b",
		  .path_len = 5 },
	};
	size_t start = 0;
	int code = message_read_begin(out, &start);

	for (size_t i = 0; code == 0 && i < 2; i++)
		code = message_read_item_write(out, &items[i]);
	return code == 0 ? message_read_seal(out, start, 4, 2) : code;
}

static int hole(struct buf *out)
{
	return message_hole_write(out, 4, 16, 1024);
}

static int ends_of(struct buf *out, const struct end *ends, size_t count)
{
	size_t start = 0;
	int code = message_body_begin(out, &start);

	for (size_t i = 0; code == 0 && i < count; i++)
		code = message_end_write(out, WIRE_DIGEST_SIZE, &ends[i]);
	if (code == 0)
		code = buf_append(out, digest, sizeof(digest));
	return code == 0 ? message_body_seal(out, start, FRAME_ENDS, 0) : code;
}

static const struct end endings[] = {
	{ .request = 4,
	  .status = STATUS_OK,
	  .mode = 0644,
	  .flags = END_DIGEST | END_SPARSE,
	  .size = 5,
	  .chunks = 1,
	  .mtime = 1700000000,
	  .mtime_ns = 123456789,
	  .digest = digest,
	  .text = "" },
	{ .request = 5, .status = STATUS_CHANGED, .size = 6, .text = "it grew", .text_len = 7 },
};

static int ends(struct buf *out)
{
	return ends_of(out, endings, 2);
}

static int one_end(struct buf *out)
{
	return ends_of(out, endings, 1);
}

static int cancel(struct buf *out)
{
	return message_cancel_write(out, 4);
}

static int digest_run(struct buf *out)
{
	const struct message_digest_run run = { .first = 7, .count = 1, .digests = digest };

	return message_digest_run_write(out, 5, WIRE_DIGEST_SIZE, &run);
}

static int put(struct buf *out)
{
	struct message_put put = {
		.flags = MESSAGE_PUT_NO_SYNC | MESSAGE_PUT_TELL,
		.name = "src",
		.name_len = 3,
		.path = "pub/in",
		.path_len = 6,
	};

	memset(put.id, 0x1d, sizeof(put.id));
	return message_put_write(out, 6, &put);
}

/* What is in a folder, without a name of its own. */
static int put_nameless(struct buf *out)
{
	const struct message_put put = { .flags = MESSAGE_PUT_FLAGS, .name = "", .path = "p", .path_len = 1 };

	return message_put_write(out, 6, &put);
}

static int join(struct buf *out)
{
	struct message_join join;

	memset(join.boot_id, 0xb0, sizeof(join.boot_id));
	memset(join.key, 0xce, sizeof(join.key));
	return message_join_write(out, 7, &join);
}

static int event_failed(struct buf *out)
{
	const struct message_event event = {
		.kind = EVENT_FAILED,
		.status = STATUS_STORE,
		.text = "src/a: disk full",
		.text_len = 16,
	};

	return message_event_write(out, 6, WIRE_DIGEST_SIZE, &event);
}

static int event_file(struct buf *out)
{
	const struct message_event event = {
		.kind = EVENT_FILE,
		.flags = EVENT_DIGEST,
		.size = 5,
		.digest = digest,
		.text = "a\n",
		.text_len = 2,
	};

	return message_event_write(out, 6, WIRE_DIGEST_SIZE, &event);
}

static int done(struct buf *out)
{
	const struct message_done done = {
		.flags = DONE_DIGEST,
		.files = 1,
		.folders = 2,
		.links = 3,
		.skipped = 4,
		.failed = 5,
		.bytes = UINT64_C(1) << 40,
		.received = 6,
		.chunks = 7,
		.repaired = 8,
		.kept = 9,
		.digest = digest,
		.text = "",
	};

	return message_done_write(out, 6, WIRE_DIGEST_SIZE, &done);
}

static int done_refused(struct buf *out)
{
	const struct message_done done = { .status = STATUS_REFUSED, .text = "pub is read-only", .text_len = 16 };

	return message_done_write(out, 6, WIRE_DIGEST_SIZE, &done);
}

const struct wire_example wire_examples[] = {
	{ "HELLO", FRAME_HELLO, 0, hello },
	{ "WELCOME", FRAME_WELCOME, 0, welcome },
	{ "ERROR", FRAME_ERROR, 0, error },
	{ "GOAWAY", FRAME_GOAWAY, 0, goaway },
	{ "PING", FRAME_PING, 0, ping },
	{ "PONG", FRAME_PONG, 0, pong },
	{ "CREDIT", FRAME_CREDIT, 0, credit },
	{ "CREDIT of a list", FRAME_CREDIT, 3, list_credit },
	{ "LIST", FRAME_LIST, 3, list },
	{ "ENTRIES", FRAME_ENTRIES, 3, entries },
	{ "ENTRIES, one", FRAME_ENTRIES, 3, one_entry },
	{ "READ", FRAME_READ, 4, reads },
	{ "HOLE", FRAME_HOLE, 4, hole },
	{ "ENDS", FRAME_ENDS, 0, ends },
	{ "ENDS, one", FRAME_ENDS, 0, one_end },
	{ "CANCEL", FRAME_CANCEL, 4, cancel },
	{ "DIGEST_RUN", FRAME_DIGEST_RUN, 5, digest_run },
	{ "PUT", FRAME_PUT, 6, put },
	{ "PUT, nameless", FRAME_PUT, 6, put_nameless },
	{ "DONE", FRAME_DONE, 6, done },
	{ "DONE, refused", FRAME_DONE, 6, done_refused },
	{ "EVENT of a failure", FRAME_EVENT, 6, event_failed },
	{ "EVENT of a file", FRAME_EVENT, 6, event_file },
	{ "JOIN", FRAME_JOIN, 7, join },
};
const size_t wire_example_count = sizeof(wire_examples) / sizeof(wire_examples[0]);

/* ---- there and back ---- */

static int recode_hello(const uint8_t *body, size_t len, struct buf *out, bool *skipped, struct error *err)
{
	struct message_hello hello;
	int code = message_hello_read(body, len, &hello, err);

	if (code < 0)
		return code;
	if (hello.version_min > MESSAGE_VERSION || hello.version_max < MESSAGE_VERSION) {
		if (skipped != NULL)
			*skipped = true;
		return 0;
	}
	return message_hello_write(out, &hello);
}

static int recode_notice(enum frame_type type, const uint8_t *body, size_t len, struct buf *out, struct error *err)
{
	struct message_notice notice;
	char text[MESSAGE_TEXT_MAX + 1];
	int code = message_notice_read(body, len, &notice, err);

	if (code < 0)
		return code;
	memcpy(text, notice.text, notice.text_len);
	text[notice.text_len] = '\0';
	return message_notice_write(out, type, notice.status, text);
}

static int recode_entries(uint32_t request, const uint8_t *body, size_t len, uint32_t digest_size, struct buf *out,
                          struct error *err)
{
	size_t run = 0, start = 0;
	int code = message_run_read(len, digest_size, &run, err);

	if (code == 0)
		code = message_body_begin(out, &start);
	for (size_t at = 0; code == 0 && at < run;) {
		struct entry entry;
		code = message_entry_read(body, run, &at, &entry, err);
		if (code == 0)
			code = message_entry_write(out, &entry);
	}
	if (code == 0)
		code = buf_append(out, body + run, digest_size);
	return code == 0 ? message_body_seal(out, start, FRAME_ENTRIES, request) : code;
}

static int recode_reads(uint32_t request, const uint8_t *body, size_t len, struct buf *out, struct error *err)
{
	size_t at = 0, start = 0;
	uint16_t count = 0;
	int code = message_read_count(body, len, &at, &count, err);

	if (code == 0)
		code = message_read_begin(out, &start);
	for (unsigned i = 0; code == 0 && i < count; i++) {
		struct message_read item;
		code = message_read_item(body, len, &at, &item, err);
		if (code == 0)
			code = message_read_item_write(out, &item);
	}
	if (code == 0)
		code = message_body_end(len, at, err);
	return code == 0 ? message_read_seal(out, start, request, count) : code;
}

static int recode_ends(const uint8_t *body, size_t len, uint32_t digest_size, struct buf *out, struct error *err)
{
	size_t run = 0, start = 0;
	int code = message_run_read(len, digest_size, &run, err);

	if (code == 0)
		code = message_body_begin(out, &start);
	for (size_t at = 0; code == 0 && at < run;) {
		struct end end;
		code = message_end_read(body, run, &at, digest_size, &end, err);
		if (code == 0)
			code = message_end_write(out, digest_size, &end);
	}
	if (code == 0)
		code = buf_append(out, body + run, digest_size);
	return code == 0 ? message_body_seal(out, start, FRAME_ENDS, 0) : code;
}

int wire_recode(enum frame_type type, uint32_t request, const uint8_t *body, size_t len, uint32_t digest_size,
                struct buf *out, bool *skipped, struct error *err)
{
	union {
		struct message_welcome welcome;
		struct message_ping ping;
		struct message_list list;
		struct message_digest_run run;
		struct message_put put;
		struct message_join join;
		struct message_event event;
		struct message_done done;
		uint64_t numbers[2];
	} is;
	int code;

	switch (type) {
	case FRAME_HELLO: return recode_hello(body, len, out, skipped, err);
	case FRAME_WELCOME:
		code = message_welcome_read(body, len, &is.welcome, err);
		return code == 0 ? message_welcome_write(out, &is.welcome) : code;
	case FRAME_ERROR:
	case FRAME_GOAWAY: return recode_notice(type, body, len, out, err);
	case FRAME_PING:
	case FRAME_PONG:
		code = message_ping_read(body, len, &is.ping, err);
		return code == 0 ? message_ping_write(out, type, &is.ping) : code;
	case FRAME_CREDIT:
		code = message_credit_read(body, len, &is.numbers[0], err);
		return code == 0 ? message_credit_write(out, request, is.numbers[0]) : code;
	case FRAME_LIST:
		code = message_list_read(body, len, &is.list, err);
		return code == 0 ? message_list_write(out, request, &is.list) : code;
	case FRAME_ENTRIES: return recode_entries(request, body, len, digest_size, out, err);
	case FRAME_READ: return recode_reads(request, body, len, out, err);
	case FRAME_HOLE:
		code = message_hole_read(body, len, &is.numbers[0], &is.numbers[1], err);
		return code == 0 ? message_hole_write(out, request, is.numbers[0], is.numbers[1]) : code;
	case FRAME_ENDS: return recode_ends(body, len, digest_size, out, err);
	case FRAME_CANCEL:
		code = message_cancel_read(body, len, err);
		return code == 0 ? message_cancel_write(out, request) : code;
	case FRAME_DIGEST_RUN:
		code = message_digest_run_read(body, len, digest_size, &is.run, err);
		return code == 0 ? message_digest_run_write(out, request, digest_size, &is.run) : code;
	case FRAME_PUT:
		code = message_put_read(body, len, &is.put, err);
		return code == 0 ? message_put_write(out, request, &is.put) : code;
	case FRAME_EVENT:
		code = message_event_read(body, len, digest_size, &is.event, err);
		return code == 0 ? message_event_write(out, request, digest_size, &is.event) : code;
	case FRAME_DONE:
		code = message_done_read(body, len, digest_size, &is.done, err);
		return code == 0 ? message_done_write(out, request, digest_size, &is.done) : code;
	case FRAME_JOIN:
		code = message_join_read(body, len, &is.join, err);
		return code == 0 ? message_join_write(out, request, &is.join) : code;
	case FRAME_CHUNK: break;
	}
	return error_set(err, -EPROTO, FAULT_PEER, "no control frame");
}

/* ---- numbers ---- */

uint64_t wire_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void wire_random_bytes(uint64_t *state, uint8_t *out, size_t len)
{
	static const uint8_t edges[] = { 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0xff, '.', '/', 'a' };

	for (size_t i = 0; i < len; i++) {
		uint64_t number = wire_random(state);
		out[i] = (number & 1) != 0 ? (uint8_t)(number >> 8) : edges[(number >> 8) % sizeof(edges)];
	}
}
