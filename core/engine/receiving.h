/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of a job: carries out the orders of a sink through the pipeline, and feeds the sink with what comes.
 * The client has one for a get, the daemon for a put. It begins with one session, and others may join it as lanes.
 */
#ifndef XFER_ENGINE_RECEIVING_H
#define XFER_ENGINE_RECEIVING_H

#include "engine/channel.h"
#include "engine/checks.h"
#include "session/sink.h"
#include "store/journal.h"

struct receiving;
struct receiving_job;
struct receiving_lane;

struct receiving_watch {
	void (*event)(struct receiving *receiving, const struct sink_event *event);
	/* An ENDS item that is not the sink's; NULL: there are none. True: taken. */
	bool (*end)(struct receiving *receiving, const struct end *end);
	/* The lane's session cannot go on: the owner ends its channel, and calls receiving_abort() or receiving_lane_end(). */
	void (*broken)(struct receiving *receiving, struct receiving_lane *lane, const struct error *err);
	/* What came over a lane that was ended is looked at: its memory may go. NULL is allowed. */
	void (*lane_gone)(struct receiving *receiving, struct receiving_lane *lane);
	/* The sink is finished and no job is out: published, or removed again. From the loop. */
	void (*finished)(struct receiving *receiving);
};

/* Where it goes. */
struct receiving_place {
	struct store_root *root; /* borrowed; the folder that gets it */
	const char *name;        /* what it is called there: a path beneath root */
	const char *hidden; /* of the partial file or staging folder beside it; NULL: a new one that nobody knows */
	unsigned flags;     /* SINK_FLAG_* */
	/* Where it is noted what has come; NULL: nowhere. Taken over when receiving_open() succeeds; removed at the end. */
	struct journal *journal;
	bool keep; /* not removed where all went well: whoever is to be told of that may not hear it */
	bool name_exists;
	bool name_is_dir;
	const char *remote; /* what it is called at the source */
	bool sync;
	bool replace;        /* what was made under that name meanwhile */
	uint64_t limit_rate; /* payload bytes a second; 0 = none */
	unsigned lanes;      /* how many sessions there are to be; 0 means 1 */
	bool shared;         /* others may join later */
};

/* A session of it. The first is embedded in the receiving, others are their owner's. */
struct receiving_lane {
	struct loop_owner owner; /* of its checks */
	struct list link;        /* in receiving.lanes */
	struct receiving *receiving;
	struct channel *channel; /* borrowed */
	struct sink_lane *lane;  /* the sink's; NULL: not open */
	struct checks checks;    /* of ENTRIES and ENDS */
	bool lost;               /* the channel is gone; what came is still looked at */
};

struct receiving {
	struct loop_owner owner;
	const struct channel_base *base; /* borrowed */
	struct suite suite;              /* of all its sessions */
	struct receiving_lane main;
	struct list lanes; /* struct receiving_lane, open */
	const struct receiving_watch *watch;
	struct store_root *root; /* borrowed */
	struct sink *sink;       /* NULL: not open */
	struct list jobs;        /* struct job.link, oldest first */
	unsigned job_count;
	unsigned writing;              /* of them, those that write */
	unsigned ready;                /* large chunks that came and are in no order yet, as far as that is known */
	struct deadline patience;      /* while chunks wait for others that they could be hashed with */
	bool patient;                  /* that is set */
	bool late;                     /* it was over: what is ready goes as it is */
	struct receiving_job *spare;   /* owned; for the next order, may be NULL */
	struct receiving_job *waiting; /* owned; an order for which there was no buffer */
	struct list hunger;            /* in loop.keeping while there is one */
	unsigned flags;                /* SINK_FLAG_* */
	struct journal *journal;       /* owned; may be NULL */
	struct dir_job last;           /* the journal goes */
	bool keep;                     /* see receiving_place */
	bool kept;                     /* the journal was not removed */
	bool sync;
	bool replace; /* see receiving_place */
	bool aborted; /* nothing more is taken */
	bool told;    /* that it is finished */
};

/* Payload bytes that are granted ahead over a session like this one, at most. */
uint64_t receiving_window(const struct channel *channel);
/* consumed and granted: of the session so far, see sink_credit(). */
int receiving_open(struct receiving *receiving, struct channel *channel, const struct receiving_place *place,
                   uint64_t consumed, uint64_t granted, const struct receiving_watch *watch, struct error *err);
/*
 * One more session, settled on the same integrity and chunk size; the lane's memory is the caller's and was zeroed before
 * its first use. -EBUSY: what came over the session that it stood for before is still looked at.
 */
int receiving_lane_open(struct receiving *receiving, struct receiving_lane *lane, struct channel *channel,
                        uint64_t consumed, uint64_t granted, struct error *err);
/* Its session is gone: when what came is looked at, others are asked for the rest. Not open: nothing happens. */
void receiving_lane_end(struct receiving_lane *lane);
/* Its memory is in use. */
bool receiving_lane_busy(const struct receiving_lane *lane);
/* It may not be given up: the listing comes over it. */
bool receiving_lane_needed(const struct receiving_lane *lane);
/* ENTRIES, ENDS, CHUNK, HOLE, DIGEST_RUN. */
int receiving_frame(struct receiving_lane *lane, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err);
/* Jobs are out, or what came is still looked at. */
bool receiving_busy(const struct receiving *receiving);
/* Starts what can be started, asks for what can be asked; watch->finished() may come from within. */
void receiving_pump(struct receiving *receiving);
/* Those who had no buffer try again. */
void receivings_feed(struct loop *loop);
/* Gives up: what was begun is removed, or left with SINK_FLAG_LEAVE; watch->finished() comes. */
void receiving_abort(struct receiving *receiving);
/* What was received and written, and the stage and age of the oldest job. */
void receiving_progress(const struct receiving *receiving, struct xfer_progress *ours);
/* After watch->finished(). */
void receiving_close(struct receiving *receiving);

#endif
