/* SPDX-License-Identifier: BSD-2-Clause */
/* The place job: where something that is to be written goes, as cp(1) would have it, and what is there already. */
#ifndef XFER_PIPELINE_PLACE_H
#define XFER_PIPELINE_PLACE_H

#include "base/error.h"
#include "pipeline/job.h"
#include "store/journal.h"
#include "store/store.h"
#include "wire/message.h"

struct place_job {
	struct job job;
	struct store_root *root; /* borrowed */
	const char *path;        /* beneath root; "" = the root itself. Borrowed */
	const char *name; /* what it is called in `path` where that is a folder; "" = it is that folder. Borrowed */
	bool into;        /* path has to be a folder that is there */
	bool forget;      /* nothing is to be written: the journal goes, and that is all */
	/*
	 * What an earlier run left is gone on with, and something left for another one: by this journal, beneath root. NULL:
	 * none. Borrowed.
	 */
	const char *journal_path;
	const char *hidden; /* the name, beside what it is to become, of what is not complete. Borrowed */
	const char *source; /* for people: whose it is. Borrowed */
	uint8_t id[JOURNAL_ID];
	/* Results. */
	char *final; /* the path beneath root, in a folder that is there; the receiver's, to be freed. NULL with an error */
	bool exists; /* something of that path is there (a symbolic link as such) */
	bool is_dir;
	struct journal *journal; /* the receiver's; NULL: none is wanted */
	bool resumed;            /* there was one, with something in it */
	enum status status;      /* STATUS_OK, or what a peer who asked for it is told */
	struct error err;        /* and the cause, without the path */
};

#endif
