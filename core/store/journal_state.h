/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the journal: what its parts share. */
#ifndef XFER_STORE_JOURNAL_STATE_H
#define XFER_STORE_JOURNAL_STATE_H

#include "store/index.h"
#include "store/journal.h"
#include "store/record.h"

#include <pthread.h>

enum { JOURNAL_SUITE_EVERY = 32 * 1024 /* bytes of records between two SUITE, at most */ };

/* ---- journal_file.c ---- */

/* Opens what is there, without the lock: -ENOENT; -EINVAL for what is no plain file. */
int journal_file_there(struct store_root *root, const char *path, int flags, int *fd, struct stat *st);
/* The same for reading and appending, and with the lock; -EBUSY. */
int journal_file_open(struct store_root *root, const char *path, int *fd, struct stat *st);
/* Makes the file, and JOURNAL_FOLDER where it is to lie in it. -EBUSY: somebody else just did. */
int journal_file_make(struct store_root *root, const char *path, int *fd);
int journal_file_remove(struct store_root *root, const char *path);
/* The folder that comes and goes with its journals goes, if there is none in it. */
void journal_file_tidy(struct store_root *root, const char *path);
/* Whether somebody has the lock; asks without taking it. */
bool journal_file_busy(int fd);
/* The folder of the path, if it comes and goes with its journals; else an empty text. Returns out. */
char *journal_file_folder(char out[RECORD_PATH_MAX + 1], const char *path);

/* ---- journal_past.c ---- */

/* What was in the file when it was opened. Not changed afterwards: read without a lock. */
struct past {
	int fd;               /* lent, the journal's; -1: there was none */
	uint64_t seed;        /* of the hash of paths, so that nobody can make paths that meet */
	struct index *files;  /* owned; major: hash of the path, minor: number. NULL: nothing is claimed */
	struct index *chunks; /* owned; major: number << 8 | suite, minor: chunk */
	uint32_t own;         /* our suite's number, RECORD_SUITES when it has none yet */
	uint32_t number;      /* the largest number seen */
	unsigned suite_count; /* numbers up to the largest seen, with gaps where chunk_size is 0 */
	struct journal_suite suites[RECORD_SUITES];
};

/*
 * Reads the file fd, whose folder `path` says. 1: it is of this transfer; 0: it is not, or has no room for another suite;
 * -errno. Only where it is 1 there is something to be freed.
 */
int past_load(struct past *past, int fd, struct store_root *root, const char *path, const uint8_t id[JOURNAL_ID],
              const struct journal_suite *suite);
void past_free(struct past *past);

/* ---- journal.c ---- */

/* Without a file. */
int journal_new(struct journal **out, struct store_root *root, const char *path, const struct journal_head *head);

struct journal {
	struct store_root *root;         /* a reference */
	char *path;                      /* owned */
	char *source, *partial, *target; /* owned, the head's */
	uint8_t id[JOURNAL_ID];
	struct journal_suite suite;
	struct past past;

	pthread_mutex_t flushing; /* taken before `lock`: one writes at a time. Guards fd's making, spare, named */
	struct buf spare;         /* empty, its room is used again */
	bool named;               /* the file's name is on disk */

	pthread_mutex_t lock; /* guards what follows */
	int fd;               /* owned, locked; -1 until it is made */
	struct buf pending;   /* not yet written */
	uint32_t number;      /* the last given out */
	bool introduced;      /* this run's HEAD is in pending or written */
	bool mute;            /* an error was told */
	size_t since_suite;   /* bytes since the last SUITE */
};

#endif
