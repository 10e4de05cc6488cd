/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes on their way from one end to the other: in order, in pieces, late; until the connection dies. */
#ifndef XFER_TESTS_SIM_STREAM_H
#define XFER_TESTS_SIM_STREAM_H

#include "sim.h"

struct sim_end;

struct sim_stream {
	struct sim *sim;
	struct sim_end *from, *to;
	struct list segments;
	struct sim_event arrival; /* of the first segment */
	struct sim_event reset;   /* `to` hears that the connection broke */
	size_t under_way;         /* bytes */
	uint64_t total;           /* bytes that arrived */
	uint64_t last;            /* when the last segment arrives, ns */
	uint64_t cut_at, hang_at; /* byte; UINT64_MAX = never */
	uint64_t flip_at;         /* byte of which a bit is turned over */
	uint64_t sent;
	bool fin;  /* nothing more will be sent */
	bool dead; /* broken: nothing arrives any more */
	bool silent;
};

void sim_stream_open(struct sim_stream *stream, struct sim *sim, struct sim_end *from, struct sim_end *to);
/* How much is taken now, at most. */
size_t sim_stream_room(const struct sim_stream *stream);
void sim_stream_send(struct sim_stream *stream, const uint8_t *bytes, size_t len);
/* Everything was sent. */
void sim_stream_finish(struct sim_stream *stream);
/* Breaks it: what is under way is lost, and `to` hears of it some time later. */
void sim_stream_break(struct sim_stream *stream);
/* Forgets it: nothing of it happens any more. */
void sim_stream_close(struct sim_stream *stream);

#endif
