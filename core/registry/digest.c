/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of an integrity plug-in, one at a time where its thread model says so. */
#include "registry/note.h"
#include "registry/registry.h"

#include <errno.h>
#include <pthread.h>

/* A forgotten text of an earlier call must not explain this one's error. The note is of the call, not of the wait for it. */
static struct note_slot *digest_enter(const struct plugin *plugin, enum note_call call)
{
	plugin_error_clear();
	if (plugin->lock != NULL)
		pthread_mutex_lock(plugin->lock);
	return note_enter(plugin->notes, plugin->row, call);
}

/* Whatever is no success is an error: nobody goes on with a digest that was not made. */
static int digest_leave(const struct plugin *plugin, struct note_slot *slot, int rc)
{
	note_leave(slot);
	if (plugin->lock != NULL)
		pthread_mutex_unlock(plugin->lock);
	return rc > 0 ? -EPROTO : rc;
}

int plugin_digest(const struct plugin *plugin, const void *bytes, size_t len, uint8_t *out)
{
	struct note_slot *slot = digest_enter(plugin, NOTE_DIGEST);
	return digest_leave(plugin, slot, plugin->integrity.digest(plugin->instance, bytes, len, out, 0));
}

int plugin_digest_many(const struct plugin *plugin, const struct iovec *buffers, size_t count, uint8_t *const *outs)
{
	const struct xfer_integrity_ops *ops = &plugin->integrity;
	struct note_slot *slot;
	int rc = 0;
	if (count == 0)
		return 0;
	slot = digest_enter(plugin, ops->digest_many != NULL ? NOTE_DIGEST_MANY : NOTE_DIGEST);
	if (ops->digest_many != NULL)
		rc = ops->digest_many(plugin->instance, buffers, count, outs, 0);
	else
		for (size_t i = 0; i < count && rc == 0; i++)
			rc = ops->digest(plugin->instance, buffers[i].iov_base, buffers[i].iov_len, outs[i], 0);
	return digest_leave(plugin, slot, rc);
}

int plugin_hash_create(const struct plugin *plugin, struct xfer_hash **out)
{
	struct note_slot *slot = digest_enter(plugin, NOTE_HASH_CREATE);
	return digest_leave(plugin, slot, plugin->integrity.hash_create(plugin->instance, out));
}

int plugin_hash_update(const struct plugin *plugin, struct xfer_hash *hash, const void *bytes, size_t len)
{
	struct note_slot *slot = digest_enter(plugin, NOTE_HASH_UPDATE);
	return digest_leave(plugin, slot, plugin->integrity.hash_update(hash, bytes, len, 0));
}

int plugin_hash_finish(const struct plugin *plugin, struct xfer_hash *hash, uint8_t *out)
{
	struct note_slot *slot = digest_enter(plugin, NOTE_HASH_FINISH);
	return digest_leave(plugin, slot, plugin->integrity.hash_finish(hash, out, 0));
}

void plugin_hash_destroy(const struct plugin *plugin, struct xfer_hash *hash)
{
	if (hash == NULL)
		return;
	struct note_slot *slot = digest_enter(plugin, NOTE_HASH_DESTROY);
	plugin->integrity.hash_destroy(hash);
	digest_leave(plugin, slot, 0);
}
