/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-judge.h"

#include <string.h>

struct judge {
	struct sim *sim;
	const struct sim_disk *disk;
	const struct sim_transfer *transfer;
	bool strict; /* nothing changed: the copy is of how things are now */
	struct sink_count want;
	uint64_t unreadable;
};

static void meta_compare(const struct judge *judge, const struct sim_version *version, const struct sim_name *name)
{
	sim_check(judge->sim,
	          name->mode == version->mode && name->mtime == version->mtime && name->mtime_ns == version->mtime_ns,
	          "%s: '%s' has another mode or time", judge->transfer->name, name->name);
}

static void file_compare(struct judge *judge, struct sim_node *node, const struct sim_name *name)
{
	bool same = false;

	if (!judge->strict && node->gone && (name == NULL || judge->transfer->stood))
		return;
	sim_check(judge->sim, name != NULL && name->kind == SIM_FILE, "%s: '%s' is not there", judge->transfer->name,
	          node->name);
	sim_check(judge->sim, name->whole, "%s: '%s' is incomplete", judge->transfer->name, node->name);
	if (judge->transfer->blind && sim_struck(judge->sim) > 0)
		return;
	if (name->content == NULL) /* it stood there before: only where this one failed */
		return;
	for (struct sim_version *v = node->now; v != NULL && !same; v = judge->strict ? NULL : v->older) {
		same = sim_content_is(judge->sim, name->content, v);
		if (same && judge->strict)
			meta_compare(judge, v, name);
	}
	sim_check(judge->sim, same, "%s: '%s' is another file", judge->transfer->name, node->name);
}

/* What is new has in it what the source has, and not what it had when an earlier connection began. */
static void nothing_more(const struct judge *judge, const struct sim_node *node, const struct sim_name *name)
{
	const struct sim_node *in;

	if (judge->transfer->stood || name == NULL)
		return;
	for (const struct list *at = name->children.next; at != &name->children; at = at->next) {
		const struct sim_name *there = list_entry(at, struct sim_name, link);

		for (in = node->first; in != NULL; in = in->next) {
			if (in->name_len == there->name_len && memcmp(in->name, there->name, in->name_len) == 0)
				break;
		}
		sim_check(judge->sim, in != NULL && (!in->gone || in->gone_at >= judge->transfer->began),
		          "%s: '%s' is there, and not at the source", judge->transfer->name, there->name);
	}
}

static void node_compare(struct judge *judge, struct sim_node *node, const struct sim_name *name)
{
	switch (node->kind) {
	case SIM_FILE: file_compare(judge, node, name); break;
	case SIM_DIR:
		nothing_more(judge, node, name);
		sim_check(judge->sim, name != NULL && name->kind == SIM_DIR, "%s: directory '%s' is not there",
		          judge->transfer->name, node->name);
		meta_compare(judge, node->now, name);
		for (struct sim_node *in = node->first; in != NULL; in = in->next)
			node_compare(judge, in, sim_disk_child(judge->disk, name, in->name, in->name_len));
		break;
	case SIM_LINK:
		sim_check(judge->sim, name != NULL && name->kind == SIM_LINK && strcmp(name->target, node->target) == 0,
		          "%s: link '%s' is not there", judge->transfer->name, node->name);
		meta_compare(judge, node->now, name);
		break;
	case SIM_SPECIAL:
	case SIM_UNREADABLE: break;
	}
}

static bool node_same(struct sim *sim, const struct sim_disk *disk, const struct sim_node *node,
                      const struct sim_name *name)
{
	if (node->kind == SIM_FILE)
		return name != NULL && name->kind == SIM_FILE && name->content != NULL &&
		       sim_content_is(sim, name->content, node->now);
	if (node->kind == SIM_LINK)
		return name != NULL && name->kind == SIM_LINK && strcmp(name->target, node->target) == 0;
	for (const struct sim_node *in = node->first; in != NULL; in = in->next) {
		const struct sim_name *there = name == NULL ? NULL : sim_disk_child(disk, name, in->name, in->name_len);

		if (!node_same(sim, disk, in, there))
			return false;
	}
	return true;
}

bool sim_judge_same(struct sim *sim, const struct sim_disk *disk, const struct sim_node *node,
                    const struct sim_name *name)
{
	/* A link that is named itself is not compared. */
	return node->kind == SIM_LINK || node_same(sim, disk, node, name);
}

static void want_add(struct judge *judge, const struct sim_node *node, uint32_t chunk_size)
{
	judge->want.files += node->kind == SIM_FILE;
	judge->want.dirs += node->kind == SIM_DIR;
	judge->want.links += node->kind == SIM_LINK;
	judge->want.skipped += node->kind == SIM_SPECIAL;
	judge->unreadable += node->kind == SIM_UNREADABLE;
	if (node->kind == SIM_FILE) {
		judge->want.bytes += node->now->size;
		judge->want.chunks += sim_version_chunks(node->now, chunk_size);
	}
	for (const struct sim_node *in = node->first; in != NULL; in = in->next)
		want_add(judge, in, chunk_size);
}

static bool verifies(const struct sim_transfer *transfer)
{
	return (transfer->flags & SINK_FLAG_VERIFY) != 0;
}

/* How a transfer ends when nothing goes wrong; what stood in its place may have been in the way. */
static void result_judge(struct judge *judge, const struct sim_node *node)
{
	const struct sim_transfer *transfer = judge->transfer;
	const struct sim_plan *plan = &judge->sim->plan;
	const struct sink_count *got = &transfer->count;
	uint32_t chunk = plan->chunk_client < plan->chunk_daemon ? plan->chunk_client : plan->chunk_daemon;
	enum fault fault = FAULT_NONE;

	want_add(judge, node, chunk);
	if (judge->want.skipped > 0)
		fault = FAULT_MIXED;
	if (judge->unreadable > 0)
		fault = FAULT_REFUSED;
	if (verifies(transfer)) {
		sim_check(judge->sim, transfer->fault != FAULT_NONE || transfer->same, "%s: what differs was not found",
		          transfer->name);
		if (!transfer->same)
			fault = judge->unreadable > 0 ? FAULT_MIXED : FAULT_INTEGRITY;
		sim_check(judge->sim,
		          transfer->fault == fault || transfer->fault == FAULT_LOCAL ||
		                  judge->sim->odds[STRIKE_LOSE].hits > 0,
		          "%s: comparing ended with %d (%s), not %d", transfer->name, transfer->fault,
		          transfer->err.text, fault);
		return;
	}
	if ((transfer->stood || (transfer->flags != 0 && judge->sim->odds[STRIKE_LOSE].hits > 0)) &&
	    transfer->fault != fault)
		return;
	sim_check(judge->sim, transfer->fault == fault, "%s: the transfer ended with %d (%s), not %d", transfer->name,
	          transfer->fault, transfer->err.text, fault);
	sim_check(judge->sim,
	          got->files + got->same == judge->want.files && got->dirs == judge->want.dirs &&
	                  got->links == judge->want.links && got->skipped == judge->want.skipped &&
	                  got->failed == judge->unreadable &&
	                  (transfer->reused ||
	                   (got->bytes == judge->want.bytes && got->chunks == judge->want.chunks && got->kept == 0)),
	          "%s: files %llu of %llu, directories %llu of %llu, links %llu of %llu, chunks %llu of %llu",
	          transfer->name, (unsigned long long)got->files, (unsigned long long)judge->want.files,
	          (unsigned long long)got->dirs, (unsigned long long)judge->want.dirs, (unsigned long long)got->links,
	          (unsigned long long)judge->want.links, (unsigned long long)got->chunks,
	          (unsigned long long)judge->want.chunks);
	sim_check(judge->sim, !transfer->clean || got->repaired == 0, "%s: %llu chunks were asked for again",
	          transfer->name, (unsigned long long)got->repaired);
}

/* All that went wrong is what a sink repairs: the result is as if nothing had. */
static bool repairable(const struct sim *sim)
{
	unsigned good = sim->odds[STRIKE_DAMAGE].hits + sim->odds[STRIKE_LOSE].hits + sim->odds[STRIKE_REPEAT].hits;

	return good == sim_struck(sim) && good <= 3;
}

static bool changed(const struct sim *sim)
{
	return sim->odds[STRIKE_CHANGE].hits + sim->odds[STRIKE_VANISH].hits > 0;
}

/*
 * Resuming sends again no more than what was in flight: where connections broke and nothing else was wrong, each of them
 * costs a window at most.
 */
static void resumed_judge(struct judge *judge, const struct sim_node *node)
{
	const struct sim_transfer *transfer = judge->transfer;
	const struct sim_odds *odds = judge->sim->odds;
	const struct sim_plan *plan = &judge->sim->plan;
	uint32_t chunk = plan->chunk_client < plan->chunk_daemon ? plan->chunk_client : plan->chunk_daemon;
	uint64_t window = plan->window > 2 * chunk ? plan->window : 2 * chunk;

	if (!transfer->resumes || odds[STRIKE_CUT].hits + odds[STRIKE_HANG].hits < sim_struck(judge->sim))
		return;
	judge->want = (struct sink_count){ 0 };
	want_add(judge, node, chunk);
	sim_check(judge->sim, transfer->received <= judge->want.bytes + (transfer->sinks - 1) * (window + chunk),
	          "%s: %llu bytes of payload came for %llu, in %u connections", transfer->name,
	          (unsigned long long)transfer->received, (unsigned long long)judge->want.bytes, transfer->sinks);
}

/* A later transfer to the same place has the last word. */
static bool overwritten(const struct sim_transfer *transfers, unsigned count, unsigned at)
{
	for (unsigned i = at + 1; i < count; i++) {
		if (strcmp(transfers[i].name, transfers[at].name) == 0 || transfers[i].name[0] == '\0')
			return true;
	}
	return false;
}

/* Whatever happened: what stands under a final name is whole, and nothing hidden is left without a cause. */
static void names_judge(struct sim *sim, const struct sim_name *dir, bool orphans)
{
	for (const struct list *node = dir->children.next; node != &dir->children; node = node->next) {
		const struct sim_name *name = list_entry(node, struct sim_name, link);

		if (strncmp(name->name, ".xfer-", 6) == 0) {
			sim_check(sim, orphans, "'%s' is left lying about", name->name);
			continue;
		}
		sim_check(sim, name->kind != SIM_FILE || name->whole, "'%s' is an incomplete file", name->name);
		names_judge(sim, name, orphans);
	}
}

void sim_judge(struct sim *sim, const struct sim_tree *tree, const struct sim_disk *disk,
               const struct sim_transfer *transfers, unsigned count, bool killed)
{
	/* (What was begun, and the source has removed since, is not found again where a tree is merged.) */
	bool orphans = killed ||
	               sim->odds[STRIKE_WRITE].hits + sim->odds[STRIKE_FULL].hits + sim->odds[STRIKE_VANISH].hits > 0;

	for (unsigned i = 0; i < count; i++)
		orphans = orphans || transfers[i].left;
	names_judge(sim, disk->root, orphans);
	for (unsigned i = 0; i < count; i++) {
		struct judge judge = { .sim = sim, .disk = disk, .transfer = &transfers[i], .strict = !changed(sim) };
		struct sim_node *node = sim_tree_find(tree, transfers[i].remote);

		if (!changed(sim) && (transfers[i].clean || repairable(sim)))
			result_judge(&judge, node);
		resumed_judge(&judge, node);
		if (verifies(&transfers[i]))
			continue;
		if (transfers[i].fault == FAULT_NONE && !overwritten(transfers, count, i) &&
		    sim->odds[STRIKE_STRAY].hits + sim->odds[STRIKE_LIE].hits == 0)
			node_compare(&judge, node, sim_disk_look(disk, transfers[i].name));
	}
}
