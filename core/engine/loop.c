/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/link.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Buffers that nobody has asked for meanwhile go back to the system. */
#define REST (10 * CLOCK_SECOND)

/* A blocked disk should not stop those who wait for another file. */
enum { STORAGE_THREADS_MIN = 4 };

enum { PIPES_MAX = 64 * 1024 * 1024 /* bytes of all pipes; and no more than half of what buffers may have */ };

static void timer_arm(struct loop *loop)
{
	struct heap_node *first = heap_first(&loop->deadlines);
	uint64_t when, wait;

	if (first == NULL) {
		if (loop->armed != 0)
			uv_timer_stop(&loop->timer);
		loop->armed = 0;
		return;
	}
	/* The steady clock wants to be read every tick, or it takes our idleness for a pause. */
	when = loop->now + CLOCK_TICK;
	if (first->when < when)
		when = first->when;
	if (loop->armed != 0 && loop->armed <= when)
		return; /* fires early enough; it looks again then */
	wait = when > loop->now ? when - loop->now : 0;
	loop->armed = when;
	uv_update_time(&loop->uv);
	/* Rounded up: a timer that fires a moment too early fires twice. */
	uv_timer_start(&loop->timer, loop->timer.timer_cb, (wait + CLOCK_MS - 1) / CLOCK_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	struct heap_node *first;

	loop->turn = loop_time(loop);
	loop->armed = 0;
	while ((first = heap_first(&loop->deadlines)) != NULL && first->when <= loop->turn) {
		struct deadline *deadline = (struct deadline *)(void *)first;

		heap_remove(&loop->deadlines, first);
		deadline->fire(deadline);
	}
	loop->turn = 0;
	timer_arm(loop);
}

static void on_rest(struct deadline *deadline)
{
	struct loop *loop = list_entry(deadline, struct loop, rest);

	if (!lend_rest(loop->lender)) {
		(void)loop_deadline(loop, deadline, loop->now + REST);
		return;
	}
	pipes_trim(loop->pipes);
#ifdef __GLIBC__
	malloc_trim(0); /* a tree of many files leaves holes in the heap */
#endif
}

static void on_wake(uv_async_t *wake)
{
	struct loop *loop = wake->data;
	struct job *job = pipeline_take(loop->pipeline);

	loop_time(loop);
	while (job != NULL) {
		struct loop_owner *owner = job->owner;
		struct job *next = job->next;

		loop->jobs--;
		owner->done(owner, job);
		job = next;
	}
	loop->settings.settled(loop->settings.context);
	if (loop->rest.node.at == 0)
		(void)loop_deadline(loop, &loop->rest, loop->now + REST);
}

/* Runs in a pool thread. */
static void on_finished(void *context)
{
	struct loop *loop = context;

	uv_async_send(&loop->wake);
}

static unsigned processors(void)
{
	unsigned count = uv_available_parallelism();

	return count > 0 ? count : 1;
}

static int pools_create(struct loop *loop, struct error *err)
{
	unsigned threads = loop->settings.threads > 0 ? loop->settings.threads : processors();
	const struct pipeline_settings settings = {
		.hash_threads = threads,
		.storage_threads = threads > STORAGE_THREADS_MIN ? threads : STORAGE_THREADS_MIN,
		.notify = on_finished,
		.context = loop,
	};

	loop->threads = threads;
	return pipeline_create(&loop->pipeline, &settings, err);
}

/*
 * Whether the system would give so much at all: what it would not is found out now, and not in the middle of a transfer.
 * Nothing is kept: buffers are mapped when they are lent.
 */
static int lender_create(struct loop *loop, struct error *err)
{
	char size[TEXT_NUMBER_MAX];
	size_t budget = (size_t)loop->settings.memory;
	void *probe = mmap(NULL, budget, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = probe == MAP_FAILED ? -errno : 0;

	if (r == 0) {
		munmap(probe, budget);
		r = lend_create(&loop->lender, budget);
		if (r == 0)
			r = pipes_create(&loop->pipes, budget / 2 < PIPES_MAX ? budget / 2 : PIPES_MAX);
	}
	return r == 0 ? 0
	              : error_system(err, r, FAULT_LOCAL, "the system does not give the %s of [pipeline] memory",
	                             text_format_size(size, budget));
}

static void handles_close(struct loop *loop)
{
	links_closed(loop);
	poller_close(&loop->poller);
	uv_close((uv_handle_t *)&loop->again, NULL);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

static void on_slow(struct deadline *deadline)
{
	struct loop *loop = list_entry(deadline, struct loop, slow);

	poller_look(&loop->poller);
	if (loop->poller.slow_count > 0)
		(void)loop_deadline(loop, deadline, loop->now + POLLER_PAUSE);
}

void loop_slow(struct loop *loop, struct polled *polled, bool slow)
{
	if (slow && loop->slow.node.at == 0 && loop_deadline(loop, &loop->slow, loop->now + POLLER_PAUSE) < 0)
		return;
	polled_slow(&loop->poller, polled, slow);
}

int loop_create(struct loop **out, const struct loop_settings *settings, struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (loop == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for the event loop");
	loop->settings = *settings;
	list_init(&loop->hungry);
	list_init(&loop->hungry_new);
	list_init(&loop->keeping);
	list_init(&loop->thirsty);
	list_init(&loop->unread);
	list_init(&loop->closed);
	list_init(&loop->filling);
	list_init(&loop->stuck);
	r = uv_loop_init(&loop->uv);
	if (r < 0) {
		free(loop);
		return error_system(err, r, FAULT_LOCAL, "the event loop cannot be made");
	}
	r = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (r == 0) {
		r = poller_open(&loop->poller, &loop->uv);
		if (r < 0)
			uv_close((uv_handle_t *)&loop->wake, NULL);
	}
	if (r < 0) {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		uv_loop_close(&loop->uv);
		free(loop);
		return error_system(err, r, FAULT_LOCAL, "the event loop cannot be made");
	}
	uv_idle_init(&loop->uv, &loop->again);
	loop->again.data = loop;
	uv_timer_init(&loop->uv, &loop->timer);
	loop->timer.data = loop;
	loop->timer.timer_cb = on_timer;
	loop->slow.fire = on_slow;
	loop->rest.fire = on_rest;
	loop->wake.data = loop;
	loop_time(loop);
	r = lender_create(loop, err);
	if (r == 0)
		r = pools_create(loop, err);
	if (r < 0) {
		if (loop->lender != NULL)
			lend_destroy(loop->lender);
		pipes_destroy(loop->pipes);
		handles_close(loop);
		free(loop);
		return r;
	}
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	pipeline_destroy(loop->pipeline);
	lent_unref(loop->scratch);
	lend_destroy(loop->lender);
	pipes_destroy(loop->pipes);
	handles_close(loop);
	heap_free(&loop->deadlines);
	free(loop);
}

void loop_run(struct loop *loop)
{
	loop_time(loop);
	timer_arm(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

uint64_t loop_time(struct loop *loop)
{
	loop->now = clock_steady_tick(&loop->clock, clock_monotonic(), NULL);
	return loop->now;
}

int loop_deadline(struct loop *loop, struct deadline *deadline, uint64_t when)
{
	if (when == CLOCK_NEVER) {
		heap_remove(&loop->deadlines, &deadline->node);
		return 0;
	}
	/* What is set while deadlines fire waits for the next turn: one that is set again and again holds nobody up. */
	if (when <= loop->turn)
		when = loop->turn + 1;
	if (heap_set(&loop->deadlines, &deadline->node, when) < 0)
		return -ENOMEM;
	timer_arm(loop);
	return 0;
}

void job_progress(const struct job *job, struct xfer_progress *out)
{
	uint64_t time = clock_monotonic();
	uint64_t since = atomic_load(&job->stage_since);

	out->stage = atomic_load(&job->stage);
	out->stage_age_ms = (uint32_t)(time > since ? (time - since) / CLOCK_MS : 0);
}

void loop_moved(struct pipeline_count *count, uint64_t begin, ssize_t n)
{
	count->calls++;
	count->busy_ns += clock_monotonic() - begin;
	count->bytes += n > 0 ? (uint64_t)n : 0;
}

void loop_submit(struct loop *loop, struct job *job)
{
	loop->jobs++;
	pipeline_submit(loop->pipeline, job);
}
