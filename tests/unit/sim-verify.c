/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-verify.h"

#include <stdlib.h>
#include <string.h>

enum { VERIFY_REQUEST = 0x7fff0000 /* beyond what a sink uses */ };

void sim_verify_ask(struct sim_verify *verify, struct sim_end *end, const struct sim_tree *tree)
{
	struct sim *sim = end->sim;
	struct sim_node *node = tree->nodes[sim_below(sim, tree->count)];
	struct buf *out = sim_end_control(end);
	char path[SIM_PATH_MAX];
	uint64_t chunks;
	size_t start;

	if (!sim->plan.verify || end->limits.digest_size == 0 || node->kind != SIM_FILE)
		return;
	chunks = sim_version_chunks(node->now, end->limits.chunk_size);
	*verify = (struct sim_verify){ .end = end, .node = node, .size = node->now->size, .behind = chunks };
	if (chunks > 1 && sim_chance(sim, 50)) {
		verify->first = sim_below(sim, chunks);
		verify->behind = verify->first + 1 + sim_below(sim, chunks - verify->first);
	}
	sim_node_path(node, path);
	const struct message_read item = {
		.first = verify->first,
		.count = verify->behind == chunks ? MESSAGE_ALL : verify->behind - verify->first,
		.size = verify->size,
		.flags = MESSAGE_READ_DIGESTS | (verify->first > 0 || verify->behind < chunks ? MESSAGE_READ_PART : 0),
		.path = path,
		.path_len = strlen(path),
	};
	if (message_read_begin(out, &start) < 0 || message_read_item_write(out, &item) < 0 ||
	    message_read_seal(out, start, VERIFY_REQUEST, 1) < 0)
		abort();
}

bool sim_verify_run(struct sim_verify *verify, uint32_t request, const struct message_digest_run *run)
{
	const struct sim_end *end = verify->end;
	uint8_t digest[FRAME_DIGEST_MAX];

	if (verify->node == NULL || request != VERIFY_REQUEST)
		return false;
	sim_check(end->sim, !verify->over, "digests behind their end");
	for (uint64_t i = 0; i < run->count; i++) {
		uint32_t size = end->limits.digest_size;
		bool right = false;

		sim_check(end->sim, run->first + i >= verify->first && run->first + i < verify->behind,
		          "a digest of a chunk that nobody asked for");
		for (struct sim_version *v = verify->node->now; v != NULL && !right; v = v->older) {
			if (v->size != verify->size)
				continue;
			sim_digest(digest, size, sim_version_hash(end->sim, v, end->limits.chunk_size, run->first + i));
			right = memcmp(digest, run->digests + i * size, size) == 0;
		}
		sim_check(end->sim, right, "a wrong digest of chunk %llu", (unsigned long long)(run->first + i));
	}
	verify->came += run->count;
	return true;
}

bool sim_verify_end(struct sim_verify *verify, const struct end *end)
{
	if (verify->node == NULL || end->request != VERIFY_REQUEST)
		return false;
	verify->over = true;
	/* Of holes no digest comes. */
	sim_check(verify->end->sim,
	          end->status != STATUS_OK || sim_version_sparse(verify->node->now) ||
	                  sim_struck(verify->end->sim) > 0 || verify->came == verify->behind - verify->first,
	          "%llu digests of %llu came", (unsigned long long)verify->came,
	          (unsigned long long)(verify->behind - verify->first));
	return true;
}
