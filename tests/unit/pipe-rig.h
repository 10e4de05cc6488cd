/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of the pipeline stand on: a scratch folder, a lender, a pipeline, and an integrity plug-in made here (no
 * shared object is loaded), which counts its calls and can be told to fail.
 */
#ifndef XFER_TESTS_PIPE_RIG_H
#define XFER_TESTS_PIPE_RIG_H

#include "scratch.h"

#include "pipeline/pipeline.h"

#include <semaphore.h>
#include <time.h>

enum { RIG_DIGEST = 20, RIG_CHUNK = 4096 };

/* ---- the integrity plug-in: four runs of FNV-1a over 8 bytes at a time, cut to RIG_DIGEST bytes ---- */

struct rig_integrity {
	_Atomic int fail;             /* -errno that calls return; 0 = none */
	_Atomic unsigned calls_many;  /* calls of digest_many */
	_Atomic unsigned buffers_max; /* the most buffers in one of them */
};

struct xfer_hash {
	uint64_t state;
	struct rig_integrity *owner;
};

static MAYBE void rig_mix(uint64_t *state, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*state = (*state ^ bytes[i]) * UINT64_C(0x100000001b3);
}

static MAYBE void rig_out(uint64_t state, uint8_t *out)
{
	for (int i = 0; i < RIG_DIGEST; i++) {
		state = (state ^ state >> 29) * UINT64_C(0xbf58476d1ce4e5b9) + 1;
		out[i] = (uint8_t)(state >> 56);
	}
}

static MAYBE int rig_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	struct rig_integrity *integrity = instance;
	uint64_t state = UINT64_C(0xcbf29ce484222325);
	(void)flags;
	rig_mix(&state, bytes, len);
	rig_out(state, out);
	return atomic_load(&integrity->fail);
}

static MAYBE int rig_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                                 uint32_t flags)
{
	struct rig_integrity *integrity = instance;
	atomic_fetch_add(&integrity->calls_many, 1);
	if (count > atomic_load(&integrity->buffers_max))
		atomic_store(&integrity->buffers_max, (unsigned)count);
	for (size_t i = 0; i < count; i++)
		rig_digest(instance, buffers[i].iov_base, buffers[i].iov_len, outs[i], flags);
	return atomic_load(&integrity->fail);
}

static MAYBE int rig_hash_create(void *instance, struct xfer_hash **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->state = UINT64_C(0xcbf29ce484222325);
	(*out)->owner = instance;
	return 0;
}

static MAYBE int rig_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	rig_mix(&hash->state, bytes, len);
	return atomic_load(&hash->owner->fail);
}

static MAYBE int rig_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	rig_out(hash->state, out);
	hash->state = UINT64_C(0xcbf29ce484222325);
	return atomic_load(&hash->owner->fail);
}

static MAYBE void rig_hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

/* ---- the rig ---- */

struct rig {
	struct scratch *scratch;
	struct rig_integrity integrity;
	struct plugin plugin;
	struct suite suite;
	struct lender *lender;
	struct pipeline *pipeline;
	sem_t told; /* once per notification */
	_Atomic unsigned notified;
};

static MAYBE void rig_notify(void *context)
{
	struct rig *rig = context;
	atomic_fetch_add(&rig->notified, 1);
	sem_post(&rig->told);
}

static MAYBE void rig_suite(struct rig *rig, uint32_t chunk_size, uint32_t digest_size)
{
	rig->suite = (struct suite){
		.integrity = &rig->plugin,
		.limits = { .control_max = FRAME_CONTROL_MAX, .chunk_size = chunk_size, .digest_size = digest_size },
	};
	rig->plugin.integrity.digest_size = digest_size;
	rig->plugin.integrity.strength = digest_size > 0 ? 128 : XFER_STRENGTH_NONE;
}

static MAYBE void rig_threads(struct rig *rig, unsigned storage, unsigned hash)
{
	struct pipeline_settings settings = {
		.storage_threads = storage,
		.hash_threads = hash,
		.notify = rig_notify,
		.context = rig,
	};
	pipeline_destroy(rig->pipeline);
	assert_int_equal(pipeline_create(&rig->pipeline, &settings, NULL), 0);
}

static MAYBE int rig_open(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	void *scratch;
	if (!rig || scratch_kernel(&scratch) != 0)
		return -1;
	rig->scratch = scratch;
	rig->plugin.about.name = "fnv";
	rig->plugin.instance = &rig->integrity;
	rig->plugin.integrity = (struct xfer_integrity_ops){
		.struct_size = sizeof(struct xfer_integrity_ops),
		.strength = 128,
		.digest = rig_digest,
		.digest_many = rig_digest_many,
		.hash_create = rig_hash_create,
		.hash_update = rig_hash_update,
		.hash_finish = rig_hash_finish,
		.hash_destroy = rig_hash_destroy,
	};
	rig_suite(rig, RIG_CHUNK, RIG_DIGEST);
	if (sem_init(&rig->told, 0, 0) < 0 || lend_create(&rig->lender, (size_t)1 << 30) < 0)
		return -1;
	rig_threads(rig, 2, 3);
	*state = rig;
	return 0;
}

static MAYBE int rig_close(void **state)
{
	struct rig *rig = *state;
	void *scratch = rig->scratch;
	pipeline_destroy(rig->pipeline);
	lend_destroy(rig->lender);
	sem_destroy(&rig->told);
	free(rig);
	return scratch_close(&scratch);
}

#define RIG_TEST(function)                                                                                             \
	{                                                                                                              \
#function, function, rig_open, rig_close, NULL                                                         \
	}

/* Waits until something is finished and takes it; what is waited for never takes a minute. */
static MAYBE struct job *rig_take(struct rig *rig)
{
	struct job *jobs = pipeline_take(rig->pipeline);
	struct timespec limit;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 60;
	while (!jobs) {
		int got;
		do
			got = sem_timedwait(&rig->told, &limit);
		while (got < 0 && errno == EINTR);
		assert_int_equal(got, 0);
		jobs = pipeline_take(rig->pipeline);
	}
	return jobs;
}

/* Waits for `count` jobs, in whatever order. */
static MAYBE void rig_wait(struct rig *rig, size_t count)
{
	while (count > 0)
		for (struct job *job = rig_take(rig); job; job = job->next) {
			assert_true(count > 0);
			count--;
		}
}

static MAYBE void rig_run(struct rig *rig, struct job *job, enum job_kind kind)
{
	job->kind = kind;
	job->suite = &rig->suite;
	pipeline_submit(rig->pipeline, job);
	rig_wait(rig, 1);
}

/* ---- content ---- */

/* Byte `at` of a file: differs from block to block and from file to file, and is never zero. */
static MAYBE uint8_t rig_byte(unsigned seed, uint64_t at)
{
	uint64_t word = (at / 7 + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;
	return (uint8_t)(word >> (at % 7 * 8)) | 1;
}

/* Bytes [from, to) of a file of this seed; the file is created, what is outside stays a hole. */
static MAYBE void rig_put(struct rig *rig, const char *name, unsigned seed, uint64_t from, uint64_t to, uint64_t size)
{
	int fd = openat(rig->scratch->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	uint8_t block[8192];
	assert_true(fd >= 0);
	for (uint64_t at = from; at < to;) {
		size_t len = to - at < sizeof(block) ? (size_t)(to - at) : sizeof(block);
		for (size_t i = 0; i < len; i++)
			block[i] = rig_byte(seed, at + i);
		assert_int_equal(pwrite(fd, block, len, (off_t)at), len);
		at += len;
	}
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(close(fd), 0);
}

static MAYBE void rig_file(struct rig *rig, const char *name, unsigned seed, uint64_t size)
{
	rig_put(rig, name, seed, 0, size, size);
}

static MAYBE void rig_same(struct rig *rig, const char *one, const char *other)
{
	int a = openat(rig->scratch->fd, one, O_RDONLY | O_CLOEXEC);
	int b = openat(rig->scratch->fd, other, O_RDONLY | O_CLOEXEC);
	uint8_t from_a[8192], from_b[8192];
	ssize_t len;
	assert_true(a >= 0);
	assert_true(b >= 0);
	do {
		len = read(a, from_a, sizeof(from_a));
		assert_true(len >= 0);
		assert_int_equal(read(b, from_b, sizeof(from_b)), len);
		assert_memory_equal(from_a, from_b, (size_t)len);
	} while (len > 0);
	close(a);
	close(b);
}

/* The file digest, the plain way: all in one buffer, hashed once. `out` holds RIG_DIGEST bytes. */
static MAYBE void rig_file_digest(struct rig *rig, const char *name, uint64_t size, uint8_t *out)
{
	uint32_t chunk_size = rig->suite.limits.chunk_size;
	size_t chunks = (size_t)((size + chunk_size - 1) / chunk_size);
	uint8_t *all = malloc(MESSAGE_DIGEST_HEAD_MAX + chunks * RIG_DIGEST);
	uint8_t *chunk = malloc(chunk_size);
	int fd = openat(rig->scratch->fd, name, O_RDONLY | O_CLOEXEC);
	assert_non_null(all);
	assert_non_null(chunk);
	assert_true(fd >= 0);
	size_t at = message_digest_head(all, "fnv", chunk_size, size);
	for (size_t i = 0; i < chunks; i++, at += RIG_DIGEST) {
		ssize_t len = store_read(fd, chunk, chunk_size, (uint64_t)i * chunk_size);
		assert_true(len > 0);
		rig_digest(&rig->integrity, chunk, (size_t)len, all + at, 0);
	}
	rig_digest(&rig->integrity, all, at, out, 0);
	close(fd);
	free(chunk);
	free(all);
}

#endif
