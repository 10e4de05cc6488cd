/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the journal: what its writer (journal.c) and its reader (journal_past.c) share. */
#ifndef XFER_STORE_JOURNAL_STATE_H
#define XFER_STORE_JOURNAL_STATE_H

#include "store/index.h"
#include "store/journal.h"
#include "store/record.h"

#include <pthread.h>

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

struct journal {
	struct store_root *root; /* a reference */
	char *path;              /* owned */
	char *source, *partial;  /* owned, the head's */
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
