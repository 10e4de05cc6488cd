/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands at the destination before anything is fetched: an older copy of it, more or less. */
#include "sim-judge.h"

#include <stdio.h>
#include <string.h>

struct fill {
	struct sim *sim;
	struct sim_disk *disk;
	uint32_t chunk_size;
	bool alike; /* other content may have the same size and time */
};

static void file_fill(const struct fill *fill, struct sim_node *node, const char *path)
{
	struct sim *sim = fill->sim;
	struct sim_version *now = node->now;
	uint64_t draw = sim_below(sim, 100), size = now->size;
	struct sim_content *content;
	struct sim_name *name;

	if (draw < 10)
		size = sim_below(sim, 2 * size + 2);
	if (sim_disk_create(fill->disk, path, &name) < 0)
		return;
	name->content = content = sim_content_make(sim, size, fill->chunk_size);
	name->whole = true;
	name->mode = now->mode;
	name->mtime = now->mtime;
	name->mtime_ns = now->mtime_ns;
	for (uint64_t i = 0; i < content->chunks; i++) {
		content->hashes[i] = sim_number(sim) | 1;
		if (size == now->size && (draw > 35 || sim_chance(sim, 70)))
			content->hashes[i] = sim_version_hash(sim, now, fill->chunk_size, i);
	}
	if (draw < 50 && !(fill->alike && sim_chance(sim, 50)))
		name->mtime++;
}

static void node_fill(const struct fill *fill, struct sim_node *node, const char *path)
{
	char inner[2 * SIM_PATH_MAX];
	struct sim_name *name;

	if (sim_chance(fill->sim, 15))
		return;
	if (node->kind == SIM_FILE)
		file_fill(fill, node, path);
	else if (node->kind == SIM_LINK)
		(void)sim_disk_link(fill->disk, path, "an old target", &name);
	if (node->kind != SIM_DIR || sim_disk_dir(fill->disk, path) < 0)
		return;
	for (struct sim_node *in = node->first; in != NULL; in = in->next) {
		snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] != '\0' ? "/" : "", in->name);
		node_fill(fill, in, inner);
	}
}

void sim_fill(struct sim *sim, struct sim_disk *disk, struct sim_node *node, const char *path, bool alike)
{
	const struct sim_plan *plan = &sim->plan;
	const struct fill fill = {
		.sim = sim,
		.disk = disk,
		.chunk_size = plan->chunk_client < plan->chunk_daemon ? plan->chunk_client : plan->chunk_daemon,
		.alike = alike,
	};

	node_fill(&fill, node, path);
}
