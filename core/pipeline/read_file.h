/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to this floor: the file behind read pieces, and how a chunk frame looks between the two stages. */
#ifndef XFER_PIPELINE_READ_FILE_H
#define XFER_PIPELINE_READ_FILE_H

#include "pipeline/read.h"
#include "pipeline/tally.h"
#include "store/known.h"

#include <pthread.h>
#include <stdbool.h>

struct read_file {
	pthread_mutex_t lock; /* guards all but the first five */
	unsigned refs;        /* the loop's */
	struct store_root *root;
	const struct suite *suite;
	uint64_t believed; /* size that the requester knows, bytes */
	char *path;
	int fd;             /* -1 while closed */
	unsigned readers;   /* storage stages that use fd just now */
	bool known;         /* st, identity and sparse are set: it was open once */
	bool sparse;        /* it has fewer blocks than its size needs */
	enum status status; /* why it failed; STATUS_OK while it did not */
	int code;
	const char *change; /* what happened to it when it changed, static; NULL = nothing is known */
	struct stat st;     /* when it was opened; immutable once known */
	struct store_identity identity;
	struct known_key key; /* of its digests */
	bool keeps;           /* and it is worth it, and they can be trusted */
	struct tally *tally;  /* NULL until the first piece of a whole file was hashed */
};

/* What a storage stage needs of an open file; immutable while the file is entered. */
struct read_view {
	int fd;
	uint64_t size;
	uint64_t total; /* chunks */
	bool sparse;
};

/*
 * Opens the file where needed and checks that it is what it was, and what the requester believes. On success
 * read_file_leave() follows. False: piece has the status; whether its request ends in it is set too.
 */
bool read_file_enter(struct read_file *file, struct store_parent *near, struct read_piece *piece,
                     struct read_view *out);
/* Ends the use; last: nothing more will be read, so that the descriptor may be given back. */
void read_file_leave(struct read_file *file, bool last);
/* Nobody reads from it for a while: the descriptor may be given back. */
void read_file_rest(struct read_file *file);
/* The file is still what it was when it was opened; else it failed in this piece, and says how it changed. */
bool read_file_same(struct read_file *file, struct read_piece *piece, int fd);
/* The file failed in this piece, or in another one before: its request ends here when this is the last piece. */
void read_file_fail(struct read_file *file, struct read_piece *piece, enum status status, int code);
/* The tally of a whole file, made when first asked for. */
int read_file_tally(struct read_file *file, struct tally **out);

/*
 * A chunk frame between the stages: this stands in front of the payload instead of header and chunk head, beginning
 * with FRAME_CHUNK where a sealed frame has its type, until the digest is known. (A HOLE frame is sealed at once.)
 */
struct read_draft {
	uint8_t type;
	uint8_t flags;
	uint8_t known; /* 1: the digest is there already, where it belongs */
	uint8_t zero;
	uint32_t length; /* of the payload, bytes */
	uint64_t index;
};
_Static_assert(sizeof(struct read_draft) <= FRAME_HEADER + FRAME_CHUNK_HEAD, "a draft fits in front of its digest");

enum { READ_HOLE_FRAME = FRAME_HEADER + 16 }; /* bytes */
enum { READ_END_TEXT_MAX = 120 };             /* bytes of text in an ENDS item of ours */
/* Room for the ENDS frame of a job with `count` pieces. */
size_t read_ends_room(const struct suite *suite, size_t count);

#endif
