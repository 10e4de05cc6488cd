/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of a liveness plug-in, each with a note of it. */
#include "registry/liveness.h"
#include "registry/note.h"

void liveness_timing(const struct plugin *plugin, uint64_t *interval, uint64_t *dead_after)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_TIMING);
	plugin->liveness.timing(plugin->instance, interval, dead_after);
	note_leave(slot);
}

int liveness_peer_create(const struct plugin *plugin, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_PEER_CREATE);
	int result = plugin->liveness.peer_create(plugin->instance, params, out);
	note_leave(slot);
	return result;
}

void liveness_peer_destroy(const struct plugin *plugin, struct xfer_peer *peer)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_PEER_DESTROY);
	plugin->liveness.peer_destroy(peer);
	note_leave(slot);
}

int liveness_datagram_in(const struct plugin *plugin, struct xfer_peer *peer, const void *bytes, size_t len,
                         uint64_t now, struct xfer_heard *out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_DATAGRAM_IN);
	int result = plugin->liveness.datagram_in(peer, bytes, len, now, out);
	note_leave(slot);
	return result;
}

ssize_t liveness_datagram_out(const struct plugin *plugin, struct xfer_peer *peer, void *bytes, size_t size,
                              uint64_t now, struct xfer_asked *out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_DATAGRAM_OUT);
	ssize_t result = plugin->liveness.datagram_out(peer, bytes, size, now, out);
	note_leave(slot);
	return result;
}

enum xfer_verdict liveness_verdict(const struct plugin *plugin, struct xfer_peer *peer, uint64_t now)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_VERDICT);
	enum xfer_verdict result = plugin->liveness.verdict(peer, now);
	note_leave(slot);
	return result;
}

uint64_t liveness_next_deadline(const struct plugin *plugin, struct xfer_peer *peer, uint64_t now)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_NEXT_DEADLINE);
	uint64_t result = plugin->liveness.next_deadline(peer, now);
	note_leave(slot);
	return result;
}

void liveness_stats(const struct plugin *plugin, struct xfer_peer *peer, struct xfer_liveness_stats *out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_STATS);
	plugin->liveness.stats(peer, out);
	note_leave(slot);
}

void liveness_progress_set(const struct plugin *plugin, struct xfer_peer *peer, const struct xfer_progress *ours)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_PROGRESS_SET);
	plugin->liveness.progress_set(peer, ours);
	note_leave(slot);
}

void liveness_progress_get(const struct plugin *plugin, struct xfer_peer *peer, struct xfer_progress *theirs)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_PROGRESS_GET);
	plugin->liveness.progress_get(peer, theirs);
	note_leave(slot);
}
