/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that end with a digest of what they say (ENTRIES, ENDS): checked in the pool, several at a time, and taken in
 * the order in which they came.
 */
#ifndef XFER_ENGINE_CHECKS_H
#define XFER_ENGINE_CHECKS_H

#include "engine/loop.h"
#include "pipeline/check.h"

struct checks {
	struct loop *loop;
	struct loop_owner *owner;  /* its done() gets the jobs */
	const struct suite *suite; /* borrowed */
	struct list queue;         /* struct check, oldest first */
	unsigned jobs;             /* under way */
	bool over;                 /* nothing more is taken */
	/* Takes the run of a frame whose digest is right. An error ends the checks. */
	int (*take)(void *context, enum frame_type type, const uint8_t *run, size_t len, struct error *err);
	/* A digest is wrong, or take() failed. */
	void (*failed)(void *context, const struct error *err);
	void *context;
};

/* Keeps a reference to the buffer in which the body lies. */
int checks_add(struct checks *checks, const struct frame_header *header, const uint8_t *body, struct lent *buffer,
               struct error *err);
/* A job of kind JOB_CHECK came back. */
void checks_done(struct checks *checks, struct job *job);
/* Nothing more is taken. Jobs under way still come back, to checks_done(). */
void checks_end(struct checks *checks);

#endif
