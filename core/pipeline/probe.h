/* SPDX-License-Identifier: BSD-2-Clause */
/* The probe job: what is there already of files that were listed, before anything of them is asked for. */
#ifndef XFER_PIPELINE_PROBE_H
#define XFER_PIPELINE_PROBE_H

#include "base/ranges.h"
#include "pipeline/job.h"
#include "store/journal.h"
#include "store/store.h"

enum probe_found {
	PROBE_NOTHING, /* fetch all of it */
	PROBE_CLAIMS,  /* the journal claims chunks of the partial, for the same size and mtime */
	PROBE_STANDS,  /* the journal claims all of it, and a file of that size and mtime stands under the final name */
	PROBE_CHANGED, /* there is a partial, or a file that the journal claims in full, but of another identity */
	PROBE_SAME,    /* PROBE_UPDATE: the final name has the same size and mtime */
	PROBE_OLD      /* PROBE_UPDATE, PROBE_COMPARE: the final name is a regular file, otherwise */
};

/* What else than an earlier run of this transfer counts. */
#define PROBE_UPDATE 0x01  /* a file under the final name */
#define PROBE_COMPARE 0x02 /* and size and mtime do not make it the same */

struct probe_piece {
	struct store_root *root;
	const char *name;             /* relative to what is transferred: its key in the journal */
	const char *path;             /* beneath root: where it is written */
	const char *final;            /* and its final name; NULL: path is final, in a staging folder */
	struct journal_file identity; /* as listed; path is not looked at */
	unsigned flags;
	/* Results. */
	enum probe_found found;
	uint32_t number;      /* in the journal: PROBE_CLAIMS, PROBE_STANDS, PROBE_CHANGED */
	uint64_t size;        /* of what is there, bytes: PROBE_CHANGED, PROBE_OLD */
	struct ranges claims; /* PROBE_CLAIMS; the receiver's, to be freed */
	int code;             /* 0, or -ENOMEM and the like: then found is PROBE_NOTHING */
};
enum { PROBE_PIECES_MAX = 64 };
struct probe_job {
	struct job job;
	struct journal *journal; /* NULL: no earlier run counts */
	size_t count;
	struct probe_piece pieces[PROBE_PIECES_MAX];
};

#endif
