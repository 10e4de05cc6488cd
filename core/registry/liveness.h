/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of a liveness plug-in: what <xfer/plugin.h> says of each callback holds. Loop thread. */
#ifndef XFER_REGISTRY_LIVENESS_H
#define XFER_REGISTRY_LIVENESS_H

#include "registry/registry.h"

void liveness_timing(const struct plugin *plugin, uint64_t *interval, uint64_t *dead_after);
int liveness_peer_create(const struct plugin *plugin, const struct xfer_peer_params *params, struct xfer_peer **out);
void liveness_peer_destroy(const struct plugin *plugin, struct xfer_peer *peer);
int liveness_datagram_in(const struct plugin *plugin, struct xfer_peer *peer, const void *bytes, size_t len,
                         uint64_t now, struct xfer_heard *out);
ssize_t liveness_datagram_out(const struct plugin *plugin, struct xfer_peer *peer, void *bytes, size_t size,
                              uint64_t now, struct xfer_asked *out);
enum xfer_verdict liveness_verdict(const struct plugin *plugin, struct xfer_peer *peer, uint64_t now);
uint64_t liveness_next_deadline(const struct plugin *plugin, struct xfer_peer *peer, uint64_t now);
void liveness_stats(const struct plugin *plugin, struct xfer_peer *peer, struct xfer_liveness_stats *out);
void liveness_progress_set(const struct plugin *plugin, struct xfer_peer *peer, const struct xfer_progress *ours);
void liveness_progress_get(const struct plugin *plugin, struct xfer_peer *peer, struct xfer_progress *theirs);

#endif
