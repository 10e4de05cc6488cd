/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a connection: frames in and out, the hello, the pulse. What is asked and answered is its owner's. */
#ifndef XFER_TESTS_SIM_END_H
#define XFER_TESTS_SIM_END_H

#include "base/buf.h"
#include "session/negotiate.h"
#include "session/pulse.h"
#include "sim-stream.h"

struct sim_end_watch {
	void (*open)(struct sim_end *end);
	int (*frame)(struct sim_end *end, const struct frame_header *header, const uint8_t *bytes, struct error *err);
	/* Frames were handled, something was sent, or time passed. */
	void (*work)(struct sim_end *end);
	/* Once; err->code 0: the peer closed in order. */
	void (*ended)(struct sim_end *end, const struct error *err);
};

enum sim_state { SIM_HELLO, SIM_OPEN, SIM_ENDED };

struct sim_end {
	struct sim *sim;
	const struct sim_end_watch *watch;
	const char *who; /* "source", "sink", for texts */
	bool client;
	enum sim_state state;
	struct sim_stream *out; /* to the other end */
	struct frame_limits limits;
	struct buf control; /* frames to be sent, before batches that have not begun */
	size_t control_sent;
	struct list batches; /* struct sim_batch */
	size_t queued;       /* bytes in them, not sent */
	unsigned batch_count;
	struct buf in; /* received, not handled */
	struct pulse pulse;
	struct sim_event beat; /* the pulse is to be looked at */
	struct sim_event tick;
	uint64_t silent_since; /* ns; 0: the connection is not silent */
	bool warned;
	unsigned names;                       /* of the integrity plug-ins offered */
	char integrity[MESSAGE_NAME_MAX + 1]; /* settled */
};

struct sim_batch {
	struct list link;
	size_t len, sent;
	uint8_t *bytes;
};

/* The integrity plug-ins of this world. */
uint32_t sim_digest_size(const char *integrity);

void sim_end_open(struct sim_end *end, struct sim *sim, bool client, struct sim_stream *out, const char *who,
                  const struct sim_end_watch *watch);
/* Frees what it holds; the streams are to be closed as well. */
void sim_end_free(struct sim_end *end);
struct buf *sim_end_control(struct sim_end *end);
/* bytes: until the end of the run. */
void sim_end_batch(struct sim_end *end, uint8_t *bytes, size_t len);
void sim_end_flush(struct sim_end *end);
/* Tells the other end, and ends this one. */
void sim_end_fail(struct sim_end *end, const struct error *err);
/* All is done: closes when everything is sent. */
void sim_end_close(struct sim_end *end);
/* This end is gone, as its process is. */
void sim_end_kill(struct sim_end *end);

/* From the stream. */
void sim_end_take(struct sim_end *end, const uint8_t *bytes, size_t len);
void sim_end_finished(struct sim_end *end);
void sim_end_reset(struct sim_end *end);
void sim_end_break(struct sim_end *one, struct sim_end *other);
void sim_end_silence(struct sim_end *one, struct sim_end *other);

#endif
