/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One plug-in for each FAULT that the loader has to find: compiled once per fault, as KIND-FAULT.so with NAME the
 * fault. Its digest is the sum of all bytes, in two bytes.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What FAULT may be. GOOD, LONGER and SERIAL are none. */
#define GOOD 1
#define LONGER 2
#define SERIAL 3
#define OLD_SYMBOL 4
#define NO_SYMBOL 5
#define UNRESOLVED 6
#define NULL_ENTRY 7
#define ABI_2 8
#define SHORT_STRUCT 9
#define WRONG_KIND 10
#define WRONG_NAME 11
#define NULL_NAME 12
#define NO_DIGEST 13
#define NO_SENDV 14
#define NO_VERDICT 15
#define NO_CREATE 16
#define NO_ANSWER 17
#define BAD_ANSWER 18
#define BAD_STREAM 19
#define BAD_REUSE 20
#define BAD_MANY 21
#define OVERRUN 22
#define LONG_DIGEST 23
#define BAD_DEFAULT 24
#define TWICE 25
#define NO_HELP 26
#define FAILS_CREATE 27
#define NO_INSTANCE 28
#define NEEDS_OPTION 29

struct xfer_hash {
	unsigned sum;
};

struct instance {
	const struct xfer_host *host;
	_Atomic int inside; /* calls under way */
};

static void sum_write(unsigned sum, uint8_t *out)
{
	out[0] = (uint8_t)(sum >> 8);
	out[1] = (uint8_t)sum;
}

static unsigned sum_more(unsigned sum, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++)
		sum += at[i];
	return sum;
}

#if FAULT == UNRESOLVED
int nobody_has_this(void);
#endif

static int create(const struct xfer_host *host, const struct xfer_params *params, void **out)
{
	(void)params;
	(void)out;
#if FAULT == FAILS_CREATE
	host->error(host, "the moon is %s", "full");
	return -EBUSY;
#endif
#if FAULT == UNRESOLVED
	if (nobody_has_this())
		return -EINVAL;
#endif
	struct instance *instance = calloc(1, sizeof(*instance));
	if (instance == NULL)
		return -ENOMEM;
	instance->host = host;
#if FAULT == NO_INSTANCE
	free(instance);
#else
	*out = instance;
#endif
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

static int digest(void *data, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	struct instance *instance = data;
	(void)flags;
	int others = atomic_fetch_add(&instance->inside, 1);
	sched_yield(); /* whoever may come in comes in now */
	unsigned sum = sum_more(0, bytes, len);
#if FAULT == BAD_ANSWER
	sum++;
#endif
	sum_write(sum, out);
#if FAULT == OVERRUN
	out[2] = 0;
#endif
	atomic_fetch_sub(&instance->inside, 1);
	if (FAULT == SERIAL && others > 0) {
		instance->host->error(instance->host, "%d others inside", others);
		return -EDEADLK;
	}
	return 0;
}

static int digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs, uint32_t flags)
{
	(void)instance;
	(void)flags;
	for (size_t i = 0; i < count; i++)
		sum_write(sum_more(FAULT == BAD_MANY && i == 5, buffers[i].iov_base, buffers[i].iov_len), outs[i]);
	return 0;
}

static int hash_create(void *instance, struct xfer_hash **out)
{
	(void)instance;
	struct xfer_hash *hash = calloc(1, sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	*out = hash;
	return 0;
}

static int hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	hash->sum = sum_more(FAULT == BAD_STREAM ? 0 : hash->sum, bytes, len);
	return 0;
}

static int hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	sum_write(hash->sum, out);
	if (FAULT != BAD_REUSE)
		hash->sum = 0;
	return 0;
}

static void hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

static const uint8_t DIGEST_ABC[] = { 0x01, 0x26 };
static const struct xfer_known_answer KNOWN[] = {
	{ .input = "abc", .input_len = 3, .digest = DIGEST_ABC },
};

static const struct xfer_option OPTIONS[] = {
	{
		.name = "depth",
		.type = XFER_OPTION_INT,
		.default_text = FAULT == BAD_DEFAULT ? "11" : "7",
		.min = 1,
		.max = 10,
		.help = FAULT == NO_HELP ? NULL : "how deep",
	},
	{
		.name = FAULT == TWICE ? "depth" : "colour",
		.type = XFER_OPTION_STRING,
		.flags = FAULT == NEEDS_OPTION ? XFER_OPTION_REQUIRED : 0,
		.default_text = FAULT == NEEDS_OPTION ? NULL : "blue",
		.max = 16,
		.help = "which colour",
	},
};

/* What a newer header would have: all of ours, and a field more. */
__attribute__((unused)) static const struct {
	struct xfer_integrity_ops known;
	void (*newer)(void);
} ops = {
	.known = {
		.struct_size = sizeof(struct xfer_integrity_ops) + (FAULT == LONGER ? sizeof(void (*)(void)) : 0),
		.digest_size = FAULT == LONG_DIGEST ? XFER_DIGEST_MAX + 1 : 2,
		.strength = XFER_STRENGTH_ACCIDENTAL,
		.known_answers = KNOWN,
		.known_answer_size = sizeof(KNOWN[0]),
		.known_answer_count = FAULT == NO_ANSWER ? 0 : 1,
		.digest = FAULT == NO_DIGEST ? NULL : digest,
		.digest_many = FAULT == SERIAL ? NULL : digest_many,
		.hash_create = hash_create,
		.hash_update = hash_update,
		.hash_finish = hash_finish,
		.hash_destroy = hash_destroy,
	},
};

#if FAULT == NO_SENDV || FAULT == WRONG_KIND
/* Never called: the loader only looks whether they are there. */
static int some_call(void)
{
	return -ENOSYS;
}
#define SOME_CALL(field) .field = (__typeof__(((struct xfer_transport_ops *)0)->field))(void (*)(void))some_call

static const struct xfer_transport_ops transport = {
	.struct_size = sizeof(struct xfer_transport_ops),
	SOME_CALL(listen),
	SOME_CALL(listener_adopt),
	SOME_CALL(listener_fds),
	SOME_CALL(listener_address),
	SOME_CALL(listener_close),
	SOME_CALL(accept),
	SOME_CALL(connect),
	SOME_CALL(handshake),
#if FAULT != NO_SENDV
	SOME_CALL(sendv),
#endif
	SOME_CALL(recv),
	SOME_CALL(poll),
	SOME_CALL(endpoint),
	SOME_CALL(shutdown),
	SOME_CALL(close),
};
#define KIND XFER_KIND_TRANSPORT
#define OPERATIONS .transport = &transport

#elif FAULT == NO_VERDICT
static void timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	(void)instance;
	*interval = *dead_after = 1;
}

static const struct xfer_liveness_ops liveness = {
	.struct_size = sizeof(struct xfer_liveness_ops),
	.datagram_size = 64,
	.timing = timing,
};
#define KIND XFER_KIND_LIVENESS
#define OPERATIONS .liveness = &liveness

#else
#define KIND XFER_KIND_INTEGRITY
#define OPERATIONS .integrity = &ops.known
#endif

static const struct {
	struct xfer_plugin known;
	void (*newer)(void);
} plugin = {
	.known = {
		.struct_size = FAULT == SHORT_STRUCT ? offsetof(struct xfer_plugin, transport)
		                                     : sizeof(struct xfer_plugin) + (FAULT == LONGER ? sizeof(void *) : 0),
		.abi_major = FAULT == ABI_2 ? 2 : XFER_ABI_MAJOR,
		.abi_minor = FAULT == LONGER ? XFER_ABI_MINOR + 1 : XFER_ABI_MINOR,
		.option_size = sizeof(struct xfer_option),
		.kind = KIND,
		.name = FAULT == NULL_NAME ? NULL : FAULT == WRONG_NAME ? "other" : NAME,
		.version = "1",
		.summary = "broken on purpose, for tests",
		.thread_model = FAULT == SERIAL ? XFER_THREADS_SERIALIZE : XFER_THREADS_PARALLEL_OBJECTS,
		.options = OPTIONS,
		.option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
		.create = FAULT == NO_CREATE ? NULL : create,
		.destroy = destroy,
		OPERATIONS,
	},
};

#if FAULT == OLD_SYMBOL
#define xfer_plugin_v1 xfer_plugin_v0
#endif
#if FAULT == NO_SYMBOL
#define xfer_plugin_v1 somebody_elses
#endif

__attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void);
const struct xfer_plugin *xfer_plugin_v1(void)
{
	return FAULT == NULL_ENTRY ? NULL : &plugin.known;
}
