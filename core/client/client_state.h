/* SPDX-License-Identifier: BSD-2-Clause */
/* What the client's verbs share; nobody outside client*.c and fetch.c includes it. */
#ifndef XFER_CLIENT_CLIENT_STATE_H
#define XFER_CLIENT_CLIENT_STATE_H

#include "client/client.h"
#include "client/dial.h"
#include "client/reconnect.h"
#include "client/streams.h"
#include "engine/channel.h"

/* What a verb does with the loop's events. All but `context` may be NULL. */
struct client_verb {
	/* The session is open. */
	void (*open)(void *context);
	int (*frame)(void *context, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
	             struct error *err);
	/* Something came or was sent: a moment to go on. */
	void (*work)(void *context);
	void (*progress)(void *context, struct xfer_progress *ours);
	void (*answer)(void *context, bool in_band, uint64_t sequence, uint64_t rtt);
	void (*asked)(void *context, bool in_band, uint64_t sequence);
	/* About ten times a second while the verb runs. */
	void (*tick)(void *context);
	/* The session is over or was never had, or the user interrupted. */
	void (*ended)(void *context, const struct ending *ending);
	/* A further session is open, got a frame, is over. */
	void (*stream_open)(void *context, struct stream *stream);
	int (*stream_frame)(void *context, struct stream *stream, const struct frame_header *header,
	                    const uint8_t *bytes, struct lent *buffer, struct error *err);
	void (*stream_ended)(void *context, struct stream *stream, const struct ending *ending);
};

struct client {
	const struct settings *settings;
	struct client_options options;
	struct client_watch watch;
	struct log *log;
	struct setup *setup;
	struct loop *loop;
	struct channel_base base;

	const struct client_verb *verb; /* NULL between verbs */
	void *context;

	struct url *url;   /* owned; whom the last session was or is to be with; NULL = nobody yet */
	struct dial *dial; /* NULL when not dialling */
	const struct plugin *transport;
	struct channel channel;
	bool channel_used;              /* the struct is a channel that is not closed yet */
	bool channel_live;              /* and its session is open */
	struct heartbeat_port ports[2]; /* of IPv4 and of IPv6: the URLs of a job may lead to both */
	struct table peers;
	struct deadline tick;
	uv_signal_t signals[2];
	bool interrupted;
	uint64_t peer_stages[XFER_STAGE_SYNC + 1]; /* how often the peer was seen in each, since the verb began */
	uint64_t consumed, granted;                /* credit of the session, see sink_credit() */
	uint64_t dialled;                          /* steady ns, when it was connected */
	uint64_t distance;                         /* ns from then to the WELCOME: a round trip and a little */
	struct reconnect again;
	struct streams streams; /* beside it, of the same job */
};

/* Runs the loop until client_stop(); the verb gets the events. */
void client_run(struct client *client, const struct client_verb *verb, void *context);
void client_stop(struct client *client);
/* client_connect() and client_run(). False: there was nothing to run, *ending says why. */
bool client_try(struct client *client, const struct url *url, const struct client_verb *verb, void *context,
                struct ending *ending);
/* The peer broke the protocol, or we cannot go on with it: tells it, and ends the session. */
void client_fail(struct client *client, const struct error *err);
/* Where heartbeats of a connection go, by its family; NULL: the session lives on pings in the connection. */
struct heartbeat_port *client_port(struct client *client, struct xfer_conn *conn);
/* Whether the last session was with the URL's authority, by the same transport and user. */
bool client_is_at(const struct client *client, const struct url *url);
/* Connects to the URL's authority, or uses the session that is open to it: verb->open() or verb->ended() comes. */
int client_connect(struct client *client, const struct url *url, struct error *err);
/* Lets go of the session and of those beside it, in order; waits until they are closed. Not within a verb. */
void client_disconnect(struct client *client);
/* Files are to be compared by digests that are no proof: FAULT_USAGE, and what to do. */
int client_weak(const struct client *client, struct error *err);
/* What every channel of its sessions tells: a moment to go on; what a heartbeat carries. */
void client_work(struct client *client);
void client_progress(struct client *client, const struct channel *channel, struct xfer_progress *ours);
void client_say(struct client *client, enum log_level level, enum fault fault, const char *text);

#endif
