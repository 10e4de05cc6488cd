/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a file is there already: of an earlier run that broke off, or of an older version of it.
 *
 *   unknown -> probe -> nothing: fresh, fetched as a whole
 *                    -> the same: left alone
 *                    -> chunks that the journal claims:  looked at; what is missing is asked for at once
 *                    -> chunks that may be right:        the source's digests are asked for, and they are looked at
 *
 * A chunk that is what it should be is kept, any other is asked for. In a partial file what is kept is where it belongs; from
 * an old file it is copied, as soon as it is clear that the two differ. Looking never changes anything on disk.
 */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- looking ---- */

static int keep_add(struct sink *sink, const struct sink_keep *piece)
{
	size_t len = piece->digests != NULL ? piece->count * sink->params.digest_size : 0;
	struct sink_keep_item *item = malloc(sizeof(*item) + len);

	if (item == NULL)
		return -ENOMEM;
	list_init(&item->link);
	item->piece = *piece;
	if (piece->digests != NULL)
		item->piece.digests = memcpy(item->digests, piece->digests, len);
	piece->file->writing++;
	list_append(&sink->keeps, &item->link);
	return 0;
}

/* Cut so that each goes into an order. digests: of the first, the others follow; NULL: the journal's. */
static int keep_cut(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, const uint8_t *digests)
{
	uint64_t most = sink->params.keep_payload / sink->params.chunk_size;
	int r = 0;

	most = most < 1 ? 1 : most < SINK_KEEP_CHUNKS ? most : SINK_KEEP_CHUNKS;
	while (r == 0 && count > 0) {
		const struct sink_keep piece = {
			.file = file,
			.first = first,
			.count = count < most ? count : most,
			.digests = digests,
		};

		r = keep_add(sink, &piece);
		first += piece.count;
		count -= piece.count;
		if (digests != NULL)
			digests += piece.count * sink->params.digest_size;
	}
	return r;
}

void sink_reuse_drop(struct sink *sink, struct sink_file *file)
{
	for (struct list *node = sink->keeps.next; node != &sink->keeps;) {
		struct sink_keep_item *item = list_entry(node, struct sink_keep_item, link);

		node = node->next;
		if (file != NULL && item->piece.file != file)
			continue;
		item->piece.file->writing--;
		list_remove(&item->link);
		free(item);
	}
}

/* ---- the work of a file, a stretch at a time ---- */

static void no_memory(struct sink *sink, struct sink_file *file)
{
	sink_file_fail(sink, file, FAULT_LOCAL, "out of memory");
}

/* Claimed chunks of the stretch are looked at, the others asked for. */
static int stretch_claims(struct sink *sink, struct sink_file *file, uint64_t from)
{
	struct range gap = { from, from };
	uint64_t at = from;
	int r = 0;

	while (r == 0 && at < file->horizon) {
		bool some = ranges_gap(&file->claims, at, file->horizon, &gap);
		uint64_t claimed = some ? gap.first : file->horizon;

		if (claimed > at)
			r = keep_cut(sink, file, at, claimed - at, NULL);
		if (r == 0 && some && file->reuse != SINK_REUSE_STANDS) {
			file->differs = true;
			r = sink_ask_range(sink, file, gap.first, gap.end - gap.first, false);
		}
		at = some ? gap.end : file->horizon;
	}
	return r;
}

bool sink_reuse_advance(struct sink *sink, struct sink_file *file)
{
	uint64_t from = file->horizon;
	int r;

	if (from >= file->chunks)
		return false;
	file->horizon = file->chunks - from < HORIZON ? file->chunks : from + HORIZON;
	if (file->reuse == SINK_REUSE_NONE)
		r = sink_ask_rest(sink, file, from, file->horizon - from);
	else if (file->by_digests)
		r = sink_ask_range(sink, file, from, file->horizon - from, true);
	else
		r = stretch_claims(sink, file, from);
	if (r < 0)
		no_memory(sink, file);
	return true;
}

/* ---- what the probe found ---- */

/* Whether looking at it is worth it: for a file of one chunk in a partial of another version it is not. */
static bool reuse_begin(struct sink *sink, struct sink_file *file, struct sink_probe *probe)
{
	bool staged = file->final == NULL;
	bool strong = sink->params.digest_size > 0 && sink->params.strong;

	switch (probe->found) {
	case SINK_CLAIMS:
		if (file->chunks <= 1)
			return false;
		file->reuse = SINK_REUSE_PARTIAL;
		file->claims = probe->claims;
		probe->claims = (struct ranges){ 0 };
		break;
	case SINK_STANDS:
		/* In a staging folder nobody sees it: it may be mended where it stands. */
		file->reuse = staged ? SINK_REUSE_PARTIAL : SINK_REUSE_OLD;
		if (file->chunks > 0 && ranges_add(&file->claims, 0, file->chunks) < 0)
			return false;
		break;
	case SINK_CHANGED:
		if (!strong || file->chunks <= 1)
			return false;
		file->reuse = SINK_REUSE_PARTIAL;
		file->by_digests = true;
		break;
	case SINK_OLD:
		if (!strong)
			return false;
		file->reuse = sink_verifying(sink) ? SINK_REUSE_STANDS : SINK_REUSE_OLD;
		file->by_digests = true;
		file->differs = probe->size != file->size;
		break;
	case SINK_NOTHING:
	case SINK_SAME: return false;
	}
	file->number = probe->number;
	/* Where all of it is looked at before anything comes, what comes is told from it by what was kept. */
	for (size_t i = 0; i < file->claims.count; i++) {
		const struct range *range = &file->claims.all[i];

		if (file->chunks > 1 && ranges_add(&file->seen, range->first, range->end - range->first) < 0) {
			ranges_free(&file->claims);
			ranges_free(&file->seen);
			file->reuse = SINK_REUSE_NONE;
			return false;
		}
	}
	return true;
}

static void file_same(struct sink *sink, struct sink_file *file)
{
	const struct sink_event event = {
		.kind = SINK_UNCHANGED,
		.path = file->name,
		.bytes = file->size,
	};

	sink->count.same++;
	if (sink->watch.event != NULL)
		sink->watch.event(sink->watch.context, &event);
	sink_file_free(sink, file);
}

static void probe_done(struct sink *sink, struct sink_probe *probe)
{
	struct sink_file *file = probe->file;

	if (sink_file_failed(file)) {
		sink_file_bury(sink, file);
	} else if (probe->found == SINK_SAME) {
		file_same(sink, file);
	} else if (probe->found == SINK_NOTHING && sink_verifying(sink)) {
		sink->count.differ++;
		sink_file_fail(sink, file, FAULT_INTEGRITY, "is not there");
	} else if (reuse_begin(sink, file, probe)) {
		sink_file_move(sink, file, SINK_FILE_PARTS);
		if (!sink_reuse_advance(sink, file))
			sink_file_settle(sink, file);
	} else {
		sink_file_move(sink, file, SINK_FILE_FRESH);
	}
}

void sink_probes_done(struct sink *sink, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		struct sink_probe *probe = &order->probes[i];

		probe->file->writing--;
		probe->file->out--;
		probe_done(sink, probe);
		ranges_free(&probe->claims);
	}
}

static bool take_probes(struct sink *sink, struct sink_order *order)
{
	struct list *node;

	while (order->count < SINK_PROBES_MAX && (node = list_first(&sink->unknown)) != NULL) {
		struct sink_file *file = list_entry(node, struct sink_file, link);

		sink_file_move(sink, file, SINK_FILE_PROBING);
		file->writing++;
		file->out++;
		order->probes[order->count++] = (struct sink_probe){ .file = file };
	}
	order->kind = SINK_ORDER_PROBE;
	return order->count > 0;
}

/* ---- digests come ---- */

/*
 * What it was told of: nothing may be looked at twice, neither when it is told again, which costs no credit, nor when its
 * lane goes. False: it was told before, or is so scattered that nobody can say.
 */
static bool told_note(struct sink_request *request, uint64_t first, uint64_t count)
{
	int r = ranges_add(&request->told, first, count);

	request->blurred = request->blurred || r == -ENOMEM;
	return r == 0 || r == -ENOMEM;
}

int sink_digests(struct sink_lane *lane, uint32_t id, const struct message_digest_run *run, struct error *err)
{
	struct sink *sink = lane->sink;
	struct sink_request *request = table_get(&lane->requests, id);
	struct sink_file *file = request != NULL ? request->file : NULL;

	if (file == NULL || sink_file_failed(file))
		return 0;
	if (!file->by_digests || !request->digests || !sink_request_covers(request, run->first, run->count))
		return error_set(err, -EPROTO, FAULT_PEER, "digests that were not asked for");
	sink_lane_came(lane, request, run->count * (uint64_t)sink->params.chunk_size);
	if (!told_note(request, run->first, run->count))
		return 0;
	if (keep_cut(sink, file, run->first, run->count, run->digests) < 0)
		no_memory(sink, file);
	return 0;
}

/* A hole at the source, told by digests or by chunks of a file of which something is there. False: an ordinary one. */
bool sink_reuse_hole(struct sink *sink, struct sink_request *request, uint64_t first, uint64_t count)
{
	struct sink_file *file = request->file;
	const struct sink_keep piece = { .file = file, .first = first, .count = count, .zeroes = true };

	if (!file->by_digests || first > file->horizon || count > file->horizon - first)
		return false;
	/* What is asked for as it differs is a hole by now, or was one all the time: looked at, either is fine. */
	if (!told_note(request, first, count))
		return true;
	if (keep_add(sink, &piece) < 0)
		no_memory(sink, file);
	return true;
}

/* ---- what was looked at ---- */

static int copy_add(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count)
{
	const struct sink_piece piece = { .op = SINK_COPY, .file = file, .first = first, .count = count };

	return sink_item_add(sink, &piece);
}

/* It is clear now that the old file is not the one to be had: what was right in it is copied. */
static int file_differs(struct sink *sink, struct sink_file *file)
{
	int r = 0;

	if (file->differs)
		return 0;
	file->differs = true;
	file->done += file->zeroes;
	for (size_t i = 0; r == 0 && i < file->kept.count; i++)
		r = copy_add(sink, file, file->kept.all[i].first, file->kept.all[i].end - file->kept.all[i].first);
	return r;
}

static void count_kept(struct sink *sink, const struct sink_file *file, uint64_t first, uint64_t count)
{
	uint64_t chunk = sink->params.chunk_size;
	uint64_t bytes = first + count == file->chunks ? file->size - first * chunk : count * chunk;

	sink->count.kept += bytes;
	sink->count.bytes += bytes;
	sink->count.chunks += count;
}

/* A run of chunks is right. */
static int run_kept(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, bool zeroes)
{
	count_kept(sink, file, first, count);
	if (file->reuse == SINK_REUSE_STANDS)
		return 0;
	if (file->by_digests && file->chunks > 1)
		(void)ranges_add(&file->seen, first,
		                 count); /* where it does not fit, a repeated chunk is taken for wanted */
	if (file->reuse == SINK_REUSE_PARTIAL) {
		file->done += count;
		return 0;
	}
	if (zeroes) {
		file->zeroes += count;
		file->done += file->differs ? count : 0;
		return 0;
	}
	if (file->differs)
		return copy_add(sink, file, first, count);
	return ranges_add(&file->kept, first, count) == -ENOMEM ? -ENOMEM : 0;
}

/* A run of chunks is not what it should be. */
static int run_wrong(struct sink *sink, struct sink_file *file, uint64_t first, uint64_t count, bool zeroes)
{
	const struct sink_piece hole = { .op = SINK_HOLE, .file = file, .first = first, .count = count };
	int r;

	if (file->reuse == SINK_REUSE_STANDS) {
		file->differs = true;
		return ranges_add(&file->kept, first, count) == -ENOMEM ? -ENOMEM : 0;
	}
	for (uint64_t i = first; !file->by_digests && i < first + count; i++)
		(void)ranges_remove(&file->seen, i);
	r = file->reuse == SINK_REUSE_OLD ? file_differs(sink, file) : 0;
	if (r < 0)
		return r;
	if (zeroes) {
		if (file->chunks > 1)
			(void)ranges_add(&file->seen, first, count); /* else they are looked at once more */
		return sink_item_add(sink, &hole);
	}
	if (file->chunks == 1) {
		sink_file_restart(sink, file);
		return 0;
	}
	return sink_ask_range(sink, file, first, count, false);
}

static int keep_done(struct sink *sink, const struct sink_keep *piece)
{
	struct sink_file *file = piece->file;
	uint64_t kept = piece->code < 0 ? 0 : piece->kept;
	int r = 0;

	file->looked += piece->count;
	if (piece->zeroes)
		return kept & 1 ? run_kept(sink, file, piece->first, piece->count, true)
		                : run_wrong(sink, file, piece->first, piece->count, true);
	for (uint64_t i = 0, run; r == 0 && i < piece->count; i += run) {
		bool right = kept >> i & 1;

		for (run = 1; i + run < piece->count && (bool)(kept >> (i + run) & 1) == right; run++)
			;
		r = right ? run_kept(sink, file, piece->first + i, run, false)
		          : run_wrong(sink, file, piece->first + i, run, false);
	}
	return r;
}

void sink_keeps_done(struct sink *sink, struct sink_order *order)
{
	sink->keeps_out--;
	for (size_t i = 0; i < order->count; i++) {
		struct sink_keep *piece = &order->keeps[i];
		struct sink_file *file = piece->file;

		/* The piece counts as out until it is looked at, so that a failure does not free the file under us. */
		if (!sink_file_failed(file) && keep_done(sink, piece) < 0)
			no_memory(sink, file);
		if (!piece->zeroes && piece->digests != NULL)
			free(list_entry(piece->digests, struct sink_keep_item, digests));
		file->writing--;
		file->out--;
		if (file->writing == 0)
			sink_file_settle(sink, file);
	}
}

static bool take_keeps(struct sink *sink, struct sink_order *order)
{
	uint64_t most = sink->params.keep_payload / sink->params.chunk_size, chunks = 0;
	struct list *node;

	if (sink->keeps_out >= sink->params.keeps_max)
		return false;
	while (order->count < SINK_KEEPS_MAX && (node = list_first(&sink->keeps)) != NULL) {
		struct sink_keep_item *item = list_entry(node, struct sink_keep_item, link);
		uint64_t count = item->piece.zeroes ? 0 : item->piece.count;

		if (order->count > 0 && chunks + count > most)
			break;
		chunks += count;
		item->piece.file->out++;
		order->keeps[order->count++] = item->piece;
		list_remove(node);
		if (item->piece.digests == NULL)
			free(item); /* else with the order, which points into it */
	}
	order->kind = SINK_ORDER_KEEP;
	sink->keeps_out += order->count > 0;
	return order->count > 0;
}

bool sink_reuse_next(struct sink *sink, struct sink_order *order)
{
	return take_probes(sink, order) || take_keeps(sink, order);
}

/* ---- the end of a file of which something was there ---- */

static void differs_report(struct sink *sink, struct sink_file *file)
{
	const struct sink_event event = {
		.kind = SINK_DIFFERS,
		.fault = FAULT_INTEGRITY,
		.path = file->name,
		.bytes = file->size,
		.chunks = &file->kept,
	};

	sink->count.differ++;
	if (sink->fault == FAULT_NONE || sink->fault == FAULT_INTEGRITY)
		sink->fault = FAULT_INTEGRITY;
	else
		sink->fault = FAULT_MIXED;
	if (sink->watch.event != NULL)
		sink->watch.event(sink->watch.context, &event);
}

bool sink_reuse_settle(struct sink *sink, struct sink_file *file)
{
	if (file->reuse == SINK_REUSE_NONE || file->reuse == SINK_REUSE_PARTIAL)
		return false;
	if (file->reuse == SINK_REUSE_OLD && file->differs)
		return false;
	if (file->looked < file->chunks) { /* a chunk that nobody looked at is not unchanged */
		sink_file_fail(sink, file, FAULT_INTEGRITY, "the source gave digests of %llu of %llu chunks",
		               (unsigned long long)file->looked, (unsigned long long)file->chunks);
		return true;
	}
	if (file->reuse == SINK_REUSE_STANDS && file->differs)
		differs_report(sink, file);
	file->end = file->reuse == SINK_REUSE_STANDS ? SINK_CLOSE : SINK_SETTLE;
	sink_file_move(sink, file, SINK_FILE_READY);
	return true;
}
