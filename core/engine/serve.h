/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serving one client at the daemon: carries out the orders of its source through the pipeline and sends what comes of
 * them. A session that rests has neither buffers nor a source.
 */
#ifndef XFER_ENGINE_SERVE_H
#define XFER_ENGINE_SERVE_H

#include "engine/channel.h"
#include "session/source.h"

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
	size_t export_count;
	struct list sessions;     /* struct serve.link */
	struct list starved;      /* struct serve.starving: wait for a buffer to read into */
	size_t session_count;
	struct log *log;
	/* A session is gone (the count is already right). */
	void (*gone)(struct serve_base *base);
};

/* What was fetched under one LIST, for the log. */
struct serve_transfer {
	char *path;      /* owned; NULL: none */
	uint64_t files;
	uint64_t bytes;
	uint64_t chunks;
	uint64_t failed;
	uint64_t reading; /* requests unanswered */
	uint64_t began;   /* ns */
	uint32_t digest_size;
	uint8_t digest[FRAME_DIGEST_MAX]; /* of the last file */
};

struct serve {
	struct channel channel;
	struct list link;
	struct list starving;
	struct serve_base *base;
	struct source *source;     /* NULL until the first request */
	struct list jobs;          /* struct job.link, oldest first */
	unsigned job_count;
	bool closed;               /* the channel is gone; waits for jobs */
	struct serve_transfer *transfer; /* owned; NULL until something is read */
};

/* Takes over conn. The session frees itself when it ends. */
int serve_open(struct serve_base *base, const struct plugin *transport, struct xfer_conn *conn,
               struct heartbeat_port *port, uint16_t port_number, struct error *err);
/* A job came back: job->owner is the session. */
void serve_job_done(struct job *job);
/* Buffers may be free again. */
void serve_feed(struct serve_base *base);
/* Nothing is asked for and nothing is to be sent. */
bool serve_idle(const struct serve *serve);
void serve_end(struct serve *serve, enum status status, const char *text);

extern const struct channel_watch serve_watch;

#endif
