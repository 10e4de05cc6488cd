/* SPDX-License-Identifier: BSD-2-Clause */
/* The read job: pieces of files become frames, ready to be sent. */
#ifndef XFER_PIPELINE_READ_H
#define XFER_PIPELINE_READ_H

#include "pipeline/job.h"
#include "pipeline/lend.h"
#include "pipeline/pipes.h"
#include "store/store.h"
#include "wire/message.h"

/* A file being read for one request. Made in the loop without I/O; opened by its first piece; has a lock of its own. */
struct read_file;
/*
 * size: what the requester believes; a file of another size ends with STATUS_CHANGED before its first chunk.
 * path is copied; the root is kept by a reference (NULL: the caller refuses each piece).
 */
int read_file_create(struct read_file **out, struct store_root *root, const char *path, uint64_t size,
                     const struct suite *suite);
/* One more who needs it; loop thread. Each of them destroys it. */
struct read_file *read_file_ref(struct read_file *file);
/* No piece of it is under way when the last one does; closes the descriptor. NULL is allowed. */
void read_file_destroy(struct read_file *file);

/*
 * Pieces of one file may be under way in several jobs at a time, in any order, each for other chunks. The one with
 * `end` comes when all others are back: the file digest is made in it. So it does when one of them failed: what ends a
 * request stands behind all of its chunks.
 */
struct read_piece {
	struct read_file *file;
	uint32_t request;
	uint64_t first; /* chunk */
	uint64_t count; /* at most so many chunks; fewer where the payload, the buffer or the file ends */
	bool end;       /* when this piece reaches the end of what was asked, or fails, end the request in this job */
	bool part;      /* no file digest is wanted: not the whole file was asked for */
	bool fresh;     /* digests that are known are not good enough: one may have been wrong */
	enum status refuse;     /* not STATUS_OK: read nothing, end the request with it; the file needs no root then */
	uint64_t chunks_before; /* sent by earlier pieces of this request, for the ENDS item */
	/* Results. */
	uint64_t chunks;                  /* sent by this piece, holes counted */
	uint64_t bytes;                   /* payload bytes put into the buffer */
	uint64_t total;                   /* chunks of the whole file, known after its first piece */
	uint8_t digest[FRAME_DIGEST_MAX]; /* the file's, when has_digest */
	bool has_digest;
	uint64_t known; /* payload bytes of which the digest was known; the pipeline's */
	bool ended;     /* an ENDS item stands in the buffer */
	/* STATUS_OK, or why the file failed. A piece of a file that failed in another one is empty and has its status. */
	enum status status;
	int code;           /* 0, or the -errno behind the status */
	const char *change; /* what happened to a file with STATUS_CHANGED, static; NULL = not known */
};
/* Why the piece's file failed, beyond the status: static or in `out`, "" when no more is known. */
const char *read_piece_text(const struct read_piece *piece, char *out, size_t size);

enum { READ_PIECES_MAX = 64 };
struct read_job {
	struct job job;
	struct lent *buffer;  /* held by the loop; read_job_buffer_size() bytes */
	uint64_t payload_max; /* at most so many payload bytes in all pieces together: the credit */
	/* For payload that nobody looks at, read_job_pipes() says when; held by the loop. NULL: all is read. */
	struct pipe_lent *pipes;
	bool digests; /* DIGEST_RUN frames go out instead of the chunks (never with a digest_size of 0) */
	size_t count;
	struct read_piece pieces[READ_PIECES_MAX];
	/* Results: the frames, ready to be sent. */
	size_t out_offset;
	size_t out_len;
	bool piped; /* the payload is in the pipes, and the frames stand without it, head behind head */
	int code; /* 0, or what the integrity plug-in failed with: nothing can be sent, not even that, and all files failed */
};
size_t read_job_buffer_size(const struct suite *suite);
/* Payload bytes that one job carries at most. */
size_t read_job_payload(const struct suite *suite);
/* Bytes of pipes that are worth having for a job of one piece, `part` or not, with that much payload; 0: none are. */
size_t read_job_pipes(const struct suite *suite, bool part, uint64_t payload);

#endif
