/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to this floor: the file behind write and keep pieces. */
#ifndef XFER_PIPELINE_WRITE_FILE_H
#define XFER_PIPELINE_WRITE_FILE_H

#include "base/ranges.h"
#include "pipeline/tally.h"
#include "pipeline/write.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	WRITE_KEPT_MAX = 65536, /* what is kept of so many chunks is remembered until it is copied */
	WRITE_HOLES_MAX = 1024  /* chunks of holes of a file, beyond which none is noted */
};

struct write_file {
	struct store_root *root;
	const struct suite *suite;
	struct tally *tally;
	uint64_t size;
	char *path;
	char *final; /* NULL: path is final */
	char *old;   /* NULL: there is none to look at */
	enum write_reuse reuse;
	bool sync;
	bool no_replace;
	uint64_t sync_window;
	struct journal *journal;      /* NULL: nothing is noted */
	struct journal_file identity; /* its path is owned, and the name in the journal */
	uint32_t past;                /* what the journal called it before, 0: it did not */
	_Atomic int code;             /* the first error of the store; 0 while there is none */
	pthread_mutex_t lock;         /* guards all that follows */
	int fd;                       /* of path; -1 while closed */
	int old_fd;                   /* of old; -1 while closed */
	bool created;                 /* stands at path, by our doing */
	bool over;                    /* published, settled, closed or abandoned */
	bool stale;                   /* bytes may stand at path where nothing was written */
	uint64_t reach;               /* the file at path is so long, bytes */
	uint64_t dirty;               /* bytes written since the last sync began */
	uint64_t behind;              /* bytes that a sync under way is for */
	bool syncing;
	atomic_bool due; /* a sync is to be made by whoever sees it */
	bool copied;     /* something came from old */
	bool old_known;  /* old_identity and old_links are set: it was open once */
	nlink_t old_links;
	struct store_identity old_identity;
	/* Whose turn it is to write, write_turn.c. */
	struct job *turn;         /* NULL: nobody's */
	struct job *waiting;      /* for its turn, or for a sync; linked by next; NULL: none */
	struct job *waiting_last; /* undefined when there is none */
	/* What is noted, write_note.c. */
	uint32_t number; /* 0: not yet in the journal */
	uint8_t *
		kept; /* by chunk, of those kept from old: CRC, digest; noted when they are copied. Owned, NULL: none */
	struct ranges holes; /* chunks, no more once there were too many; to be noted when it is published */
	uint64_t hole_count; /* of all there were */
	bool only_known;     /* of a file of one chunk: what is noted of it when it is published */
	uint32_t only_crc;
	uint8_t only_digest[FRAME_DIGEST_MAX];
	/* A claim of another cut that was looked at last, keep.c. */
	uint64_t claim_offset;
	uint32_t claim_length; /* 0: none */
	bool claim_right;
};

/* ---- write_file.c ---- */

uint64_t write_file_chunks(const struct write_file *file);
/* Bytes of a chunk that lies in the file. */
uint32_t write_file_chunk_len(const struct write_file *file, uint64_t index);
/* Creates or opens it where it is not yet open, and lends its descriptor. An error stays with the file. */
int write_file_open(struct write_file *file, struct store_parent *near, int *fd);
/* What keep pieces look at, open for reading: -ENOENT where there is nothing. */
int write_file_look(struct write_file *file, struct store_parent *near, int *fd);
/* Looked at for now: a file of one chunk gives its descriptor back, since there may be many. */
void write_file_looked(struct write_file *file);
/* The old file, open and still what it was: -ESTALE. */
int write_file_old(struct write_file *file, struct store_parent *near, int *fd);
/* So many bytes were written; `end`: the file is at least so long (0: nothing is known of that). */
void write_file_wrote(struct write_file *file, uint64_t bytes, uint64_t end);
int write_file_error(struct write_file *file, int code); /* keeps the first; returns what stays */
/* Enough was written: whoever takes this syncs the file and the journal, others go on writing. */
bool write_file_due(const struct write_file *file);
/* A job that has waited for that, and whose turn it is, is put in front of the list *waiting. */
int write_file_sync_due(struct write_file *file, struct job *job, struct job **waiting);
/* No more may be written before a sync is done. With the lock held. */
bool write_file_full(const struct write_file *file);
void write_file_close(struct write_file *file);
int write_file_abandon(struct write_file *file, struct store_parent *near);

/* ---- write_turn.c ---- */

/* The job that has waited longest, NULL for none; it is its turn from now on. With the lock held, and nobody's turn. */
struct job *write_turn_next(struct write_file *file);

/* ---- write_publish.c ---- */

/* The content is all there: gives the file its size and metadata, and its final name where nothing is to be synced. */
int write_ready(struct write_file *file, struct store_parent *near, const struct store_meta *meta);
/* Syncs all that is ready, and then gives the final names. */
void write_publish(struct write_job *job, struct store_parent *near);
int write_settle(struct write_file *file, struct store_parent *near, struct job *job, const struct store_meta *meta);

/* ---- write_note.c: what goes into the journal; nothing where there is none, and no error is told ---- */

/* Whether CRCs of its chunks are wanted. */
static inline bool write_notes(const struct write_file *file)
{
	return file->journal != NULL;
}
/* The file is about to be created: true when that is to be flushed before. */
bool write_note_begin(struct write_file *file);
/* Chunks were written, one behind the other, all of one file. */
void write_note_chunks(struct write_file *file, const struct write_piece *pieces, size_t count);
/* A chunk was kept. From the old file it is noted only when it was copied to where it belongs. */
void write_note_kept(struct write_file *file, uint64_t index, uint32_t crc, const uint8_t *digest);
void write_note_copied(struct write_file *file, uint64_t first, uint64_t count);
void write_note_hole(struct write_file *file, uint64_t first, uint64_t count);
void write_note_published(struct write_file *file);

#endif
