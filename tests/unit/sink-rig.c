/* SPDX-License-Identifier: BSD-2-Clause */
#include "sink-rig.h"

#include "alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(holds)                                                                                                    \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                    \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static char token; /* every payload lies here */

static void on_event(void *context, const struct sink_event *event)
{
	struct rig *rig = context;

	switch (event->kind) {
	case SINK_FILE_DONE: rig->done++; return;
	case SINK_FAILED: rig->failed++; break;
	case SINK_SKIPPED: rig->skipped++; break;
	case SINK_UNCHANGED: rig->same++; return;
	case SINK_DIFFERS: rig->differ++; return;
	}
	rig->fault = event->fault;
	snprintf(rig->text, sizeof(rig->text), "%s", event->text);
}

static void on_release(void *context, void *what)
{
	struct rig *rig = context;

	MUST(what == &token && rig->tokens > 0);
	rig->tokens--;
}

void rig_init(struct rig *rig, unsigned flags)
{
	memset(rig, 0, sizeof(*rig));
	rig->params = (struct sink_params){
		.remote = "export/x",
		.name = "x",
		.hidden = ".xfer-0",
		.reserved = ".xfer-",
		.flags = flags,
		.chunk_size = RIG_CHUNK,
		.digest_size = RIG_DIGEST,
		.integrity = "mix",
		.strong = true,
		.requests_max = 64,
		.window = 64 * RIG_CHUNK,
		.order_payload = 16 * RIG_CHUNK,
		.keep_payload = 16 * RIG_CHUNK,
		.keeps_max = 2,
	};
}

int rig_begin(struct rig *rig)
{
	const struct sink_watch watch = { .context = rig, .event = on_event, .release = on_release };

	return sink_create(&rig->sink, &rig->params, &watch);
}

void rig_free(struct rig *rig)
{
	sink_destroy(rig->sink);
	rig->sink = NULL;
	buf_free(&rig->run);
	nameset_free(&rig->names);
	MUST(rig->tokens == 0);
}

/* ---- what comes ---- */

void rig_entry(struct rig *rig, enum entry_kind kind, const char *name, uint64_t size)
{
	const struct entry entry = {
		.kind = kind,
		.mode = 0644,
		.size = size,
		.mtime = 77,
		.name = name,
		.name_len = strlen(name),
		.text = kind >= ENTRY_SYMLINK ? "target" : "",
		.text_len = kind >= ENTRY_SYMLINK ? 6 : 0,
	};

	alloc_pause(true);
	MUST(message_entry_write(&rig->run, &entry) == 0);
	alloc_pause(false);
}

int rig_list(struct rig *rig, struct error *err)
{
	int r = sink_entries(sink_main(rig->sink), rig->run.data, rig->run.len, err);

	buf_clear(&rig->run);
	return r;
}

int rig_chunk(struct rig *rig, uint32_t id, uint64_t index, uint32_t length, struct error *err)
{
	static const uint8_t digest[RIG_DIGEST];
	const struct frame_chunk chunk = {
		.request = id, .index = index, .length = length, .digest = digest, .payload = digest
	};
	int r = sink_chunk(sink_main(rig->sink), &chunk, &token, err);

	rig->received += length;
	rig->tokens += r == 1;
	return r;
}

int rig_end(struct rig *rig, uint32_t id, enum status status, uint64_t size, struct error *err)
{
	static const uint8_t digest[RIG_DIGEST];
	const struct end end = {
		.request = id,
		.status = status,
		.mode = 0644,
		.size = size,
		.mtime = 77,
		.flags = END_DIGEST,
		.digest = digest,
		.text = "",
	};

	return sink_end(sink_main(rig->sink), &end, err);
}

void rig_await(struct rig *rig, uint64_t bytes)
{
	alloc_pause(true);
	while (rig->list_count == 0 || rig->received + bytes > rig->credit) {
		rig_orders(rig);
		MUST(rig_frames(rig, CLOCK_SECOND) == 0);
	}
	alloc_pause(false);
}

static int digests(struct rig *rig, const struct rig_read *read, uint64_t behind)
{
	static const uint8_t zeroes[64 * RIG_DIGEST];
	int r = 0;

	for (uint64_t i = read->first; r == 0 && i < behind; i += 64) {
		const struct message_digest_run run = {
			.first = i,
			.count = behind - i < 64 ? behind - i : 64,
			.digests = zeroes,
		};

		r = sink_digests(sink_main(rig->sink), read->id, &run, NULL);
	}
	return r;
}

int rig_answer(struct rig *rig, const struct rig_read *read)
{
	uint64_t chunks = read->size / RIG_CHUNK + (read->size % RIG_CHUNK != 0);
	uint64_t behind = read->count < chunks - read->first ? read->first + read->count : chunks;
	int r = 0;

	if (read->flags & MESSAGE_READ_DIGESTS)
		r = digests(rig, read, behind);
	for (uint64_t i = read->first; r >= 0 && i < behind && !(read->flags & MESSAGE_READ_DIGESTS); i++) {
		rig_await(rig, RIG_CHUNK);
		r = rig_chunk(rig, read->id, i, i + 1 == chunks ? (uint32_t)(read->size - i * RIG_CHUNK) : RIG_CHUNK,
		              NULL);
	}
	return r < 0 ? r : rig_end(rig, read->id, STATUS_OK, read->size, NULL);
}

/* ---- what it sends ---- */

static void read_take(struct rig *rig, uint32_t id, const uint8_t *body, size_t len)
{
	struct message_read item;
	uint16_t count;
	size_t at = 0;

	MUST(message_read_count(body, len, &at, &count, NULL) == 0);
	for (uint32_t i = 0; i < count; i++) {
		struct rig_read *to = &rig->asked[rig->asked_count++ % RIG_ASKED_MAX];

		MUST(message_read_item(body, len, &at, &item, NULL) == 0);
		*to = (struct rig_read){ id + i, item.first, item.count, item.size, item.flags, "" };
		snprintf(to->path, sizeof(to->path), "%.*s", (int)item.path_len, item.path);
	}
	MUST(message_body_end(len, at, NULL) == 0);
}

int rig_frames(struct rig *rig, uint64_t now)
{
	const struct frame_limits limits = { .control_max = FRAME_CONTROL_MAX };
	struct frame_header header;
	struct buf out = { 0 };
	int r = sink_frames(sink_main(rig->sink), &out, now);

	for (size_t at = 0; at < out.len; at += FRAME_HEADER + header.length) {
		const uint8_t *body = out.data + at + FRAME_HEADER;
		uint64_t total;

		MUST(frame_header_read(out.data + at, &limits, &header, NULL) == 0);
		MUST(frame_control_check(out.data + at, body, header.length, NULL) == 0);
		switch (header.type) {
		case FRAME_LIST: rig->list_count++; break;
		case FRAME_READ: read_take(rig, header.request, body, header.length); break;
		case FRAME_CANCEL: rig->cancelled[rig->cancel_count++ % 16] = header.request; break;
		case FRAME_CREDIT:
			MUST(message_credit_read(body, header.length, &total, NULL) == 0);
			*(header.request == 0 ? &rig->credit : &rig->list_credit) = total;
			break;
		default: abort();
		}
	}
	buf_free(&out);
	return r;
}

/* ---- what it orders ---- */

static void write_carry(struct rig *rig, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		struct sink_piece *piece = &order->pieces[i];

		piece->code = rig->codes[piece->op];
		rig->codes[piece->op] = 0;
		rig->pieces[piece->op]++;
		rig->tokens -= piece->op == SINK_CHUNK;
		piece->file->handle = &token;
		if (piece->op == SINK_ABANDON || piece->op == SINK_CLOSE ||
		    (piece->op >= SINK_PUBLISH && piece->code == 0))
			piece->file->handle = NULL;
	}
}

static void keep_carry(struct rig *rig, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		struct sink_keep *piece = &order->keeps[i];

		piece->file->handle = &token;
		piece->kept = 0;
		for (uint64_t k = 0; k < (piece->zeroes ? 1 : piece->count); k++) {
			if (!(rig->wrong >> (piece->first + k) % 64 & 1))
				piece->kept |= UINT64_C(1) << k;
		}
	}
}

bool rig_order(struct rig *rig)
{
	static struct sink_order order;

	if (!sink_next(rig->sink, &order))
		return false;
	rig->orders++;
	switch (order.kind) {
	case SINK_ORDER_WRITE: write_carry(rig, &order); break;
	case SINK_ORDER_KEEP: keep_carry(rig, &order); break;
	case SINK_ORDER_PROBE:
		for (size_t i = 0; i < order.count; i++) {
			order.probes[i].found = rig->found;
			order.probes[i].size = order.probes[i].file->size;
			if (rig->found == SINK_CLAIMS && order.probes[i].file->chunks > 1) {
				alloc_pause(true);
				MUST(ranges_add(&order.probes[i].claims, 0, order.probes[i].file->chunks - 1) == 0);
				alloc_pause(false);
			}
		}
		break;
	case SINK_ORDER_DIRS:
		for (size_t i = 0; i < order.count; i++) {
			enum sink_dir_op op = order.dirs[i].op;

			size_t within = order.dirs[i].within;

			if (order.dirs[i].lost || (within > 0 && order.dirs[within - 1].code < 0)) {
				order.dirs[i].code = -ENOTDIR;
				continue;
			}
			order.dirs[i].code = rig->dir_codes[op];
			rig->dir_codes[op] = 0;
			rig->dirs[op]++;
			order.dirs[i].existed = rig->existed;
			if (op == SINK_DIR_SWEEP) {
				nameset_free(&rig->names);
				rig->names = order.dirs[i].names;
				order.dirs[i].names = (struct nameset){ 0 };
			}
		}
		break;
	}
	sink_done(rig->sink, &order);
	return true;
}

void rig_orders(struct rig *rig)
{
	while (rig_order(rig))
		;
}

int rig_run(struct rig *rig)
{
	size_t at = rig->asked_count;
	int r = 0;

	for (unsigned idle = 0; r == 0 && !sink_finished(rig->sink) && idle < 8; idle++) {
		unsigned orders = rig->orders;

		rig_orders(rig);
		(void)rig_frames(rig, CLOCK_SECOND); /* without memory the next round tries again */
		for (; r == 0 && at < rig->asked_count; at++) {
			r = rig_answer(rig, &rig->asked[at % RIG_ASKED_MAX]);
			idle = 0;
		}
		idle = rig->orders > orders ? 0 : idle;
	}
	return r;
}
