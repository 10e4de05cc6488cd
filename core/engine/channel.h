/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel: a session as both programs have it: link, hello, pulse and heartbeat. What is asked for and answered over
 * it is its owner's business (fetch.c at the client, serve.c at the daemon).
 */
#ifndef XFER_ENGINE_CHANNEL_H
#define XFER_ENGINE_CHANNEL_H

#include "engine/heartbeat.h"
#include "engine/link.h"
#include "engine/setup.h"
#include "session/negotiate.h"
#include "session/pulse.h"

#include <netinet/in.h>

struct channel;

struct channel_watch {
	/* Client: the WELCOME came. Daemon: the HELLO was answered. channel->suite is settled. */
	void (*open)(struct channel *channel);
	/* A frame that is neither of the hello nor of liveness. As link_watch.frame. */
	int (*frame)(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
	             struct lent *buffer, struct error *err);
	void (*settled)(struct channel *channel);
	void (*sent)(struct channel *channel);
	/* As link_watch.refill. NULL is allowed: what is wanted is found by sending_pump(). */
	void (*refill)(struct channel *channel);
	/* Fills our progress for the peer. */
	void (*progress)(struct channel *channel, struct xfer_progress *ours);
	/* Something to say once: "datagrams are not heard, ...". */
	void (*warn)(struct channel *channel, const char *text);
	/* Client, before open(): what the worker died of that base->lost names, printable. */
	void (*died)(struct channel *channel, const char *text);
	/* A round trip was measured (client): in-band when `in_band`. sequence as asked. NULL is allowed. */
	void (*answer)(struct channel *channel, bool in_band, uint64_t sequence, uint64_t rtt);
	void (*asked)(struct channel *channel, bool in_band, uint64_t sequence);
	/*
	 * A time to look whether the session may go on as it is, after the hello and when it was said; may end the
	 * channel. Returns when to look again, steady ns. NULL: never.
	 */
	uint64_t (*look)(struct channel *channel);
	/*
	 * The end, once. err->code 0: the peer closed in order. The owner calls channel_close(), now or later.
	 */
	void (*ended)(struct channel *channel, const struct error *err);
	/* The last callback: the struct may be freed. */
	void (*closed)(struct channel *channel);
};

enum channel_state { CHANNEL_CONNECTING, CHANNEL_HELLO, CHANNEL_OPEN, CHANNEL_ENDED };

/* What all channels of a process share. */
struct channel_base {
	struct loop *loop;
	struct known *known; /* daemon: digests of what it sends; NULL: none are kept */
	struct setup *setup;
	struct offer offer;
	const struct channel_watch *watch;
	uint64_t hello_timeout; /* ns, from the connection to the end of the hello */
	uint32_t requests_max;  /* daemon: told in the WELCOME */
	/* Daemon: why a connection is not taken, STATUS_OK when it is; NULL at the client. */
	enum status (*refuse)(struct channel *channel, struct error *err);
	/* Gives the daemon's channel a slot that is not in use; NULL at the client. */
	uint64_t (*slot)(struct channel *channel);
	/* Daemon: what the worker with that boot id died of; NULL: nothing is known, or there is nobody who knows. */
	const char *(*died)(const struct channel *channel, const uint8_t boot_id[MESSAGE_BOOT_ID]);
	const uint8_t *lost;   /* client: boot id of the worker that broke off without a word; NULL = none */
	uint64_t ask_interval; /* client: ns, overrides the agreed one; 0 = as agreed */
	bool ask_steady;       /* client: never ask faster */
};

/* What the plug-ins and settings of a process have to offer. channel_offer_free() when no channel is left. */
int channel_offer_make(struct offer *out, const struct setup *setup, struct error *err);
void channel_offer_free(struct offer *offer);

/* Who is at the other end. */
struct channel_remote {
	union {
		struct sockaddr any; /* AF_UNSPEC where the transport has no such addresses */
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
	char text
		[]; /* "127.0.0.1:40312", and behind its end whom the transport has authenticated, "" when it has not */
};

struct channel {
	struct link link;
	const struct channel_base *base;
	struct heartbeat_port *port; /* where heartbeats go; NULL: in-band only. Borrowed */
	void *owner;
	enum channel_state state;
	bool server;
	bool goaway;            /* said or heard */
	bool put;               /* the daemon asks and the client has; the owner's to say */
	bool refused;           /* the peer ended it with an ERROR */
	enum status going_away; /* with goaway: why */
	enum status said;       /* with refused: what the ERROR said */
	struct suite suite;
	struct frame_limits rx_limits; /* what may come in */
	struct pulse pulse;
	struct heartbeat heartbeat;
	struct deadline deadline;         /* of the hello, then of the pulse */
	uint16_t heartbeat_port_number;   /* daemon: told in the WELCOME; client: as told */
	uint32_t requests_max;            /* as told in the WELCOME */
	uint8_t boot_id[MESSAGE_BOOT_ID]; /* of the peer */
	uint8_t key[MESSAGE_KEY];         /* of the WELCOME */
	struct xfer_progress *theirs;     /* owned; in-band, NULL before the peer told any */
	struct channel_remote *remote;    /* owned; NULL before the handshake is done */
	uint64_t look_at;                 /* steady ns, see channel_watch.look */
	uint64_t worked_at; /* steady ns, when a frame came last that is neither of the hello nor of liveness */
};

/*
 * Takes over conn, also on failure. port_number: daemon, see above. -EINPROGRESS: it failed, and watch->closed() comes yet.
 */
int channel_open(struct channel *channel, const struct channel_base *base, const struct plugin *transport,
                 struct xfer_conn *conn, bool server, struct heartbeat_port *port, uint16_t port_number, void *owner,
                 struct error *err);
/* Control frames are written here; channel_flush() sends. */
struct buf *channel_control(struct channel *channel);
void channel_flush(struct channel *channel);
/* Tells the peer why, and ends the channel. */
void channel_fail(struct channel *channel, enum status status, const struct error *err);
/* Ends the channel in order, without a word, when what is queued is sent. */
void channel_finish(struct channel *channel);
/* Says goaway (daemon). */
void channel_goaway(struct channel *channel, enum status status, const char *text);
void channel_close(struct channel *channel);

const char *channel_peer(const struct channel *channel); /* "127.0.0.1:40312" */
const char *channel_identity(const struct channel_remote *remote);
/* Round trip in ns (0 = unknown) and loss, from whatever measures them. */
uint64_t channel_rtt(const struct channel *channel, uint64_t *loss_ppm);
void channel_theirs(const struct channel *channel, struct xfer_progress *theirs);

#endif
