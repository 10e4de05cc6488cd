/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop thread: events of descriptors, deadlines, finished jobs. One per process; nothing in it blocks.
 *
 * Time is steady (base/clock.h) and read once per event. All deadlines share one timer, so that an idle session costs
 * a few bytes and no timer of its own.
 */
#ifndef XFER_ENGINE_LOOP_H
#define XFER_ENGINE_LOOP_H

#include "base/clock.h"
#include "base/error.h"
#include "base/heap.h"
#include "engine/poller.h"
#include "pipeline/pipeline.h"
#include "pipeline/pipes.h"

#include <uv.h>

struct loop;

struct deadline {
	struct heap_node node;
	void (*fire)(struct deadline *deadline); /* may set it again */
};

/* Whoever submits jobs: job->owner points at this. */
struct loop_owner {
	void (*done)(struct loop_owner *owner, struct job *job);
};

struct loop_settings {
	unsigned threads; /* of each pool; 0 = as many as processors */
	uint64_t memory;  /* bytes of lent buffers */
	/* ns for which who sends next to nothing may go unheard, while the kernel keeps it; 0: no time. See link_look(). */
	uint64_t patience;
	/* Jobs came back and their owners were told; buffers may be free again: those who waited for one try again. */
	void (*settled)(void *context);
	void *context;
};

/* What the transport was given or gave, and how long its calls took. */
struct loop_moved {
	struct pipeline_count sent, received;
};

struct loop {
	uv_loop_t uv;
	uv_timer_t timer;
	uv_async_t wake; /* the pools: finished jobs wait */
	struct poller poller;
	struct loop_settings settings;
	struct clock_steady clock;
	uint64_t now; /* steady ns, of the event being handled */
	struct heap deadlines;
	struct pipeline *pipeline;
	struct lender *lender;
	struct pipes *pipes;
	uint64_t pipes_back;     /* steady ns, when it was looked last for pipes that stand still */
	struct list hungry;      /* struct sending.hunger: wait for a buffer to read into, and have moved before */
	struct list hungry_new;  /* the same, who have not, or not lately */
	struct list keeping;     /* struct receiving.hunger: wait for a buffer to look at what is there */
	struct list thirsty;     /* struct link.thirst: wait for a buffer to receive into */
	struct list unread;      /* struct link.unread: go on to receive, whatever their descriptors say */
	struct list closed;      /* struct link.unread: the last callback is to come */
	uv_idle_t again;         /* runs while there are any of both */
	struct deadline slow;    /* of the next look at who is slow; set while there are any */
	struct list filling;     /* struct link.thirst: have one, half filled; by the time when they got it */
	struct list stuck;       /* struct link_out.stuck: what they send is not taken, the longest at rest first */
	struct deadline rest;    /* of the next look whether buffers are in use; set after a job */
	struct lent *scratch;    /* see lending.h; NULL while in use */
	size_t stashed;          /* bytes of frames kept beside the budget */
	struct deadline pressed; /* set while somebody waits for a buffer */
	struct loop_moved moved; /* of all links */
	unsigned jobs;           /* submitted and not back */
	unsigned threads;        /* as resolved */
	uint64_t armed;          /* when the timer fires, 0 = stopped */
	uint64_t turn;           /* the time up to which deadlines are being fired, 0 = none are */
};

int loop_create(struct loop **out, const struct loop_settings *settings, struct error *err);
/* Nothing is left in it: no job, no open handle but the loop's own. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Reads the clock anew: at the beginning of every callback of libuv. Returns steady ns. */
uint64_t loop_time(struct loop *loop);

/*
 * Sets or moves; CLOCK_NEVER removes. Without memory for it the deadline is lost, so -ENOMEM ends the session. One that is
 * set while others fire, to a time that is over, fires in the next turn.
 */
int loop_deadline(struct loop *loop, struct deadline *deadline, uint64_t when);

/* Whether it is one of those who are looked at now and then only, see poller.h. */
void loop_slow(struct loop *loop, struct polled *polled, bool slow);

/* One more call of a transport, begun at `begin` (monotonic ns), that moved n bytes or none. */
void loop_moved(struct pipeline_count *count, uint64_t begin, ssize_t n);

/* job->owner is a struct loop_owner, which gets it back. */
void loop_submit(struct loop *loop, struct job *job);
/* The stage of the job and how long it has been there. */
void job_progress(const struct job *job, struct xfer_progress *out);

#endif
