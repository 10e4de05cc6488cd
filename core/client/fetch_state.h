/* SPDX-License-Identifier: BSD-2-Clause */
/* What fetch.c and fetch_lanes.c share; nobody else includes it. */
#ifndef XFER_CLIENT_FETCH_STATE_H
#define XFER_CLIENT_FETCH_STATE_H

#include "client/attempt.h"
#include "client/fetch.h"
#include "engine/resume.h"
#include "engine/stall.h"

/*
 * After a goaway what is under way may finish, for so long: the new worker, or the new daemon, is there by then. And for
 * so long what has come is still written when the session is gone.
 */
#define FETCH_GRACE (1 * CLOCK_SECOND)

struct fetch {
	struct client *client;
	const struct url *url;
	const struct fetch_place *place;
	struct client_sum *sum;
	uint64_t files_before, bytes_before; /* done of earlier sources */
	uint64_t files_known, bytes_known;   /* totals of earlier sources */
	uint64_t fresh, things;              /* bytes and files that need not be fetched again, see reached() */
	uint64_t received, repaired;         /* of all attempts */
	struct sink_count count;             /* of the last attempt that began */
	struct resume resume;
	/* Of one attempt: */
	struct attempt attempt;
	struct receiving receiving; /* open from RUNNING on */
	uint64_t leave;             /* steady ns: when a goaway is followed, or the rest given up; 0 = neither */
	uint64_t taken;             /* bytes of frames that came, without liveness */
	struct stall stall;
};

static inline bool fetch_begun(const struct fetch *fetch)
{
	return fetch->receiving.sink != NULL;
}
/* The first session is gone, and others go on. */
static inline bool fetch_main_gone(const struct fetch *fetch)
{
	return attempt_runs(&fetch->attempt) && fetch->receiving.main.lost;
}
/* fetch.c */
/* The session is gone, or to go, and with it all others. */
void fetch_lost(struct fetch *fetch, const struct ending *ending);
/* fetch_lanes.c: the sessions beside the first */
/* Those that are open and take no part yet do. */
void fetch_lanes_join(struct fetch *fetch);
/* The first session is gone. False: the job cannot go on without it. */
bool fetch_lanes_carry_on(struct fetch *fetch);
/* Follows a goaway of one of them. */
void fetch_lanes_look(struct fetch *fetch);
/* Opens more of them where that helps, lets go of those that do not. */
void fetch_lanes_grow(struct fetch *fetch);
/* What their credit has come to, for the next source. */
void fetch_lanes_count(struct fetch *fetch);
/* The session to name where something is waited for; NULL: there is none. */
const struct channel *fetch_lanes_blame(const struct fetch *fetch);
/* Bytes of frames that have come by half, over all of them. */
uint64_t fetch_lanes_half(const struct fetch *fetch);
int fetch_lanes_frame(void *context, struct stream *stream, const struct frame_header *header, const uint8_t *bytes,
                      struct lent *buffer, struct error *err);
void fetch_lanes_open(void *context, struct stream *stream);
void fetch_lanes_ended(void *context, struct stream *stream, const struct ending *ending);

#endif
