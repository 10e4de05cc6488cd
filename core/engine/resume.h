/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a transfer into a local folder is known by, so that the same command finds what an earlier run of it left: its
 * id, the name of its partial file or staging folder, and its journal.
 */
#ifndef XFER_ENGINE_RESUME_H
#define XFER_ENGINE_RESUME_H

#include "engine/url.h"
#include "pipeline/job.h"
#include "session/negotiate.h"
#include "store/journal.h"

enum { RESUME_NAME_MAX = STORE_HIDDEN_NAME_MAX + 8 };

struct resume {
	struct store_root *root; /* borrowed */
	uint8_t id[JOURNAL_ID];
	char source[1024];                  /* as a URL, cut where it is too long */
	const char *name;                   /* what it becomes beneath root; borrowed */
	char hidden[STORE_HIDDEN_NAME_MAX]; /* the partial file or staging folder, beneath root */
	char journal[RESUME_NAME_MAX];      /* beside it */
};

/* name: what it becomes beneath root. Both are borrowed. */
int resume_begin(struct resume *out, struct store_root *root, const char *name, const struct url *url,
                 struct error *err);
/* Puts first in the offer what the journal was written with, where there is one and we have that integrity. */
void resume_offer(const struct resume *resume, struct offer *offer);
/* For receiving_open(). *resumed: there was one, with something in it. -EBUSY: the same transfer is running. */
int resume_open(const struct resume *resume, const struct suite *suite, struct journal **out, bool *resumed,
                struct error *err);

/* An earlier run has come to its end, but for the journal: it was killed between the two. */
bool resume_published(const struct resume *resume);
/* Throws away what an earlier run left, unless it is running. */
void resume_discard(const struct resume *resume);

#endif
