/* SPDX-License-Identifier: BSD-2-Clause */
/* One line in the daemon's log for each finished transfer: a file, or a tree with all that was fetched of it. */
#ifndef XFER_DAEMON_TRANSFER_LOG_H
#define XFER_DAEMON_TRANSFER_LOG_H

#include "daemon/serve.h"
#include "pipeline/read.h"

/* What was fetched under one LIST, or put. */
struct serve_transfer {
	char *path; /* owned */
	uint64_t files;
	uint64_t compared; /* files of which the digests were sent, from the first one on */
	uint64_t bytes;
	uint64_t chunks; /* sent, or their digests */
	uint64_t failed;
	uint64_t reading; /* requests unanswered */
	uint64_t began;   /* ns */
	bool moved;       /* content was asked for, not digests alone */
	bool helps;       /* nothing was listed: a session beside the one that did */
	uint32_t digest_size;
	uint8_t digest[FRAME_DIGEST_MAX]; /* of the last file */
};

/* A LIST begins a transfer, and ends the one before. */
void transfer_list(struct serve *serve, const struct message_list *list);
/* A READ was asked for. */
void transfer_read(struct serve *serve);
/* A piece of a READ came back. */
void transfer_piece(struct serve *serve, const struct read_piece *piece, const struct source_request *request);
/* Writes the line of a transfer; verb: "get", "put", "verify". */
void transfer_line(const struct serve *serve, const struct serve_transfer *transfer, const char *verb,
                   const char *result);
/* The session ended; err->code 0: in order. */
void transfer_end(struct serve *serve, const struct error *err);
void transfer_free(struct serve *serve);

#endif
