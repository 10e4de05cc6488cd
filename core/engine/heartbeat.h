/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heartbeats: the datagram side of liveness. The core owns sockets, addresses and clock; what stands in a datagram is
 * the liveness plug-in's. In front of it the core puts the slot, eight bytes in network order, by which the receiver
 * finds the session; the first byte is the worker, so that one port serves all workers.
 */
#ifndef XFER_ENGINE_HEARTBEAT_H
#define XFER_ENGINE_HEARTBEAT_H

#include "base/table.h"
#include "engine/datagram.h"
#include "engine/loop.h"
#include "session/pulse.h"

#include <sys/socket.h>

enum { HEARTBEAT_SLOT = 8 }; /* bytes in front of the plug-in's datagram */

/* A datagram socket and the sessions that are heard on it. */
struct heartbeat_port {
	struct loop *loop;
	uv_poll_t poll;
	int fd;              /* owned */
	struct table *peers; /* borrowed: slot -> struct heartbeat; ports of one worker share it */
	/* The same for all sessions; theirs, from the first one on. */
	const struct plugin *plugin;
	const struct heartbeat_watch *watch;
	/* Where very many come: looked at now and then, instead of being woken by each. */
	struct deadline gather;
	uint64_t counted_at; /* steady ns, since when `counted` came */
	unsigned counted;
	bool gathers;
	bool open;
	bool closed; /* the loop is done with it */
};

/* Takes over fd (non-blocking), also on failure. */
int heartbeat_port_open(struct heartbeat_port *port, struct loop *loop, int fd, struct table *peers, struct error *err);
void heartbeat_port_close(struct heartbeat_port *port);

/* What a session's heartbeat tells. */
struct heartbeat;
struct heartbeat_watch {
	/* Our progress is about to be told. */
	void (*progress)(struct heartbeat *heartbeat, struct xfer_progress *ours);
	/* A datagram of the peer was accepted. */
	void (*heard)(struct heartbeat *heartbeat, const struct xfer_heard *heard);
	/* A question was sent; NULL is allowed. */
	void (*asked)(struct heartbeat *heartbeat, const struct xfer_asked *asked);
};

/* What only who asks needs; a daemon answers ten thousand. */
struct heartbeat_asker {
	struct heartbeat *heartbeat;
	struct deadline deadline; /* of the next question */
	struct datagram_path to;  /* where the daemon is */
};

struct heartbeat {
	struct heartbeat_port *port; /* borrowed */
	struct xfer_peer *peer;      /* NULL: none, in-band only */
	uint64_t slot;
	struct heartbeat_asker *asker; /* owned; NULL at the answerer */
};

struct heartbeat_start {
	const struct plugin *plugin;
	struct heartbeat_port *port;
	const struct heartbeat_watch *watch;
	struct xfer_peer_params params; /* role, flags, slot, key, interval, dead_after */
	const struct sockaddr *to;      /* asker: the daemon's datagram address */
	socklen_t to_len;
};
/* Registers the slot and, as the asker, sends the first question. */
int heartbeat_open(struct heartbeat *heartbeat, const struct heartbeat_start *start, struct error *err);
void heartbeat_close(struct heartbeat *heartbeat); /* not open: nothing happens */

enum pulse_datagrams heartbeat_state(const struct heartbeat *heartbeat, uint64_t now);
/* Zeroes when there is no peer. */
void heartbeat_stats(const struct heartbeat *heartbeat, struct xfer_liveness_stats *out);
void heartbeat_progress(const struct heartbeat *heartbeat, struct xfer_progress *theirs);

#endif
