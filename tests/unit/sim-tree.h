/* SPDX-License-Identifier: BSD-2-Clause */
/* What the source has: a random tree, and what becomes of its files while they are read. */
#ifndef XFER_TESTS_SIM_TREE_H
#define XFER_TESTS_SIM_TREE_H

#include "sim.h"

enum sim_kind { SIM_FILE = 1, SIM_DIR, SIM_LINK, SIM_SPECIAL, SIM_UNREADABLE };
enum { SIM_GRAIN = 1024 }; /* content is made in blocks of so many bytes, whatever the chunk size */

/* A file as it is from one change to the next; directories and links have one for their mode and times. */
struct sim_version {
	struct sim_version *older; /* NULL: the first */
	uint64_t id;               /* what its content is made of */
	uint64_t size;
	uint64_t hole_from, hole_to, hole_again; /* grains from ... to - 1 are holes, and all from `again` on */
	uint16_t mode;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t chunk_size; /* of the hashes */
	uint64_t *hashes;    /* of its chunks, 0 = not made yet; NULL: none */
};

struct sim_node {
	enum sim_kind kind;
	struct sim_node *parent, *first, *last, *next;
	struct sim_version *now;
	const char *target; /* of a link */
	bool gone;
	uint64_t gone_at; /* ns */
	unsigned number;
	size_t path_len;
	size_t name_len;
	char name[];
};

struct sim_tree {
	struct sim *sim;
	struct sim_node *top;
	struct sim_node **nodes; /* all of them */
	unsigned count;
};

void sim_tree_make(struct sim_tree *tree, struct sim *sim);
/* By its path from the top's own name on, also what is gone; NULL. */
struct sim_node *sim_tree_find(const struct sim_tree *tree, const char *path);
/* Puts it to out (SIM_PATH_MAX bytes). */
void sim_node_path(const struct sim_node *node, char *out);
/* A random file gets other content, or another size; or is removed. False when there is none. */
bool sim_tree_change(struct sim_tree *tree);
bool sim_tree_vanish(struct sim_tree *tree);

/* The next of a walk through `top`, depth first; *up says that it is left. NULL: the end. */
struct sim_node *sim_node_next(const struct sim_node *top, struct sim_node *at, bool *up);

bool sim_version_sparse(const struct sim_version *version);
uint64_t sim_version_chunks(const struct sim_version *version, uint32_t chunk_size);
uint32_t sim_version_length(const struct sim_version *version, uint32_t chunk_size, uint64_t index);
/* Nothing but hole. */
bool sim_version_hole(const struct sim_version *version, uint32_t chunk_size, uint64_t index);
void sim_version_read(const struct sim_version *version, uint32_t chunk_size, uint64_t index, uint8_t *out);
uint64_t sim_version_hash(struct sim *sim, struct sim_version *version, uint32_t chunk_size, uint64_t index);
/* Of so many zeroes. */
uint64_t sim_zero_hash(uint32_t len);
/* Of a file, from the hashes of its chunks: hash(context, index) for each. */
uint64_t sim_file_hash(uint64_t size, uint64_t chunks, uint64_t (*hash)(void *context, uint64_t index), void *context);
uint64_t sim_version_digest(struct sim *sim, struct sim_version *version, uint32_t chunk_size);

#endif
