/* SPDX-License-Identifier: BSD-2-Clause */
/* The probe job: what is there already of files that were listed, before anything of them is asked for. */
#ifndef XFER_PIPELINE_PROBE_H
#define XFER_PIPELINE_PROBE_H

#include "base/ranges.h"
#include "pipeline/job.h"
#include "pipeline/write.h"

enum probe_found {
	PROBE_NOTHING, /* fetch all of it */
	PROBE_CLAIMS,  /* the journal claims chunks of what is at `path`, for the same size and mtime */
	PROBE_STANDS,  /* the journal claims all of it, and it stands under its final name with that size and mtime */
	PROBE_CHANGED, /* the journal claims chunks of what is at `path`, but for another size or mtime */
	PROBE_SAME,    /* PROBE_UPDATE: the final name has the same size and mtime */
	PROBE_OLD /* a file under the final name: otherwise, or of an earlier run and since changed at the source */
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
	uint32_t number;      /* in the journal: PROBE_CLAIMS, PROBE_STANDS; else 0 */
	uint64_t size;        /* of what is there, bytes; 0 for PROBE_NOTHING */
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
