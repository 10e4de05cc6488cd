/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk of test-sink-lanes: carries out orders, late, and sees that no chunk is written twice. */
#include "sink-lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char handle; /* of every file being written */

static struct file *file_of(struct world *world, const struct sink_file *file)
{
	unsigned number = FILES;

	MUST(world, sscanf(file->name, "f%u", &number) == 1 && number < world->file_count);
	return &world->files[number];
}

static bool all_right(const struct file *file, const uint8_t *chunks)
{
	for (uint64_t i = 0; i < file->chunks; i++) {
		if (!chunks[i])
			return false;
	}
	return true;
}

static void piece_write(struct world *world, struct sink_piece *piece)
{
	struct file *file = file_of(world, piece->file);
	uint64_t first = piece->op == SINK_CHUNK ? piece->chunk.index : piece->first;
	uint64_t count = piece->op == SINK_CHUNK ? 1 : piece->count;

	switch (piece->op) {
	case SINK_CHUNK:
		world->tokens--;
		if (world->damage > 0 && lanes_below(world, 40) == 0) {
			world->damage--;
			piece->code = -EBADMSG;
			return;
		}
		/* fall through */
	case SINK_HOLE:
	case SINK_COPY:
		for (uint64_t i = first; i < first + count; i++) {
			MUST(world, i < file->chunks && !file->now[i]); /* once, and not over what is right */
			MUST(world, piece->op != SINK_COPY || file->old[i]);
			file->now[i] = 1;
		}
		break;
	case SINK_PUBLISH:
		/* Its only chunk was damaged: the order goes together. */
		if (file->chunks == 1 && !file->now[0]) {
			piece->code = -EBADMSG;
			return;
		}
		MUST(world, all_right(file, file->now) && !file->done);
		file->done = true;
		break;
	case SINK_SETTLE:
		MUST(world, all_right(file, file->old) && !file->done);
		file->done = true;
		break;
	case SINK_CLOSE:
	case SINK_ABANDON: MUST(world, false);
	}
	piece->file->handle = piece->op >= SINK_PUBLISH ? NULL : &handle;
}

static void probe_do(struct world *world, struct sink_probe *probe)
{
	struct file *file = file_of(world, probe->file);

	probe->found = SINK_NOTHING;
	probe->size = file->size;
	if (file->listed != file->size)
		return;
	if (file->has_old && (world->params.flags & SINK_FLAG_UPDATE)) {
		probe->found = SINK_OLD;
	} else if (file->has_old && file->chunks > 1) {
		probe->found = lanes_below(world, 2) == 0 ? SINK_CHANGED : SINK_CLAIMS;
		/* What is in the partial file; some of what the journal claims is wrong. */
		memcpy(file->now, file->old, file->chunks);
		for (uint64_t i = 0; i < file->chunks && probe->found == SINK_CLAIMS; i++) {
			if ((file->now[i] && lanes_below(world, 8) > 0) || lanes_below(world, 16) == 0)
				assert_int_equal(ranges_add(&probe->claims, i, 1), 0);
		}
		for (uint64_t i = 0; i < file->chunks && probe->found == SINK_CLAIMS; i++)
			file->now[i] = file->now[i] && ranges_has(&probe->claims, i);
	}
}

static void keep_do(struct world *world, struct sink_keep *keep)
{
	struct file *file = file_of(world, keep->file);
	const uint8_t *there = keep->file->reuse == SINK_REUSE_OLD ? file->old : file->now;
	bool all = true;

	keep->file->handle = &handle;
	keep->kept = 0;
	for (uint64_t i = 0; i < keep->count; i++) {
		all = all && there[keep->first + i];
		if (!keep->zeroes && there[keep->first + i])
			keep->kept |= UINT64_C(1) << i;
	}
	if (keep->zeroes) {
		keep->kept = all;
		/* A hole of the old file is one of the new one; what is wrong is made one as a whole. */
		for (uint64_t i = 0; i < keep->count; i++)
			file->now[keep->first + i] = all;
	}
}

static void order_do(struct world *world, struct sink_order *order)
{
	for (size_t i = 0; i < order->count; i++) {
		switch (order->kind) {
		case SINK_ORDER_WRITE: piece_write(world, &order->pieces[i]); break;
		case SINK_ORDER_PROBE: probe_do(world, &order->probes[i]); break;
		case SINK_ORDER_KEEP: keep_do(world, &order->keeps[i]); break;
		case SINK_ORDER_DIRS: break;
		}
	}
	sink_done(world->sink, order);
	free(order);
}

bool lanes_order_take(struct world *world)
{
	struct sink_order *order;

	if (world->out == ORDERS)
		return false;
	order = calloc(1, sizeof(*order));
	assert_non_null(order);
	if (!sink_next(world->sink, order)) {
		free(order);
		return false;
	}
	world->orders[world->out++] = order;
	return true;
}

bool lanes_order_back(struct world *world)
{
	unsigned which = world->out > 0 ? (unsigned)lanes_below(world, world->out) : 0;
	struct sink_order *order = world->orders[which];

	if (world->out == 0)
		return false;
	world->orders[which] = world->orders[--world->out];
	order_do(world, order);
	return true;
}
