/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread pool. A thread that works looks at the queue before it rests, so only resting ones are ever woken.
 *
 * By a semaphore, which counts: a condition variable of glibc before 2.41 may lose a signal (its bug 25847), and a job that
 * nobody is woken for waits for the next one, or for ever.
 */
#include "pipeline/pool.h"

#include "pipeline/stage.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREAD_STACK = 1024 * 1024 }; /* bytes of address space; the stages and the plug-ins stay far below */

struct pool_thread {
	pthread_t id;
	struct pool *pool;
	unsigned number;
};

struct pool {
	struct pool_settings settings;
	sem_t wake;           /* posted once for each thread that is called */
	pthread_mutex_t lock; /* guards all that follows */
	struct job *head;     /* the queue, linked by next; NULL when empty */
	struct job *tail;
	size_t filled;    /* calls that the queue fills, in shares of POOL_FULL */
	unsigned working; /* threads in run() */
	unsigned resting; /* threads that wait for `wake` */
	unsigned called;  /* of them, those that were called and did not yet get the lock */
	bool stop;
	unsigned started;
	struct pool_thread threads[];
};

static unsigned job_share(const struct pool *pool, const struct job *job)
{
	return pool->settings.gather > 1 ? pool->settings.share(job) : POOL_FULL;
}

static struct job *queue_pop(struct pool *pool)
{
	struct job *job = pool->head;

	pool->head = job->next;
	job->next = NULL;
	pool->filled -= job_share(pool, job);
	return job;
}

/* Takes the first job and those behind it that go along, until they fill a call. */
static size_t queue_take(struct pool *pool, struct job **jobs)
{
	unsigned share = job_share(pool, pool->head);
	size_t count = 0;

	jobs[count++] = queue_pop(pool);
	while (share < POOL_FULL && count < pool->settings.gather && pool->head != NULL &&
	       pool->settings.together(jobs[0], pool->head)) {
		share += job_share(pool, pool->head);
		jobs[count++] = queue_pop(pool);
	}
	return count;
}

/* Calls worth a thread: those that are full, and what is left where nobody will come back and take it. */
static size_t queue_calls(const struct pool *pool)
{
	size_t calls = pool->filled / POOL_FULL;

	return calls == 0 && pool->head != NULL && (pool->working == 0 || pool->stop) ? 1 : calls;
}

/* Until it is called. With the lock held, which is let go meanwhile. */
static void thread_rest(struct pool *pool)
{
	pool->resting++;
	pthread_mutex_unlock(&pool->lock);
	while (sem_wait(&pool->wake) < 0)
		; /* interrupted */
	pthread_mutex_lock(&pool->lock);
	pool->resting--;
	pool->called--;
}

static void *pool_main(void *argument)
{
	struct pool_thread *thread = argument;
	struct pool *pool = thread->pool;
	struct job *jobs[STAGE_JOBS_MAX];

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (queue_calls(pool) == 0 && (pool->head != NULL || !pool->stop))
			thread_rest(pool);
		if (pool->head == NULL)
			break;
		size_t count = queue_take(pool, jobs);
		pool->working++;
		pthread_mutex_unlock(&pool->lock);
		pool->settings.run(pool->settings.context, thread->number, jobs, count);
		pthread_mutex_lock(&pool->lock);
		pool->working--;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void pool_push(struct pool *pool, struct job *job)
{
	bool call;

	job->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->head == NULL)
		pool->head = job;
	else
		pool->tail->next = job;
	pool->tail = job;
	pool->filled += job_share(pool, job);
	call = pool->resting > pool->called && queue_calls(pool) > pool->called;
	if (call)
		pool->called++;
	pthread_mutex_unlock(&pool->lock);
	if (call)
		sem_post(&pool->wake);
}

/* Signals belong to the loop's thread: a new thread inherits the mask that it is made under. */
static int thread_start(struct pool_thread *thread, const pthread_attr_t *attr)
{
	char name[16]; /* the kernel's limit */
	sigset_t all, before;

	sigfillset(&all);
	/* What a thread itself did wrong it hears, whoever handles it. */
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = -pthread_create(&thread->id, attr, pool_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code < 0)
		return code;
	snprintf(name, sizeof(name), "%.9s-%u", thread->pool->settings.name, thread->number % 1000);
	pthread_setname_np(thread->id, name);
	return 0;
}

static int threads_start(struct pool *pool)
{
	pthread_attr_t attr;
	int code = -pthread_attr_init(&attr);

	if (code < 0)
		return code;
	code = -pthread_attr_setstacksize(&attr, THREAD_STACK);
	while (code == 0 && pool->started < pool->settings.threads) {
		struct pool_thread *thread = &pool->threads[pool->started];

		thread->pool = pool;
		thread->number = pool->started;
		code = thread_start(thread, &attr);
		if (code == 0)
			pool->started++;
	}
	pthread_attr_destroy(&attr);
	return code;
}

int pool_create(struct pool **out, const struct pool_settings *settings, struct error *err)
{
	if (settings->threads == 0 || settings->gather == 0 || settings->gather > STAGE_JOBS_MAX)
		return error_set(err, -EINVAL, FAULT_USAGE, "the %s pool cannot have %u threads", settings->name,
		                 settings->threads);

	struct pool *pool = calloc(1, sizeof(*pool) + settings->threads * sizeof(pool->threads[0]));
	if (pool == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot make the %s pool", settings->name);
	pool->settings = *settings;
	int code = -pthread_mutex_init(&pool->lock, NULL);
	if (code < 0) {
		free(pool);
		return error_system(err, code, FAULT_LOCAL, "cannot make the %s pool", settings->name);
	}
	if (sem_init(&pool->wake, 0, 0) < 0) {
		code = -errno;
		pthread_mutex_destroy(&pool->lock);
		free(pool);
		return error_system(err, code, FAULT_LOCAL, "cannot make the %s pool", settings->name);
	}
	code = threads_start(pool);
	if (code < 0) {
		error_system(err, code, FAULT_LOCAL, "cannot start thread %u of %u of the %s pool", pool->started + 1,
		             settings->threads, settings->name);
		pool_destroy(pool);
		return code;
	}
	*out = pool;
	return 0;
}

void pool_join(struct pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	for (; pool->called < pool->resting; pool->called++)
		sem_post(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i].id, NULL);
	pool->started = 0;
}

void pool_destroy(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_join(pool);
	sem_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
