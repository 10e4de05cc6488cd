/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-read.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FRAME = 256 /* bytes beside a payload */ };

static uint32_t chunk_size(const struct sim_sender *sender)
{
	return sender->end.limits.chunk_size;
}

/* The file failed in this piece; its request ends here if this is its last. */
static void read_fail(struct sim_reading *reading, struct source_piece *piece, enum status status)
{
	piece->failed = true;
	piece->ended = piece->end;
	if (reading->status == STATUS_OK)
		reading->status = status;
}

static void chunk_put(struct sim_sender *sender, struct sim_send_job *job, const struct source_request *request,
                      struct sim_version *version, uint64_t index, bool damaged)
{
	uint32_t size = chunk_size(sender);
	uint8_t digest[FRAME_DIGEST_MAX];
	size_t overhead = frame_chunk_overhead(&sender->end.limits);
	uint8_t *frame = job->bytes + job->len;
	uint32_t len = sim_version_length(version, size, index);

	sim_version_read(version, size, index, frame + overhead);
	sim_digest(digest, sender->end.limits.digest_size, sim_version_hash(sender->end.sim, version, size, index));
	frame_chunk_seal(frame, &sender->end.limits, request->id, sim_version_sparse(version) ? FRAME_CHUNK_SPARSE : 0,
	                 index, len, digest);
	if (damaged)
		frame[overhead + sim_below(sender->end.sim, len)] ^= 0x10;
	job->len += overhead + len;
}

/* A chunk that nobody asked for, right in itself. */
static void stray_put(struct sim_sender *sender, struct sim_send_job *job, const struct source_request *request)
{
	struct sim *sim = sender->end.sim;
	uint8_t *frame = job->bytes + job->len;
	size_t overhead = frame_chunk_overhead(&sender->end.limits);
	uint32_t len = 1 + (uint32_t)sim_below(sim, chunk_size(sender));
	uint32_t id = sim_chance(sim, 50) ? request->id : 1 + (uint32_t)sim_below(sim, 12);
	uint8_t digest[FRAME_DIGEST_MAX];

	memset(frame + overhead, 1, len);
	sim_digest(digest, sender->end.limits.digest_size, sim_hash(frame + overhead, len));
	frame_chunk_seal(frame, &sender->end.limits, id, 0, sim_below(sim, 4), len, digest);
	job->len += overhead + len;
}

static void hole_put(struct sim *sim, struct sim_send_job *job, const struct source_request *request, uint64_t first,
                     uint64_t count)
{
	bool lie = sim_strikes(sim, STRIKE_LIE);
	struct buf frame = { .data = job->bytes + job->len, .cap = ROOM_FRAME };

	if (lie) /* what is no hole, or none of the file */
		first += 1 + sim_below(sim, 3);
	if (message_hole_write(&frame, request->id, first, count) < 0)
		abort();
	job->len += frame.len;
}

/* Takes note that chunks go out, once. */
static void note(struct sim_sender *sender, struct source_piece *piece, uint64_t first, uint64_t count)
{
	struct sim_reading *reading = piece->request->handle;

	sim_check(sender->end.sim, ranges_add(&reading->sent, first, count) == 0,
	          "request %u: chunk %llu is ordered twice", piece->request->id, (unsigned long long)first);
	piece->chunks += count;
}

/* Once more: at once, or behind the end of the request. */
static void repeat_put(struct sim_sender *sender, struct sim_send_job *job, const struct source_request *request,
                       struct sim_version *version, uint64_t index)
{
	size_t before = job->len;

	chunk_put(sender, job, request, version, index, false);
	if (sender->late_len > 0 || sim_chance(sender->end.sim, 50))
		return;
	sender->late_len = job->len - before;
	sender->late = memcpy(sim_take_raw(sender->end.sim, sender->late_len), job->bytes + before, sender->late_len);
	job->len = before;
}

static void digest_put(struct sim_sender *sender, struct sim_send_job *job, const struct source_request *request,
                       struct sim_version *version, uint64_t index)
{
	uint32_t size = sender->end.limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];
	const struct message_digest_run run = { .first = index, .count = 1, .digests = digest };
	struct buf frame = { .data = job->bytes + job->len, .cap = ROOM_FRAME };

	sim_digest(digest, size, sim_version_hash(sender->end.sim, version, chunk_size(sender), index));
	if (message_digest_run_write(&frame, request->id, size, &run) < 0)
		abort();
	job->len += frame.len;
}

static void chunk_send(struct sim_sender *sender, struct sim_send_job *job, struct source_piece *piece, uint64_t index)
{
	struct sim *sim = sender->end.sim;
	const struct source_request *request = piece->request;
	struct sim_reading *reading = request->handle;
	bool whole = sender->end.limits.digest_size > 0;

	note(sender, piece, index, 1);
	if (whole && sim_strikes(sim, STRIKE_LOSE)) {
		sim_say(sim, "source: chunk %llu of request %u is lost", (unsigned long long)index, request->id);
		return;
	}
	piece->bytes += sim_version_length(reading->version, chunk_size(sender), index);
	if (job->order.digests) {
		digest_put(sender, job, request, reading->version, index);
		return;
	}
	chunk_put(sender, job, request, reading->version, index, whole && sim_strikes(sim, STRIKE_DAMAGE));
	if (sim_strikes(sim, STRIKE_REPEAT))
		repeat_put(sender, job, request, reading->version, index);
	if (sim_strikes(sim, STRIKE_STRAY))
		stray_put(sender, job, request);
}

/* Reads chunks up to `stop`, as far as the payload goes. */
static void read_run(struct sim_sender *sender, struct sim_send_job *job, struct source_piece *piece, uint64_t stop,
                     uint64_t *payload)
{
	struct sim_reading *reading = piece->request->handle;
	struct sim_version *version = reading->version;
	uint32_t size = chunk_size(sender);
	uint64_t room = job->order.digests ? job->order.payload_max : piece->reserved;
	bool wide = sim_version_sparse(version) && piece->count > room / size + 1;

	for (uint64_t index = piece->first; index < stop;) {
		uint64_t holes = 0;
		uint32_t len = sim_version_length(version, size, index);

		while (index + holes < stop && sim_version_length(version, size, index + holes) == size &&
		       sim_version_hole(version, size, index + holes))
			holes++;
		/* More chunks than payload are only ordered where there may be holes; their frames fill the buffer early. */
		if (wide && index > piece->first && sim_chance(sender->end.sim, 5))
			return;
		if (holes > 0) {
			note(sender, piece, index, holes);
			hole_put(sender->end.sim, job, piece->request, index, holes);
			index += holes;
			continue;
		}
		if (len > job->order.payload_max - *payload)
			return;
		if (sim_strikes(sender->end.sim, STRIKE_READ)) {
			read_fail(reading, piece, STATUS_IO);
			return;
		}
		chunk_send(sender, job, piece, index);
		*payload += len;
		index++;
	}
}

static bool read_open(struct sim_reading *reading, struct source_piece *piece)
{
	if (reading->status != STATUS_OK) {
		read_fail(reading, piece, reading->status);
		return false;
	}
	if (piece->request->cancelled)
		read_fail(reading, piece, STATUS_CANCELLED);
	else if (!reading->opened && (reading->node == NULL || reading->node->gone))
		read_fail(reading, piece, STATUS_NOT_FOUND);
	else if (!reading->opened)
		reading->version = reading->node->now;
	else if (reading->version != reading->node->now)
		read_fail(reading, piece, STATUS_CHANGED);
	if (reading->status != STATUS_OK)
		return false;
	reading->opened = true;
	if (reading->version->size != piece->request->size)
		read_fail(reading, piece, STATUS_CHANGED);
	return reading->status == STATUS_OK;
}

/* Whether the end is to be said twice. */
static bool end_lie(struct sim *sim, struct end *end)
{
	sim_say(sim, "source: lies about the end of request %u", end->request);
	switch (sim_below(sim, 4)) {
	case 0: end->size++; return false;
	case 1: end->flags = 0; return false;
	case 2: end->status = STATUS_CHANGED; return false;
	default: return true;
	}
}

static void ended_put(struct sim_sender *sender, struct sim_send_job *job, const struct source_piece *piece)
{
	const struct source_request *request = piece->request;
	struct sim_reading *reading = request->handle;
	struct sim *sim = sender->end.sim;
	uint8_t digest[FRAME_DIGEST_MAX];
	struct end end = { .request = request->id, .status = reading->status, .text = "" };
	bool again;

	sim_say(sim, "source: request %u ends, status %d, %llu chunks", request->id, (int)reading->status,
	        (unsigned long long)(request->sent + piece->chunks));
	sim_check(sim, !reading->ended, "request %u ends twice", request->id);
	reading->ended = true;
	end.chunks = request->sent + piece->chunks;
	if (reading->version != NULL) {
		end.size = reading->version->size;
		end.mode = reading->version->mode;
		end.mtime = reading->version->mtime;
		end.mtime_ns = reading->version->mtime_ns;
	}
	if (reading->status == STATUS_OK && !request->part) {
		struct range gap = { 0, 0 };

		sim_check(sim, !ranges_gap(&reading->sent, 0, piece->total, &gap), "request %u ends without chunk %llu",
		          request->id, (unsigned long long)gap.first);
		sim_digest(digest, sender->end.limits.digest_size,
		           sim_version_digest(sim, reading->version, chunk_size(sender)));
		if (sim_strikes(sim, STRIKE_DIGEST))
			digest[0] ^= 1;
		end.digest = digest;
		end.flags = END_DIGEST;
	}
	if (job->ends.len == 0 && message_body_begin(&job->ends, &(size_t){ 0 }) < 0)
		abort();
	again = sim_strikes(sim, STRIKE_LIE) && end_lie(sim, &end);
	for (int i = 0; i <= again; i++) {
		if (message_end_write(&job->ends, sender->end.limits.digest_size, &end) < 0)
			abort();
	}
}

static void read_piece(struct sim_sender *sender, struct sim_send_job *job, struct source_piece *piece,
                       uint64_t *payload)
{
	struct sim_reading *reading = piece->request->handle;
	size_t before = job->len;
	uint64_t stop;

	if (!read_open(reading, piece)) {
		if (reading->version != NULL)
			piece->total = sim_version_chunks(reading->version, chunk_size(sender));
		return;
	}
	piece->total = stop = sim_version_chunks(reading->version, chunk_size(sender));
	if (piece->first >= stop)
		stop = piece->first;
	else if (piece->count < stop - piece->first)
		stop = piece->first + piece->count;
	read_run(sender, job, piece, stop, payload);
	if (reading->status != STATUS_OK) {
		job->len = before;
		*payload -= piece->bytes;
		piece->chunks = piece->bytes = 0;
	} else if (piece->end && piece->first + piece->chunks == stop) {
		piece->ended = true;
	}
}

void sim_read_run(struct sim_send_job *job)
{
	struct sim_sender *sender = job->sender;
	static uint8_t scratch[1 << 20];
	uint64_t payload = 0;

	/* Each frame may come twice, or have a stray one behind it. */
	sim_check(sender->end.sim, 4 * job->order.payload_max < sizeof(scratch), "an order larger than this simulator");
	job->bytes = scratch;
	for (size_t i = 0; i < job->order.count; i++)
		read_piece(sender, job, &job->order.pieces[i], &payload);
	for (size_t i = 0; i < job->order.count; i++) {
		if (job->order.pieces[i].ended)
			ended_put(sender, job, &job->order.pieces[i]);
	}
	sim_check(sender->end.sim, payload <= job->order.payload_max, "more payload than was reserved");
	if (job->ends.len > 0) {
		sim_run_seal(sender, &job->ends, 0, FRAME_ENDS, 0);
		memcpy(job->bytes + job->len, job->ends.data, job->ends.len);
		job->len += job->ends.len;
	}
	if (sender->late_len > 0 && sim_chance(sender->end.sim, 60)) {
		memcpy(job->bytes + job->len, sender->late, sender->late_len);
		job->len += sender->late_len;
		sender->late_len = 0;
	}
	job->bytes = memcpy(sim_take_raw(sender->end.sim, job->len), scratch, job->len);
}
