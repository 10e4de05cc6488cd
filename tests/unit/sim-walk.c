/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-read.h"

#include <stdlib.h>
#include <string.h>

static int entry_put(struct sim_sender *sender, struct buf *out, const struct sim_node *node, bool up)
{
	static const enum entry_kind kinds[] = {
		[SIM_FILE] = ENTRY_FILE,
		[SIM_DIR] = ENTRY_DIR,
		[SIM_LINK] = ENTRY_SYMLINK,
		[SIM_SPECIAL] = ENTRY_SPECIAL,
		[SIM_UNREADABLE] = ENTRY_UNREADABLE,
	};
	const struct sim_version *now = node->now;
	struct entry entry = {
		.kind = up ? ENTRY_UP : kinds[node->kind],
		.flags = !up && node->kind == SIM_FILE && sim_version_sparse(now) ? ENTRY_SPARSE : 0,
		.mode = now->mode,
		.size = node->kind == SIM_FILE ? now->size : 0,
		.mtime = now->mtime,
		.mtime_ns = now->mtime_ns,
		.name = up ? "" : node->name,
		.name_len = up ? 0 : node->name_len,
		.text = node->kind == SIM_LINK  ? node->target
		        : node->kind > SIM_LINK ? "socket"
		                                : "",
	};

	(void)sender;
	entry.text_len = strlen(entry.text);
	return message_entry_write(out, &entry);
}

/* An entry that no tree has in this place. */
static void lie_put(struct sim_sender *sender, struct buf *out, const struct sim_node *node)
{
	const struct entry reserved = { .kind = ENTRY_FILE, .name = ".xfer-1", .name_len = 7, .text = "" };
	int r;

	sim_say(sender->end.sim, "source: lies about '%s'", node->name);
	switch (sim_below(sender->end.sim, 3)) {
	case 0: r = message_entry_write(out, &reserved); break;
	case 1: r = entry_put(sender, out, node, true); break;
	default: r = entry_put(sender, out, node, false); break;
	}
	if (r < 0)
		abort();
}

/* The next entry becomes the one in hand; false: there is none. */
static bool walk_next(struct sim_reading *walk)
{
	if (walk->held)
		return true;
	do {
		if (walk->over)
			return false;
		if (!walk->begun)
			walk->at = walk->node;
		else
			walk->at = sim_node_next(walk->node, walk->at, &walk->up);
		walk->begun = true;
		walk->over = walk->at == NULL;
	} while (walk->over || (walk->at->gone && !walk->up && walk->at->kind != SIM_DIR));
	walk->held = true;
	return true;
}

void sim_run_seal(const struct sim_sender *sender, struct buf *out, size_t start, enum frame_type type,
                  uint32_t request)
{
	uint8_t digest[FRAME_DIGEST_MAX];
	uint32_t size = sender->end.limits.digest_size;
	const uint8_t *run = out->data + start + FRAME_HEADER;

	sim_digest(digest, size, sim_hash(run, out->len - start - FRAME_HEADER));
	if (buf_append(out, digest, size) < 0 || message_body_seal(out, start, type, request) < 0)
		abort();
}

static void end_put(struct sim_sender *sender, struct buf *out, const struct end *end)
{
	if (message_end_write(out, sender->end.limits.digest_size, end) < 0)
		abort();
}

static uint64_t walk_run(struct sim_sender *sender, struct sim_send_job *job, struct sim_reading *walk)
{
	struct sim *sim = sender->end.sim;
	size_t most = FRAME_CONTROL_MAX - sender->end.limits.digest_size;
	unsigned few = sim_chance(sim, 30) ? 1 + (unsigned)sim_below(sim, 8) : UINT32_MAX;
	size_t start;

	if (most > job->order.payload_max)
		most = job->order.payload_max;
	if (message_body_begin(&job->control, &start) < 0)
		abort();
	for (; few > 0 && walk_next(walk); few--) {
		size_t before = job->control.len;

		if (sim_strikes(sim, STRIKE_WALK)) {
			walk->status = STATUS_IO;
			walk->over = true;
			walk->held = false;
			break;
		}
		if (sim_strikes(sim, STRIKE_LIE))
			lie_put(sender, &job->control, walk->at);
		if (entry_put(sender, &job->control, walk->at, walk->up) < 0)
			abort();
		if (job->control.len - FRAME_HEADER > most) {
			job->control.len = before;
			break;
		}
		walk->held = false;
	}
	return job->control.len - FRAME_HEADER;
}

void sim_list_run(struct sim_send_job *job)
{
	struct sim_sender *sender = job->sender;
	struct source_piece *piece = &job->order.pieces[0];
	struct source_request *request = piece->request;
	struct sim_reading *walk = request->handle;
	struct end end = { .request = request->id, .text = "" };
	size_t start;

	if (request->cancelled)
		walk->status = STATUS_CANCELLED;
	if ((walk->node == NULL || (!walk->begun && walk->node->gone)) && walk->status == STATUS_OK)
		walk->status = STATUS_NOT_FOUND;
	if (walk->status != STATUS_OK || (request->flags & MESSAGE_LIST_TOTALS) != 0) {
		walk->over = true;
		walk->held = false;
	} else {
		job->order.run = walk_run(sender, job, walk);
	}
	walk->listed += job->order.run;
	sim_check(sender->end.sim, walk->listed <= request->credit, "request %u: more entries than credit",
	          request->id);
	if (job->order.run == 0)
		buf_clear(&job->control);
	else
		sim_run_seal(sender, &job->control, 0, FRAME_ENTRIES, request->id);
	piece->ended = walk->over && !walk->held;
	if (!piece->ended)
		return;
	end.status = walk->status;
	if (message_body_begin(&job->control, &start) < 0)
		abort();
	end_put(sender, &job->control, &end);
	sim_run_seal(sender, &job->control, start, FRAME_ENDS, 0);
}
