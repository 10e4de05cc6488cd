/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the sink orders, carried out. The way of an order, and whose it is meanwhile:
 *
 *   work_next()              an order, filled by the sink: what it names stays put until sink_done()
 *   receiving_order_begin()  a job of it; its files get handles, a job that looks at what is there a buffer. Without one it
 *                            stays in `waiting`, and the receiving in loop.keeping, until there is one
 *   job_submit()             the pipeline's, and in `jobs`
 *   receiving_job_done()     it is back
 *   receiving_order_end()    the results; let go of: the buffers of chunks, of the job, handles of files that ended
 *   sink_done()              the sink has taken what came of it: its memory is `spare`
 */
#include "engine/receiving_job.h"

#include "engine/lending.h"

#include <errno.h>
#include <stdlib.h>

#define PATIENCE (4 * CLOCK_MS) /* a chunk waits so long for others to be hashed with */

/* ---- whether to wait ---- */

static void patience_end(struct receiving *receiving)
{
	if (receiving->patient)
		(void)loop_deadline(receiving->base->loop, &receiving->patience, CLOCK_NEVER);
	receiving->patient = false;
}

static void on_late(struct deadline *deadline)
{
	struct receiving *receiving = list_entry(deadline, struct receiving, patience);

	receiving->patient = false;
	receiving->late = true;
	receiving_pump(receiving);
}

/* Without memory nothing is waited for. */
static bool patience_begin(struct receiving *receiving)
{
	struct loop *loop = receiving->base->loop;

	if (receiving->patient)
		return true;
	receiving->patience.fire = on_late;
	receiving->patient = loop_deadline(loop, &receiving->patience, loop->now + PATIENCE) == 0;
	return receiving->patient;
}

/*
 * Large chunks that the integrity plug-in could take side by side with the next ones wait for these: while there is
 * something to write that came before them, and for a moment where more is to come.
 */
static bool jobs_wait(struct receiving *receiving)
{
	const struct suite *suite = &receiving->suite;
	uint64_t chunk = suite->limits.chunk_size;

	if (receiving->ready == 0 || receiving->aborted || receiving->late ||
	    receiving->ready >= suite->integrity->lanes || receiving->ready * chunk >= read_job_payload(suite))
		return false;
	return receiving->writing > 0 || (sink_left(receiving->sink) >= chunk && patience_begin(receiving));
}

static unsigned large_chunks(const struct sink_order *order)
{
	unsigned count = 0;

	for (size_t i = 0; order->kind == SINK_ORDER_WRITE && i < order->count; i++)
		count += order->pieces[i].op == SINK_CHUNK && order->pieces[i].chunk.length >= RECEIVING_LARGE;
	return count;
}

/* The next order, unless it is better to wait; false also when there is none. */
static bool order_next(struct receiving *receiving, struct sink_order *order)
{
	unsigned count;

	if (jobs_wait(receiving))
		return false;
	if (!sink_next(receiving->sink, order)) {
		receiving->ready = 0;
		return false;
	}
	count = large_chunks(order);
	receiving->ready -= count < receiving->ready ? count : receiving->ready;
	return true;
}

/* ---- from an order to a job ---- */

/* The memory of an order that is over, for the next one; NULL is allowed. */
static void work_put(struct receiving *receiving, struct receiving_job *work)
{
	if (receiving->spare == NULL)
		receiving->spare = work;
	else
		free(work);
}

static struct receiving_job *work_get(struct receiving *receiving)
{
	struct receiving_job *work = receiving->spare;

	receiving->spare = NULL;
	return work != NULL ? work : malloc(sizeof(*work));
}

/* What found no buffer before, or the next order; NULL: there is none, or without memory, which the next event tries again. */
static struct receiving_job *work_next(struct receiving *receiving)
{
	struct receiving_job *work = receiving->waiting;

	receiving->waiting = NULL;
	if (work != NULL)
		return work;
	work = work_get(receiving);
	if (work != NULL && order_next(receiving, &work->order))
		return work;
	work_put(receiving, work);
	return NULL;
}

static void job_submit(struct receiving *receiving, struct job *job)
{
	job->suite = &receiving->suite;
	job->owner = &receiving->owner;
	list_append(&receiving->jobs, &job->link);
	receiving->job_count++;
	receiving->writing += job->kind == JOB_WRITE;
	loop_submit(receiving->base->loop, job);
}

void receiving_jobs_begin(struct receiving *receiving)
{
	struct loop *loop = receiving->base->loop;
	struct receiving_job *work;

	while ((work = work_next(receiving)) != NULL) {
		if (receiving_order_begin(receiving, work) == -ENOBUFS) {
			receiving->waiting = work;
			lending_wait(loop, &loop->keeping, &receiving->hunger);
			break;
		}
		job_submit(receiving, &work->job);
	}
	receiving->late = false;
	if (receiving->ready == 0 || receiving->writing > 0)
		patience_end(receiving);
}

/* ---- and back ---- */

static void order_done(struct receiving *receiving, struct receiving_job *work)
{
	receiving_order_end(work);
	sink_done(receiving->sink, &work->order);
	work_put(receiving, work);
}

void receiving_job_done(struct loop_owner *owner, struct job *job)
{
	struct receiving *receiving = list_entry(owner, struct receiving, owner);

	list_remove(&job->link);
	receiving->job_count--;
	receiving->writing -= job->kind == JOB_WRITE;
	if (job != &receiving->last.job)
		order_done(receiving, (struct receiving_job *)(void *)job);
	receiving_pump(receiving);
}

void receiving_jobs_close(struct receiving *receiving)
{
	patience_end(receiving);
	free(receiving->spare);
	receiving->spare = NULL;
}

/* ---- the last one ---- */

/* All is where it belongs, and there is a journal that says so. One chunk may as well come again. */
static bool journal_keeps(const struct receiving *receiving)
{
	struct sink_count count;

	sink_counts(receiving->sink, &count);
	return receiving->keep && count.chunks > 1 && sink_result(receiving->sink, NULL) == FAULT_NONE &&
	       journal_whole(receiving->journal);
}

bool receiving_journal_end(struct receiving *receiving)
{
	/* A source that could not even tell what it has is no reason to forget what was fetched of it. */
	bool left = (receiving->aborted || !sink_begun(receiving->sink)) && (receiving->flags & SINK_FLAG_LEAVE);

	if (receiving->journal == NULL)
		return false;
	receiving->kept = !left && !receiving->aborted && journal_keeps(receiving);
	if (left || receiving->kept) {
		journal_close(receiving->journal);
		receiving->journal = NULL;
		return false;
	}
	receiving->last = (struct dir_job){ .job.kind = JOB_DIR, .count = 1 };
	receiving->last.pieces[0] = (struct dir_piece){ .op = DIR_FORGET, .journal = receiving->journal };
	receiving->journal = NULL;
	job_submit(receiving, &receiving->last.job);
	return true;
}
