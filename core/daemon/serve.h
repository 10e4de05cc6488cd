/* SPDX-License-Identifier: BSD-2-Clause */
/* Serving one client at the daemon: what its requests mean for the exports, and what is logged of them. */
#ifndef XFER_DAEMON_SERVE_H
#define XFER_DAEMON_SERVE_H

#include "daemon/limits.h"
#include "engine/channel.h"
#include "engine/sending.h"

/* An export, open. */
struct serve_export {
	const struct settings_export *settings;
	struct store_root *root; /* owned by the server; NULL: its folder could not be opened */
};

struct serve;

/* What all sessions of a worker share; the server's. */
struct serve_base {
	struct channel_base channel;
	struct serve_export *exports;
	const char **names; /* room for those of all exports, for a listing of "" */
	size_t export_count;
	bool own;             /* the exports are those of settings_own() */
	struct list sessions; /* struct serve.link */
	size_t session_count;
	struct limits limits;
	const struct deaths *deaths; /* of workers, borrowed; it may grow. NULL: none are told */
	struct log *log;
	/* A session is gone (the count is already right). */
	void (*gone)(struct serve_base *base);
};

struct serve_transfer; /* see transfer_log.h */
struct serve_put;      /* see serve_put.c */
struct serve_join;     /* see serve_join.c */

struct serve {
	struct channel channel;
	struct sending *sending; /* owned; NULL until something is asked for, and most sessions rest */
	struct list link;
	struct limits_entry entry;
	bool late; /* let in when the daemon was about to drain: served for a moment as if it were not */
	struct serve_base *base;
	struct serve_transfer *transfer; /* owned; NULL until something is listed */
	struct serve_put *put;           /* owned; NULL: nothing is put */
	struct serve_join *join;         /* owned; NULL: it takes part in no puts of another session */
	struct list joined;              /* struct serve_join.link, of those that take part in its puts */
	uint64_t consumed, granted;      /* credit of the puts so far, see sink_credit() */
	bool closed;                     /* the channel is gone and the sending half has closed */
	bool forbidden;                  /* it asked for an export that is not for it, and the log says so */
	bool put_refused;                /* a PUT of it was refused, and the log says so */
	bool put_kept; /* a DONE is out that the client is to answer: what was put is done, but for its journal */
	uint8_t joins_refused; /* JOINs that were refused; the log has the first */
};

/* Takes over conn. The session frees itself when it ends. -EDQUOT: a limit; nothing needs to be said of it. */
int serve_open(struct serve_base *base, const struct plugin *transport, struct xfer_conn *conn,
               struct heartbeat_port *port, uint16_t port_number, struct error *err);
/* For channel_base: a connection beyond a limit; a worker's death. */
enum status serve_refuse(struct channel *channel, struct error *err);
const char *serve_died(const struct channel *channel, const uint8_t boot_id[MESSAGE_BOOT_ID]);
/* Nothing is asked for and nothing is to be sent. */
bool serve_idle(const struct serve *serve);
/* It has asked for nothing yet: its hello or its first request may be under way. */
bool serve_new(const struct serve *serve);
/* Tells it to finish, and to come back in another connection. */
void serve_goaway(struct serve *serve);
/* Takes "export/rest" apart; *rest is "" for the export itself. NULL: there is none, or none for this peer. */
const struct serve_export *serve_export_find(struct serve *serve, const char *path, const char **rest);
/* Whom the transport has authenticated; "" when it has not. */
const char *serve_identity(const struct serve *serve);
/* One half of a session has come to its end: with the other one, the session goes. */
void serve_half_closed(struct serve *serve);
void serve_end(struct serve *serve, enum status status, const char *text);
/* Ends a session that is refused one thing after another, and does not listen to it. */
void serve_unheard(struct serve *serve);

extern const struct channel_watch serve_watch;

#endif
