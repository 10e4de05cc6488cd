/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One plug-in for each FAULT that the loader does not see and the conformance kit has to find: 64-bit FNV-1a, compiled
 * once per fault. Behind each stands the check that fails, and no other one does. Faults wait for the input on which
 * that check stands (523 bytes, cut at 486, and the like), as real ones wait for theirs.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONE 0
#define CREATE_CRASHES 1   /* load */
#define EXTREME_CRASHES 2  /* extremes */
#define REFUSES_SILENTLY 3 /* extremes */
#define INSTANCE_LEAKS 4   /* instances */
#define INSTANCE_OPENS 5   /* instances */
#define TOO_STRONG 6       /* strength */
#define NULL_REFUSED 7     /* empty */
#define CUT_LOSES 8        /* splits */
#define FINISH_EXITS 9     /* splits */
#define STATES_MIX 10      /* streams */
#define LANE_MIXES 11      /* many */
#define HANGS 12           /* many */
#define ABORTS 13          /* many */
#define LONG_CUT 14        /* long */
#define BIT_IGNORED 15     /* notices */
#define FORGETFUL 16       /* notices */
#define ALIGNED_ONLY 17    /* aligned */
#define READS_BEYOND 18    /* bounds */
#define WRITES_INPUT 19    /* bounds */
#define WRITES_BEYOND 20   /* bounds */
#define NOT_PARALLEL 21    /* threads */
#define STATE_LEAKS 22     /* leaks */
#define LARGE_MIX 23       /* lanes */
#define TOO_MANY_LANES 24  /* lanes */
#define END_IGNORED 25     /* chunk */
#define SALTED 26          /* same */
#define CROWD_MIXES 27     /* threads */
#define IGNORES_SIGNALS 28 /* process */
#define PRINTS 29          /* process */
#define SLEEPS 30          /* waits */
#define BOTH_CRASH 31      /* extremes */

#define SAMPLE_FIRST 0x81 /* the first byte of it */

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* The faults of memory are for the kit to find, not for a sanitizer. */
#define UNCHECKED __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

struct instance {
	const struct xfer_host *host;
	void *more;
	int fd;
	_Atomic int inside;
};

struct xfer_hash {
	uint64_t sum;
	size_t len;
	uint64_t salt; /* 0; what a fault adds */
	struct xfer_hash *instead;
	void *more;
};

static uint64_t fnv_more(uint64_t sum, const uint8_t *bytes, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = bytes[i];
		if (FAULT == BIT_IGNORED && at + i == 298)
			byte &= 0x7f;
		if (FAULT == END_IGNORED && at + i == 16 * 1024 * 1024 - 1)
			byte = 0;
		sum = (sum ^ byte) * FNV_PRIME;
	}
	return sum;
}

static void fnv_write(uint64_t sum, uint8_t *out)
{
	for (int i = 7; i >= 0; i--, sum >>= 8)
		out[i] = (uint8_t)sum;
}

static int create(const struct xfer_host *host, const struct xfer_params *params, void **out)
{
	int64_t depth = params->values[0].integer;
	if (FAULT == CREATE_CRASHES || (FAULT == EXTREME_CRASHES && depth == 10))
		abort();
	if (FAULT == BOTH_CRASH && depth == 10 && params->values[1].integer == 10)
		abort();
	if (FAULT == PRINTS && depth == 1)
		puts("here I am");
	if (FAULT == REFUSES_SILENTLY && depth == 1)
		return -EINVAL;
	struct instance *instance = calloc(1, sizeof(*instance));
	if (instance == NULL)
		return -ENOMEM;
	instance->host = host;
	instance->fd = -1;
	if (FAULT == INSTANCE_LEAKS)
		instance->more = malloc(40);
	if (FAULT == INSTANCE_OPENS && depth == 7 && params->values[1].integer == 7)
		instance->fd = dup(STDERR_FILENO);
	*out = instance;
	return 0;
}

static void destroy(void *data)
{
	struct instance *instance = data;
	if (instance->fd >= 0)
		close(instance->fd);
	free(instance);
}

/* The byte behind the input. */
static UNCHECKED void touch_beyond(const uint8_t *bytes, size_t len)
{
	(void)*(const volatile uint8_t *)(bytes + len);
}

/* Left as it is, but written. */
static UNCHECKED void touch_written(const uint8_t *bytes)
{
	volatile uint8_t *at = (volatile uint8_t *)(uintptr_t)bytes;
	*at = *at;
}

static int digest(void *data, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	struct instance *instance = data;
	uint64_t sum = FNV_START;
	(void)flags;
	if (FAULT == NULL_REFUSED && bytes == NULL)
		return -EINVAL;
	if (FAULT == HANGS && len == 1000)
		for (;;)
			pause();
	if (FAULT == ABORTS && len == 1000)
		abort();
	if (FAULT == READS_BEYOND && len == 299)
		touch_beyond(bytes, len);
	if (FAULT == WRITES_INPUT && len == 299)
		touch_written(bytes);
	if (FAULT == NOT_PARALLEL) {
		int others = atomic_fetch_add(&instance->inside, 1);
		for (int i = 0; i < 20; i++) {
			sched_yield(); /* whoever may come in comes in now */
			others += atomic_load(&instance->inside) - 1;
		}
		atomic_fetch_sub(&instance->inside, 1);
		sum ^= others > 0;
	}
	/* The input by which processes are compared. */
	if (FAULT == SALTED && len == 997 && ((const uint8_t *)bytes)[0] == SAMPLE_FIRST)
		sum += (uint64_t)getpid();
	if (FAULT == SLEEPS && len > 3 * 1024 * 1024 && len < 4 * 1024 * 1024)
		usleep(1100000);
	if (FAULT == IGNORES_SIGNALS && len == 300)
		(void)signal(SIGUSR2, SIG_IGN);
	if (FAULT == ALIGNED_ONLY && len == 300 && ((uintptr_t)bytes & 63) == 35)
		sum++;
	if (FAULT == FORGETFUL && len == 300) {
		/* The 2402nd digest of 300 bytes: that of the same input as the first one. */
		static _Thread_local unsigned calls;
		sum += ++calls == 2402;
	}
	fnv_write(fnv_more(sum, bytes, len, 0), out);
	if (FAULT == WRITES_BEYOND && len == 298)
		touch_written(out + 8);
	return 0;
}

static int digest_many(void *data, const struct iovec *buffers, size_t count, uint8_t *const *outs, uint32_t flags)
{
	struct instance *instance = data;
	int others = 0;
	if (FAULT == CROWD_MIXES) {
		atomic_fetch_add(&instance->inside, 1);
		for (int i = 0; i < 20; i++) {
			sched_yield();
			others |= atomic_load(&instance->inside) - 1;
		}
		atomic_fetch_sub(&instance->inside, 1);
	}
	for (size_t i = 0; i < count; i++) {
		int rc = digest(data, buffers[i].iov_base, buffers[i].iov_len, outs[i], flags);
		if (rc < 0)
			return rc;
		if (FAULT == LANE_MIXES && i == 64)
			outs[i][0] ^= 1;
		if (FAULT == LARGE_MIX && i == 3 && buffers[i].iov_len == 70000)
			outs[i][0] ^= 1;
		if (others > 0 && i == 3 && ((uintptr_t)buffers[i].iov_base & 7) != 0)
			outs[i][0] ^= 1;
	}
	return 0;
}

/* For STATES_MIX: with three of them in one thread, all is written into the latest. */
static _Thread_local int live;
static _Thread_local struct xfer_hash *latest;

static int hash_create(void *data, struct xfer_hash **out)
{
	struct xfer_hash *hash = calloc(1, sizeof(*hash));
	(void)data;
	if (hash == NULL)
		return -ENOMEM;
	hash->sum = FNV_START;
	live++;
	latest = hash;
	*out = hash;
	return 0;
}

static int hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	if (FAULT == STATES_MIX && live == 3)
		hash = latest;
	if (FAULT == LONG_CUT && len > 1024 * 1024)
		len = 1024 * 1024;
	if (FAULT == STATE_LEAKS && hash->more == NULL)
		hash->more = malloc(40);
	hash->sum = fnv_more(hash->sum, bytes, len, hash->len);
	if (FAULT == CUT_LOSES && hash->len == 486 && len == 37)
		hash->sum++;
	hash->len += len;
	return 0;
}

static int hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	if (FAULT == FINISH_EXITS && hash->len == 523)
		_exit(3);
	fnv_write(hash->sum, out);
	hash->sum = FNV_START;
	hash->len = 0;
	free(hash->more);
	hash->more = NULL;
	return 0;
}

/* With STATE_LEAKS, what a stream holds that was not finished. */
static void hash_destroy(struct xfer_hash *hash)
{
	live--;
	free(hash);
}

static uint32_t lanes(void *data)
{
	(void)data;
	return FAULT == TOO_MANY_LANES ? 100000 : 4;
}

static const uint8_t DIGEST_OF_NONE[] = { 0xcb, 0xf2, 0x9c, 0xe4, 0x84, 0x22, 0x23, 0x25 };
static const uint8_t DIGEST_OF_A[] = { 0xaf, 0x63, 0xdc, 0x4c, 0x86, 0x01, 0xec, 0x8c };
static const struct xfer_known_answer KNOWN[] = {
	{ .input = "", .input_len = 0, .digest = DIGEST_OF_NONE },
	{ .input = "a", .input_len = 1, .digest = DIGEST_OF_A },
};

static const struct xfer_option OPTIONS[] = {
	{ .name = "depth", .type = XFER_OPTION_INT, .default_text = "7", .min = 1, .max = 10, .help = "how deep" },
	{ .name = "width", .type = XFER_OPTION_INT, .default_text = "7", .min = 1, .max = 10, .help = "how wide" },
};

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = 8,
	.strength = FAULT == TOO_STRONG ? 64 : XFER_STRENGTH_ACCIDENTAL,
	.known_answers = KNOWN,
	.known_answer_size = sizeof(KNOWN[0]),
	.known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	.digest = digest,
	.digest_many = digest_many,
	.hash_create = hash_create,
	.hash_update = hash_update,
	.hash_finish = hash_finish,
	.hash_destroy = hash_destroy,
	.lanes = lanes,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "unfit",
	.version = "1",
	.summary = "unfit on purpose, for tests",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = OPTIONS,
	.option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
	.create = create,
	.destroy = destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
