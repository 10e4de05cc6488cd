/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-tree.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_SEEN = 255, PATH_ROOM = 3000, FILE_GRAINS = 48, HUGE_GRAINS = 30000 };

/* ---- content ---- */

bool sim_version_sparse(const struct sim_version *version)
{
	return version->hole_from < version->hole_to || version->hole_again * SIM_GRAIN < version->size;
}

static bool grain_is_hole(const struct sim_version *version, uint64_t grain)
{
	return (grain >= version->hole_from && grain < version->hole_to) || grain >= version->hole_again;
}

uint64_t sim_version_chunks(const struct sim_version *version, uint32_t chunk_size)
{
	return version->size / chunk_size + (version->size % chunk_size != 0);
}

uint32_t sim_version_length(const struct sim_version *version, uint32_t chunk_size, uint64_t index)
{
	uint64_t left = version->size - index * chunk_size;

	return left < chunk_size ? (uint32_t)left : chunk_size;
}

bool sim_version_hole(const struct sim_version *version, uint32_t chunk_size, uint64_t index)
{
	uint64_t grains = chunk_size / SIM_GRAIN;

	for (uint64_t i = index * grains; i < (index + 1) * grains; i++) {
		if (!grain_is_hole(version, i))
			return false;
	}
	return true;
}

/* One grain or less. */
static void grain_read(const struct sim_version *version, uint64_t grain, uint8_t *out, size_t len)
{
	uint64_t words[SIM_GRAIN / 8];
	uint64_t at = (version->id ^ (grain + 1) * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

	if (grain_is_hole(version, grain)) {
		memset(out, 0, len);
		return;
	}
	for (size_t i = 0; i < SIM_GRAIN / 8; i++)
		words[i] = at + i * UINT64_C(0xd1342543de82ef95);
	memcpy(out, words, len);
}

void sim_version_read(const struct sim_version *version, uint32_t chunk_size, uint64_t index, uint8_t *out)
{
	uint32_t len = sim_version_length(version, chunk_size, index);
	uint64_t grain = index * (chunk_size / SIM_GRAIN);

	for (uint32_t at = 0; at < len; at += SIM_GRAIN, grain++)
		grain_read(version, grain, out + at, len - at < SIM_GRAIN ? len - at : SIM_GRAIN);
}

uint64_t sim_version_hash(struct sim *sim, struct sim_version *version, uint32_t chunk_size, uint64_t index)
{
	static uint8_t bytes[64 * SIM_GRAIN];

	if (version->chunk_size != chunk_size) {
		version->chunk_size = chunk_size;
		version->hashes = sim_take(sim, sim_version_chunks(version, chunk_size) * sizeof(*version->hashes));
	}
	if (version->hashes[index] == 0 && sim_version_hole(version, chunk_size, index) &&
	    sim_version_length(version, chunk_size, index) == chunk_size)
		version->hashes[index] = sim_zero_hash(chunk_size);
	if (version->hashes[index] == 0) {
		sim_version_read(version, chunk_size, index, bytes);
		version->hashes[index] = sim_hash(bytes, sim_version_length(version, chunk_size, index));
	}
	return version->hashes[index];
}

uint64_t sim_zero_hash(uint32_t len)
{
	static const uint8_t zeroes[64 * SIM_GRAIN];
	static uint64_t hash;
	static uint32_t of; /* the length that it is of */

	if (of != len)
		hash = sim_hash(zeroes, len);
	of = len;
	return hash;
}

uint64_t sim_file_hash(uint64_t size, uint64_t chunks, uint64_t (*hash)(void *context, uint64_t index), void *context)
{
	uint64_t sum = size + 1;

	for (uint64_t i = 0; i < chunks; i++) {
		sum = (sum ^ hash(context, i)) * UINT64_C(0x9fb21c651e98df25);
		sum ^= sum >> 29;
	}
	return sum;
}

struct hashing {
	struct sim *sim;
	struct sim_version *version;
	uint32_t chunk_size;
};

static uint64_t version_hash(void *context, uint64_t index)
{
	const struct hashing *hashing = context;

	return sim_version_hash(hashing->sim, hashing->version, hashing->chunk_size, index);
}

uint64_t sim_version_digest(struct sim *sim, struct sim_version *version, uint32_t chunk_size)
{
	struct hashing hashing = { sim, version, chunk_size };

	return sim_file_hash(version->size, sim_version_chunks(version, chunk_size), version_hash, &hashing);
}

/* ---- making ---- */

/* Grains of a new file. */
static uint64_t grains_draw(struct sim *sim)
{
	uint64_t draw = sim_below(sim, 100);

	if (draw < 20)
		return 0;
	if (draw < 60)
		return 1;
	if (draw < 90)
		return 1 + sim_below(sim, 8);
	if (draw < 99 || !sim_chance(sim, 10))
		return 1 + sim_below(sim, FILE_GRAINS);
	return HUGE_GRAINS;
}

static void holes_draw(struct sim *sim, struct sim_version *version)
{
	uint64_t grains = version->size / SIM_GRAIN + 1;

	version->hole_again = UINT64_MAX / SIM_GRAIN;
	if (grains < HUGE_GRAINS && !sim_chance(sim, 15))
		return;
	version->hole_from = sim_below(sim, grains);
	version->hole_to = version->hole_from + sim_below(sim, grains - version->hole_from);
	if (sim_chance(sim, 30))
		version->hole_again = version->hole_to + sim_below(sim, grains - version->hole_to);
	if (grains >= HUGE_GRAINS) { /* little of it is more than holes */
		version->hole_from = sim_below(sim, 20);
		version->hole_to = grains - sim_below(sim, 20);
	}
}

static void version_add(struct sim *sim, struct sim_node *node, uint64_t size)
{
	struct sim_version *version = sim_take(sim, sizeof(*version));

	version->older = node->now;
	version->id = sim_number(sim);
	version->size = size;
	version->mode = (uint16_t)sim_below(sim, 010000);
	version->mtime = (int64_t)sim_below(sim, UINT64_C(1) << 33) - (INT64_C(1) << 32);
	version->mtime_ns = (uint32_t)sim_below(sim, 1000000000);
	if (size > 0)
		holes_draw(sim, version);
	else
		version->hole_again = UINT64_MAX / SIM_GRAIN;
	node->now = version;
}

/* Any bytes that a name may have; the number makes it the only one of its kind. */
static size_t name_draw(struct sim *sim, unsigned number, size_t room, char *out)
{
	bool large = sim->plan.nodes > 2000; /* a listing larger than what is granted of it at a time */
	size_t len = 0, most = large || sim_chance(sim, 5) ? NAME_MAX_SEEN - 10 : 12;

	if (most > room)
		most = room;
	if (most > 0 && sim_chance(sim, 40))
		len = sim_below(sim, most);
	if (large)
		len = most;
	for (size_t i = 0; i < len; i++) {
		out[i] = (char)(1 + sim_below(sim, 255));
		if (out[i] == '/')
			out[i] = ' ';
	}
	if (len > 0 && out[len - 1] >= '0' && out[len - 1] <= '9')
		out[len - 1] = '_';
	return len + (size_t)sprintf(out + len, "%u", number);
}

static struct sim_node *node_add(struct sim_tree *tree, struct sim_node *parent, enum sim_kind kind)
{
	struct sim *sim = tree->sim;
	char name[NAME_MAX_SEEN + 16] = "x";
	size_t room = parent == NULL || parent->path_len > PATH_ROOM ? 0 : PATH_ROOM - parent->path_len;
	size_t len = parent == NULL ? 1 : name_draw(sim, tree->count, room, name);
	struct sim_node *node = sim_take(sim, sizeof(*node) + len + 1);
	uint64_t size = 0;

	if (kind == SIM_FILE) {
		size = grains_draw(sim) * SIM_GRAIN;
		if (size > 0 && sim_chance(sim, 70)) /* else it ends with a grain */
			size -= sim_below(sim, SIM_GRAIN);
	}
	memcpy(node->name, name, len);
	node->name_len = len;
	node->path_len = parent == NULL ? 1 : parent->path_len + 1 + len;
	node->kind = kind;
	node->parent = parent;
	node->number = tree->count;
	if (kind == SIM_LINK)
		node->target = sim_chance(sim, 50) ? "../a/target" : "\n\xff?";
	version_add(sim, node, size);
	if (parent != NULL && parent->last != NULL)
		parent->last->next = node;
	else if (parent != NULL)
		parent->first = node;
	if (parent != NULL)
		parent->last = node;
	tree->nodes[tree->count++] = node;
	return node;
}

static enum sim_kind kind_draw(struct sim *sim)
{
	uint64_t draw = sim_below(sim, 100);

	if (draw < 65)
		return SIM_FILE;
	if (draw < 85)
		return SIM_DIR;
	if (draw < 93 || !sim->plan.odd)
		return SIM_LINK;
	return draw < 97 ? SIM_SPECIAL : SIM_UNREADABLE;
}

void sim_tree_make(struct sim_tree *tree, struct sim *sim)
{
	static const enum sim_kind tops[] = { SIM_FILE, SIM_FILE, SIM_LINK };
	bool deep = sim_chance(sim, 20);
	struct sim_node *dir;

	*tree = (struct sim_tree){ .sim = sim };
	tree->nodes = sim_take(sim, (sim->plan.nodes + 1) * sizeof(struct sim_node *));
	tree->top = dir = node_add(tree, NULL, sim->plan.nodes > 0 ? SIM_DIR : tops[sim_below(sim, 3)]);
	for (unsigned i = 0; i < sim->plan.nodes; i++) {
		struct sim_node *node = node_add(tree, dir, kind_draw(sim));
		struct sim_node *other = tree->nodes[sim_below(sim, tree->count)];

		if (node->kind == SIM_DIR && (deep || sim_chance(sim, 50)))
			dir = node;
		else if (other->kind == SIM_DIR && !deep)
			dir = other;
		if (dir->path_len > PATH_ROOM)
			dir = tree->top;
	}
}

/* ---- what becomes of it ---- */

static struct sim_node *file_draw(struct sim_tree *tree)
{
	for (unsigned tries = 0; tries < 8; tries++) {
		struct sim_node *node = tree->nodes[sim_below(tree->sim, tree->count)];

		if (node->kind == SIM_FILE && !node->gone)
			return node;
	}
	return NULL;
}

bool sim_tree_change(struct sim_tree *tree)
{
	struct sim_node *node = file_draw(tree);
	uint64_t size;

	if (node == NULL)
		return false;
	size = node->now->size;
	if (sim_chance(tree->sim, 60))
		size = sim_below(tree->sim, 2 * size + SIM_GRAIN);
	version_add(tree->sim, node, size);
	sim_say(tree->sim, "tree: file %u changes, it has %llu bytes now", node->number, (unsigned long long)size);
	return true;
}

bool sim_tree_vanish(struct sim_tree *tree)
{
	struct sim_node *node = file_draw(tree);

	if (node == NULL)
		return false;
	node->gone = true;
	node->gone_at = tree->sim->now;
	sim_say(tree->sim, "tree: file %u is removed", node->number);
	return true;
}

/* ---- finding ---- */

static struct sim_node *child_find(const struct sim_node *dir, const char *name, size_t len)
{
	for (struct sim_node *node = dir->first; node != NULL; node = node->next) {
		if (node->name_len == len && memcmp(node->name, name, len) == 0)
			return node;
	}
	return NULL;
}

struct sim_node *sim_tree_find(const struct sim_tree *tree, const char *path)
{
	struct sim_node *node = NULL;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (node == NULL)
			node = len == tree->top->name_len && memcmp(tree->top->name, path, len) == 0 ? tree->top : NULL;
		else
			node = child_find(node, path, len);
		if (node == NULL || path[len] == '\0')
			return node;
		path += len + 1;
	}
}

void sim_node_path(const struct sim_node *node, char *out)
{
	size_t at = node->path_len;

	out[at] = '\0';
	for (; node != NULL; node = node->parent) {
		at -= node->name_len;
		memcpy(out + at, node->name, node->name_len);
		if (node->parent != NULL)
			out[--at] = '/';
	}
}

struct sim_node *sim_node_next(const struct sim_node *top, struct sim_node *at, bool *up)
{
	if (at->kind == SIM_DIR && !*up && at->first == NULL) {
		*up = true;
		return at;
	}
	if (at->kind == SIM_DIR && !*up)
		return at->first;
	if (at == top)
		return NULL;
	*up = at->next == NULL;
	return *up ? at->parent : at->next;
}
