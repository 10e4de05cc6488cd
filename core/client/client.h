/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's engine: one call per verb, each runs the loop until the work is done, failed or interrupted.
 * What happens meanwhile is told through the callbacks of `struct client_watch`, all in the caller's thread.
 */
#ifndef XFER_CLIENT_CLIENT_H
#define XFER_CLIENT_CLIENT_H

#include "base/error.h"
#include "base/log.h"
#include "client/retry.h"
#include "config/settings.h"
#include "engine/url.h"
#include "pipeline/pipeline.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

/* A job as a whole, for the line of progress (told about ten times a second, and once at the end). */
struct client_progress {
	uint64_t files_total; /* 0 = not known */
	uint64_t bytes_total; /* 0 = not known */
	uint64_t files;       /* done */
	uint64_t bytes;       /* payload bytes checked and written (holes counted) */
	uint64_t elapsed;     /* ns */
	uint64_t rtt;         /* ns, smoothed; 0 = not known */
	uint64_t loss_ppm;
	const char *stall; /* NULL, or what is waited for: "peer alive, blocked in read for 12 s" */
};

/* The stages of this side: those of the pipeline, and the calls of the transport. */
enum { CLIENT_STAGE_SEND = PIPELINE_STAGES, CLIENT_STAGE_RECEIVE, CLIENT_STAGES };
struct client_stage {
	const char *name; /* static */
	struct pipeline_count count;
	unsigned threads; /* that can be busy with it at a time */
};

/* What a job ended with. */
struct client_summary {
	uint64_t files; /* regular files complete and verified */
	uint64_t dirs;
	uint64_t links;
	uint64_t skipped; /* special files */
	uint64_t failed;
	uint64_t bytes;    /* of file content, holes counted */
	uint64_t received; /* payload bytes that travelled */
	uint64_t chunks;
	uint64_t repaired; /* chunks asked for again */
	uint64_t kept;     /* bytes that were there already and did not travel */
	uint64_t same;     /* files that were left alone: they are the same */
	uint64_t differ;   /* files that are not, when they were only compared */
	uint64_t elapsed;  /* ns */
	uint64_t rtt;      /* ns, smoothed */
	unsigned sessions; /* that were open at a time, at most */
	char integrity[MESSAGE_NAME_MAX + 1];
	char digest[MESSAGE_DIGEST_TEXT_MAX]; /* of the last file; meant for jobs of one file */
	struct client_stage stages[CLIENT_STAGES];
	const char *peer_stage; /* where the other side was mostly seen, static; NULL: it was not seen at work */
};

struct client_ping {
	bool answered;     /* false: timed out */
	uint64_t sequence; /* from 1 */
	uint64_t rtt;      /* ns */
	const char *from;  /* "127.0.0.1:15010" */
	const char *how;   /* name of the liveness plug-in, or "in-band" */
};

struct client_ping_sum {
	uint64_t sent, received;
	uint64_t elapsed;              /* ns */
	uint64_t min, mean, max, mdev; /* ns */
};

/* Any callback may be NULL. Text is printable and without newline. */
struct client_watch {
	void *context;
	void (*progress)(void *context, const struct client_progress *progress);
	/* One file failed or was skipped, or something to warn of; the job goes on. */
	void (*message)(void *context, enum log_level level, enum fault fault, const char *text);
	/* A file is complete under its final name. digest: "xfer1:..." or "unverified". */
	void (*file)(void *context, const char *path, uint64_t bytes, const char *digest);
	/* ls: path is relative to the URL's path; only entries of `depth` 0 and 1 unless recursive. */
	void (*entry)(void *context, const char *path, const struct entry *entry);
	void (*ping)(void *context, const struct client_ping *ping);
};

struct client;

enum { STREAMS_MAX = 64 };

struct client_options {
	const char *transport; /* --transport; NULL = configured */
	const char *integrity; /* --integrity NAME[,NAME]; NULL = configured */
	uint64_t limit_rate;   /* bytes a second; 0 = none */
	unsigned streams;      /* sessions for one job of get or put; 0: as many as help */
	struct retry_limits retry;
	bool totals;    /* ask for the sums first, so that progress has a percentage */
	bool no_resume; /* begin anew, and leave nothing for another run */
	bool no_sync;   /* --durability none: names may be given before the content is on disk */
	bool update;    /* files of the same size and mtime are left alone, of others what differs is moved */
	bool compare;   /* with update: digests tell what is the same */
};

/* Loads the plug-ins and starts the pools. settings, watch, options and log are borrowed. */
int client_create(struct client **out, const struct settings *settings, const struct client_options *options,
                  const struct client_watch *watch, struct log *log, struct error *err);
void client_destroy(struct client *client);
/* What SIGINT and SIGTERM do: the verb that runs ends soon, with FAULT_INTERRUPTED. May be called from a callback. */
void client_interrupt(struct client *client);

/*
 * dest follows cp(1). 0, or -errno with err->fault for the exit status when any file failed; an empty err->text means
 * that watch->message() told of everything. The summary is filled always.
 */
int client_get(struct client *client, const struct url *urls, size_t count, const char *dest,
               struct client_summary *summary, struct error *err);
/* As client_get(): each source goes to the URL's path, or where that is a folder, into it under its own name. */
int client_put(struct client *client, const char *const *paths, size_t count, const struct url *url,
               struct client_summary *summary, struct error *err);
/* Compares what is at `path` with what the URL names, by digests; what differs is told by watch->message(). */
int client_verify(struct client *client, const struct url *url, const char *path, struct client_summary *summary,
                  struct error *err);
int client_list(struct client *client, const struct url *url, bool recursive, struct error *err);
/* count 0: until interrupted. interval: ns, 0 = the liveness plug-in's. FAULT_MIXED (1) where nothing was answered. */
int client_ping(struct client *client, const struct url *url, uint64_t count, uint64_t interval,
                struct client_ping_sum *sum, struct error *err);
/* The digest that a daemon would give for a local file. */
int client_digest(struct client *client, const char *path, uint32_t chunk_size, char digest[MESSAGE_DIGEST_TEXT_MAX],
                  struct error *err);

#endif
