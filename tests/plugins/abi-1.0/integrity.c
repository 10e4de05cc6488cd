/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity-aged: a plug-in as it was written when the ABI was 1.0, Fletcher's sum of 64 bits. Built from the header of
 * then, and, with FUTURE, from one that has more fields than any of ours.
 */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>

struct xfer_hash {
	uint32_t a, b;
};

struct aged {
	const struct xfer_host *host;
};

static void more(struct xfer_hash *hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++) {
		hash->a += at[i] + 1U;
		hash->b += hash->a;
	}
}

static void put(const struct xfer_hash *hash, uint8_t *out)
{
	for (int i = 0; i < 4; i++) {
		out[i] = (uint8_t)(hash->b >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(hash->a >> (24 - 8 * i));
	}
}

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	/* What came to the ABI after the program was built must not seem to be there. */
#ifdef FUTURE
	if (XFER_HAS(host, future) || XFER_HAS(params, future)) {
		host->error(host, "the program claims to have what it cannot know");
		return -EPROTO;
	}
#endif
	if (params->count != 2 || params->values[0].number != 4096 || params->values[1].text[0] != 'x') {
		host->error(host, "values are not where they should be");
		return -EINVAL;
	}
	struct aged *aged = malloc(sizeof(*aged));
	if (aged == NULL)
		return -ENOMEM;
	aged->host = host;
	*instance = aged;
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

static int digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	struct xfer_hash hash = { 1, 0 };
	const struct aged *aged = instance;
	if (flags != 0) {
		aged->host->error(aged->host, "a flag that is younger than the plug-in");
		return -EINVAL;
	}
	more(&hash, bytes, len);
	put(&hash, out);
	return 0;
}

static int hash_create(void *instance, struct xfer_hash **out)
{
	struct xfer_hash *hash = malloc(sizeof(*hash));
	(void)instance;
	if (hash == NULL)
		return -ENOMEM;
	*hash = (struct xfer_hash){ 1, 0 };
	*out = hash;
	return 0;
}

static int hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	more(hash, bytes, len);
	return 0;
}

static int hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)flags;
	put(hash, out);
	*hash = (struct xfer_hash){ 1, 0 };
	return 0;
}

static void hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

#ifdef FUTURE
static void never(void)
{
	abort();
}
#define MORE .future = { ~UINT64_C(0), ~UINT64_C(0) }, .future_call = never,
#else
#define MORE
#endif

/* Two rows: a program that takes its own size of a row for theirs does not find the second. */
static const uint8_t EMPTY[] = { 0, 0, 0, 0, 0, 0, 0, 1 };
static const uint8_t AB[] = { 0, 0, 1, 41, 0, 0, 0, 198 };
static const struct xfer_known_answer KNOWN[] = {
	{ .input = "", .input_len = 0, .digest = EMPTY, MORE },
	{ .input = "ab", .input_len = 2, .digest = AB, MORE },
};

static const struct xfer_option OPTIONS[] = {
	{ .name = "first",
	  .type = XFER_OPTION_SIZE,
	  .default_text = "4K",
	  .min = 1,
	  .max = 8192,
	  .help = "the first",
	  MORE },
	{ .name = "second", .type = XFER_OPTION_STRING, .default_text = "x", .max = 8, .help = "the second", MORE },
};

static const struct xfer_integrity_ops OPS = { .struct_size = sizeof(struct xfer_integrity_ops),
	                                       .digest_size = 8,
	                                       .strength = XFER_STRENGTH_ACCIDENTAL,
	                                       .known_answers = KNOWN,
	                                       .known_answer_size = sizeof(KNOWN[0]),
	                                       .known_answer_count = sizeof(KNOWN) / sizeof(KNOWN[0]),
	                                       .digest = digest,
	                                       .hash_create = hash_create,
	                                       .hash_update = hash_update,
	                                       .hash_finish = hash_finish,
	                                       .hash_destroy = hash_destroy,
	                                       MORE };

static const struct xfer_plugin PLUGIN = { XFER_PLUGIN_HEAD,
	                                   .kind = XFER_KIND_INTEGRITY,
	                                   .name = "aged",
	                                   .version = "1",
	                                   .summary = "as of ABI 1.0",
	                                   .thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	                                   .options = OPTIONS,
	                                   .option_count = sizeof(OPTIONS) / sizeof(OPTIONS[0]),
	                                   .create = create,
	                                   .destroy = destroy,
	                                   .integrity = &OPS,
	                                   MORE };

XFER_REGISTER_PLUGIN(PLUGIN)
