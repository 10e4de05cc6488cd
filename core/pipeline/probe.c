/* SPDX-License-Identifier: BSD-2-Clause */
/* The storage stage of probe jobs: what the journal says, compared with what stands there. Nothing is read. */
#include "pipeline/probe.h"

#include "pipeline/stage.h"

#include <errno.h>

/* What stands under a name; size and times only of a regular file. */
struct thing {
	bool regular;
	uint64_t size;
	struct timespec mtime;
};

static int thing_look(struct thing *thing, struct store_parent *near, struct store_root *root, const char *path)
{
	struct stat st;

	*thing = (struct thing){ 0 };
	if (path == NULL)
		return 0;
	int code = store_stat_via(near, root, path, &st);
	if (code == -ENOENT || code == -ENOTDIR)
		return 0;
	if (code < 0)
		return code;
	thing->regular = S_ISREG(st.st_mode);
	thing->size = (uint64_t)st.st_size;
	thing->mtime = st.st_mtim;
	return 0;
}

/* It is what the identity says. */
static bool thing_is(const struct thing *thing, const struct journal_file *identity)
{
	return thing->regular && thing->size == identity->size && thing->mtime.tv_sec == identity->mtime &&
	       thing->mtime.tv_nsec == (long)identity->mtime_ns;
}

static bool identity_same(const struct journal_file *a, const struct journal_file *b)
{
	return a->size == b->size && a->mtime == b->mtime && a->mtime_ns == b->mtime_ns;
}

/* The chunks are all of the file's. */
static bool claims_all(const struct ranges *claims, uint64_t size, uint64_t chunk_size)
{
	uint64_t chunks = size / chunk_size + (size % chunk_size != 0);

	if (chunks == 0)
		return true;
	return claims->count == 1 && claims->all[0].first == 0 && claims->all[0].end == chunks;
}

/* What an earlier run left. False: nothing. */
static bool probe_past(struct probe_piece *piece, const struct thing *partial, const struct thing *final,
                       const struct journal_file *known, const struct ranges *claims, uint64_t chunk_size)
{
	const struct thing *finished = piece->final != NULL ? final : partial;
	bool same = identity_same(known, &piece->identity);
	bool whole = thing_is(finished, known) && claims_all(claims, known->size, chunk_size);

	/* What was finished before the source changed is in a staging folder a partial as good as any. */
	if (whole && (same || finished == final)) {
		piece->found = same ? PROBE_STANDS : PROBE_OLD;
		piece->size = finished->size;
		return true;
	}
	if (!partial->regular || claims->count == 0)
		return false;
	piece->found = same ? PROBE_CLAIMS : PROBE_CHANGED;
	piece->size = partial->size;
	return true;
}

/* What somebody else left. */
static void probe_final(struct probe_piece *piece, const struct thing *final)
{
	if ((piece->flags & (PROBE_UPDATE | PROBE_COMPARE)) == 0 || !final->regular)
		return;
	piece->found = PROBE_OLD;
	if ((piece->flags & PROBE_COMPARE) == 0 && thing_is(final, &piece->identity))
		piece->found = PROBE_SAME;
	piece->size = final->size;
}

static int probe_piece(struct probe_piece *piece, struct journal *journal, uint64_t chunk_size,
                       struct store_parent *near)
{
	struct journal_file known;
	struct ranges claims = { 0 };
	struct thing partial, final;
	uint32_t number = 0;
	bool left = false;

	int code = thing_look(&partial, near, piece->root, piece->path);
	if (code == 0)
		code = thing_look(&final, near, piece->root, piece->final);
	if (code < 0)
		return code;
	if (journal != NULL) {
		code = journal_find(journal, piece->name, &number, &known, &claims);
		if (code < 0 && code != -ENOENT)
			return code;
		left = code == 0 && probe_past(piece, &partial, &final, &known, &claims, chunk_size);
	}
	if (!left)
		probe_final(piece, &final);
	if (piece->found == PROBE_CLAIMS || piece->found == PROBE_STANDS)
		piece->number = number;
	if (piece->found == PROBE_CLAIMS)
		piece->claims = claims;
	else
		ranges_free(&claims);
	return 0;
}

uint64_t probe_stage_storage(struct probe_job *job)
{
	struct store_parent near;

	store_parent_init(&near);
	for (size_t i = 0; i < job->count; i++) {
		struct probe_piece *piece = &job->pieces[i];

		piece->found = PROBE_NOTHING;
		piece->number = 0;
		piece->size = 0;
		piece->claims = (struct ranges){ 0 };
		piece->code = probe_piece(piece, job->journal, job->job.suite->limits.chunk_size, &near);
	}
	store_parent_drop(&near);
	return 0;
}
