/* SPDX-License-Identifier: BSD-2-Clause */
/* integrity-none: no digest at all, for those who say so on both sides. The calls are there and do nothing. */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>

struct xfer_hash {
	char unused;
};

static int none_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)host;
	(void)params;
	*instance = malloc(1); /* an instance is never NULL */
	return *instance == NULL ? -ENOMEM : 0;
}

static void none_destroy(void *instance)
{
	free(instance);
}

static int none_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	(void)instance;
	(void)bytes;
	(void)len;
	(void)out;
	(void)flags;
	return 0;
}

static int none_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                            uint32_t flags)
{
	(void)instance;
	(void)buffers;
	(void)count;
	(void)outs;
	(void)flags;
	return 0;
}

static int none_hash_create(void *instance, struct xfer_hash **out)
{
	(void)instance;
	struct xfer_hash *hash = malloc(sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	*out = hash;
	return 0;
}

static int none_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	(void)hash;
	(void)bytes;
	(void)len;
	(void)flags;
	return 0;
}

static int none_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	(void)hash;
	(void)out;
	(void)flags;
	return 0;
}

static void none_hash_destroy(struct xfer_hash *hash)
{
	free(hash);
}

static const struct xfer_integrity_ops ops = {
	.struct_size = sizeof(struct xfer_integrity_ops),
	.digest_size = 0,
	.strength = XFER_STRENGTH_NONE,
	.digest = none_digest,
	.digest_many = none_digest_many,
	.hash_create = none_hash_create,
	.hash_update = none_hash_update,
	.hash_finish = none_hash_finish,
	.hash_destroy = none_hash_destroy,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_INTEGRITY,
	.name = "none",
	.version = PLUGIN_VERSION,
	.summary = "no digest: nothing is verified, neither chunk nor file",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.create = none_create,
	.destroy = none_destroy,
	.integrity = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
